//! What the answers of a QMTP server mean. Monitor only; pure.
#![forbid(unsafe_code)]

use super::texts::{connection_died, message_unreadable};
use super::{Broken, Transcript};
use crate::ipc::qmtp_answer::{Decision, QmtpAnswer};
use crate::monitor::permits::Stage;
use crate::plan::TlsStart;
use crate::report::{MessageReport, RecipientReport, Text};

impl Transcript {
    /// The package is about to be sent: nothing of it before TLS is what plan and policy want.
    pub(super) fn package(&mut self) -> Result<(), Broken> {
        if !self.may_pack() {
            return Err(Broken::Lied);
        }
        self.stage = Stage::Package;
        Ok(())
    }

    /// Whether TLS is as plan and policy want it. There is no STARTTLS here.
    pub(super) fn may_pack(&self) -> bool {
        self.tls.is_some() == (self.tls_start == TlsStart::Implicit) && self.allows(self.tls)
    }

    /// One answer; with the last recipient's there is a verdict.
    pub(super) fn answered(&mut self, answer: &QmtpAnswer) -> Result<(), Broken> {
        let protocol = if self.tls.is_some() { "qmtps" } else { "qmtp" };
        let text = Text::of_qmtp(protocol, answer.text());
        self.recipients.push(match answer.decision() {
            Decision::Accepted => RecipientReport::AcceptedSaying(text),
            Decision::Deferred => RecipientReport::Deferred(text),
            Decision::Rejected => RecipientReport::Rejected(text),
        });
        if self.recipients.len() < self.recipients_wanted {
            return Ok(());
        }
        let address = self.address()?;
        let count =
            |is: fn(&RecipientReport) -> bool| self.recipients.iter().filter(|report| is(report)).count();
        let accepted = count(|report| matches!(report, RecipientReport::AcceptedSaying(_)));
        let deferred = count(|report| matches!(report, RecipientReport::Deferred(_)));
        self.over(match (accepted, deferred) {
            (accepted, _) if accepted == self.recipients_wanted => {
                MessageReport::Success(Text::new(format!("All received okay by {address}")))
            }
            (1.., _) => {
                MessageReport::Success(Text::new(format!("Accepted recipients received okay by {address}")))
            }
            (0, 1..) => MessageReport::Temporary(Text::new(format!("Giving up on {address}"))),
            (0, 0) => MessageReport::Permanent(Text::new(format!("Giving up on {address}"))),
        });
        Ok(())
    }

    /// What came was no answer, or came before the end of the package.
    pub(super) fn not_qmtp(&mut self) {
        let text = format!("recipient {} did not talk proper QMTP. (#4.3.0)", self.host);
        self.over(MessageReport::Temporary(Text::new(text)));
    }

    /// The connection ended. No other server may get the message now.
    pub(super) fn lost_package(&mut self) -> Result<(), Broken> {
        let text = connection_died(self.address()?, self.stage == Stage::Answers);
        self.over(MessageReport::Temporary(text));
        Ok(())
    }

    /// The message could not be read to the length that was announced.
    pub(super) fn feed_failed(&mut self) {
        self.feed_failed = true;
        self.over(MessageReport::Temporary(message_unreadable()));
    }
}
