//! The program with its network child replaced: what an attacker who owns that process may try.
//!
//! The host argument names the script. The monitor is the real one; scripts run unconfined, which is more
//! than an attacker has.

use std::fs::{File, OpenOptions};
use std::io::Write;

use nix::sys::signal::{Signal, raise};
use qmail_remote::authentication::Mechanism;
use qmail_remote::host::HostName;
use qmail_remote::ipc::child_end::ChildEnd;
use qmail_remote::ipc::frame::encode;
use qmail_remote::ipc::qmtp_answer::QmtpAnswer;
use qmail_remote::ipc::server_reply::ReplyText;
use qmail_remote::ipc::{AnchorQuery, Claim, ConfinementStep, Message, Request, Server, Step};
use qmail_remote::plan::Plan;
use qmail_remote::tls_policy::Proof;
use sandbox::ChildProfile;

use crate::{descriptors, orders, probe, signatures};

/// Hosts that name a script, and nothing that a test runner says, start with this.
pub(crate) const PREFIX: &str = "script-";

/// Runs as the program when the arguments are a delivery's.
pub(crate) fn run_if_called() {
    match std::env::args().nth(1) {
        Some(host) if host == "script-panicking-monitor" => {
            qmail_remote::startup::hygiene().unwrap();
            panic!("as told");
        }
        Some(host) if host.trim_start_matches(PREFIX).starts_with(probe::PREFIX) => probe::run(attack),
        Some(host) if host.starts_with(PREFIX) => qmail_remote::run(attack),
        _ => {}
    }
}

/// The write end of the message pipe, as the child's descriptors are laid out.
pub(crate) fn message_pipe() -> File {
    OpenOptions::new().write(true).open("/proc/self/fd/4").unwrap()
}

pub(crate) fn begin() -> Message {
    Message::Request(Request::Begin)
}

pub(crate) fn claim(claim: Claim) -> Message {
    Message::Claim(claim)
}

pub(crate) fn connected() -> Message {
    let name = HostName::parse(b"mx.example.test").unwrap();
    claim(Claim::Connected(Server { name: Some(name), address: [192, 0, 2, 1].into() }))
}

pub(crate) fn replied(step: Step, text: &str) -> Message {
    claim(Claim::Replied(step, ReplyText::try_from(format!("{text}\n").into_bytes()).unwrap()))
}

pub(crate) fn asks_for_policy() -> Message {
    Message::Request(Request::TlsPolicy)
}

fn asks_for_anchors(query: AnchorQuery) -> Message {
    Message::Request(Request::TrustAnchors(query))
}

fn asks_for_response() -> Message {
    Message::Request(Request::AuthResponse)
}

/// Up to the answer to EHLO, then these.
pub(crate) fn in_session(messages: &[Message]) -> Vec<Message> {
    [&up_to_end_of_data()[..4], messages].concat()
}

/// Sends these and prints what it gets as the text of a refusal, by which a test sees all that the monitor gave.
fn shows_what_it_gets(monitor: &mut ChildEnd, mechanism: Mechanism) {
    let words = match mechanism {
        Mechanism::CramMd5 => monitor.ask_for_digest().as_bytes().to_vec(),
        Mechanism::Login | Mechanism::Plain => {
            let (user, password) = monitor.ask_for_credentials();
            [user.as_bytes(), b" ", password.as_bytes()].concat()
        }
    };
    let step = if mechanism == Mechanism::Login { Step::AuthUser } else { Step::AuthResponse };
    let text = String::from_utf8(words).unwrap();
    message_pipe().write_all(&frames(&[replied(step, &format!("535 got {text}"))])).unwrap();
}

/// All that a delivery to one recipient takes, up to the claim that the end of data is sent.
pub(crate) fn up_to_end_of_data() -> Vec<Message> {
    vec![
        begin(),
        connected(),
        replied(Step::Greeting, "220 mx"),
        replied(Step::Ehlo, "250 mx"),
        replied(Step::Mail, "250 ok"),
        replied(Step::Rcpt, "250 ok"),
        replied(Step::Data, "354 go"),
        claim(Claim::EndOfData),
    ]
}

/// Envelope and message in one flight, and nothing of it answered.
fn all_sent() -> Vec<Message> {
    [&up_to_end_of_data()[..4], &[claim(Claim::EndOfData)]].concat()
}

fn answered(octets: &[u8]) -> Message {
    claim(Claim::Answered(QmtpAnswer::try_from(octets.to_vec()).unwrap()))
}

/// All that a delivery by QMTP takes, up to the claim that the end of the package is sent.
fn package() -> Vec<Message> {
    vec![begin(), connected(), claim(Claim::Package), claim(Claim::EndOfData)]
}

pub(crate) fn frames(messages: &[Message]) -> Vec<u8> {
    messages.iter().flat_map(|message| encode(message).unwrap()).collect()
}

fn attack(plan: &Plan, profile: &ChildProfile, mut monitor: ChildEnd) -> ! {
    // The script is the host argument, which a route does not change.
    let script = std::env::args().nth(1).unwrap();
    signatures::attack(script.trim_start_matches(PREFIX), plan, &mut monitor);
    orders::attack(script.trim_start_matches(PREFIX));
    descriptors::attack(script.trim_start_matches(PREFIX), profile, &mut monitor);
    // A flood may outlast the monitor's patience: that ends the script, too.
    let send = |bytes: &[u8]| {
        if message_pipe().write_all(bytes).is_err() {
            std::process::exit(1);
        }
    };
    probe::attack(script.trim_start_matches(PREFIX), send);
    let send_all = |messages: &[Message]| send(&frames(messages));
    let whole = frames(&[begin()]);
    let with_end = |rest: &[Message]| [&up_to_end_of_data()[..], rest].concat();
    match script.trim_start_matches(PREFIX) {
        // Frames.
        "truncated-frame" => {
            send(whole.split_last().unwrap().1);
            std::process::exit(0);
        }
        "truncated-length" => {
            send(&[7, 0]);
            std::process::exit(0);
        }
        "empty-frame" => send(&[0, 0, 0, 0]),
        "giant-frame" => send(&[255, 255, 255, 127]),
        "giant-frame-with-content" => send(&[&[255, 255, 255, 127][..], &vec![b'x'; 1 << 20]].concat()),
        "giant-frame-without-end" => {
            send(&[255, 255, 255, 127]);
            loop {
                send(&[b'x'; 1 << 16]);
            }
        }
        "unknown-message" => send(&[2, 0, 0, 0, 7, 0]),
        "trailing-octets" => send(&[3, 0, 0, 0, 0, 0, 0]),
        "text" => send(b"Kdelivered, trust me\n\0"),
        // Claims that are not permitted.
        "no-request" => send_all(&[connected()]),
        "begin-twice" => send_all(&[begin(), begin()]),
        "success-without-steps" => send_all(&[begin(), replied(Step::EndOfData, "250 ok")]),
        "success-without-recipient" => {
            let mut steps = with_end(&[replied(Step::EndOfData, "250 ok")]);
            steps.retain(|step| *step != replied(Step::Rcpt, "250 ok"));
            send_all(&steps);
        }
        "success-with-refused-recipient" => {
            let mut steps = with_end(&[replied(Step::EndOfData, "250 ok")]);
            steps[5] = replied(Step::Rcpt, "399 what");
            send_all(&steps);
        }
        "too-many-recipients" => {
            let recipients = vec![replied(Step::Rcpt, "250 ok"); 1000];
            send_all(&[&up_to_end_of_data()[..5], &recipients].concat());
        }
        "no-such-step" => send_all(&[claim(Claim::NotConfined(ConfinementStep(255)))]),
        "not-found-after-connecting" => {
            send_all(&[
                begin(),
                connected(),
                claim(Claim::NotFound(qmail_remote::ipc::LookupFailure::NoSuchDomain)),
            ]);
        }
        "forged-reply" => {
            // A reply text that would end the report and start another.
            let mut frame = encode(&replied(Step::Greeting, "554 x\n554 forged")).unwrap();
            let at = frame.windows(3).rposition(|window| window == b"554").unwrap();
            frame[at..at + 3].copy_from_slice(b"\0Kx");
            send(&[frames(&[begin(), connected()]), frame].concat());
        }
        "connections-without-end" => {
            send_all(&[begin()]);
            loop {
                send_all(&[connected(), claim(Claim::Lost)]);
            }
        }
        "progress-flood" => {
            send_all(&[begin()]);
            for _ in 0..1000 {
                send_all(&vec![claim(Claim::Progress); 100]);
            }
            send_all(&[begin()]);
        }
        "package-to-an-smtp-server" => send_all(&[begin(), connected(), claim(Claim::Package)]),
        "answer-of-an-smtp-server" => send_all(&with_end(&[answered(b"Kok")])),
        // QMTP, where the plan says so.
        "smtp-by-qmtp" => send_all(&with_end(&[replied(Step::EndOfData, "250 ok")])),
        "answer-without-a-package" => send_all(&[begin(), connected(), answered(b"Kok")]),
        "answer-before-the-end" => {
            send_all(&[begin(), connected(), claim(Claim::Package), answered(b"Kok")]);
        }
        "package-twice" => send_all(&[begin(), connected(), claim(Claim::Package), claim(Claim::Package)]),
        "success-by-qmtp" => send_all(&[&package()[..], &[answered(b"Kok")]].concat()),
        "success-by-qmtps-without-tls" => send_all(&[&package()[..], &[answered(b"Kok")]].concat()),
        "next-server-after-the-package" => send_all(&[&package()[..3], &[connected()]].concat()),
        "next-server-after-the-end" => send_all(&[&package()[..], &[connected()]].concat()),
        "too-long-an-answer" => {
            // A text of one octet more than there may be, in a frame that is well formed.
            let mut frame = encode(&answered(&[&b"K"[..], &[b'x'; 5000]].concat())).unwrap();
            let length = u32::try_from(frame.len() - 4 + 1).unwrap();
            frame[..4].copy_from_slice(&length.to_le_bytes());
            let at = frame.iter().position(|&octet| octet == b'K').unwrap();
            // 5001 and 5002 octets, as a varint of two.
            assert_eq!(&frame[at - 2..at], &[0x89, 0x27]);
            frame[at - 2] = 0x8a;
            frame.push(b'x');
            send(&[frames(&package()), frame].concat());
        }
        "too-many-unanswered" => {
            let unanswered = (1..=17).map(|octet| claim(Claim::Unanswered([192, 0, 2, octet].into())));
            send_all(&[vec![begin()], unanswered.collect()].concat());
        }
        "unanswered-twice" => {
            send_all(&[
                begin(),
                claim(Claim::Unanswered([192, 0, 2, 1].into())),
                claim(Claim::Unanswered([192, 0, 2, 1].into())),
            ]);
        }
        // Requests, and what must not be claimed before they are answered.
        "policy-without-reason" => send_all(&[begin(), connected(), asks_for_policy()]),
        "policy-twice" => send_all(&[begin(), connected(), asks_for_policy(), asks_for_policy()]),
        "anchors-without-reason" => {
            send_all(&[begin(), connected(), asks_for_anchors(AnchorQuery::File)]);
        }
        "anchors-without-reason-after-the-policy" => {
            send_all(&[begin(), connected(), asks_for_policy(), asks_for_anchors(AnchorQuery::File)]);
        }
        "too-many-anchors" => {
            let queries = vec![asks_for_anchors(AnchorQuery::BySubject(1)); 513];
            send_all(&[vec![begin(), connected(), asks_for_policy()], queries].concat());
        }
        "too-many-anchors-in-all" => {
            send_all(&[begin()]);
            for _ in 0..171 {
                let queries = vec![asks_for_anchors(AnchorQuery::BySubject(1)); 3];
                let connection = [vec![connected(), asks_for_policy()], queries, vec![claim(Claim::Lost)]];
                send_all(&connection.concat());
            }
        }
        "success-without-tls" => send_all(&with_end(&[replied(Step::EndOfData, "250 ok")])),
        "success-without-tls-after-the-policy" => {
            let mut steps = with_end(&[replied(Step::EndOfData, "250 ok")]);
            steps.insert(2, asks_for_policy());
            send_all(&steps);
        }
        "success-without-proof" => {
            let mut steps = with_end(&[replied(Step::EndOfData, "250 ok")]);
            steps.splice(2..2, [asks_for_policy(), claim(Claim::TlsEstablished(Proof::NOTHING))]);
            send_all(&steps);
        }
        // What opens the credentials, and what must not.
        "credentials-at-once" => send_all(&[begin(), asks_for_response()]),
        "credentials-after-connecting" => send_all(&[begin(), connected(), asks_for_response()]),
        "credentials-without-auth" => send_all(&in_session(&[asks_for_response()])),
        "credentials-after-a-refusal" => {
            send_all(&in_session(&[replied(Step::Auth(Mechanism::Plain), "504 no"), asks_for_response()]));
        }
        "credentials-after-mail" => {
            send_all(&in_session(&[replied(Step::Mail, "250 ok"), asks_for_response()]));
        }
        "credentials-by-plain" => {
            monitor.ask_to_begin();
            send_all(&in_session(&[replied(Step::Auth(Mechanism::Plain), "334 ")])[1..]);
            shows_what_it_gets(&mut monitor, Mechanism::Plain);
        }
        "credentials-by-login" => {
            monitor.ask_to_begin();
            send_all(&in_session(&[replied(Step::Auth(Mechanism::Login), "334 ")])[1..]);
            shows_what_it_gets(&mut monitor, Mechanism::Login);
        }
        "digest" => {
            monitor.ask_to_begin();
            send_all(&in_session(&[replied(Step::Auth(Mechanism::CramMd5), "334 ")])[1..]);
            shows_what_it_gets(&mut monitor, Mechanism::CramMd5);
        }
        "credentials-twice" => {
            let steps =
                [replied(Step::Auth(Mechanism::Plain), "334 "), asks_for_response(), asks_for_response()];
            send_all(&in_session(&steps));
        }
        "password-after-the-digest" => {
            let digest = [replied(Step::Auth(Mechanism::CramMd5), "334 "), asks_for_response()];
            let plain = [replied(Step::Auth(Mechanism::Plain), "334 "), asks_for_response()];
            send_all(&in_session(&[&digest[..], &plain].concat()));
        }
        "credentials-for-a-second-server" => {
            let first = [replied(Step::Auth(Mechanism::Plain), "334 "), asks_for_response(), connected()];
            send_all(&in_session(&first));
        }
        "garbage-challenge" => {
            send_all(&in_session(&[
                replied(Step::Auth(Mechanism::CramMd5), "334 <x@y>"),
                asks_for_response(),
            ]));
        }
        "giant-challenge" => {
            let giant = format!("334 {}", "QUJD".repeat(1200));
            send_all(&in_session(&[
                replied(Step::Auth(Mechanism::CramMd5), &giant),
                asks_for_response(),
                begin(),
            ]));
        }
        // The replies are never read.
        "flood-for-a-large-file" => {
            send_all(&[begin(), connected(), asks_for_policy()]);
            send_all(&vec![asks_for_anchors(AnchorQuery::File); 64]);
        }
        "flood-for-small-answers" => {
            send_all(&[begin()]);
            loop {
                send_all(&[connected(), asks_for_policy(), claim(Claim::Lost)]);
            }
        }
        // Ends.
        "stopped" => raise(Signal::SIGSTOP).unwrap(),
        "panic" => panic!("as told"),
        "abort" => std::process::abort(),
        "sandbox-violation" => {
            // Confined, this process cannot open its pipe.
            let mut pipe = message_pipe();
            if sandbox::confine_child(profile).is_ok() && pipe.write_all(&whole).is_ok() {
                let _ = File::open("/etc/passwd");
            }
            // Still alive: whatever happened was no violation, and the report must be another.
            pipe.write_all(b"Kdelivered, trust me\n\0").unwrap();
        }
        "closed-pipe" => drop(monitor),
        "silence" => {}
        // Where there is a `tlsdestinations`, it is asked.
        "silence-in-a-session" => {
            send_all(&[begin(), connected(), asks_for_policy(), replied(Step::Greeting, "220 mx")]);
        }
        "silence-after-end-of-data" => {
            let way = up_to_end_of_data();
            send_all(&[&way[..2], &[asks_for_policy()], &way[2..]].concat());
        }
        "pipe-left-to-another" => {
            // What no confined child can do: another process keeps the pipe for as long as somebody could answer.
            let mut keeper = std::process::Command::new("/bin/sh");
            keeper.args(["-c", "exec 3<&0; exec cat <&1 >/dev/null"]);
            keeper.stdin(message_pipe()).stdout(std::io::stdout()).spawn().unwrap();
            std::process::exit(0);
        }
        "killed-after-end-of-data" => {
            send_all(&up_to_end_of_data());
            raise(Signal::SIGKILL).unwrap();
        }
        "lie-after-end-of-data" => send_all(&with_end(&[begin()])),
        // Everything at once, and what may not be made of it.
        "killed-after-all-was-sent" => {
            send_all(&all_sent());
            raise(Signal::SIGKILL).unwrap();
        }
        "lie-after-all-was-sent" => send_all(&[&all_sent()[..], &[begin()]].concat()),
        "another-exchanger-after-all-was-sent" => {
            send_all(&[&all_sent()[..], &[connected()]].concat());
        }
        "all-sent-twice" => send_all(&[&all_sent()[..], &[claim(Claim::EndOfData)]].concat()),
        "success-before-the-envelope" => {
            send_all(&[&all_sent()[..], &[replied(Step::EndOfData, "250 ok")]].concat());
        }
        "success-after-a-refused-chunk" => {
            send_all(&with_end(&[replied(Step::Chunk, "500 what"), replied(Step::EndOfData, "250 ok")]));
        }
        "chunk-refused-before-it-was-sent" => {
            send_all(&[&up_to_end_of_data()[..6], &[replied(Step::Chunk, "500 what")]].concat());
        }
        "all-sent-without-tls" => send_all(&all_sent()),
        "silence-after-success" => {
            send_all(&with_end(&[replied(Step::EndOfData, "250 ok")]));
        }
        "chatter-after-success" => {
            send_all(&with_end(&[replied(Step::EndOfData, "250 ok")]));
            loop {
                send(b"Kmore\0");
            }
        }
        other => panic!("no script called {other}"),
    }
    // Whoever has not ended by now waits to be ended.
    loop {
        std::thread::park();
    }
}
