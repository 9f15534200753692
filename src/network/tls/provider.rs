//! A client certificate whose key is elsewhere: OpenSSL is given a key that holds the public half and signs by asking
//! the monitor. Network child.
//!
//! The key lives in an OSSL_PROVIDER(7) of this program. That has a library context of its own, so the rest of TLS
//! fetches its algorithms as ever. The provider exports nothing, and there is no private half to export. A signature can
//! be made while a signer is lent ([`with_signer`]), which is during the handshake.
//!
//! Trusts the certificate, which is the administrator's; what is signed comes from OpenSSL and so from the server, and
//! the monitor looks at it.

mod callbacks;
mod ffi;
mod state;

use openssl::error::ErrorStack;
use openssl::ssl::SslContextBuilder;
use openssl::x509::X509;

pub(super) use ffi::with_signer;

/// Presents this certificate when a server asks for one: PEM, the client's own first. Whatever is wrong with it, the
/// handshake cannot be had.
pub(super) fn present(context: &mut SslContextBuilder, pem: &[u8]) -> Result<(), ErrorStack> {
    let mut chain = X509::stack_from_pem(pem)?.into_iter();
    let leaf = chain.next().ok_or_else(ErrorStack::get)?;
    let key = ffi::key_elsewhere(&*leaf.public_key()?)?;
    context.set_certificate(&leaf)?;
    for issuer in chain {
        context.add_extra_chain_cert(issuer)?;
    }
    context.set_private_key(&key)
}

#[cfg(test)]
mod tests;
