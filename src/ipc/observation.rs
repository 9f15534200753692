//! What the network child sees while it probes, for people to read. Both processes; hostile until decoded, and believed
//! for nothing.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use crate::host::HostName;

/// The first few of some things: what fits a frame and a screen. Of small things a frame would hold thousands, and each
/// takes more memory than its octets there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<T>")]
pub struct Few<T>(Vec<T>);

/// There are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl<T> Few<T> {
    /// The most there may be.
    pub const MAX: usize = 16;
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> FromIterator<T> for Few<T> {
    /// As many of them as there may be.
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Few<T> {
        Few(things.into_iter().take(Self::MAX).collect())
    }
}

impl<T> TryFrom<Vec<T>> for Few<T> {
    type Error = TooMany;

    fn try_from(things: Vec<T>) -> Result<Few<T>, TooMany> {
        if things.len() <= Self::MAX { Ok(Few(things)) } else { Err(TooMany) }
    }
}

impl std::fmt::Display for TooMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("too many")
    }
}

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observation {
    /// The resolvers were asked for the root's SOA record.
    Resolver(ResolverSeen),
    /// A server that will be tried.
    Exchanger(ExchangerSeen),
    /// A handshake came to its end.
    Session(SessionSeen),
    /// One certificate of the chain that the server showed, its own first.
    Certificate(CertificateSeen),
    /// The envelope would be sent now.
    Ready,
}

/// What the resolvers do with DNSSEC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResolverSeen {
    /// The answer came with the AD bit.
    Validates,
    /// It came without.
    DoesNotValidate,
    /// There was none.
    Silent,
}

/// A server, as the DNS has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangerSeen {
    /// Its name; none for an address.
    pub name: Option<HostName>,
    /// Where it may be reached.
    pub addresses: Few<IpAddr>,
    /// Whether DNSSEC vouches for its name, or a control file gives it.
    pub name_is_secure: bool,
    /// What TLSA records demand.
    pub tlsa: TlsaSeen,
}

/// TLSA records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsaSeen {
    /// The rule does not have them asked for.
    NotAsked,
    /// Name or addresses are not secure, so there is nothing to ask.
    Insecure,
    /// There are none, or none that are secure.
    Absent,
    /// These are usable, under this name.
    Match(HostName, Few<RecordSeen>),
    /// There are some, and none is usable: these, under this name.
    Unusable(HostName, Few<RecordSeen>),
    /// They cannot be looked up.
    Unknown,
}

/// A TLSA record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSeen {
    /// Certificate usage, selector and matching type.
    pub parameters: (u8, u8, u8),
    /// The start of its data, hexadecimal.
    pub data: Reason,
}

/// A TLS session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSeen {
    /// The protocol's version, as OpenSSL names it.
    pub version: Reason,
    /// The cipher suite, as OpenSSL names it.
    pub cipher: Reason,
    /// Usage, selector and matching type of the TLSA record that matched.
    pub matched: Option<(u8, u8, u8)>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSeen {
    /// Its subject.
    pub subject: Reason,
    /// Its issuer.
    pub issuer: Reason,
    /// The alternative names for hosts and addresses.
    pub names: Few<Reason>,
    /// Until when it is valid.
    pub not_after: Reason,
    /// SHA-256 of the certificate, hexadecimal: what a rule with `%` compares.
    pub sha256: Reason,
    /// SHA-256 of its public key, hexadecimal: what a TLSA record `3 1 1` holds, or `2 1 1` for an authority.
    pub key_sha256: Reason,
}
