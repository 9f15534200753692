//! Which message the network child may send when. Monitor only.
//!
//! The child is taken for hostile: nothing is permitted that this table does not name, and what is not
//! permitted ends the child. A `K` can only come about along connection, greeting, MAIL, RCPT, DATA,
//! end of data and final reply, or along connection, package, its end and an answer for every recipient, because no
//! shorter way is in the table.
#![forbid(unsafe_code)]

use crate::ipc::{Claim, Message, MessageFault, Request, Step};

/// How far the delivery has come, by the child's claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The child is entering its sandbox.
    Confining,
    /// Looking the host up; nothing has been tried yet.
    Resolving,
    /// At least one exchanger has been tried, and no connection stands.
    Walking,
    /// Connected; the greeting is awaited.
    Greeting,
    /// Greeted; the answer to EHLO is awaited.
    Hello,
    /// EHLO was refused; the answer to HELO is awaited.
    HelloAgain,
    /// The server knows our name; STARTTLS or MAIL is next.
    Session,
    /// The sender was accepted; recipients are being answered.
    Recipients,
    /// All recipients are answered and one was accepted; the answer to DATA is awaited.
    Data,
    /// The message is being sent.
    Body,
    /// The end of data may have been sent; the final reply is awaited.
    Sent,
    /// Connected for QMTP, which has no greeting: TLS, or the package, is next.
    Packing,
    /// The package is being sent.
    Package,
    /// The end of the package may have been sent; recipients are being answered.
    Answers,
    /// The verdict is known.
    Over,
}

/// One row: a kind of message, and the stages in which it may come.
struct Permit {
    matches: fn(&Message) -> bool,
    stages: &'static [Stage],
}

macro_rules! permit {
    ($pattern:pat, $($stage:ident)|+) => {
        Permit {
            matches: |message| matches!(message, $pattern),
            stages: &[$(Stage::$stage),+],
        }
    };
}

/// The whole table. Each message that moves the stage on is with that spent for its stage.
const PERMITS: &[Permit] = &[
    permit!(Message::Request(Request::Begin), Confining),
    permit!(Message::Claim(Claim::NotConfined(_)), Confining),
    permit!(
        Message::Claim(Claim::Progress),
        Resolving
            | Walking
            | Greeting
            | Hello
            | HelloAgain
            | Session
            | Recipients
            | Data
            | Body
            | Sent
            | Packing
            | Package
            | Answers
    ),
    permit!(Message::Claim(Claim::NotFound(_)), Resolving),
    permit!(Message::Claim(Claim::Unreachable), Resolving | Walking),
    permit!(Message::Claim(Claim::Unanswered(_)), Resolving | Walking),
    permit!(Message::Claim(Claim::Connected(_)), Resolving | Walking),
    permit!(Message::Claim(Claim::TlsaUnknown(_)), Resolving | Walking),
    permit!(Message::Claim(Claim::CannotBind(_) | Claim::NoSocket), Resolving | Walking),
    permit!(Message::Claim(Claim::Exhausted), Walking),
    permit!(Message::Claim(Claim::Observed(_)), Resolving | Walking | Greeting | Session | Packing),
    permit!(Message::Request(Request::TlsPolicy), Greeting | Packing),
    permit!(Message::Request(Request::TrustAnchors(_)), Greeting | Session | Packing),
    permit!(Message::Claim(Claim::Replied(Step::Greeting, _)), Greeting),
    permit!(Message::Claim(Claim::Replied(Step::Ehlo, _)), Hello),
    permit!(Message::Claim(Claim::Replied(Step::Helo, _)), HelloAgain),
    permit!(Message::Claim(Claim::TlsEstablished(_) | Claim::TlsFailed(_)), Greeting | Session | Packing),
    permit!(Message::Claim(Claim::Replied(Step::Mail, _)), Session),
    permit!(Message::Claim(Claim::Replied(Step::Rcpt, _)), Recipients),
    permit!(Message::Claim(Claim::Replied(Step::Data, _)), Data),
    permit!(Message::Claim(Claim::EndOfData), Body | Package),
    permit!(Message::Claim(Claim::MessageFault(MessageFault::Unreadable)), Body | Package),
    permit!(Message::Claim(Claim::MessageFault(MessageFault::PartialLastLine)), Body),
    permit!(Message::Claim(Claim::Replied(Step::EndOfData, _)), Sent),
    permit!(Message::Claim(Claim::Package), Packing),
    permit!(Message::Claim(Claim::Answered(_)), Answers),
    permit!(Message::Claim(Claim::Lost | Claim::NotQmtp), Package | Answers),
    permit!(
        Message::Claim(Claim::Lost | Claim::NotSmtp),
        Greeting | Hello | HelloAgain | Session | Recipients | Data | Body | Sent
    ),
];

/// Whether `message` may come at `stage`.
pub fn permits(stage: Stage, message: &Message) -> bool {
    PERMITS.iter().any(|permit| permit.stages.contains(&stage) && (permit.matches)(message))
}
