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
        let mut add = || ffi::add_record(session, record).ok_or(TlsFailure::Session);
        // Asked again: OpenSSL says the same of a whole certificate or key that it has no memory to decode.
        let is_taken = add()? || add()?;
        // A digest is known to be of the right form: there was no memory to learn its algorithm.
        if !is_taken && record.matching != 0 {
            return Err(TlsFailure::Session);
        }
        usable |= is_taken;
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

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::ssl::{Ssl, SslContext, SslMethod};

    #[test]
    fn a_digest_that_cannot_be_used_is_a_failure_and_a_whole_certificate_is_none() {
        let armed = |matching, octets| {
            let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
            assert!(ffi::enable_dane_in_context(&mut context));
            let mut session = Ssl::new(&context.build()).unwrap();
            let record = TlsaRecord { usage: 3, selector: 0, matching, data: vec![0; octets] };
            arm(&mut session, &HostName::parse(b"mx.example.test").unwrap(), &[], &[record])
        };
        assert_eq!(armed(1, 32), Ok(Armed::Yes));
        assert_eq!(armed(1, 31), Err(TlsFailure::Session));
        assert_eq!(armed(0, 31), Ok(Armed::No));
    }
}
