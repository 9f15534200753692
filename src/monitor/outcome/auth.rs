//! What a server's answers to AUTH mean, and which of its turns opens the credentials. Monitor only; pure.
//!
//! A child may lie about answers. It gets credentials only where the plan has some, by a mechanism that this server and
//! its TLS may be given, and once: from the first challenge on there is no way but to success or to the verdict.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Broken, Task, Transcript};
use crate::authentication::{Authentication, Mechanism};
use crate::ipc::Unused;
use crate::ipc::server_reply::{ReplyClass, ReplyText};
use crate::monitor::permits::Stage;
use crate::report::{MessageReport, Text};

/// What the final report says when the credentials were not used.
const WITHOUT: &str = "no supported AUTH method found, continuing without authentication.";

/// How far authentication has come with the present server.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The mechanism that was tried last.
    tried: Option<Mechanism>,
    /// How its AUTH command was refused.
    refused: Option<Text>,
    /// The challenge that waits for a response.
    challenge: Option<(Mechanism, ReplyText)>,
    /// Nothing is left to be done before MAIL.
    is_settled: bool,
    /// The server knows us.
    is_known: bool,
    /// Why the credentials were not used.
    unused: Option<Unused>,
    /// That they were not is still to be told, once.
    is_without: bool,
}

impl Transcript {
    /// The answer to an AUTH command.
    pub(super) fn auth_answered(&mut self, mechanism: Mechanism, reply: &ReplyText) -> Result<(), Broken> {
        let address = self.address()?;
        let is_next = self.auth.tried.is_none_or(|tried| tried < mechanism);
        let may_be = |auth: Authentication| auth.allows(mechanism, address, self.tls);
        if self.auth.is_settled
            || !is_next
            || !self.authentication.is_some_and(may_be)
            || !self.allows(self.tls)
        {
            return Err(Broken::Lied);
        }
        self.auth.tried = Some(mechanism);
        let refusal = rejected(address, &format!("AUTH {}", mechanism.name()), reply);
        if reply.code().value() == 334 {
            self.auth.challenge = Some((mechanism, reply.clone()));
            self.stage = Stage::Challenged;
        } else if reply.class() == ReplyClass::Permanent {
            self.auth.refused = Some(refusal);
        } else {
            self.over(MessageReport::Temporary(refusal));
        }
        Ok(())
    }

    /// What the child needs for its response. The challenge is spent with that.
    pub(super) fn asked_for_response(&mut self) -> Result<Task, Broken> {
        let address = self.address()?;
        let (mechanism, reply) = self.auth.challenge.take().ok_or(Broken::Lied)?;
        match mechanism {
            Mechanism::CramMd5 => match challenge_in(&reply) {
                Some(challenge) => {
                    self.stage = Stage::Responding(Mechanism::CramMd5);
                    Ok(Task::Digest(challenge))
                }
                None => {
                    let text = format!("Connected to {address} but unable to base64decode challenge.");
                    self.over(MessageReport::Temporary(Text::new(text).remote_host_said(&reply)));
                    Ok(Task::Stop)
                }
            },
            Mechanism::Login => {
                self.stage = Stage::NamingUser;
                Ok(Task::Release)
            }
            Mechanism::Plain => {
                self.stage = Stage::Responding(Mechanism::Plain);
                Ok(Task::Release)
            }
        }
    }

    /// The answer to the user name of LOGIN.
    pub(super) fn user_answered(&mut self, address: IpAddr, reply: &ReplyText) {
        match reply.code().value() {
            334 => self.stage = Stage::Responding(Mechanism::Login),
            _ => self.over(MessageReport::Temporary(rejected(address, "username", reply))),
        }
    }

    /// The answer to the last response.
    pub(super) fn response_answered(&mut self, address: IpAddr, reply: &ReplyText) -> Result<(), Broken> {
        let Stage::Responding(mechanism) = self.stage else { return Err(Broken::Lied) };
        let what = match mechanism {
            Mechanism::CramMd5 => "username+digest",
            Mechanism::Login => "login",
            Mechanism::Plain => "plain",
        };
        if reply.code().value() == 235 {
            (self.auth.is_settled, self.auth.is_known) = (true, true);
            self.stage = Stage::Authenticated;
        } else {
            self.over(MessageReport::Temporary(rejected(address, what, reply)));
        }
        Ok(())
    }

    /// No mechanism is left. The message goes on without, unless the server refused those that it offered.
    pub(super) fn not_authenticated(&mut self, unused: Unused) -> Result<(), Broken> {
        let withholds = |auth: Authentication| unused == Unused::NotOffered || !auth.verified_only;
        if self.auth.is_settled || !self.authentication.is_some_and(withholds) {
            return Err(Broken::Lied);
        }
        match self.auth.refused.take() {
            Some(refusal) => self.over(MessageReport::Temporary(refusal)),
            None => {
                self.auth.unused = Some(unused);
                (self.auth.is_settled, self.auth.is_without) = (true, true);
            }
        }
        Ok(())
    }

    /// Whether a refusal of the sender or of a recipient would be the same with the credentials, had they been used. One by
    /// 530 asks for them (RFC 4954 section 6).
    pub(super) fn is_refused_for_good(&self, reply: &ReplyText) -> bool {
        reply.class() == ReplyClass::Permanent
            && match self.auth.unused {
                None => true,
                Some(Unused::NotOffered) => reply.code().value() != 530,
                Some(Unused::Withheld) => false,
            }
    }

    /// Whether the sender may be told, as far as authentication goes.
    pub(super) fn has_settled_authentication(&self) -> bool {
        self.authentication.is_none() || self.auth.is_settled
    }

    /// Whether the server knows us, and no other is to be tried.
    pub(super) fn is_authenticated(&self) -> bool {
        self.auth.is_known
    }

    /// Says once, in the text of whatever comes of it, that the credentials were not used.
    pub(super) fn with_remark(&mut self, text: Text) -> Text {
        match std::mem::take(&mut self.auth.is_without) {
            true => text.with_second_line(WITHOUT),
            false => text,
        }
    }
}

fn rejected(address: IpAddr, what: &str, reply: &ReplyText) -> Text {
    Text::new(format!("Connected to {address} but authentication was rejected ({what})."))
        .remote_host_said(reply)
}

/// What the one line of a challenge decodes to.
fn challenge_in(reply: &ReplyText) -> Option<Vec<u8>> {
    let line = reply.as_bytes().strip_suffix(b"\n")?;
    STANDARD.decode(line.get(4..).unwrap_or_default().trim_ascii()).ok()
}
