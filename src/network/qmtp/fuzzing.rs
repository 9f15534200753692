//! What the fuzz targets reach of QMTP; see `network/fuzzing.rs`.
#![forbid(unsafe_code)]

use super::answers::Parser;
use crate::ipc::qmtp_answer::QmtpAnswer;

/// The first answer in `octets`, which arrive in pieces of `size`, not 0, and what came after it. None: it has not come to
/// its end. The error: it is none.
pub fn answered(octets: &[u8], size: usize) -> Result<Option<(QmtpAnswer, Vec<u8>)>, ()> {
    let (mut parser, mut left_over) = (Parser::default(), Vec::new());
    let mut pieces = octets.chunks(size);
    while let Some(piece) = pieces.next() {
        left_over.extend_from_slice(piece);
        if let Some(answer) = parser.feed(&mut left_over).map_err(drop)? {
            left_over.extend(pieces.flatten());
            return Ok(Some((answer, left_over)));
        }
    }
    Ok(None)
}
