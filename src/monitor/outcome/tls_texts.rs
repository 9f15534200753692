//! What reports say about TLS. Monitor only; pure.
#![forbid(unsafe_code)]

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::ipc::TlsFailure;
use crate::ipc::reason::Reason;
use crate::monitor::client_key::Unusable;
use crate::monitor::control::domaincerts::shown;
use crate::monitor::trust_store;
use crate::report::{Text, printable};
use crate::tls_policy::{Proof, TlsPolicy, TrustAnchors, Verified};

/// The text for a failure with the server `remote` on the way to `host`, both printable. None: neither the policy in force
/// nor the plan, with this client certificate, asks for what is said to have failed.
pub(super) fn failed(
    failure: &TlsFailure,
    host: &str,
    remote: &str,
    policy: &TlsPolicy,
    certificate: Option<&Path>,
) -> Option<Text> {
    let text = match failure {
        TlsFailure::Context => format!("I wasn't able to create TLS context for: {host} at {remote}"),
        TlsFailure::Session => {
            format!("I wasn't able to establish a TLS connection with: {remote} for {host}")
        }
        TlsFailure::Ciphers => {
            let ciphers = printable(policy.ciphers.as_ref()?.as_bytes());
            format!("I wasn't able to process the TLS ciphers: {ciphers}")
        }
        TlsFailure::ClientCertificate => {
            return certificate.map(|file| unusable(&Unusable::Certificate(file.to_owned())));
        }
        TlsFailure::TrustAnchors => return policy.certificate.anchors().map(no_trust_anchors),
        TlsFailure::NotOffered => {
            format!("I wasn't able to negotiate a StartTLS connection with: {remote} for {host}")
        }
        TlsFailure::Handshake(reason) => {
            because(format!("TLS connection/protocol error with host: {remote} for {host}"), reason)
        }
        TlsFailure::NoCertificate => {
            format!("Unable to obtain X.500 certificate from: {remote} for {host}")
        }
        TlsFailure::Unverified(reason) => {
            because(format!("Unable to verify X.500 certificate from: {remote} for {host}"), reason)
        }
        TlsFailure::WrongName => {
            format!("Unable to validate X.500 certificate Subject for: {host} at {remote}")
        }
        TlsFailure::WrongFingerprint => {
            let hex = &policy.pin.as_ref()?.hex;
            format!(
                "Received X.500 certificate from: {remote} for {host} does not match provided fingerprint: {hex}"
            )
        }
        TlsFailure::UnknownDigest => {
            policy.pin.as_ref()?;
            format!("Received X.500 certificate from: {remote} for {host} posses an unknown digest method")
        }
        TlsFailure::TlsaMismatch(reason) => {
            because(format!("TLSA X.509 cert required but missing from: {remote} for {host}"), reason)
        }
    };
    Some(Text::new(format!("{text}. (#4.4.1)")))
}

/// The text for trust anchors that cannot be read.
pub(in crate::monitor) fn no_trust_anchors(anchors: &TrustAnchors) -> Text {
    let [file, directory] = trust_store::places(anchors).map(|path| match path {
        Some(path) => printable(path.as_os_str().as_bytes()),
        None => "-".to_owned(),
    });
    Text::new(format!("I wasn't able to setup CAFILE: {file} or CADIR: {directory} for TLS. (#4.4.1)"))
}

/// The text for a client certificate that cannot be used. Where the manual page has the key's password, this has a file.
pub(in crate::monitor) fn unusable(what: &Unusable) -> Text {
    let (problem, file) = match what {
        Unusable::Certificate(file) => ("Can't load X.509 certificate", file),
        Unusable::Key(file) => ("Can't load X.509 private key", file),
        Unusable::Mismatch(file) => ("Keyfile does not match X.509 certificate", file),
    };
    Text::new(format!("{problem}: {}. (#4.4.1)", shown(file)))
}

fn because(text: String, reason: &Reason) -> String {
    match reason.as_str() {
        "" => text,
        reason => format!("{text}: {reason}"),
    }
}

/// How an accepted message was sent.
pub(super) fn accepted(tls: Option<Proof>) -> &'static str {
    let Some(Proof { tlsa, pinned, certificate }) = tls else {
        return "accepted message";
    };
    match (tlsa, pinned, certificate) {
        (true, _, _) => "TLS (TLSA validated) transmitted message accepted",
        (false, true, _) => "TLS (CERT pinning) transmitted message accepted",
        (false, false, Verified::Nothing) => "TLS transmitted message accepted",
        (false, false, Verified::Chain) => "TLS (verified CA) transmitted message accepted",
        (false, false, Verified::Name) => "TLS (verified CA+DN*) transmitted message accepted",
        (false, false, Verified::ExactName) => "TLS (verified CA+DN) transmitted message accepted",
    }
}
