//! One pass over a list file: finds the entry with the best of a few keys.
//!
//! The file may have a million lines. Nothing is kept of it but the best entry so far, and other entries
//! may hold passwords, so what was read is wiped before the child can inherit it.
#![forbid(unsafe_code)]

use std::io::Read;

use memchr::memchr;
use zeroize::Zeroizing;

use super::{ControlError, without_trailing_blanks};

/// The entry that a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line's number, from 1.
    pub(super) line: u64,
    /// What follows the key's colon, without trailing blanks.
    pub(super) value: Zeroizing<Vec<u8>>,
}

/// A line longer than this is malformed.
const LONGEST_LINE: usize = 64 * 1024;

/// Searches `file` for `keys`, best first; keys compare without regard to case. Of several lines with
/// the same key the last one counts. Trailing blanks are stripped; empty lines, lines that start with
/// `#`, and lines without a key are skipped.
pub(super) fn find(
    mut file: impl Read,
    name: &'static str,
    keys: &[Vec<u8>],
) -> Result<Option<Entry>, ControlError> {
    let mut buffer = Zeroizing::new(vec![0; LONGEST_LINE]);
    let mut filled = 0usize;
    let mut number = 0u64;
    let mut best = Best { keys, level: keys.len(), entry: None };
    loop {
        let count = file.read(buffer.get_mut(filled..).unwrap_or_default())?;
        filled = filled.saturating_add(count);
        let mut rest = buffer.get(..filled).unwrap_or_default();
        while let Some(end) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            number = number.saturating_add(1);
            best.consider(number, line);
            rest = after.get(1..).unwrap_or_default();
        }
        let left = rest.len();
        if count == 0 {
            number = number.saturating_add(1);
            best.consider(number, rest);
            return Ok(best.entry);
        }
        if left == buffer.len() {
            return Err(ControlError::BadLine {
                file: name,
                line: number.saturating_add(1),
                problem: "the line is too long",
            });
        }
        buffer.copy_within(filled.saturating_sub(left)..filled, 0);
        filled = left;
    }
}

struct Best<'a> {
    keys: &'a [Vec<u8>],
    /// The index of the best key seen, or one past the last.
    level: usize,
    entry: Option<Entry>,
}

impl Best<'_> {
    fn consider(&mut self, number: u64, line: &[u8]) {
        let Some(key) = key_of(line) else {
            return;
        };
        let level = self
            .keys
            .iter()
            .take(self.level.saturating_add(1))
            .position(|wanted| wanted.eq_ignore_ascii_case(key));
        if let Some(level) = level {
            let value = line.get(key.len().saturating_add(1)..).unwrap_or_default();
            self.level = level;
            let value = Zeroizing::new(without_trailing_blanks(value).to_vec());
            self.entry = Some(Entry { line: number, value });
        }
    }
}

/// The text before the first colon; a key that starts with `[` extends to its `]`.
fn key_of(line: &[u8]) -> Option<&[u8]> {
    let inside = match line.first()? {
        b'#' => return None,
        b'[' => memchr(b']', line)?,
        _ => 0,
    };
    let colon = memchr(b':', line.get(inside..)?)?.checked_add(inside)?;
    line.get(..colon)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(text: &[u8], keys: &[&str]) -> Result<Option<(u64, String)>, ControlError> {
        let keys: Vec<_> = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
        let found = find(text, "smtproutes", &keys)?;
        Ok(found.map(|entry| (entry.line, String::from_utf8(entry.value.to_vec()).unwrap())))
    }

    #[test]
    fn the_best_key_wins_wherever_it_stands_and_the_last_of_equals() {
        let text = b":catch-all\n\n# a.test:comment\n.test:suffix\nA.Test:first\na.test:second \t\nno colon\n.test:again\n";
        let found = |keys: &[&str]| look_up(text, keys).unwrap();
        assert_eq!(found(&["a.test", ".test", ""]), Some((6, "second".into())));
        assert_eq!(found(&["b.test", ".test", ""]), Some((8, "again".into())));
        assert_eq!(found(&["b.example", ".example", ""]), Some((1, "catch-all".into())));
        assert_eq!(found(&["b.example"]), None);
    }

    #[test]
    fn a_bracketed_key_extends_to_its_bracket() {
        let text = b"[2001:db8::1]:relay.test\n[2001:db8::2:broken\n";
        assert_eq!(look_up(text, &["[2001:db8::1]"]).unwrap(), Some((1, "relay.test".into())));
        assert_eq!(look_up(text, &["[2001"]).unwrap(), None);
    }

    #[test]
    fn the_last_line_needs_no_line_feed_and_junk_is_skipped() {
        assert_eq!(look_up(b"\0\xff\nx\ny:z", &["y"]).unwrap(), Some((3, "z".into())));
        assert_eq!(look_up(b"", &[""]).unwrap(), None);
    }

    #[test]
    fn lines_may_lie_across_reads_and_have_a_limit() {
        let mut text = Vec::new();
        for number in 0..20_000 {
            text.extend_from_slice(format!("host{number}.example:relay{number}.test\n").as_bytes());
        }
        assert_eq!(look_up(&text, &["host19999.example"]).unwrap(), Some((20_000, "relay19999.test".into())));
        assert_eq!(
            look_up(&text, &["host1.example", "host19999.example"]).unwrap(),
            Some((2, "relay1.test".into()))
        );
        let long = [b"a:b\n".as_slice(), &vec![b'x'; LONGEST_LINE + 1], b"\n"].concat();
        let error = ControlError::BadLine { file: "smtproutes", line: 2, problem: "the line is too long" };
        assert_eq!(look_up(&long, &["a"]), Err(error));
    }
}
