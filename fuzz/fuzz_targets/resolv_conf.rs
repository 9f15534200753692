//! `/etc/resolv.conf`: at most three servers, each one written behind the word `nameserver`; the AD bit counts from
//! loopback or with `trust-ad` alone; `DNSCACHEIP` replaces the servers and is not vouched for.
#![no_main]

use std::ffi::OsStr;
use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use qmail_remote::monitor::control::ControlError;
use qmail_remote::monitor::resolvers;

fuzz_target!(|data: &[u8]| {
    let cache: IpAddr = "192.0.2.53".parse().expect("address");
    let replaced = resolvers::from_text(data, Some(OsStr::new("192.0.2.53"))).expect("an address is enough");
    assert_eq!((replaced.addresses, replaced.trust_ad), (vec![cache], false));

    let text = String::from_utf8_lossy(data);
    let words: Vec<&str> = text
        .split(|octet: char| !octet.is_ascii_graphic() || "#;".contains(octet))
        .filter(|word| !word.is_empty())
        .collect();
    match resolvers::from_text(data, None) {
        Ok(resolvers) => {
            assert!((1..=3).contains(&resolvers.addresses.len()));
            let named = |address: &IpAddr| {
                words
                    .windows(2)
                    .any(|pair| pair[0].ends_with("nameserver") && pair[1].parse() == Ok(*address))
            };
            let default = [IpAddr::from([127, 0, 0, 1])];
            assert!(resolvers.addresses == default || resolvers.addresses.iter().all(named), "{resolvers:?}");
            let loopback = resolvers.addresses.iter().all(|address| address.to_canonical().is_loopback());
            assert!(loopback || !resolvers.trust_ad || text.contains("trust-ad"));
            assert!(!loopback || resolvers.trust_ad);
        }
        Err(error) => {
            assert_eq!(error, ControlError::Unreadable);
            assert!(text.contains("nameserver"), "a file without servers means this machine");
        }
    }
});
