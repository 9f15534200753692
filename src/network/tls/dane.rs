//! Hands TLSA records to OpenSSL's DANE verification (RFC 7671, RFC 7672). Network child.
#![forbid(unsafe_code)]

use openssl::ssl::SslRef;
use openssl::x509::X509VerifyResult;
use openssl::x509::verify::X509CheckFlags;

use super::ffi;
use crate::host::HostName;
use crate::ipc::TlsFailure;
use crate::ipc::reason::Reason;
use crate::network::dns::TlsaRecord;

/// Whether the handshake succeeds only with a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Armed {
    /// One of the records must match.
    Yes,
    /// There is no record that OpenSSL can use.
    No,
}

/// Prepares `session` for a server with `records` under the name `base`. A certificate for one of `other_names` will do
/// as well (RFC 7672 section 3.2.2).
pub(super) fn arm(
    session: &mut SslRef,
    base: &HostName,
    other_names: &[HostName],
    records: &[TlsaRecord],
) -> Result<Armed, TlsFailure> {
    // Also sends the base domain as SNI.
    if !ffi::enable_dane(session, base) {
        return Err(TlsFailure::Session);
    }
    ffi::skip_names_of_dane_ee(session);
    session.param_mut().set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
    if !other_names.iter().all(|name| ffi::add_name(session, name)) {
        return Err(TlsFailure::Session);
    }
    let mut usable = false;
    for record in records {
        usable |= ffi::add_record(session, record).ok_or(TlsFailure::Session)?;
    }
    Ok(if usable { Armed::Yes } else { Armed::No })
}

/// Whether a handshake that has succeeded did so with a match. OpenSSL has checked it; asked again, since everything
/// rests on it.
pub(super) fn check(session: &SslRef) -> Result<(), TlsFailure> {
    let result = session.verify_result();
    if result == X509VerifyResult::OK && ffi::has_matched(session) {
        return Ok(());
    }
    Err(TlsFailure::TlsaMismatch(Reason::new(match result {
        X509VerifyResult::OK => "no certificate was matched",
        other => other.error_string(),
    })))
}
