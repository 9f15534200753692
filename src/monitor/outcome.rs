//! What the monitor makes of the child's claims: letters, texts, reports. Monitor only.
//!
//! The child says what happened; this file decides what it means. Claims are hostile: a claim that the
//! table of `permits` does not allow ends the delivery with a temporary failure. Pure: no system call.
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::path::PathBuf;

use super::control::tlsdestinations::TlsRule;
use super::permits::{Stage, permits};
use super::tcpto::Evidence;
use crate::authentication::Authentication;
use crate::host::HostName;
use crate::ipc::observation::Observation;
use crate::ipc::signature::Scheme;
use crate::ipc::{
    AnchorQuery, Claim, MOST_ANCHOR_QUERIES, MOST_CONNECTIONS, Message, Request, Server, TlsFailure,
};
use crate::plan::{Destination, LocalAddresses, Plan, Protocol, Purpose, TlsStart};
use crate::report::{MessageReport, RecipientReport, Reports, Text, printable};
use crate::tls_policy::{Proof, TlsPolicy, TrustAnchors};
use texts::{
    RESOURCES, cannot_bind, child_failed, connection_died, message_fault, message_unreadable, no_connection,
    no_smtputf8, not_found, tlsa_unknown,
};

mod auth;
mod qmtp;
mod signing;
mod smtp;
pub mod texts;
pub mod tls_texts;

/// The child cannot be trusted or used any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It ended without a verdict: crashed, killed, or stopped by its sandbox.
    Died,
    /// It sent what is no message, or a message that was not permitted.
    Lied,
    /// It said nothing for longer than any step may take.
    Silent,
}

/// What a permitted request asks of the monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// To say that the network may be used.
    Begin,
    /// To look for a rule for the name of this exchanger, and to raise the policy by it.
    RaisePolicy(HostName),
    /// To hand out trust anchors.
    HandOut(TrustAnchors, AnchorQuery),
    /// To answer this challenge of CRAM-MD5.
    Digest(Vec<u8>),
    /// To release user and password.
    Release,
    /// To sign these octets, if they are what a client signs.
    Sign(Scheme, Vec<u8>),
    /// To say that the delivery is decided.
    Stop,
}

/// What a probe saw, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What the child tells.
    Observed(Observation),
    /// An exchanger could not be reached.
    Unreachable,
    /// A connection stands.
    Connected(Server),
    /// The exchanger's name has this rule of its own.
    Rule(TlsRule),
    /// The envelope would go to this server; a report would call it so.
    Usable(&'static str),
    /// A message would not go to this server, or not yet.
    Failed(Text),
}

/// A probe that has more to tell than all exchangers with all addresses and certificates is none.
const MOST_SEEN: usize = 10_000;

/// The delivery so far, as claimed.
#[derive(Debug)]
pub struct Transcript {
    host: String,
    /// What a control file calls the server.
    relay: Option<String>,
    recipients_wanted: usize,
    needs_smtputf8: bool,
    local: LocalAddresses,
    /// What TLS needs as far as the destination decides it.
    policy: TlsPolicy,
    exchanger_rules: bool,
    protocol: Protocol,
    /// How TLS starts by the plan.
    tls_start: TlsStart,
    /// Where the credentials may go, when there are any.
    authentication: Option<Authentication>,
    stage: Stage,
    /// What holds for the present connection; none until the exchanger's rule has been looked for.
    in_force: Option<TlsPolicy>,
    /// In the whole delivery.
    connections: usize,
    anchor_queries: u16,
    /// What the present connection's TLS proved; none without TLS.
    tls: Option<Proof>,
    /// What has become of the credentials with the present server.
    auth: auth::Progress,
    /// The file of the client certificate that the plan has.
    client_certificate: Option<PathBuf>,
    /// What the key of that certificate is asked for.
    signing: signing::Signing,
    server: Option<Server>,
    walk: Walk,
    recipients: Vec<RecipientReport>,
    verdict: Option<MessageReport>,
    /// By QMTP: the message could not be read to its end.
    feed_failed: bool,
    /// Which addresses answered and which did not.
    evidence: Evidence,
    /// Of a probe only.
    seen: Option<Vec<Seen>>,
}

/// What the exchangers that were tried had to say.
#[derive(Debug)]
struct Walk {
    /// Every one of them refused for good.
    all_permanent: bool,
    /// How the last one that could be connected to failed: one that said why comes before those that did not.
    last_failure: Option<(Text, Words)>,
}

/// How much an exchanger, or what is known of it, said about why the next one is to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    /// Nothing: the connection ended, or no reply came.
    None,
    /// Something that may be otherwise later.
    ForNow,
    /// That it never will.
    ForGood,
}

impl Transcript {
    /// A delivery to `host` (the argument) by this plan.
    pub fn new(host: &[u8], plan: &Plan) -> Transcript {
        let relay = match &plan.destination {
            Destination::Relay(relay) => Some(printable(&relay.as_written)),
            Destination::Exchangers(..) | Destination::Literal(..) => None,
        };
        Transcript {
            host: printable(host),
            relay,
            recipients_wanted: plan.recipients.len(),
            needs_smtputf8: plan.needs_smtputf8(),
            local: plan.local,
            policy: plan.tls.clone(),
            exchanger_rules: plan.exchanger_rules,
            protocol: plan.protocol,
            tls_start: plan.tls_start,
            authentication: plan.authentication,
            stage: Stage::Confining,
            in_force: None,
            connections: 0,
            anchor_queries: 0,
            tls: None,
            auth: auth::Progress::default(),
            client_certificate: plan.client_certificate.as_ref().map(|certificate| certificate.file.clone()),
            signing: signing::Signing::default(),
            server: None,
            walk: Walk { all_permanent: true, last_failure: None },
            recipients: Vec::new(),
            verdict: None,
            feed_failed: false,
            evidence: Evidence::default(),
            seen: (plan.purpose == Purpose::Probe).then(Vec::new),
        }
    }

    /// Whether the verdict is known and the child has nothing more to say.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Takes note of a message, if it is permitted now, and says what a request asks for.
    pub fn accept(&mut self, message: Message) -> Result<Option<Task>, Broken> {
        if !permits(self.stage, &message) {
            return Err(Broken::Lied);
        }
        match message {
            Message::Request(request) => self.task(request).map(Some),
            Message::Claim(claim) => self.note(claim).map(|()| None),
            Message::ToBeSigned(piece) => self.take_piece(&piece).map(|()| None),
        }
    }

    fn task(&mut self, request: Request) -> Result<Task, Broken> {
        match (request, &self.in_force, &self.server) {
            (Request::Begin, ..) => {
                self.stage = Stage::Resolving;
                Ok(Task::Begin)
            }
            (Request::TlsPolicy, None, Some(Server { name: Some(name), .. })) => {
                Ok(Task::RaisePolicy(name.clone()))
            }
            (Request::TrustAnchors(query), Some(policy), _) => {
                let anchors = policy.certificate.anchors().ok_or(Broken::Lied)?;
                self.anchor_queries = self.anchor_queries.saturating_add(1);
                if self.tls.is_some() || self.anchor_queries > MOST_ANCHOR_QUERIES {
                    return Err(Broken::Lied);
                }
                Ok(Task::HandOut(anchors.clone(), query))
            }
            (Request::AuthResponse, ..) => self.asked_for_response(),
            (Request::Sign(scheme), ..) => self.asked_to_sign(scheme),
            (Request::TlsPolicy | Request::TrustAnchors(_), ..) => Err(Broken::Lied),
        }
    }

    /// Raises the policy for the present connection by the exchanger's rule, and says what holds now.
    pub fn raise_policy(&mut self, rule: Option<TlsRule>) -> TlsPolicy {
        let policy = match rule {
            Some(rule) => {
                let raised = self.policy.clone().raised_by(rule.policy());
                if let Some(seen) = &mut self.seen {
                    seen.push(Seen::Rule(rule));
                }
                raised
            }
            None => self.policy.clone(),
        };
        self.in_force = Some(policy.clone());
        policy
    }

    /// The monitor cannot do what a request needs: the delivery is decided.
    pub fn stop(&mut self, report: MessageReport) {
        if let (Some(seen), MessageReport::Temporary(text) | MessageReport::Permanent(text)) =
            (&mut self.seen, &report)
        {
            seen.push(Seen::Failed(text.clone()));
        }
        self.over(report);
    }

    /// What the attempts to connect showed.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The reports of a delivery that came to its verdict.
    pub fn conclude(self) -> Reports {
        match self.verdict {
            Some(_) if self.feed_failed => Reports::feed_failed(message_unreadable()),
            Some(message) => Reports::new(self.recipients, message),
            None => self.broken(Broken::Died),
        }
    }

    /// What a probe saw, and what stopped it if no server was tried.
    pub fn into_seen(self) -> (Vec<Seen>, Option<MessageReport>) {
        let none_tried = self.server.is_none();
        (self.seen.unwrap_or_default(), self.verdict.filter(|_| none_tried))
    }

    /// The one report when the child failed us.
    pub fn broken(self, how: Broken) -> Reports {
        match (self.stage, &self.server) {
            (stage, Some(server)) if stage.message_may_be_there() => {
                MessageReport::Temporary(connection_died(server.address, true)).into()
            }
            _ => child_failed(how).into(),
        }
    }

    fn note(&mut self, claim: Claim) -> Result<(), Broken> {
        match claim {
            Claim::Progress => {}
            Claim::NotConfined(step) => {
                let step = sandbox::Step::try_from(step.0).map_err(|_| Broken::Lied)?;
                self.over(MessageReport::Temporary(Text::new(format!(
                    "Unable to confine the network process: {}. (#4.3.0)",
                    step.as_str()
                ))));
            }
            Claim::NotFound(failure) => {
                let report = not_found(&self.host, failure);
                self.over(report);
            }
            Claim::Observed(observation) => self.observed(*observation)?,
            Claim::Unreachable => {
                self.see(Seen::Unreachable)?;
                self.walk.all_permanent = false;
                self.stage = Stage::Walking;
            }
            Claim::Unanswered(address) => self.evidence.unanswered(address)?,
            Claim::CannotBind(family) => {
                let address = self.local.of(family).ok_or(Broken::Lied)?;
                self.over(MessageReport::Temporary(cannot_bind(address)));
            }
            Claim::NoSocket => self.over(MessageReport::Temporary(Text::new(RESOURCES))),
            Claim::Connected(_) if self.connections >= MOST_CONNECTIONS => return Err(Broken::Lied),
            Claim::Connected(server) => {
                self.connections = self.connections.saturating_add(1);
                let awaits_rule = self.exchanger_rules && server.name.is_some();
                self.in_force = if awaits_rule { None } else { Some(self.policy.clone()) };
                self.see(Seen::Connected(server.clone()))?;
                self.evidence.answered(server.address);
                self.server = Some(server);
                self.tls = None;
                self.auth = auth::Progress::default();
                self.signing.begin_connection();
                self.stage = match self.protocol {
                    Protocol::Smtp => Stage::Greeting,
                    Protocol::Qmtp => Stage::Packing,
                };
            }
            Claim::TlsaUnknown(name) => self.walk_on(tlsa_unknown(&name), Words::ForNow)?,
            Claim::Exhausted => {
                let report = self.exhausted();
                self.over(report);
            }
            Claim::TlsEstablished(proof) => {
                if self.tls.is_some() || !self.allows(Some(proof)) {
                    return Err(Broken::Lied);
                }
                self.tls = Some(proof);
                // After STARTTLS EHLO is said again; implicit TLS comes before the greeting.
                if self.stage == Stage::Session {
                    self.stage = Stage::Hello;
                    self.auth = auth::Progress::default();
                }
            }
            Claim::TlsFailed(failure) => {
                if self.tls.is_some() {
                    return Err(Broken::Lied);
                }
                let text = self.tls_failed(&failure)?;
                if self.stage == Stage::Authenticated {
                    // Whoever knows us is the one to deliver to.
                    self.over(MessageReport::Temporary(text));
                } else {
                    self.walk_on(text, Words::ForNow)?;
                }
            }
            Claim::Replied(step, reply) => self.replied(step, &reply)?,
            Claim::NotSmtp if self.stage == Stage::Greeting => {
                let text = Text::new(format!("Connected to {} but greeting failed.", self.address()?));
                self.walk_on(text, Words::None)?;
            }
            Claim::Package => self.package()?,
            Claim::Answered(answer) => self.answered(&answer)?,
            Claim::NotQmtp => self.not_qmtp(),
            Claim::Lost if self.protocol == Protocol::Qmtp => self.lost_package()?,
            Claim::NotSmtp | Claim::Lost => self.lost()?,
            Claim::NotAuthenticated(unused) => self.not_authenticated(unused)?,
            Claim::NoSmtpUtf8 if !self.needs_smtputf8 => return Err(Broken::Lied),
            Claim::NoSmtpUtf8 => {
                let report = no_smtputf8(self.address()?);
                self.over(report);
            }
            Claim::EndOfData if self.protocol == Protocol::Qmtp => self.stage = Stage::Answers,
            Claim::EndOfData => self.end_of_data()?,
            Claim::MessageFault(_) if self.protocol == Protocol::Qmtp => self.feed_failed(),
            Claim::MessageFault(fault) => self.over(message_fault(fault)),
        }
        Ok(())
    }

    fn exhausted(&mut self) -> MessageReport {
        match self.walk.last_failure.take() {
            None => MessageReport::Temporary(no_connection(self.protocol)),
            Some((text, _)) if self.walk.all_permanent => MessageReport::Permanent(text),
            Some((text, _)) => MessageReport::Temporary(text),
        }
    }

    fn tls_failed(&self, failure: &TlsFailure) -> Result<Text, Broken> {
        let (Some(server), Some(policy)) = (&self.server, &self.in_force) else {
            return Err(Broken::Lied);
        };
        let name = self.relay.clone().or_else(|| server.name.as_ref().map(ToString::to_string));
        let remote = name.unwrap_or_else(|| server.address.to_string());
        let certificate = self.client_certificate.as_deref();
        tls_texts::failed(failure, &self.host, &remote, policy, certificate).ok_or(Broken::Lied)
    }

    /// Whether the policy in force allows a message in this state of TLS.
    fn allows(&self, tls: Option<Proof>) -> bool {
        self.in_force.as_ref().is_some_and(|policy| policy.allows(tls))
    }

    fn observed(&mut self, observation: Observation) -> Result<(), Broken> {
        if self.seen.is_none() {
            return Err(Broken::Lied);
        }
        if observation != Observation::Ready {
            return self.see(Seen::Observed(observation));
        }
        let may_go_on = match self.protocol {
            Protocol::Smtp => self.stage == Stage::Session && self.allows(self.tls),
            Protocol::Qmtp => self.stage == Stage::Packing && self.may_pack(),
        };
        if !may_go_on {
            return Err(Broken::Lied);
        }
        self.stage = Stage::Walking;
        self.see(Seen::Usable(tls_texts::accepted(self.tls)))
    }

    fn see(&mut self, seen: Seen) -> Result<(), Broken> {
        match &mut self.seen {
            Some(all) if all.len() >= MOST_SEEN => Err(Broken::Lied),
            Some(all) => {
                all.push(seen);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The current exchanger is done with; the next one may be tried.
    fn walk_on(&mut self, failure: Text, words: Words) -> Result<(), Broken> {
        let failure = self.with_remark(failure);
        self.see(Seen::Failed(failure.clone()))?;
        self.walk.all_permanent &= words == Words::ForGood;
        let says_less = |(_, last): &(Text, Words)| words == Words::None && *last != Words::None;
        if !self.walk.last_failure.as_ref().is_some_and(says_less) {
            self.walk.last_failure = Some((failure, words));
        }
        self.stage = Stage::Walking;
        Ok(())
    }

    fn over(&mut self, verdict: MessageReport) {
        self.verdict = Some(match verdict {
            MessageReport::Success(text) => MessageReport::Success(self.with_remark(text)),
            MessageReport::Temporary(text) => MessageReport::Temporary(self.with_remark(text)),
            MessageReport::Permanent(text) => MessageReport::Permanent(self.with_remark(text)),
        });
        self.stage = Stage::Over;
    }

    fn address(&self) -> Result<IpAddr, Broken> {
        self.server.as_ref().map(|server| server.address).ok_or(Broken::Lied)
    }
}

#[cfg(test)]
mod auth_tests;
#[cfg(test)]
mod chunk_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod probe_tests;
#[cfg(test)]
mod qmtp_tests;
#[cfg(test)]
mod signing_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
