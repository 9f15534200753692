//! The table read by its columns: what may come in each stage, and nothing else.

use super::Stage::*;
use super::*;
use crate::host::HostName;
use crate::ipc::observation::Observation;
use crate::ipc::qmtp_answer::QmtpAnswer;
use crate::ipc::server_reply::ReplyText;
use crate::ipc::signature::{Hash, Piece, Scheme};
use crate::ipc::{AnchorQuery, ConfinementStep, Family, LookupFailure, Server, TlsFailure, Unused};
use crate::tls_policy::Proof;

/// Each kind of message once, but for those that have two rows, and what the columns call it.
fn messages() -> Vec<(&'static str, Message)> {
    let name = || HostName::parse(b"mx.example.test").unwrap();
    let address = [192, 0, 2, 1].into();
    let claims = [
        ("not-confined", Claim::NotConfined(ConfinementStep(1))),
        ("progress", Claim::Progress),
        ("not-found", Claim::NotFound(LookupFailure::Temporary)),
        ("unreachable", Claim::Unreachable),
        ("unanswered", Claim::Unanswered(address)),
        ("cannot-bind", Claim::CannotBind(Family::V4)),
        ("no-socket", Claim::NoSocket),
        ("connected", Claim::Connected(Server { name: None, address })),
        ("not-smtp", Claim::NotSmtp),
        ("lost", Claim::Lost),
        ("tlsa-unknown", Claim::TlsaUnknown(name())),
        ("tls", Claim::TlsEstablished(Proof::NOTHING)),
        ("no-tls", Claim::TlsFailed(TlsFailure::NotOffered)),
        ("no-smtputf8", Claim::NoSmtpUtf8),
        ("not-authenticated", Claim::NotAuthenticated(Unused::NotOffered)),
        ("package", Claim::Package),
        ("end", Claim::EndOfData),
        ("answered", Claim::Answered(QmtpAnswer::try_from(b"Kok".to_vec()).unwrap())),
        ("not-qmtp", Claim::NotQmtp),
        ("unreadable", Claim::MessageFault(MessageFault::Unreadable)),
        ("partial-line", Claim::MessageFault(MessageFault::PartialLastLine)),
        ("exhausted", Claim::Exhausted),
        ("observed", Claim::Observed(Box::new(Observation::Ready))),
    ];
    let steps = [
        ("GREETING", Step::Greeting),
        ("EHLO", Step::Ehlo),
        ("HELO", Step::Helo),
        ("AUTH", Step::Auth(Mechanism::Plain)),
        ("AUTH-USER", Step::AuthUser),
        ("AUTH-RESPONSE", Step::AuthResponse),
        ("MAIL", Step::Mail),
        ("RCPT", Step::Rcpt),
        ("DATA", Step::Data),
        ("BDAT", Step::Chunk),
        ("MESSAGE", Step::EndOfData),
    ];
    let reply = || ReplyText::try_from(b"250 ok\n".to_vec()).unwrap();
    let requests = [
        ("begin?", Request::Begin),
        ("policy?", Request::TlsPolicy),
        ("anchors?", Request::TrustAnchors(AnchorQuery::File)),
        ("credentials?", Request::AuthResponse),
        ("sign?", Request::Sign(Scheme::Ecdsa(Hash::Sha256))),
    ];
    let claims = claims.map(|(name, claim)| (name, Message::Claim(claim)));
    let replies = steps.map(|(name, step)| (name, Message::Claim(Claim::Replied(step, reply()))));
    let requests = requests.map(|(name, request)| (name, Message::Request(request)));
    let piece = ("to-be-signed", Message::ToBeSigned(Piece::try_from(b"x".to_vec()).unwrap()));
    claims.into_iter().chain(replies).chain(requests).chain([piece]).collect()
}

/// Answers of the server in capitals, questions to the monitor with their mark.
const COLUMNS: [(Stage, &str); 22] = [
    (Confining, "not-confined begin?"),
    (
        Resolving,
        "progress not-found unreachable unanswered cannot-bind no-socket connected tlsa-unknown observed",
    ),
    (
        Walking,
        "progress unreachable unanswered cannot-bind no-socket connected tlsa-unknown exhausted observed",
    ),
    (Greeting, "progress not-smtp lost tls no-tls observed GREETING policy? anchors? sign? to-be-signed"),
    (Hello, "progress not-smtp lost EHLO"),
    (HelloAgain, "progress not-smtp lost HELO"),
    (
        Session,
        "progress not-smtp lost tls no-tls no-smtputf8 not-authenticated end observed AUTH MAIL anchors? sign? \
         to-be-signed",
    ),
    (Challenged, "not-smtp lost credentials?"),
    (NamingUser, "progress not-smtp lost AUTH-USER"),
    (Responding(Mechanism::Plain), "progress not-smtp lost AUTH-RESPONSE"),
    (Authenticated, "progress not-smtp lost no-tls no-smtputf8 end MAIL"),
    (Recipients, "progress not-smtp lost RCPT"),
    (Data, "progress not-smtp lost end unreadable partial-line DATA"),
    (Body, "progress not-smtp lost end unreadable partial-line"),
    (AllSent, "progress not-smtp lost MAIL"),
    (AllSentRecipients, "progress not-smtp lost RCPT"),
    (Again, "progress not-smtp lost MAIL"),
    (Sent, "progress not-smtp lost BDAT MESSAGE"),
    (Packing, "progress tls no-tls package observed policy? anchors? sign? to-be-signed"),
    (Package, "progress lost end not-qmtp unreadable"),
    (Answers, "progress lost answered not-qmtp"),
    (Over, ""),
];

#[test]
fn in_each_stage_its_messages_may_come_and_no_other() {
    let messages = messages();
    for (stage, expected) in COLUMNS {
        let permitted = messages.iter().filter(|(_, message)| permits(stage, message));
        let permitted: Vec<_> = permitted.map(|(name, _)| *name).collect();
        assert_eq!(permitted.join(" "), expected, "{stage:?}");
    }
}
