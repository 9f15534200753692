//! `tlsdestinations`: which TLS a destination needs, `destination:cafile|ciphers|verifydepth;[s]port|domain` or
//! `destination:=fingerprint|...`.
//!
//! Parsing and selection of the rule; numbers in comments are those of the manual page.
#![forbid(unsafe_code)]

use std::path::Path;

use super::keys::{self, Keys};
use super::lines::{Entry, Plain};
use super::routes::{Origin, parse_port};
use super::{ControlDirectory, ControlError, HOME};
use crate::host::{Host, HostName};
use crate::idn;
use crate::plan::{SMTPS, TlsStart};
use crate::tls_policy::{CertificateNeed, Digest, Fingerprint, Need, TlsPolicy, TrustAnchors};

/// The file's name.
pub const FILE: &str = "tlsdestinations";

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// (0) `*`: TLS when offered.
    Optional,
    /// (1) `?`, (19) `?host`: TLS when offered, in clear when its handshake fails.
    OptionalOrClear,
    /// (2) `-`: TLS when offered, anonymous suites too.
    OptionalAnonymous,
    /// (3) `/`, (20) `/host`: as (0), without TLSA.
    OptionalWithoutTlsa,
    /// (4) `-*`, (15) `-host`: TLS, at least anonymous.
    Anonymous,
    /// (5) `+*`: TLS, the certificate's chain verified.
    Chain,
    /// (6) `~*`, (14) `~host`: chain and name; wildcards and parent domains match.
    Name,
    /// (7) `=*`, (13) `=host`: chain and exact name.
    ExactName,
    /// (8) `/*`: TLS, without TLSA.
    WithoutTlsa,
    /// (9) to (12), (18) `host`: TLS; the chain verified when a CA is given.
    Required,
    /// (16) `%host`: TLS, the certificate with this fingerprint.
    Pinned,
    /// (17) `!host`: no STARTTLS.
    Never,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsRule {
    /// Where it stands; none for the rule without a line.
    pub origin: Option<Origin>,
    /// What its key asks for.
    pub kind: Kind,
    /// Whom to trust instead of the system's trust store.
    pub trust_anchors: Option<TrustAnchors>,
    /// OpenSSL's cipher string, for TLS 1.2 and below.
    pub ciphers: Option<String>,
    /// How long the chain may be.
    pub verify_depth: Option<u32>,
    /// The port, which wins over the route's, and how TLS starts there.
    pub port: Option<(TlsStart, u16)>,
    /// Of the certificate to expect; only with [`Kind::Pinned`].
    pub fingerprint: Option<Fingerprint>,
}

impl TlsRule {
    /// (0): what holds without any line.
    pub fn default_rule() -> TlsRule {
        TlsRule {
            origin: None,
            kind: Kind::Optional,
            trust_anchors: None,
            ciphers: None,
            verify_depth: None,
            port: None,
            fingerprint: None,
        }
    }

    /// What the rule demands.
    pub fn policy(&self) -> TlsPolicy {
        use Kind::{Anonymous, Chain, ExactName, Name, Never, Optional, OptionalAnonymous, OptionalOrClear};
        use Kind::{OptionalWithoutTlsa, Pinned, Required, WithoutTlsa};
        let need = match self.kind {
            Never => Need::Never,
            OptionalOrClear => Need::OrClear,
            Optional | OptionalAnonymous | OptionalWithoutTlsa => Need::Optional,
            Anonymous | Chain | Name | ExactName | WithoutTlsa | Required | Pinned => Need::Required,
        };
        let anchors = || self.trust_anchors.clone().unwrap_or(TrustAnchors::System);
        let certificate = match self.kind {
            Chain => CertificateNeed::Chain(anchors()),
            Name => CertificateNeed::Name(anchors()),
            ExactName => CertificateNeed::ExactName(anchors()),
            Anonymous | OptionalAnonymous => CertificateNeed::Anonymous,
            Never | OptionalOrClear | Optional | OptionalWithoutTlsa | WithoutTlsa | Required | Pinned => {
                match &self.trust_anchors {
                    Some(anchors) => CertificateNeed::Chain(anchors.clone()),
                    None => CertificateNeed::Nothing,
                }
            }
        };
        TlsPolicy {
            need,
            certificate,
            pin: self.fingerprint.clone(),
            ciphers: self.ciphers.clone(),
            verify_depth: self.verify_depth,
            tlsa: !matches!(self.kind, Never | OptionalWithoutTlsa | WithoutTlsa | Pinned),
        }
    }
}

/// The rule for `destination`: the relay as its route writes it, else the host argument. Lines bound to another
/// domain than `sender`'s do not exist.
pub fn look_up(
    control: &ControlDirectory,
    destination: &[u8],
    host: &Host,
    sender: &[u8],
) -> Result<TlsRule, ControlError> {
    let (kinds, keys) = split(keys_for(destination, host));
    match control.find::<Plain>(FILE, &keys, |value| is_for(value, sender))? {
        Some(entry) => parsed(entry, &kinds),
        None => Ok(TlsRule::default_rule()),
    }
}

/// The rule for the name of an exchanger, when a line names it or a domain above it.
pub fn look_up_exchanger(
    control: &ControlDirectory,
    exchanger: &HostName,
    sender: &[u8],
) -> Result<Option<TlsRule>, ControlError> {
    let host = Host::Name(exchanger.clone());
    let (kinds, keys) = split(specific_keys(exchanger.as_str().as_bytes(), &host));
    let entry = control.find::<Plain>(FILE, &keys, |value| is_for(value, sender))?;
    entry.map(|entry| parsed(entry, &kinds)).transpose()
}

/// Whether the file is there.
pub fn exists(control: &ControlDirectory) -> Result<bool, ControlError> {
    Ok(control.file(FILE)?.is_some())
}

fn split(keys: Vec<(Kind, Vec<u8>)>) -> (Vec<Kind>, Keys) {
    let (kinds, keys): (Vec<Kind>, Vec<Vec<u8>>) = keys.into_iter().unzip();
    (kinds, Keys::new(keys))
}

fn parsed(entry: Entry<Plain>, kinds: &[Kind]) -> Result<TlsRule, ControlError> {
    let kind = *kinds.get(entry.level).ok_or(ControlError::Unreadable)?;
    parse(&entry.value?, Origin { file: FILE, line: entry.line }, kind)
}

/// All keys in the order in which the first match wins.
pub fn keys_for(destination: &[u8], host: &Host) -> Vec<(Kind, Vec<u8>)> {
    [specific_keys(destination, host), generic_keys()].concat()
}

/// The keys of one host, in the order in which the first match wins.
fn specific_keys(destination: &[u8], host: &Host) -> Vec<(Kind, Vec<u8>)> {
    use Kind::{Anonymous, ExactName, Name, Never, OptionalOrClear, OptionalWithoutTlsa, Pinned, Required};
    let levels = keys::of_host(destination, host);
    let whole = match host {
        // In ASCII and in its own letters.
        Host::Name(_) => levels.split(|level| level.starts_with(b".")).next().unwrap_or_default(),
        Host::Address(_) => &levels,
    };
    let specific = [
        (Never, "!", levels.as_slice()),
        (Pinned, "%", whole),
        (ExactName, "=", whole),
        (Name, "~", &levels),
        (Required, "", &levels),
        (Anonymous, "-", &levels),
        (OptionalOrClear, "?", &levels),
        (OptionalWithoutTlsa, "/", &levels),
    ];
    let specific = specific.into_iter().flat_map(|(kind, prefix, levels)| {
        levels.iter().map(move |level| (kind, [prefix.as_bytes(), level].concat()))
    });
    specific.collect()
}

/// The keys for all hosts, which come after those of one.
fn generic_keys() -> Vec<(Kind, Vec<u8>)> {
    use Kind::{Anonymous, Chain, ExactName, Name, Optional, OptionalAnonymous, OptionalOrClear};
    use Kind::{OptionalWithoutTlsa, WithoutTlsa};
    let generic = [
        (ExactName, "=*"),
        (Name, "~*"),
        (Chain, "+*"),
        (Anonymous, "-*"),
        (WithoutTlsa, "/*"),
        (Optional, "*"),
        (OptionalOrClear, "?"),
        (OptionalAnonymous, "-"),
        (OptionalWithoutTlsa, "/"),
    ];
    generic.map(|(kind, key)| (kind, key.as_bytes().to_vec())).to_vec()
}

/// (12): whether a line without a fourth field, or for the sender's domain or one above it.
fn is_for(value: &[u8], sender: &[u8]) -> bool {
    let Some(bound) = bound_to(value) else {
        return true;
    };
    let Some(domain) = keys::domain(sender).and_then(idn::to_ascii) else {
        return false;
    };
    keys::and_those_above(&domain).any(|domain| domain.eq_ignore_ascii_case(bound.as_str().as_bytes()))
}

/// The sender's domain that a line is bound to. One that is malformed might be this sender's, and is refused when it
/// is parsed: none.
pub fn bound_to(value: &[u8]) -> Option<HostName> {
    sender_field(value).and_then(|bound| HostName::written(bound).ok())
}

fn sender_field(value: &[u8]) -> Option<&[u8]> {
    value.splitn(4, |&octet| octet == b'|').nth(3).filter(|bound| !bound.is_empty())
}

/// Reads the value of a line whose key asks for `kind`.
pub fn parse(value: &[u8], origin: Origin, kind: Kind) -> Result<TlsRule, ControlError> {
    if sender_field(value).is_some() && bound_to(value).is_none() {
        return Err(origin.bad("the sender's domain is not a domain"));
    }
    let mut fields: Vec<&[u8]> = value.splitn(4, |&octet| octet == b'|').take(3).collect();
    let mut port = None;
    // The port follows the last field that is there; `host:;35` has no other.
    if let Some(last) = fields.last_mut()
        && let Some(at) = last.iter().rposition(|&octet| octet == b';')
    {
        let (before, after) = last.split_at(at);
        let (start, number) = after
            .get(1..)
            .and_then(parse_port)
            .ok_or_else(|| origin.bad("the port is not a number from 1 to 65535"))?;
        port = number.map(|number| (start_at(number, start), number));
        *last = before;
    }
    let mut fields = fields.into_iter();
    let [first, second, third] = [fields.next(), fields.next(), fields.next()].map(Option::unwrap_or_default);
    // The manual page's (15) has its ciphers where the depth belongs.
    let (ciphers, depth) = match second {
        b"" if third.iter().any(|octet| !octet.is_ascii_digit()) => (third, &b""[..]),
        _ => (second, third),
    };
    let (fingerprint, anchors) = match first.strip_prefix(b"=") {
        Some(hex) => (Some(parse_fingerprint(hex, origin)?), None),
        None => (None, trust_anchors(first, origin)?),
    };
    match (kind, &fingerprint) {
        (Kind::Pinned, None) => return Err(origin.bad("there is no fingerprint: write %host:=DIGITS")),
        (Kind::Pinned, Some(_)) | (_, None) => {}
        (_, Some(_)) => return Err(origin.bad("a fingerprint needs a key that starts with %")),
    }
    Ok(TlsRule {
        origin: Some(origin),
        kind,
        trust_anchors: anchors,
        ciphers: cipher_string(ciphers, origin)?,
        verify_depth: match depth {
            b"" => None,
            text => Some(number(text).ok_or_else(|| origin.bad("the verify depth is not a number"))?),
        },
        port,
        fingerprint,
    })
}

/// How TLS starts at a port that is written this way: 465 is SMTPS with or without its `s`.
pub fn start_at(port: u16, written: TlsStart) -> TlsStart {
    if port == SMTPS { TlsStart::Implicit } else { written }
}

/// A relative name begins at qmail's home, where s/qmail runs.
fn trust_anchors(field: &[u8], origin: Origin) -> Result<Option<TrustAnchors>, ControlError> {
    let Some(last) = field.last() else {
        return Ok(None);
    };
    let name = std::str::from_utf8(field);
    let name = name.map_err(|_| origin.bad("the name of the CA file or directory is not text"))?;
    let path = Path::new(HOME).join(name);
    if path.as_os_str().len() > TrustAnchors::MAX {
        return Err(origin.bad("the name of the CA file or directory has more than 1024 octets"));
    }
    Ok(Some(match last {
        b'/' => TrustAnchors::Directory(path),
        _ => TrustAnchors::File(path),
    }))
}

fn cipher_string(text: &[u8], origin: Origin) -> Result<Option<String>, ControlError> {
    if text.len() > TlsPolicy::MAX_CIPHERS {
        return Err(origin.bad("the ciphers have more than 4096 octets"));
    }
    let text = String::from_utf8(text.to_vec()).map_err(|_| origin.bad("the ciphers are not text"))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn parse_fingerprint(text: &[u8], origin: Origin) -> Result<Fingerprint, ControlError> {
    let digits: Vec<u8> = text.iter().copied().filter(|&octet| octet != b':').collect();
    let hex = String::from_utf8(digits.to_ascii_uppercase()).ok();
    let hex = hex.filter(|hex| !hex.is_empty() && hex.bytes().all(|octet| octet.is_ascii_hexdigit()));
    let hex = hex.ok_or_else(|| origin.bad("the fingerprint is not hexadecimal"))?;
    if hex.len() > Fingerprint::MAX {
        return Err(origin.bad("the fingerprint has more than 256 digits"));
    }
    let digest = match hex.len() {
        40 => Some(Digest::Sha1),
        56 => Some(Digest::Sha224),
        64 => Some(Digest::Sha256),
        96 => Some(Digest::Sha384),
        128 => Some(Digest::Sha512),
        _ => None,
    };
    Ok(Fingerprint { hex, digest })
}

fn number(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|_| text.bytes().all(|octet| octet.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
