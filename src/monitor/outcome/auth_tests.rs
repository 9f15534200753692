//! What the monitor makes of claims and requests about AUTH: every text to the byte, what opens the credentials, and
//! what is a lie.
#![forbid(unsafe_code)]

use super::tests::{claim, connected, plan, replied, reports_of, session};
use super::*;
use crate::authentication::Mechanism::{self, CramMd5, Login, Plain};
use crate::ipc::{Step, Unused};
use crate::tls_policy::Verified;

const LIED: &str = "ZThe network process broke its protocol and was stopped. (#4.3.0)/|";
const DIED: &str = "ZConnected to 192.0.2.1 but connection died. (#4.4.2)/|";
const ASKS: Message = Message::Request(Request::AuthResponse);

/// A plan with credentials that may go in clear.
fn with_credentials() -> Plan {
    let authentication = Authentication { in_clear: true, verified_only: false };
    Plan { authentication: Some(authentication), ..plan(1) }
}

fn auth(mechanism: Mechanism, text: &str) -> Message {
    replied(Step::Auth(mechanism), text)
}

fn without() -> Message {
    claim(Claim::NotAuthenticated(Unused::NotOffered))
}

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
fn printed(plan: &Plan, messages: &[Message]) -> String {
    reports_of(plan, &[session(), messages.to_vec(), rest()].concat())
}

/// So, when nothing more comes.
fn ended(plan: &Plan, messages: &[Message]) -> String {
    reports_of(plan, &[session(), messages.to_vec()].concat())
}

/// What the last of these messages, after the answer to EHLO, asks for.
fn task(plan: &Plan, messages: &[Message]) -> Result<Option<Task>, Broken> {
    let mut transcript = Transcript::new(b"example.test", plan);
    let messages = [session(), messages.to_vec()].concat();
    messages.into_iter().try_fold(None, |_, message| transcript.accept(message))
}

#[test]
fn each_mechanism_has_its_way_to_success() {
    let accepted = "r|K192.0.2.1 accepted message./Remote host said: 250 queued/|";
    for way in [
        vec![auth(CramMd5, "334 PDFAeD4="), ASKS, replied(Step::AuthResponse, "235 ok")],
        vec![
            auth(Login, "334 VXNlcm5hbWU6"),
            ASKS,
            replied(Step::AuthUser, "334 x"),
            replied(Step::AuthResponse, "235 ok"),
        ],
        vec![auth(Plain, "334 "), ASKS, replied(Step::AuthResponse, "235 ok")],
        vec![
            auth(CramMd5, "504 no"),
            auth(Login, "500 no"),
            auth(Plain, "334"),
            ASKS,
            replied(Step::AuthResponse, "235 ok"),
        ],
    ] {
        assert_eq!(printed(&with_credentials(), &way), accepted, "{way:?}");
        for missing in 0..way.len() {
            let mut shortcut = way.clone();
            let step = shortcut.remove(missing);
            // A refusal less changes nothing.
            if !matches!(&step, Message::Claim(Claim::Replied(_, reply)) if reply.code().value() >= 500) {
                assert_eq!(
                    printed(&with_credentials(), &shortcut),
                    LIED,
                    "without step {missing} of {way:?}"
                );
            }
        }
        for doubled in 0..way.len() {
            let mut repeated = way.clone();
            repeated.insert(doubled, way[doubled].clone());
            assert_eq!(printed(&with_credentials(), &repeated), LIED, "step {doubled} twice of {way:?}");
        }
        assert_eq!(printed(&plan(1), &way), LIED, "the plan has none");
        assert_eq!(printed(&with_credentials(), &[&way[..], &[without()]].concat()), LIED);
    }
}

#[test]
fn every_refusal_has_its_text() {
    let said = |what: &str, reply: &str| {
        format!(
            "ZConnected to 192.0.2.1 but authentication was rejected ({what})./Remote host said: {reply}/|"
        )
    };
    let login = |reply| vec![auth(Login, "334 x"), ASKS, replied(Step::AuthUser, reply)];
    let with = |way: Vec<Message>, reply| [way, vec![replied(Step::AuthResponse, reply)]].concat();
    for reply in ["535 5.7.8 no", "454 later", "334 again", "250 what"] {
        for (mechanism, what) in [(CramMd5, "username+digest"), (Plain, "plain")] {
            let way = with(vec![auth(mechanism, "334 "), ASKS], reply);
            assert_eq!(ended(&with_credentials(), &way), said(what, reply));
        }
        let way = with(login("334 x"), reply);
        assert_eq!(ended(&with_credentials(), &way), said("login", reply));
    }
    for reply in ["535 no", "421 bye", "235 so soon"] {
        assert_eq!(ended(&with_credentials(), &login(reply)), said("username", reply));
    }
    for (mechanism, what) in [(CramMd5, "AUTH CRAM-MD5"), (Login, "AUTH LOGIN"), (Plain, "AUTH PLAIN")] {
        for reply in ["454 later", "235 so soon", "250 what"] {
            assert_eq!(ended(&with_credentials(), &[auth(mechanism, reply)]), said(what, reply));
        }
        let refused = [auth(mechanism, "504 no"), without()];
        assert_eq!(ended(&with_credentials(), &refused), said(what, "504 no"));
    }
    let all = [auth(CramMd5, "504 a"), auth(Login, "504 b"), auth(Plain, "504 c"), without()];
    assert_eq!(ended(&with_credentials(), &all), said("AUTH PLAIN", "504 c"));
}

#[test]
fn a_challenge_is_one_line_of_base64() {
    let asked = |reply: &str| task(&with_credentials(), &[auth(CramMd5, reply), ASKS]);
    let long = "QUJD".repeat(1000);
    for (reply, challenge) in [
        ("334 PDE4OTYuNjk3QHBvPg==", b"<1896.697@po>".to_vec()),
        ("334 PDE4OTYuNjk3QHBvPg==  ", b"<1896.697@po>".to_vec()),
        ("334 ", Vec::new()),
        ("334", Vec::new()),
        (&*format!("334 {long}"), b"ABC".repeat(1000)),
    ] {
        assert_eq!(asked(reply), Ok(Some(Task::Digest(challenge))), "{reply}");
    }
    for reply in [
        "334 <1896.697@po>",
        "334 PDE4OTYu Njk3QHBvPg==",
        "334 PDE4OTYuNjk3QHBvPg",
        "334 \u{fc}",
        "334-PDE4\n334 OTYu",
    ] {
        assert_eq!(asked(reply), Ok(Some(Task::Stop)), "{reply}");
        let text = "ZConnected to 192.0.2.1 but unable to base64decode challenge./Remote host said: ";
        let report = ended(&with_credentials(), &[auth(CramMd5, reply), ASKS]);
        assert!(report.starts_with(text), "{report}");
    }
    for mechanism in [Login, Plain] {
        assert_eq!(task(&with_credentials(), &[auth(mechanism, "334 ???"), ASKS]), Ok(Some(Task::Release)));
    }
}

#[test]
fn nothing_is_opened_but_where_the_credentials_may_go() {
    let plan = |in_clear, verified_only| {
        let authentication = Some(Authentication { in_clear, verified_only });
        Plan { authentication, ..plan(1) }
    };
    let opens = |plan: &Plan, mechanism, proof: Option<Proof>| {
        let tls = proof.map(|proof| [claim(Claim::TlsEstablished(proof)), replied(Step::Ehlo, "250 mx1")]);
        let way = [tls.into_iter().flatten().collect(), vec![auth(mechanism, "334 "), ASKS]].concat();
        match task(plan, &way) {
            Ok(Some(Task::Release | Task::Digest(_))) => true,
            Err(Broken::Lied) => false,
            other => panic!("{other:?}"),
        }
    };
    let named = Some(Proof { certificate: Verified::Name, ..Proof::NOTHING });
    for mechanism in Mechanism::ALL {
        let is_digest = mechanism == CramMd5;
        assert_eq!(opens(&plan(false, false), mechanism, None), is_digest, "{mechanism:?}");
        assert!(opens(&plan(true, false), mechanism, None), "{mechanism:?}");
        assert!(opens(&plan(false, false), mechanism, Some(Proof::NOTHING)), "{mechanism:?}");
        assert!(!opens(&plan(true, true), mechanism, None), "{mechanism:?}");
        assert!(!opens(&plan(true, true), mechanism, Some(Proof::NOTHING)), "{mechanism:?}");
        assert!(opens(&plan(false, true), mechanism, named), "{mechanism:?}");
        let strict = Plan {
            tls: TlsPolicy { need: crate::tls_policy::Need::Required, ..TlsPolicy::OPPORTUNISTIC },
            ..plan(true, false)
        };
        assert!(!opens(&strict, mechanism, None), "{mechanism:?}: the rule demands TLS");
    }
}

#[test]
fn nothing_is_opened_out_of_order_or_for_a_second_server() {
    let plan = with_credentials();
    let used = [auth(Plain, "334 "), ASKS];
    for way in [
        vec![ASKS],
        vec![auth(Plain, "504 no"), ASKS],
        vec![auth(Plain, "504 no"), auth(Login, "334 ")],
        vec![auth(CramMd5, "334 "), auth(Login, "334 ")],
        vec![auth(CramMd5, "334 "), claim(Claim::TlsEstablished(Proof::NOTHING))],
        vec![without(), auth(Plain, "334 ")],
        vec![without(), without()],
        [&used[..], &[ASKS]].concat(),
        [&used[..], &[replied(Step::AuthUser, "334 x")]].concat(),
        [&used[..], &[connected(2)]].concat(),
        [&used[..], &[replied(Step::Mail, "250 ok")]].concat(),
        vec![auth(Login, "334 "), ASKS, replied(Step::AuthResponse, "235 ok")],
        vec![],
    ] {
        assert_eq!(printed(&plan, &way), LIED, "{way:?}");
    }
    // Whoever has gone on without them does not come back for them.
    assert_eq!(task(&plan, &[without(), auth(Plain, "334 "), ASKS]), Err(Broken::Lied));
    for step in 1..3 {
        let lost = [&used[..step], &[claim(Claim::Lost)]].concat();
        assert_eq!(reports_of(&plan, &[session(), lost].concat()), DIED);
    }
    let known = [&used[..], &[replied(Step::AuthResponse, "235 ok"), claim(Claim::Lost)]].concat();
    assert_eq!(reports_of(&plan, &[session(), known].concat()), DIED);
    let wants_tls = claim(Claim::TlsFailed(TlsFailure::NotOffered));
    let known = [&used[..], &[replied(Step::AuthResponse, "235 ok"), wants_tls]].concat();
    let no_tls = "ZI wasn't able to negotiate a StartTLS connection with: mx1.example.test for example.test. (#4.4.1)/|";
    assert_eq!(reports_of(&plan, &[session(), known].concat()), no_tls);
    // Nobody has got anything: the next server may.
    let lost = [auth(Plain, "504 no"), claim(Claim::Lost), connected(1)];
    let again = [&lost[..], &session()[2..], &used, &[replied(Step::AuthResponse, "235 ok")]].concat();
    assert!(printed(&plan, &again).starts_with("r|K"), "{}", printed(&plan, &again));
}

#[test]
fn that_it_went_without_is_the_second_line_of_whatever_comes_of_it() {
    const LINE: &str = "no supported AUTH method found, continuing without authentication./";
    let ending = |end: &[Message]| {
        reports_of(&with_credentials(), &[session(), vec![without()], end.to_vec()].concat())
    };
    let rest = rest();
    let said = |text: &str, reply: &str| format!("{text}/{LINE}Remote host said: {reply}/|");
    assert_eq!(ending(&rest), format!("r|{}", said("K192.0.2.1 accepted message.", "250 queued")));
    let refused = ending(&[replied(Step::Mail, "550 no")]);
    assert_eq!(refused, said("DConnected to 192.0.2.1 but sender was rejected.", "550 no"));
    let refused = ending(&[&rest[..1], &[replied(Step::Rcpt, "450 no")]].concat());
    assert!(refused.ends_with(&said("|ZGiving up on 192.0.2.1.", "450 no")), "{refused}");
    let refused = ending(&[&rest[..2], &[replied(Step::Data, "451 no")]].concat());
    assert_eq!(refused, format!("r|{}", said("Z192.0.2.1 failed on DATA command.", "451 no")));
    let refused = ending(&[&rest[..4], &[replied(Step::EndOfData, "554 no")]].concat());
    assert_eq!(refused, format!("r|{}", said("D192.0.2.1 failed after I sent the message.", "554 no")));
    let lost = ending(&[&rest[..3], &[claim(Claim::Lost)]].concat());
    assert_eq!(lost, format!("r|ZConnected to 192.0.2.1 but connection died. (#4.4.2)/{LINE}|"));
    let fault =
        ending(&[&rest[..3], &[claim(Claim::MessageFault(crate::ipc::MessageFault::Unreadable))]].concat());
    assert_eq!(fault, format!("r|ZUnable to read message. (#4.3.0)/{LINE}|"));
    let walked = ending(&[claim(Claim::Lost), claim(Claim::Exhausted)]);
    assert_eq!(walked, format!("ZConnected to 192.0.2.1 but connection died. (#4.4.2)/{LINE}|"));
    // It is told of the server that it was so with.
    let next = ending(
        &[&[claim(Claim::Lost)], &session()[1..2], &[claim(Claim::Lost), claim(Claim::Exhausted)]].concat(),
    );
    assert_eq!(next, DIED);
}

#[test]
fn nothing_bounces_for_want_of_credentials() {
    let plan = Plan { recipients: plan(2).recipients, ..with_credentials() };
    let letters = |without: &[Message], end: &[(Step, &str)]| {
        let end = end.iter().map(|&(step, text)| replied(step, text)).collect();
        let reports = reports_of(&plan, &[session(), without.to_vec(), end].concat());
        reports.split_terminator('|').map(|report| report.chars().next().unwrap()).collect::<String>()
    };
    let none = [claim(Claim::NotAuthenticated(Unused::NotOffered))];
    let withheld = [claim(Claim::NotAuthenticated(Unused::Withheld))];
    let known = [auth(Plain, "334 "), ASKS, replied(Step::AuthResponse, "235 ok")];
    for (reply, of_none, of_withheld, of_known) in
        [("530 5.7.0 first", "Z", "Z", "D"), ("550 no", "D", "Z", "D"), ("450 no", "Z", "Z", "Z")]
    {
        for (without, letter) in [(&none[..], of_none), (&withheld, of_withheld), (&known, of_known)] {
            assert_eq!(letters(without, &[(Step::Mail, reply)]), letter, "{reply}");
            let recipients = [(Step::Mail, "250 ok"), (Step::Rcpt, reply), (Step::Rcpt, reply)];
            let each = if letter == "D" { "h" } else { "s" };
            assert_eq!(letters(without, &recipients), [each, each, letter].concat(), "{reply}");
        }
    }
    // What is refused later was not refused for that.
    let data =
        [(Step::Mail, "250 ok"), (Step::Rcpt, "250 ok"), (Step::Rcpt, "550 no"), (Step::Data, "554 no")];
    assert_eq!(letters(&withheld, &data), "rsD");
    // Where the DNS names the server they are not withheld from it.
    let verified_only = Some(Authentication { in_clear: false, verified_only: true });
    let strict = Plan { authentication: verified_only, ..plan.clone() };
    assert_eq!(task(&strict, &none), Ok(None));
    assert_eq!(task(&strict, &withheld), Err(Broken::Lied));
    // The next server begins anew.
    let next = [&withheld[..], &[claim(Claim::Lost), connected(2)], &session()[2..], &known].concat();
    assert_eq!(letters(&next, &[(Step::Mail, "550 no")]), "D");
}

#[test]
fn what_was_said_of_credentials_in_clear_does_not_hold_under_tls() {
    let tls = claim(Claim::TlsEstablished(Proof::NOTHING));
    let anew = [without(), tls, replied(Step::Ehlo, "250 mx1")];
    assert_eq!(printed(&with_credentials(), &anew), LIED);
    assert!(printed(&with_credentials(), &[&anew[..], &[without()]].concat()).starts_with("r|K"));
}
