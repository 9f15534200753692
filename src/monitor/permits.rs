//! Which message the network child may send when. Monitor only.
//!
//! The child is taken for hostile: nothing is permitted that this table does not name, and what is not
//! permitted ends the child. A `K` can only come about along connection, greeting, EHLO, MAIL, RCPT, then DATA and end
//! of data, or end of data alone, and final reply, or along connection, package, its end and an answer for every recipient,
//! because no shorter way is in the table. Where a chunk goes out with the envelope the end of data comes first, and the
//! answers find their own stages.
#![forbid(unsafe_code)]

use crate::authentication::Mechanism;
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
    /// The server knows our name; STARTTLS, AUTH or MAIL is next.
    Session,
    /// AUTH was answered with a challenge; nothing has been opened for it yet.
    Challenged,
    /// User and password of LOGIN were released; the answer to the user name is awaited.
    NamingUser,
    /// What this mechanism needs was released; the answer to its last response is awaited.
    Responding(Mechanism),
    /// The server knows us; MAIL is next.
    Authenticated,
    /// The sender was accepted; recipients are being answered.
    Recipients,
    /// All recipients are answered and one was accepted; the answer to DATA is awaited, or a chunk is being sent.
    Data,
    /// The message is being sent.
    Body,
    /// Envelope and message may have been sent in one flight; the answer to MAIL is awaited.
    AllSent,
    /// The same; the sender was accepted, and recipients are being answered.
    AllSentRecipients,
    /// BDAT was refused as a command, and with it the transaction: MAIL is next, once more and without a chunk.
    Again,
    /// The end of data may have been sent, and a recipient was accepted; the final reply is awaited.
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

impl Stage {
    /// Whether the message may be with the server: then a delivery that fails may have succeeded.
    pub fn message_may_be_there(self) -> bool {
        matches!(self, Stage::AllSent | Stage::AllSentRecipients | Stage::Sent | Stage::Answers)
    }
}

/// One row: a kind of message, and the stages in which it may come.
struct Permit {
    matches: fn(&Message) -> bool,
    is_permitted: fn(Stage) -> bool,
}

macro_rules! permit {
    ($pattern:pat, $($stage:ident)|+) => {
        Permit {
            matches: |message| matches!(message, $pattern),
            is_permitted: |stage| matches!(stage, $(permit!(@ $stage))|+),
        }
    };
    // With whichever mechanism.
    (@ Responding) => { Stage::Responding(_) };
    (@ $stage:ident) => { Stage::$stage };
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
            | NamingUser
            | Responding
            | Authenticated
            | Recipients
            | Data
            | Body
            | AllSent
            | AllSentRecipients
            | Again
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
    permit!(Message::ToBeSigned(_) | Message::Request(Request::Sign(_)), Greeting | Session | Packing),
    permit!(Message::Claim(Claim::Replied(Step::Greeting, _)), Greeting),
    permit!(Message::Claim(Claim::Replied(Step::Ehlo, _)), Hello),
    permit!(Message::Claim(Claim::Replied(Step::Helo, _)), HelloAgain),
    permit!(Message::Claim(Claim::TlsEstablished(_)), Greeting | Session | Packing),
    permit!(Message::Claim(Claim::TlsFailed(_)), Greeting | Session | Authenticated | Packing),
    permit!(Message::Claim(Claim::Replied(Step::Auth(_), _) | Claim::NotAuthenticated(_)), Session),
    permit!(Message::Request(Request::AuthResponse), Challenged),
    permit!(Message::Claim(Claim::Replied(Step::AuthUser, _)), NamingUser),
    permit!(Message::Claim(Claim::Replied(Step::AuthResponse, _)), Responding),
    permit!(Message::Claim(Claim::NoSmtpUtf8), Session | Authenticated),
    permit!(Message::Claim(Claim::Replied(Step::Mail, _)), Session | Authenticated | AllSent | Again),
    permit!(Message::Claim(Claim::Replied(Step::Rcpt, _)), Recipients | AllSentRecipients),
    permit!(Message::Claim(Claim::Replied(Step::Data, _)), Data),
    permit!(Message::Claim(Claim::EndOfData), Session | Authenticated | Data | Body | Package),
    permit!(Message::Claim(Claim::MessageFault(MessageFault::Unreadable)), Data | Body | Package),
    permit!(Message::Claim(Claim::MessageFault(MessageFault::PartialLastLine)), Data | Body),
    permit!(Message::Claim(Claim::Replied(Step::Chunk | Step::EndOfData, _)), Sent),
    permit!(Message::Claim(Claim::Package), Packing),
    permit!(Message::Claim(Claim::Answered(_)), Answers),
    permit!(Message::Claim(Claim::Lost | Claim::NotQmtp), Package | Answers),
    permit!(
        Message::Claim(Claim::Lost | Claim::NotSmtp),
        Greeting
            | Hello
            | HelloAgain
            | Session
            | Challenged
            | NamingUser
            | Responding
            | Authenticated
            | Recipients
            | Data
            | Body
            | AllSent
            | AllSentRecipients
            | Again
            | Sent
    ),
];

/// Whether `message` may come at `stage`.
pub fn permits(stage: Stage, message: &Message) -> bool {
    PERMITS.iter().any(|permit| (permit.is_permitted)(stage) && (permit.matches)(message))
}

#[cfg(test)]
mod tests;
