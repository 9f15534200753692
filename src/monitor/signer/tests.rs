//! What is signed, and that nothing else is. The signatures are verified by OpenSSL with the public half.

use openssl::ec::{EcGroup, EcKey};
use openssl::rsa::Rsa;
use openssl::sign::Verifier;

use super::*;

const CERTIFICATE: &[u8] = b"this client's";
const HASHES: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn ec(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

fn signer(key: &PKey<Private>) -> Signer {
    Signer::new(key.clone(), CERTIFICATE.to_vec()).unwrap()
}

/// What a client signs in TLS 1.3 with a hash of this length.
fn context(length: usize) -> Vec<u8> {
    [&[b' '; 64][..], b"TLS 1.3, client CertificateVerify\0", &vec![7; length]].concat()
}

fn counted_list(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], content].concat()
}

fn handshake_message(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind][..], &counted_list(content)].concat()
}

/// The body of a Certificate message with these certificates.
fn presenting(certificates: &[&[u8]]) -> Vec<u8> {
    counted_list(&certificates.iter().flat_map(|one| counted_list(one)).collect::<Vec<_>>())
}

/// A handshake: the number of each message, and what is in it.
type Messages = Vec<(u8, Vec<u8>)>;

/// The handshake of TLS 1.2 with a server that asks.
fn messages() -> Messages {
    vec![
        (1, b"\x03\x03client's random and more".to_vec()),
        (2, b"\x03\x03server's random and more".to_vec()),
        (11, presenting(&[b"the server's", b"its issuer's"])),
        (12, b"parameters and signature".to_vec()),
        (13, b"types, schemes, names".to_vec()),
        (14, Vec::new()),
        (11, presenting(&[CERTIFICATE, b"its issuer's"])),
        (16, b"public half".to_vec()),
    ]
}

fn joined(messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
    messages.iter().flat_map(|(kind, content)| handshake_message(*kind, content)).collect()
}

fn verifies(key: &PKey<Private>, scheme: Scheme, octets: &[u8], signature: &[u8]) -> bool {
    let mut verifier = match scheme {
        Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash) | Scheme::Ecdsa(hash) => {
            Verifier::new(digest(hash), key).unwrap()
        }
        Scheme::Ed25519 => Verifier::new_without_digest(key).unwrap(),
    };
    if let Scheme::RsaPss(_) = scheme {
        verifier.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
    }
    verifier.verify_oneshot(signature, octets).unwrap()
}

/// All schemes there are.
fn schemes() -> Vec<Scheme> {
    let mut all = vec![Scheme::Ed25519];
    for hash in HASHES {
        all.extend([Scheme::RsaPkcs1(hash), Scheme::RsaPss(hash), Scheme::Ecdsa(hash)]);
    }
    all
}

#[test]
fn each_kind_of_key_signs_by_its_schemes_alone() {
    let [pkcs1, pss, ecdsa]: [fn(Hash) -> Scheme; 3] = [Scheme::RsaPkcs1, Scheme::RsaPss, Scheme::Ecdsa];
    let all = |of: fn(Hash) -> Scheme| HASHES.map(of).to_vec();
    let both = [all(pkcs1), all(pss)].concat();
    for (key, in_1_2, in_1_3) in [
        (rsa(), both, all(pss)),
        (ec(Nid::X9_62_PRIME256V1), all(ecdsa), vec![ecdsa(Hash::Sha256)]),
        (ec(Nid::SECP384R1), all(ecdsa), vec![ecdsa(Hash::Sha384)]),
        (ec(Nid::SECP521R1), all(ecdsa), vec![ecdsa(Hash::Sha512)]),
        (ec(Nid::SECP256K1), all(ecdsa), vec![]),
        (PKey::generate_ed25519().unwrap(), vec![Scheme::Ed25519], vec![Scheme::Ed25519]),
    ] {
        for (octets, good) in
            [(joined(&messages()), in_1_2), (context(32), in_1_3.clone()), (context(48), in_1_3)]
        {
            for scheme in schemes() {
                match signer(&key).sign(scheme, &octets) {
                    Ok(signature) => {
                        assert!(good.contains(&scheme), "{scheme:?}");
                        assert!(verifies(&key, scheme, &octets, signature.as_bytes()), "{scheme:?}");
                    }
                    Err(error) => {
                        assert_eq!(error, NotSigned::Refused);
                        assert!(!good.contains(&scheme), "{scheme:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn keys_of_other_kinds_are_not_used() {
    for key in [PKey::generate_ed448().unwrap(), PKey::generate_x25519().unwrap()] {
        assert!(Signer::new(key, Vec::new()).is_none());
    }
}

#[test]
fn a_key_too_short_for_its_scheme_is_a_failure() {
    let key = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    assert_eq!(signer(&key).sign(Scheme::RsaPss(Hash::Sha512), &context(32)), Err(NotSigned::Failed));
    assert!(signer(&key).sign(Scheme::RsaPss(Hash::Sha256), &context(32)).is_ok());
}

fn refuses(octets: &[u8]) -> bool {
    version_of(octets, CERTIFICATE).is_none()
}

#[test]
fn of_tls_1_3_only_the_words_of_a_client_are_signed() {
    for length in [32, 48] {
        assert_eq!(version_of(&context(length), CERTIFICATE), Some(Version::Tls1_3));
    }
    let replaced = |from: &str, to: &str| {
        let text = String::from_utf8(context(32)).unwrap();
        assert!(text.contains(from));
        text.replacen(from, to, 1).into_bytes()
    };
    for octets in [
        Vec::new(),
        // A raw digest of any length, and any text.
        vec![7; 20],
        vec![7; 32],
        vec![7; 48],
        vec![7; 64],
        b"Pay to the bearer on demand".to_vec(),
        vec![b' '; 200],
        context(0),
        context(20),
        context(28),
        context(31),
        context(33),
        context(47),
        context(49),
        context(64),
        // The other contexts of RFC 8446 and RFC 9345.
        replaced("client CertificateVerify", "server CertificateVerify"),
        replaced("TLS 1.3, client CertificateVerify", "TLS, client delegated credentials"),
        replaced("TLS 1.3, client CertificateVerify", "QUIC 1.3, client CertificateVerify"),
        replaced("TLS 1.3", "tls 1.3"),
        replaced(" ", ""),
        replaced(" ", "  "),
        replaced(" ", "\t"),
        replaced("\0", ""),
        replaced("\0", "\0\0"),
        replaced("\0", "\n"),
    ] {
        assert!(refuses(&octets), "{}", octets.escape_ascii());
    }
}

#[test]
fn of_tls_1_2_only_a_whole_handshake_that_presents_this_certificate_is_signed() {
    let is_signed = |messages: &[(u8, Vec<u8>)]| {
        let version = version_of(&joined(messages), CERTIFICATE);
        assert_ne!(version, Some(Version::Tls1_3));
        version.is_some()
    };
    assert!(is_signed(&messages()));
    for number in 0..messages().len() {
        let with = |change: &dyn Fn(&mut Messages)| {
            let mut changed = messages();
            change(&mut changed);
            is_signed(&changed)
        };
        // With the key exchange of RSA the server sends no parameters.
        let is_parameters = messages()[number].0 == 12;
        assert_eq!(with(&|all| drop(all.remove(number))), is_parameters, "without {number}");
        assert!(!with(&|all| all.insert(number, all[number].clone())), "twice {number}");
        assert!(!with(&|all| all.insert(number, (0, Vec::new()))), "a request before {number}");
        assert!(!with(&|all| all[number].0 = 20), "another {number}");
        if number > 0 {
            assert!(!with(&|all| all.swap(number - 1, number)), "{number} first");
        }
    }
    let with = |number: usize, content: &[u8]| {
        let mut changed = messages();
        changed[number].1 = content.to_vec();
        is_signed(&changed)
    };
    for version in [b"\x03\x01", b"\x03\x02", b"\x03\x04", b"\xfe\xfd"] {
        assert!(!with(0, version) && !with(1, version), "{}", version.escape_ascii());
    }
    assert!(with(0, b"\x03\x03") && with(1, b"\x03\x03"));
    assert!(!with(5, b"x"), "an end that goes on");
    // The server may present whatever it likes, and this client nothing but its own.
    assert!(with(2, &presenting(&[CERTIFICATE])) && with(2, b"") && with(6, &presenting(&[CERTIFICATE])));
    for other in [
        presenting(&[]),
        presenting(&[b"another's"]),
        presenting(&[b"another's", CERTIFICATE]),
        presenting(&[b""]),
        [presenting(&[CERTIFICATE]), vec![0]].concat(),
        CERTIFICATE.to_vec(),
        Vec::new(),
    ] {
        assert!(!with(6, &other), "{}", other.escape_ascii());
    }
}

#[test]
fn a_handshake_that_is_cut_or_goes_on_is_not_signed() {
    let whole = joined(&messages());
    for end in 0..whole.len() {
        assert!(refuses(&whole[..end]), "{end}");
    }
    assert!(refuses(&[&whole[..], &[0]].concat()));
    assert!(refuses(&[&whole[..], &handshake_message(15, b"")].concat()));
    // What a server signs in TLS 1.2: both randoms and its parameters (RFC 5246 section 7.4.3).
    assert!(refuses(&[&[1; 64][..], b"\x03\x00\x17\x41", &[4; 65]].concat()));
}
