//! What the replies of an SMTP server mean, step by step. Monitor only; pure.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use super::texts::connection_died;
use super::{Broken, Transcript, Words, tls_texts};
use crate::ipc::Step;
use crate::ipc::server_reply::{ReplyClass, ReplyText};
use crate::monitor::permits::Stage;
use crate::plan::TlsStart;
use crate::report::{MessageReport, RecipientReport, Text};

impl Transcript {
    pub(super) fn replied(&mut self, step: Step, reply: &ReplyText) -> Result<(), Broken> {
        let address = self.address()?;
        let said = |text: String| Text::new(text).remote_host_said(reply);
        let code = reply.code().value();
        match step {
            // Where TLS starts with the connection, it comes before the greeting, and nowhere else does it.
            Step::Greeting if self.tls.is_some() != (self.tls_start == TlsStart::Implicit) => {
                return Err(Broken::Lied);
            }
            Step::Greeting if code == 220 => self.stage = Stage::Hello,
            Step::Greeting => {
                self.walk_on(said(format!("Connected to {address} but greeting failed.")), words(reply))?;
            }
            Step::Ehlo | Step::Helo if code == 250 => self.stage = Stage::Session,
            Step::Ehlo if is_permanent(reply) => self.stage = Stage::HelloAgain,
            Step::Ehlo | Step::Helo => {
                self.walk_on(
                    said(format!("Connected to {address} but my name was rejected.")),
                    words(reply),
                )?;
            }
            Step::Auth(mechanism) => self.auth_answered(mechanism, reply)?,
            Step::AuthUser => self.user_answered(address, reply),
            Step::AuthResponse => self.response_answered(address, reply)?,
            Step::Mail if !self.may_be_told() => return Err(Broken::Lied),
            Step::Mail if reply.class() == ReplyClass::Completed => {
                self.stage = match self.stage.message_may_be_there() {
                    true => Stage::AllSentRecipients,
                    false => Stage::Recipients,
                };
            }
            Step::Mail => self.refused(
                self.is_refused_for_good(reply),
                said(format!("Connected to {address} but sender was rejected.")),
            ),
            Step::Rcpt => self.recipient(address, reply),
            Step::Data if code == 354 => self.stage = Stage::Body,
            Step::Data => {
                self.refused(is_permanent(reply), said(format!("{address} failed on DATA command.")))
            }
            Step::Chunk if (500..=504).contains(&code) => {
                self.recipients.clear();
                self.stage = Stage::Again;
            }
            Step::Chunk => return Err(Broken::Lied),
            Step::EndOfData if reply.class() == ReplyClass::Completed => {
                let how = tls_texts::accepted(self.tls);
                self.over(MessageReport::Success(said(format!("{address} {how}."))));
            }
            Step::EndOfData => {
                self.refused(is_permanent(reply), said(format!("{address} failed after I sent the message.")))
            }
        }
        Ok(())
    }

    fn recipient(&mut self, address: IpAddr, reply: &ReplyText) {
        let dislike = || Text::new(format!("{address} does not like recipient.")).remote_host_said(reply);
        self.recipients.push(match reply.class() {
            ReplyClass::Completed => RecipientReport::Accepted,
            ReplyClass::Permanent if self.is_refused_for_good(reply) => RecipientReport::Rejected(dislike()),
            ReplyClass::Permanent | ReplyClass::Intermediate | ReplyClass::Transient => {
                RecipientReport::Deferred(dislike())
            }
        });
        if self.recipients.len() < self.recipients_wanted {
            return;
        }
        if self.recipients.contains(&RecipientReport::Accepted) {
            self.stage = match self.stage.message_may_be_there() {
                true => Stage::Sent,
                false => Stage::Data,
            };
            return;
        }
        let text = Text::new(format!("Giving up on {address}.")).remote_host_said(reply);
        let all_rejected =
            self.recipients.iter().all(|report| matches!(report, RecipientReport::Rejected(_)));
        self.over(if all_rejected { MessageReport::Permanent(text) } else { MessageReport::Temporary(text) });
    }

    /// The message may be with the server from now on: after the envelope, or with it.
    pub(super) fn end_of_data(&mut self) -> Result<(), Broken> {
        if !self.may_be_told() {
            return Err(Broken::Lied);
        }
        let is_in_flight = matches!(self.stage, Stage::Session | Stage::Authenticated);
        self.stage = if is_in_flight { Stage::AllSent } else { Stage::Sent };
        Ok(())
    }

    /// Whether the server may be told of the message: nobody was to be before TLS was what the policy wants, and AUTH had
    /// its turn.
    fn may_be_told(&self) -> bool {
        self.allows(self.tls) && self.has_settled_authentication()
    }

    pub(super) fn lost(&mut self) -> Result<(), Broken> {
        let address = self.address()?;
        match self.stage {
            // Nothing of the message is underway: another exchanger may do better.
            Stage::Greeting | Stage::Hello | Stage::HelloAgain | Stage::Session => {
                self.walk_on(connection_died(address, false), Words::None)?;
            }
            Stage::AllSent | Stage::AllSentRecipients | Stage::Sent => {
                self.over(MessageReport::Temporary(connection_died(address, true)));
            }
            Stage::Again if !self.is_authenticated() => {
                self.walk_on(connection_died(address, false), Words::None)?;
            }
            // No second server gets what one may have got; and who knows us may have begun to work.
            Stage::Challenged
            | Stage::NamingUser
            | Stage::Responding(_)
            | Stage::Authenticated
            | Stage::Again
            | Stage::Recipients
            | Stage::Data
            | Stage::Body => {
                self.over(MessageReport::Temporary(connection_died(address, false)));
            }
            Stage::Confining
            | Stage::Resolving
            | Stage::Walking
            | Stage::Packing
            | Stage::Package
            | Stage::Answers
            | Stage::Over => return Err(Broken::Lied),
        }
        Ok(())
    }

    /// A refusal that no other exchanger would change: one for good bounces, any other is tried again.
    fn refused(&mut self, is_for_good: bool, text: Text) {
        self.over(if is_for_good { MessageReport::Permanent(text) } else { MessageReport::Temporary(text) });
    }
}

fn words(reply: &ReplyText) -> Words {
    if is_permanent(reply) { Words::ForGood } else { Words::ForNow }
}

fn is_permanent(reply: &ReplyText) -> bool {
    reply.class() == ReplyClass::Permanent
}
