//! How a caller may leave the program: descriptors, environment, arguments and surroundings that are not as they should
//! be. Nothing of it changes a report, and nothing is heard but reports.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::fs;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use held::{ACCEPTED, Held, PROGRAM, Stage, delivery, delivery_after, route_to_held};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::Pid;
use world::running::children_of;
use world::smtp_sink::{Options, SmtpSink};
use world::{Delivery, Identity, Letter, Message, Needs, World, in_world, patience, programs};

const UNREADABLE: &str = "ZUnable to read message. (#4.3.0)\n";

/// Delivers to a server that takes the message.
fn is_accepted(delivery: Delivery) {
    let held = Held::at(Stage::EndOfData);
    let running = delivery.start();
    held.go_on();
    running.wait().assert_reports(&ACCEPTED);
    assert!(held.seen().whole);
}

#[test]
fn any_of_the_first_three_descriptors_may_be_closed() {
    in_world(|world| {
        route_to_held(world);
        for closed in [&[0][..], &[1], &[2], &[0, 1], &[0, 2], &[1, 2], &[0, 1, 2]] {
            println!("closed: {closed:?}");
            let script: String = closed.iter().map(|number| format!("exec {number}>&-; ")).collect();
            let delivery = delivery_after(world, &script);
            let is_closed = |number| closed.contains(&number);
            if is_closed(0) {
                let outcome = delivery.run();
                // Without a descriptor 1 nothing is heard, not even on 2.
                let reports = if is_closed(1) { &[][..] } else { &[UNREADABLE] };
                outcome.assert_reports(reports);
                assert_eq!(outcome.belief().letter, Letter::Z);
            } else {
                let held = Held::at(Stage::EndOfData);
                let running = delivery.start();
                held.go_on();
                let outcome = running.wait();
                outcome.assert_reports(if is_closed(1) { &[][..] } else { &ACCEPTED });
                assert!(held.seen().whole);
            }
        }
    });
}

/// What a pipe takes while nobody reads it, and the pipe, which has taken it.
fn full_pipe(stays_nonblocking: bool) -> (PipeReader, PipeWriter, usize) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut filled = 0;
    loop {
        match writer.write(&[b'x'; 4096]) {
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => unreachable!("{error}"),
        }
    }
    if !stays_nonblocking {
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    }
    (reader, writer, filled)
}

/// A delivery that has been accepted, and whose report nobody has taken yet.
fn reporting_to(world: &World, pipe: PipeWriter) -> Child {
    let message = fs::File::open(world.file("message", "Subject: x\n\nHello.\n")).unwrap();
    let held = Held::at(Stage::EndOfData);
    let mut command = Command::new(PROGRAM);
    command.args(["example.test", "alice@sender.test", "bob@example.test"]).env_clear().current_dir("/");
    let started = command.stdin(message).stdout(pipe).stderr(Stdio::piped()).spawn().unwrap();
    // Its copy of the pipe goes, too.
    drop(command);
    held.wait_until_reached();
    held.go_on();
    assert!(held.seen().whole);
    let pid = Pid::from_raw(i32::try_from(started.id()).unwrap());
    // The child is reaped before anything is reported.
    patience::until(|| children_of(pid).is_empty().then_some(())).expect("the end of the child");
    started
}

#[test]
fn a_full_report_pipe_is_waited_for() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        route_to_held(world);
        for stays_nonblocking in [false, true] {
            println!("non-blocking: {stays_nonblocking}");
            let (mut reader, writer, filled) = full_pipe(stays_nonblocking);
            let started = reporting_to(world, writer);
            let mut octets = Vec::new();
            reader.read_to_end(&mut octets).unwrap();
            let reports: String = ACCEPTED.iter().flat_map(|report| [report, "\0"]).collect();
            assert_eq!(String::from_utf8_lossy(&octets[filled..]), reports);
            let output = started.wait_with_output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        }
    });
}

/// The kernel takes reports longer than a page in pieces.
#[test]
fn a_report_that_the_pipe_takes_in_part_is_written_whole() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        route_to_held(world);
        let address = "192.0.2.10:25".parse().unwrap();
        let sink = SmtpSink::start(&[address], Options::named("mx1.example.test")).unwrap();
        let recipients = vec!["bob@example.test"; 2500];
        let (mut reader, writer, filled) = full_pipe(true);
        let mut octets = vec![0; 4096];
        reader.read_exact(&mut octets).unwrap();
        let message = fs::File::open(world.file("message", "Subject: x\n\nHello.\n")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["example.test", "alice@sender.test"]).args(&recipients).env_clear().current_dir("/");
        let started = command.stdin(message).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        drop(command);
        let pid = Pid::from_raw(i32::try_from(started.id()).unwrap());
        assert_eq!(sink.wait_for_messages(1, patience::LONG_ENOUGH).len(), 1);
        patience::until(|| children_of(pid).is_empty().then_some(())).expect("the end of the child");
        reader.read_to_end(&mut octets).unwrap();
        let success = "K192.0.2.10 accepted message.\nRemote host said: 250 2.0.0 accepted\n\0";
        let reports = "r\0".repeat(recipients.len()) + success;
        assert_eq!(String::from_utf8_lossy(&octets[filled..]), reports);
        assert!(started.wait_with_output().unwrap().status.success());
    });
}

#[test]
fn a_full_report_pipe_that_is_closed_is_not_waited_for() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        route_to_held(world);
        for stays_nonblocking in [false, true] {
            println!("non-blocking: {stays_nonblocking}");
            let (reader, writer, _) = full_pipe(stays_nonblocking);
            let started = reporting_to(world, writer);
            drop(reader);
            let output = started.wait_with_output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        }
    });
}

/// A library that says, by a file, what program has loaded it; it serves as a provider of OpenSSL's.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
__attribute__((constructor)) static void loaded(void) {
    char name[4096];
    snprintf(name, sizeof name, "%s-%s", LOADED, program_invocation_short_name);
    open(name, O_CREAT | O_WRONLY, 0666);
}
int OSSL_provider_init(void) { return 0; }
"#;

/// The library, and where it says that this program has loaded it.
fn library(world: &World) -> (PathBuf, impl Fn(&str) -> PathBuf) {
    let loaded = world.scratch().join("loaded-by");
    let library = world.scratch().join("evil.so");
    let source = world.file("library.c", LIBRARY);
    let mut compiler = programs::command("cc");
    compiler.args(["-shared", "-fPIC", &format!("-DLOADED=\"{}\"", loaded.display()), "-o"]);
    programs::run(compiler.arg(&library).arg(source));
    fs::set_permissions(world.scratch(), fs::Permissions::from_mode(0o777)).unwrap();
    (library, move |program: &str| PathBuf::from(format!("{}-{program}", loaded.display())))
}

#[test]
fn no_variable_loads_a_library_or_names_a_file() {
    in_world(|world| {
        world.require(Needs::Program("cc"));
        world.require(Needs::Program("openssl"));
        route_to_held(world);
        let (provider, loaded_by) = library(world);
        let sections = format!(
            "openssl_conf = a\n[a]\nproviders = b\n[b]\nevil = c\ndefault = d\n[d]\nactivate = 1\n[c]\n\
             module = {}\nactivate = 1\n",
            provider.display()
        );
        let configuration = world.file("evil.cnf", sections);
        let openssl = |delivery: Delivery| {
            delivery.env("OPENSSL_CONF", &configuration).env("OPENSSL_MODULES", world.scratch())
        };
        // A program that listens to the environment.
        let tool = Delivery::new(programs::find("openssl").unwrap());
        let _ = openssl(tool.argument("list").argument("-providers").identity(Identity::Qmailr)).run();
        assert!(loaded_by("openssl").exists(), "there is nothing to see here");
        let held = Held::under_tls_at(Stage::EndOfData);
        let running = openssl(delivery()).start();
        held.go_on();
        let success = "K192.0.2.10 TLS transmitted message accepted.\nRemote host said: 250 accepted\n";
        running.wait().assert_reports(&["r", success]);
        let others = fs::read_dir(world.scratch()).unwrap().filter(|file| {
            let name = file.as_ref().unwrap().file_name().into_string().unwrap();
            name.starts_with("loaded-by-") && !name.ends_with("-openssl") && !name.ends_with("-setpriv")
        });
        assert_eq!(others.count(), 0);
    });
}

#[test]
fn a_hostile_environment_changes_nothing() {
    in_world(|world| {
        route_to_held(world);
        is_accepted(delivery_after(world, "unset PATH; "));
        let junk = |mut delivery: Delivery| {
            for name in [
                "TZ",
                "LANG",
                "LC_ALL",
                "LANGUAGE",
                "LOCPATH",
                "NLSPATH",
                "GCONV_PATH",
                "GETCONF_DIR",
                "MALLOC_PERTURB_",
                "MALLOC_ARENA_MAX",
                "MALLOC_CHECK_",
                "MALLOC_TRACE",
                "RESOLV_HOST_CONF",
                "RES_OPTIONS",
                "LOCALDOMAIN",
                "HOSTALIASES",
                "OPENSSL_CONF",
                "OPENSSL_ENGINES",
                "OPENSSL_MODULES",
                "SSL_CERT_DIR",
                "SSL_CERT_FILE",
                "SSLKEYLOGFILE",
                "CTLOG_FILE",
                "RUST_MIN_STACK",
                "RUST_BACKTRACE",
                "TOKIO_WORKER_THREADS",
                "TMPDIR",
                "HOME",
                "IFS",
                "PS4",
                "BASH_ENV",
                "ENV",
                "http_proxy",
                "",
            ] {
                let name = if name.is_empty() { "A NAME\nWITH BLANKS" } else { name };
                delivery = delivery.env(name, "/var/qmail/control/../../../dev/stderr:%s%n\u{1b}[2J\n1");
            }
            delivery
        };
        is_accepted(junk(delivery()));
        // As much as a program can be given in one string, several times.
        let long = "x".repeat(100_000);
        is_accepted((0..8).fold(junk(delivery()), |it, number| it.env(format!("LONG{number}"), &long)));
        // The one that counts: nonsense in it is a name server that cannot be used.
        let refused = "ZUnable to read control files. (#4.3.0)\n";
        delivery().env("DNSCACHEIP", "192.0.2.1 or another").run().assert_reports(&[refused]);
    });
}

#[test]
fn a_set_group_id_program_takes_no_resolver_from_the_environment() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        route_to_held(world);
        let started_by = |identity| delivery().identity(identity).env("DNSCACHEIP", "no address");
        started_by(Identity::Courier).run().assert_reports(&["ZUnable to read control files. (#4.3.0)\n"]);
        is_accepted(started_by(Identity::SetgidKeys));
        // An empty one is none, whoever starts the program.
        is_accepted(delivery().env("DNSCACHEIP", ""));
    });
}

/// The loader's doing, which knows a set-id start.
#[test]
fn a_set_group_id_program_loads_no_library_of_its_callers() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        world.require(Needs::Program("cc"));
        route_to_held(world);
        let (library, loaded_by) = library(world);
        for (identity, is_loaded) in [(Identity::SetgidKeys, false), (Identity::Courier, true)] {
            is_accepted(delivery().identity(identity).env("LD_PRELOAD", &library));
            assert_eq!(loaded_by("qmail-remote").exists(), is_loaded, "{identity:?}");
        }
    });
}

#[test]
fn root_that_may_not_end_another_users_process_sends_nothing() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        route_to_held(world);
        let without =
            delivery_after(world, "set -- \"$0\" \"$@\"; exec setpriv --bounding-set=-kill \"$@\"; ");
        without.identity(Identity::Root).run().assert_reports(&[
            "ZUnable to confine qmail-remote: capabilities: the system refused (EPERM: Operation not permitted): \
             leave a start by root the capability CAP_KILL; else look for a container or a security module \
             that interferes. (#4.3.0)\n",
        ]);
    });
}

#[test]
fn a_file_that_calls_its_size_0_is_sent_whole() {
    in_world(|world| {
        route_to_held(world);
        let held = Held::at(Stage::EndOfData);
        let running = delivery().message(Message::File("/proc/version".into())).start();
        held.go_on();
        running.wait().assert_reports(&ACCEPTED);
        let seen = held.seen();
        assert!(seen.whole && seen.octets > fs::read("/proc/version").unwrap().len());
        // QMTP must say before how long it is.
        world.control("qmtproutes", ":192.0.2.10\n");
        let refused = "ZQMTP can only send a message from a regular file. (#4.3.0)\n";
        delivery().message(Message::File("/proc/version".into())).run().assert_reports(&[refused]);
    });
}

#[test]
fn the_programs_own_name_may_be_anything() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        route_to_held(world);
        for name in ["", "-x", "a\n\u{1b}", &"n".repeat(100_000)] {
            let (mut reader, writer) = std::io::pipe().unwrap();
            let message = fs::File::open(world.file("message", "Subject: x\n\nHello.\n")).unwrap();
            let held = Held::at(Stage::EndOfData);
            let mut command = Command::new(PROGRAM);
            command.arg0(name).args(["example.test", "alice@sender.test", "bob@example.test"]).env_clear();
            let mut started = command.stdin(message).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
            drop(command);
            held.go_on();
            let mut octets = String::new();
            reader.read_to_string(&mut octets).unwrap();
            assert_eq!(octets.split_terminator('\0').collect::<Vec<_>>(), ACCEPTED);
            assert!(started.wait().unwrap().success());
        }
    });
}

#[test]
fn the_callers_surroundings_change_nothing() {
    in_world(|world| {
        route_to_held(world);
        let gone = "mkdir /tmp/gone-$$ && cd /tmp/gone-$$ && rmdir /tmp/gone-$$; ";
        // A child of the caller's, which becomes one of ours and is not the one that is waited for.
        let with_a_child = "sleep 1000 <&- >&- 2>&- & ";
        for script in [gone, "umask 777; ", with_a_child, "trap '' HUP TERM XFSZ ALRM; "] {
            println!("{script}");
            is_accepted(delivery_after(world, script));
        }
    });
}
