//! Reads the server's replies (RFC 5321 section 4.2). Network child.
//!
//! Every octet is the server's, and the limits are ours: a line of at most 4096 octets, 512 lines, 64 KiB
//! in all, one deadline for the whole reply, every line with the code of the first.
#![forbid(unsafe_code)]

use memchr::memchr;

use super::flight::Flight;
use crate::ipc::server_reply::{ReplyCode, ReplyText, is_line_of};
use crate::network::channel::{Channel, Deadline};

const LONGEST_LINE: usize = 4096;
const MOST_LINES: usize = 512;
const MOST_OCTETS: usize = 64 * 1024;

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoReply {
    /// The connection ended or the deadline passed.
    Lost,
    /// What came is not a reply.
    NotSmtp,
}

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// What the monitor is told.
    pub(super) text: ReplyText,
    /// All lines, LF-ended, with their codes: what extensions are read from.
    pub(super) lines: Vec<u8>,
}

/// The replies of one connection. What has arrived beyond the last one waits here.
#[derive(Debug, Default)]
pub(super) struct Replies {
    pending: Vec<u8>,
}

impl Replies {
    /// Whether nothing has arrived beyond the last reply.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The codes of the replies that have arrived beyond the last one and stay there. An error: not all of it is whole
    /// replies, or there is no end of it.
    pub(super) fn left_over(&mut self, channel: &mut Channel) -> Result<Vec<ReplyCode>, NoReply> {
        let mut chunk = [0; 4096];
        loop {
            let count = channel.read_arrived(&mut chunk);
            self.pending.extend_from_slice(chunk.get(..count).unwrap_or_default());
            match count {
                0 => break,
                _ if self.pending.len() > MOST_OCTETS => return Err(NoReply::NotSmtp),
                _ => {}
            }
        }
        let (mut pending, mut codes) = (self.pending.clone(), Vec::new());
        while !pending.is_empty() {
            let reply = Parser::default().feed(&mut pending)?.ok_or(NoReply::NotSmtp)?;
            codes.push(reply.text.code());
        }
        Ok(codes)
    }

    /// The next reply. What is left of the flight of commands is sent meanwhile; a reply to a command that has not
    /// been sent is none.
    pub(super) fn next(
        &mut self,
        flight: &mut Flight,
        channel: &mut Channel,
        deadline: Deadline,
    ) -> Result<Reply, NoReply> {
        let mut parser = Parser::default();
        loop {
            if let Some(reply) = parser.feed(&mut self.pending)? {
                return if flight.answered() { Ok(reply) } else { Err(NoReply::NotSmtp) };
            }
            let mut chunk = [0; 4096];
            let count = flight.read(channel, &mut chunk, deadline).map_err(|_| NoReply::Lost)?;
            self.pending.extend_from_slice(chunk.get(..count).unwrap_or_default());
        }
    }
}

/// One reply in the making.
#[derive(Debug, Default)]
pub(super) struct Parser {
    lines: Vec<u8>,
    count: usize,
}

impl Parser {
    /// Takes whole lines off `pending` until the reply is complete.
    pub(super) fn feed(&mut self, pending: &mut Vec<u8>) -> Result<Option<Reply>, NoReply> {
        let mut taken = 0;
        let result = loop {
            let rest = pending.get(taken..).unwrap_or_default();
            match memchr(b'\n', rest) {
                Some(end) if end >= LONGEST_LINE => break Err(NoReply::NotSmtp),
                Some(end) => {
                    let line = rest.get(..end).unwrap_or_default();
                    taken = taken.saturating_add(end).saturating_add(1);
                    match self.line(line.strip_suffix(b"\r").unwrap_or(line)) {
                        Ok(None) => {}
                        other => break other,
                    }
                }
                None if rest.len() >= LONGEST_LINE => break Err(NoReply::NotSmtp),
                // What is no reply need not be waited for to its end: an SSH banner, an HTTP server.
                None if !could_start_a_line(rest) => break Err(NoReply::NotSmtp),
                None => break Ok(None),
            }
        };
        pending.drain(..taken);
        result
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, NoReply> {
        let code = match ReplyCode::parse(&self.lines) {
            Some(first) => first,
            None => ReplyCode::parse(line).ok_or(NoReply::NotSmtp)?,
        };
        if !is_line_of(code, line) {
            return Err(NoReply::NotSmtp);
        }
        self.count = self.count.saturating_add(1);
        self.lines.extend_from_slice(line);
        self.lines.push(b'\n');
        if self.count > MOST_LINES || self.lines.len() > MOST_OCTETS {
            return Err(NoReply::NotSmtp);
        }
        if line.get(3) == Some(&b'-') {
            return Ok(None);
        }
        let lines = std::mem::take(&mut self.lines);
        let text = ReplyText::truncated(&lines).map_err(|_| NoReply::NotSmtp)?;
        Ok(Some(Reply { text, lines }))
    }
}

/// Whether a line that has only begun may become a reply line.
fn could_start_a_line(start: &[u8]) -> bool {
    start.iter().take(3).all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;
    use crate::network::channel::Socket;

    /// Parses `octets` as they arrive in pieces of `size`; the reply, and what is left over.
    fn parse(octets: &[u8], size: usize) -> Result<Option<(Reply, Vec<u8>)>, NoReply> {
        let (mut parser, mut pending) = (Parser::default(), Vec::new());
        let mut pieces = octets.chunks(size);
        while let Some(piece) = pieces.next() {
            pending.extend_from_slice(piece);
            if let Some(reply) = parser.feed(&mut pending)? {
                pending.extend(pieces.flatten());
                return Ok(Some((reply, pending)));
            }
        }
        Ok(None)
    }

    #[test]
    fn replies_are_read_however_they_are_cut() {
        let octets = b"250-mx.test\r\n250-SIZE 100\n250 ok\r\n354 go\r\n";
        for size in 1..=octets.len() {
            let (reply, left) = parse(octets, size).unwrap().unwrap();
            assert_eq!(reply.text.as_bytes(), b"250-mx.test\n250-SIZE 100\n250 ok\n");
            assert_eq!(left, b"354 go\r\n");
        }
    }

    #[test]
    fn what_is_not_a_reply_is_refused() {
        for bad in [
            &b"SSH-2.0-x\r\n"[..],
            b"HTTP/1.1 400\r\n",
            b"\r\n",
            b"25 x\r\n",
            b"250x\r\n",
            b"650 x\r\n",
            b"250-a\r\n251 b\r\n",
            b"250-a\r\nb\r\n",
            b"250\ta\r\n",
            b"\x16\x03\x01",
            b"S",
        ] {
            assert_eq!(parse(bad, 1), Err(NoReply::NotSmtp), "{}", bad.escape_ascii());
        }
        assert_eq!(parse(b"25", 1), Ok(None));
    }

    #[test]
    fn lines_and_replies_have_their_limits() {
        let line = |length: usize| [&b"250-"[..], &vec![b'x'; length - 5], b"\n"].concat();
        let within = [line(LONGEST_LINE), b"250 ok\n".to_vec()].concat();
        assert!(parse(&within, 1000).unwrap().is_some());
        let over = [line(LONGEST_LINE + 1), b"250 ok\n".to_vec()].concat();
        assert_eq!(parse(&over, 1000), Err(NoReply::NotSmtp));
        assert_eq!(parse(&vec![b'2'; LONGEST_LINE], 1000), Err(NoReply::NotSmtp), "a line without end");
        assert!(
            parse(&[b"250-\n".repeat(MOST_LINES - 1), b"250 ok\n".to_vec()].concat(), 1000)
                .unwrap()
                .is_some()
        );
        assert_eq!(parse(&b"250-\n".repeat(MOST_LINES + 1), 1000), Err(NoReply::NotSmtp), "too many lines");
        let (lines, last) = (line(512).repeat(127), [b"250 ", &[b'x'; 507][..]].concat());
        assert_eq!(lines.len() + last.len() + 1, MOST_OCTETS);
        let within = [&lines[..], &last, b"\n"].concat();
        assert_eq!(parse(&within, 1000).unwrap().unwrap().0.lines, within);
        let over = [&lines[..], &last, b"x\n"].concat();
        assert_eq!(parse(&over, 1000), Err(NoReply::NotSmtp), "too many octets");
    }

    #[test]
    fn what_arrived_beyond_a_reply_is_seen() {
        let mut replies = Replies { pending: b"220 go\r\n250".to_vec() };
        assert!(Parser::default().feed(&mut replies.pending).unwrap().is_some());
        assert!(!replies.is_empty());
        replies.pending.clear();
        assert!(replies.is_empty());
    }

    /// The codes of what is left over: `pending` has been read, and `arrived` has not.
    fn left_over(pending: &[u8], arrived: &[u8]) -> Result<Vec<u16>, NoReply> {
        let (ours, mut servers) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        servers.write_all(arrived).unwrap();
        let socket = Socket::new(OwnedFd::from(ours).into(), Deadline::after(Duration::ZERO));
        let mut replies = Replies { pending: pending.to_vec() };
        let codes = replies.left_over(&mut Channel::Plain(socket))?;
        assert_eq!(replies.pending, [pending, arrived].concat(), "they stay there");
        Ok(codes.into_iter().map(ReplyCode::value).collect())
    }

    #[test]
    fn what_is_left_over_has_its_codes_or_is_no_replies_or_too_much() {
        assert_eq!(left_over(b"", b""), Ok(vec![]));
        assert_eq!(left_over(b"250 o", b"k\r\n554-no\r\n554 no\r\n421 bye\r\n"), Ok(vec![250, 554, 421]));
        assert_eq!(left_over(b"250 ok\r\n", b""), Ok(vec![250]));
        for torn in [&b"250 ok\r\n25"[..], b"250-ok\r\n", b"SSH-2.0\r\n"] {
            assert_eq!(left_over(b"", torn), Err(NoReply::NotSmtp), "{}", torn.escape_ascii());
        }
        let most = b"250 ok\r\n".repeat(MOST_OCTETS / 8);
        assert_eq!(left_over(b"", &most), Ok(vec![250; MOST_OCTETS / 8]));
        assert_eq!(left_over(b"250 ok\r\n", &most), Err(NoReply::NotSmtp));
    }
}
