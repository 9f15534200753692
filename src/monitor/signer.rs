//! The key of a client certificate, and what it signs: the CertificateVerify of a TLS client, and nothing else. Monitor
//! only, confined.
//!
//! The octets and the scheme come from the network child, which may be hostile, and in part from the server. The key would
//! be worth as much to it as the key's file if it signed whatever it is given. So only what no other use of a key signs is
//! signed: for TLS 1.3 the form that RFC 8446 section 4.4.3 gives to clients, and for TLS 1.2 a whole handshake as far as
//! this message (RFC 5246 section 7.4.8), in which the server asks for a certificate and the client presents this one.
#![forbid(unsafe_code)]

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer as Operation};

use crate::ipc::signature::{Hash, Scheme, Signature};

/// A private key and the certificate that it belongs to.
#[derive(Debug)]
pub struct Signer {
    key: PKey<Private>,
    kind: Kind,
    /// DER, as the client presents it.
    certificate: Vec<u8>,
}

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSigned {
    /// It is not what a TLS client signs, or not in the way of this key.
    Refused,
    /// OpenSSL cannot.
    Failed,
}

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    /// With the digest that TLS 1.3 has for the curve.
    Ec(Option<Hash>),
    Ed25519,
}

/// The version of TLS whose CertificateVerify it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Tls1_2,
    Tls1_3,
}

impl Signer {
    /// With the certificate of this key, DER. None: the key is of a kind that is not used.
    pub fn new(key: PKey<Private>, certificate: Vec<u8>) -> Option<Signer> {
        let kind = match key.id() {
            Id::RSA => Kind::Rsa,
            Id::EC => Kind::Ec(match key.ec_key().ok()?.group().curve_name() {
                Some(Nid::X9_62_PRIME256V1) => Some(Hash::Sha256),
                Some(Nid::SECP384R1) => Some(Hash::Sha384),
                Some(Nid::SECP521R1) => Some(Hash::Sha512),
                Some(_) | None => None,
            }),
            Id::ED25519 => Kind::Ed25519,
            _ => return None,
        };
        Some(Signer { key, kind, certificate })
    }

    /// Signs these octets, if they are what a client with this certificate signs by this scheme.
    pub fn sign(&self, scheme: Scheme, octets: &[u8]) -> Result<Signature, NotSigned> {
        let version = version_of(octets, &self.certificate).ok_or(NotSigned::Refused)?;
        if !fits(self.kind, scheme, version) {
            return Err(NotSigned::Refused);
        }
        let signature = self.signature(scheme, octets).map_err(|_| NotSigned::Failed)?;
        Signature::try_from(signature).map_err(|_| NotSigned::Failed)
    }

    fn signature(&self, scheme: Scheme, octets: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let mut operation = match scheme {
            Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash) | Scheme::Ecdsa(hash) => {
                Operation::new(digest(hash), &self.key)?
            }
            Scheme::Ed25519 => Operation::new_without_digest(&self.key)?,
        };
        if let Scheme::RsaPss(_) = scheme {
            operation.set_rsa_padding(Padding::PKCS1_PSS)?;
            operation.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
        }
        operation.sign_oneshot_to_vec(octets)
    }
}

fn digest(hash: Hash) -> MessageDigest {
    match hash {
        Hash::Sha256 => MessageDigest::sha256(),
        Hash::Sha384 => MessageDigest::sha384(),
        Hash::Sha512 => MessageDigest::sha512(),
    }
}

/// Whether keys of this kind sign so in this version (RFC 8446 section 4.2.3).
fn fits(kind: Kind, scheme: Scheme, version: Version) -> bool {
    match (kind, scheme, version) {
        (Kind::Rsa, Scheme::RsaPss(_), _)
        | (Kind::Rsa, Scheme::RsaPkcs1(_), Version::Tls1_2)
        | (Kind::Ec(_), Scheme::Ecdsa(_), Version::Tls1_2)
        | (Kind::Ed25519, Scheme::Ed25519, _) => true,
        (Kind::Ec(of_curve), Scheme::Ecdsa(hash), Version::Tls1_3) => of_curve == Some(hash),
        (Kind::Rsa | Kind::Ec(_) | Kind::Ed25519, ..) => false,
    }
}

/// Of which version these octets are what a client with this certificate signs.
fn version_of(octets: &[u8], certificate: &[u8]) -> Option<Version> {
    if is_tls_1_3(octets) {
        Some(Version::Tls1_3)
    } else if is_tls_1_2(octets, certificate) {
        Some(Version::Tls1_2)
    } else {
        None
    }
}

/// RFC 8446 section 4.4.3: blanks, the context of a client, a zero, and the hash of the handshake.
fn is_tls_1_3(octets: &[u8]) -> bool {
    const BLANKS: [u8; 64] = [b' '; 64];
    let context = octets.strip_prefix(&BLANKS);
    let hash = context.and_then(|rest| rest.strip_prefix(b"TLS 1.3, client CertificateVerify\0"));
    // The suites of TLS 1.3 have SHA-256 and SHA-384, whatever the signature has.
    hash.is_some_and(|hash| matches!(hash.len(), 32 | 48))
}

/// What a message of a handshake is, by its number (RFC 5246 section 7.4, RFC 6066 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handshake {
    ClientHello = 1,
    ServerHello = 2,
    Certificate = 11,
    ServerKeyExchange = 12,
    CertificateRequest = 13,
    ServerHelloDone = 14,
    ClientKeyExchange = 16,
}

/// RFC 5246 section 7.3: the handshake as far as the message that is to be signed. Whether a message may be missing.
const HANDSHAKE: [(Handshake, bool); 8] = [
    (Handshake::ClientHello, false),
    (Handshake::ServerHello, false),
    (Handshake::Certificate, false),
    (Handshake::ServerKeyExchange, true),
    (Handshake::CertificateRequest, false),
    (Handshake::ServerHelloDone, false),
    (Handshake::Certificate, false),
    (Handshake::ClientKeyExchange, false),
];

/// All of these messages in their order, in the version's words, with this certificate as the client's.
fn is_tls_1_2(octets: &[u8], certificate: &[u8]) -> bool {
    const VERSION: [u8; 2] = [3, 3];
    let mut left = octets;
    let mut client_presents = None;
    for (expected, may_be_missing) in HANDSHAKE {
        let Some((content, rest)) = message(expected, left) else {
            if may_be_missing {
                continue;
            }
            return false;
        };
        let is_good = match expected {
            Handshake::ClientHello | Handshake::ServerHello => content.starts_with(&VERSION),
            Handshake::ServerHelloDone => content.is_empty(),
            Handshake::Certificate => {
                // The server's comes first, and is what it is.
                client_presents = first_certificate(content);
                true
            }
            Handshake::ServerKeyExchange | Handshake::CertificateRequest | Handshake::ClientKeyExchange => {
                true
            }
        };
        if !is_good {
            return false;
        }
        left = rest;
    }
    left.is_empty() && client_presents == Some(certificate)
}

/// The content of a message of this kind at the start, and what follows it.
fn message(kind: Handshake, octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = octets.strip_prefix(&[kind as u8])?;
    counted(rest)
}

/// The first certificate of a list, which must be all that the message has.
fn first_certificate(content: &[u8]) -> Option<&[u8]> {
    let (list, after) = counted(content)?;
    let (first, _) = counted(list)?;
    after.is_empty().then_some(first)
}

/// As many octets as the first three say, and what follows them.
fn counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[high, middle, low], rest) = octets.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests;
