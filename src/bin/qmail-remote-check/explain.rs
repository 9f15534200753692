//! `explain`: the selection and the plan of a delivery, in words.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::Path;

use qmail_remote::args::Invocation;
use qmail_remote::monitor::control::routes::Origin;
use qmail_remote::monitor::control::smtproutes::Protocol;
use qmail_remote::monitor::control::tlsdestinations::{Kind, TlsRule};
use qmail_remote::monitor::control::{ControlDirectory, HOME};
use qmail_remote::monitor::planning;
use qmail_remote::monitor::refusal::Refusal;
use qmail_remote::monitor::selection::{self, Selection};
use qmail_remote::plan::{Destination, Plan, TlsStart};
use qmail_remote::report::{MessageReport, Reports};
use qmail_remote::startup::Environment;
use qmail_remote::tls_policy::TrustAnchors;

use crate::{Findings, row};

/// Explains a delivery to `host` from `sender`.
pub(crate) fn explain(host: OsString, sender: OsString, recipient: Option<OsString>) -> Findings {
    // Without a recipient any will do: the control files do not look at it.
    let arguments = [host, sender, recipient.unwrap_or_else(|| "postmaster".into())];
    match described(arguments) {
        Ok(findings) => findings,
        Err(refusal) => Findings { text: refused(&refusal), well: false },
    }
}

fn described(arguments: [OsString; 3]) -> Result<Findings, Refusal> {
    let invocation = Invocation::parse(arguments)?;
    let control = ControlDirectory::open()?;
    let selection = selection::select(&control, &invocation)?;
    let mut text = of_selection(&selection);
    match planning::plan(invocation, None, &Environment::default()) {
        Ok(plan) => {
            text += &of_plan(&plan);
            Ok(Findings { text: text + &row("verdict", "would be tried"), well: true })
        }
        Err(refusal) => Ok(Findings { text: text + &refused(&refusal), well: false }),
    }
}

fn of_selection(selection: &Selection) -> String {
    let mut text = String::new();
    match &selection.route {
        None => text += &row("route", "none: the exchangers of the host, by SMTP"),
        Some((protocol, route)) => {
            let protocol = match protocol {
                Protocol::Smtp => "SMTP",
                Protocol::Qmtp => "QMTP",
            };
            let relay = match &route.relay {
                Some(relay) => String::from_utf8_lossy(&relay.as_written).into_owned(),
                None => "the exchangers of the host".to_owned(),
            };
            text += &row("route", format!("{}: {relay}, by {protocol}", at(route.origin)));
            let given = if route.credentials.is_some() { "user and password (not shown)" } else { "none" };
            text += &row("credentials", given);
        }
    }
    text += &row("TLS", of_rule(&selection.tls));
    if let Some(ips) = &selection.domain_ips {
        text += &row("domainips", at(ips.origin));
    }
    match &selection.certificate {
        None => text += &row("certificate", "none"),
        Some(certificate) => {
            // A password in the wrong field is not a path.
            let path = |path: &Path| {
                if path.is_absolute() { path.display().to_string() } else { "(not a path)".into() }
            };
            let (file, key) = (path(&certificate.certificate), path(&certificate.key));
            text += &row("certificate", format!("{}: {file}, key in {key}", at(certificate.origin)));
        }
    }
    text
}

fn of_rule(rule: &TlsRule) -> String {
    let mut text = match rule.origin {
        None => "no line: ".to_owned(),
        Some(origin) => format!("{}: ", at(origin)),
    };
    text += match rule.kind {
        Kind::Optional => "when offered",
        Kind::OptionalOrClear => "when offered, in clear when its handshake fails",
        Kind::OptionalAnonymous => "when offered, anonymous suites too",
        Kind::OptionalWithoutTlsa => "when offered, without TLSA",
        Kind::Anonymous => "required, at least anonymous",
        Kind::Chain => "required, the chain verified",
        Kind::Name => "required, chain and name verified, wildcards accepted",
        Kind::ExactName => "required, chain and exact name verified",
        Kind::WithoutTlsa => "required, without TLSA",
        Kind::Required => "required",
        Kind::Pinned => "required, with this fingerprint",
        Kind::Never => "never by STARTTLS",
    };
    match &rule.trust_anchors {
        Some(TrustAnchors::File(path) | TrustAnchors::Directory(path)) => {
            text += &format!(", CA in {}", path.display());
        }
        Some(TrustAnchors::System) | None => {}
    }
    if let Some(ciphers) = &rule.ciphers {
        text += &format!(", ciphers {ciphers}");
    }
    if let Some(depth) = rule.verify_depth {
        text += &format!(", depth {depth}");
    }
    if let Some(fingerprint) = &rule.fingerprint {
        text += &format!(" {}", fingerprint.hex);
    }
    text
}

fn of_plan(plan: &Plan) -> String {
    let target = match &plan.destination {
        Destination::Exchangers(domain, _) => format!("the exchangers of {domain}"),
        Destination::Literal(address, _) => address.to_string(),
        Destination::Relay(relay) => String::from_utf8_lossy(&relay.as_written).into_owned(),
    };
    let start = match plan.tls_start {
        TlsStart::StartTls => "",
        TlsStart::Implicit => ", TLS from the first byte",
    };
    let mut text = row("connects to", format!("{target}, port {}{start}", plan.port));
    let sources: Vec<_> =
        [plan.local.v4.map(|v4| v4.to_string()), plan.local.v6.map(|(v6, _)| v6.to_string())]
            .into_iter()
            .flatten()
            .collect();
    text += &row("from", if sources.is_empty() { "any address".to_owned() } else { sources.join(" and ") });
    text += &row("says", format!("EHLO {}", plan.helo));
    text
}

fn refused(refusal: &Refusal) -> String {
    let letter = match refusal.report() {
        MessageReport::Permanent(_) => "bounced",
        MessageReport::Temporary(_) | MessageReport::Success(_) => "put off",
    };
    let report = Reports::from(refusal.report()).encode();
    let said = String::from_utf8_lossy(&report);
    row("verdict", format!("{letter}: {}", said.trim_end_matches(['\0', '\n']).get(1..).unwrap_or_default()))
}

fn at(origin: Origin) -> String {
    match origin.line {
        0 => format!("{HOME}/control/{}.cdb", origin.file),
        line => format!("{HOME}/control/{}:{line}", origin.file),
    }
}
