//! The vocabulary of the two processes: what the network child may say and what the monitor answers.
//!
//! The child sends [`Message`]s, the monitor sends [`Reply`]s, each as one frame. Everything that
//! arrives is hostile until it is decoded; the types are bounded, and their construction is their
//! validation. Which message is permitted when is `monitor::permits`' business.
#![forbid(unsafe_code)]

pub mod child_end;
pub mod frame;
pub mod observation;
pub mod qmtp_answer;
pub mod reason;
pub mod secret;
pub mod server_reply;
pub mod signature;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::authentication::Mechanism;
use crate::host::HostName;
use crate::tls_policy::{Proof, TlsPolicy};
use observation::Observation;
use qmtp_answer::QmtpAnswer;
use reason::Reason;
use secret::Secret;
use server_reply::ReplyText;
use signature::{Piece, Scheme, Signature};

/// Child to monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Asks for something; the monitor replies.
    Request(Request),
    /// Says what happened; no reply.
    Claim(Claim),
    /// Some of what [`Request::Sign`] will ask to sign; no reply.
    ToBeSigned(Piece),
}

/// What the child asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// "I am confined; may I begin?" Granted once the monitor is confined too.
    Begin,
    /// The TLS policy for the exchanger that was connected to, where its name may have a rule of its own.
    TlsPolicy,
    /// Certificates that the policy in force trusts.
    TrustAnchors(AnchorQuery),
    /// What answers the challenge that an AUTH command was just answered with.
    AuthResponse,
    /// A signature of all that was sent to be signed since the last one, by the client certificate's key.
    Sign(Scheme),
}

/// Which trust anchors are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnchorQuery {
    /// Those of the directory whose subject has this hash (X509_NAME_hash(3)).
    BySubject(u32),
    /// Those of the file.
    File,
}

/// Monitor to child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The network may be used now: to `Request::Begin`, once.
    Begin,
    /// What holds for this connection: to `Request::TlsPolicy`.
    TlsPolicy(TlsPolicy),
    /// A piece of the certificates asked for by `Request::TrustAnchors`, in PEM as the administrator keeps them.
    TrustAnchors(Vec<u8>),
    /// That was all of them, or there were none.
    NoMoreTrustAnchors,
    /// The response to a challenge of CRAM-MD5, as it is sent: to `Request::AuthResponse`.
    CramMd5(Secret),
    /// For LOGIN or PLAIN: to `Request::AuthResponse`.
    Credentials {
        /// The user name.
        user: Secret,
        /// The password.
        password: Secret,
    },
    /// The signature asked for by `Request::Sign`.
    Signature(Signature),
    /// The delivery is decided; nothing more is to be done: to any request but `Request::Begin`, instead of its answer.
    Stop,
}

/// What the child says happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claim {
    /// The sandbox could not be entered; the step that failed. Nothing was sent to anybody.
    NotConfined(ConfinementStep),
    /// Work goes on. Nothing else.
    Progress,
    /// The server could not be found.
    NotFound(LookupFailure),
    /// An exchanger could not be reached at any of its addresses, or all of them were to be left alone.
    Unreachable,
    /// Nothing answered at this address, or it refused the connection. One that was overtaken by another has not failed.
    Unanswered(IpAddr),
    /// The local address of this family is not one of this machine's.
    CannotBind(Family),
    /// The system has no socket to give.
    NoSocket,
    /// A connection stands. Starts a new dialogue.
    Connected(Server),
    /// The server's answer to a step of the dialogue.
    Replied(Step, ReplyText),
    /// What came was not an SMTP reply.
    NotSmtp,
    /// The connection ended, timed out, or the server broke the protocol.
    Lost,
    /// Nobody can say whether the exchanger has TLSA records: it is not used.
    TlsaUnknown(HostName),
    /// The TLS handshake succeeded and proved this much; everything before it is forgotten.
    TlsEstablished(Proof),
    /// An address needs SMTPUTF8, and the server does not offer it.
    NoSmtpUtf8,
    /// TLS could not be had.
    TlsFailed(TlsFailure),
    /// The plan's credentials are not used with this server: no mechanism is left that it offers and they may go by.
    NotAuthenticated(Unused),
    /// The package of QMTP is about to be sent: from here on no other server may get the message.
    Package,
    /// The end-of-data mark, the last octet of a chunk, or the end of the package is about to be sent: from here on the
    /// message may have been delivered. With a pipelined chunk that is before MAIL is answered.
    EndOfData,
    /// The server's answer for the next recipient, by QMTP.
    Answered(QmtpAnswer),
    /// What came was not an answer of QMTP.
    NotQmtp,
    /// The message could not be sent to its end; the transaction was not completed.
    MessageFault(MessageFault),
    /// No exchanger is left to try.
    Exhausted,
    /// Something for people to read; of a probe only.
    Observed(Box<Observation>),
}

/// The most addresses that one delivery may claim to be unanswered: half of what the table of them holds.
pub const MOST_UNANSWERED: usize = 16;

/// The most questions for trust anchors in one delivery. A chain takes two or three, and no more than 33.
pub const MOST_ANCHOR_QUERIES: u16 = 512;

/// The most connections in one delivery: to 100 exchangers with 16 addresses each, and to each address once more where a
/// handshake failed and the message may go in clear. A rule for an exchanger's name is told once for each.
pub const MOST_CONNECTIONS: usize = 3200;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The server of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The name of the exchanger or relay; none for an address literal.
    pub name: Option<HostName>,
    /// The address connected to.
    pub address: IpAddr,
}

/// The steps of the dialogue that a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The greeting, which answers the connection itself.
    Greeting,
    /// EHLO.
    Ehlo,
    /// HELO, after EHLO was refused.
    Helo,
    /// AUTH.
    Auth(Mechanism),
    /// The user name of LOGIN.
    AuthUser,
    /// The last response of AUTH.
    AuthResponse,
    /// MAIL.
    Mail,
    /// RCPT, of the next recipient in order.
    Rcpt,
    /// DATA.
    Data,
    /// BDAT, which the server refuses as a command: the message is not there, and the transaction begins anew.
    Chunk,
    /// The end of the message.
    EndOfData,
}

/// Why credentials are not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unused {
    /// The server offers no mechanism that we know.
    NotOffered,
    /// They are for this server, and may not go without the TLS that this connection does not have.
    Withheld,
}

/// Why no server was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LookupFailure {
    /// No usable answer: try again later.
    Temporary,
    /// The name does not exist.
    NoSuchDomain,
    /// The name exists and has no exchanger and no address, or its exchangers have none.
    NoAddress,
    /// The domain accepts no mail (RFC 7505).
    NullMx,
    /// The best exchanger is this machine.
    OnlyOurselves,
    /// The name is an alias, and its target cannot be resolved for now.
    AliasTemporary,
}

/// How TLS failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsFailure {
    /// OpenSSL could not be set up.
    Context,
    /// OpenSSL could not be set up for this server.
    Session,
    /// OpenSSL cannot use the cipher string of the policy.
    Ciphers,
    /// OpenSSL cannot use the client certificate.
    ClientCertificate,
    /// The trust anchors of the policy hold no certificate that can be read.
    TrustAnchors,
    /// TLS is required, by the policy or by the server, and STARTTLS is not offered or was refused.
    NotOffered,
    /// The handshake failed, or the server sent something before it.
    Handshake(Reason),
    /// A certificate is needed and none came.
    NoCertificate,
    /// The certificate's chain does not verify.
    Unverified(Reason),
    /// The certificate is for another name.
    WrongName,
    /// The certificate has another fingerprint.
    WrongFingerprint,
    /// The fingerprint of the policy has the length of no digest.
    UnknownDigest,
    /// The certificate matches none of the server's TLSA records.
    TlsaMismatch(Reason),
}

/// What is wrong with the message itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageFault {
    /// read(2) failed, or a file ended before its length. By QMTP the feed of the package has failed.
    Unreadable,
    /// The last line has no line feed.
    PartialLastLine,
}

/// A step of `sandbox::confine_child`, as its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfinementStep(pub u8);
