//! What a probe found, in the order of the way: also the form of its JSON.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use qmail_remote::ipc::observation::{
    CertificateSeen, Few, Observation, ResolverSeen, SessionSeen, TlsaSeen,
};
use qmail_remote::monitor::control::tlsdestinations::TlsRule;
use qmail_remote::monitor::outcome::Seen;
use qmail_remote::plan::Plan;
use qmail_remote::report::MessageReport;
use serde::Serialize;

use crate::explain;

/// All of it.
#[derive(Default, Serialize)]
pub(super) struct Results {
    /// Whether a message could be sent.
    pub(super) well: bool,
    /// The resolvers that were asked.
    pub(super) resolvers: Vec<IpAddr>,
    /// Whether the plan believes their AD bit.
    pub(super) resolvers_are_trusted: bool,
    /// Whether they validate; none: they were not asked.
    pub(super) resolver: Option<ResolverSeen>,
    /// The rule of `tlsdestinations`.
    pub(super) rule: Option<Rule>,
    /// The port.
    pub(super) port: u16,
    /// The servers, in the order in which they are tried.
    pub(super) exchangers: Vec<Exchanger>,
    /// Why no server was tried.
    pub(super) stopped: Option<String>,
}

/// A rule.
#[derive(Serialize)]
pub(super) struct Rule {
    /// The line; none: what holds without one.
    pub(super) line: Option<String>,
    /// What it demands.
    pub(super) demands: String,
}

/// One server.
#[derive(Serialize)]
pub(super) struct Exchanger {
    pub(super) name: Option<String>,
    pub(super) addresses: Few<IpAddr>,
    /// Whether DNSSEC vouches for its name, or a control file gives it.
    pub(super) name_is_secure: bool,
    pub(super) tlsa: TlsaSeen,
    pub(super) attempts: Vec<Attempt>,
}

/// One connection, or one that could not be had.
#[derive(Default, Serialize)]
pub(super) struct Attempt {
    pub(super) address: Option<IpAddr>,
    /// The rule that the exchanger's name has of its own.
    pub(super) rule: Option<Rule>,
    pub(super) session: Option<SessionSeen>,
    pub(super) chain: Vec<CertificateSeen>,
    /// Whether a message could be sent.
    pub(super) well: bool,
    /// How, or why not.
    pub(super) verdict: String,
}

impl From<&TlsRule> for Rule {
    fn from(rule: &TlsRule) -> Rule {
        Rule { line: rule.origin.map(explain::at), demands: explain::of_rule(rule) }
    }
}

impl Results {
    /// Nothing was tried.
    pub(super) fn stopped(report: &MessageReport) -> Results {
        Results { stopped: Some(explain::verdict(report)), ..Results::default() }
    }

    /// From what was seen.
    pub(super) fn new(
        plan: &Plan,
        rule: &TlsRule,
        seen: Vec<Seen>,
        stopped: Option<&MessageReport>,
    ) -> Results {
        let mut results = Results {
            resolvers: plan.resolvers.addresses.clone(),
            resolvers_are_trusted: plan.resolvers.trust_ad,
            rule: Some(rule.into()),
            port: plan.port,
            stopped: stopped.map(explain::verdict),
            ..Results::default()
        };
        let mut walk = Walk { found: Vec::new(), open: None };
        for seen in seen {
            match seen {
                Seen::Observed(Observation::Resolver(resolver)) => results.resolver = Some(resolver),
                other => walk.note(other),
            }
        }
        results.exchangers = walk.found;
        let attempts = || results.exchangers.iter().flat_map(|exchanger| &exchanger.attempts);
        results.well = results.stopped.is_none() && attempts().any(|attempt| attempt.well);
        results
    }
}

/// The servers, and the attempts in the order in which they come. What fails before there is a connection belongs to the
/// first server that was not tried yet.
struct Walk {
    found: Vec<Exchanger>,
    /// The server that is connected to.
    open: Option<usize>,
}

impl Walk {
    fn note(&mut self, seen: Seen) {
        match seen {
            Seen::Observed(Observation::Exchanger(seen)) => self.found.push(Exchanger {
                name: seen.name.map(|name| name.to_string()),
                addresses: seen.addresses,
                name_is_secure: seen.name_is_secure,
                tlsa: seen.tlsa,
                attempts: Vec::new(),
            }),
            Seen::Connected(server) => {
                let name = server.name.map(|name| name.to_string());
                let attempt = Attempt { address: Some(server.address), ..Attempt::default() };
                self.open = self.found.iter().position(|exchanger| exchanger.name == name);
                self.with_open(|exchanger| exchanger.attempts.push(attempt));
            }
            Seen::Unreachable => {
                self.over(false, "not used: no connection to any of its addresses".to_owned())
            }
            Seen::Usable(how) => self.over(true, format!("a message could be sent, and reported as: {how}")),
            Seen::Failed(text) => self.over(false, format!("not used: {}", text.as_str().trim_end())),
            Seen::Rule(rule) => self.present(|attempt| attempt.rule = Some((&rule).into())),
            Seen::Observed(Observation::Session(session)) => {
                self.present(|attempt| attempt.session = Some(session));
            }
            Seen::Observed(Observation::Certificate(certificate)) => {
                self.present(|attempt| attempt.chain.push(certificate));
            }
            Seen::Observed(Observation::Resolver(_) | Observation::Ready) => {}
        }
    }

    fn over(&mut self, well: bool, verdict: String) {
        if self.open.is_none() {
            self.open = self.found.iter().position(|exchanger| exchanger.attempts.is_empty());
            self.with_open(|exchanger| exchanger.attempts.push(Attempt::default()));
        }
        self.present(|attempt| (attempt.well, attempt.verdict) = (well, verdict));
        self.open = None;
    }

    fn present(&mut self, change: impl FnOnce(&mut Attempt)) {
        self.with_open(|exchanger| exchanger.attempts.last_mut().map(change));
    }

    fn with_open<T>(&mut self, change: impl FnOnce(&mut Exchanger) -> T) {
        self.open.and_then(|open| self.found.get_mut(open)).map(change);
    }
}
