//! Where the kernel lacks something, or a container's own filter of system calls answers with an error: what
//! docs/operations.md says of it. Nothing is delivered without a sandbox; without Landlock everything is, with half of it
//! nothing.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::{fs, thread};

use held::{ACCEPTED, Held, Stage, delivery, route_to_held};
use nix::libc::{self, c_long};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use world::{Identity, Needs, Outcome, in_world};

const LANDLOCK: [c_long; 3] =
    [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule, libc::SYS_landlock_restrict_self];

/// What Docker answers for calls that it forbids, and a kernel for those that it does not have.
const ERRORS: [i32; 2] = [libc::EPERM, libc::ENOSYS];

/// What reports call them.
const NAMES: [&str; 2] = ["EPERM: Operation not permitted", "ENOSYS: Function not implemented"];

/// A delivery by `identity`, where each of `calls` fails with `errno`.
fn without(calls: &[c_long], errno: i32, identity: Identity) -> Outcome {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let architecture = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let error = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, error, architecture).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    // It is the thread's, and that of what it starts.
    let started = thread::spawn(move || {
        seccompiler::apply_filter(&program).unwrap();
        delivery().identity(identity).run()
    });
    started.join().unwrap()
}

#[test]
fn without_landlock_messages_are_delivered() {
    in_world(|world| {
        route_to_held(world);
        // All of it, and the first of its calls alone.
        for calls in [&LANDLOCK[..], &LANDLOCK[..1]] {
            for errno in ERRORS.into_iter().chain([libc::EOPNOTSUPP]) {
                let held = Held::at(Stage::EndOfData);
                held.go_on();
                without(calls, errno, Identity::Qmailr).assert_reports(&ACCEPTED);
                assert!(held.seen().whole, "{calls:?}: {errno}");
            }
        }
    });
}

/// A kernel that has it, and something that refuses a part of it.
#[test]
fn with_half_of_landlock_nothing_is_sent() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        route_to_held(world);
        if sandbox::landlock_abi() < Some(4) {
            world::namespace::skip(
                "this kernel's Landlock does not know TCP ports: it has no rules that could be refused",
            );
        }
        let server = TcpListener::bind("192.0.2.10:25").unwrap();
        server.set_nonblocking(true).unwrap();
        let of_the_child = "ZUnable to confine the network process: landlock. (#4.3.0)\n";
        let of_the_monitor = "ZUnable to confine qmail-remote: landlock: the system refused ({}): \
                              look for a container or a security module that interferes. (#4.3.0)\n";
        for (call, report) in
            [(libc::SYS_landlock_add_rule, of_the_child), (libc::SYS_landlock_restrict_self, of_the_monitor)]
        {
            for ((errno, name), identity) in
                ERRORS.into_iter().zip(NAMES).zip([Identity::Root, Identity::Qmailr])
            {
                without(&[call], errno, identity).assert_reports(&[report.replace("{}", name)]);
            }
        }
        assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "something was sent");
    });
}

/// A call of the program, and the report when it fails; the answers are EPERM and ENOSYS, in this order, where the
/// report says which.
const NEEDED: &[(&str, c_long, &str)] = &[
    (
        "seccomp",
        libc::SYS_seccomp,
        "ZUnable to confine qmail-remote: seccomp: the system refused ({}): the kernel needs CONFIG_SECCOMP_FILTER (Linux 4.14 \
         or later). (#4.3.0)\n",
    ),
    (
        "capset",
        libc::SYS_capset,
        "ZUnable to confine qmail-remote: capabilities: the system refused ({}): leave a start by root the capability \
         CAP_KILL; else look for a container or a security module that interferes. (#4.3.0)\n",
    ),
    ("chroot", libc::SYS_chroot, "ZUnable to confine the network process: root directory. (#4.3.0)\n"),
    (
        "setgroups",
        libc::SYS_setgroups,
        "ZUnable to confine the network process: supplementary groups. (#4.3.0)\n",
    ),
    ("setresgid", libc::SYS_setresgid, "ZUnable to confine the network process: group id. (#4.3.0)\n"),
    ("setresuid", libc::SYS_setresuid, "ZUnable to confine the network process: user id. (#4.3.0)\n"),
    ("prctl", libc::SYS_prctl, "ZSystem resources temporarily unavailable. (#4.3.0)\n"),
    ("prlimit64", libc::SYS_prlimit64, "ZSystem resources temporarily unavailable. (#4.3.0)\n"),
    ("close_range", libc::SYS_close_range, "ZSystem resources temporarily unavailable. (#4.3.0)\n"),
    ("madvise", libc::SYS_madvise, "ZUnable to read control files. (#4.3.0)\n"),
];

/// What of them a start by root alone needs.
const OF_ROOT: [&str; 4] = ["chroot", "setgroups", "setresgid", "setresuid"];

#[test]
fn the_documents_name_the_calls_that_are_needed() {
    // Where a list begins, where its part for root does, where it ends, and what is around a call.
    for (document, [begin, root, end], [before, after]) in [
        ("docs/operations.md", ["must let these pass:", "and as root", "."], [" `", "`"]),
        (
            "packaging/man/qmail-remote-security.7",
            ["seccomp profile must let", "started by root", ";"],
            [".Xr ", " 2"],
        ),
    ] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (_, list) = text.split_once(begin).expect("a list");
        let (list, _) = list.split_once(end).expect("an end");
        let (of_all, of_root) = list.split_once(root).unwrap_or((list, ""));
        let calls = |list: &str| {
            let named = list.split(before).skip(1).map(|rest| rest.split_once(after).unwrap().0.to_owned());
            named.collect::<BTreeSet<_>>()
        };
        let needed = |root: bool| {
            let calls = NEEDED.iter().map(|(call, ..)| *call).filter(|call| OF_ROOT.contains(call) == root);
            calls.map(str::to_owned).collect::<BTreeSet<_>>()
        };
        assert_eq!(calls(of_all), needed(false), "{document}");
        assert_eq!(calls(of_root), needed(true), "{document}");
    }
}

#[test]
fn without_a_call_that_confinement_needs_nothing_is_sent() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        route_to_held(world);
        let server = TcpListener::bind("192.0.2.10:25").unwrap();
        server.set_nonblocking(true).unwrap();
        for (call, number, report) in NEEDED {
            for (errno, name) in ERRORS.into_iter().zip(NAMES) {
                println!("{call}: {name}");
                without(&[*number], errno, Identity::Root).assert_reports(&[report.replace("{}", name)]);
            }
        }
        assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "something was sent");
    });
}

#[test]
fn without_memory_that_stays_out_of_swap_messages_are_delivered() {
    in_world(|world| {
        route_to_held(world);
        for errno in ERRORS {
            let held = Held::at(Stage::EndOfData);
            held.go_on();
            without(&[libc::SYS_mlock], errno, Identity::Qmailr).assert_reports(&ACCEPTED);
            assert!(held.seen().whole, "{errno}");
        }
    });
}
