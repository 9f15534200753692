//! Which message the network child may send when. Monitor only.
//!
//! The child is taken for hostile: nothing is permitted that this table does not name, and what is not
//! permitted ends the child. A `K` can only come about along connection, greeting, MAIL, RCPT, DATA,
//! end of data and final reply, because no shorter way is in the table.
#![forbid(unsafe_code)]

use crate::authentication::Mechanism;
use crate::ipc::{Claim, Message, Request, Step};

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
    /// All recipients are answered and one was accepted; the answer to DATA is awaited.
    Data,
    /// The message is being sent.
    Body,
    /// The end of data may have been sent; the final reply is awaited.
    Sent,
    /// The verdict is known.
    Over,
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
            | Sent
    ),
    permit!(Message::Claim(Claim::NotFound(_)), Resolving),
    permit!(Message::Claim(Claim::Unreachable), Resolving | Walking),
    permit!(Message::Claim(Claim::Connected(_)), Resolving | Walking),
    permit!(Message::Claim(Claim::TlsaUnknown(_)), Resolving | Walking),
    permit!(Message::Claim(Claim::CannotBind(_) | Claim::NoSocket), Resolving | Walking),
    permit!(Message::Claim(Claim::Exhausted), Walking),
    permit!(Message::Claim(Claim::Observed(_)), Resolving | Walking | Greeting | Session),
    permit!(Message::Request(Request::TlsPolicy), Greeting),
    permit!(Message::Request(Request::TrustAnchors(_)), Greeting | Session),
    permit!(Message::Claim(Claim::Replied(Step::Greeting, _)), Greeting),
    permit!(Message::Claim(Claim::Replied(Step::Ehlo, _)), Hello),
    permit!(Message::Claim(Claim::Replied(Step::Helo, _)), HelloAgain),
    permit!(Message::Claim(Claim::TlsEstablished(_) | Claim::TlsFailed(_)), Greeting | Session),
    permit!(Message::Claim(Claim::Replied(Step::Auth(_), _) | Claim::NotAuthenticated), Session),
    permit!(Message::Request(Request::AuthResponse), Challenged),
    permit!(Message::Claim(Claim::Replied(Step::AuthUser, _)), NamingUser),
    permit!(Message::Claim(Claim::Replied(Step::AuthResponse, _)), Responding),
    permit!(Message::Claim(Claim::Replied(Step::Mail, _)), Session | Authenticated),
    permit!(Message::Claim(Claim::Replied(Step::Rcpt, _)), Recipients),
    permit!(Message::Claim(Claim::Replied(Step::Data, _)), Data),
    permit!(Message::Claim(Claim::EndOfData | Claim::MessageFault(_)), Body),
    permit!(Message::Claim(Claim::Replied(Step::EndOfData, _)), Sent),
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
            | Sent
    ),
];

/// Whether `message` may come at `stage`.
pub fn permits(stage: Stage, message: &Message) -> bool {
    PERMITS.iter().any(|permit| (permit.is_permitted)(stage) && (permit.matches)(message))
}
