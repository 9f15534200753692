//! The message as it goes over the wire: line ends and dots. Network child.
//!
//! The message is a stranger's. Whatever it holds, a CR that is not followed by LF becomes CRLF on the wire, as every LF
//! does. By DATA dots are stuffed on the result, so that the only CRLF.CRLF is the one that ends it (RFC 5321 sections
//! 2.3.8 and 4.5.2; "SMTP smuggling"). A chunk of BDAT is ended by its length, and its dots stay as they are (RFC 3030).
//! Nothing else is changed: signatures over the body stay valid.
#![forbid(unsafe_code)]

use memchr::memchr2;

use super::body::Framing;

/// Encodes a message piece by piece.
#[derive(Debug)]
pub(super) struct Encoder {
    framing: Framing,
    /// The next octet starts a line.
    line_start: bool,
    /// The last octet was a CR, whose CRLF has been written; a LF that follows belongs to it.
    after_cr: bool,
    /// The last octet of the message so far is a LF, or there is none.
    ended: bool,
}

/// The message's last line is not ended by LF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartialLastLine;

impl Encoder {
    /// At the start of a message.
    pub(super) fn new(framing: Framing) -> Encoder {
        Encoder { framing, line_start: true, after_cr: false, ended: true }
    }

    /// Appends the encoding of `input` to `wire`.
    pub(super) fn encode(&mut self, input: &[u8], wire: &mut Vec<u8>) {
        let Some(&last) = input.last() else {
            return;
        };
        self.ended = last == b'\n';
        let mut rest = input;
        if std::mem::take(&mut self.after_cr) {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while !rest.is_empty() {
            if self.line_start && self.framing == Framing::Dots && rest.first() == Some(&b'.') {
                wire.push(b'.');
            }
            let Some(end) = memchr2(b'\r', b'\n', rest) else {
                wire.extend_from_slice(rest);
                self.line_start = false;
                return;
            };
            let (line, ending) = rest.split_at(end);
            wire.extend_from_slice(line);
            wire.extend_from_slice(b"\r\n");
            self.line_start = true;
            rest = match ending {
                [b'\r', b'\n', after @ ..] => after,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, after @ ..] => after,
                [] => &[],
            };
        }
    }

    /// At the end of the message: the end-of-data mark where dots frame it, unless the last line is partial. A lone CR
    /// does not end a line.
    pub(super) fn finish(self, wire: &mut Vec<u8>) -> Result<(), PartialLastLine> {
        if !self.ended {
            return Err(PartialLastLine);
        }
        if self.framing == Framing::Dots {
            wire.extend_from_slice(b".\r\n");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(message: &[u8], size: usize) -> Result<Vec<u8>, PartialLastLine> {
        encode_in(Framing::Dots, message, size)
    }

    fn encode_in(framing: Framing, message: &[u8], size: usize) -> Result<Vec<u8>, PartialLastLine> {
        let (mut encoder, mut wire) = (Encoder::new(framing), Vec::new());
        for piece in message.chunks(size) {
            encoder.encode(piece, &mut wire);
        }
        encoder.finish(&mut wire)?;
        Ok(wire)
    }

    /// The rule, one octet at a time.
    fn by_the_rule(message: &[u8]) -> Vec<u8> {
        let mut lines = vec![Vec::new()];
        let mut octets = message.iter().copied().peekable();
        while let Some(octet) = octets.next() {
            if octet == b'\r' {
                octets.next_if_eq(&b'\n');
            }
            match octet {
                b'\r' | b'\n' => lines.push(Vec::new()),
                other => lines.last_mut().unwrap().push(other),
            }
        }
        assert_eq!(lines.pop(), Some(Vec::new()));
        let stuffed = lines.into_iter().flat_map(|line| {
            let dot: &[u8] = if line.starts_with(b".") { b"." } else { b"" };
            [dot, &line, b"\r\n"].concat()
        });
        stuffed.chain(*b".\r\n").collect()
    }

    #[test]
    fn the_examples_of_the_contract() {
        for (message, wire) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a\n", b"a\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".\n", b"..\r\n.\r\n"),
            (b"a\r.\rb\n", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\n.\r\nMAIL\n", b"a\r\n..\r\nMAIL\r\n.\r\n"),
            (b"a\r\r\n.b\n", b"a\r\n\r\n..b\r\n.\r\n"),
            (b"\xff\0\n", b"\xff\0\r\n.\r\n"),
        ] {
            for size in 1..=message.len().max(1) {
                assert_eq!(encode(message, size).as_deref(), Ok(wire), "{}", message.escape_ascii());
            }
        }
    }

    #[test]
    fn a_chunk_has_the_same_line_ends_and_neither_more_dots_nor_an_end() {
        for (message, wire) in
            [(&b""[..], &b""[..]), (b".\n", b".\r\n"), (b"a\r.\n..\r\n", b"a\r\n.\r\n..\r\n")]
        {
            for size in 1..=message.len().max(1) {
                let encoded = encode_in(Framing::Chunk(0), message, size);
                assert_eq!(encoded.as_deref(), Ok(wire), "{}", message.escape_ascii());
            }
        }
        assert_eq!(encode_in(Framing::Chunk(0), b"a\nb", 1), Err(PartialLastLine));
    }

    #[test]
    fn a_partial_last_line_is_not_ended_for_the_sender() {
        for message in [&b"a"[..], b"a\nb", b"a\r", b".", b"a\n\r"] {
            for size in 1..=message.len() {
                assert_eq!(encode(message, size), Err(PartialLastLine), "{}", message.escape_ascii());
            }
        }
    }

    #[test]
    fn every_short_message_follows_the_rule_and_ends_once() {
        const OCTETS: [u8; 4] = [b'\r', b'\n', b'.', b'a'];
        for length in 0..=7u32 {
            for number in 0..4usize.pow(length) {
                let mut message: Vec<u8> = (0..length).map(|at| OCTETS[(number >> (2 * at)) % 4]).collect();
                message.push(b'\n');
                for size in [1, 2, 3, 8] {
                    let wire = encode(&message, size).unwrap();
                    assert_eq!(wire, by_the_rule(&message), "{}", message.escape_ascii());
                    let framed = [b"\r\n", wire.as_slice()].concat();
                    let ends: Vec<_> =
                        framed.windows(5).enumerate().filter(|(_, w)| w == b"\r\n.\r\n").collect();
                    assert_eq!(ends.len(), 1, "{}", message.escape_ascii());
                    assert_eq!(ends[0].0 + 5, framed.len());
                }
            }
        }
    }
}
