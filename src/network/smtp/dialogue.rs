//! One dialogue with one server, from the greeting to the envelope, and QUIT. Network child.
//!
//! Says what the server answered; what that means for the message is the monitor's to decide. The server's octets
//! are hostile throughout.
#![forbid(unsafe_code)]

use std::net::TcpStream;

use super::auth;
use super::extensions::Extensions;
use super::facts::Examination;
use super::flight::Flight;
use super::replies::{NoReply, Replies, Reply};
use crate::ipc::child_end::ChildEnd;
use crate::ipc::reason::Reason;
use crate::ipc::server_reply::ReplyClass;
use crate::ipc::{Claim, Step, TlsFailure};
use crate::network::channel::{Channel, Deadline, Socket};
use crate::network::probe;
use crate::network::tls::Peer;
use crate::network::tls::client::{self, NoSession, Prepared};
use crate::plan::{Plan, TlsStart};
use crate::tls_policy::{Need, Proof};

/// How a dialogue left the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::network) enum Next {
    /// Nothing of the message is underway: another exchanger may do better.
    Exchanger,
    /// The handshake failed, and the same server may be talked to without one.
    AgainInClear,
    /// There is a verdict.
    Verdict,
}

/// Whether STARTTLS may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::network) enum StartTls {
    /// Where it is offered, and the policy does not forbid it.
    AsThePolicySays,
    /// No: it has failed with this server, and the policy lets the message go in clear.
    No,
}

/// Speaks with `peer` over `stream` and claims what happens.
pub(in crate::network) fn speak(
    plan: &Plan,
    peer: Peer<'_>,
    start_tls: StartTls,
    stream: TcpStream,
    monitor: &mut ChildEnd,
) -> Next {
    let channel = Channel::Plain(Socket::new(stream, Deadline::after(plan.timeouts.remote)));
    let examination = Examination::new(plan);
    Dialogue::new(plan, peer, monitor, channel, None, examination).run(start_tls).unwrap_or_else(|next| next)
}

pub(super) struct Dialogue<'a> {
    pub(super) plan: &'a Plan,
    pub(super) peer: Peer<'a>,
    pub(super) monitor: &'a mut ChildEnd,
    pub(super) channel: Channel,
    /// What TLS has proved; none in clear.
    pub(super) tls: Option<Proof>,
    /// The server has refused STARTTLS for now: what it refuses for want of TLS it may take later.
    pub(super) tls_is_put_off: bool,
    /// What the server offers, by the last answer to EHLO.
    pub(super) extensions: Extensions,
    /// The server knows us: no other is to be tried.
    pub(super) is_authenticated: bool,
    pub(super) flight: Flight,
    pub(super) replies: Replies,
    /// Of a message that can be read twice.
    pub(super) examination: Option<Examination>,
    /// The message may be with the server: trying another one might make two of it.
    pub(super) may_be_sent: bool,
}

impl<'a> Dialogue<'a> {
    /// On a fresh channel: nothing has been said.
    fn new(
        plan: &'a Plan,
        peer: Peer<'a>,
        monitor: &'a mut ChildEnd,
        channel: Channel,
        tls: Option<Proof>,
        examination: Option<Examination>,
    ) -> Dialogue<'a> {
        let (extensions, flight, replies) = (Extensions::default(), Flight::default(), Replies::default());
        let (tls_is_put_off, is_authenticated, may_be_sent) = (false, false, false);
        Dialogue {
            plan,
            peer,
            monitor,
            channel,
            tls,
            tls_is_put_off,
            extensions,
            is_authenticated,
            flight,
            replies,
            examination,
            may_be_sent,
        }
    }

    fn run(mut self, start_tls: StartTls) -> Result<Next, Next> {
        if self.plan.tls_start == TlsStart::Implicit {
            let prepared = client::prepare(&self.peer);
            self = self.start_tls(prepared)?;
        }
        let greeting = self.answer(Step::Greeting)?;
        if greeting.text.code().value() != 220 {
            return Ok(self.quit(Next::Exchanger));
        }
        let mut this = self.hello()?;
        let is_wanted = start_tls == StartTls::AsThePolicySays && this.peer.policy.need != Need::Never;
        if is_wanted && this.tls.is_none() && this.extensions.offer(b"STARTTLS") {
            this.write(b"STARTTLS\r\n", Step::Ehlo)?;
            // While the answer is on its way.
            let prepared = client::prepare(&this.peer);
            // Refused: RFC 7435, in clear is better than not at all, where that is allowed.
            let answer = this.read(Step::Ehlo)?.text;
            if answer.code().value() == 220 {
                this = this.start_tls(prepared)?.hello()?;
            } else {
                this.tls_is_put_off = answer.class() == ReplyClass::Transient;
            }
        }
        if this.tls.is_none() && this.peer.needs_tls() {
            this.monitor.claim(Claim::TlsFailed(TlsFailure::NotOffered));
            return Ok(this.quit(Next::Exchanger));
        }
        if this.peer.is_probed {
            probe::ready(this.monitor);
            return Ok(this.quit(Next::Exchanger));
        }
        auth::authenticate(this)?.transaction()
    }

    /// EHLO, or HELO for a server that does not know it. Only EHLO offers extensions.
    fn hello(mut self) -> Result<Self, Next> {
        for (step, verb) in [(Step::Ehlo, "EHLO"), (Step::Helo, "HELO")] {
            self.write(format!("{verb} {}\r\n", self.plan.helo).as_bytes(), step)?;
            self.examine_meanwhile();
            let reply = self.answer(step)?;
            if reply.text.code().value() == 250 {
                if step == Step::Ehlo {
                    self.extensions = reply.into();
                }
                return Ok(self);
            }
            if reply.text.class() != ReplyClass::Permanent {
                break;
            }
        }
        Err(self.quit(Next::Exchanger))
    }

    /// Looks through the message while an answer is on its way, and no longer.
    fn examine_meanwhile(&mut self) {
        let Some(examination) = &mut self.examination else { return };
        while examination.result().is_none() && !self.channel.has_arrived() {
            examination.advance();
            self.monitor.progress();
        }
    }

    /// The handshake. Forgets everything from before it; anything that came with the reply to STARTTLS was
    /// put there by somebody without the key (CVE-2011-0411 and its kin).
    fn start_tls(self, prepared: Result<Prepared, TlsFailure>) -> Result<Self, Next> {
        let Dialogue { plan, peer, monitor, channel, replies, examination, .. } = self;
        let Channel::Plain(stream) = channel else {
            return Err(Next::Exchanger);
        };
        let stream = stream.until(Deadline::after(plan.timeouts.remote));
        let result = match replies.is_empty() {
            true => client::handshake(prepared, stream, &peer, monitor),
            // Put there by somebody else: an attack, and no failure of TLS.
            false => Err(TlsFailure::Handshake(Reason::new("the server spoke before it")).into()),
        };
        match result {
            Ok((stream, proof)) => {
                monitor.claim(Claim::TlsEstablished(proof));
                Ok(Dialogue::new(plan, peer, monitor, Channel::Tls(stream), Some(proof), examination))
            }
            Err(NoSession { failure, is_protocol_error }) => {
                monitor.claim(Claim::TlsFailed(failure));
                let in_clear =
                    is_protocol_error && plan.tls_start == TlsStart::StartTls && peer.may_go_on_in_clear();
                Err(if in_clear { Next::AgainInClear } else { Next::Exchanger })
            }
        }
    }

    /// Reads an answer and claims it.
    pub(super) fn answer(&mut self, step: Step) -> Result<Reply, Next> {
        let reply = self.read(step)?;
        self.monitor.claim(Claim::Replied(step, reply.text.clone()));
        Ok(reply)
    }

    /// Sends a command. What does not fit the socket goes out while the answer is awaited.
    pub(super) fn write(&mut self, command: &[u8], step: Step) -> Result<(), Next> {
        self.in_step(step)?;
        self.flight.push(command);
        self.depart();
        Ok(())
    }

    /// Sends a line that its owner wipes: past the flight, which would keep a copy of it.
    pub(super) fn write_unkept(&mut self, line: &[u8], step: Step) -> Result<(), Next> {
        self.in_step(step)?;
        let deadline = Deadline::after(self.plan.timeouts.remote);
        self.channel.write_all(line, deadline).map_err(|_| self.failed(NoReply::Lost, step))?;
        self.monitor.progress();
        Ok(())
    }

    /// What has come before a command cannot be its answer: then the dialogue is out of step.
    pub(super) fn in_step(&mut self, step: Step) -> Result<(), Next> {
        if self.replies.is_empty() { Ok(()) } else { Err(self.failed(NoReply::NotSmtp, step)) }
    }

    /// Sends the commands of the flight.
    pub(super) fn depart(&mut self) {
        self.flight.depart(&mut self.channel);
        self.monitor.progress();
    }

    pub(super) fn read(&mut self, step: Step) -> Result<Reply, Next> {
        let deadline = Deadline::after(self.plan.timeouts.remote);
        let reply = self.replies.next(&mut self.flight, &mut self.channel, deadline);
        let reply = reply.map_err(|why| self.failed(why, step))?;
        self.monitor.progress();
        Ok(reply)
    }

    pub(super) fn failed(&mut self, why: NoReply, step: Step) -> Next {
        self.monitor.claim(match why {
            NoReply::Lost => Claim::Lost,
            NoReply::NotSmtp => Claim::NotSmtp,
        });
        match step {
            _ if self.may_be_sent => Next::Verdict,
            // Whoever knows us is the one to deliver to.
            Step::Mail if self.is_authenticated => Next::Verdict,
            Step::Greeting | Step::Ehlo | Step::Helo | Step::Auth(_) | Step::Mail => Next::Exchanger,
            Step::AuthUser | Step::AuthResponse | Step::Rcpt => Next::Verdict,
            Step::Data | Step::Chunk | Step::EndOfData => Next::Verdict,
        }
    }

    /// Says goodbye without waiting for the answer; not in the middle of a command or a chunk, where it would be a
    /// part of that.
    pub(super) fn quit(self, next: Next) -> Next {
        if self.flight.is_sent() {
            self.channel.farewell(b"QUIT\r\n");
        }
        next
    }
}

#[cfg(test)]
mod tests;
