//! The mail transaction: MAIL, RCPT, and the message by DATA or BDAT. Network child.
//!
//! With PIPELINING (RFC 2920) the envelope is one flight, and answers are matched to commands one by one; with CHUNKING
//! (RFC 3030), too, a small message is part of it. The monitor hears of every answer in the same order as without, and
//! before a flight that holds the message it hears that.
#![forbid(unsafe_code)]

use super::body::{self, Framing, Unfinished};
use super::dialogue::{Dialogue, Next};
use super::facts::Facts;
use super::replies::NoReply;
use crate::envelope::Path;
use crate::ipc::server_reply::{ReplyClass, ReplyCode};
use crate::ipc::{Claim, Step, TlsFailure};
use crate::network::channel::Deadline;

/// The most octets of a message that go out before the envelope has been answered: about two of TCP's initial windows
/// (RFC 6928). Beyond, the transfer takes longer than the round trip that is saved, and it is for nothing when all
/// recipients are refused.
const SMALL: u64 = 32 * 1024;

/// How the message follows the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// DATA, and the message once that is answered by 354.
    Data,
    /// BDAT with the whole message, in the flight of the envelope.
    InFlight(Vec<u8>),
    /// BDAT with a chunk of this length, once the recipients are answered.
    Chunk(u64),
}

/// How a transaction ended, and what is left to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// There is a verdict: QUIT.
    Verdict,
    /// There is a verdict, and the server waits for a message that has no recipient: an empty one, and QUIT.
    WantsMessage,
    /// The server does not know BDAT, whatever it offers.
    NoChunks,
    /// The server takes no mail without TLS, which it does not have for now: another one may take it.
    WantsTls,
}

impl Dialogue<'_> {
    /// One transaction, or two: a server that offers CHUNKING and refuses BDAT gets the message by DATA.
    pub(super) fn transaction(mut self) -> Result<Next, Next> {
        // Decided already; asked again, because from here on the server learns something.
        if !self.peer.allows(self.tls) {
            return Ok(self.quit(Next::Exchanger));
        }
        if self.plan.needs_smtputf8() && !self.extensions.offer(b"SMTPUTF8") {
            self.monitor.claim(Claim::NoSmtpUtf8);
            return Ok(self.quit(Next::Verdict));
        }
        let facts = self.facts();
        let mail = self.mail(facts);
        let way = self.way(facts);
        let mut ended = self.carry_out(&mail, &way)?;
        if ended == Ended::NoChunks {
            self.write(b"RSET\r\n", Step::Mail)?;
            if self.read(Step::Mail)?.text.code().value() != 250 {
                return Err(self.failed(NoReply::NotSmtp, Step::Mail));
            }
            ended = self.carry_out(&mail, &Way::Data)?;
        }
        match ended {
            Ended::WantsMessage => {
                self.channel.farewell(b".\r\nQUIT\r\n");
                Ok(Next::Verdict)
            }
            // Whoever knows us is the one to deliver to.
            Ended::WantsTls if !self.is_authenticated => Ok(self.quit(Next::Exchanger)),
            Ended::WantsTls | Ended::Verdict | Ended::NoChunks => Ok(self.quit(Next::Verdict)),
        }
    }

    /// Looks through the rest of the message, if the server offers anything for which it matters. None, too, if it cannot be
    /// read, which its sending will find again.
    fn facts(&mut self) -> Option<Facts> {
        let matters: [&[u8]; 4] = [b"SIZE", b"8BITMIME", b"SMTPUTF8", b"CHUNKING"];
        if !matters.iter().any(|keyword| self.extensions.offer(keyword)) {
            return None;
        }
        let examination = self.examination.as_mut()?;
        loop {
            if let Some(result) = examination.result() {
                return result.ok();
            }
            examination.advance();
            self.monitor.progress();
        }
    }

    /// MAIL, with the parameters that are offered and needed. What is in a pipe nobody knows: it may be anything.
    fn mail(&self, facts: Option<Facts>) -> Vec<u8> {
        let mut mail = [b"MAIL FROM:<", self.plan.sender.as_bytes(), b">"].concat();
        if let Some(facts) = facts
            && self.extensions.offer(b"SIZE")
        {
            mail.extend_from_slice(format!(" SIZE={}", facts.wire_octets).as_bytes());
        }
        if facts.is_none_or(|facts| facts.is_eight_bit) && self.extensions.offer(b"8BITMIME") {
            mail.extend_from_slice(b" BODY=8BITMIME");
        }
        // A header in other letters goes without it, too, as it ever did.
        let is_international =
            facts.is_some_and(|facts| facts.is_header_eight_bit) || self.plan.needs_smtputf8();
        if is_international && self.extensions.offer(b"SMTPUTF8") {
            mail.extend_from_slice(b" SMTPUTF8");
        }
        mail.extend_from_slice(b"\r\n");
        mail
    }

    fn is_pipelined(&self) -> bool {
        self.extensions.offer(b"PIPELINING")
    }

    /// What takes the fewest round trips. A large message after a pipelined envelope takes as many either way. A server that
    /// may refuse MAIL for want of TLS gets no message with it.
    fn way(&self, facts: Option<Facts>) -> Way {
        if self.tls_is_put_off {
            return Way::Data;
        }
        match facts.filter(|_| self.extensions.offer(b"CHUNKING")) {
            Some(facts) if !self.is_pipelined() => Way::Chunk(facts.wire_octets),
            Some(facts) if facts.wire_octets <= SMALL => {
                body::whole_chunk(self.plan, facts.wire_octets).map_or(Way::Data, Way::InFlight)
            }
            Some(_) | None => Way::Data,
        }
    }

    fn carry_out(&mut self, mail: &[u8], way: &Way) -> Result<Ended, Next> {
        let plan = self.plan;
        let is_pipelined = self.is_pipelined();
        self.in_step(Step::Mail)?;
        self.flight.push(mail);
        if is_pipelined {
            plan.recipients.iter().for_each(|recipient| self.flight.push(&rcpt(recipient)));
            self.flight.push(match way {
                Way::InFlight(chunk) => chunk,
                Way::Data | Way::Chunk(_) => b"DATA\r\n",
            });
        }
        if let Way::InFlight(_) = way {
            self.may_be_sent = true;
            self.monitor.claim(Claim::EndOfData);
            self.monitor.flush();
        }
        self.depart();
        let reply = self.read(Step::Mail)?.text;
        // RFC 3207 section 4: "Must issue a STARTTLS command first".
        if reply.code().value() == 530 && self.tls_is_put_off {
            self.monitor.claim(Claim::TlsFailed(TlsFailure::NotOffered));
            return Ok(Ended::WantsTls);
        }
        self.monitor.claim(Claim::Replied(Step::Mail, reply.clone()));
        if reply.class() != ReplyClass::Completed {
            return Ok(Ended::Verdict);
        }
        let mut accepted = false;
        for recipient in &plan.recipients {
            if !is_pipelined {
                self.write(&rcpt(recipient), Step::Rcpt)?;
            }
            accepted |= self.answer(Step::Rcpt)?.text.class() == ReplyClass::Completed;
        }
        if !accepted {
            return Ok(self.none_accepted(is_pipelined && *way == Way::Data));
        }
        match way {
            Way::Data => {
                if !is_pipelined {
                    self.write(b"DATA\r\n", Step::Data)?;
                }
                if self.answer(Step::Data)?.text.code().value() != 354 {
                    return Ok(Ended::Verdict);
                }
                self.body(Framing::Dots)?;
            }
            Way::Chunk(octets) => self.body(Framing::Chunk(*octets))?,
            Way::InFlight(_) => {}
        }
        let reply = self.read(Step::EndOfData)?.text;
        if matches!(way, Way::InFlight(_)) && self.is_in_doubt(reply.code()) {
            return Err(self.failed(NoReply::NotSmtp, Step::EndOfData));
        }
        if *way != Way::Data && refuses_the_command(reply.code()) {
            self.may_be_sent = false;
            self.monitor.claim(Claim::Replied(Step::Chunk, reply));
            return Ok(Ended::NoChunks);
        }
        self.monitor.claim(Claim::Replied(Step::EndOfData, reply));
        // The message is delivered: nothing that comes may make a second delivery of it.
        self.monitor.flush();
        Ok(Ended::Verdict)
    }

    /// Whether the answer to a chunk in flight may be that to something before it: no reply has waited for the message, as 354
    /// does, and of one too many nobody knows which is the message's. What comes later cannot be seen.
    fn is_in_doubt(&mut self, answer: ReplyCode) -> bool {
        match self.replies.left_over(&mut self.channel).as_deref() {
            Ok([]) => false,
            // A server that takes the message for commands refuses its lines, too, until it has enough of them.
            Ok(more) if refuses_the_command(answer) => {
                !more.iter().all(|&reply| refuses_the_command(reply) || reply.value() == 421)
            }
            Ok(_) | Err(_) => true,
        }
    }

    /// The verdict is known. DATA may be under way, and a server that answers it by 354 waits for a message: RFC 2920
    /// section 3.1 has the client send an empty one. What else the server says is not waited for.
    fn none_accepted(&mut self, data_is_underway: bool) -> Ended {
        self.monitor.flush();
        let deadline = Deadline::after(self.plan.timeouts.remote);
        let wants_message = data_is_underway
            && self
                .replies
                .next(&mut self.flight, &mut self.channel, deadline)
                .is_ok_and(|reply| reply.text.code().value() == 354);
        if wants_message { Ended::WantsMessage } else { Ended::Verdict }
    }

    fn body(&mut self, framing: Framing) -> Result<(), Next> {
        let sent = match self.replies.is_empty() {
            true => body::send(self.plan, &mut self.channel, self.monitor, framing),
            false => Err(Unfinished::Interrupted),
        };
        sent.map_err(|unfinished| match unfinished {
            Unfinished::Lost => self.failed(NoReply::Lost, Step::EndOfData),
            Unfinished::Interrupted => self.failed(NoReply::NotSmtp, Step::EndOfData),
            // No QUIT: within the data it would be text. The connection just ends, unfinished.
            Unfinished::Message(fault) => {
                self.monitor.claim(Claim::MessageFault(fault));
                Next::Verdict
            }
        })
    }
}

/// Whether it is the command that is refused, and not the message: RFC 5321 section 4.2.3.
fn refuses_the_command(answer: ReplyCode) -> bool {
    (500..=504).contains(&answer.value())
}

fn rcpt(recipient: &Path) -> Vec<u8> {
    [b"RCPT TO:<", recipient.as_bytes(), b">\r\n"].concat()
}
