//! QMTP: one package to one server, and its answers. Network child.
//!
//! The package is three netstrings: a line feed and the message as it is, the sender, and the recipients' netstrings. It
//! announces its length, so that the message comes from a file, and memory stays the same for any size. The server's
//! octets are hostile throughout: lengths are checked before anything is kept, and no text beyond its limit is.
#![forbid(unsafe_code)]

mod answers;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;

use std::net::TcpStream;

use nix::errno::Errno;

use answers::{NotQmtp, Parser};

use super::channel::{Channel, Deadline, Lost, Socket};
use super::probe;
use super::smtp::dialogue::Next;
use super::tls::Peer;
use super::tls::client::{self, NoSession};
use crate::ipc::child_end::ChildEnd;
use crate::ipc::qmtp_answer::QmtpAnswer;
use crate::ipc::{Claim, MessageFault, TlsFailure};
use crate::plan::{Plan, TlsStart};

/// What begins a message whose lines end in LF alone, as the files of the queue are (QMTP, section 4).
const UNIX_LINES: &[u8] = b"\n";
/// What is read of the message, and written of the package, at once: full TLS records.
const PIECE: usize = 32 * 1024;

/// Why there is no verdict of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    /// The connection is gone.
    Lost,
    /// The server does not speak QMTP, or not when it should.
    NotQmtp,
    /// The message cannot be read to its announced end.
    Feed,
}

impl From<NotQmtp> for Failed {
    fn from(_: NotQmtp) -> Failed {
        Failed::NotQmtp
    }
}

impl From<Lost> for Failed {
    fn from(_: Lost) -> Failed {
        Failed::Lost
    }
}

/// Sends the package to `peer` over `stream` and claims what happens.
pub(super) fn speak(plan: &Plan, peer: Peer<'_>, stream: TcpStream, monitor: &mut ChildEnd) -> Next {
    let socket = Socket::new(stream, Deadline::after(plan.timeouts.remote));
    let (channel, tls) = match plan.tls_start {
        TlsStart::StartTls => (Channel::Plain(socket), None),
        TlsStart::Implicit => match client::handshake(client::prepare(&peer), socket, &peer, monitor) {
            Ok((stream, proof)) => {
                monitor.claim(Claim::TlsEstablished(proof));
                (Channel::Tls(stream), Some(proof))
            }
            Err(NoSession { failure, .. }) => {
                monitor.claim(Claim::TlsFailed(failure));
                return Next::Exchanger;
            }
        },
    };
    // There is no STARTTLS: where TLS is demanded of a connection in clear, nothing is said on it.
    if !peer.allows(tls) {
        monitor.claim(Claim::TlsFailed(TlsFailure::NotOffered));
        return Next::Exchanger;
    }
    if peer.is_probed {
        probe::ready(monitor);
        return Next::Exchanger;
    }
    monitor.claim(Claim::Package);
    let mut delivery = Delivery { plan, monitor, channel, received: Vec::new() };
    if let Err(failed) = delivery.send().and_then(|()| delivery.answers()) {
        delivery.monitor.claim(match failed {
            Failed::Lost => Claim::Lost,
            Failed::NotQmtp => Claim::NotQmtp,
            Failed::Feed => Claim::MessageFault(MessageFault::Unreadable),
        });
    }
    // What the server took responsibility for must be known before anything else can happen.
    delivery.monitor.flush();
    delivery.channel.farewell(b"");
    Next::Verdict
}

struct Delivery<'a> {
    plan: &'a Plan,
    monitor: &'a mut ChildEnd,
    channel: Channel,
    /// What has come and is not yet taken.
    received: Vec<u8>,
}

impl Delivery<'_> {
    /// Sends the package. Its end goes out by itself, after the claim that it does.
    fn send(&mut self) -> Result<(), Failed> {
        let announced = self.plan.message_octets.ok_or(Failed::Feed)?;
        let length = announced.checked_add(1).ok_or(Failed::Feed)?;
        let mut wire = [length.to_string().as_bytes(), b":", UNIX_LINES].concat();
        let mut left = announced;
        while left > 0 {
            let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let before = wire.len();
            wire.resize(before.saturating_add(most), 0);
            let count = read_message(wire.get_mut(before..).unwrap_or_default())?;
            wire.truncate(before.saturating_add(count));
            left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
            if wire.len() >= PIECE {
                let rest = wire.split_off(PIECE);
                self.write(&wire)?;
                wire = rest;
            }
        }
        wire.push(b',');
        put_netstring(&self.plan.sender.unquoted(), &mut wire);
        let mut recipients = Vec::new();
        for recipient in &self.plan.recipients {
            put_netstring(&recipient.unquoted(), &mut recipients);
        }
        put_netstring(&recipients, &mut wire);
        let end = wire.split_off(wire.len().saturating_sub(1));
        self.write(&wire)?;
        // A server must not speak before it has the last octet: it cannot be an answer.
        if self.channel.has_spoken() {
            return Err(Failed::NotQmtp);
        }
        self.monitor.claim(Claim::EndOfData);
        self.monitor.flush();
        self.write(&end)
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), Failed> {
        for piece in octets.chunks(PIECE) {
            self.channel.write_all(piece, Deadline::after(self.plan.timeouts.remote))?;
            self.monitor.progress();
        }
        Ok(())
    }

    /// Reads an answer for each recipient, each with its own deadline. What comes after the last one changes nothing.
    fn answers(&mut self) -> Result<(), Failed> {
        for _ in &self.plan.recipients {
            let deadline = Deadline::after(self.plan.timeouts.remote);
            let answer = self.answer(deadline)?;
            self.monitor.claim(Claim::Answered(answer));
        }
        Ok(())
    }

    fn answer(&mut self, deadline: Deadline) -> Result<QmtpAnswer, Failed> {
        let mut parser = Parser::default();
        loop {
            if let Some(answer) = parser.feed(&mut self.received)? {
                return Ok(answer);
            }
            self.receive(deadline)?;
        }
    }

    fn receive(&mut self, deadline: Deadline) -> Result<(), Failed> {
        let mut chunk = [0; 4096];
        let count = self.channel.read(&mut chunk, deadline)?;
        self.received.extend_from_slice(chunk.get(..count).unwrap_or_default());
        self.monitor.progress();
        Ok(())
    }
}

fn put_netstring(octets: &[u8], wire: &mut Vec<u8>) {
    wire.extend_from_slice(octets.len().to_string().as_bytes());
    wire.push(b':');
    wire.extend_from_slice(octets);
    wire.push(b',');
}

/// Reads some of the message; its end, before all is read that was announced, is a failure.
fn read_message(piece: &mut [u8]) -> Result<usize, Failed> {
    loop {
        match nix::unistd::read(std::io::stdin(), piece) {
            Ok(0) => return Err(Failed::Feed),
            Ok(count) => return Ok(count),
            Err(Errno::EINTR) => {}
            Err(_) => return Err(Failed::Feed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netstrings_have_their_length_in_front() {
        let mut wire = Vec::new();
        for octets in [&b""[..], b"a,b:c", &[0xff; 12]] {
            put_netstring(octets, &mut wire);
        }
        assert_eq!(wire, [&b"0:,5:a,b:c,12:"[..], &[0xff; 12], b","].concat());
    }
}
