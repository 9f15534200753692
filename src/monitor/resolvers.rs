//! Which resolvers to ask, and whether their AD bit counts. Monitor only, before the fork.
//!
//! `/etc/resolv.conf` is the administrator's; `DNSCACHEIP` is the caller's and has been dropped by
//! [`crate::startup`] when the process holds privilege that its caller lacks. As for libc, lines that are
//! not understood are passed over, and a file that names no server, or is missing, means a resolver on this
//! machine; but not when lines for servers were there and none of them can be used.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr};

use resolv_conf::{Config, ScopedIp};

use super::control::ControlError;
use crate::plan::Resolvers;

const FILE: &str = "/etc/resolv.conf";
/// As resolv.conf(5): MAXNS.
const MOST_SERVERS: usize = 3;
/// A resolv.conf is a few lines.
const LONGEST_FILE: u64 = 64 * 1024;

/// The resolvers in force.
pub fn resolvers(dns_cache_ip: Option<&OsStr>) -> Result<Resolvers, ControlError> {
    let mut text = Vec::new();
    if dns_cache_ip.is_some() {
        return from_text(&text, dns_cache_ip);
    }
    match std::fs::File::open(FILE) {
        Ok(file) => {
            file.take(LONGEST_FILE).read_to_end(&mut text)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(_) => return Err(ControlError::Unreadable),
    }
    from_text(&text, dns_cache_ip)
}

/// The resolvers of a resolv.conf, or `DNSCACHEIP` instead.
pub fn from_text(text: &[u8], dns_cache_ip: Option<&OsStr>) -> Result<Resolvers, ControlError> {
    let (config, _) = Config::parse_with_errors(text);
    let servers = match dns_cache_ip {
        Some(list) => {
            let words = list.to_str().ok_or(ControlError::Unreadable)?.split_ascii_whitespace();
            words.map(str::parse).collect::<Result<_, _>>().map_err(|_| ControlError::Unreadable)?
        }
        None => config.nameservers,
    };
    // A link-local server needs its interface, which a plain address does not carry.
    let plain = servers.iter().filter_map(|server| match server {
        ScopedIp::V4(address) => Some(IpAddr::V4(*address)),
        ScopedIp::V6(address, None) => Some(IpAddr::V6(*address)),
        ScopedIp::V6(_, Some(_)) => None,
    });
    let addresses: Vec<IpAddr> = plain.take(MOST_SERVERS).collect();
    let addresses = match addresses.is_empty() {
        true if dns_cache_ip.is_some() || names_servers(text) => return Err(ControlError::Unreadable),
        true => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        false => addresses,
    };
    // `trust-ad` vouches for the servers of the file, not for those that the environment names.
    let vouched = dns_cache_ip.is_none() && config.trust_ad;
    Ok(Resolvers {
        trust_ad: vouched || addresses.iter().all(|address| address.to_canonical().is_loopback()),
        addresses,
    })
}

/// Whether a line for a server is there, usable or not.
fn names_servers(text: &[u8]) -> bool {
    text.split(|&octet| octet == b'\n').any(|line| line.trim_ascii_start().starts_with(b"nameserver"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str, cache: Option<&str>) -> Result<(Vec<String>, bool), ControlError> {
        let resolvers = from_text(text.as_bytes(), cache.map(OsStr::new))?;
        Ok((resolvers.addresses.iter().map(ToString::to_string).collect(), resolvers.trust_ad))
    }

    fn servers(list: &[&str], trust_ad: bool) -> Result<(Vec<String>, bool), ControlError> {
        Ok((list.iter().map(ToString::to_string).collect(), trust_ad))
    }

    #[test]
    fn the_ad_bit_counts_from_loopback_or_when_vouched_for() {
        assert_eq!(from("nameserver 127.0.0.1\n", None), servers(&["127.0.0.1"], true));
        assert_eq!(
            from("nameserver ::1\nnameserver 127.0.0.53\n", None),
            servers(&["::1", "127.0.0.53"], true)
        );
        assert_eq!(from("nameserver 192.0.2.1\n", None), servers(&["192.0.2.1"], false));
        assert_eq!(
            from("nameserver 127.0.0.1\nnameserver 192.0.2.1\n", None),
            servers(&["127.0.0.1", "192.0.2.1"], false)
        );
        assert_eq!(
            from("nameserver 192.0.2.1\noptions edns0 trust-ad\n", None),
            servers(&["192.0.2.1"], true)
        );
        assert_eq!(from("", None), servers(&["127.0.0.1"], true));
    }

    #[test]
    fn at_most_three_servers_and_no_scoped_ones() {
        let four = "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n";
        assert_eq!(from(four, None), servers(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], false));
        assert_eq!(
            from("nameserver fe80::1%lo\nnameserver 192.0.2.1\n", None),
            servers(&["192.0.2.1"], false)
        );
        assert_eq!(from("nameserver fe80::1%lo\n", None), Err(ControlError::Unreadable));
        assert_eq!(from("nameserver resolver.test\n", None), Err(ControlError::Unreadable));
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let text = "junk\nfrobnicate yes\noptions frobnicate ndots:x\nnameserver bad\nnameserver 192.0.2.1\n";
        assert_eq!(from(text, None), servers(&["192.0.2.1"], false));
        for without_servers in
            ["options no-such-option\n", "frobnicate yes\n", "\u{fc}\n", "# nameserver x\n"]
        {
            assert_eq!(from(without_servers, None), servers(&["127.0.0.1"], true), "{without_servers}");
        }
        for unusable in ["nameserver\n", " nameserver x\n", "nameserver fe80::1%lo\n"] {
            assert_eq!(from(unusable, None), Err(ControlError::Unreadable), "{unusable}");
        }
    }

    #[test]
    fn dnscacheip_replaces_the_file_and_is_not_vouched_for_by_it() {
        let vouching = "nameserver 192.0.2.1\noptions trust-ad\n";
        assert_eq!(from(vouching, Some("192.0.2.53")), servers(&["192.0.2.53"], false));
        assert_eq!(from(vouching, Some("127.0.0.1")), servers(&["127.0.0.1"], true));
        let several = "192.0.2.53\tfe80::1%lo  2001:db8::53 192.0.2.54 192.0.2.55";
        let first_three = ["192.0.2.53", "2001:db8::53", "192.0.2.54"];
        assert_eq!(from(vouching, Some(several)), servers(&first_three, false));
        assert_eq!(from("", Some("127.0.0.1 ::1")), servers(&["127.0.0.1", "::1"], true));
        for unusable in ["resolver.test", "192.0.2.53 or", "fe80::1%lo", " "] {
            assert_eq!(from(vouching, Some(unusable)), Err(ControlError::Unreadable), "{unusable}");
        }
    }
}
