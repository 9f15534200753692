//! A local address as control files write it: `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::IpAddr;

/// An address to connect from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The address.
    pub address: IpAddr,
    /// The interface that a link-local address belongs to.
    pub interface: Option<String>,
}

impl LocalAddress {
    /// None: not an address.
    pub fn parse(text: &[u8]) -> Option<LocalAddress> {
        let text = std::str::from_utf8(text).ok()?;
        let (address, interface) = match text.split_once('%') {
            Some((address, interface)) => (address, Some(interface)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        match interface {
            None => Some(LocalAddress { address, interface: None }),
            Some(name) if is_interface(name) => {
                Some(LocalAddress { address, interface: Some(name.to_owned()) })
            }
            Some(_) => None,
        }
    }
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{}%{interface}", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// What the kernel takes for a name: 1 to 15 octets, no slash, no colon, no blank.
fn is_interface(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && name.bytes().all(|octet| octet.is_ascii_graphic() && !b"/:|".contains(&octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_interface() {
        let parse = |text: &str| LocalAddress::parse(text.as_bytes());
        let plain = |address: &str| Some(LocalAddress { address: address.parse().unwrap(), interface: None });
        assert_eq!(parse("10.1.1.0"), plain("10.1.1.0"));
        assert_eq!(parse("2001::fefe"), plain("2001::fefe"));
        let scoped = LocalAddress { address: "fe80::1".parse().unwrap(), interface: Some("eth0".into()) };
        assert_eq!(parse("fe80::1%eth0"), Some(scoped));
        for bad in [
            "",
            "x",
            "10.1.1",
            "[2001::1]",
            "fe80::1%",
            "fe80::1%a/b",
            "fe80::1%abcdefghijklmnop",
            " 10.1.1.0",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
