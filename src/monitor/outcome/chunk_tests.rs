//! BDAT: the message may be there before the envelope is answered, and a success is still only at the end of the way.
#![forbid(unsafe_code)]

use super::tests::{claim, plan, replied, reports_of, session};
use super::*;
use crate::ipc::Step;
use crate::tls_policy::Need;

const DIED: &str = "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|";
const DUPLICATE: &str = "ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)/|";
const LIED: &str = "ZThe network process broke its protocol and was stopped. (#4.3.0)/|";
const ACCEPTED: &str = "K192.0.2.1 accepted message./Remote host said: 250 queued/|";

fn reports(recipients: usize, messages: &[Message]) -> String {
    reports_of(&plan(recipients), messages)
}

fn ok(step: Step) -> Message {
    replied(step, "250 ok")
}

fn queued() -> Message {
    replied(Step::EndOfData, "250 queued")
}

fn session_and(rest: &[Message]) -> Vec<Message> {
    [&session()[..], rest].concat()
}

/// Envelope and message in one flight.
fn in_flight() -> Vec<Message> {
    session_and(&[claim(Claim::EndOfData), ok(Step::Mail), ok(Step::Rcpt), queued()])
}

/// The message after the answers to the envelope.
fn afterwards() -> Vec<Message> {
    session_and(&[ok(Step::Mail), ok(Step::Rcpt), claim(Claim::EndOfData), queued()])
}

#[test]
fn a_chunk_is_accepted_only_at_the_end_of_the_whole_way() {
    for way in [in_flight(), afterwards()] {
        assert_eq!(reports(1, &way), format!("r|{ACCEPTED}"));
        for step in 0..way.len() {
            let (mut shortcut, mut repeated) = (way.clone(), way.clone());
            shortcut.remove(step);
            repeated.insert(step, way[step].clone());
            for messages in [shortcut, repeated] {
                let printed = reports(1, &messages);
                assert!(printed.starts_with('Z') && printed.matches('|').count() == 1, "{printed}");
            }
        }
    }
}

#[test]
fn no_recipient_no_success_though_the_message_was_sent() {
    let way = |mail: &str, rcpt_texts: &[&str]| {
        let rcpt = rcpt_texts.iter().map(|text| replied(Step::Rcpt, text));
        let answers = [claim(Claim::EndOfData), replied(Step::Mail, mail)].into_iter().chain(rcpt);
        // The monitor listens no further than the verdict.
        let last = (rcpt_texts.contains(&"250 b")).then(queued);
        reports(2, &session_and(&answers.chain(last).collect::<Vec<_>>()))
    };
    let refused = "192.0.2.1 does not like recipient./Remote host said:";
    assert_eq!(
        way("250 ok", &["550 a", "551 b"]),
        format!("h{refused} 550 a/|h{refused} 551 b/|DGiving up on 192.0.2.1./Remote host said: 551 b/|")
    );
    assert_eq!(
        way("250 ok", &["550 a", "450 b"]),
        format!("h{refused} 550 a/|s{refused} 450 b/|ZGiving up on 192.0.2.1./Remote host said: 450 b/|")
    );
    assert_eq!(way("250 ok", &["550 a", "250 b"]), format!("h{refused} 550 a/|r|{ACCEPTED}"));
    assert_eq!(
        way("550 no", &[]),
        "DConnected to 192.0.2.1 but sender was rejected./Remote host said: 550 no/|"
    );
}

#[test]
fn whatever_ends_the_flight_the_message_may_be_there() {
    let way = in_flight();
    let sent = session().len() + 1;
    for end in sent..way.len() {
        let recipients = if end > sent + 1 { "r|" } else { "" };
        for lost in [Claim::Lost, Claim::NotSmtp] {
            let printed = reports(1, &[&way[..end], &[claim(lost)]].concat());
            assert_eq!(printed, format!("{recipients}{DUPLICATE}"), "after {end}");
        }
        assert_eq!(reports(1, &way[..end]), DUPLICATE, "the child died after {end}");
        let lie = [&way[..end], &[tests::BEGIN]].concat();
        assert_eq!(reports(1, &lie), DUPLICATE, "the child lied after {end}");
        // No other exchanger, no other handshake, nothing that would forget the message.
        for other in [
            tests::connected(2),
            claim(Claim::Exhausted),
            claim(Claim::TlsEstablished(Proof::NOTHING)),
            claim(Claim::TlsFailed(TlsFailure::NotOffered)),
            claim(Claim::MessageFault(crate::ipc::MessageFault::Unreadable)),
        ] {
            assert_eq!(reports(1, &[&way[..end], &[other]].concat()), DUPLICATE, "after {end}");
        }
    }
    // Before it is sent, it is not.
    let lost = session_and(&[claim(Claim::Lost), claim(Claim::Exhausted)]);
    assert_eq!(reports(1, &lost), DIED);
}

#[test]
fn a_refused_command_begins_the_transaction_anew() {
    let refused = |text: &str| [replied(Step::Chunk, text)];
    for way in [in_flight(), afterwards()] {
        let start = &way[..way.len() - 1];
        for code in ["500", "501", "502", "503", "504"] {
            let refusal = refused(&format!("{code} what"));
            let again = [start, &refusal].concat();
            let by_data = [
                ok(Step::Mail),
                ok(Step::Rcpt),
                replied(Step::Data, "354 go"),
                claim(Claim::EndOfData),
                queued(),
            ];
            assert_eq!(reports(1, &[&again[..], &by_data].concat()), format!("r|{ACCEPTED}"));
            assert_eq!(reports(1, &[&again[..], &[queued()]].concat()), LIED, "nothing is accepted there");
            for step_back in [claim(Claim::TlsEstablished(Proof::NOTHING)), claim(Claim::EndOfData)] {
                assert_eq!(reports(1, &[&again[..], &[step_back]].concat()), LIED, "MAIL is next");
            }
            let lost = [&again[..], &[claim(Claim::Lost), claim(Claim::Exhausted)]].concat();
            assert_eq!(reports(1, &lost), DIED, "it is not there");
        }
        for code in ["250", "354", "421", "452", "505", "550", "554"] {
            let refusal = refused(&format!("{code} what"));
            let lie = [start, &refusal].concat();
            assert_eq!(reports(1, &lie), DUPLICATE, "{code}");
        }
    }
    assert_eq!(reports(1, &[session_and(&[ok(Step::Mail)]), refused("500 what").to_vec()].concat()), LIED);
}

#[test]
fn refusals_of_the_message_are_those_of_the_final_reply() {
    for (text, letter) in [("550 no", "D"), ("452 no", "Z"), ("500 no", "D"), ("354 no", "Z")] {
        let mut way = in_flight();
        way.pop();
        way.push(replied(Step::EndOfData, text));
        let said = format!("192.0.2.1 failed after I sent the message./Remote host said: {text}/|");
        assert_eq!(reports(1, &way), format!("r|{letter}{said}"));
    }
}

#[test]
fn nothing_is_sent_ahead_before_tls_is_what_the_policy_wants() {
    let policy = TlsPolicy { need: Need::Required, ..TlsPolicy::OPPORTUNISTIC };
    let strict = Plan { tls: policy, ..plan(1) };
    assert_eq!(reports_of(&strict, &in_flight()), LIED);
    assert_eq!(reports_of(&strict, &session_and(&[claim(Claim::EndOfData)])), LIED);
}
