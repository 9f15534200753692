//! What the fuzz targets reach of SMTP; see `network/fuzzing.rs`.
#![forbid(unsafe_code)]

use super::auth::offered;
use super::body::Framing;
use super::extensions::Extensions;
use super::facts::fuzzing::measured;
use super::replies::{Parser, Reply};
use super::wire::Encoder;
use crate::authentication::Mechanism;
use crate::ipc::server_reply::ReplyText;

/// A whole reply, and what came after it.
#[derive(Debug)]
pub struct Replied {
    reply: Reply,
    /// What came after it.
    pub left_over: Vec<u8>,
}

impl Replied {
    /// What the monitor is told.
    pub fn text(&self) -> &ReplyText {
        &self.reply.text
    }

    /// Whether it offers this extension.
    pub fn offers(&self, keyword: &[u8]) -> bool {
        Extensions::from(self.reply.clone()).offer(keyword)
    }

    /// The names of the mechanisms of AUTH that it offers.
    pub fn mechanisms(&self) -> Vec<&'static str> {
        let offered = offered(&Extensions::from(self.reply.clone()));
        offered.into_iter().map(Mechanism::name).collect()
    }
}

/// The first reply in `octets`, which arrive in pieces of `size`, not 0. None: it has not come to its end. The error: it is
/// no reply.
pub fn replied(octets: &[u8], size: usize) -> Result<Option<Replied>, ()> {
    let (mut parser, mut left_over) = (Parser::default(), Vec::new());
    let mut pieces = octets.chunks(size);
    while let Some(piece) = pieces.next() {
        left_over.extend_from_slice(piece);
        if let Some(reply) = parser.feed(&mut left_over).map_err(drop)? {
            left_over.extend(pieces.flatten());
            return Ok(Some(Replied { reply, left_over }));
        }
    }
    Ok(None)
}

/// A message on its way to the wire.
#[derive(Debug, PartialEq, Eq)]
pub struct Encoded {
    /// What is sent after DATA, the end-of-data mark included. None: the last line has no end.
    pub after_data: Option<Vec<u8>>,
    /// The one chunk of BDAT; none, too.
    pub chunk: Option<Vec<u8>>,
    /// What SIZE and BDAT announce.
    pub announced: u64,
    /// There are octets above 127.
    pub is_eight_bit: bool,
    /// There are such in the header.
    pub is_header_eight_bit: bool,
}

/// A message, read in pieces of `size`, not 0.
pub fn encoded(message: &[u8], size: usize) -> Encoded {
    let facts = measured(message, size);
    let encode = |framing| {
        let (mut encoder, mut wire) = (Encoder::new(framing), Vec::new());
        for piece in message.chunks(size) {
            encoder.encode(piece, &mut wire);
        }
        encoder.finish(&mut wire).ok().map(|()| wire)
    };
    Encoded {
        after_data: encode(Framing::Dots),
        chunk: encode(Framing::Chunk(facts.wire_octets)),
        announced: facts.wire_octets,
        is_eight_bit: facts.is_eight_bit,
        is_header_eight_bit: facts.is_header_eight_bit,
    }
}
