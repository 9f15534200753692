//! What stops a delivery before the network child exists, and what the report then says. Monitor only.
//!
//! One `match` from reason to letter and text: a new reason must be given its letter here. In doubt Z.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use nix::errno::Errno;

use super::client_key::Unusable;
use super::control::{ControlError, HOME};
use super::outcome::texts::{RESOURCES, cannot_bind, message_fault, no_such_host};
use super::outcome::tls_texts::{no_trust_anchors, unusable};
use super::trust_store::NoTrustAnchors;
use crate::args::BadArguments;
use crate::envelope::BadAddress;
use crate::ipc::MessageFault;
use crate::report::{MessageReport, Text, printable};
use crate::startup::CannotStart;

/// The account that the child becomes when the program is started as root.
pub const ACCOUNT: &str = "qmailr";

/// Why nothing was tried.
#[derive(Debug)]
pub enum Refusal {
    /// Process hygiene failed.
    CannotStart,
    /// The arguments cannot be used.
    Arguments(BadArguments),
    /// The message cannot be read or sent.
    Message(MessageFault),
    /// QMTP announces the length of the message, and nobody knows it.
    MessageNotInFile,
    /// A control file, or the resolver's configuration.
    Control(ControlError),
    /// A confinement that could not be prepared or entered.
    Sandbox(sandbox::Error),
    /// The interface of a local address does not exist.
    CannotBind(IpAddr),
    /// Trust anchors that the plan needs.
    TrustAnchors(NoTrustAnchors),
    /// A client certificate or key that the plan needs.
    ClientCertificate(Unusable),
    /// A pipe or process could not be had.
    Resources,
}

impl From<NoTrustAnchors> for Refusal {
    fn from(error: NoTrustAnchors) -> Refusal {
        Refusal::TrustAnchors(error)
    }
}

impl From<Unusable> for Refusal {
    fn from(what: Unusable) -> Refusal {
        Refusal::ClientCertificate(what)
    }
}

impl From<CannotStart> for Refusal {
    fn from(_: CannotStart) -> Refusal {
        Refusal::CannotStart
    }
}

impl From<BadArguments> for Refusal {
    fn from(error: BadArguments) -> Refusal {
        Refusal::Arguments(error)
    }
}

impl From<MessageFault> for Refusal {
    fn from(fault: MessageFault) -> Refusal {
        Refusal::Message(fault)
    }
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Refusal {
        Refusal::Control(error)
    }
}

impl From<sandbox::Error> for Refusal {
    fn from(error: sandbox::Error) -> Refusal {
        Refusal::Sandbox(error)
    }
}

impl From<Errno> for Refusal {
    fn from(_: Errno) -> Refusal {
        Refusal::Resources
    }
}

impl Refusal {
    /// The one report of a delivery that was not tried.
    pub fn report(&self) -> MessageReport {
        let temporary = |text: String| MessageReport::Temporary(Text::new(text));
        match self {
            Refusal::CannotStart | Refusal::Resources => temporary(RESOURCES.into()),
            Refusal::Arguments(BadArguments::TooFew) => {
                MessageReport::Permanent(Text::new("I (qmail-remote) was invoked improperly. (#5.3.5)"))
            }
            Refusal::Arguments(BadArguments::Host(host)) => {
                MessageReport::Permanent(no_such_host(&printable(host)))
            }
            Refusal::Arguments(BadArguments::Sender(problem)) => bad_address("sender", "#5.1.7", *problem),
            Refusal::Arguments(BadArguments::Recipient(problem)) => {
                bad_address("recipient", "#5.1.3", *problem)
            }
            Refusal::Message(fault) => message_fault(*fault),
            Refusal::MessageNotInFile => {
                temporary("QMTP can only send a message from a regular file. (#4.3.0)".into())
            }
            Refusal::Control(ControlError::Home) => {
                temporary("Unable to switch to home directory. (#4.3.0)".into())
            }
            Refusal::Control(ControlError::Unreadable) => {
                temporary("Unable to read control files. (#4.3.0)".into())
            }
            Refusal::Control(ControlError::BadLine { file, line, problem }) => {
                temporary(format!("Unable to use {}: {problem}. (#4.3.0)", place(file, *line)))
            }
            Refusal::Control(ControlError::BadAddress) => {
                temporary("Invalid ipaddr in control/domainips (#4.3.0)".into())
            }
            Refusal::CannotBind(address) => MessageReport::Temporary(cannot_bind(*address)),
            Refusal::TrustAnchors(NoTrustAnchors(anchors)) => {
                MessageReport::Temporary(no_trust_anchors(anchors))
            }
            Refusal::ClientCertificate(what) => MessageReport::Temporary(unusable(what)),
            Refusal::Sandbox(error) => {
                temporary(format!("Unable to confine qmail-remote: {error}. (#4.3.0)"))
            }
        }
    }
}

/// A line of a control file; 0 stands for the file's indexed form.
fn place(file: &str, line: u64) -> String {
    match line {
        0 => format!("{HOME}/control/{file}.cdb"),
        line => format!("{HOME}/control/{file}, line {line}"),
    }
}

fn bad_address(which: &str, code: &str, problem: BadAddress) -> MessageReport {
    let problem = match problem {
        BadAddress::Empty => "it is empty",
        BadAddress::TooLong => "it is too long",
        BadAddress::Unsafe => "it has a character that no address may have",
        BadAddress::NotUtf8 => "it is not in UTF-8",
        BadAddress::BadDomain => "its domain is none that the DNS could have",
    };
    MessageReport::Permanent(Text::new(format!(
        "I cannot send the {which} address by SMTP: {problem}. ({code})"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(refusal: impl Into<Refusal>) -> String {
        let bytes = crate::report::Reports::from(refusal.into().report()).encode();
        String::from_utf8(bytes).unwrap().replace(HOME, "HOME")
    }

    #[test]
    fn every_reason_has_its_letter_and_text() {
        let unsafe_sender = BadArguments::Sender(BadAddress::Unsafe);
        let bad_line = ControlError::BadLine { file: "smtproutes", line: 7, problem: "the line is too long" };
        for (refusal, text) in [
            (Refusal::CannotStart, "ZSystem resources temporarily unavailable. (#4.3.0)\n\0"),
            (Refusal::Resources, "ZSystem resources temporarily unavailable. (#4.3.0)\n\0"),
            (BadArguments::TooFew.into(), "DI (qmail-remote) was invoked improperly. (#5.3.5)\n\0"),
            (
                BadArguments::Host(b"a\nb".to_vec()).into(),
                "DSorry, I couldn't find any host named a?b. (#5.1.2)\n\0",
            ),
            (
                unsafe_sender.into(),
                "DI cannot send the sender address by SMTP: it has a character that no address may have. (#5.1.7)\n\0",
            ),
            (
                BadArguments::Sender(BadAddress::TooLong).into(),
                "DI cannot send the sender address by SMTP: it is too long. (#5.1.7)\n\0",
            ),
            (
                BadArguments::Recipient(BadAddress::Empty).into(),
                "DI cannot send the recipient address by SMTP: it is empty. (#5.1.3)\n\0",
            ),
            (
                BadArguments::Recipient(BadAddress::NotUtf8).into(),
                "DI cannot send the recipient address by SMTP: it is not in UTF-8. (#5.1.3)\n\0",
            ),
            (
                BadArguments::Sender(BadAddress::BadDomain).into(),
                "DI cannot send the sender address by SMTP: its domain is none that the DNS could have. (#5.1.7)\n\0",
            ),
            (MessageFault::Unreadable.into(), "ZUnable to read message. (#4.3.0)\n\0"),
            (
                MessageFault::PartialLastLine.into(),
                "DSMTP cannot transfer messages with partial final lines. (#5.6.2)\n\0",
            ),
            (Refusal::MessageNotInFile, "ZQMTP can only send a message from a regular file. (#4.3.0)\n\0"),
            (ControlError::Home.into(), "ZUnable to switch to home directory. (#4.3.0)\n\0"),
            (ControlError::Unreadable.into(), "ZUnable to read control files. (#4.3.0)\n\0"),
            (
                bad_line.into(),
                "ZUnable to use HOME/control/smtproutes, line 7: the line is too long. (#4.3.0)\n\0",
            ),
            (
                ControlError::BadLine { file: "authsenders", line: 0, problem: "the line is too long" }
                    .into(),
                "ZUnable to use HOME/control/authsenders.cdb: the line is too long. (#4.3.0)\n\0",
            ),
            (
                Unusable::Certificate("/c\n\u{e9}.pem".into()).into(),
                "ZCan't load X.509 certificate: /c???.pem. (#4.4.1)\n\0",
            ),
            (Unusable::Key("/k.pem".into()).into(), "ZCan't load X.509 private key: /k.pem. (#4.4.1)\n\0"),
            (
                Unusable::Mismatch("/c.pem".into()).into(),
                "ZKeyfile does not match X.509 certificate: /c.pem. (#4.4.1)\n\0",
            ),
            (ControlError::BadAddress.into(), "ZInvalid ipaddr in control/domainips (#4.3.0)\n\0"),
            (
                Refusal::CannotBind("fe80::1".parse().unwrap()),
                "ZSystem can't bind to local ip address: fe80::1 (#4.3.0)\n\0",
            ),
            (
                sandbox::Error::NoSuchAccount { name: ACCOUNT.into() }.into(),
                "ZUnable to confine qmail-remote: there is no account \"qmailr\": create it, or do not start this \
                 program as root. (#4.3.0)\n\0",
            ),
        ] {
            assert_eq!(printed(refusal), text);
        }
    }
}
