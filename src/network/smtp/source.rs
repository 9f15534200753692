//! Reads the message from descriptor 0. Network child.
//!
//! A regular file is read by place, from where the caller left its offset, as often as it is needed; a pipe once.
#![forbid(unsafe_code)]

use nix::errno::Errno;
use nix::sys::uio::pread;

use crate::plan::Plan;

/// read(2) failed, or somebody shortens the file under us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The message, from its first octet on.
#[derive(Debug)]
pub(super) enum Source {
    /// A regular file: the next place, and how many octets are left from there.
    File(i64, u64),
    /// Anything else.
    Pipe,
}

/// What pieces of the message are read into, `most` octets at once: no larger than the message, so that a small one touches
/// little memory.
pub(super) fn piece(plan: &Plan, most: usize) -> Vec<u8> {
    let octets = plan.message_octets.and_then(|octets| usize::try_from(octets).ok());
    vec![0; octets.unwrap_or(most).min(most)]
}

impl Source {
    /// At the start of the message.
    pub(super) fn new(plan: &Plan) -> Source {
        match plan.message_octets {
            // An offset that does not fit is none that the monitor can have seen.
            Some(octets) => Source::File(i64::try_from(plan.message_offset).unwrap_or(i64::MAX), octets),
            None => Source::Pipe,
        }
    }

    /// Reads once into `piece`; 0 is the end.
    pub(super) fn read(&mut self, piece: &mut [u8]) -> Result<usize, Unreadable> {
        loop {
            let result = match &mut *self {
                Source::File(_, 0) => return Ok(0),
                Source::File(place, left) => {
                    let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                    pread(std::io::stdin(), piece.get_mut(..wanted).ok_or(Unreadable)?, *place)
                }
                Source::Pipe => nix::unistd::read(std::io::stdin(), piece),
            };
            match (result, &mut *self) {
                (Err(Errno::EINTR), _) => {}
                (Err(_), _) | (Ok(0), Source::File(..)) => return Err(Unreadable),
                (Ok(count), Source::Pipe) => return Ok(count),
                (Ok(count), Source::File(place, left)) => {
                    *place = place.saturating_add(i64::try_from(count).map_err(|_| Unreadable)?);
                    *left = left.saturating_sub(u64::try_from(count).map_err(|_| Unreadable)?);
                    return Ok(count);
                }
            }
        }
    }
}
