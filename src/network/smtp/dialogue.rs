//! One dialogue with one server, from the greeting to QUIT. Network child.
//!
//! Says what the server answered; what that means for the message is the monitor's to decide. Each flight
//! is one write. The server's octets are hostile throughout.
#![forbid(unsafe_code)]

use std::net::TcpStream;

use super::body::{self, Unfinished};
use super::replies::{NoReply, Replies, Reply};
use crate::ipc::child_end::ChildEnd;
use crate::ipc::reason::Reason;
use crate::ipc::server_reply::ReplyClass;
use crate::ipc::{Claim, Step, TlsFailure};
use crate::network::channel::{Channel, Deadline, Socket};
use crate::network::probe;
use crate::network::tls::{Peer, client};
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
    let dialogue = Dialogue { plan, peer, monitor, channel, tls: None, replies: Replies::default() };
    dialogue.run(start_tls).unwrap_or_else(|next| next)
}

struct Dialogue<'a> {
    plan: &'a Plan,
    peer: Peer<'a>,
    monitor: &'a mut ChildEnd,
    channel: Channel,
    /// What TLS has proved; none in clear.
    tls: Option<Proof>,
    replies: Replies,
}

impl Dialogue<'_> {
    fn run(mut self, start_tls: StartTls) -> Result<Next, Next> {
        if self.plan.tls_start == TlsStart::Implicit {
            self = self.start_tls()?;
        }
        let greeting = self.answer(Step::Greeting)?;
        if greeting.text.code().value() != 220 {
            return Ok(self.quit(Next::Exchanger));
        }
        let (mut this, is_offered) = self.hello()?;
        let is_wanted = start_tls == StartTls::AsThePolicySays && this.peer.policy.need != Need::Never;
        if is_offered && is_wanted && this.tls.is_none() {
            this.write(b"STARTTLS\r\n", Step::Ehlo)?;
            // Refused: RFC 7435, in clear is better than not at all, where that is allowed.
            if this.read(Step::Ehlo)?.text.code().value() == 220 {
                (this, _) = this.start_tls()?.hello()?;
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
        this.transaction()
    }

    /// EHLO, or HELO for a server that does not know it. Says whether STARTTLS is offered; only EHLO offers.
    fn hello(mut self) -> Result<(Self, bool), Next> {
        for (step, verb) in [(Step::Ehlo, "EHLO"), (Step::Helo, "HELO")] {
            let reply = self.exchange(step, format!("{verb} {}\r\n", self.plan.helo).as_bytes())?;
            if reply.text.code().value() == 250 {
                return Ok((self, step == Step::Ehlo && reply.offers(b"STARTTLS")));
            }
            if reply.text.class() != ReplyClass::Permanent {
                break;
            }
        }
        Err(self.quit(Next::Exchanger))
    }

    /// The handshake. Forgets everything from before it; anything that came with the reply to STARTTLS was
    /// put there by somebody without the key (CVE-2011-0411 and its kin).
    fn start_tls(self) -> Result<Self, Next> {
        let Dialogue { plan, peer, monitor, channel, replies, tls: _ } = self;
        let Channel::Plain(stream) = channel else {
            return Err(Next::Exchanger);
        };
        let stream = stream.until(Deadline::after(plan.timeouts.remote));
        let result = match replies.is_empty() {
            true => client::handshake(stream, &peer, monitor),
            false => Err(TlsFailure::Handshake(Reason::new("the server spoke before it"))),
        };
        match result {
            Ok((stream, proof)) => {
                monitor.claim(Claim::TlsEstablished(proof));
                let channel = Channel::Tls(stream);
                Ok(Dialogue { plan, peer, monitor, channel, tls: Some(proof), replies: Replies::default() })
            }
            Err(failure) => {
                // What was put there by somebody else is an attack, and no reason to go on without TLS.
                let is_protocol = replies.is_empty() && matches!(failure, TlsFailure::Handshake(_));
                monitor.claim(Claim::TlsFailed(failure));
                let in_clear =
                    is_protocol && plan.tls_start == TlsStart::StartTls && peer.may_go_on_in_clear();
                Err(if in_clear { Next::AgainInClear } else { Next::Exchanger })
            }
        }
    }

    fn transaction(mut self) -> Result<Next, Next> {
        // Decided already; asked again, because from here on the server learns something.
        if !self.peer.allows(self.tls) {
            return Ok(self.quit(Next::Exchanger));
        }
        let mail = [b"MAIL FROM:<", self.plan.sender.as_bytes(), b">\r\n"].concat();
        if self.exchange(Step::Mail, &mail)?.text.class() != ReplyClass::Completed {
            return Ok(self.quit(Next::Verdict));
        }
        let mut accepted = false;
        for recipient in &self.plan.recipients {
            let rcpt = [b"RCPT TO:<", recipient.as_bytes(), b">\r\n"].concat();
            accepted |= self.exchange(Step::Rcpt, &rcpt)?.text.class() == ReplyClass::Completed;
        }
        if !accepted || self.exchange(Step::Data, b"DATA\r\n")?.text.code().value() != 354 {
            return Ok(self.quit(Next::Verdict));
        }
        let sent = match self.replies.is_empty() {
            true => body::send(self.plan, &mut self.channel, self.monitor),
            false => Err(Unfinished::Interrupted),
        };
        match sent {
            Ok(()) => {
                self.answer(Step::EndOfData)?;
                // The message is delivered: nothing that comes may make a second delivery of it.
                self.monitor.flush();
                Ok(self.quit(Next::Verdict))
            }
            Err(Unfinished::Lost) => Ok(self.failed(NoReply::Lost, Step::EndOfData)),
            Err(Unfinished::Interrupted) => Ok(self.failed(NoReply::NotSmtp, Step::EndOfData)),
            // No QUIT: within the data it would be text. The connection just ends, unfinished.
            Err(Unfinished::Message(fault)) => {
                self.monitor.claim(Claim::MessageFault(fault));
                Ok(Next::Verdict)
            }
        }
    }

    /// Sends a command and claims its answer.
    fn exchange(&mut self, step: Step, command: &[u8]) -> Result<Reply, Next> {
        self.write(command, step)?;
        self.answer(step)
    }

    /// Reads an answer and claims it.
    fn answer(&mut self, step: Step) -> Result<Reply, Next> {
        let reply = self.read(step)?;
        self.monitor.claim(Claim::Replied(step, reply.text.clone()));
        Ok(reply)
    }

    fn write(&mut self, command: &[u8], step: Step) -> Result<(), Next> {
        // What has come before the command cannot be its answer: the dialogue is out of step.
        if !self.replies.is_empty() {
            return Err(self.failed(NoReply::NotSmtp, step));
        }
        let deadline = Deadline::after(self.plan.timeouts.remote);
        self.channel.write_all(command, deadline).map_err(|_| self.failed(NoReply::Lost, step))?;
        self.monitor.progress();
        Ok(())
    }

    fn read(&mut self, step: Step) -> Result<Reply, Next> {
        let deadline = Deadline::after(self.plan.timeouts.remote);
        let reply = self.replies.next(&mut self.channel, deadline).map_err(|why| self.failed(why, step))?;
        self.monitor.progress();
        Ok(reply)
    }

    fn failed(&mut self, why: NoReply, step: Step) -> Next {
        self.monitor.claim(match why {
            NoReply::Lost => Claim::Lost,
            NoReply::NotSmtp => Claim::NotSmtp,
        });
        match step {
            Step::Greeting | Step::Ehlo | Step::Helo | Step::Mail => Next::Exchanger,
            Step::Rcpt | Step::Data | Step::EndOfData => Next::Verdict,
        }
    }

    /// Says goodbye without waiting for the answer.
    fn quit(self, next: Next) -> Next {
        self.channel.farewell(b"QUIT\r\n");
        next
    }
}
