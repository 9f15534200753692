//! The decision tables: claims in, exact bytes out.

use super::*;
use crate::envelope::Path;
use crate::host::{Host, HostName};
use crate::ipc::reason::Reason;
use crate::ipc::server_reply::ReplyText;
use crate::ipc::{ConfinementStep, Family, LookupFailure, Request, Step};
pub(super) use crate::plan::tests::plan;
use crate::plan::{Relay, TlsStart};

pub(super) const BEGIN: Message = Message::Request(Request::Begin);

pub(super) fn connected(last_octet: u8) -> Message {
    let name = HostName::parse(format!("mx{last_octet}.example.test").as_bytes()).unwrap();
    Message::Claim(Claim::Connected(Server { name: Some(name), address: [192, 0, 2, last_octet].into() }))
}

pub(super) fn replied(step: Step, text: &str) -> Message {
    let text = ReplyText::try_from(format!("{text}\n").into_bytes()).unwrap();
    Message::Claim(Claim::Replied(step, text))
}

pub(super) fn claim(claim: Claim) -> Message {
    Message::Claim(claim)
}

/// From the start to a server that has accepted our name.
pub(super) fn session() -> Vec<Message> {
    vec![BEGIN, connected(1), replied(Step::Greeting, "220 hi"), replied(Step::Ehlo, "250 mx1")]
}

/// From the start to the answers of all recipients and then on.
fn after_mail(rest: &[Message]) -> Vec<Message> {
    [&session()[..], &[replied(Step::Mail, "250 ok")], rest].concat()
}

/// What is printed for a delivery with `recipients` after these messages.
fn reports(recipients: usize, messages: &[Message]) -> String {
    reports_of(&plan(recipients), messages)
}

/// So, for a delivery by `plan`.
pub(super) fn reports_of(plan: &Plan, messages: &[Message]) -> String {
    let mut transcript = Transcript::new(b"example.test", plan);
    let result = messages.iter().try_for_each(|message| transcript.accept(message.clone()).map(drop));
    let reports = match result {
        Ok(()) => transcript.conclude(),
        Err(how) => transcript.broken(how),
    };
    reports.encode().escape_ascii().to_string().replace("\\x00", "|").replace("\\n", "/").replace("\\'", "'")
}

fn rcpt(text: &str) -> Message {
    replied(Step::Rcpt, text)
}

#[test]
fn connections_are_claimed_a_limited_number_of_times_in_a_delivery() {
    let mut transcript = Transcript::new(b"example.test", &plan(1));
    transcript.accept(BEGIN).unwrap();
    for _ in 0..MOST_CONNECTIONS {
        assert_eq!(transcript.accept(connected(1)), Ok(None));
        assert_eq!(transcript.accept(claim(Claim::Lost)), Ok(None));
    }
    assert_eq!(transcript.accept(connected(1)), Err(Broken::Lied));
}

#[test]
fn a_message_is_accepted_only_at_the_end_of_the_whole_way() {
    let way = after_mail(&[
        rcpt("250 ok"),
        replied(Step::Data, "354 go"),
        claim(Claim::EndOfData),
        replied(Step::EndOfData, "250 queued"),
    ]);
    let accepted = "r|K192.0.2.1 accepted message./Remote host said: 250 queued/|";
    assert_eq!(reports(1, &way), accepted);
    // Without the answer to DATA it is the way of a chunk: `chunk_tests`.
    for missing in (0..way.len()).filter(|&step| way[step] != replied(Step::Data, "354 go")) {
        let mut shortcut = way.clone();
        shortcut.remove(missing);
        let printed = reports(1, &shortcut);
        assert!(
            printed.starts_with('Z') && printed.matches('|').count() == 1,
            "without step {missing}: {printed}"
        );
    }
    for doubled in 0..way.len() {
        let mut repeated = way.clone();
        repeated.insert(doubled, way[doubled].clone());
        let printed = reports(1, &repeated);
        // The verdict is known before a second final reply is looked at.
        assert!(printed.starts_with('Z'), "step {doubled} twice: {printed}");
    }
}

#[test]
fn tls_is_named_when_the_message_went_over_it() {
    let rest = [
        replied(Step::Mail, "250 ok"),
        rcpt("250 ok"),
        replied(Step::Data, "354 go"),
        claim(Claim::EndOfData),
        replied(Step::EndOfData, "250 queued"),
    ];
    let accepted = "r|K192.0.2.1 TLS transmitted message accepted./Remote host said: 250 queued/|";
    let starttls = [
        &session()[..],
        &[claim(Claim::TlsEstablished(Proof::NOTHING)), replied(Step::Ehlo, "250 mx1")],
        &rest,
    ]
    .concat();
    assert_eq!(reports(1, &starttls), accepted);
    let mut implicit = [session(), rest.to_vec()].concat();
    implicit.insert(2, claim(Claim::TlsEstablished(Proof::NOTHING)));
    let begins_with_tls = Plan { tls_start: TlsStart::Implicit, ..plan(1) };
    assert_eq!(reports_of(&begins_with_tls, &implicit), accepted);
    // It starts where the plan says, and nowhere else.
    let lie = "ZThe network process broke its protocol and was stopped. (#4.3.0)/|";
    assert_eq!(reports(1, &implicit), lie);
    assert_eq!(reports_of(&begins_with_tls, &starttls), lie);
    assert_eq!(reports_of(&begins_with_tls, &[session(), rest.to_vec()].concat()), lie);
    // TLS belongs to a connection: the next one starts in clear.
    let lost = [
        &session()[..],
        &[claim(Claim::TlsEstablished(Proof::NOTHING)), claim(Claim::Lost)],
        &session()[1..],
        &rest,
    ]
    .concat();
    assert_eq!(reports(1, &lost), "r|K192.0.2.1 accepted message./Remote host said: 250 queued/|");
}

#[test]
fn each_recipient_has_its_report_in_order() {
    let end = [replied(Step::Data, "354 go"), claim(Claim::EndOfData), replied(Step::EndOfData, "250 ok")];
    let mixed = after_mail(
        &[&[rcpt("550 no"), rcpt("250 ok"), rcpt("451 later"), rcpt("399 what")][..], &end].concat(),
    );
    assert_eq!(
        reports(4, &mixed),
        "h192.0.2.1 does not like recipient./Remote host said: 550 no/|r|\
         s192.0.2.1 does not like recipient./Remote host said: 451 later/|\
         s192.0.2.1 does not like recipient./Remote host said: 399 what/|\
         K192.0.2.1 accepted message./Remote host said: 250 ok/|"
    );
    let refused = "192.0.2.1 does not like recipient./Remote host said:";
    for (answers, last) in [
        (["550 a", "551 b"], "DGiving up on 192.0.2.1./Remote host said: 551 b/|"),
        (["550 a", "450 b"], "ZGiving up on 192.0.2.1./Remote host said: 450 b/|"),
        (["450 a", "550 b"], "ZGiving up on 192.0.2.1./Remote host said: 550 b/|"),
    ] {
        let each = answers.map(|text| {
            let letter = if text.starts_with('5') { 'h' } else { 's' };
            format!("{letter}{refused} {text}/|")
        });
        assert_eq!(reports(2, &after_mail(&answers.map(rcpt))), format!("{}{last}", each.concat()));
    }
}

#[test]
fn replies_decide_between_bounce_and_retry() {
    let data = |text| after_mail(&[rcpt("250 ok"), replied(Step::Data, text)]);
    let last = |text| {
        after_mail(&[
            rcpt("250 ok"),
            replied(Step::Data, "354 go"),
            claim(Claim::EndOfData),
            replied(Step::EndOfData, text),
        ])
    };
    let mail = |text| [&session()[..], &[replied(Step::Mail, text)]].concat();
    for (messages, printed) in [
        (mail("550 no"), "DConnected to 192.0.2.1 but sender was rejected./Remote host said: 550 no/|"),
        (mail("450 no"), "ZConnected to 192.0.2.1 but sender was rejected./Remote host said: 450 no/|"),
        (mail("354 no"), "ZConnected to 192.0.2.1 but sender was rejected./Remote host said: 354 no/|"),
        (data("554 no"), "r|D192.0.2.1 failed on DATA command./Remote host said: 554 no/|"),
        (data("451 no"), "r|Z192.0.2.1 failed on DATA command./Remote host said: 451 no/|"),
        (data("250 ok"), "r|Z192.0.2.1 failed on DATA command./Remote host said: 250 ok/|"),
        (data("355 go"), "r|Z192.0.2.1 failed on DATA command./Remote host said: 355 go/|"),
        (last("554 no"), "r|D192.0.2.1 failed after I sent the message./Remote host said: 554 no/|"),
        (last("452 no"), "r|Z192.0.2.1 failed after I sent the message./Remote host said: 452 no/|"),
        (last("354 no"), "r|Z192.0.2.1 failed after I sent the message./Remote host said: 354 no/|"),
    ] {
        assert_eq!(reports(1, &messages), printed);
    }
}

#[test]
fn a_walk_bounces_only_when_every_exchanger_refused_for_good() {
    let greeting = |octet, text| [connected(octet), replied(Step::Greeting, text)];
    let name = |octet, ehlo, helo| {
        let mut steps = vec![connected(octet), replied(Step::Greeting, "220 hi"), replied(Step::Ehlo, ehlo)];
        steps.extend((!str::is_empty(helo)).then(|| replied(Step::Helo, helo)));
        steps
    };
    let walk = |steps: &[&[Message]]| {
        let all = [&[BEGIN][..], &steps.concat(), &[claim(Claim::Exhausted)]].concat();
        reports(1, &all)
    };
    let unreachable = [claim(Claim::Unreachable)];
    let greeted = |letter, octet, text| {
        format!("{letter}Connected to 192.0.2.{octet} but greeting failed./Remote host said: {text}/|")
    };
    let named = |letter, octet, text| {
        format!("{letter}Connected to 192.0.2.{octet} but my name was rejected./Remote host said: {text}/|")
    };
    assert_eq!(walk(&[&greeting(1, "554 a"), &greeting(2, "521 b")]), greeted('D', 2, "521 b"));
    assert_eq!(walk(&[&greeting(1, "554 a"), &greeting(2, "421 b")]), greeted('Z', 2, "421 b"));
    assert_eq!(walk(&[&greeting(1, "421 a"), &greeting(2, "554 b")]), greeted('Z', 2, "554 b"));
    assert_eq!(walk(&[&greeting(1, "554 a"), &unreachable]), greeted('Z', 1, "554 a"));
    assert_eq!(walk(&[&greeting(1, "250 odd")]), greeted('Z', 1, "250 odd"));
    assert_eq!(walk(&[&name(1, "502 a", "550 b")]), named('D', 1, "550 b"));
    assert_eq!(walk(&[&name(1, "421 a", "")]), named('Z', 1, "421 a"));
    assert_eq!(walk(&[&name(1, "502 a", "421 b")]), named('Z', 1, "421 b"));
    assert_eq!(
        walk(&[&unreachable, &unreachable]),
        "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)/|"
    );
}

#[test]
fn an_exchanger_that_said_why_is_told_rather_than_one_that_said_nothing() {
    let greeting = |octet, text| vec![connected(octet), replied(Step::Greeting, text)];
    let lost = |octet| vec![connected(octet), claim(Claim::Lost)];
    let garbage = |octet| vec![connected(octet), claim(Claim::NotSmtp)];
    let failed = || vec![claim(Claim::TlsaUnknown(HostName::parse(b"mx9.example.test").unwrap()))];
    let walk = |steps: &[Vec<Message>]| {
        reports(1, &[&[BEGIN][..], &steps.concat(), &[claim(Claim::Exhausted)]].concat())
    };
    let refused = "ZConnected to 192.0.2.1 but greeting failed./Remote host said: 554 a/|";
    let died = "ZConnected to 192.0.2.2 but connection died. (#4.4.2)/|";
    let tlsa = "ZTLSA lookup failed temporarily for: mx9.example.test. (#4.4.3)/|";
    for (steps, told) in [
        (vec![greeting(1, "554 a"), lost(2)], refused),
        (vec![greeting(1, "554 a"), garbage(2), lost(3)], refused),
        (vec![lost(2), greeting(1, "554 a")], refused),
        (vec![failed(), lost(2)], tlsa),
        (vec![greeting(1, "554 a"), failed()], tlsa),
        (vec![garbage(1), lost(2)], died),
        (vec![lost(2), garbage(1)], "ZConnected to 192.0.2.1 but greeting failed./|"),
    ] {
        assert_eq!(walk(&steps), told);
    }
}

#[test]
fn a_lost_connection_is_a_possible_duplicate_after_the_end_of_data() {
    let died = "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|";
    let duplicate = "ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/|";
    let mut way = after_mail(&[rcpt("250 ok"), replied(Step::Data, "354 go"), claim(Claim::EndOfData)]);
    for lost in [Claim::Lost, Claim::NotSmtp] {
        let printed = reports(1, &[&way[..], &[claim(lost.clone())]].concat());
        assert_eq!(printed, format!("r|{duplicate}"));
        way.pop();
        assert_eq!(reports(1, &[&way[..], &[claim(lost)]].concat()), format!("r|{died}"));
        way.push(claim(Claim::EndOfData));
    }
    assert_eq!(reports(1, &way), duplicate, "the child died");
    assert_eq!(reports(1, &[&way[..], &[BEGIN]].concat()), duplicate, "the child lied");
    for end in 0..way.len() {
        assert_eq!(reports(1, &way[..end]), "ZThe network process ended without a result. (#4.3.0)/|");
    }
    let before = [&session()[..], &[claim(Claim::Lost), claim(Claim::Exhausted)]].concat();
    assert_eq!(reports(1, &before), died);
}

#[test]
fn failures_before_any_dialogue() {
    for (failure, printed) in [
        (LookupFailure::Temporary, "ZSorry, I couldn't find any host by that name. (#4.1.2)/|"),
        (LookupFailure::NoSuchDomain, "DSorry, I couldn't find any host named example.test. (#5.1.2)/|"),
        (LookupFailure::NoAddress, "DSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)/|"),
        (LookupFailure::AliasTemporary, "ZCNAME lookup failed temporarily for: example.test. (#4.4.3)/|"),
        (
            LookupFailure::OnlyOurselves,
            "DSorry. Although I'm listed as a best-preference MX or A for that host,/\
             it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)/|",
        ),
        (LookupFailure::NullMx, "DSorry, example.test does not accept mail. (#5.1.10)/|"),
    ] {
        assert_eq!(reports(1, &[BEGIN, claim(Claim::NotFound(failure))]), printed);
    }
    let cannot_bind = |family| reports(1, &[BEGIN, claim(Claim::CannotBind(family))]);
    let text = "ZSystem can't bind to local ip address: 192.0.2.99 (#4.3.0)/|";
    assert_eq!(cannot_bind(Family::V4), text);
    let lied = "ZThe network process broke its protocol and was stopped. (#4.3.0)/|";
    assert_eq!(cannot_bind(Family::V6), lied, "it was given no such address");
    let no_socket = reports(1, &[BEGIN, claim(Claim::NoSocket)]);
    assert_eq!(no_socket, "ZSystem resources temporarily unavailable. (#4.3.0)/|");
    let step = ConfinementStep(sandbox::Step::Seccomp.into());
    let printed = reports(1, &[claim(Claim::NotConfined(step))]);
    assert_eq!(printed, "ZUnable to confine the network process: seccomp. (#4.3.0)/|");
    assert_eq!(reports(1, &[claim(Claim::NotConfined(ConfinementStep(0)))]), lied);
    assert_eq!(reports(1, &[connected(1)]), lied, "nothing before confinement");
}

#[test]
fn failed_tls_walks_on_and_names_server_and_host() {
    let failed = |failure| {
        let steps = [claim(Claim::TlsFailed(failure)), claim(Claim::Exhausted)];
        reports(1, &[&session()[..], &steps].concat())
    };
    assert_eq!(
        failed(TlsFailure::Handshake(Reason::default())),
        "ZTLS connection/protocol error with host: mx1.example.test for example.test. (#4.4.1)/|"
    );
    assert_eq!(
        failed(TlsFailure::Context),
        "ZI wasn't able to create TLS context for: example.test at mx1.example.test. (#4.4.1)/|"
    );
    let address = Server { name: None, address: [192, 0, 2, 1].into() };
    let steps = [
        BEGIN,
        claim(Claim::Connected(address)),
        claim(Claim::TlsFailed(TlsFailure::Handshake(Reason::default()))),
    ];
    assert_eq!(
        reports(1, &[&steps[..], &[claim(Claim::Exhausted)]].concat()),
        "ZTLS connection/protocol error with host: 192.0.2.1 for example.test. (#4.4.1)/|"
    );
}

#[test]
fn more_recipients_than_were_handed_out_are_a_lie() {
    let way = after_mail(&[rcpt("250 ok"), rcpt("250 ok")]);
    assert_eq!(reports(1, &way), "ZThe network process broke its protocol and was stopped. (#4.3.0)/|");
    assert!(reports(2, &way).starts_with("ZThe network process ended"));
}

#[test]
fn an_address_without_smtputf8_is_refused_where_one_needs_it() {
    let refused = [&session()[..], &[claim(Claim::NoSmtpUtf8)]].concat();
    let recipient = Path::forward("b\u{f6}b@example.test".as_bytes()).unwrap();
    let international = Plan { recipients: vec![recipient], ..plan(1) };
    assert_eq!(
        reports_of(&international, &refused),
        "DConnected to 192.0.2.1 but it does not offer SMTPUTF8, which an address of this message needs. (#5.6.7)/|"
    );
    let lied = "ZThe network process broke its protocol and was stopped. (#4.3.0)/|";
    assert_eq!(reports(1, &refused), lied);
    let late = [&session()[..], &[replied(Step::Mail, "250 ok"), claim(Claim::NoSmtpUtf8)]].concat();
    assert_eq!(reports_of(&international, &late), lied);
}

#[test]
fn a_relay_is_called_as_its_control_file_writes_it() {
    let mut plan = plan(1);
    let as_written = b"[192.0.2.1]".to_vec();
    plan.destination = Destination::Relay(Relay { host: Host::parse(&as_written).unwrap(), as_written });
    let mut transcript = Transcript::new(b"example.test", &plan);
    let server = Server { name: None, address: [192, 0, 2, 1].into() };
    let failed = claim(Claim::TlsFailed(TlsFailure::Handshake(Reason::default())));
    for message in [BEGIN, claim(Claim::Connected(server)), failed, claim(Claim::Exhausted)] {
        transcript.accept(message).unwrap();
    }
    let text = "ZTLS connection/protocol error with host: [192.0.2.1] for example.test. (#4.4.1)\n\0";
    assert_eq!(transcript.conclude().encode(), text.as_bytes());
}

#[test]
fn a_delivery_is_over_with_its_verdict_and_not_before() {
    let end = [rcpt("250 ok"), replied(Step::Data, "354 go"), claim(Claim::EndOfData)];
    let mut transcript = Transcript::new(b"example.test", &plan(1));
    for message in after_mail(&end) {
        assert!(!transcript.is_over());
        transcript.accept(message).unwrap();
    }
    assert!(!transcript.is_over());
    transcript.accept(replied(Step::EndOfData, "250 queued")).unwrap();
    assert!(transcript.is_over());
}

#[test]
fn what_the_monitor_cannot_do_decides_the_delivery_and_is_seen_by_a_probe() {
    let report = || MessageReport::Temporary(Text::new(RESOURCES));
    for purpose in [Purpose::Deliver, Purpose::Probe] {
        let mut transcript = Transcript::new(b"example.test", &Plan { purpose, ..plan(1) });
        for message in [BEGIN, connected(1)] {
            transcript.accept(message).unwrap();
        }
        transcript.stop(report());
        assert!(transcript.is_over());
        match purpose {
            Purpose::Deliver => assert_eq!(transcript.conclude(), report().into()),
            Purpose::Probe => {
                let (seen, none_tried) = transcript.into_seen();
                assert_eq!(seen.last(), Some(&Seen::Failed(Text::new(RESOURCES))));
                assert_eq!((seen.len(), none_tried), (2, None));
            }
        }
    }
}

#[test]
fn a_probe_that_reaches_no_server_says_what_stopped_it() {
    let mut transcript = Transcript::new(b"example.test", &Plan { purpose: Purpose::Probe, ..plan(1) });
    for message in [BEGIN, claim(Claim::NotFound(LookupFailure::NoSuchDomain))] {
        transcript.accept(message).unwrap();
    }
    let stopped_by = not_found("example.test", LookupFailure::NoSuchDomain);
    assert_eq!(transcript.into_seen(), (Vec::new(), Some(stopped_by)));
}

#[test]
fn what_answered_and_what_did_not_is_evidence() {
    let mut expected = Evidence::default();
    let mut transcript = Transcript::new(b"example.test", &plan(1));
    let silent = [192, 0, 2, 9].into();
    for message in [BEGIN, claim(Claim::Unanswered(silent)), connected(1)] {
        transcript.accept(message).unwrap();
    }
    expected.unanswered(silent).unwrap();
    expected.answered([192, 0, 2, 1].into());
    assert_eq!(transcript.evidence(), &expected);
    assert_eq!(transcript.accept(claim(Claim::Lost)), Ok(None));
    assert_eq!(transcript.accept(claim(Claim::Unanswered(silent))), Err(Broken::Lied), "said twice");
}

#[test]
fn what_is_observed_is_bounded_in_a_probe_and_a_lie_in_a_delivery() {
    let observed = claim(Claim::Observed(Box::new(Observation::Resolver(
        crate::ipc::observation::ResolverSeen::Silent,
    ))));
    let begun = |purpose| {
        let mut transcript = Transcript::new(b"example.test", &Plan { purpose, ..plan(1) });
        transcript.accept(BEGIN).unwrap();
        transcript
    };
    assert_eq!(begun(Purpose::Deliver).accept(observed.clone()).err(), Some(Broken::Lied));
    let mut probe = begun(Purpose::Probe);
    for _ in 0..MOST_SEEN {
        probe.accept(observed.clone()).unwrap();
    }
    assert_eq!(probe.accept(observed).err(), Some(Broken::Lied));
}
