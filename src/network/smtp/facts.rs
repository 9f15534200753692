//! What must be known of a message before it is announced (RFC 1870, RFC 6152, RFC 6531). Network child.
//!
//! The message is a stranger's. It is read once more for this, in constant memory and at the speed of memory, and
//! while the server's answer to EHLO is waited for.
#![forbid(unsafe_code)]

use memchr::{memchr_iter, memchr2};

use super::source::{self, Source, Unreadable};
use crate::plan::Plan;

/// What is read at once.
const PIECE: usize = 64 * 1024;

/// What a message is, as far as a server is told of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Octets on the wire: every line end is CRLF, dots are not doubled (RFC 1870 section 3).
    pub(super) wire_octets: u64,
    /// There are octets above 127.
    pub(super) is_eight_bit: bool,
    /// There are such in the header.
    pub(super) is_header_eight_bit: bool,
}

/// The facts in the making.
#[derive(Debug)]
pub(super) struct Examination {
    source: Source,
    piece: Vec<u8>,
    counter: Counter,
    result: Option<Result<Facts, Unreadable>>,
}

impl Examination {
    /// Of a regular file; a pipe can only be read once.
    pub(super) fn new(plan: &Plan) -> Option<Examination> {
        plan.message_octets?;
        Some(Examination {
            source: Source::new(plan),
            piece: source::piece(plan, PIECE),
            counter: Counter::default(),
            result: None,
        })
    }

    /// What the message is; none while there is more to read.
    pub(super) fn result(&self) -> Option<Result<Facts, Unreadable>> {
        self.result
    }

    /// Reads on by one piece.
    pub(super) fn advance(&mut self) {
        match self.source.read(&mut self.piece) {
            Ok(0) => self.result = Some(Ok(self.counter.facts)),
            Ok(count) => self.counter.count(self.piece.get(..count).unwrap_or_default()),
            Err(unreadable) => self.result = Some(Err(unreadable)),
        }
    }
}

#[derive(Debug)]
struct Counter {
    facts: Facts,
    /// The last octet was a CR.
    after_cr: bool,
    /// While in the header: nothing is on the present line yet.
    header_line_is_empty: Option<bool>,
}

impl Default for Counter {
    fn default() -> Counter {
        Counter { facts: Facts::default(), after_cr: false, header_line_is_empty: Some(true) }
    }
}

impl Counter {
    fn count(&mut self, piece: &[u8]) {
        if self.header_line_is_empty.is_some() {
            self.header(piece);
        }
        self.facts.is_eight_bit |= !piece.is_ascii();
        // Each LF, each CR, and each CRLF is one line end of two octets.
        let line_feeds = memchr_iter(b'\n', piece).count();
        let returns = memchr_iter(b'\r', piece).count();
        let pairs = if returns == 0 { 0 } else { pairs(piece) };
        let straddling = usize::from(self.after_cr && piece.first() == Some(&b'\n'));
        let added = line_feeds.saturating_add(returns).saturating_add(piece.len());
        let dropped = pairs.saturating_add(straddling).saturating_mul(2);
        // Never below zero: a pair that straddles was counted with its CR before.
        let total = self.facts.wire_octets.saturating_add(u64::try_from(added).unwrap_or(u64::MAX));
        self.facts.wire_octets = total.saturating_sub(u64::try_from(dropped).unwrap_or(u64::MAX));
        self.after_cr = piece.last() == Some(&b'\r');
    }

    /// Looks for octets above 127 up to the first empty line.
    fn header(&mut self, piece: &[u8]) {
        let mut rest = piece;
        if self.after_cr {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(is_empty) = self.header_line_is_empty
            && !rest.is_empty()
        {
            let Some(end) = memchr2(b'\r', b'\n', rest) else {
                self.facts.is_header_eight_bit |= !rest.is_ascii();
                self.header_line_is_empty = Some(false);
                return;
            };
            let (line, ending) = rest.split_at(end);
            self.facts.is_header_eight_bit |= !line.is_ascii();
            self.header_line_is_empty = if is_empty && line.is_empty() { None } else { Some(true) };
            rest = match ending {
                [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
                [] => &[],
            };
        }
    }
}

/// How often CRLF stands in `piece`: at the same speed for any content.
fn pairs(piece: &[u8]) -> usize {
    let next = piece.get(1..).unwrap_or_default();
    piece.iter().zip(next).map(|(&one, &other)| usize::from(one == b'\r' && other == b'\n')).sum()
}

/// What the fuzz targets reach; see `network/fuzzing.rs`.
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing {
    use super::{Counter, Facts};

    /// The facts of a message that is read in pieces of `size`, not 0.
    pub(in super::super) fn measured(message: &[u8], size: usize) -> Facts {
        let mut counter = Counter::default();
        message.chunks(size).for_each(|piece| counter.count(piece));
        counter.facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::smtp::body::Framing;
    use crate::network::smtp::wire::Encoder;

    fn facts(message: &[u8], size: usize) -> Facts {
        let mut counter = Counter::default();
        message.chunks(size).for_each(|piece| counter.count(piece));
        counter.facts
    }

    #[test]
    fn octets_are_those_of_the_wire_without_doubled_dots_and_the_final_one() {
        const OCTETS: [u8; 3] = [b'\r', b'\n', b'a'];
        for length in 0..=8u32 {
            for number in 0..3usize.pow(length) {
                let mut message: Vec<u8> =
                    (0..length).map(|at| OCTETS[(number / 3usize.pow(at)) % 3]).collect();
                message.push(b'\n');
                let (mut encoder, mut wire) = (Encoder::new(Framing::Chunk(0)), Vec::new());
                encoder.encode(&message, &mut wire);
                for size in [1, 2, 3, 16] {
                    let octets = facts(&message, size).wire_octets;
                    assert_eq!(octets, wire.len() as u64, "{} by {size}", message.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn octets_above_127_are_found_where_they_are() {
        for (message, all, header) in [
            (&b"Subject: a\n\nb\n"[..], false, false),
            (b"Subject: a\n\n\xc3\xa9\n", true, false),
            (b"Subject: \xc3\xa9\n\nb\n", true, true),
            (b"Subject: a\r\n\r\n\xc3\xa9\n", true, false),
            (b"Subject: a\r\r\xc3\xa9\n", true, false),
            (b"Subject: a\r\n\xc3\xa9\r\n\r\n", true, true),
            (b"Subject: a\n\r\xc3\xa9\n", true, false),
            (b"\n\xc3\xa9\n", true, false),
            (b"\r\n\xc3\xa9\n", true, false),
            (b"\xc3\xa9", true, true),
            (b"", false, false),
        ] {
            for size in 1..=message.len().max(1) {
                let facts = facts(message, size);
                let seen = (facts.is_eight_bit, facts.is_header_eight_bit);
                assert_eq!(seen, (all, header), "{} by {size}", message.escape_ascii());
            }
        }
    }
}
