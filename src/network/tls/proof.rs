//! What a finished handshake proves, as far as the policy demands it. Network child.
//!
//! The certificate is hostile; OpenSSL has parsed it. Nothing has been sent under TLS yet.
#![forbid(unsafe_code)]

use openssl::hash::MessageDigest;
use openssl::ssl::SslRef;
use openssl::x509::{X509, X509Ref};

use super::dane::Armed;
use super::ffi::Wildcards;
use super::{Peer, chain, dane, ffi};
use crate::ipc::TlsFailure;
use crate::ipc::child_end::ChildEnd;
use crate::ipc::reason::Reason;
use crate::network::dane::NameStatus;
use crate::tls_policy::{CertificateNeed, Digest, Fingerprint, Proof, TrustAnchors, Verified};

/// Verifies what `peer` needs to prove.
pub(super) fn prove(
    session: &SslRef,
    peer: &Peer<'_>,
    armed: Armed,
    monitor: &mut ChildEnd,
) -> Result<Proof, TlsFailure> {
    if session.current_cipher().is_none_or(|cipher| cipher.bits().secret <= 0) {
        return Err(TlsFailure::Handshake(Reason::new("it does not encrypt")));
    }
    let tlsa = armed == Armed::Yes;
    if tlsa {
        dane::check(session, peer)?;
    }
    let pinned = peer.policy.pin.is_some();
    if let Some(fingerprint) = &peer.policy.pin {
        has_fingerprint(&*certificate(session)?, fingerprint)?;
    }
    if tlsa && peer.policy.tlsa_suffices() {
        return Ok(Proof { tlsa, pinned, certificate: Verified::Nothing });
    }
    let certificate = match &peer.policy.certificate {
        CertificateNeed::Anonymous | CertificateNeed::Nothing => Verified::Nothing,
        CertificateNeed::Chain(anchors) => {
            verify_chain(session, peer, anchors, monitor)?;
            Verified::Chain
        }
        CertificateNeed::Name(anchors) => {
            let certificate = verify_chain(session, peer, anchors, monitor)?;
            is_named(&certificate, peer, is_for_name_or_above)?;
            Verified::Name
        }
        CertificateNeed::ExactName(anchors) => {
            let certificate = verify_chain(session, peer, anchors, monitor)?;
            is_named(&certificate, peer, |certificate, name| {
                ffi::is_for_name(certificate, name, Wildcards::Refused)
            })?;
            Verified::ExactName
        }
    };
    Ok(Proof { tlsa, pinned, certificate })
}

fn certificate(session: &SslRef) -> Result<X509, TlsFailure> {
    session.peer_certificate().ok_or(TlsFailure::NoCertificate)
}

fn verify_chain(
    session: &SslRef,
    peer: &Peer<'_>,
    anchors: &TrustAnchors,
    monitor: &mut ChildEnd,
) -> Result<X509, TlsFailure> {
    let certificate = certificate(session)?;
    chain::verify(session, &certificate, anchors, peer.policy.verify_depth, monitor)?;
    Ok(certificate)
}

fn has_fingerprint(certificate: &X509Ref, expected: &Fingerprint) -> Result<(), TlsFailure> {
    let digest = match expected.digest.ok_or(TlsFailure::UnknownDigest)? {
        Digest::Sha1 => MessageDigest::sha1(),
        Digest::Sha224 => MessageDigest::sha224(),
        Digest::Sha256 => MessageDigest::sha256(),
        Digest::Sha384 => MessageDigest::sha384(),
        Digest::Sha512 => MessageDigest::sha512(),
    };
    let found = certificate.digest(digest).map_err(|_| TlsFailure::UnknownDigest)?;
    let hex: String = found.iter().map(|octet| format!("{octet:02X}")).collect();
    let same_length = hex.len() == expected.hex.len();
    // In constant time.
    if same_length && openssl::memcmp::eq(hex.as_bytes(), expected.hex.as_bytes()) {
        Ok(())
    } else {
        Err(TlsFailure::WrongFingerprint)
    }
}

/// Whether the certificate is for the server, as `is_for` decides it for a name. An address is matched as an address.
fn is_named(
    certificate: &X509Ref,
    peer: &Peer<'_>,
    is_for: impl Fn(&X509Ref, &str) -> bool,
) -> Result<(), TlsFailure> {
    let named = match &peer.server.name {
        None => ffi::is_for_address(certificate, peer.server.address),
        Some(name) => {
            // The name of an exchanger that nobody vouches for may be an attacker's choice; the domain's never is.
            let found_by = match peer.status {
                NameStatus::Insecure => peer.found_by,
                NameStatus::Secure => &[],
            };
            [name].into_iter().chain(found_by).any(|name| is_for(certificate, name.as_str()))
        }
    };
    if named { Ok(()) } else { Err(TlsFailure::WrongName) }
}

/// For `name` itself, a wildcard in place of its leftmost label, or exactly one of the domains above it that is not a top
/// level domain.
fn is_for_name_or_above(certificate: &X509Ref, name: &str) -> bool {
    let above = std::iter::successors(name.split_once('.'), |(_, above)| above.split_once('.'));
    ffi::is_for_name(certificate, name, Wildcards::Leftmost)
        || above
            .map(|(_, above)| above)
            .filter(|above| above.contains('.'))
            .any(|above| ffi::is_for_name(certificate, above, Wildcards::Refused))
}
