//! Handshakes between the provider's keys and OpenSSL's own server, in memory of this process.

use std::os::unix::net::UnixStream;
use std::thread;

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::ssl::{Ssl, SslAcceptor, SslContext, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::{X509, X509NameBuilder};

use super::*;
use crate::ipc::signature::{Hash, Scheme};

fn certificate(key: &PKey<Private>) -> X509 {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", "client.test").unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    let digest = if key.id() == Id::ED25519 { MessageDigest::null() } else { MessageDigest::sha256() };
    builder.sign(key, digest).unwrap();
    builder.build()
}

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn ec(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

/// What the monitor does, without looking.
fn signed(key: &PKey<Private>, scheme: Scheme, octets: &[u8]) -> Vec<u8> {
    let digest = |hash| match hash {
        Hash::Sha256 => MessageDigest::sha256(),
        Hash::Sha384 => MessageDigest::sha384(),
        Hash::Sha512 => MessageDigest::sha512(),
    };
    let mut signer = match scheme {
        Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash) | Scheme::Ecdsa(hash) => {
            Signer::new(digest(hash), key).unwrap()
        }
        Scheme::Ed25519 => Signer::new_without_digest(key).unwrap(),
    };
    if let Scheme::RsaPss(_) = scheme {
        signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
    }
    signer.sign_oneshot_to_vec(octets).unwrap()
}

/// What one server asks for: the version, and for TLS 1.2 the pairs that it takes.
struct Server {
    version: SslVersion,
    sigalgs: &'static str,
    asks: bool,
}

/// Handshakes with a server. Gives what the server saw of a certificate, and what was signed.
fn handshake(
    key: &PKey<Private>,
    server: &Server,
    mut sign: impl FnMut(Scheme, &[u8]) -> Option<Vec<u8>>,
) -> Option<Option<Vec<u8>>> {
    let own = ec(Nid::X9_62_PRIME256V1);
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&certificate(&own)).unwrap();
    acceptor.set_private_key(&own).unwrap();
    acceptor.set_min_proto_version(Some(server.version)).unwrap();
    acceptor.set_max_proto_version(Some(server.version)).unwrap();
    acceptor.set_sigalgs_list(server.sigalgs).unwrap();
    if server.asks {
        acceptor.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    }
    let acceptor = acceptor.build();
    let (near, far) = UnixStream::pair().unwrap();
    let served = thread::spawn(move || {
        let stream = acceptor.accept(far).ok()?;
        Some(stream.ssl().peer_certificate().map(|certificate| certificate.to_der().unwrap()))
    });

    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    present(&mut context, &certificate(key).to_pem().unwrap()).unwrap();
    let session = Ssl::new(&context.build()).unwrap();
    // A TLS 1.3 client is ready before the server has seen its certificate.
    let stream = with_signer(&mut sign, || session.connect(near));
    let seen = served.join().unwrap();
    drop(stream);
    seen
}

const V1_2: SslVersion = SslVersion::TLS1_2;
const V1_3: SslVersion = SslVersion::TLS1_3;

#[test]
fn every_kind_of_key_signs_in_both_versions() {
    use Hash::{Sha256, Sha384, Sha512};
    let (rsa, p256, p384, p521) = (rsa(), ec(Nid::X9_62_PRIME256V1), ec(Nid::SECP384R1), ec(Nid::SECP521R1));
    let ed25519 = PKey::generate_ed25519().unwrap();
    // The server signs by ECDSA itself.
    for (key, version, sigalgs, scheme) in [
        (&rsa, V1_2, "ECDSA+SHA256:RSA+SHA256", Scheme::RsaPkcs1(Sha256)),
        (&rsa, V1_2, "ECDSA+SHA256:RSA+SHA512", Scheme::RsaPkcs1(Sha512)),
        (&rsa, V1_2, "ECDSA+SHA256:RSA-PSS+SHA384", Scheme::RsaPss(Sha384)),
        (&rsa, V1_3, "ECDSA+SHA256:RSA-PSS+SHA256", Scheme::RsaPss(Sha256)),
        (&rsa, V1_3, "ECDSA+SHA256:RSA-PSS+SHA512", Scheme::RsaPss(Sha512)),
        (&p256, V1_2, "ECDSA+SHA256", Scheme::Ecdsa(Sha256)),
        (&p256, V1_2, "ECDSA+SHA384:ECDSA+SHA256", Scheme::Ecdsa(Sha384)),
        (&p256, V1_3, "ECDSA+SHA256", Scheme::Ecdsa(Sha256)),
        (&p384, V1_2, "ECDSA+SHA384:ECDSA+SHA256", Scheme::Ecdsa(Sha384)),
        (&p384, V1_3, "ECDSA+SHA384:ECDSA+SHA256", Scheme::Ecdsa(Sha384)),
        (&p521, V1_3, "ECDSA+SHA512:ECDSA+SHA256", Scheme::Ecdsa(Sha512)),
        (&ed25519, V1_2, "ed25519:ECDSA+SHA256", Scheme::Ed25519),
        (&ed25519, V1_3, "ed25519:ECDSA+SHA256", Scheme::Ed25519),
    ] {
        let mut asked = Vec::new();
        let seen = handshake(key, &Server { version, sigalgs, asks: true }, |scheme, octets| {
            asked.push(scheme);
            Some(signed(key, scheme, octets))
        });
        assert_eq!(asked, [scheme], "{sigalgs} {version:?}");
        assert!(seen.flatten().is_some(), "{sigalgs} {version:?}");
    }
}

#[test]
fn nothing_is_presented_or_signed_unless_the_server_asks() {
    for version in [V1_2, V1_3] {
        let server = Server { version, sigalgs: "ECDSA+SHA256", asks: false };
        let seen = handshake(&ec(Nid::X9_62_PRIME256V1), &server, |_, _| panic!("nobody asked"));
        assert_eq!(seen, Some(None));
    }
}

#[test]
fn a_server_that_takes_none_of_the_schemes_gets_no_certificate() {
    let server = Server { version: V1_2, sigalgs: "ECDSA+SHA256:RSA+SHA224", asks: true };
    assert_eq!(handshake(&rsa(), &server, |_, _| panic!("no scheme")), Some(None));
}

#[test]
fn without_a_signature_there_is_no_handshake() {
    for version in [V1_2, V1_3] {
        let server = Server { version, sigalgs: "ECDSA+SHA256", asks: true };
        let key = ec(Nid::X9_62_PRIME256V1);
        assert_eq!(handshake(&key, &server, |_, _| None), None);
        assert_eq!(handshake(&key, &server, |_, _| Some(vec![7; 1000])), None, "longer than its place");
        let other = ec(Nid::X9_62_PRIME256V1);
        assert_eq!(handshake(&key, &server, |scheme, octets| Some(signed(&other, scheme, octets))), None);
    }
}

#[test]
fn the_private_half_is_nowhere_to_be_had() {
    for key in [rsa(), ec(Nid::SECP384R1)] {
        let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
        let elsewhere = ffi::key_elsewhere(&public).unwrap();
        assert!(elsewhere.private_key_to_der().is_err());
        assert!(elsewhere.private_key_to_pem_pkcs8().is_err());
        assert_eq!(elsewhere.bits(), key.bits());
        assert_eq!(elsewhere.security_bits(), key.security_bits());
        assert_eq!(elsewhere.id(), key.id());
    }
}

#[test]
fn keys_match_the_certificate_that_they_were_made_of_and_no_other() {
    let public = |key: &PKey<Private>| {
        let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
        ffi::key_elsewhere(&public).unwrap()
    };
    let keys = [rsa(), rsa(), ec(Nid::X9_62_PRIME256V1), ec(Nid::X9_62_PRIME256V1), ec(Nid::SECP384R1)];
    for (one, key) in keys.iter().enumerate() {
        for (other, certified) in keys.iter().enumerate() {
            let certified = certificate(certified).public_key().unwrap();
            assert_eq!(certified.public_eq(&public(key)), one == other, "{one} {other}");
        }
    }
}

#[test]
fn what_is_no_certificate_or_has_a_key_of_another_kind_is_not_presented() {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    assert!(present(&mut context, b"").is_err());
    assert!(
        present(&mut context, b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").is_err()
    );
    let ed448 = PKey::generate_ed448().unwrap();
    let public = PKey::public_key_from_der(&ed448.public_key_to_der().unwrap()).unwrap();
    assert!(ffi::key_elsewhere(&public).is_err());
}

#[test]
fn the_rest_of_the_process_keeps_its_own_algorithms() {
    let key = rsa();
    let _elsewhere = ffi::key_elsewhere(&certificate(&key).public_key().unwrap()).unwrap();
    let signature = signed(&key, Scheme::RsaPss(Hash::Sha256), b"x");
    assert_eq!(signature.len(), 256);
}
