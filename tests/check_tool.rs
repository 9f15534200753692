//! `qmail-remote-check`: what it explains is what a delivery does.
#![expect(clippy::expect_used, reason = "test support: a failed step must stop the test with its cause")]

use std::process::{Command, Output};

use world::{Delivery, Identity, World, in_world};

const TOOL: &str = env!("CARGO_BIN_EXE_qmail-remote-check");
const PROGRAM: &str = env!("CARGO_BIN_EXE_qmail-remote");

fn check(arguments: &[&str]) -> Output {
    Command::new(TOOL).args(arguments).output().expect("the tool runs")
}

fn text(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", output.stderr.escape_ascii());
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The lines of an explanation, blanks folded.
fn explained(host: &str, sender: &str) -> (Vec<String>, bool) {
    let output = check(&["explain", host, sender]);
    let fold = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    (text(&output).lines().map(fold).collect(), output.status.success())
}

fn deliver(host: &str, sender: &str) -> Vec<Vec<u8>> {
    let delivery = Delivery::new(PROGRAM).identity(Identity::Qmailr).host(host).sender(sender);
    let outcome = delivery.recipient("bob@example.test").run();
    assert!(outcome.status.success() && outcome.stderr.is_empty());
    outcome.reports()
}

/// Control files, host, sender, and lines that the explanation must have. `HERE` is the control directory.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, &'a [&'a str]);

const ROWS: &[Row<'_>] = &[
    (
        &[("smtproutes", ":192.0.2.10;26\n")],
        "example.test",
        "a@b.test",
        &[
            "route HERE/smtproutes:1: 192.0.2.10, by SMTP",
            "credentials none",
            "TLS no line: when offered",
            "connects to 192.0.2.10, port 26",
            "from any address",
            "says EHLO me.example.test",
            "verdict would be tried",
        ],
    ),
    (
        &[],
        "[192.0.2.10]",
        "",
        &[
            "route none: the exchangers of the host, by SMTP",
            "connects to 192.0.2.10, port 25",
            "verdict would be tried",
        ],
    ),
    (
        &[("smtproutes", "#\n!@:192.0.2.11\n:192.0.2.10;s\n"), ("domainips", "*:192.0.2.99|helo.test\n")],
        "example.test",
        "",
        &[
            "route HERE/smtproutes:2: 192.0.2.11, by SMTP",
            "domainips HERE/domainips:1",
            "from 192.0.2.99",
            "says EHLO helo.test",
        ],
    ),
    (
        &[("smtproutes", ":192.0.2.10;s\n")],
        "example.test",
        "a@b.test",
        &["connects to 192.0.2.10, port 465, TLS from the first byte"],
    ),
    (
        &[("smtproutes", ":192.0.2.10;26\n"), ("tlsdestinations", "!192.0.2.10:;27\n")],
        "example.test",
        "a@b.test",
        &["TLS HERE/tlsdestinations:1: never by STARTTLS", "connects to 192.0.2.10, port 27"],
    ),
    (
        &[("authsenders", "@b.test:192.0.2.10|user|secret\n"), ("smtproutes", ":192.0.2.11\n")],
        "example.test",
        "a@b.test",
        &["route HERE/authsenders:1: 192.0.2.10, by SMTP", "credentials user and password (not shown)"],
    ),
    (
        &[("qmtproutes", ":192.0.2.10\n")],
        "example.test",
        "a@b.test",
        &["route HERE/qmtproutes:1: 192.0.2.10, by QMTP"],
    ),
    (
        &[("tlsdestinations", "=example.test:/ca||4\n")],
        "example.test",
        "a@b.test",
        &["TLS HERE/tlsdestinations:1: required, chain and exact name verified, CA in /ca, depth 4"],
    ),
    (
        &[("domaincerts", "b.test:/c|/k|secret\n")],
        "example.test",
        "a@b.test",
        &["certificate HERE/domaincerts:1: /c, key in /k"],
    ),
    (
        &[("smtproutes", "\n:192.0.2.10;x\n")],
        "example.test",
        "a@b.test",
        &[
            "verdict put off: Unable to use HERE/smtproutes, line 2: the port is not a number from 1 to 65535. (#4.3.0)",
        ],
    ),
    (
        &[("domainips", "*:x\n")],
        "example.test",
        "a@b.test",
        &["verdict put off: Invalid ipaddr in control/domainips (#4.3.0)"],
    ),
    (
        &[("timeoutremote", "0\n")],
        "example.test",
        "a@b.test",
        &["verdict put off: Unable to read control files. (#4.3.0)"],
    ),
    (
        &[],
        "bad host",
        "a@b.test",
        &["verdict bounced: Sorry, I couldn't find any host named bad?host. (#5.1.2)"],
    ),
];

#[test]
fn an_explanation_agrees_with_the_delivery() {
    in_world(|world| {
        let here = world.control_directory().display().to_string();
        for (files, host, sender, lines) in ROWS {
            start_over(world, files);
            let (explanation, well) = explained(host, sender);
            for line in *lines {
                let line = line.replace("HERE", &here);
                assert!(explanation.contains(&line), "{files:?}: no line {line:?} in {explanation:#?}");
            }
            assert!(!explanation.join("\n").contains("secret"));
            let reports = deliver(host, sender);
            let (letter, said) = match explanation.last().and_then(|line| line.strip_prefix("verdict ")) {
                // Nothing listens here.
                Some("would be tried") => {
                    assert!(well);
                    ("Z", "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)")
                }
                Some(verdict) => {
                    assert!(!well);
                    match verdict.strip_prefix("put off: ") {
                        Some(said) => ("Z", said),
                        None => ("D", verdict.strip_prefix("bounced: ").expect("a verdict")),
                    }
                }
                None => panic!("no verdict: {explanation:#?}"),
            };
            assert_eq!(reports, [format!("{letter}{said}\n").into_bytes()], "{files:?}");
        }
    });
}

fn start_over(world: &World, files: &[(&str, &str)]) {
    let directory = world.control_directory();
    for entry in std::fs::read_dir(&directory).expect("control directory") {
        std::fs::remove_file(entry.expect("entry").path()).expect("removal");
    }
    world.control("me", "me.example.test\n");
    for (name, text) in files {
        world.control(name, text);
    }
}

#[test]
fn an_index_is_used_until_its_text_changes() {
    in_world(|world| {
        start_over(world, &[("smtproutes", "other.test:192.0.2.11\n:192.0.2.10\n")]);
        let directory = world.control_directory();
        let written = check(&["cdb", "smtproutes"]);
        assert_eq!(text(&written), format!("{}/smtproutes.cdb: 2 records\n", directory.display()));
        let route = || explained("example.test", "a@b.test").0[0].clone();
        assert_eq!(route(), format!("route {}/smtproutes.cdb: 192.0.2.10, by SMTP", directory.display()));
        world.control("smtproutes", ":192.0.2.12\n");
        assert_eq!(route(), format!("route {}/smtproutes:1: 192.0.2.12, by SMTP", directory.display()));
        let missing = check(&["cdb", "authsenders"]);
        assert!(
            !missing.status.success() && text(&missing).ends_with("No such file or directory (os error 2)\n")
        );
    });
}

#[test]
fn the_sandbox_is_described() {
    in_world(|_| {
        let output = check(&["sandbox"]);
        let text = text(&output);
        for what in ["seccomp", "Landlock", "/proc", "runs as"] {
            assert!(text.lines().any(|line| line.starts_with(what)), "{text}");
        }
        assert!(output.status.success());
        assert!(text.contains("qmailr (uid 7996, gid 7990)"), "{text}");
    });
}

#[test]
fn help_and_mistakes_are_those_of_an_ordinary_command() {
    let help = check(&["--help"]);
    assert!(help.status.success() && text(&help).contains("explain"));
    assert_eq!(check(&["frobnicate"]).status.code(), Some(2));
    assert_eq!(check(&["cdb", "me"]).status.code(), Some(2));
}
