//! The TLS handshake of a client.
//!
//! Network child, inside the sandbox. Opportunistic: any certificate will do, because without TLS the
//! message would go in clear (RFC 7435). SNI is always sent when the server has a name.
#![forbid(unsafe_code)]

use std::net::TcpStream;

use openssl::error::ErrorStack;
use openssl::ssl::{
    HandshakeError, MidHandshakeSslStream, Ssl, SslContext, SslMethod, SslMode, SslStream, SslVerifyMode,
};

use crate::host::HostName;
use crate::ipc::TlsFailure;
use crate::network::channel::{Deadline, wait, want_of};

/// Runs the handshake on `stream`, which nothing has been read from beyond the reply to STARTTLS.
pub(in crate::network) fn handshake(
    stream: TcpStream,
    server: Option<&HostName>,
    deadline: Deadline,
) -> Result<SslStream<TcpStream>, TlsFailure> {
    let session = session(server).map_err(|_| TlsFailure::Context)?;
    let mut step = session.connect(stream);
    loop {
        match step {
            Ok(stream) => return Ok(stream),
            Err(HandshakeError::WouldBlock(unfinished)) => step = resume(unfinished, deadline)?,
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

type Handshake = Result<SslStream<TcpStream>, HandshakeError<TcpStream>>;

fn resume(unfinished: MidHandshakeSslStream<TcpStream>, deadline: Deadline) -> Result<Handshake, TlsFailure> {
    let want = want_of(unfinished.error()).ok_or(TlsFailure::Handshake)?;
    wait(unfinished.get_ref(), want, deadline).map_err(|_| TlsFailure::Handshake)?;
    Ok(unfinished.handshake())
}
