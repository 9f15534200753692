//! `qmail-remote-check` as a command; that it explains what a delivery does is `lookups`' to show.
#![expect(clippy::expect_used, reason = "test support: a failed step must stop the test with its cause")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use world::in_world;

const TOOL: &str = env!("CARGO_BIN_EXE_qmail-remote-check");

fn check(arguments: &[&str]) -> Output {
    Command::new(TOOL).args(arguments).output().expect("the tool runs")
}

fn text(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", output.stderr.escape_ascii());
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn an_index_is_used_until_its_text_changes() {
    in_world(|world| {
        world.control("me", "me.example.test\n");
        world.control("smtproutes", "other.test:192.0.2.11\n:192.0.2.10\n");
        let directory = world.control_directory();
        let written = check(&["cdb", "smtproutes"]);
        assert_eq!(text(&written), format!("{}/smtproutes.cdb: 2 records\n", directory.display()));
        let route = || {
            let explanation = text(&check(&["explain", "example.test", "a@b.test"]));
            explanation.lines().next().expect("a row").to_owned()
        };
        let by = |line: &str| format!("route         {}/{line}, by SMTP", directory.display());
        assert_eq!(route(), by("smtproutes.cdb: 192.0.2.10"));
        // Who may read it is part of the text, too.
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(directory.join("smtproutes"), mode).expect("mode");
        assert_eq!(route(), by("smtproutes:2: 192.0.2.10"));
        assert!(check(&["cdb", "smtproutes"]).status.success());
        assert_eq!(route(), by("smtproutes.cdb: 192.0.2.10"));
        world.control("smtproutes", ":192.0.2.12\n");
        assert_eq!(route(), by("smtproutes:1: 192.0.2.12"));
        nix::unistd::mkfifo(&directory.join("domainips"), nix::sys::stat::Mode::S_IRWXU).expect("fifo");
        let fifo = check(&["cdb", "domainips"]);
        assert!(!fifo.status.success() && text(&fifo).ends_with("domainips: not a regular file\n"));
        let missing = check(&["cdb", "authsenders"]);
        assert!(
            !missing.status.success() && text(&missing).ends_with("No such file or directory (os error 2)\n")
        );
        let beside = directory.join("qmtproutes");
        for (line, problem) in [
            (b"a:\0".to_vec(), "an octet 0 in a value has no place in an index"),
            (vec![b'x'; 64 * 1024], "the line is too long"),
        ] {
            world.control("qmtproutes", [b"\n", &*line].concat());
            let refused = check(&["cdb", "qmtproutes"]);
            assert!(!refused.status.success());
            assert_eq!(text(&refused), format!("{}:2: error: {problem}\n", beside.display()));
        }
    });
}

#[test]
fn an_explanation_says_what_only_the_dns_can_tell_and_drives_no_terminal() {
    in_world(|world| {
        world.control("me", "me.example.test\n");
        let explained = |host: &str| text(&check(&["explain", host, "a@b.test"]));
        let exchangers =
            "exchangers    a line of tlsdestinations for an exchanger's own name may demand more TLS\n";
        assert!(!explained("example.test").contains("exchangers  "));
        world.control("tlsdestinations", "*:/ca\x1b[2J.pem|HIGH\x07\n");
        let refused = explained("example.test");
        let hidden = "ciphers that OpenSSL does not know (not shown)\n";
        assert!(refused.contains(&format!("CA in /ca?[2J.pem, {hidden}")), "{refused}");
        world.control("tlsdestinations", "*:/ca|/PASSWORD\n");
        assert!(explained("example.test").contains(&format!("CA in /ca, {hidden}")));
        world.control("tlsdestinations", "*:/ca|HIGH:!aNULL\n");
        assert!(explained("example.test").contains("CA in /ca, ciphers HIGH:!aNULL\n"));
        world.control("tlsdestinations", "mx.example.test:\n");
        assert!(explained("example.test").contains(exchangers));
        assert!(!explained("[192.0.2.1]").contains(exchangers));
    });
}

#[test]
fn what_cannot_be_written_is_said_and_a_closed_pipe_is_the_readers_choice() {
    in_world(|world| {
        world.control("me", "bad name\n");
        let commands: [&[&str]; 5] = [
            &["explain", "a.test", "b@c.test"],
            &["lint"],
            &["lint", "--format", "json"],
            &["sandbox"],
            &["--help"],
        ];
        for arguments in commands {
            let full = fs::File::options().write(true).open("/dev/full").expect("/dev/full");
            let output = Command::new(TOOL).args(arguments).stdout(full).output().expect("the tool runs");
            assert_eq!(output.status.code(), Some(74), "{arguments:?}");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.starts_with("qmail-remote-check: what was found cannot be written: "), "{said}");
            let (reader, unread) = std::io::pipe().expect("pipe");
            drop(reader);
            let output = Command::new(TOOL).args(arguments).stdout(unread).output().expect("the tool runs");
            assert!(output.status.code() != Some(74) && output.stderr.is_empty(), "{arguments:?}");
        }
    });
}

#[test]
fn the_sandbox_is_described() {
    in_world(|_| {
        let output = check(&["sandbox"]);
        let text = text(&output);
        assert!(text.starts_with("home          /var/qmail, fixed when this program was built\n"), "{text}");
        for what in ["seccomp", "Landlock", "namespaces", "/proc", "secrets", "runs as"] {
            assert!(text.lines().any(|line| line.starts_with(what)), "{text}");
        }
        assert!(output.status.success());
        assert!(text.contains("qmailr (uid 7996, gid 7990)"), "{text}");
    });
}

#[test]
fn secrets_that_cannot_be_locked_in_memory_are_told() {
    in_world(|_| {
        let with_limit = |limit: &str| {
            let mut limited = world::programs::command("prlimit");
            let setpriv = world::programs::find("setpriv").expect("setpriv");
            // Root may lock whatever the limit is.
            limited.arg(format!("--memlock={limit}:{limit}")).arg(setpriv).arg("--bounding-set=-ipc_lock");
            text(&limited.args([TOOL, "sandbox"]).output().expect("the tool runs"))
        };
        assert!(
            with_limit("65536").contains("\nsecrets       passwords and files of keys are not swapped out\n")
        );
        assert!(
            with_limit("0")
                .contains("\nsecrets       may be swapped out: the limit of locked memory (ulimit -l)")
        );
    });
}

#[test]
fn help_and_mistakes_are_those_of_an_ordinary_command() {
    let help = check(&["--help"]);
    assert!(help.status.success() && text(&help).contains("explain"));
    assert!(text(&help).contains("of lint 1 for warnings, 2 for errors"));
    let mistakes: [&[&str]; 5] =
        [&[], &["frobnicate"], &["cdb", "me"], &["explain"], &["lint", "smtproutes"]];
    for mistake in mistakes {
        assert_eq!(check(mistake).status.code(), Some(64), "{mistake:?}");
    }
}
