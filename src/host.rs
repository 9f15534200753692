//! Host names and address literals, checked at construction.
//!
//! Both processes. A [`HostName`] is safe to print, to look up, to send in SMTP and to compare: names
//! from the DNS become one before any other use, and anything that is not a host name is refused.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::idn;

/// A domain name that can be a host's: letters, digits, hyphens and underscores in labels of 1 to 63
/// octets, at most 253 octets, lower case, without the final dot (RFC 1123 section 2.1; underscores are
/// in use).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// The text is not a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHostName;

impl HostName {
    /// The longest host name, in octets.
    pub const MAX: usize = 253;

    /// Checks and lower-cases `text`; one final dot is dropped.
    pub fn parse(text: &[u8]) -> Result<HostName, NotAHostName> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        if text.len() > Self::MAX || !text.split(|&octet| octet == b'.').all(is_label) {
            return Err(NotAHostName);
        }
        String::from_utf8(text.to_ascii_lowercase()).map(HostName).map_err(|_| NotAHostName)
    }

    /// The same for a name as people write it, in any letters: it becomes A-labels.
    pub fn written(text: &[u8]) -> Result<HostName, NotAHostName> {
        HostName::parse(&idn::to_ascii(text).ok_or(NotAHostName)?)
    }

    /// The name, in lower case and without a final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label(label: &[u8]) -> bool {
    (1..=63).contains(&label.len())
        && label.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

impl TryFrom<String> for HostName {
    type Error = NotAHostName;

    fn try_from(text: String) -> Result<HostName, NotAHostName> {
        HostName::parse(text.as_bytes())
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> String {
        name.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NotAHostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a host name")
    }
}

impl std::error::Error for NotAHostName {}

/// What this host calls itself in EHLO and HELO: a host name, or an address literal in brackets (RFC 5321
/// section 4.1.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeloName(String);

impl HeloName {
    /// Checks `text`; a name is lower-cased.
    pub fn parse(text: &[u8]) -> Result<HeloName, NotAHostName> {
        match Host::parse(text)? {
            Host::Name(name) => Ok(HeloName(name.0)),
            Host::Address(_) if bracketed(text).is_none() => Err(NotAHostName),
            Host::Address(_) => String::from_utf8(text.to_vec()).map(HeloName).map_err(|_| NotAHostName),
        }
    }

    /// Whether it is this host name.
    pub fn is(&self, name: &HostName) -> bool {
        self.0 == name.0
    }
}

impl fmt::Display for HeloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where mail is to go: a name to look up, or an address as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A domain or host name.
    Name(HostName),
    /// An address literal; never looked up. An IPv4 address in IPv6's form, `::ffff:192.0.2.1`, is an IPv4 address.
    Address(IpAddr),
}

impl Host {
    /// Reads `[192.0.2.1]`, `[2001:db8::1]`, `[IPv6:2001:db8::1]`, a bare IPv4 address, or a host name in any letters.
    pub fn parse(text: &[u8]) -> Result<Host, NotAHostName> {
        match bracketed(text) {
            Some(inside) => literal(inside).map(Host::Address),
            // In ASCII and without a final dot: an address is one, however it is written.
            None => HostName::written(text).map(|name| match name.as_str().parse() {
                Ok(address) => Host::Address(IpAddr::V4(address)),
                Err(_) => Host::Name(name),
            }),
        }
    }
}

fn bracketed(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"[")?.strip_suffix(b"]")
}

fn literal(inside: &[u8]) -> Result<IpAddr, NotAHostName> {
    let tagged = inside.split_at_checked(5).filter(|(tag, _)| tag.eq_ignore_ascii_case(b"ipv6:"));
    let address = match tagged {
        Some((_, address)) => parse_as::<Ipv6Addr>(address).map(IpAddr::V6),
        None => parse_as::<IpAddr>(inside),
    };
    address.map(|address| address.to_canonical()).ok_or(NotAHostName)
}

fn parse_as<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_lower_cased() {
        assert_eq!(HostName::parse(b"MX1.Example.Test.").unwrap().as_str(), "mx1.example.test");
        assert_eq!(HostName::parse(b"_dmarc.a-b.test").unwrap().as_str(), "_dmarc.a-b.test");
        for bad in [
            &b""[..],
            b".",
            b"a..b",
            b".a",
            b"a..",
            b"a b",
            b"a;b",
            b"$(reboot).test",
            b"a/b",
            b"a\0b",
            b"a\nb",
            b"[192.0.2.1",
            b"\xc3\xa9.test",
            b"mx.test|sh",
        ] {
            assert_eq!(HostName::parse(bad), Err(NotAHostName), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn other_letters_are_for_people_only() {
        assert_eq!(HostName::written("B\u{dc}cher.Test".as_bytes()).unwrap().as_str(), "xn--bcher-kva.test");
        assert_eq!(HostName::parse("b\u{fc}cher.test".as_bytes()), Err(NotAHostName), "not from the network");
        assert_eq!(
            HostName::written("b\u{fc}cher\u{ff0f}.test".as_bytes()),
            Err(NotAHostName),
            "maps to a slash"
        );
        let name = HostName::parse(b"xn--bcher-kva.test").unwrap();
        assert_eq!(Host::parse("b\u{fc}cher.test".as_bytes()), Ok(Host::Name(name)));
    }

    #[test]
    fn lengths_are_those_of_the_dns() {
        let label = "a".repeat(63);
        assert!(HostName::parse(label.as_bytes()).is_ok());
        assert!(HostName::parse(format!("{label}a").as_bytes()).is_err());
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), HostName::MAX);
        assert!(HostName::parse(longest.as_bytes()).is_ok());
        assert!(HostName::parse(format!("{longest}a").as_bytes()).is_err());
    }

    #[test]
    fn a_host_calls_itself_by_name_or_bracketed_address() {
        let said = |text: &[u8]| HeloName::parse(text).map(|name| name.to_string());
        assert_eq!(said(b"Client.Test"), Ok("client.test".to_owned()));
        assert_eq!(said(b"[192.0.2.1]"), Ok("[192.0.2.1]".to_owned()));
        assert_eq!(said(b"[IPv6:2001:db8::1]"), Ok("[IPv6:2001:db8::1]".to_owned()));
        for bad in [&b"192.0.2.1"[..], b"a b", b"[x]", b"a\r\nMAIL"] {
            assert_eq!(said(bad), Err(NotAHostName), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn literals_come_in_the_forms_of_the_manual_page() {
        let address = |text: &str| Host::Address(text.parse().unwrap());
        assert_eq!(Host::parse(b"[128.32.183.163]"), Ok(address("128.32.183.163")));
        assert_eq!(Host::parse(b"[2001::163]"), Ok(address("2001::163")));
        assert_eq!(Host::parse(b"[IPv6:2001::163]"), Ok(address("2001::163")));
        assert_eq!(Host::parse(b"[ipv6:2001::163]"), Ok(address("2001::163")));
        for bare in ["1.2.3.4", "1.2.3.4.", "\u{ff11}.\u{ff12}.\u{ff13}.\u{ff14}"] {
            assert_eq!(Host::parse(bare.as_bytes()), Ok(address("1.2.3.4")), "{bare}");
        }
        for mapped in ["[::ffff:1.2.3.4]", "[IPv6:::FFFF:1.2.3.4]", "[0:0:0:0:0:ffff:0102:0304]"] {
            assert_eq!(Host::parse(mapped.as_bytes()), Ok(address("1.2.3.4")), "{mapped}");
        }
        for bad in [
            &b"[]"[..],
            b"[1.2.3]",
            b"[IPv6:1.2.3.4]",
            b"[mx.test]",
            b"[1.2.3.4",
            b"2001::163",
            b"[fe80::1%lo]",
        ] {
            assert_eq!(Host::parse(bad), Err(NotAHostName), "{}", bad.escape_ascii());
        }
    }
}
