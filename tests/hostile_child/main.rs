//! A network child that lies, floods, dies or goes silent: always one well-formed temporary failure,
//! unless the message may already have been delivered or has been.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::exit,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

mod descriptors;
mod orders;
mod probe;
mod program;
mod signatures;

use libtest_mimic::{Arguments, Trial};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use orders::{
    a_delivery_cut_off_anywhere_is_no_success, a_success_takes_every_step_once_and_in_its_order,
    every_exit_code_and_every_deadly_signal_is_a_temporary_failure,
};
use probe::a_probe_that_is_told_too_much_is_stopped_and_modest;
use world::certificates::{Content, Identity};
use world::{Delivery, Identity as User, Letter, Message, Needs, Outcome, Running, World, in_world_named};

const DIED: &str = "ZThe network process ended without a result. (#4.3.0)\n";
const LIED: &str = "ZThe network process broke its protocol and was stopped. (#4.3.0)\n";
const SUCCESS: &str = "K192.0.2.1 accepted message.\nRemote host said: 250 ok\n";
const DUPLICATE: &str = "ZConnected to 192.0.2.1 but connection died. Possible duplicate! (#4.4.2)\n";

type Test = (&'static str, fn(&World));

const TESTS: &[Test] = &[
    ("broken_frames_end_the_child", broken_frames_end_the_child),
    ("claims_out_of_order_end_the_child", claims_out_of_order_end_the_child),
    (
        "a_child_that_ends_without_a_result_is_a_temporary_failure",
        a_child_that_ends_without_a_result_is_a_temporary_failure,
    ),
    ("after_the_end_of_data_the_message_may_be_there", after_the_end_of_data_the_message_may_be_there),
    ("a_verdict_stands_whatever_the_child_does_next", a_verdict_stands_whatever_the_child_does_next),
    ("a_lie_about_a_refused_recipient_is_no_success", a_lie_about_a_refused_recipient_is_no_success),
    ("a_child_that_is_silent_stopped_or_deaf_is_killed", a_child_that_is_silent_stopped_or_deaf_is_killed),
    ("a_delivery_cut_off_anywhere_is_no_success", a_delivery_cut_off_anywhere_is_no_success),
    ("a_success_takes_every_step_once_and_in_its_order", a_success_takes_every_step_once_and_in_its_order),
    (
        "every_exit_code_and_every_deadly_signal_is_a_temporary_failure",
        every_exit_code_and_every_deadly_signal_is_a_temporary_failure,
    ),
    ("no_descriptor_of_the_child_takes_a_report", no_descriptor_of_the_child_takes_a_report),
    ("no_descriptor_is_passed_to_the_monitor", no_descriptor_is_passed_to_the_monitor),
    (
        "no_port_but_the_plans_is_reached_and_none_is_bound",
        no_port_but_the_plans_is_reached_and_none_is_bound,
    ),
    ("the_program_itself_knows_no_script", the_program_itself_knows_no_script),
    ("requests_without_reason_end_the_child", requests_without_reason_end_the_child),
    ("credentials_are_given_in_order_or_not_at_all", credentials_are_given_in_order_or_not_at_all),
    ("credentials_go_where_they_may_and_once", credentials_go_where_they_may_and_once),
    (
        "a_client_certificate_signs_what_a_tls_client_signs",
        a_client_certificate_signs_what_a_tls_client_signs,
    ),
    ("nothing_else_is_signed", nothing_else_is_signed),
    ("nothing_is_signed_in_another_state", nothing_is_signed_in_another_state),
    ("nothing_is_signed_without_a_certificate", nothing_is_signed_without_a_certificate),
    ("a_success_without_the_demanded_tls_is_a_lie", a_success_without_the_demanded_tls_is_a_lie),
    (
        "a_decision_of_the_monitor_stands_whatever_the_child_does_next",
        a_decision_of_the_monitor_stands_whatever_the_child_does_next,
    ),
    ("lies_about_qmtp_end_the_child", lies_about_qmtp_end_the_child),
    (
        "lies_about_addresses_end_the_child_and_harm_half_of_the_table",
        lies_about_addresses_end_the_child_and_harm_half_of_the_table,
    ),
    ("a_panic_in_the_monitor_is_a_temporary_failure", a_panic_in_the_monitor_is_a_temporary_failure),
    (
        "a_probe_that_is_told_too_much_is_stopped_and_modest",
        a_probe_that_is_told_too_much_is_stopped_and_modest,
    ),
];

fn main() {
    program::run_if_called();
    let trial = |&(name, body): &Test| {
        Trial::test(name, move || {
            in_world_named(name, |world| body(world));
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), TESTS.iter().map(trial).collect()).exit()
}

fn by_script(world: &World, script: &str) -> Delivery {
    world.control("me", "client.example.test\n");
    Delivery::new(std::env::current_exe().unwrap())
        .host(format!("{}{script}", program::PREFIX))
        .sender("a@sender.test")
        .recipient("b@example.test")
}

fn start(world: &World, script: &str) -> Running {
    by_script(world, script).start()
}

fn deliver(world: &World, script: &str) -> Outcome {
    ends_well(by_script(world, script))
}

/// Delivers. However the child ended, no process is left of the delivery, not even one that nobody waited for.
fn ends_well(delivery: Delivery) -> Outcome {
    // What the monitor leaves behind becomes a child of this process.
    prctl::set_child_subreaper(true).unwrap();
    let outcome = delivery.run();
    let left = waitpid(None, Some(WaitPidFlag::WNOHANG));
    assert_eq!(left, Err(Errno::ECHILD), "the delivery left a process behind");
    assert_modest();
    outcome
}

/// Stops the test unless every process that it has waited for, and those that these have waited for, was content with the
/// memory that a delivery takes.
fn assert_modest() {
    /// Several times what both processes take in this build.
    const MOST_KILOBYTES: i64 = 64 * 1024;
    let most = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    assert!(most < MOST_KILOBYTES, "{most} kilobytes");
}

/// Each script must leave exactly this one report.
fn all_print(world: &World, scripts: &[&str], report: &str) {
    for script in scripts {
        println!("script {script}");
        let outcome = deliver(world, script);
        outcome.assert_reports(&[report]);
        assert_eq!(outcome.belief().letter, Letter::Z);
    }
}

fn broken_frames_end_the_child(world: &World) {
    let scripts = [
        "empty-frame",
        "giant-frame",
        "giant-frame-with-content",
        "giant-frame-without-end",
        "unknown-message",
        "trailing-octets",
        "text",
    ];
    all_print(world, &scripts, LIED);
}

fn claims_out_of_order_end_the_child(world: &World) {
    let scripts = [
        "no-request",
        "begin-twice",
        "success-without-steps",
        "success-without-recipient",
        "too-many-recipients",
        "no-such-step",
        "not-found-after-connecting",
        "forged-reply",
        "success-after-a-refused-chunk",
        "chunk-refused-before-it-was-sent",
        "progress-flood",
        "connections-without-end",
    ];
    all_print(world, &scripts, LIED);
}

fn a_child_that_ends_without_a_result_is_a_temporary_failure(world: &World) {
    let scripts =
        ["truncated-frame", "truncated-length", "panic", "abort", "sandbox-violation", "closed-pipe"];
    all_print(world, &scripts, DIED);
}

fn after_the_end_of_data_the_message_may_be_there(world: &World) {
    let scripts = [
        "killed-after-end-of-data",
        "lie-after-end-of-data",
        "killed-after-all-was-sent",
        "lie-after-all-was-sent",
        "another-exchanger-after-all-was-sent",
        "all-sent-twice",
        "success-before-the-envelope",
    ];
    all_print(world, &scripts, DUPLICATE);
}

fn a_verdict_stands_whatever_the_child_does_next(world: &World) {
    for script in ["silence-after-success", "chatter-after-success"] {
        deliver(world, script).assert_reports(&["r", SUCCESS]);
    }
}

fn a_lie_about_a_refused_recipient_is_no_success(world: &World) {
    let outcome = deliver(world, "success-with-refused-recipient");
    let refusal = "Remote host said: 399 what\n";
    outcome.assert_reports(&[
        format!("s192.0.2.1 does not like recipient.\n{refusal}"),
        format!("ZGiving up on 192.0.2.1.\n{refusal}"),
    ]);
}

/// All at once: the monitor's patience is most of a minute.
fn a_child_that_is_silent_stopped_or_deaf_is_killed(world: &World) {
    world.control("timeoutconnect", "1\n");
    world.control("timeoutremote", "1\n");
    let block = format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", "MIIB\n".repeat(1000));
    let large = world.file("large.pem", block.repeat(100));
    let (large, directory) = (large.display(), world.scratch());
    let rules = format!(
        "script-flood-for-a-large-file:{large}\nscript-flood-for-small-answers:{}/\n",
        directory.display()
    );
    world.control("tlsdestinations", rules);
    let silent = "ZThe network process was silent for too long and was stopped. (#4.3.0)\n";
    let scripts = [
        ("silence", silent),
        ("silence-in-a-session", silent),
        ("stopped", silent),
        ("pipe-left-to-another", silent),
        ("flood-for-a-large-file", silent),
        ("flood-for-small-answers", silent),
        ("silence-after-end-of-data", DUPLICATE),
    ];
    let running: Vec<Running> = scripts.iter().map(|(script, _)| start(world, script)).collect();
    let children: Vec<Pid> = running.iter().map(Running::child_pid).collect();
    for (running, (_, report)) in running.into_iter().zip(scripts) {
        running.wait().assert_reports(&[report]);
    }
    for child in children {
        assert!(!exists(child), "the child outlived its monitor");
    }
    assert_modest();
}

/// What a script found out, as a report tells it.
fn found(what: &str) -> String {
    format!("ZConnected to 192.0.2.1 but greeting failed.\nRemote host said: 421 {what}\n")
}

/// Every user that can be had here.
fn users(world: &World) -> &'static [User] {
    match world.can(Needs::ManyUids) {
        true => &[User::Root, User::Qmailr, User::Courier, User::SetgidKeys],
        false => &[User::Courier],
    }
}

fn no_descriptor_of_the_child_takes_a_report(world: &World) {
    for &user in users(world) {
        let by_user = |script| by_script(world, script).identity(user);
        ends_well(by_user("write-to-every-descriptor")).assert_reports(&[found("[]")]);
        ends_well(by_user("find-writable-descriptors")).assert_reports(&[found("[]")]);
        // Nor does a message that is open for writing, as a terminal is, once the child is confined.
        let message = world.file("message", "Subject: x\n\nHello.\n");
        for (script, report) in [
            ("find-writable-descriptors", found("[0]")),
            ("write-to-the-message", DIED.to_owned()),
            ("write-to-a-copy-of-the-message", DIED.to_owned()),
        ] {
            let delivery = by_user(script).message(Message::Writable(message.clone()));
            ends_well(delivery).assert_reports(&[report]);
        }
        assert_eq!(std::fs::read(&message).unwrap(), b"Subject: x\n\nHello.\n");
    }
}

fn no_port_but_the_plans_is_reached_and_none_is_bound(world: &World) {
    if sandbox::landlock_abi() < Some(4) {
        world::namespace::skip("this kernel's Landlock does not know TCP ports");
    }
    for (routes, own) in [("", 25), (":192.0.2.1;2525\n", 2525)] {
        world.control("smtproutes", routes);
        for &user in users(world) {
            for port in [24, 25, 53, 80, 465, 2525] {
                let result = if [own, 53].contains(&port) { "Ok(())" } else { "Err(EACCES)" };
                let delivery = by_script(world, &format!("tcp-connect-{port}")).identity(user);
                ends_well(delivery).assert_reports(&[found(result)]);
            }
            for port in [0, 2525] {
                let delivery = by_script(world, &format!("tcp-bind-{port}")).identity(user);
                ends_well(delivery).assert_reports(&[found("Err(EACCES)")]);
            }
        }
    }
}

fn no_descriptor_is_passed_to_the_monitor(world: &World) {
    all_print(world, &["descriptor-passing"], &found("Err(ENOTSOCK)"));
    all_print(world, &["descriptor-passing-confined"], DIED);
}

/// The scripts are in this binary and in no other.
fn the_program_itself_knows_no_script(world: &World) {
    let binary = env!("CARGO_BIN_EXE_qmail-remote");
    world.control("me", "client.example.test\n");
    world.control("smtproutes", ":192.0.2.10\n");
    let nobody = "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n";
    for script in ["exit-0", "panicking-monitor", "twice-8"] {
        let host = format!("{}{script}", program::PREFIX);
        let delivery = Delivery::new(binary).host(host).sender("a@sender.test").recipient("b@example.test");
        delivery.run().assert_reports(&[nobody]);
    }
}

fn requests_without_reason_end_the_child(world: &World) {
    all_print(world, &["policy-without-reason", "anchors-without-reason"], LIED);
    world.control("tlsdestinations", "*:\n");
    let scripts = ["policy-twice", "anchors-without-reason", "anchors-without-reason-after-the-policy"];
    all_print(world, &scripts, LIED);
    world.control("tlsdestinations", format!("*:{}/\n", world.scratch().display()));
    let scripts = ["anchors-without-reason", "too-many-anchors", "too-many-anchors-in-all"];
    all_print(world, &scripts, LIED);
}

const OUT_OF_ORDER: [&str; 8] = [
    "credentials-at-once",
    "credentials-after-connecting",
    "credentials-without-auth",
    "credentials-after-a-refusal",
    "credentials-after-mail",
    "credentials-twice",
    "password-after-the-digest",
    "credentials-for-a-second-server",
];

fn credentials_are_given_in_order_or_not_at_all(world: &World) {
    // A plan that holds none.
    all_print(world, &OUT_OF_ORDER, LIED);
    all_print(world, &["credentials-by-plain", "credentials-by-login", "digest", "giant-challenge"], LIED);
    // One that does; nothing else stands in the way.
    world.control("authplaintext", "1\n");
    world.control("smtproutes", ":mx.example.test|user|secret\n");
    world.control("authsenders", "@other.test:mx.example.test|other|hidden\n");
    for script in OUT_OF_ORDER.iter().chain(&["giant-challenge"]) {
        deliver(world, script).assert_reports(&[LIED]);
    }
}

fn credentials_go_where_they_may_and_once(world: &World) {
    let got = |what: &str, text: &str| {
        let said = format!("Remote host said: 535 got {text}\n");
        format!("ZConnected to 192.0.2.1 but authentication was rejected ({what}).\n{said}")
    };
    let digest = "dXNlciA1YzhkYjAzZjA0Y2VjMGY0M2JjYjA2MDAyMzkxNDE5MA==";
    world.control("smtproutes", ":mx.example.test|user|secret\n");
    // In clear, to another machine.
    for script in ["credentials-by-plain", "credentials-by-login"] {
        deliver(world, script).assert_reports(&[LIED]);
    }
    deliver(world, "digest").assert_reports(&[got("username+digest", digest)]);
    let garbage =
        "ZConnected to 192.0.2.1 but unable to base64decode challenge.\nRemote host said: 334 <x@y>\n";
    deliver(world, "garbage-challenge").assert_reports(&[garbage]);
    world.control("authplaintext", "1\n");
    deliver(world, "credentials-by-plain").assert_reports(&[got("plain", "user secret")]);
    deliver(world, "credentials-by-login").assert_reports(&[got("username", "user secret")]);
    // For a server that the DNS chooses, and that has proved nothing.
    world.control("smtproutes", ":|user|secret\n");
    for script in ["credentials-by-plain", "credentials-by-login", "digest"] {
        deliver(world, script).assert_reports(&[LIED]);
    }
    // Before the TLS that the rule demands.
    world.control("smtproutes", ":mx.example.test|user|secret\n");
    world.control("tlsdestinations", "*:\n/*:\n");
    for script in ["credentials-by-plain", "digest"] {
        deliver(world, script).assert_reports(&[LIED]);
    }
}

/// Every sender's certificate is this one.
fn with_client(world: &World, key: PKey<Private>) {
    let content =
        Content { names: &["client.test"], for_clients: true, key: Some(&key), ..Content::default() };
    let client = Identity::self_signed_with(&content).unwrap();
    let files = client.write(&world.scratch(), "client").unwrap();
    world.control("domaincerts", format!("*:{}|{}\n", files.certificate.display(), files.key.display()));
}

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn p256() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// What the child gets is a signature of what it sent, and of nothing else.
fn a_client_certificate_signs_what_a_tls_client_signs(world: &World) {
    let got = "ZConnected to 192.0.2.1 but greeting failed.\nRemote host said: 421 verified\n";
    for (key, scripts) in [
        (rsa(), &["sign-pss", "sign-pss-48", "sign-pkcs1-of-1.2", "sign-pss-of-1.2"][..]),
        (p256(), &["sign-ecdsa", "sign-ecdsa-48", "sign-ecdsa-of-1.2"]),
    ] {
        with_client(world, key);
        all_print(world, scripts, got);
    }
}

fn nothing_else_is_signed(world: &World) {
    for (key, scripts) in [
        (
            rsa(),
            &[
                "sign-nothing",
                "sign-digest-20",
                "sign-digest-32",
                "sign-digest-48",
                "sign-digest-64",
                "sign-text",
                "sign-server",
                "sign-length-0",
                "sign-length-31",
                "sign-length-33",
                "sign-length-49",
                "sign-length-64",
                "sign-twice",
                "sign-three-times",
                "sign-left-over",
                "sign-ecdsa",
                "sign-ed25519",
                "sign-pkcs1",
                "sign-another-certificate-of-1.2",
                "sign-server-of-1.2",
                "sign-half-of-1.2",
                "sign-too-much",
                "sign-empty-piece",
                "sign-long-piece",
                "sign-unknown-scheme",
            ][..],
        ),
        (p256(), &["sign-pss", "sign-pkcs1-of-1.2", "sign-ecdsa-of-another-curve", "sign-server-by-ecdsa"]),
    ] {
        with_client(world, key);
        all_print(world, scripts, LIED);
    }
}

const IN_ANOTHER_STATE: [&str; 9] = [
    "sign-at-once",
    "sign-before-connecting",
    "sign-while-walking",
    "sign-before-the-answer-to-ehlo",
    "sign-under-tls",
    "sign-after-mail",
    "sign-after-data",
    "send-to-sign-at-once",
    "send-to-sign-after-mail",
];

fn nothing_is_signed_in_another_state(world: &World) {
    with_client(world, rsa());
    all_print(world, &IN_ANOTHER_STATE, LIED);
    all_print(world, &["sign-after-the-end-of-data"], DUPLICATE);
    // Where there is no TLS, and before it is known whether there is.
    world.control("smtproutes", ":192.0.2.1\n");
    world.control("tlsdestinations", "!192.0.2.1:\n");
    all_print(world, &["sign-pss"], LIED);
    world.control("smtproutes", "");
    world.control("tlsdestinations", "mx.other.test:\n");
    all_print(world, &["sign-pss"], LIED);
    world.control("tlsdestinations", "");
    world.control("qmtproutes", ":\n");
    all_print(world, &["sign-after-the-package"], LIED);
}

fn nothing_is_signed_without_a_certificate(world: &World) {
    // For another sender there is one.
    with_client(world, rsa());
    let line = std::fs::read_to_string(world.control_directory().join("domaincerts")).unwrap();
    world.control("domaincerts", line.replace("*:", "other.test:"));
    all_print(world, &["sign-pss", "sign-pkcs1-of-1.2", "sign-nothing", "send-to-sign"], LIED);
    all_print(world, &IN_ANOTHER_STATE, LIED);
}

fn a_success_without_the_demanded_tls_is_a_lie(world: &World) {
    let anchors = world.scratch();
    for rule in ["/*:", "-*:", "+*:", &format!("=*:{}/", anchors.display()), "mx.example.test:"] {
        world.control("tlsdestinations", format!("{rule}\n"));
        let scripts = ["success-without-tls", "success-without-tls-after-the-policy", "all-sent-without-tls"];
        all_print(world, &scripts, LIED);
    }
    for rule in ["+*:", "~*:", "=*:"] {
        world.control("tlsdestinations", format!("{rule}\n"));
        all_print(world, &["success-without-proof"], LIED);
    }
    // The name of the exchanger, which the child claims, has no rule: what it claims is what happened.
    world.control("tlsdestinations", "mx.other.test:\n");
    deliver(world, "success-without-tls-after-the-policy").assert_reports(&["r", SUCCESS]);
}

fn a_decision_of_the_monitor_stands_whatever_the_child_does_next(world: &World) {
    world.control("tlsdestinations", "mx.example.test:;0\n");
    let place = "/var/qmail/control/tlsdestinations, line 1";
    let problem = "the port is not a number from 1 to 65535";
    let report = format!("ZUnable to use {place}: {problem}. (#4.3.0)\n");
    all_print(world, &["success-without-tls-after-the-policy"], &report);
}

fn lies_about_qmtp_end_the_child(world: &World) {
    all_print(world, &["package-to-an-smtp-server"], LIED);
    all_print(world, &["answer-of-an-smtp-server"], DUPLICATE);
    world.control("qmtproutes", ":\n");
    let scripts = [
        "smtp-by-qmtp",
        "answer-without-a-package",
        "answer-before-the-end",
        "package-twice",
        "next-server-after-the-package",
    ];
    all_print(world, &scripts, LIED);
    all_print(world, &["next-server-after-the-end", "too-long-an-answer"], DUPLICATE);
    let success = ["rqmtp: ok\n", "KAll received okay by 192.0.2.1\n"];
    deliver(world, "success-by-qmtp").assert_reports(&success);
    world.control("qmtproutes", ":;6209\n");
    all_print(world, &["success-by-qmtps-without-tls"], LIED);
    world.control("qmtproutes", ":\n");
    world.control("tlsdestinations", "-*:\n");
    all_print(world, &["success-by-qmtp"], LIED);
}

fn lies_about_addresses_end_the_child_and_harm_half_of_the_table(world: &World) {
    let table = world.tcpto();
    let records = || {
        let octets = std::fs::read(&table).unwrap();
        octets.chunks(32).filter(|record| record[4] != 0).count()
    };
    all_print(world, &["unanswered-twice"], LIED);
    assert_eq!(records(), 1);
    all_print(world, &["too-many-unanswered"], LIED);
    assert_eq!(records(), 16);
}

fn a_panic_in_the_monitor_is_a_temporary_failure(world: &World) {
    deliver(world, "panicking-monitor").assert_reports(&["ZInternal error in qmail-remote. (#4.3.0)\n"]);
}

fn exists(process: Pid) -> bool {
    nix::sys::signal::kill(process, None).is_ok()
}
