//! When the key of the client certificate may be asked for: once in each handshake that the plan allows.
#![forbid(unsafe_code)]

use super::tests::{BEGIN, claim, connected, plan, replied, reports_of, session};
use super::*;
use crate::ipc::signature::{Hash, MOST_OCTETS, Piece};
use crate::ipc::{LookupFailure, Step};
use crate::plan::ClientCertificate;
use crate::tls_policy::Need;

const SCHEME: Scheme = Scheme::Ecdsa(Hash::Sha256);
const ASKS: Message = Message::Request(Request::Sign(SCHEME));

fn piece(octets: &[u8]) -> Message {
    Message::ToBeSigned(Piece::try_from(octets.to_vec()).unwrap())
}

fn with_certificate() -> Plan {
    let certificate = ClientCertificate { file: "/etc/ssl/client.pem".into(), chain: Vec::new() };
    Plan { client_certificate: Some(certificate), ..plan(1) }
}

/// What comes of the last message, when all before it are permitted.
fn last(plan: &Plan, messages: &[Message]) -> Result<Option<Task>, Broken> {
    let mut transcript = Transcript::new(b"example.test", plan);
    let (last, before) = messages.split_last().unwrap();
    for message in before {
        transcript.accept(message.clone()).unwrap();
    }
    transcript.accept(last.clone())
}

fn signs(octets: &[u8]) -> Result<Option<Task>, Broken> {
    Ok(Some(Task::Sign(SCHEME, octets.to_vec())))
}

#[test]
fn what_was_sent_in_pieces_is_signed_as_one() {
    let in_session =
        |messages: &[Message]| last(&with_certificate(), &[session(), messages.to_vec()].concat());
    assert_eq!(in_session(&[piece(b"one "), piece(b"two "), piece(b"three"), ASKS]), signs(b"one two three"));
    assert_eq!(in_session(&[ASKS]), signs(b""), "which the signer refuses");
    assert_eq!(in_session(&[ASKS, ASKS]), Err(Broken::Lied));
    assert_eq!(in_session(&[ASKS, piece(b"x")]), Err(Broken::Lied));
    let again = [ASKS, claim(Claim::TlsFailed(TlsFailure::Session)), connected(2), piece(b"x"), ASKS];
    // The second connection's TLS is from the first octet.
    assert_eq!(in_session(&again), signs(b"x"));
    let left_over = [piece(b"left over"), claim(Claim::TlsFailed(TlsFailure::Session)), connected(2), ASKS];
    assert_eq!(in_session(&left_over), signs(b""));
}

#[test]
fn no_more_is_kept_than_anybody_signs() {
    let full = vec![piece(&[b'x'; Piece::MAX]); MOST_OCTETS / Piece::MAX];
    let with =
        |more: &[Message]| last(&with_certificate(), &[session(), full.clone(), more.to_vec()].concat());
    assert_eq!(with(&[ASKS]), signs(&[b'x'; MOST_OCTETS]));
    assert_eq!(with(&[piece(b"x")]), Err(Broken::Lied));
}

#[test]
fn a_delivery_has_a_number_of_signatures() {
    let connection = [connected(1), ASKS, claim(Claim::TlsFailed(TlsFailure::Session))];
    let mut messages = vec![BEGIN];
    for _ in 0..100 {
        messages.extend(connection.clone());
    }
    assert!(last(&with_certificate(), &messages).is_ok());
    messages.extend([connected(1), ASKS]);
    assert_eq!(last(&with_certificate(), &messages), Err(Broken::Lied));
}

#[test]
fn nothing_is_signed_but_in_a_handshake_that_the_plan_allows() {
    let plan = with_certificate();
    let greeted = vec![BEGIN, connected(1), replied(Step::Greeting, "220 mx")];
    let before_mail = session();
    let after = |step: Step, reply: &str| {
        let mut all = session();
        for (one, accepted) in
            [(Step::Mail, "250 ok"), (Step::Rcpt, "250 ok"), (Step::Data, "354 go"), (Step::EndOfData, "")]
        {
            if one == Step::EndOfData {
                all.push(claim(Claim::EndOfData));
            }
            all.push(replied(one, if one == step { reply } else { accepted }));
            if one == step {
                break;
            }
        }
        all
    };
    for messages in [
        vec![],
        vec![BEGIN],
        vec![BEGIN, claim(Claim::Unreachable)],
        vec![BEGIN, claim(Claim::NotFound(LookupFailure::NoSuchDomain))],
        greeted.clone(),
        [&greeted[..], &[replied(Step::Ehlo, "500 what")]].concat(),
        after(Step::Mail, "250 ok"),
        after(Step::Rcpt, "250 ok"),
        after(Step::Data, "354 go"),
        after(Step::EndOfData, "250 ok"),
        [&before_mail[..], &[claim(Claim::EndOfData)]].concat(),
        // TLS stands already.
        [&before_mail[..], &[claim(Claim::TlsEstablished(Proof::NOTHING))]].concat(),
        [&before_mail[..], &[claim(Claim::TlsEstablished(Proof::NOTHING)), replied(Step::Ehlo, "250 mx")]]
            .concat(),
    ] {
        for asked in [ASKS, piece(b"x")] {
            let all = [&messages[..], &[asked]].concat();
            assert_eq!(last(&plan, &all), Err(Broken::Lied), "{all:?}");
        }
    }
    // Where there may be none: without a certificate, without TLS, and before it is known whether there may be.
    let never = TlsPolicy { need: Need::Never, ..TlsPolicy::OPPORTUNISTIC };
    let without = Plan { client_certificate: None, ..plan.clone() };
    let in_clear = Plan { tls: never, ..plan.clone() };
    let unknown = Plan { exchanger_rules: true, ..plan.clone() };
    for (plan, is_permitted) in [(&plan, true), (&without, false), (&in_clear, false), (&unknown, false)] {
        for messages in [vec![BEGIN, connected(1)], session()] {
            for asked in [ASKS, piece(b"x")] {
                let all = [&messages[..], &[asked]].concat();
                assert_eq!(last(plan, &all).is_ok(), is_permitted, "{all:?}");
            }
        }
    }
}

#[test]
fn a_rule_against_starttls_is_none_against_implicit_tls() {
    for protocol in [Protocol::Smtp, Protocol::Qmtp] {
        let tls = TlsPolicy { need: Need::Never, ..TlsPolicy::OPPORTUNISTIC };
        let plan = Plan { protocol, tls, tls_start: TlsStart::Implicit, ..with_certificate() };
        assert_eq!(last(&plan, &[BEGIN, connected(1), piece(b"x"), ASKS]), signs(b"x"), "{protocol:?}");
        let established = [BEGIN, connected(1), claim(Claim::TlsEstablished(Proof::NOTHING))];
        assert_eq!(last(&plan, &[&established[..], &[ASKS]].concat()), Err(Broken::Lied), "{protocol:?}");
    }
}

#[test]
fn by_qmtp_the_handshake_comes_before_the_package() {
    let plan = Plan { protocol: Protocol::Qmtp, ..with_certificate() };
    assert_eq!(last(&plan, &[BEGIN, connected(1), piece(b"x"), ASKS]), signs(b"x"));
    let package = [BEGIN, connected(1), claim(Claim::Package)];
    for messages in [&package[..], &[&package[..], &[claim(Claim::EndOfData)]].concat()] {
        assert_eq!(last(&plan, &[messages, &[ASKS]].concat()), Err(Broken::Lied));
    }
}

#[test]
fn a_certificate_that_openssl_does_not_take_is_named() {
    let failed = claim(Claim::TlsFailed(TlsFailure::ClientCertificate));
    let all = [session(), vec![failed, claim(Claim::Exhausted)]].concat();
    let text = "ZCan't load X.509 certificate: /etc/ssl/client.pem. (#4.4.1)/|";
    assert_eq!(reports_of(&with_certificate(), &all), text);
    let lied = "ZThe network process broke its protocol and was stopped. (#4.3.0)/|";
    assert_eq!(reports_of(&plan(1), &all), lied);
}
