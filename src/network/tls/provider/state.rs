//! What the provider's objects hold, apart from how OpenSSL reaches them.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use crate::ipc::signature::{Hash, Scheme};

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// RSA, for PKCS#1 v1.5 and PSS.
    Rsa,
    /// A point of a named curve.
    Ec,
    /// Ed25519.
    Ed25519,
}

impl Kind {
    /// The parameters that are the public half (EVP_PKEY-RSA(7), EVP_PKEY-EC(7), EVP_PKEY-ED25519(7)).
    pub(super) fn parts(self) -> &'static [&'static CStr] {
        match self {
            Kind::Rsa => &[c"n", c"e"],
            Kind::Ec => &[GROUP, c"pub"],
            Kind::Ed25519 => &[c"pub"],
        }
    }
}

/// The parameter that names the curve.
pub(super) const GROUP: &CStr = c"group";

/// The public half of a key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// In the order of [`Kind::parts`]; numbers as this machine writes them. Empty: not imported yet.
    pub(super) parts: Vec<Vec<u8>>,
}

impl Key {
    /// Without content.
    pub(super) fn new(kind: Kind) -> Key {
        Key { kind, parts: Vec::new() }
    }

    /// How long it is.
    pub(super) fn bits(&self) -> usize {
        match (self.kind, self.parts.as_slice()) {
            (Kind::Rsa, [modulus, _]) => modulus.len().saturating_mul(8),
            // A point in long form: one octet and two coordinates.
            (Kind::Ec, [_, point]) => point.len().saturating_sub(1).saturating_mul(4),
            (Kind::Ed25519, [_]) => 256,
            _ => 0,
        }
    }

    /// As strong as a symmetric key of so many bits (NIST SP 800-57 part 1, table 2).
    pub(super) fn security_bits(&self) -> usize {
        match (self.kind, self.bits()) {
            (Kind::Rsa, 15360..) => 256,
            (Kind::Rsa, 7680..) => 192,
            (Kind::Rsa, 3072..) => 128,
            (Kind::Rsa, 2048..) => 112,
            (Kind::Rsa, _) => 80,
            (Kind::Ec | Kind::Ed25519, bits) => bits.div_ceil(2),
        }
    }

    /// The longest signature.
    pub(super) fn longest_signature(&self) -> usize {
        let octets = self.bits().div_ceil(8);
        match self.kind {
            Kind::Rsa => octets,
            // Two numbers with a sign bit, and the DER around them.
            Kind::Ec => octets.saturating_mul(2).saturating_add(16),
            Kind::Ed25519 => 64,
        }
    }

    /// The name of the curve.
    pub(super) fn group(&self) -> Option<&[u8]> {
        match (self.kind, self.parts.as_slice()) {
            (Kind::Ec, [group, _]) => Some(group),
            _ => None,
        }
    }
}

/// How RSA pads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    Pkcs1,
    Pss,
}

impl Padding {
    /// From the name that parameters have.
    pub(super) fn named(name: &[u8]) -> Option<Padding> {
        match name {
            b"pkcs1" => Some(Padding::Pkcs1),
            b"pss" => Some(Padding::Pss),
            _ => None,
        }
    }

    /// From the number that parameters have (openssl/rsa.h).
    pub(super) fn numbered(number: i32) -> Option<Padding> {
        match number {
            1 => Some(Padding::Pkcs1),
            6 => Some(Padding::Pss),
            _ => None,
        }
    }
}

/// The length of PSS's salt, as parameters have it: that of the digest, by name or by number.
pub(super) const SALT_AS_DIGEST: (&[u8], i32) = (b"digest", -1);

/// A signature under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    kind: Kind,
    longest: usize,
    hash: Option<Hash>,
    padding: Padding,
}

impl Operation {
    /// With `key`, of this digest. None: no scheme has them both.
    pub(super) fn new(key: &Key, digest: Option<&[u8]>) -> Option<Operation> {
        let hash = match digest {
            None | Some(b"") => None,
            Some(name) => match name.to_ascii_uppercase().as_slice() {
                b"SHA256" | b"SHA2-256" | b"SHA-256" => Some(Hash::Sha256),
                b"SHA384" | b"SHA2-384" | b"SHA-384" => Some(Hash::Sha384),
                b"SHA512" | b"SHA2-512" | b"SHA-512" => Some(Hash::Sha512),
                _ => return None,
            },
        };
        let operation =
            Operation { kind: key.kind, longest: key.longest_signature(), hash, padding: Padding::Pkcs1 };
        operation.scheme().map(|_| operation)
    }

    /// Pads otherwise. False: this key does not pad.
    pub(super) fn pad(&mut self, padding: Padding) -> bool {
        self.padding = padding;
        self.kind == Kind::Rsa
    }

    /// The scheme.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        match (self.kind, self.padding, self.hash) {
            (Kind::Rsa, Padding::Pkcs1, Some(hash)) => Some(Scheme::RsaPkcs1(hash)),
            (Kind::Rsa, Padding::Pss, Some(hash)) => Some(Scheme::RsaPss(hash)),
            (Kind::Ec, _, Some(hash)) => Some(Scheme::Ecdsa(hash)),
            (Kind::Ed25519, _, None) => Some(Scheme::Ed25519),
            (Kind::Rsa | Kind::Ec, _, None) | (Kind::Ed25519, _, Some(_)) => None,
        }
    }

    /// The longest signature.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_long_as_their_public_half() {
        let of = |kind, parts: &[usize]| {
            let key = Key { kind, parts: parts.iter().map(|&length| vec![1; length]).collect() };
            (key.bits(), key.security_bits(), key.longest_signature())
        };
        assert_eq!(of(Kind::Rsa, &[256, 3]), (2048, 112, 256));
        assert_eq!(of(Kind::Rsa, &[384, 3]), (3072, 128, 384));
        assert_eq!(of(Kind::Ec, &[10, 65]), (256, 128, 80));
        assert_eq!(of(Kind::Ec, &[9, 97]), (384, 192, 112));
        assert_eq!(of(Kind::Ed25519, &[32]), (256, 128, 64));
        assert_eq!(of(Kind::Rsa, &[]), (0, 80, 0));
    }

    #[test]
    fn a_scheme_needs_a_digest_that_the_key_is_used_with() {
        let scheme = |kind, digest: Option<&str>| {
            let operation = Operation::new(&Key::new(kind), digest.map(str::as_bytes));
            operation.and_then(|operation| operation.scheme())
        };
        assert_eq!(scheme(Kind::Rsa, Some("SHA2-256")), Some(Scheme::RsaPkcs1(Hash::Sha256)));
        assert_eq!(scheme(Kind::Ec, Some("sha384")), Some(Scheme::Ecdsa(Hash::Sha384)));
        assert_eq!(scheme(Kind::Ec, Some("SHA512")), Some(Scheme::Ecdsa(Hash::Sha512)));
        assert_eq!(scheme(Kind::Ed25519, None), Some(Scheme::Ed25519));
        assert_eq!(scheme(Kind::Ed25519, Some("")), Some(Scheme::Ed25519));
        for (kind, digest) in [
            (Kind::Rsa, None),
            (Kind::Ec, None),
            (Kind::Ed25519, Some("SHA256")),
            (Kind::Rsa, Some("SHA1")),
            (Kind::Rsa, Some("MD5-SHA1")),
            (Kind::Ec, Some("SHA2-224")),
        ] {
            assert_eq!(scheme(kind, digest), None, "{kind:?} {digest:?}");
        }
    }

    #[test]
    fn only_rsa_pads() {
        let mut operation = Operation::new(&Key::new(Kind::Rsa), Some(b"SHA256")).unwrap();
        assert!(operation.pad(Padding::Pss));
        assert_eq!(operation.scheme(), Some(Scheme::RsaPss(Hash::Sha256)));
        assert!(!Operation::new(&Key::new(Kind::Ec), Some(b"SHA256")).unwrap().pad(Padding::Pss));
        assert_eq!((Padding::named(b"pss"), Padding::numbered(6)), (Some(Padding::Pss), Some(Padding::Pss)));
        assert_eq!((Padding::named(b"none"), Padding::numbered(3)), (None, None));
    }
}
