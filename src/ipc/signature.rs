//! What the key of a client certificate is asked to sign, and what comes of it. Both processes.
//!
//! The child names a scheme and sends the octets to be signed in pieces; the monitor looks what they are
//! (`monitor::signer`), hashes, pads and signs. Sizes are checked when a value is made or decoded.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// The most octets that are signed: for TLS 1.2 all messages of a handshake, certificates of both sides included.
pub const MOST_OCTETS: usize = 256 * 1024;

/// A digest that TLS signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A signature scheme (RFC 8446 section 4.2.3); for TLS 1.2 a pair of RFC 5246 section 7.4.1.4.1. None has SHA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// `rsa_pkcs1_*`.
    RsaPkcs1(Hash),
    /// `rsa_pss_rsae_*`: the salt is as long as the digest.
    RsaPss(Hash),
    /// `ecdsa_*`; in TLS 1.2 the digest does not follow from the curve.
    Ecdsa(Hash),
    /// `ed25519`.
    Ed25519,
}

/// Octets to be signed, or a part of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Piece(Vec<u8>);

impl Piece {
    /// The most octets of one.
    pub const MAX: usize = 4096;

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Signature(Vec<u8>);

impl Signature {
    /// The most octets of one: that of an RSA key of 16384 bits, the longest that OpenSSL knows.
    pub const MAX: usize = 2048;

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// None at all, or too many octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength;

impl std::fmt::Display for BadLength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("empty or too long")
    }
}

impl TryFrom<Vec<u8>> for Piece {
    type Error = BadLength;

    fn try_from(octets: Vec<u8>) -> Result<Piece, BadLength> {
        if (1..=Piece::MAX).contains(&octets.len()) { Ok(Piece(octets)) } else { Err(BadLength) }
    }
}

impl From<Piece> for Vec<u8> {
    fn from(Piece(octets): Piece) -> Vec<u8> {
        octets
    }
}

impl TryFrom<Vec<u8>> for Signature {
    type Error = BadLength;

    fn try_from(octets: Vec<u8>) -> Result<Signature, BadLength> {
        if (1..=Signature::MAX).contains(&octets.len()) { Ok(Signature(octets)) } else { Err(BadLength) }
    }
}

impl From<Signature> for Vec<u8> {
    fn from(Signature(octets): Signature) -> Vec<u8> {
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_signatures_have_a_length() {
        for (most, fits) in [
            (Piece::MAX, (|octets| Piece::try_from(octets).is_ok()) as fn(Vec<u8>) -> bool),
            (Signature::MAX, |octets| Signature::try_from(octets).is_ok()),
        ] {
            assert!(fits(vec![1]) && fits(vec![1; most]));
            assert!(!fits(Vec::new()) && !fits(vec![1; most + 1]));
        }
    }
}
