//! Zone text: exchangers and TLSA records.

use openssl::sha::{sha256, sha512};
use openssl::x509::X509;

/// A domain `NAME` whose one exchanger is `NAME.mx` at this address.
pub(crate) fn exchanger(name: &str, address: &str) -> String {
    format!("{name} MX 10 {name}.mx\n{name}.mx A {address}\n")
}

/// The same with TLSA records for port 25.
pub(crate) fn with_tlsa(name: &str, address: &str, records: &[String]) -> String {
    exchanger(name, address) + &tlsa(&format!("_25._tcp.{name}.mx"), records)
}

/// These TLSA records under `owner`.
pub(crate) fn tlsa(owner: &str, records: &[String]) -> String {
    records.iter().map(|record| format!("{owner} TLSA {record}\n")).collect()
}

/// The data of a TLSA record for this certificate, as `3 1 1 0123...`.
pub(crate) fn of(usage: u8, selector: u8, matching: u8, certificate: &X509) -> String {
    let whole = match selector {
        0 => certificate.to_der().unwrap(),
        1 => certificate.public_key().unwrap().public_key_to_der().unwrap(),
        other => panic!("no selector {other}"),
    };
    let data = match matching {
        0 => whole,
        1 => sha256(&whole).to_vec(),
        2 => sha512(&whole).to_vec(),
        other => panic!("no matching type {other}"),
    };
    let hex: String = data.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("{usage} {selector} {matching} {hex}")
}

/// A record of this kind that no certificate matches, with so many octets of data.
pub(crate) fn nothing(kind: &str, octets: usize) -> String {
    format!("{kind} {}", "ab".repeat(octets))
}

/// A usable record that no certificate matches.
pub(crate) fn no_match() -> String {
    nothing("3 1 1", 32)
}
