//! `/etc/resolv.conf` beside a plain reading of its lines: the first three servers, and the AD bit counts from loopback or with
//! `trust-ad` alone. `DNSCACHEIP` replaces the servers and is not vouched for: the first line of a case stands for it, too.
#![no_main]

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;

use libfuzzer_sys::fuzz_target;
use qmail_remote::monitor::control::ControlError;
use qmail_remote::monitor::resolvers;

type Servers = Result<(Vec<IpAddr>, bool), ControlError>;

/// Of these the first three, and whether their AD bit counts.
fn first_three(servers: &[IpAddr], vouched: bool) -> (Vec<IpAddr>, bool) {
    let first = servers[..servers.len().min(3)].to_vec();
    let trusted = vouched || first.iter().all(|address| address.to_canonical().is_loopback());
    (first, trusted)
}

/// What the file says. Only an address without a scope is one to std.
fn of_file(octets: &[u8]) -> Servers {
    let (mut servers, mut vouched) = (Vec::new(), false);
    for line in octets.split(|&octet| octet == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        let before_comment = line.split([';', '#']).next().unwrap_or_default();
        match before_comment.split_whitespace().collect::<Vec<_>>()[..] {
            ["nameserver", server, ..] => servers.extend(server.parse::<IpAddr>()),
            ["options", ref options @ ..] => {
                vouched |=
                    options.iter().any(|option| *option == "trust-ad" || option.starts_with("trust-ad:"));
            }
            _ => {}
        }
    }
    let is_meant = |line: &[u8]| line.trim_ascii_start().starts_with(b"nameserver");
    match servers.is_empty() {
        false => Ok(first_three(&servers, vouched)),
        true if octets.split(|&octet| octet == b'\n').any(is_meant) => Err(ControlError::Unreadable),
        true => Ok((vec![IpAddr::V4(Ipv4Addr::LOCALHOST)], true)),
    }
}

/// What `DNSCACHEIP` says: addresses between blanks, and nothing else.
fn of_environment(list: &[u8]) -> Servers {
    let text = std::str::from_utf8(list).map_err(|_| ControlError::Unreadable)?;
    let words = text.split([' ', '\t', '\n', '\r', '\x0c']).filter(|word| !word.is_empty());
    let servers: Result<Vec<IpAddr>, _> = words.map(str::parse).collect();
    let servers = servers.ok().filter(|servers| !servers.is_empty()).ok_or(ControlError::Unreadable)?;
    Ok(first_three(&servers, false))
}

fuzz_target!(|data: &[u8]| {
    let read = |cache| resolvers::from_text(data, cache).map(|it| (it.addresses, it.trust_ad));
    assert_eq!(read(None), of_file(data));
    let cache: IpAddr = "192.0.2.53".parse().expect("address");
    assert_eq!(read(Some(OsStr::new("192.0.2.53"))), Ok((vec![cache], false)));
    let list = data.split(|&octet| octet == b'\n').next().unwrap_or_default();
    // Addresses with a scope are read, and passed over: std knows none.
    if !list.contains(&b'%') {
        assert_eq!(read(Some(OsStr::from_bytes(list))), of_environment(list));
    }
});
