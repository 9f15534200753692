//! One pass over a list file: finds the entry with the best of a few keys.
//!
//! The file may have a million lines. Nothing is kept of it but the best entry so far. Lists that may hold passwords are
//! read into sealed memory and found there, so that the child inherits neither the best entry nor any other; what was
//! read is wiped as well.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use memchr::memchr_iter;
use zeroize::Zeroizing;

use super::keys::Keys;
use super::{ControlError, without_trailing_blanks};
use crate::sealed::Sealed;

/// Where a list is read to.
pub(super) trait Memory: AsRef<[u8]> + AsMut<[u8]> + Sized {
    /// `length` zeros.
    fn zeroed(length: usize) -> io::Result<Self>;
    /// Holds `octets` instead of what it held.
    fn replace(&mut self, octets: &[u8]) -> io::Result<()>;
    /// Forgets what is behind `length`.
    fn truncate(&mut self, length: usize);
}

/// Of lists that may hold passwords. Not for a monitor that is confined.
impl Memory for Sealed {
    fn zeroed(length: usize) -> io::Result<Sealed> {
        Sealed::zeroed(length)
    }

    fn replace(&mut self, octets: &[u8]) -> io::Result<()> {
        self.replace(octets)
    }

    fn truncate(&mut self, length: usize) {
        self.truncate(length);
    }
}

/// Of lists that hold no secret.
pub(super) type Plain = Zeroizing<Vec<u8>>;

impl Memory for Plain {
    fn zeroed(length: usize) -> io::Result<Plain> {
        Ok(Zeroizing::new(vec![0; length]))
    }

    fn replace(&mut self, octets: &[u8]) -> io::Result<()> {
        *self = Zeroizing::new(octets.to_vec());
        Ok(())
    }

    fn truncate(&mut self, length: usize) {
        Vec::truncate(self, length);
    }
}

/// The entry that a look-up found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<M> {
    /// Which of the keys it has: 0 is the best.
    pub(super) level: usize,
    /// The line's number, from 1; [`super::indexed::NO_LINE`] without one.
    pub(super) line: u64,
    /// What follows the key's colon, without trailing blanks; an error when the line is too long.
    pub(super) value: Result<M, ControlError>,
}

/// A line of so many octets is too long. What is read at once and the best value so far fit what an ordinary user may lock
/// in memory, which was 64 KiB for long.
pub const LONGEST_LINE: usize = 32 * 1024;

/// A line as it comes.
pub enum Line<'a> {
    /// The whole line, without its line feed.
    Whole(&'a [u8]),
    /// The start of a line that is too long.
    TooLong(&'a [u8]),
}

/// Searches `file` for the best of `keys`, which compare without regard to case. Of several lines with the
/// same key the last one counts. Trailing blanks are stripped; empty lines, lines that start with `#`, lines
/// without a key, and lines whose value is not `wanted` do not exist. Nobody knows whether a line that is too long is
/// wanted: it has an error for a value, which stops who needs it and nobody else.
pub(super) fn find<M: Memory>(
    file: impl Read,
    name: &'static str,
    keys: &Keys,
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<Option<Entry<M>>, ControlError> {
    let mut best: Option<Entry<M>> = None;
    each_in(&mut M::zeroed(LONGEST_LINE)?, file, |number, line| {
        let limit = best.as_ref().map_or(usize::MAX, |entry| entry.level);
        match line {
            Line::Whole(line) => {
                if let Some((level, value)) = keys.find(line, limit) {
                    let value = without_trailing_blanks(value);
                    if wanted(value) {
                        let mut place = match best.take() {
                            Some(Entry { value: Ok(place), .. }) => place,
                            Some(Entry { value: Err(_), .. }) | None => M::zeroed(0)?,
                        };
                        place.replace(value)?;
                        best = Some(Entry { level, line: number, value: Ok(place) });
                    }
                }
            }
            Line::TooLong(start) => {
                if let Some((level, _)) = keys.find(start, limit) {
                    best = Some(Entry { level, line: number, value: Err(too_long(name, number)) });
                }
            }
        }
        Ok(())
    })?;
    Ok(best)
}

/// The error for a line that is needed and too long.
pub(super) fn too_long(name: &'static str, line: u64) -> ControlError {
    ControlError::BadLine { file: name, line, problem: "the line is too long" }
}

/// Calls `visit` with the number and content of every line, the last one too when it has no line feed. What was read
/// is wiped.
pub fn each(
    file: impl Read,
    visit: impl FnMut(u64, Line<'_>) -> Result<(), ControlError>,
) -> Result<(), ControlError> {
    each_in(&mut Plain::zeroed(LONGEST_LINE)?, file, visit)
}

fn each_in(
    memory: &mut impl Memory,
    mut file: impl Read,
    mut visit: impl FnMut(u64, Line<'_>) -> Result<(), ControlError>,
) -> Result<(), ControlError> {
    let buffer = memory.as_mut();
    let mut filled = 0usize;
    let mut number = 1u64;
    let mut skipping = false;
    loop {
        let count = file.read(buffer.get_mut(filled..).unwrap_or_default())?;
        filled = filled.saturating_add(count);
        let text = buffer.get(..filled).unwrap_or_default();
        let mut start = 0usize;
        for end in memchr_iter(b'\n', text) {
            if !std::mem::take(&mut skipping) {
                visit(number, Line::Whole(text.get(start..end).unwrap_or_default()))?;
            }
            number = number.saturating_add(1);
            start = end.saturating_add(1);
        }
        let rest = text.get(start..).unwrap_or_default();
        let left = rest.len();
        if count == 0 {
            return if skipping || left == 0 { Ok(()) } else { visit(number, Line::Whole(rest)) };
        }
        if skipping {
            filled = 0;
        } else if left == buffer.len() {
            visit(number, Line::TooLong(rest))?;
            skipping = true;
            filled = 0;
        } else {
            buffer.copy_within(start..filled, 0);
            filled = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(text: &[u8], keys: &[&str]) -> Result<Option<(u64, String)>, ControlError> {
        let keys = Keys::new(keys.iter().map(|key| key.as_bytes().to_vec()));
        let found = find::<Sealed>(text, "smtproutes", &keys, |value| value != b"unwanted")?;
        found.map(|entry| Ok((entry.line, String::from_utf8(entry.value?.to_vec()).unwrap()))).transpose()
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
    fn lines_with_an_unwanted_value_do_not_exist() {
        let text = b"a.test:first\na.test:unwanted\n:last\n";
        assert_eq!(look_up(text, &["a.test", ""]).unwrap(), Some((1, "first".into())));
        assert_eq!(look_up(b"a.test:unwanted\n:last\n", &["a.test", ""]).unwrap(), Some((2, "last".into())));
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
        let long = |key: &str| [b"a:b\n", key.as_bytes(), &vec![b'x'; 3 * LONGEST_LINE], b"\nc:d\n"].concat();
        let error = ControlError::BadLine { file: "smtproutes", line: 2, problem: "the line is too long" };
        assert_eq!(look_up(&long("a:"), &["a"]), Err(error));
        assert_eq!(look_up(&long("e:"), &["c"]).unwrap(), Some((3, "d".into())));
        // One that another line comes before is as good as not there.
        assert_eq!(look_up(&long("e:"), &["a", "e"]).unwrap(), Some((1, "b".into())));
        assert_eq!(look_up(&long("e:"), &["c", "e"]).unwrap(), Some((3, "d".into())));
        let replaced = [long("a:"), b"a:last\n".to_vec()].concat();
        assert_eq!(look_up(&replaced, &["a"]).unwrap(), Some((4, "last".into())));
        let worse = [long("a:"), b"e:worse\n".to_vec()].concat();
        assert!(look_up(&worse, &["a", "e"]).is_err());
        assert_eq!(look_up(&long("#"), &["a"]).unwrap(), Some((1, "b".into())));
        let endless = [b"a:b\n".as_slice(), &vec![b'x'; 3 * LONGEST_LINE]].concat();
        assert_eq!(look_up(&endless, &["a"]).unwrap(), Some((1, "b".into())));
    }

    /// Gives at most so many octets at once.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(buffer.len());
            self.0.read(&mut buffer[..size])
        }
    }

    #[test]
    fn the_size_of_reads_changes_nothing() {
        let text = b"# x\n\n:all \n\0\xff:\n.test:suffix\na.test:first\nA.test:last\t\r\n[::1]:v\nb.test";
        let keys = Keys::new(["a.test", "[::1]", ".test", ""].map(|key| key.as_bytes().to_vec()));
        for end in 0..=text.len() {
            let text = &text[..end];
            let whole = find::<Sealed>(text, "smtproutes", &keys, |_| true);
            for size in 1..=end {
                let found = find::<Sealed>(Pieces(text, size), "smtproutes", &keys, |_| true);
                assert_eq!(found, whole, "{size} of {}", text.escape_ascii());
            }
        }
    }
}
