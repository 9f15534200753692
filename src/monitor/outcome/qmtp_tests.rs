//! The decision tables of QMTP: claims in, exact bytes out.
#![forbid(unsafe_code)]

use super::tests::{BEGIN, claim, connected, plan, replied, reports_of};
use super::*;
use crate::ipc::qmtp_answer::QmtpAnswer;
use crate::ipc::reason::Reason;
use crate::ipc::{MessageFault, Step};
use crate::tls_policy::{CertificateNeed, Need, Verified};

const LIED: &str = "ZThe network process broke its protocol and was stopped. (#4.3.0)/|";
const ENDED: &str = "ZThe network process ended without a result. (#4.3.0)/|";
const DIED: &str = "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|";
const DUPLICATE: &str = "ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/|";
const NOT_QMTP: &str = "Zrecipient example.test did not talk proper QMTP. (#4.3.0)/|";

fn by_qmtp(recipients: usize) -> Plan {
    Plan { protocol: Protocol::Qmtp, port: 209, ..plan(recipients) }
}

fn answer(text: &str) -> Message {
    claim(Claim::Answered(QmtpAnswer::try_from(text.as_bytes().to_vec()).unwrap()))
}

/// From the start until the whole package is sent, and then on.
fn package(rest: &[Message]) -> Vec<Message> {
    let way = [BEGIN, connected(1), claim(Claim::Package), claim(Claim::EndOfData)];
    [&way[..], rest].concat()
}

fn answered(answers: &[&str]) -> String {
    let answers: Vec<_> = answers.iter().map(|text| answer(text)).collect();
    reports_of(&by_qmtp(answers.len()), &package(&answers))
}

#[test]
fn every_recipient_has_its_answer_and_the_message_the_best_of_them() {
    for (answers, printed) in [
        (&["Kok 1 qp 2"][..], "rqmtp: ok 1 qp 2/|KAll received okay by 192.0.2.1/|"),
        (&["K"], "rqmtp: /|KAll received okay by 192.0.2.1/|"),
        (&["Ka", "Kb"], "rqmtp: a/|rqmtp: b/|KAll received okay by 192.0.2.1/|"),
        (&["Dno"], "hqmtp: no/|DGiving up on 192.0.2.1/|"),
        (&["Znow"], "sqmtp: now/|ZGiving up on 192.0.2.1/|"),
        (&["Da", "Db"], "hqmtp: a/|hqmtp: b/|DGiving up on 192.0.2.1/|"),
        (&["Da", "Zb"], "hqmtp: a/|sqmtp: b/|ZGiving up on 192.0.2.1/|"),
        (&["Za", "Db"], "sqmtp: a/|hqmtp: b/|ZGiving up on 192.0.2.1/|"),
        (&["Da", "Kb"], "hqmtp: a/|rqmtp: b/|KAccepted recipients received okay by 192.0.2.1/|"),
        (
            &["Ka", "Zb", "Dc"],
            "rqmtp: a/|sqmtp: b/|hqmtp: c/|KAccepted recipients received okay by 192.0.2.1/|",
        ),
        (&["Ka\0K\nDb"], "rqmtp: a?K?Db/|KAll received okay by 192.0.2.1/|"),
    ] {
        assert_eq!(answered(answers), printed);
    }
}

#[test]
fn a_message_is_accepted_only_at_the_end_of_the_whole_way() {
    let way = package(&[answer("Ka"), answer("Kb")]);
    assert!(reports_of(&by_qmtp(2), &way).contains("|K"));
    for missing in 0..way.len() {
        let mut shortcut = way.clone();
        shortcut.remove(missing);
        let printed = reports_of(&by_qmtp(2), &shortcut);
        assert!(
            printed.starts_with('Z') || printed.starts_with("rqmtp: a/|Z"),
            "without {missing}: {printed}"
        );
    }
    for doubled in 0..way.len() - 2 {
        let mut repeated = way.clone();
        repeated.insert(doubled, way[doubled].clone());
        let printed = reports_of(&by_qmtp(2), &repeated);
        let (with_the_end, expected) = (doubled == 3, [LIED, DUPLICATE]);
        assert_eq!(printed, expected[usize::from(with_the_end)], "step {doubled} twice");
    }
}

#[test]
fn the_two_protocols_do_not_mix() {
    let smtp = [
        BEGIN,
        connected(1),
        replied(Step::Greeting, "220 hi"),
        replied(Step::Ehlo, "250 mx1"),
        replied(Step::Mail, "250 ok"),
        replied(Step::Rcpt, "250 ok"),
        replied(Step::Data, "354 go"),
        claim(Claim::EndOfData),
        replied(Step::EndOfData, "250 queued"),
    ];
    assert_eq!(reports_of(&by_qmtp(1), &smtp), LIED);
    assert_eq!(reports_of(&plan(1), &package(&[answer("Kok")])), LIED);
    // Nor in the midst of a connection.
    for at in 2..smtp.len() {
        for intruder in [claim(Claim::Package), answer("Kok"), claim(Claim::NotQmtp)] {
            let messages = [&smtp[..at], &[intruder]].concat();
            let expected = if at == 8 { format!("r|{DUPLICATE}") } else { LIED.to_owned() };
            let printed = reports_of(&plan(1), &messages);
            assert!(printed == expected || printed == DUPLICATE, "{at}: {printed}");
        }
    }
    for at in 2..=4 {
        let mut messages = package(&[]);
        messages.truncate(at);
        for intruder in
            [claim(Claim::NotSmtp), replied(Step::Greeting, "220 hi"), replied(Step::EndOfData, "250 ok")]
        {
            let printed = reports_of(&by_qmtp(1), &[&messages[..], &[intruder]].concat());
            assert_eq!(printed, if at == 4 { DUPLICATE } else { LIED });
        }
    }
}

#[test]
fn after_the_package_was_begun_no_other_server_gets_it() {
    let mut way = package(&[]);
    let next = [claim(Claim::Exhausted), connected(2), claim(Claim::Unreachable)];
    for next in next.clone() {
        assert_eq!(reports_of(&by_qmtp(1), &[&way[..], &[next]].concat()), DUPLICATE);
    }
    assert_eq!(reports_of(&by_qmtp(1), &[&way[..], &[claim(Claim::Lost)]].concat()), DUPLICATE);
    assert_eq!(reports_of(&by_qmtp(1), &[&way[..], &[claim(Claim::NotQmtp)]].concat()), NOT_QMTP);
    assert_eq!(reports_of(&by_qmtp(1), &way), DUPLICATE, "the child died");
    way.pop();
    for next in next {
        assert_eq!(reports_of(&by_qmtp(1), &[&way[..], &[next]].concat()), LIED);
    }
    assert_eq!(reports_of(&by_qmtp(1), &[&way[..], &[claim(Claim::Lost)]].concat()), DIED);
    assert_eq!(reports_of(&by_qmtp(1), &[&way[..], &[claim(Claim::NotQmtp)]].concat()), NOT_QMTP);
    assert_eq!(reports_of(&by_qmtp(1), &way), ENDED, "the child died");
    // What was answered for some recipients is told.
    let some = package(&[answer("Ka"), claim(Claim::Lost)]);
    assert_eq!(reports_of(&by_qmtp(2), &some), format!("rqmtp: a/|{DUPLICATE}"));
    let some = package(&[answer("Da"), claim(Claim::NotQmtp)]);
    assert_eq!(reports_of(&by_qmtp(2), &some), format!("hqmtp: a/|{NOT_QMTP}"));
}

#[test]
fn before_the_package_the_walk_goes_on() {
    let unreachable = [BEGIN, claim(Claim::Unreachable), claim(Claim::Exhausted)];
    assert_eq!(
        reports_of(&by_qmtp(1), &unreachable),
        "ZSorry, I wasn't able to establish an QMTP connection. (#4.4.1)/|"
    );
    let failed = [BEGIN, connected(2), claim(Claim::TlsFailed(TlsFailure::Handshake(Reason::default())))];
    let second = [&failed[..], &package(&[answer("Kok")])[1..]].concat();
    let qmtps = Plan { tls_start: TlsStart::Implicit, ..by_qmtp(1) };
    assert_eq!(reports_of(&qmtps, &second), LIED, "the second in clear");
    let mut second = second;
    second.insert(4, claim(Claim::TlsEstablished(Proof::NOTHING)));
    assert_eq!(reports_of(&qmtps, &second), "rqmtps: ok/|KAll received okay by 192.0.2.1/|");
    assert_eq!(
        reports_of(&qmtps, &[&failed[..], &[claim(Claim::Exhausted)]].concat()),
        "ZTLS connection/protocol error with host: mx2.example.test for example.test. (#4.4.1)/|"
    );
}

#[test]
fn tls_is_what_plan_and_policy_demand_or_nothing_is_believed() {
    let tls = |proof| claim(Claim::TlsEstablished(proof));
    let with_tls = |proof| {
        let mut way = package(&[answer("Kok")]);
        way.insert(2, tls(proof));
        way
    };
    let in_clear = package(&[answer("Kok")]);
    let qmtps = Plan { tls_start: TlsStart::Implicit, ..by_qmtp(1) };
    assert_eq!(reports_of(&qmtps, &in_clear), LIED, "QMTPS has TLS");
    assert_eq!(reports_of(&by_qmtp(1), &with_tls(Proof::NOTHING)), LIED, "QMTP has none");
    let required = |plan: Plan| Plan { tls: TlsPolicy { need: Need::Required, ..plan.tls.clone() }, ..plan };
    assert_eq!(reports_of(&required(by_qmtp(1)), &in_clear), LIED);
    let not_offered =
        [BEGIN, connected(1), claim(Claim::TlsFailed(TlsFailure::NotOffered)), claim(Claim::Exhausted)];
    assert_eq!(
        reports_of(&required(by_qmtp(1)), &not_offered),
        "ZI wasn't able to negotiate a StartTLS connection with: mx1.example.test for example.test. (#4.4.1)/|"
    );
    let chain = |plan: Plan| {
        let certificate = CertificateNeed::Chain(TrustAnchors::System);
        Plan { tls: TlsPolicy { need: Need::Required, certificate, ..plan.tls.clone() }, ..plan }
    };
    assert_eq!(reports_of(&chain(qmtps.clone()), &with_tls(Proof::NOTHING)), LIED, "nothing was proved");
    let proved = Proof { certificate: Verified::Chain, ..Proof::NOTHING };
    let printed = reports_of(&chain(qmtps), &with_tls(proved));
    assert_eq!(printed, "rqmtps: ok/|KAll received okay by 192.0.2.1/|");
}

#[test]
fn a_failed_feed_is_no_success_and_exit_status_1() {
    let unreadable = || claim(Claim::MessageFault(MessageFault::Unreadable));
    let status = |plan: &Plan, messages: &[Message]| {
        let mut transcript = Transcript::new(b"example.test", plan);
        messages.iter().for_each(|message| {
            assert_eq!(
                transcript.accept(message.clone()),
                Ok(None.or_else(|| (*message == BEGIN).then_some(Task::Begin)))
            )
        });
        let reports = transcript.conclude();
        (reports.encode(), reports.exit_status())
    };
    let text = b"ZUnable to read message. (#4.3.0)\n\0".to_vec();
    let way = [BEGIN, connected(1), claim(Claim::Package), unreadable()];
    assert_eq!(status(&by_qmtp(1), &way), (text, 1));
    assert_eq!(status(&by_qmtp(1), &package(&[answer("Kok")])).1, 0);
    assert_eq!(status(&by_qmtp(1), &package(&[answer("Dno")])).1, 0);
    assert_eq!(status(&by_qmtp(1), &package(&[claim(Claim::Lost)])).1, 0);
    // Only while the package is sent, and lines do not matter.
    assert_eq!(reports_of(&by_qmtp(1), &package(&[unreadable()])), DUPLICATE);
    assert_eq!(reports_of(&by_qmtp(1), &[BEGIN, connected(1), unreadable()]), LIED);
    let partial = claim(Claim::MessageFault(MessageFault::PartialLastLine));
    assert_eq!(reports_of(&by_qmtp(1), &[BEGIN, connected(1), claim(Claim::Package), partial]), LIED);
    // By SMTP it is 0.
    let smtp = [
        BEGIN,
        connected(1),
        replied(Step::Greeting, "220 hi"),
        replied(Step::Ehlo, "250 mx1"),
        replied(Step::Mail, "250 ok"),
        replied(Step::Rcpt, "250 ok"),
        replied(Step::Data, "354 go"),
        unreadable(),
    ];
    assert_eq!(status(&plan(1), &smtp).1, 0);
}

#[test]
fn unanswered_addresses_are_few_and_told_once() {
    let unanswered = |octet: u8| claim(Claim::Unanswered([192, 0, 2, octet].into()));
    let end = [claim(Claim::Unreachable), claim(Claim::Exhausted)];
    let no_connection = "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)/|";
    let of = |octets: &[u8]| {
        let claims: Vec<_> = octets.iter().map(|&octet| unanswered(octet)).collect();
        reports_of(&plan(1), &[&[BEGIN][..], &claims, &end].concat())
    };
    let most: Vec<u8> = (1..=16).collect();
    assert_eq!(of(&most), no_connection);
    assert_eq!(of(&[&most[..], &[17]].concat()), LIED, "one too many");
    assert_eq!(of(&[1, 2, 1]), LIED, "the same again");
    assert_eq!(reports_of(&plan(1), &[BEGIN, connected(1), unanswered(2)]), LIED, "in a dialogue");
    assert_eq!(reports_of(&plan(1), &[unanswered(2)]), LIED, "before any network");
}
