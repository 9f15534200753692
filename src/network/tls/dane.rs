//! Hands TLSA records to OpenSSL's DANE verification (RFC 7671, RFC 7672). Network child.
#![forbid(unsafe_code)]

use openssl::ssl::SslRef;
use openssl::x509::X509VerifyResult;
use openssl::x509::verify::X509CheckFlags;

use super::Peer;
use super::ffi::{self, Wildcards};
use crate::host::HostName;
use crate::ipc::TlsFailure;
use crate::ipc::reason::Reason;
use crate::network::dane::Dane;
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
pub(super) fn check(session: &SslRef, peer: &Peer<'_>) -> Result<(), TlsFailure> {
    Err(TlsFailure::TlsaMismatch(Reason::new(match session.verify_result() {
        X509VerifyResult::OK if !ffi::has_matched(session) => "no certificate was matched",
        X509VerifyResult::OK if !is_named(session, peer) => "hostname mismatch",
        X509VerifyResult::OK => return Ok(()),
        other => other.error_string(),
    })))
}

/// Whether the certificate is for a name of `peer`, where the record that matched is an authority's, of usage 2 (RFC 7672
/// section 3.1.2). Left alone, OpenSSL takes the common name beside alternative names of other kinds.
fn is_named(session: &SslRef, peer: &Peer<'_>) -> bool {
    let Dane::Match { base, .. } = peer.dane else { return false };
    match (ffi::matched_record(session), session.peer_certificate()) {
        (Some((2, ..)), Some(certificate)) => [base]
            .into_iter()
            .chain(peer.found_by)
            .any(|name| ffi::is_for_name(&certificate, name.as_str(), Wildcards::Leftmost)),
        (Some((3, ..)), Some(_)) => true,
        _ => false,
    }
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
