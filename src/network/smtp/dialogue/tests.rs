//! What a dialogue says in a state of TLS that it must not have come to: nothing that its server could learn from.

use std::io::Read as _;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::super::extensions::tests::extensions;
use super::*;
use crate::authentication::Authentication;
use crate::host::HostName;
use crate::ipc::Server;
use crate::network::dane::{Dane, NameStatus};
use crate::plan::tests::plan;
use crate::tls_policy::{CertificateNeed, Digest, Fingerprint, TlsPolicy, TrustAnchors, Verified};

/// What a server of this policy and with these records hears of `step`, to which it answers nothing.
fn said(policy: &TlsPolicy, dane: &Dane, tls: Option<Proof>, step: impl FnOnce(Dialogue<'_>)) -> String {
    let (ours, mut servers) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    servers.shutdown(Shutdown::Write).unwrap();
    let (claims, _monitor) = UnixStream::pair().unwrap();
    let plan =
        Plan { authentication: Some(Authentication { in_clear: true, verified_only: false }), ..plan(1) };
    let server = Server { name: HostName::parse(b"mx.example.test").ok(), address: [192, 0, 2, 10].into() };
    let peer = Peer {
        server: &server,
        found_by: &[],
        status: NameStatus::Insecure,
        policy,
        dane,
        client_certificate: None,
        is_probed: false,
    };
    let mut monitor = ChildEnd::new(claims.into());
    let socket = Socket::new(TcpStream::from(OwnedFd::from(ours)), Deadline::after(plan.timeouts.remote));
    let mut dialogue = Dialogue::new(&plan, peer, &mut monitor, Channel::Plain(socket), tls, None);
    dialogue.extensions = extensions(b"250-mx.example.test\n250 AUTH PLAIN CRAM-MD5\n");
    step(dialogue);
    let mut heard = String::new();
    servers.read_to_string(&mut heard).unwrap();
    heard
}

/// Whether MAIL is said, and whether AUTH is.
fn goes_on(policy: &TlsPolicy, dane: &Dane, tls: Option<Proof>) -> [bool; 2] {
    let mail = said(policy, dane, tls, |dialogue| {
        let _ = dialogue.transaction();
    });
    let auth = said(policy, dane, tls, |dialogue| {
        let _ = auth::authenticate(dialogue);
    });
    [mail.contains("MAIL"), auth.contains("AUTH")]
}

#[test]
fn the_policy_is_asked_again_before_mail_and_before_credentials() {
    let optional = TlsPolicy::OPPORTUNISTIC;
    let required = TlsPolicy { need: Need::Required, ..optional.clone() };
    let chain = TlsPolicy { certificate: CertificateNeed::Chain(TrustAnchors::System), ..required.clone() };
    let hex = "AB".repeat(32);
    let pinned =
        TlsPolicy { pin: Some(Fingerprint { hex, digest: Some(Digest::Sha256) }), ..required.clone() };
    let base = HostName::parse(b"mx1.example.test").unwrap();
    let unusable = Dane::Encrypt { base, records: Vec::new() };
    let encrypted = Some(Proof::NOTHING);
    let verified = Some(Proof { certificate: Verified::Chain, ..Proof::NOTHING });
    for (policy, dane, tls, may) in [
        (&optional, Dane::Absent, None, true),
        (&optional, unusable.clone(), None, false),
        (&optional, unusable, encrypted, true),
        (&optional, Dane::Unknown, None, false),
        (&required, Dane::NotAsked, None, false),
        (&required, Dane::NotAsked, encrypted, true),
        (&chain, Dane::Insecure, encrypted, false),
        (&chain, Dane::Insecure, verified, true),
        (&pinned, Dane::NotAsked, verified, false),
    ] {
        assert_eq!(goes_on(policy, &dane, tls), [may, may], "{policy:?} {dane:?} {tls:?}");
    }
}
