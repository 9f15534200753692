//! `explain`: the selection and the plan of a delivery, in words.
#![forbid(unsafe_code)]

use std::ffi::OsString;

use openssl::ssl::{SslContext, SslMethod};
use qmail_remote::args::Invocation;
use qmail_remote::monitor::control::domaincerts::shown;
use qmail_remote::monitor::control::local_address::LocalAddress;
use qmail_remote::monitor::control::routes::Origin;
use qmail_remote::monitor::control::tlsdestinations::{Kind, TlsRule};
use qmail_remote::monitor::control::{ControlDirectory, HOME};
use qmail_remote::monitor::refusal::Refusal;
use qmail_remote::monitor::selection::{self, Decided, Selection};
use qmail_remote::monitor::{interfaces, planning};
use qmail_remote::plan::{Destination, Plan, Protocol, TlsStart};
use qmail_remote::report::MessageReport;
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
    if let Ok(helo) = selection.helo(&control) {
        text += &row("says", by(helo.origin, format!("EHLO {}", helo.value)));
    }
    match planning::plan(invocation, None, None, &Environment::default()) {
        Ok((plan, mut secrets)) => {
            text += &of_plan(&plan);
            Ok(match secrets.open_key(&plan) {
                Ok(_) => Findings { text: text + &row("verdict", "would be tried"), well: true },
                Err(unusable) => Findings { text: text + &refused(&unusable.into()), well: false },
            })
        }
        Err(refusal) => Ok(Findings { text: text + &refused(&refusal), well: false }),
    }
}

fn of_selection(selection: &Selection) -> String {
    let mut text = String::new();
    let protocol = match selection.protocol() {
        Protocol::Smtp => "SMTP",
        Protocol::Qmtp => "QMTP",
    };
    match &selection.route {
        None => text += &row("route", format!("none: the exchangers of the host, by {protocol}")),
        Some((_, route)) => {
            let relay = match &route.relay {
                Some(relay) => String::from_utf8_lossy(&relay.as_written).into_owned(),
                None => "the exchangers of the host".to_owned(),
            };
            text += &row("route", by(Some(route.origin), format!("{relay}, by {protocol}")));
            let given = if route.credentials.is_some() { "user and password (not shown)" } else { "none" };
            text += &row("credentials", given);
        }
    }
    text += &row("TLS", by(selection.tls.origin, of_rule(&selection.tls)));
    match &selection.certificate {
        None => text += &row("certificate", "none"),
        Some(certificate) => {
            let (file, key) = (shown(&certificate.certificate), shown(&certificate.key));
            text += &row("certificate", by(Some(certificate.origin), format!("{file}, key in {key}")));
        }
    }
    let Decided { value: (start, port), origin } = selection.port();
    let first = if start == TlsStart::Implicit { ", TLS from the first byte" } else { "" };
    text += &row("port", by(origin, format!("{port}{first}")));
    let Decided { value: local, origin } = selection.local_addresses();
    let local: Vec<_> = local.iter().map(from_address).collect();
    let local = if local.is_empty() { "any address".to_owned() } else { local.join(" and ") };
    text += &row("from", by(origin, local));
    text
}

/// A local address. What follows its `%` and is no interface may be a password that begins as an address does.
fn from_address(local: &LocalAddress) -> String {
    match &local.interface {
        Some(name) if interfaces::index(name).is_err() => format!("{}%(no such interface)", local.address),
        Some(_) | None => local.to_string(),
    }
}

/// A rule of `tlsdestinations` in words, without its line.
pub(crate) fn of_rule(rule: &TlsRule) -> String {
    let mut text = match rule.kind {
        Kind::Optional => "when offered",
        Kind::OptionalOrClear if !rule.policy().may_go_on_in_clear() => "when offered",
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
    }
    .to_owned();
    let policy = rule.policy();
    match policy.certificate.anchors() {
        Some(TrustAnchors::File(path) | TrustAnchors::Directory(path)) => {
            text += &format!(", CA in {}", path.display());
        }
        Some(TrustAnchors::System) | None => {}
    }
    if let (Some(ciphers), Some(offered)) = (&rule.ciphers, policy.offered_ciphers()) {
        // What is no list of ciphers may be a password in the wrong field.
        let usable = SslContext::builder(SslMethod::tls_client())
            .is_ok_and(|mut context| context.set_cipher_list(&offered).is_ok());
        text +=
            &format!(", ciphers {}", if usable { ciphers } else { "that OpenSSL does not know (not shown)" });
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
    let mut text = row("connects to", target);
    if plan.exchanger_rules {
        text +=
            &row("exchangers", "a line of tlsdestinations for an exchanger's own name may demand more TLS");
    }
    text
}

fn refused(refusal: &Refusal) -> String {
    row("verdict", verdict(&refusal.report()))
}

/// What becomes of a message with this report.
pub(crate) fn verdict(report: &MessageReport) -> String {
    let (becomes, text) = match report {
        MessageReport::Permanent(text) => ("bounced", text),
        MessageReport::Temporary(text) => ("put off", text),
        MessageReport::Success(text) => ("sent", text),
    };
    format!("{becomes}: {}", text.as_str().trim_end())
}

/// What is so, after the line that makes it so.
fn by(origin: Option<Origin>, what: impl std::fmt::Display) -> String {
    match origin {
        None => format!("no line: {what}"),
        Some(origin) => format!("{}: {what}", at(origin)),
    }
}

/// Where a line stands.
pub(crate) fn at(origin: Origin) -> String {
    match origin {
        Origin { file, line: 0 } => format!("{HOME}/control/{file}.cdb"),
        Origin { file, line } => format!("{HOME}/control/{file}:{line}"),
    }
}
