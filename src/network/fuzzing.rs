//! What the fuzz targets reach of this process: its parsers and deciders, over plain octets. No network, no system call.
//!
//! Compiled with the feature `fuzzing` only, which no build of the program has (`tests/documents/dependencies.rs`).
#![forbid(unsafe_code)]

use super::dane::{self, Dane, TlsaAnswer};
use super::dns::TlsaRecord;
use crate::host::HostName;

pub use super::qmtp::fuzzing::answered;
pub use super::smtp::fuzzing::{Encoded, Replied, encoded, replied};

/// What TLSA records demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing: there are none.
    Nothing,
    /// Encryption alone.
    Encryption,
    /// That one of these matches: usage, selector, matching type and data.
    Match(Vec<(u8, u8, u8, Vec<u8>)>),
    /// That the exchanger is not used.
    Refusal,
}

/// What follows from secure records with these parameters and data; none: from an answer that cannot be had.
pub fn tlsa(base: &HostName, records: Option<&[(u8, u8, u8, Vec<u8>)]>) -> Demand {
    let record = |(usage, selector, matching, data): &(u8, u8, u8, Vec<u8>)| TlsaRecord {
        usage: *usage,
        selector: *selector,
        matching: *matching,
        data: data.clone(),
    };
    let answer = match records {
        Some(records) => TlsaAnswer::Secure(base.clone(), records.iter().map(record).collect()),
        None => TlsaAnswer::Failed,
    };
    match dane::decide(answer) {
        Dane::NotAsked | Dane::Insecure | Dane::Absent => Demand::Nothing,
        Dane::Encrypt { .. } => Demand::Encryption,
        Dane::Unknown => Demand::Refusal,
        Dane::Match { records, .. } => Demand::Match(
            records.into_iter().map(|it| (it.usage, it.selector, it.matching, it.data)).collect(),
        ),
    }
}
