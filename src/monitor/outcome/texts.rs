//! What reports say when there is no server's reply to tell of. Monitor only; pure.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use super::Broken;
use crate::host::HostName;
use crate::ipc::{LookupFailure, MessageFault};
use crate::plan::Protocol;
use crate::report::{MessageReport, Text};

/// The report for `host`, printable, when no server was found.
pub(super) fn not_found(host: &str, failure: LookupFailure) -> MessageReport {
    match failure {
        LookupFailure::Temporary => {
            MessageReport::Temporary(Text::new("Sorry, I couldn't find any host by that name. (#4.1.2)"))
        }
        LookupFailure::NoSuchDomain => MessageReport::Permanent(no_such_host(host)),
        LookupFailure::NoAddress => MessageReport::Permanent(Text::new(
            "Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)",
        )),
        LookupFailure::OnlyOurselves => MessageReport::Permanent(Text::new(
            "Sorry. Although I'm listed as a best-preference MX or A for that host,\n\
             it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)",
        )),
        LookupFailure::AliasTemporary => MessageReport::Temporary(Text::new(format!(
            "CNAME lookup failed temporarily for: {host}. (#4.4.3)"
        ))),
        LookupFailure::NullMx => {
            MessageReport::Permanent(Text::new(format!("Sorry, {host} does not accept mail. (#5.1.10)")))
        }
    }
}

/// The report when the child failed us, and nothing of a message can be anywhere.
pub fn child_failed(how: Broken) -> MessageReport {
    MessageReport::Temporary(Text::new(match how {
        Broken::Died => "The network process ended without a result. (#4.3.0)",
        Broken::Lied => "The network process broke its protocol and was stopped. (#4.3.0)",
        Broken::Silent => "The network process was silent for too long and was stopped. (#4.3.0)",
    }))
}

/// The text for exchangers none of which could be reached.
pub(super) fn no_connection(protocol: Protocol) -> Text {
    Text::new(match protocol {
        Protocol::Smtp => "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)",
        Protocol::Qmtp => "Sorry, I wasn't able to establish an QMTP connection. (#4.4.1)",
    })
}

/// The text for a connection that ended without an answer.
pub(super) fn connection_died(address: IpAddr, possible_duplicate: bool) -> Text {
    let duplicate = if possible_duplicate { "Possible duplicate! " } else { "" };
    Text::new(format!("Connected to {address} but connection died. {duplicate}(#4.4.2)"))
}

/// The report for a server that cannot take an address of this message (RFC 6531 section 3.2, RFC 5248).
pub(super) fn no_smtputf8(address: IpAddr) -> MessageReport {
    MessageReport::Permanent(Text::new(format!(
        "Connected to {address} but it does not offer SMTPUTF8, which an address of this message needs. (#5.6.7)"
    )))
}

/// The text for an exchanger whose TLSA records cannot be looked up.
pub(super) fn tlsa_unknown(name: &HostName) -> Text {
    Text::new(format!("TLSA lookup failed temporarily for: {name}. (#4.4.3)"))
}

/// What is said when the system has no process, pipe or socket to give.
pub const RESOURCES: &str = "System resources temporarily unavailable. (#4.3.0)";

/// The text for a local address that this machine does not have.
pub fn cannot_bind(address: IpAddr) -> Text {
    Text::new(format!("System can't bind to local ip address: {address} (#4.3.0)"))
}

/// The text for a host that does not exist.
pub fn no_such_host(printable_host: &str) -> Text {
    Text::new(format!("Sorry, I couldn't find any host named {printable_host}. (#5.1.2)"))
}

/// The text for a message that cannot be read.
pub(super) fn message_unreadable() -> Text {
    Text::new("Unable to read message. (#4.3.0)")
}

/// The report for a message that cannot be sent as it is.
pub fn message_fault(fault: MessageFault) -> MessageReport {
    match fault {
        MessageFault::Unreadable => MessageReport::Temporary(message_unreadable()),
        MessageFault::PartialLastLine => MessageReport::Permanent(Text::new(
            "SMTP cannot transfer messages with partial final lines. (#5.6.2)",
        )),
    }
}
