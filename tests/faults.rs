//! Processes that die, descriptors that are not what they should be, and a caller that leaves a mess: the
//! reports stay well-formed, and what is not certain is tried again.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use held::{ACCEPTED, BEFORE_THE_END, Held, Stage, delivery, delivery_after, endless_message, route_to_held};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use world::peer::Peer;
use world::{Delivery, Identity, Letter, Message, Needs, Outcome, Running, World, in_world, patience};

const DIED: &str = "ZThe network process ended without a result. (#4.3.0)\n";
const DUPLICATE: &str = "ZConnected to 192.0.2.10 but connection died. Possible duplicate! (#4.4.2)\n";
const UNREADABLE: &str = "ZUnable to read message. (#4.3.0)\n";
const NO_RESOURCES: &str = "ZSystem resources temporarily unavailable. (#4.3.0)\n";
const NO_CONTROL: &str = "ZUnable to read control files. (#4.3.0)\n";

/// A delivery that has come to `stage`. In the message it stays there by itself, too.
fn held_at(world: &World, stage: Stage) -> (Running, Held, Option<File>) {
    let held = Held::at(stage);
    let (delivery, feed) = match stage {
        Stage::Body => {
            let (message, feed) = endless_message(world);
            (delivery().message(message), Some(feed))
        }
        _ => (delivery(), None),
    };
    let running = delivery.start();
    held.wait_until_reached();
    (running, held, feed)
}

/// What is left when the child gets `signal` at `stage`.
fn with_signal_to_the_child(world: &World, stage: Stage, signal: Signal) -> Outcome {
    let (running, held, _feed) = held_at(world, stage);
    kill(running.child_pid(), signal).unwrap();
    let outcome = running.wait();
    held.seen();
    outcome
}

/// The letter of a process's state; none when it has been reaped.
fn state(process: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

fn is_gone(process: Pid) -> bool {
    matches!(state(process), None | Some('Z' | 'X'))
}

fn wait_for_state(process: Pid, stopped: bool) {
    patience::until(|| ((state(process) == Some('T')) == stopped).then_some(())).expect("change of state");
}

#[test]
fn a_killed_child_before_the_end_of_data_is_a_retry() {
    in_world(|world| {
        route_to_held(world);
        for stage in BEFORE_THE_END {
            println!("killed at {stage:?}");
            let outcome = with_signal_to_the_child(world, stage, Signal::SIGKILL);
            outcome.assert_reports(&[DIED]);
            assert_eq!(outcome.belief().letter, Letter::Z);
        }
    });
}

#[test]
fn a_killed_child_after_the_end_of_data_is_a_possible_duplicate() {
    in_world(|world| {
        route_to_held(world);
        let outcome = with_signal_to_the_child(world, Stage::EndOfData, Signal::SIGKILL);
        outcome.assert_reports(&[DUPLICATE]);
        assert_eq!(outcome.belief().letter, Letter::Z);
    });
}

#[test]
fn every_deadly_signal_to_the_child_is_a_retry() {
    use Signal::{SIGABRT, SIGALRM, SIGHUP, SIGSEGV, SIGSYS, SIGTERM, SIGXCPU};
    in_world(|world| {
        route_to_held(world);
        for signal in [SIGSEGV, SIGTERM, SIGABRT, SIGSYS, SIGXCPU, SIGALRM, SIGHUP] {
            println!("{signal}");
            with_signal_to_the_child(world, Stage::Mail, signal).assert_reports(&[DIED]);
            with_signal_to_the_child(world, Stage::EndOfData, signal).assert_reports(&[DUPLICATE]);
        }
    });
}

#[test]
fn a_stopped_process_goes_on_where_it_was() {
    in_world(|world| {
        route_to_held(world);
        for whose in ["monitor", "child"] {
            for stage in [Stage::Greeting, Stage::Rcpt, Stage::EndOfData] {
                println!("{whose} stopped at {stage:?}");
                let (running, held, _feed) = held_at(world, stage);
                let process = if whose == "child" { running.child_pid() } else { running.pid() };
                kill(process, Signal::SIGSTOP).unwrap();
                wait_for_state(process, true);
                kill(process, Signal::SIGCONT).unwrap();
                wait_for_state(process, false);
                held.go_on();
                running.wait().assert_reports(&ACCEPTED);
                assert!(held.seen().whole);
            }
        }
    });
}

#[test]
fn a_child_stopped_while_the_server_replies_hears_it_later() {
    in_world(|world| {
        route_to_held(world);
        let (running, held, _feed) = held_at(world, Stage::EndOfData);
        let child = running.child_pid();
        kill(child, Signal::SIGSTOP).unwrap();
        wait_for_state(child, true);
        held.go_on();
        kill(child, Signal::SIGCONT).unwrap();
        running.wait().assert_reports(&ACCEPTED);
    });
}

#[test]
fn a_killed_monitor_takes_the_child_along_at_every_stage() {
    in_world(|world| {
        route_to_held(world);
        let at = |stage: Stage, signal: Signal| {
            println!("{signal} at {stage:?}");
            let (running, held, _feed) = held_at(world, stage);
            let child = running.child_pid();
            running.kill(signal);
            let outcome = running.wait();
            assert_eq!(outcome.status.signal(), Some(signal as i32));
            assert_eq!((outcome.stdout.len(), outcome.stderr.len()), (0, 0));
            assert_eq!(outcome.belief().letter, Letter::Z);
            patience::until(|| is_gone(child).then_some(())).expect("the child goes, too");
            held.seen();
        };
        for stage in BEFORE_THE_END.into_iter().chain([Stage::EndOfData]) {
            at(stage, Signal::SIGKILL);
        }
        at(Stage::Rcpt, Signal::SIGTERM);
    });
}

#[test]
fn a_stopped_child_goes_with_its_killed_monitor() {
    in_world(|world| {
        route_to_held(world);
        let (running, _held, _feed) = held_at(world, Stage::Mail);
        let child = running.child_pid();
        kill(child, Signal::SIGSTOP).unwrap();
        wait_for_state(child, true);
        running.kill(Signal::SIGKILL);
        assert_eq!(running.wait().belief().letter, Letter::Z);
        patience::until(|| is_gone(child).then_some(())).expect("the child goes, too");
    });
}

#[test]
fn reports_that_nobody_can_read_are_no_failure_of_ours() {
    in_world(|world| {
        route_to_held(world);
        let outputs = [Delivery::stdout_closed, Delivery::stdout_full, Delivery::stdout_unread];
        for (name, output) in ["closed", "full", "unread"].into_iter().zip(outputs) {
            println!("stdout {name}");
            // Delivered or not: the queue hears nothing, and tries again.
            let held = Held::at(Stage::EndOfData);
            let running = output(delivery()).start();
            held.wait_until_reached();
            held.go_on();
            let outcomes = [running.wait(), output(delivery().message(Message::Directory)).run()];
            assert!(held.seen().whole);
            for outcome in outcomes {
                outcome.assert_reports(&[""; 0]);
                assert_eq!(outcome.belief().letter, Letter::Z);
            }
        }
    });
}

#[test]
fn a_message_that_cannot_be_read_is_a_retry() {
    in_world(|world| {
        route_to_held(world);
        for message in [Message::Closed, Message::Directory] {
            delivery().message(message).run().assert_reports(&[UNREADABLE]);
        }
        let redirections = [
            "exec 0>/dev/null; ",
            "exec 0<>/dev/null; ",
            "exec 0>\"$TARGET\"; ",
            "exec 0>>\"$TARGET\"; ",
            "exec <&- >&-; exec 1>\"$TARGET\" 2>\"$TARGET.2\"; ",
        ];
        for redirection in redirections {
            println!("{redirection}");
            let target = world.file("target", "");
            fs::set_permissions(&target, fs::Permissions::from_mode(0o666)).unwrap();
            let second = world.file("target.2", "");
            fs::set_permissions(&second, fs::Permissions::from_mode(0o666)).unwrap();
            let outcome = delivery_after(world, redirection).env("TARGET", &target).run();
            if redirection.contains("TARGET.2") {
                // Closed, and another descriptor in the place of the pipe: that is where the report goes.
                outcome.assert_reports(&[""; 0]);
                assert_eq!(fs::read_to_string(&target).unwrap(), format!("{UNREADABLE}\0"));
                assert_eq!(fs::read_to_string(&second).unwrap(), "");
            } else {
                outcome.assert_reports(&[UNREADABLE]);
            }
        }
    });
}

#[test]
fn a_file_cut_short_while_it_is_sent_is_a_retry() {
    in_world(|world| {
        route_to_held(world);
        // More than the buffers of both sockets take: the rest is still to be read. The first is cut within
        // its line, the second after one of its lines.
        let messages = [
            "x".repeat(64 << 20) + "\n",
            "All work and no play makes Jack a dull boy indeed, dear, indeed\n".repeat(1 << 20),
        ];
        for (message, left) in messages.iter().zip([1 << 20; 2]).chain([(&messages[1], 0)]) {
            println!("cut to {left} octets");
            let path = world.file("shrinking", message);
            let held = Held::at(Stage::Body);
            let running = delivery().message(Message::File(path.clone())).start();
            held.wait_until_reached();
            File::options().write(true).open(&path).unwrap().set_len(left).unwrap();
            held.go_on();
            running.wait().assert_reports(&["r", UNREADABLE]);
            let seen = held.seen();
            assert!(!seen.whole && seen.octets < message.len(), "{seen:?}");
        }
    });
}

/// A chunk is announced before it is read once more: what has another length by then never becomes a whole one.
#[test]
fn a_file_rewritten_before_its_chunk_is_a_retry() {
    in_world(|world| {
        route_to_held(world);
        // As long as before, with fewer line ends, and with more.
        for (before, after) in [("a\nb\nc\n", "abcde\n"), ("abcde\n", "a\nb\nc\n")] {
            let path = world.file("rewritten", before);
            let listener = TcpListener::bind("192.0.2.10:25").unwrap();
            let running = delivery().message(Message::File(path.clone())).start();
            let mut peer = Peer::new(patience::accept(&listener), patience::LONG_ENOUGH).unwrap();
            for reply in ["220 mx1\r\n", "250-mx1\r\n250 CHUNKING\r\n", "250 sender ok\r\n"] {
                peer.send(reply.as_bytes()).unwrap();
                peer.line().unwrap();
            }
            File::options().write(true).open(&path).unwrap().write_all(after.as_bytes()).unwrap();
            peer.send(b"250 recipient ok\r\n").unwrap();
            let rest = peer.drain(patience::LONG_ENOUGH).unwrap();
            assert!(rest.is_empty(), "{}", rest.escape_ascii());
            running.wait().assert_reports(&["r", UNREADABLE]);
        }
    });
}

#[test]
fn what_was_blocked_or_ignored_is_put_right_as_far_as_it_matters() {
    in_world(|world| {
        world.require(Needs::Program("env"));
        route_to_held(world);
        let mess = "exec env --ignore-signal=CHLD,HUP --block-signal=CHLD,TERM,PIPE \"$0\" \"$@\"; ";
        let masks = |text: &str| {
            let mask = |name: &str| {
                let value = text.lines().find_map(|line| line.strip_prefix(name)).expect("mask of signals");
                u64::from_str_radix(value.trim(), 16).unwrap()
            };
            (mask("SigBlk:"), mask("SigIgn:"))
        };
        let bits =
            |signals: &[Signal]| signals.iter().fold(0, |bits, signal| bits | (1 << (*signal as u64 - 1)));
        let cat = Delivery::new("/bin/sh").argument("-c").argument(mess).argument("cat");
        let inherited = cat.argument("/proc/self/status").identity(Identity::Qmailr).run();
        let (blocked, ignored) = masks(&String::from_utf8_lossy(&inherited.stdout));
        // Whoever runs the tests may have added some of theirs.
        let blockable = bits(&[Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGPIPE]);
        assert_eq!(blocked & blockable, blockable, "nothing to inherit");
        let ignorable = bits(&[Signal::SIGCHLD, Signal::SIGHUP]);
        assert_eq!(ignored & ignorable, ignorable, "nothing to inherit");

        let held = Held::at(Stage::EndOfData);
        let running = delivery_after(world, mess).start();
        held.wait_until_reached();
        let child = running.child_pid();
        for process in [running.pid(), child] {
            let (blocked, ignored) = masks(&fs::read_to_string(format!("/proc/{process}/status")).unwrap());
            assert_eq!(blocked, 0);
            assert_eq!(ignored & bits(&[Signal::SIGCHLD]), 0);
            let others = bits(&[Signal::SIGPIPE, Signal::SIGXFSZ, Signal::SIGHUP]);
            assert_eq!(ignored & others, others);
        }
        held.go_on();
        running.wait().assert_reports(&ACCEPTED);
        assert!(is_gone(child));
    });
}

#[test]
fn few_descriptors_are_a_retry_or_enough() {
    in_world(|world| {
        route_to_held(world);
        let mut delivered = 0;
        // With 3 the program itself cannot be loaded; from 4 on it speaks for itself.
        for limit in 4..=16 {
            println!("{limit} descriptors");
            let held = Held::at(Stage::EndOfData);
            let running = delivery_after(world, &format!("ulimit -n {limit}; ")).start();
            held.go_on();
            let outcome = running.wait();
            let verdict = outcome.reports().pop().unwrap_or_default();
            if verdict.starts_with(b"K") {
                delivered += 1;
                outcome.assert_reports(&ACCEPTED);
                assert!(held.seen().whole);
            } else {
                assert_eq!(delivered, 0, "fewer descriptors were enough");
                assert_eq!(outcome.reports().len(), 1);
                assert_eq!(outcome.belief().letter, Letter::Z, "{outcome:?}");
                assert!(outcome.stderr.is_empty() && outcome.status.success());
                // The server may still wait for its connection.
                let _ = std::net::TcpStream::connect("192.0.2.10:25");
                assert!(!held.seen().whole);
            }
        }
        assert_ne!(delivered, 0, "16 descriptors are enough");
    });
}

#[test]
fn what_was_inherited_takes_no_place() {
    in_world(|world| {
        route_to_held(world);
        // All but two of those that there can be, one of which the C library's loader needs.
        let inherited: String = (3..10).map(|number| format!("exec {number}</dev/null; ")).collect();
        let held = Held::at(Stage::EndOfData);
        let running = delivery_after(world, &format!("{inherited} ulimit -n 12; ")).start();
        held.go_on();
        running.wait().assert_reports(&ACCEPTED);
        assert!(held.seen().whole);
    });
}

#[test]
fn no_process_left_is_a_retry() {
    in_world(|world| {
        world.require(Needs::Program("prlimit"));
        route_to_held(world);
        for limit in [0, 1] {
            let script = format!("exec prlimit --nproc={limit} \"$0\" \"$@\"; ");
            let outcome = delivery_after(world, &script).identity(Identity::Courier).run();
            outcome.assert_reports(&[NO_RESOURCES]);
        }
    });
}

#[test]
fn the_environment_changes_nothing() {
    in_world(|world| {
        route_to_held(world);
        let scratch = world.scratch();
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o777)).unwrap();
        let openssl = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n\
                       MaxProtocol = TLSv1.1\nMinProtocol = TLSv1.1\n";
        let openssl = world.file("openssl.cnf", openssl);
        let held = Held::under_tls_at(Stage::EndOfData);
        let running = delivery()
            .env("OPENSSL_CONF", openssl)
            .env("SSLKEYLOGFILE", scratch.join("keys"))
            .env("SSL_CERT_FILE", "/nonexistent")
            .env("RES_OPTIONS", "ndots:15 debug")
            .env("LOCALDOMAIN", "evil.test")
            .env("HOSTALIASES", world.file("aliases", "example evil.test\n"))
            .env("RUST_BACKTRACE", "full")
            .env("RUST_LOG", "trace")
            .env("TMPDIR", &scratch)
            .env("QMAIL_HOME", "/nonexistent")
            .env("LANG", "tr_TR.UTF-8")
            .start();
        held.wait_until_reached();
        held.go_on();
        let success = "K192.0.2.10 TLS transmitted message accepted.\nRemote host said: 250 accepted\n";
        running.wait().assert_reports(&["r", success]);
        assert!(!scratch.join("keys").exists());
    });
}

#[test]
fn a_missing_control_directory_is_a_retry() {
    in_world(|world| {
        fs::remove_dir(world.control_directory()).unwrap();
        delivery().run().assert_reports(&[NO_CONTROL]);
        fs::write(world.control_directory(), "").unwrap();
        delivery().run().assert_reports(&[NO_CONTROL]);
    });
}

#[test]
fn a_missing_home_is_a_retry() {
    in_world(|world| {
        route_to_held(world);
        let delivery = delivery_after(world, "mv /var/qmail /var/away; ").identity(Identity::Root);
        // In the world of an ordinary user, too, this user may rename a directory.
        delivery.run().assert_reports(&["ZUnable to switch to home directory. (#4.3.0)\n"]);
    });
}

#[test]
fn root_without_the_account_delivers_nothing() {
    in_world(|world| {
        route_to_held(world);
        // The private file behind /etc/passwd: it exists in a world only.
        let passwd = world.scratch().join("../etc/passwd");
        let users = fs::read_to_string(&passwd).unwrap();
        let others = |line: &&str| !line.starts_with("qmailr:");
        let without: String = users.lines().filter(others).flat_map(|line| [line, "\n"]).collect();
        let refusal = |text: &str| format!("ZUnable to confine qmail-remote: {text}. (#4.3.0)\n");
        fs::write(&passwd, &without).unwrap();
        delivery().identity(Identity::Root).run().assert_reports(&[refusal(
            "there is no account \"qmailr\": create it, or do not start this program as root",
        )]);
        for entry in ["qmailr:x:0:7990::/:/bin/false\n", "qmailr:x:7996:0::/:/bin/false\n"] {
            fs::write(&passwd, format!("{entry}{without}")).unwrap();
            delivery().identity(Identity::Root).run().assert_reports(&[refusal(
                "the network process would run with user id 0 or group id 0: give its account ids of its own",
            )]);
        }
    });
}

#[test]
fn another_user_needs_no_account() {
    in_world(|world| {
        route_to_held(world);
        fs::write(world.scratch().join("../etc/passwd"), "root:x:0:0::/:/bin/false\n").unwrap();
        let held = Held::at(Stage::EndOfData);
        let running = delivery().identity(Identity::Courier).start();
        held.go_on();
        running.wait().assert_reports(&ACCEPTED);
    });
}
