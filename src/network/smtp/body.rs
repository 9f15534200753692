//! Sends the message of descriptor 0 after DATA was accepted. Network child.
//!
//! Memory stays the same for any size. The end-of-data mark goes out with the last octets of the message,
//! and is claimed before: from then on the message may have been delivered.
#![forbid(unsafe_code)]

use nix::errno::Errno;

use super::wire::Encoder;
use crate::ipc::child_end::ChildEnd;
use crate::ipc::{Claim, MessageFault};
use crate::network::channel::{Channel, Deadline, Lost};
use crate::plan::Plan;

/// What is read at once.
const PIECE: usize = 32 * 1024;
/// The most that one TLS record holds (RFC 8446 section 5.1): what is written at once is a multiple.
const RECORD: usize = 16 * 1024;

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

/// Sends the message and the end-of-data mark.
pub(super) fn send(plan: &Plan, channel: &mut Channel, monitor: &mut ChildEnd) -> Result<(), Unfinished> {
    let mut encoder = Encoder::new();
    let mut piece = vec![0; PIECE];
    let mut wire = Vec::with_capacity(PIECE.saturating_mul(2));
    let mut octets = 0u64;
    loop {
        let count = read_message(&mut piece)?;
        if count == 0 {
            break;
        }
        monitor.progress();
        octets = octets.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        encoder.encode(piece.get(..count).unwrap_or_default(), &mut wire);
        let records = wire.len().checked_rem(RECORD).map_or(0, |rest| wire.len().saturating_sub(rest));
        if records > 0 {
            channel
                .write_all(wire.get(..records).unwrap_or_default(), Deadline::after(plan.timeouts.remote))?;
            wire.drain(..records);
            monitor.progress();
        }
    }
    if plan.message_octets.is_some_and(|announced| octets < announced) {
        // Somebody is shortening the file under us.
        return Err(Unfinished::Message(MessageFault::Unreadable));
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

fn read_message(piece: &mut [u8]) -> Result<usize, Unfinished> {
    loop {
        match nix::unistd::read(std::io::stdin(), piece) {
            Ok(count) => return Ok(count),
            Err(Errno::EINTR) => {}
            Err(_) => return Err(Unfinished::Message(MessageFault::Unreadable)),
        }
    }
}
