//! A server's reply as both processes know it. The one rule of what a reply is.
//!
//! The network child builds it from the wire, the monitor checks it again when it decodes a claim:
//! construction is the validation, and the code is always the one in the text.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// A reply code of RFC 5321 section 4.2.1: 200 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyCode(u16);

/// What the first digit of a reply code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyClass {
    /// 2xx: done.
    Completed,
    /// 3xx: go on.
    Intermediate,
    /// 4xx: refused for now.
    Transient,
    /// 5xx: refused for good.
    Permanent,
}

impl ReplyCode {
    /// Reads the three digits at the start of a reply line.
    pub fn parse(line: &[u8]) -> Option<ReplyCode> {
        let digits = line.first_chunk::<3>().filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        let value = std::str::from_utf8(digits).ok()?.parse().ok()?;
        (200..=599).contains(&value).then_some(ReplyCode(value))
    }

    /// The code as a number.
    pub fn value(self) -> u16 {
        self.0
    }

    /// The class that the first digit stands for.
    pub fn class(self) -> ReplyClass {
        match self.0 {
            ..=299 => ReplyClass::Completed,
            300..=399 => ReplyClass::Intermediate,
            400..=499 => ReplyClass::Transient,
            500.. => ReplyClass::Permanent,
        }
    }
}

/// The lines of a reply with their codes, each ended by LF: at most [`ReplyText::MAX`] octets, at least
/// one line, every line with the same code. A longer reply loses whole lines at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct ReplyText {
    code: ReplyCode,
    lines: Vec<u8>,
}

/// The octets are not the lines of one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAReply;

impl ReplyText {
    /// The most that is kept of a reply, in octets.
    pub const MAX: usize = 5000;

    /// Keeps as many whole lines of `lines` (LF-ended) as fit.
    pub fn truncated(lines: &[u8]) -> Result<ReplyText, NotAReply> {
        let kept = match lines.get(..Self::MAX) {
            Some(start) => start.iter().rposition(|&octet| octet == b'\n').and_then(|end| start.get(..=end)),
            None => Some(lines),
        };
        ReplyText::try_from(kept.ok_or(NotAReply)?.to_vec())
    }

    /// The code that all lines carry.
    pub fn code(&self) -> ReplyCode {
        self.code
    }

    /// The class of the code.
    pub fn class(&self) -> ReplyClass {
        self.code.class()
    }

    /// The lines, LF-ended.
    pub fn as_bytes(&self) -> &[u8] {
        &self.lines
    }
}

/// Whether `line` (without its end) belongs to a reply with `code`: the code alone, or followed by a
/// space or a hyphen.
pub fn is_line_of(code: ReplyCode, line: &[u8]) -> bool {
    ReplyCode::parse(line) == Some(code) && matches!(line.get(3), None | Some(b' ' | b'-'))
}

impl TryFrom<Vec<u8>> for ReplyText {
    type Error = NotAReply;

    fn try_from(lines: Vec<u8>) -> Result<ReplyText, NotAReply> {
        let code = ReplyCode::parse(&lines).ok_or(NotAReply)?;
        let body = lines.strip_suffix(b"\n").ok_or(NotAReply)?;
        if lines.len() > Self::MAX || !body.split(|&octet| octet == b'\n').all(|line| is_line_of(code, line))
        {
            return Err(NotAReply);
        }
        Ok(ReplyText { code, lines })
    }
}

impl From<ReplyText> for Vec<u8> {
    fn from(reply: ReplyText) -> Vec<u8> {
        reply.lines
    }
}

impl std::fmt::Display for NotAReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a server's reply")
    }
}

impl std::error::Error for NotAReply {}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &[u8]) -> Result<ReplyText, NotAReply> {
        ReplyText::try_from(text.to_vec())
    }

    #[test]
    fn a_reply_is_lines_of_one_code() {
        for good in
            [&b"250 ok\n"[..], b"250\n", b"250-a\n250 b\n", b"250-\n250-\n", b"599 x\n", b"250 \xff\0\n"]
        {
            assert!(reply(good).is_ok(), "{}", good.escape_ascii());
        }
        for bad in [
            &b""[..],
            b"\n",
            b"250 ok",
            b"250ok\n",
            b"25 ok\n",
            b"250 a\n\n",
            b"250 a\n251 b\n",
            b"250 a\nK forged\n",
            b"199 x\n",
            b"600 x\n",
            b"2x0 y\n",
            b"SSH-2.0-x\n",
            b"250 a\r\nb\n",
        ] {
            assert_eq!(reply(bad), Err(NotAReply), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn classes_follow_the_first_digit() {
        for (text, class) in [
            (&b"200\n"[..], ReplyClass::Completed),
            (b"299\n", ReplyClass::Completed),
            (b"354 go\n", ReplyClass::Intermediate),
            (b"421 bye\n", ReplyClass::Transient),
            (b"554 no\n", ReplyClass::Permanent),
        ] {
            assert_eq!(reply(text).unwrap().class(), class);
        }
    }

    #[test]
    fn whole_lines_are_dropped_at_the_end() {
        let line = [&b"250-"[..], &[b'x'; 95], b"\n"].concat();
        let long = line.repeat(60);
        let kept = ReplyText::truncated(&long).unwrap();
        assert_eq!(kept.as_bytes(), line.repeat(50));
        assert_eq!(reply(&line.repeat(50)).unwrap(), kept);
        assert!(reply(&line.repeat(51)).is_err());
        assert_eq!(ReplyText::truncated(&[&b"250 "[..], &[b'x'; 6000], b"\n"].concat()), Err(NotAReply));
    }
}
