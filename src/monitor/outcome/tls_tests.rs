//! What the monitor makes of claims and requests about TLS: every text to the byte, and what is a lie.
#![forbid(unsafe_code)]

use super::tests::{BEGIN, claim, connected, plan, replied, reports_of, session};
use super::*;
use crate::ipc::Step;
use crate::ipc::reason::Reason;
use crate::monitor::control::tlsdestinations::Kind;
use crate::plan::Relay;
use crate::tls_policy::{CertificateNeed, Digest, Fingerprint, Need, Verified};

const LIED: &str = "ZThe network process broke its protocol and was stopped. (#4.3.0)/|";

fn policy(need: Need, certificate: CertificateNeed) -> TlsPolicy {
    TlsPolicy { need, certificate, ..TlsPolicy::OPPORTUNISTIC }
}

fn required() -> TlsRule {
    TlsRule { kind: Kind::Required, ..TlsRule::default_rule() }
}

fn own() -> TrustAnchors {
    TrustAnchors::File("/etc/ssl/partner.pem".into())
}

fn pinned() -> TlsPolicy {
    let pin = Some(Fingerprint { hex: "AB".repeat(32), digest: Some(Digest::Sha256) });
    TlsPolicy { pin, ..policy(Need::Required, CertificateNeed::Nothing) }
}

/// A plan with this policy for the destination.
fn plan_with(tls: TlsPolicy) -> Plan {
    Plan { tls, ..plan(1) }
}

/// So, and the names of exchangers may have rules.
fn plan_with_rules(tls: TlsPolicy) -> Plan {
    Plan { exchanger_rules: true, ..plan_with(tls) }
}

fn established(proof: Proof) -> Message {
    claim(Claim::TlsEstablished(proof))
}

fn failed(failure: TlsFailure) -> Message {
    claim(Claim::TlsFailed(failure))
}

const ASKS_POLICY: Message = Message::Request(Request::TlsPolicy);
const ASKS_FILE: Message = Message::Request(Request::TrustAnchors(AnchorQuery::File));
const ASKS_SUBJECT: Message = Message::Request(Request::TrustAnchors(AnchorQuery::BySubject(7)));

/// From MAIL to the end.
fn rest() -> Vec<Message> {
    vec![
        replied(Step::Mail, "250 ok"),
        replied(Step::Rcpt, "250 ok"),
        replied(Step::Data, "354 go"),
        claim(Claim::EndOfData),
        replied(Step::EndOfData, "250 queued"),
    ]
}

/// What a delivery by `plan` prints when these come between the answer to EHLO and MAIL.
fn with_tls(plan: &Plan, messages: &[Message]) -> String {
    reports_of(plan, &[session(), messages.to_vec(), rest()].concat())
}

#[test]
fn every_failure_has_its_text() {
    let reason = || Reason::new("because of this");
    let anchored = || policy(Need::Required, CertificateNeed::ExactName(own()));
    let in_directory =
        policy(Need::Required, CertificateNeed::Chain(TrustAnchors::Directory("/etc/ssl/partners/".into())));
    let ciphers = TlsPolicy { ciphers: Some("HI\u{e9}GH".into()), ..TlsPolicy::OPPORTUNISTIC };
    let remote = "mx1.example.test for example.test";
    for (failure, policy, text) in [
        (
            TlsFailure::Context,
            anchored(),
            "I wasn't able to create TLS context for: example.test at mx1.example.test".to_owned(),
        ),
        (
            TlsFailure::Session,
            anchored(),
            format!("I wasn't able to establish a TLS connection with: {remote}"),
        ),
        (TlsFailure::Ciphers, ciphers, "I wasn't able to process the TLS ciphers: HI??GH".to_owned()),
        (
            TlsFailure::TrustAnchors,
            anchored(),
            "I wasn't able to setup CAFILE: /etc/ssl/partner.pem or CADIR: - for TLS".to_owned(),
        ),
        (
            TlsFailure::TrustAnchors,
            in_directory,
            "I wasn't able to setup CAFILE: - or CADIR: /etc/ssl/partners/ for TLS".to_owned(),
        ),
        (
            TlsFailure::NotOffered,
            anchored(),
            format!("I wasn't able to negotiate a StartTLS connection with: {remote}"),
        ),
        (
            TlsFailure::Handshake(reason()),
            anchored(),
            format!("TLS connection/protocol error with host: {remote}: because of this"),
        ),
        (
            TlsFailure::Handshake(Reason::default()),
            anchored(),
            format!("TLS connection/protocol error with host: {remote}"),
        ),
        (TlsFailure::NoCertificate, anchored(), format!("Unable to obtain X.500 certificate from: {remote}")),
        (
            TlsFailure::Unverified(reason()),
            anchored(),
            format!("Unable to verify X.500 certificate from: {remote}: because of this"),
        ),
        (
            TlsFailure::Unverified(Reason::default()),
            anchored(),
            format!("Unable to verify X.500 certificate from: {remote}"),
        ),
        (
            TlsFailure::WrongName,
            anchored(),
            "Unable to validate X.500 certificate Subject for: example.test at mx1.example.test".to_owned(),
        ),
        (
            TlsFailure::WrongFingerprint,
            pinned(),
            format!(
                "Received X.500 certificate from: {remote} does not match provided fingerprint: {}",
                "AB".repeat(32)
            ),
        ),
        (
            TlsFailure::UnknownDigest,
            pinned(),
            format!("Received X.500 certificate from: {remote} posses an unknown digest method"),
        ),
        (
            TlsFailure::TlsaMismatch(reason()),
            anchored(),
            format!("TLSA X.509 cert required but missing from: {remote}: because of this"),
        ),
        (
            TlsFailure::TlsaMismatch(Reason::default()),
            anchored(),
            format!("TLSA X.509 cert required but missing from: {remote}"),
        ),
    ] {
        let messages = [&session()[..], &[failed(failure), claim(Claim::Exhausted)]].concat();
        assert_eq!(reports_of(&plan_with(policy), &messages), format!("Z{text}. (#4.4.1)/|"));
    }
}

#[test]
fn the_systems_store_is_named_by_both_its_places() {
    let plan = plan_with(policy(Need::Required, CertificateNeed::Chain(TrustAnchors::System)));
    let messages = [&session()[..], &[failed(TlsFailure::TrustAnchors), claim(Claim::Exhausted)]].concat();
    let [file, directory] = crate::monitor::trust_store::places(&TrustAnchors::System).map(Option::unwrap);
    let text = format!(
        "ZI wasn't able to setup CAFILE: {} or CADIR: {} for TLS. (#4.4.1)/|",
        file.display(),
        directory.display()
    );
    assert_eq!(reports_of(&plan, &messages), text);
}

#[test]
fn a_relay_is_named_as_written_in_every_text() {
    let relay = Relay { host: crate::host::Host::parse(b"r.test").unwrap(), as_written: b"R.Test.".to_vec() };
    let plan = Plan { destination: Destination::Relay(relay), ..plan(1) };
    for (failure, text) in [
        (TlsFailure::Context, "I wasn't able to create TLS context for: example.test at R.Test."),
        (TlsFailure::NoCertificate, "Unable to obtain X.500 certificate from: R.Test. for example.test"),
        (TlsFailure::WrongName, "Unable to validate X.500 certificate Subject for: example.test at R.Test."),
    ] {
        let messages = [&session()[..], &[failed(failure), claim(Claim::Exhausted)]].concat();
        assert_eq!(reports_of(&plan, &messages), format!("Z{text}. (#4.4.1)/|"));
    }
}

#[test]
fn a_failure_of_what_the_policy_does_not_ask_is_a_lie() {
    for failure in [
        TlsFailure::Ciphers,
        TlsFailure::TrustAnchors,
        TlsFailure::WrongFingerprint,
        TlsFailure::UnknownDigest,
    ] {
        let messages = [&session()[..], &[failed(failure), claim(Claim::Exhausted)]].concat();
        assert_eq!(reports_of(&plan(1), &messages), LIED);
    }
}

#[test]
fn every_proof_has_its_words() {
    use Verified::{Chain, ExactName, Name, Nothing};
    for (pinned, certificate, words) in [
        (false, Nothing, ""),
        (false, Chain, " (verified CA)"),
        (false, Name, " (verified CA+DN*)"),
        (false, ExactName, " (verified CA+DN)"),
        (true, Nothing, " (CERT pinning)"),
        (true, Chain, " (CERT pinning)"),
        (true, Name, " (CERT pinning)"),
        (true, ExactName, " (CERT pinning)"),
    ] {
        for (tlsa, words) in [(false, words), (true, " (TLSA validated)")] {
            let tls = [established(Proof { tlsa, pinned, certificate }), replied(Step::Ehlo, "250 mx1")];
            let text = format!(
                "r|K192.0.2.1 TLS{words} transmitted message accepted./Remote host said: 250 queued/|"
            );
            assert_eq!(with_tls(&plan(1), &tls), text);
        }
    }
    let clear = "r|K192.0.2.1 accepted message./Remote host said: 250 queued/|";
    assert_eq!(with_tls(&plan(1), &[]), clear);
}

#[test]
fn messages_about_tls_have_their_stages() {
    use Stage::*;
    let stages = [
        Confining, Resolving, Walking, Greeting, Hello, HelloAgain, Session, Recipients, Data, Body, Sent,
        Over,
    ];
    for (message, allowed) in [
        (ASKS_POLICY, &[Greeting][..]),
        (ASKS_FILE, &[Greeting, Session]),
        (ASKS_SUBJECT, &[Greeting, Session]),
        (established(Proof::NOTHING), &[Greeting, Session]),
        (failed(TlsFailure::NotOffered), &[Greeting, Session]),
    ] {
        for stage in stages {
            assert_eq!(permits(stage, &message), allowed.contains(&stage), "{message:?} when {stage:?}");
        }
    }
}

/// What becomes of `message` after those before it, which are permitted.
fn answer(plan: &Plan, before: &[Message], message: &Message) -> Result<Option<Task>, Broken> {
    let mut transcript = Transcript::new(b"example.test", plan);
    for message in before {
        if let Some(Task::RaisePolicy(_)) = transcript.accept(message.clone()).unwrap() {
            transcript.raise_policy(None);
        }
    }
    transcript.accept(message.clone())
}

#[test]
fn the_policy_is_asked_for_once_in_each_connection_that_has_a_name() {
    let mx1 = HostName::parse(b"mx1.example.test").unwrap();
    let rules = plan_with_rules(TlsPolicy::OPPORTUNISTIC);
    assert_eq!(answer(&rules, &[BEGIN, connected(1)], &ASKS_POLICY), Ok(Some(Task::RaisePolicy(mx1))));
    assert_eq!(answer(&rules, &[BEGIN, connected(1), ASKS_POLICY], &ASKS_POLICY), Err(Broken::Lied));
    let again = [BEGIN, connected(1), ASKS_POLICY, claim(Claim::Lost), connected(2)];
    assert!(matches!(answer(&rules, &again, &ASKS_POLICY), Ok(Some(Task::RaisePolicy(_)))));
    let nameless = claim(Claim::Connected(Server { name: None, address: [192, 0, 2, 1].into() }));
    assert_eq!(answer(&rules, &[BEGIN, nameless], &ASKS_POLICY), Err(Broken::Lied));
    assert_eq!(answer(&plan(1), &[BEGIN, connected(1)], &ASKS_POLICY), Err(Broken::Lied), "without rules");
}

#[test]
fn trust_anchors_are_those_of_the_policy_in_force() {
    let anchored = policy(Need::Required, CertificateNeed::Chain(own()));
    let hand_out = |query| Ok(Some(Task::HandOut(own(), query)));
    for (message, query) in [(ASKS_FILE, AnchorQuery::File), (ASKS_SUBJECT, AnchorQuery::BySubject(7))] {
        let in_session = session();
        for before in [&in_session[..2], &in_session] {
            assert_eq!(answer(&plan_with(anchored.clone()), before, &message), hand_out(query));
            for asks_nothing in [TlsPolicy::OPPORTUNISTIC, pinned()] {
                assert_eq!(answer(&plan_with(asks_nothing), before, &message), Err(Broken::Lied));
            }
        }
        let rules = plan_with_rules(anchored.clone());
        assert_eq!(answer(&rules, &in_session, &message), Err(Broken::Lied), "before the exchanger's rule");
        let proof = Proof { certificate: Verified::Chain, ..Proof::NOTHING };
        let after = [&in_session[..2], &[established(proof)]].concat();
        assert_eq!(answer(&plan_with(anchored.clone()), &after, &message), Err(Broken::Lied), "after TLS");
    }
    let mut transcript = Transcript::new(b"example.test", &plan_with_rules(TlsPolicy::OPPORTUNISTIC));
    for message in [BEGIN, connected(1), ASKS_POLICY] {
        transcript.accept(message).unwrap();
    }
    transcript.raise_policy(Some(TlsRule { trust_anchors: Some(own()), ..required() }));
    assert_eq!(transcript.accept(ASKS_FILE), hand_out(AnchorQuery::File), "those of the exchanger's rule");
}

#[test]
fn trust_anchors_are_handed_out_a_limited_number_of_times_in_a_delivery() {
    let plan = plan_with(policy(Need::Optional, CertificateNeed::Chain(own())));
    let most = usize::from(MOST_ANCHOR_QUERIES);
    let asked = |times| [session(), vec![ASKS_SUBJECT; times]].concat();
    assert!(answer(&plan, &asked(most - 1), &ASKS_SUBJECT).is_ok());
    assert_eq!(answer(&plan, &asked(most), &ASKS_SUBJECT), Err(Broken::Lied));
    let next = [claim(Claim::Lost), connected(2)];
    assert!(answer(&plan, &[&asked(most - 1)[..], &next].concat(), &ASKS_SUBJECT).is_ok());
    assert_eq!(answer(&plan, &[&asked(most)[..], &next].concat(), &ASKS_FILE), Err(Broken::Lied));
}

#[test]
fn a_sender_named_before_the_demanded_tls_is_a_lie() {
    let mail = replied(Step::Mail, "250 ok");
    for demand in [
        policy(Need::Required, CertificateNeed::Anonymous),
        policy(Need::Required, CertificateNeed::ExactName(own())),
        pinned(),
    ] {
        assert_eq!(answer(&plan_with(demand.clone()), &session(), &mail), Err(Broken::Lied));
        assert_eq!(with_tls(&plan_with(demand), &[]), LIED);
    }
    let rules = plan_with_rules(TlsPolicy::OPPORTUNISTIC);
    assert_eq!(
        answer(&rules, &session(), &mail),
        Err(Broken::Lied),
        "the exchanger's rule was not asked for"
    );
    // What holds for one connection is not carried to the next.
    let asked = [BEGIN, connected(1), ASKS_POLICY, claim(Claim::Lost)];
    let next = [&asked[..], &session()[1..]].concat();
    assert_eq!(answer(&rules, &next, &mail), Err(Broken::Lied));
}

#[test]
fn the_exchangers_rule_binds_the_child() {
    let mut transcript = Transcript::new(b"example.test", &plan_with_rules(TlsPolicy::OPPORTUNISTIC));
    for message in [BEGIN, connected(1), ASKS_POLICY] {
        transcript.accept(message).unwrap();
    }
    transcript.raise_policy(Some(required()));
    for message in [replied(Step::Greeting, "220 hi"), replied(Step::Ehlo, "250 mx1")] {
        transcript.accept(message).unwrap();
    }
    assert_eq!(transcript.accept(replied(Step::Mail, "250 ok")), Err(Broken::Lied));
}

#[test]
fn tls_that_proves_too_little_is_a_lie() {
    let proof = |certificate| Proof { certificate, ..Proof::NOTHING };
    let pin = Proof { pinned: true, ..Proof::NOTHING };
    let tlsa = Proof { tlsa: true, ..Proof::NOTHING };
    let states = [Verified::Chain, Verified::Name, Verified::ExactName].map(proof);
    for need in [Need::OrClear, Need::Optional, Need::Required] {
        for (certificate, enough) in [
            (CertificateNeed::Chain(own()), [true, true, true]),
            (CertificateNeed::Name(own()), [false, true, true]),
            (CertificateNeed::ExactName(own()), [false, false, true]),
        ] {
            let plan = plan_with(policy(need, certificate));
            for before in [&session()[..2], &session()[..]] {
                let allowed = states.map(|state| answer(&plan, before, &established(state)).is_ok());
                assert_eq!(allowed, enough);
                for other in [Proof::NOTHING, pin, tlsa] {
                    assert_eq!(answer(&plan, before, &established(other)), Err(Broken::Lied));
                }
            }
        }
    }
    for too_little in [Proof::NOTHING, tlsa, proof(Verified::ExactName)] {
        assert_eq!(answer(&plan_with(pinned()), &session(), &established(too_little)), Err(Broken::Lied));
    }
    assert_eq!(answer(&plan_with(pinned()), &session(), &established(pin)), Ok(None));
}

#[test]
fn tls_is_established_or_fails_once_in_a_connection_and_under_a_known_policy() {
    let tls = established(Proof::NOTHING);
    let inside = [&session()[..], &[tls.clone(), replied(Step::Ehlo, "250 mx1")]].concat();
    assert_eq!(answer(&plan(1), &inside, &tls), Err(Broken::Lied));
    assert_eq!(answer(&plan(1), &inside, &failed(TlsFailure::Context)), Err(Broken::Lied));
    let rules = plan_with_rules(TlsPolicy::OPPORTUNISTIC);
    for message in [tls, failed(TlsFailure::Context)] {
        assert_eq!(answer(&rules, &session(), &message), Err(Broken::Lied));
    }
}
