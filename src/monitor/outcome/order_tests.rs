//! Everything that a child may say, in every order: what the monitor does for it is never more than the plan holds.
#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::tests::{BEGIN, claim, connected, plan, replied};
use super::*;
use crate::authentication::Mechanism;
use crate::ipc::qmtp_answer::QmtpAnswer;
use crate::ipc::reason::Reason;
use crate::ipc::signature::{Hash, Piece};
use crate::ipc::{MessageFault, Step, Unused};
use crate::plan::ClientCertificate;
use crate::tls_policy::{CertificateNeed, Need, Verified};

const SCHEME: Scheme = Scheme::Ecdsa(Hash::Sha256);

/// What a child has to say. Of replies each that moves a delivery on, and one that does not.
fn vocabulary() -> Vec<Message> {
    let named = Proof { certificate: Verified::Name, ..Proof::NOTHING };
    let mut all = vec![
        BEGIN,
        Message::Request(Request::TlsPolicy),
        Message::Request(Request::TrustAnchors(AnchorQuery::File)),
        Message::Request(Request::AuthResponse),
        Message::Request(Request::Sign(SCHEME)),
        Message::ToBeSigned(Piece::try_from(b"x".to_vec()).unwrap()),
        claim(Claim::Unreachable),
        connected(1),
        claim(Claim::NotSmtp),
        claim(Claim::Lost),
        claim(Claim::TlsEstablished(Proof::NOTHING)),
        claim(Claim::TlsEstablished(named)),
        claim(Claim::TlsFailed(TlsFailure::Handshake(Reason::new("no")))),
        claim(Claim::NotAuthenticated(Unused::NotOffered)),
        claim(Claim::NotAuthenticated(Unused::Withheld)),
        claim(Claim::Package),
        claim(Claim::EndOfData),
        claim(Claim::Answered(QmtpAnswer::try_from(b"Kok".to_vec()).unwrap())),
        claim(Claim::MessageFault(MessageFault::Unreadable)),
        claim(Claim::Exhausted),
    ];
    for mechanism in Mechanism::ALL {
        all.extend(["334 ", "504 no"].map(|text| replied(Step::Auth(mechanism), text)));
    }
    for (step, text) in [
        (Step::Greeting, "220 hi"),
        (Step::Ehlo, "250 mx1"),
        (Step::Ehlo, "500 what"),
        (Step::Helo, "250 mx1"),
        (Step::AuthUser, "334 x"),
        (Step::AuthResponse, "235 ok"),
        (Step::Mail, "250 ok"),
        (Step::Rcpt, "250 ok"),
        (Step::Data, "354 go"),
        (Step::Chunk, "500 what"),
        (Step::EndOfData, "250 queued"),
    ] {
        all.push(replied(step, text));
    }
    all
}

/// What was said of the present connection, and what was opened for it: kept here, apart from what is tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Seen {
    connections: u8,
    has_opened: bool,
    proof: Option<bool>,
    has_signed: bool,
    has_asked: bool,
    has_told: bool,
}

impl Seen {
    fn hear(&mut self, message: &Message) {
        match message {
            Message::Claim(Claim::Connected(_)) => {
                *self = Seen {
                    connections: self.connections.saturating_add(1),
                    has_opened: self.has_opened,
                    ..Seen::default()
                };
            }
            Message::Claim(Claim::TlsEstablished(proof)) => {
                self.proof = Some(proof.certificate == Verified::Name);
            }
            Message::Claim(Claim::Replied(Step::Mail, _) | Claim::Package) => self.has_told = true,
            Message::Request(_) | Message::Claim(_) | Message::ToBeSigned(_) => {}
        }
    }

    /// Checks that this may be done now, by nothing but the plan and what was said.
    fn check(&mut self, plan: &Plan, task: &Task) -> Option<&'static str> {
        let begun = self.connections > 0;
        match task {
            Task::Begin | Task::Stop => None,
            Task::RaisePolicy(_) => {
                assert!(plan.exchanger_rules && begun && !std::mem::replace(&mut self.has_asked, true));
                Some("policy")
            }
            Task::HandOut(anchors, _) => {
                assert_eq!(plan.tls.certificate.anchors(), Some(anchors));
                assert!(begun && self.proof.is_none());
                Some("anchors")
            }
            Task::Digest(_) | Task::Release => {
                let authentication = plan.authentication.expect("there is nothing to open");
                assert!(!std::mem::replace(&mut self.has_opened, true), "a second time");
                assert!(!self.has_told, "too late");
                let is_digest = matches!(task, Task::Digest(_));
                assert!(is_digest || authentication.in_clear || self.proof.is_some(), "in clear");
                assert!(!authentication.verified_only || self.proof == Some(true), "to anybody");
                assert!(plan.tls.need != Need::Required || self.proof.is_some(), "before TLS");
                Some(if is_digest { "digest" } else { "credentials" })
            }
            Task::Sign(..) => {
                let is_implicit = plan.tls_start == TlsStart::Implicit;
                assert!(plan.client_certificate.is_some() && (plan.tls.need != Need::Never || is_implicit));
                assert!(begun && self.proof.is_none() && !self.has_told);
                assert!(!std::mem::replace(&mut self.has_signed, true), "a second time");
                Some("signature")
            }
        }
    }
}

/// Goes through all that can come about within two connections, and says what was done on the way.
fn everything(plan: &Plan) -> BTreeSet<&'static str> {
    let vocabulary = vocabulary();
    let mut done = BTreeSet::new();
    let mut known = HashSet::new();
    let mut open = VecDeque::from([(Vec::new(), Seen::default())]);
    while let Some((way, seen)) = open.pop_front() {
        for message in &vocabulary {
            let mut transcript = Transcript::new(b"example.test", plan);
            for before in &way {
                say(&mut transcript, before).unwrap();
            }
            let mut seen = seen;
            seen.hear(message);
            let Ok(task) = say(&mut transcript, message) else { continue };
            done.extend(task.and_then(|task| seen.check(plan, &task)));
            if let Message::ToBeSigned(_) = message {
                // Kept or not, it makes no other state.
                seen.check(plan, &Task::Sign(SCHEME, Vec::new()));
                continue;
            }
            // Nor does what is only counted.
            transcript.anchor_queries = 0;
            let goes_on = !transcript.is_over() && seen.connections <= 2;
            if goes_on && known.insert((format!("{transcript:?}"), seen)) {
                open.push_back(([&way[..], std::slice::from_ref(message)].concat(), seen));
            }
        }
    }
    assert!(known.len() > 10, "{}", known.len());
    done
}

fn say(transcript: &mut Transcript, message: &Message) -> Result<Option<Task>, Broken> {
    let task = transcript.accept(message.clone())?;
    if let Some(Task::RaisePolicy(_)) = task {
        transcript.raise_policy(None);
    }
    Ok(task)
}

/// In every order by every kind of plan: this and nothing else is done.
fn all_plans(change: fn(Plan) -> Plan, by_smtp: &[&str], by_qmtp: &[&str]) {
    for (protocol, expected) in [(Protocol::Smtp, by_smtp), (Protocol::Qmtp, by_qmtp)] {
        let plan = change(Plan { protocol, ..plan(1) });
        assert_eq!(everything(&plan), expected.iter().copied().collect(), "{protocol:?}");
    }
}

fn with_credentials(in_clear: bool, verified_only: bool, plan: Plan) -> Plan {
    Plan { authentication: Some(Authentication { in_clear, verified_only }), ..plan }
}

fn with_certificate(plan: Plan) -> Plan {
    let certificate = ClientCertificate { file: "/etc/ssl/client.pem".into(), chain: Vec::new() };
    Plan { client_certificate: Some(certificate), ..plan }
}

#[test]
fn who_asks_for_everything_gets_nothing_that_the_plan_does_not_hold() {
    all_plans(|plan| plan, &[], &[]);
    all_plans(|plan| Plan { exchanger_rules: true, ..plan }, &["policy"], &["policy"]);
}

#[test]
fn credentials_are_opened_once_whatever_is_said() {
    let both = &["credentials", "digest"];
    all_plans(|plan| with_credentials(false, false, plan), both, &[]);
    all_plans(|plan| with_credentials(true, false, plan), both, &[]);
    all_plans(|plan| with_credentials(true, true, plan), both, &[]);
    let required = |plan| {
        let tls = TlsPolicy { need: Need::Required, ..TlsPolicy::OPPORTUNISTIC };
        with_credentials(true, false, Plan { tls, ..plan })
    };
    all_plans(required, both, &[]);
}

#[test]
fn a_key_signs_once_in_a_connection_whatever_is_said() {
    all_plans(with_certificate, &["signature"], &["signature"]);
    let never = |plan| {
        with_certificate(Plan { tls: TlsPolicy { need: Need::Never, ..TlsPolicy::OPPORTUNISTIC }, ..plan })
    };
    all_plans(never, &[], &[]);
    let never_starttls = |plan| {
        let tls = TlsPolicy { need: Need::Never, ..TlsPolicy::OPPORTUNISTIC };
        with_certificate(Plan { tls, tls_start: TlsStart::Implicit, ..plan })
    };
    all_plans(never_starttls, &["signature"], &["signature"]);
}

#[test]
fn with_all_of_them_each_keeps_its_rules() {
    let all = |plan| {
        let certificate = CertificateNeed::Chain(TrustAnchors::File("/ca.pem".into()));
        let tls = TlsPolicy { certificate, ..TlsPolicy::OPPORTUNISTIC };
        with_certificate(with_credentials(false, false, Plan { tls, exchanger_rules: true, ..plan }))
    };
    let without = &["anchors", "policy", "signature"];
    all_plans(all, &["anchors", "credentials", "digest", "policy", "signature"], without);
}
