//! The TLS handshake of a client.
//!
//! Network child, inside the sandbox. Opportunistic: any certificate will do, because without TLS the
//! message would go in clear (RFC 7435). SNI is always sent when the server has a name.
#![forbid(unsafe_code)]

use openssl::error::ErrorStack;
use openssl::ssl::{
    HandshakeError, MidHandshakeSslStream, Ssl, SslContext, SslMethod, SslMode, SslStream, SslVerifyMode,
};

use crate::host::HostName;
use crate::ipc::TlsFailure;
use crate::network::channel::{Socket, want_of};

/// Runs the handshake on `stream`, up to its deadline. Nothing has been read from it beyond the reply to STARTTLS.
pub(in crate::network) fn handshake(
    stream: Socket,
    server: Option<&HostName>,
) -> Result<SslStream<Socket>, TlsFailure> {
    let session = session(server).map_err(|_| TlsFailure::Context)?;
    let mut step = session.connect(stream);
    loop {
        match step {
            Ok(stream) => return Ok(stream),
            Err(HandshakeError::WouldBlock(unfinished)) => step = resume(unfinished)?,
            Err(HandshakeError::SetupFailure(_)) => return Err(TlsFailure::Context),
            Err(HandshakeError::Failure(_)) => return Err(TlsFailure::Handshake),
        }
    }
}

fn session(server: Option<&HostName>) -> Result<Ssl, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_verify(SslVerifyMode::NONE);
    context
        .set_mode(SslMode::AUTO_RETRY | SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER);
    let mut session = Ssl::new(&context.build())?;
    if let Some(name) = server {
        session.set_hostname(name.as_str())?;
    }
    Ok(session)
}

type Handshake = Result<SslStream<Socket>, HandshakeError<Socket>>;

fn resume(unfinished: MidHandshakeSslStream<Socket>) -> Result<Handshake, TlsFailure> {
    let want = want_of(unfinished.error()).ok_or(TlsFailure::Handshake)?;
    unfinished.get_ref().wait(want).map_err(|_| TlsFailure::Handshake)?;
    Ok(unfinished.handshake())
}
