//! The results of a probe as text, for people.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use qmail_remote::ipc::observation::{CertificateSeen, RecordSeen, ResolverSeen, TlsaSeen};

use super::results::{Attempt, Exchanger, Results, Rule};
use crate::row;
use qmail_remote::host::HostName;

/// All of it.
pub(super) fn written(results: &Results) -> String {
    let mut text = String::new();
    if let Some(resolver) = results.resolver {
        let does = match (resolver, results.resolvers_are_trusted) {
            (ResolverSeen::Validates, true) => "validates DNSSEC, and is trusted to",
            (ResolverSeen::Validates, false) => {
                "validates DNSSEC, but is not trusted to: it is neither on this machine nor under `options trust-ad` \
                 in /etc/resolv.conf, so there is no DANE"
            }
            (ResolverSeen::DoesNotValidate, _) => "does not validate DNSSEC, so there is no DANE",
            (ResolverSeen::Silent, _) => "does not answer",
        };
        text += &row("resolver", format!("{} {does}", list(&results.resolvers)));
    }
    if let Some(rule) = &results.rule {
        text += &row("TLS", of_rule(rule));
        text += &row("port", results.port);
    }
    for exchanger in &results.exchangers {
        text += "\n";
        text += &of_exchanger(exchanger, results.port);
    }
    if !results.exchangers.is_empty() {
        text += "\n";
    }
    match &results.stopped {
        Some(stopped) => {
            text += &row("verdict", stopped);
            // By its status code: the text is the report's.
            if stopped.ends_with("(#4.1.2)") {
                text += &row("", NO_ANSWER);
            }
        }
        None => text += &row("result", result(&results.exchangers)),
    }
    text
}

/// What a failed look-up may be, for who has never seen one.
const NO_ANSWER: &str = "the resolver gave no answer that can be trusted: it or the name servers of the domain are down, \
                         or the domain's DNSSEC signatures are bogus";

/// What becomes of a message in the end.
fn result(exchangers: &[Exchanger]) -> String {
    let is_well = |exchanger: &&Exchanger| exchanger.attempts.iter().any(|attempt| attempt.well);
    match exchangers.iter().find(is_well) {
        Some(Exchanger { name: Some(name), .. }) => format!("mail would go to {name}"),
        Some(Exchanger { name: None, .. }) => "mail would go to this address".to_owned(),
        None => "no server can be used now: mail would wait in the queue".to_owned(),
    }
}

fn of_rule(Rule { line, demands }: &Rule) -> String {
    format!("{}: {demands}", line.as_deref().unwrap_or("no line of tlsdestinations"))
}

fn of_exchanger(exchanger: &Exchanger, port: u16) -> String {
    let mut text = match &exchanger.name {
        Some(name) => {
            let vouches = if exchanger.name_is_secure { "vouches" } else { "does not vouch" };
            row("exchanger", format!("{name} (DNSSEC {vouches} for its name)"))
        }
        None => row("exchanger", "an address"),
    };
    let addresses = list(&exchanger.addresses);
    text += &row("addresses", if addresses.is_empty() { "could not be looked up" } else { &addresses });
    text += &match &exchanger.tlsa {
        TlsaSeen::NotAsked => row(
            "TLSA",
            match exchanger.name {
                Some(_) => "not asked for: the TLS rule above does without",
                None => "not asked for: an address has none",
            },
        ),
        TlsaSeen::Insecure => {
            let what = if exchanger.name_is_secure { "addresses" } else { "name" };
            row("TLSA", format!("not asked for: DNSSEC does not vouch for its {what}, so there is no DANE"))
        }
        TlsaSeen::Absent => row("TLSA", "none, so there is no DANE: TLS goes by the rule"),
        TlsaSeen::Unusable(base, records) => {
            of_records(port, base, records)
                + &row("", "none of them can be used for mail: TLS is required, and proves nothing")
        }
        TlsaSeen::Unknown => row(
            "TLSA",
            "no answer that can be trusted: its name servers are down, or its DNSSEC signatures are bogus; the \
             exchanger is not used",
        ),
        TlsaSeen::Match(base, records) => of_records(port, base, records),
    };
    let has_records = matches!(exchanger.tlsa, TlsaSeen::Match(..));
    exchanger.attempts.iter().fold(text, |text, attempt| text + &of_attempt(attempt, has_records))
}

fn of_records(port: u16, base: &HostName, records: &[RecordSeen]) -> String {
    let one = |RecordSeen { parameters, data }: &RecordSeen| {
        row("TLSA", format!("_{port}._tcp.{base} {} {}", numbers(*parameters), data.as_str()))
    };
    records.iter().map(one).collect()
}

fn of_attempt(attempt: &Attempt, has_records: bool) -> String {
    let mut text = String::new();
    if let Some(address) = attempt.address {
        text += &row("connection", address);
    }
    if let Some(rule) = &attempt.rule {
        text += &row("  TLS", format!("raised by {}", of_rule(rule)));
    }
    if let Some(session) = &attempt.session {
        text += &row("  session", format!("{}, {}", session.version.as_str(), session.cipher.as_str()));
        for (index, certificate) in attempt.chain.iter().enumerate() {
            // The usage that is for the server's own, and the one for those above it.
            text += &of_certificate(certificate, if index == 0 { 3 } else { 2 });
        }
        match session.matched {
            Some(matched) => text += &row("  matched", format!("TLSA {}", numbers(matched))),
            None if has_records => {
                text += &row("  matched", NO_RECORD);
            }
            None => {}
        }
    }
    text + &row("  verdict", &attempt.verdict)
}

/// What it means that no record matches, for who has to find out why.
const NO_RECORD: &str = "no TLSA record: the server's certificate was changed and its records were not, or this is another \
                         server";

fn of_certificate(certificate: &CertificateSeen, usage: u8) -> String {
    let names: Vec<_> = certificate.names.iter().map(|name| name.as_str()).collect();
    let mut text = row("  certificate", certificate.subject.as_str());
    text += &row("    issuer", certificate.issuer.as_str());
    if !names.is_empty() {
        text += &row("    names", names.join(" "));
    }
    text += &row("    until", certificate.not_after.as_str());
    text += &row("    SHA-256", certificate.sha256.as_str());
    text + &row("    as TLSA", format!("{usage} 1 1 {}", certificate.key_sha256.as_str()))
}

fn numbers((usage, selector, matching): (u8, u8, u8)) -> String {
    format!("{usage} {selector} {matching}")
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
