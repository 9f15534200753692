//! What a server's answer to EHLO offers (RFC 5321 section 4.1.1.1). Network child.
//!
//! The words are the server's: they only ever decide whether something may be said, never what is believed.
#![forbid(unsafe_code)]

use super::replies::Reply;

/// The extensions in force: those of the last answer to EHLO, none after HELO and none from before TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    /// The lines of the answer, with their codes.
    lines: Vec<u8>,
}

impl Extensions {
    /// Whether the extension `keyword` is offered.
    pub(super) fn offer(&self, keyword: &[u8]) -> bool {
        self.parameters(keyword).is_some()
    }

    /// What stands behind `keyword` on its line, if it is offered.
    pub(super) fn parameters(&self, keyword: &[u8]) -> Option<&[u8]> {
        self.texts().find_map(|text| {
            let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
            let (word, rest) = text.split_at_checked(end)?;
            word.eq_ignore_ascii_case(keyword).then(|| rest.trim_ascii())
        })
    }
}

impl Extensions {
    /// The lines, without their codes. The first one is left out: it is the server's name.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.split(|&octet| octet == b'\n').skip(1).filter_map(|line| line.get(4..))
    }
}

impl From<Reply> for Extensions {
    fn from(answer: Reply) -> Extensions {
        Extensions { lines: answer.lines }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ipc::server_reply::ReplyText;

    pub(in super::super) fn extensions(lines: &[u8]) -> Extensions {
        Reply { text: ReplyText::truncated(lines).unwrap(), lines: lines.to_vec() }.into()
    }

    #[test]
    fn extensions_are_words_after_the_first_line() {
        let offered = extensions(
            b"250-starttls.test STARTTLS\n250-SIZE 10\n250-X-StartTLS\n250-Auth  LOGIN PLAIN \n250 StartTLS\n",
        );
        assert!(offered.offer(b"STARTTLS") && offered.offer(b"SIZE"));
        assert!(!offered.offer(b"10") && !offered.offer(b"start") && !offered.offer(b""));
        assert_eq!(offered.parameters(b"SIZE"), Some(&b"10"[..]));
        assert_eq!(offered.parameters(b"AUTH"), Some(&b"LOGIN PLAIN"[..]));
        assert_eq!(offered.parameters(b"STARTTLS"), Some(&b""[..]));
        assert!(!extensions(b"250 STARTTLS\n").offer(b"STARTTLS"), "the first line is a name");
        assert!(!Extensions::default().offer(b"SIZE"));
    }
}
