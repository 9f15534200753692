//! What the child tells of what it sees when it probes. Network child.
//!
//! Nothing here decides anything: a probe takes the way of a delivery and turns back before the envelope.
#![forbid(unsafe_code)]

use std::fmt::Write;

use openssl::hash::MessageDigest;
use openssl::ssl::SslRef;
use openssl::x509::{X509NameRef, X509Ref};

use super::dane::{Dane, NameStatus};
use super::dns::TlsaRecord;
use super::exchangers::{self, Exchanger};
use crate::ipc::Claim;
use crate::ipc::child_end::ChildEnd;
use crate::ipc::observation::{
    CertificateSeen, ExchangerSeen, Few, Observation, RecordSeen, ResolverSeen, SessionSeen, TlsaSeen,
};
use crate::ipc::reason::Reason;
use crate::plan::Plan;

/// Octets of a record's data that are told: enough for a digest of SHA-256.
const SHOWN: usize = 32;

/// Asks the resolvers whether they validate.
pub(super) fn resolver(plan: &Plan, monitor: &mut ChildEnd) {
    tell(
        monitor,
        Observation::Resolver(exchangers::ask_for_validation(plan).unwrap_or(ResolverSeen::Silent)),
    );
}

/// Tells which servers will be tried.
pub(super) fn exchangers(found: &[Exchanger], monitor: &mut ChildEnd) {
    for exchanger in found.iter().take(Few::<Exchanger>::MAX) {
        let tlsa = match &exchanger.dane {
            Dane::NotAsked => TlsaSeen::NotAsked,
            Dane::Insecure => TlsaSeen::Insecure,
            Dane::Absent => TlsaSeen::Absent,
            Dane::Encrypt { base, records } => TlsaSeen::Unusable(base.clone(), seen_records(records)),
            Dane::Unknown => TlsaSeen::Unknown,
            Dane::Match { base, records } => TlsaSeen::Match(base.clone(), seen_records(records)),
        };
        let seen = ExchangerSeen {
            name: exchanger.name.clone(),
            addresses: exchanger.addresses.iter().copied().collect(),
            name_is_secure: exchanger.status == NameStatus::Secure,
            tlsa,
        };
        tell(monitor, Observation::Exchanger(seen));
    }
}

fn seen_records(records: &[TlsaRecord]) -> Few<RecordSeen> {
    let seen = |record: &TlsaRecord| RecordSeen {
        parameters: (record.usage, record.selector, record.matching),
        data: hex(record.data.get(..SHOWN).unwrap_or(&record.data)),
    };
    records.iter().map(seen).collect()
}

/// Tells of a session whose handshake has come to its end, whatever its certificate proves.
pub(super) fn session(session: &SslRef, matched: Option<(u8, u8, u8)>, monitor: &mut ChildEnd) {
    let cipher = session.current_cipher().map_or("", |cipher| cipher.name());
    let seen =
        SessionSeen { version: Reason::new(session.version_str()), cipher: Reason::new(cipher), matched };
    tell(monitor, Observation::Session(seen));
    for certificate in session.peer_cert_chain().into_iter().flatten().take(Few::<CertificateSeen>::MAX) {
        tell(monitor, Observation::Certificate(seen_of(certificate)));
    }
}

/// Tells that the envelope would be sent now.
pub(super) fn ready(monitor: &mut ChildEnd) {
    tell(monitor, Observation::Ready);
}

fn tell(monitor: &mut ChildEnd, observation: Observation) {
    monitor.claim(Claim::Observed(Box::new(observation)));
}

fn seen_of(certificate: &X509Ref) -> CertificateSeen {
    let names = certificate.subject_alt_names().into_iter().flatten().filter_map(|name| {
        let address = name.ipaddress().map(|octets| match octets.len() {
            4 => octets.iter().map(ToString::to_string).collect::<Vec<_>>().join("."),
            _ => hex(octets).as_str().to_owned(),
        });
        name.dnsname().map(str::to_owned).or(address).map(|name| Reason::new(&name))
    });
    let digest = |result: Result<Vec<u8>, _>| result.map(|digest| hex(&digest)).unwrap_or_default();
    let key = certificate.public_key().and_then(|key| key.public_key_to_der());
    CertificateSeen {
        subject: name(certificate.subject_name()),
        issuer: name(certificate.issuer_name()),
        names: names.collect(),
        not_after: Reason::new(&certificate.not_after().to_string()),
        sha256: digest(certificate.digest(MessageDigest::sha256()).map(|digest| digest.to_vec())),
        key_sha256: digest(
            key.and_then(|key| openssl::hash::hash(MessageDigest::sha256(), &key))
                .map(|digest| digest.to_vec()),
        ),
    }
}

fn name(name: &X509NameRef) -> Reason {
    let parts = name.entries().filter_map(|entry| {
        let value = entry.data().to_string().ok()?;
        Some(format!("{}={value}", entry.object().nid().short_name().ok()?))
    });
    Reason::new(&parts.collect::<Vec<_>>().join(", "))
}

fn hex(octets: &[u8]) -> Reason {
    let text = octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    });
    Reason::new(&text)
}
