//! Sends the message: after DATA was accepted, or as one chunk of BDAT (RFC 3030). Network child.
//!
//! Memory stays the same for any size. What makes the message whole, the end-of-data mark or the chunk's last octet,
//! goes out last and is claimed before: from then on the message may have been delivered.
#![forbid(unsafe_code)]

use super::source::{self, Source, Unreadable};
use super::wire::Encoder;
use crate::ipc::child_end::ChildEnd;
use crate::ipc::{Claim, MessageFault};
use crate::network::channel::{Channel, Deadline, Lost, RECORD};
use crate::plan::Plan;

/// What is read at once.
const PIECE: usize = 32 * 1024;

/// Why the message was not sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// The connection is gone.
    Lost,
    /// The server spoke before the end of data: what it said can be no answer to it.
    Interrupted,
    /// The message is at fault.
    Message(MessageFault),
}

impl From<Lost> for Unfinished {
    fn from(_: Lost) -> Unfinished {
        Unfinished::Lost
    }
}

impl From<Unreadable> for Unfinished {
    fn from(_: Unreadable) -> Unfinished {
        Unfinished::Message(MessageFault::Unreadable)
    }
}

/// How the server is told where the message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By a line of one dot.
    Dots,
    /// By the length of the chunk, announced before it.
    Chunk(u64),
}

/// `BDAT` with the only chunk of a message of so many octets.
pub(super) fn chunk_command(octets: u64) -> Vec<u8> {
    format!("BDAT {octets} LAST\r\n").into_bytes()
}

/// Sends the message to its end.
pub(super) fn send(
    plan: &Plan,
    channel: &mut Channel,
    monitor: &mut ChildEnd,
    framing: Framing,
) -> Result<(), Unfinished> {
    let mut source = Source::new(plan);
    let mut encoder = Encoder::new(framing);
    let mut piece = source::piece(plan, PIECE);
    let mut wire = Vec::with_capacity(piece.len().saturating_mul(2));
    let mut left = None;
    if let Framing::Chunk(octets) = framing {
        wire = chunk_command(octets);
        left = Some(octets);
    }
    loop {
        let count = source.read(&mut piece)?;
        if count == 0 {
            break;
        }
        monitor.progress();
        let before = wire.len();
        encoder.encode(piece.get(..count).unwrap_or_default(), &mut wire);
        let added = u64::try_from(wire.len().saturating_sub(before)).unwrap_or(u64::MAX);
        // Somebody is changing the file under us: no chunk may become whole that is not the message.
        left = left.map(|left| left.checked_sub(added).ok_or(Unreadable)).transpose()?;
        // At least one octet stays until the end has been seen.
        let full = wire.len().saturating_sub(1);
        let records = full.saturating_sub(full.checked_rem(RECORD).unwrap_or(0));
        if records > 0 {
            channel
                .write_all(wire.get(..records).unwrap_or_default(), Deadline::after(plan.timeouts.remote))?;
            wire.drain(..records);
            monitor.progress();
        }
    }
    if left.is_some_and(|left| left > 0) {
        return Err(Unreadable.into());
    }
    encoder.finish(&mut wire).map_err(|_| Unfinished::Message(MessageFault::PartialLastLine))?;
    if channel.has_spoken() {
        return Err(Unfinished::Interrupted);
    }
    monitor.claim(Claim::EndOfData);
    monitor.flush();
    channel.write_all(&wire, Deadline::after(plan.timeouts.remote))?;
    monitor.progress();
    Ok(())
}

/// `BDAT` and the whole message as one chunk, for one of `octets` that fits a flight with its envelope. None when the
/// file holds another message now: what is wrong will be found by its sending.
pub(super) fn whole_chunk(plan: &Plan, octets: u64) -> Option<Vec<u8>> {
    let mut source = Source::new(plan);
    let mut encoder = Encoder::new(Framing::Chunk(octets));
    let mut piece = source::piece(plan, PIECE);
    let mut wire = chunk_command(octets);
    let length = u64::try_from(wire.len()).ok()?.checked_add(octets)?;
    loop {
        let count = source.read(&mut piece).ok()?;
        if count == 0 {
            break;
        }
        encoder.encode(piece.get(..count)?, &mut wire);
    }
    encoder.finish(&mut wire).ok()?;
    (u64::try_from(wire.len()).ok()? == length).then_some(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_announced_as_the_last() {
        assert_eq!(chunk_command(0), b"BDAT 0 LAST\r\n");
        assert_eq!(chunk_command(u64::MAX), b"BDAT 18446744073709551615 LAST\r\n");
    }
}
