//! The TLS handshake of a client.
//!
//! Network child, inside the sandbox. OpenSSL's own verification decides about TLSA records, during the handshake; what
//! the rules of `tlsdestinations` demand is verified on its result, before anything else is said. SNI is always sent
//! when the server has a name.
#![forbid(unsafe_code)]

use openssl::ssl::{
    ErrorCode, HandshakeError, MidHandshakeSslStream, Ssl, SslContext, SslMethod, SslMode, SslOptions,
    SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509VerifyResult;

use super::dane::Armed;
use super::{Peer, configuration, dane, ffi, proof, provider};
use crate::ipc::TlsFailure;
use crate::ipc::child_end::ChildEnd;
use crate::ipc::reason::Reason;
use crate::network::channel::{Socket, want_of};
use crate::network::dane::Dane;
use crate::network::probe;
use crate::tls_policy::{CertificateNeed, Proof};

/// What is offered to a server that needs no certificate: all that encrypts. OpenSSL's default has no anonymous suite.
const ANONYMOUS_TOO: &str = "ALL:!eNULL";
/// OpenSSL's security level that lets anonymous suites pass.
const LEVEL_OF_ANONYMOUS: u32 = 0;

/// There is no session.
#[derive(Debug)]
pub(in crate::network) struct NoSession {
    /// What is claimed of it.
    pub(in crate::network) failure: TlsFailure,
    /// Whether TLS itself has failed: the server sent an alert, or what is no TLS. Where it fell silent or the connection
    /// was lost nobody has said anything about TLS.
    pub(in crate::network) is_protocol_error: bool,
}

impl From<TlsFailure> for NoSession {
    fn from(failure: TlsFailure) -> NoSession {
        NoSession { failure, is_protocol_error: false }
    }
}

/// A session before its handshake. Making the first one takes OpenSSL milliseconds: time to wait for a server in.
#[derive(Debug)]
pub(in crate::network) struct Prepared {
    session: Ssl,
    armed: Armed,
}

/// Runs the handshake of what [`prepare`] gave for this peer on `stream`, up to its deadline, and verifies what the
/// peer needs to prove. Nothing has been read from it beyond the reply to STARTTLS.
pub(in crate::network) fn handshake(
    prepared: Result<Prepared, TlsFailure>,
    stream: Socket,
    peer: &Peer<'_>,
    monitor: &mut ChildEnd,
) -> Result<(SslStream<Socket>, Proof), NoSession> {
    let Prepared { session, armed } = prepared?;
    let mut signer = |scheme, octets: &[u8]| monitor.ask_to_sign(scheme, octets);
    let stream = provider::with_signer(&mut signer, || complete(session.connect(stream)))?;
    if peer.is_probed {
        probe::session(stream.ssl(), ffi::matched_record(stream.ssl()), monitor);
    }
    let proof = proof::prove(stream.ssl(), peer, armed, monitor)?;
    Ok((stream, proof))
}

/// Sets up all that the handshake needs of this machine.
pub(in crate::network) fn prepare(peer: &Peer<'_>) -> Result<Prepared, TlsFailure> {
    let context = context(peer)?;
    let mut session = Ssl::new(&context).map_err(|_| TlsFailure::Session)?;
    let armed = match peer.dane {
        Dane::Match { base, records } => dane::arm(&mut session, base, peer.found_by, records)?,
        Dane::NotAsked | Dane::Insecure | Dane::Absent | Dane::Encrypt { .. } | Dane::Unknown => {
            if let Some(name) = &peer.server.name {
                session.set_hostname(name.as_str()).map_err(|_| TlsFailure::Session)?;
            }
            Armed::No
        }
    };
    // A probe shows the certificate that does not match: nothing is sent that it would have to protect.
    if armed == Armed::Yes && !peer.is_probed {
        session.set_verify(SslVerifyMode::PEER);
    }
    Ok(Prepared { session, armed })
}

fn context(peer: &Peer<'_>) -> Result<SslContext, TlsFailure> {
    if !configuration::apply() {
        return Err(TlsFailure::Context);
    }
    let mut context = SslContext::builder(SslMethod::tls_client()).map_err(|_| TlsFailure::Context)?;
    context.set_verify(SslVerifyMode::NONE);
    // What was proved must hold to the end: no other certificate in the midst of it.
    context.set_options(SslOptions::NO_RENEGOTIATION);
    context
        .set_mode(SslMode::AUTO_RETRY | SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER);
    // What the system's configuration says; where it is silent a low security level would bring in what RFC 8996 forbids.
    if context.min_proto_version().is_none() {
        let oldest = Some(SslVersion::TLS1_2);
        context.set_min_proto_version(oldest).map_err(|_| TlsFailure::Context)?;
    }
    let matches_records = matches!(peer.dane, Dane::Match { .. });
    if matches_records && !ffi::enable_dane_in_context(&mut context) {
        return Err(TlsFailure::Context);
    }
    // A server without a certificate could not match a record.
    let anonymous = peer.policy.certificate == CertificateNeed::Anonymous && !matches_records;
    if anonymous {
        context.set_security_level(LEVEL_OF_ANONYMOUS);
        context.set_cipher_list(ANONYMOUS_TOO).map_err(|_| TlsFailure::Context)?;
    }
    if let Some(ciphers) = peer.policy.offered_ciphers() {
        context.set_cipher_list(&ciphers).map_err(|_| TlsFailure::Ciphers)?;
    }
    if let Some(certificate) = peer.client_certificate {
        provider::present(&mut context, &certificate.chain).map_err(|_| TlsFailure::ClientCertificate)?;
    }
    Ok(context.build())
}

type Handshake = Result<SslStream<Socket>, HandshakeError<Socket>>;

fn complete(mut step: Handshake) -> Result<SslStream<Socket>, NoSession> {
    loop {
        match step {
            Ok(stream) => return Ok(stream),
            Err(HandshakeError::WouldBlock(unfinished)) => step = resume(unfinished)?,
            Err(HandshakeError::SetupFailure(_)) => return Err(TlsFailure::Session.into()),
            Err(HandshakeError::Failure(unfinished)) => return Err(failure(&unfinished)),
        }
    }
}

fn resume(unfinished: MidHandshakeSslStream<Socket>) -> Result<Handshake, NoSession> {
    let want = want_of(unfinished.error()).ok_or_else(|| failure(&unfinished))?;
    let waited = unfinished.get_ref().wait(&[want]);
    waited.map_err(|_| TlsFailure::Handshake(Reason::new("timed out")))?;
    Ok(unfinished.handshake())
}

/// Why a handshake failed: a verification in the midst of it is one against TLSA records.
fn failure(unfinished: &MidHandshakeSslStream<Socket>) -> NoSession {
    let verified = unfinished.ssl().verify_result();
    if verified != X509VerifyResult::OK && unfinished.ssl().verify_mode() == SslVerifyMode::PEER {
        return TlsFailure::TlsaMismatch(Reason::new(verified.error_string())).into();
    }
    let error = unfinished.error();
    let said = error.ssl_error().and_then(|stack| stack.errors().first()).and_then(|error| error.reason());
    let reason = match (said, error.io_error()) {
        (Some(said), _) => Reason::new(said),
        (None, Some(error)) => Reason::new(&error.kind().to_string()),
        (None, None) => Reason::new("the server closed the connection"),
    };
    NoSession { failure: TlsFailure::Handshake(reason), is_protocol_error: error.code() == ErrorCode::SSL }
}
