//! What /proc and strace say about the two processes while a delivery waits for its server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;
mod trace;

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use held::{ACCEPTED, Held, PROGRAM, Stage, addressed, delivery, route_to_held};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use trace::{Call, GAINS, after_the_filter, calls, names};
use world::running::children_of;
use world::world::{COURIER, KEYS_GID, QMAIL_GID, QMAILR_UID};
use world::{Delivery, Identity, Needs, Running, World, in_world, programs};

const NO_CAPABILITY: &str = "0000000000000000";

/// Every way in which a delivery can be looked at here: the server is silent after EHLO, in clear and
/// under TLS.
const HOLDS: [fn(Stage) -> Held; 2] = [Held::at, Held::under_tls_at];

/// A delivery that waits for the answer to EHLO.
fn held_delivery(hold: fn(Stage) -> Held, delivery: Delivery) -> (Running, Held) {
    let held = hold(Stage::Ehlo);
    let running = delivery.start();
    held.wait_until_reached();
    (running, held)
}

/// Shows both processes of a delivery by `identity` to `look`, in clear and under TLS: monitor, child.
fn look_at(world: &World, identity: Identity, look: impl Fn(Pid, Pid)) {
    route_to_held(world);
    for hold in HOLDS {
        let (running, held) = held_delivery(hold, delivery().identity(identity));
        let child = running.child_pid();
        assert_eq!(children_of(running.pid()), [child], "there are two processes");
        assert_eq!(children_of(child), []);
        look(running.pid(), child);
        drop(running);
        held.seen();
    }
}

/// The fields of `/proc/PROCESS/status`.
fn status(process: Pid) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), words(value).join(" "))).collect()
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn four_times(id: u32) -> String {
    [id.to_string().as_str(); 4].join(" ")
}

/// Stops the test unless the process is as powerless as every network process must be.
fn assert_powerless(child: Pid) {
    let status = status(child);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status[set], NO_CAPABILITY, "{set}");
    }
    assert_eq!((&*status["Seccomp"], &*status["NoNewPrivs"]), ("2", "1"));
    assert_eq!((&*status["Threads"], &*status["Umask"]), ("1", "0077"));
    let limits = fs::read_to_string(format!("/proc/{child}/limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit of this name");
        words(line).into_iter().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    for name in ["Max core file size", "Max processes", "Max file size"] {
        assert_eq!(limit(name), ["0", "0"], "{name}");
    }
}

#[test]
fn the_child_of_root_is_qmailr_and_can_do_nothing() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        look_at(world, Identity::Root, |_, child| {
            assert_powerless(child);
            let status = status(child);
            assert_eq!(status["Uid"], four_times(QMAILR_UID));
            assert_eq!(status["Gid"], four_times(QMAIL_GID));
            assert_eq!(status["Groups"], "");
            assert_eq!(status["CapBnd"], NO_CAPABILITY);
        });
    });
}

#[test]
fn the_child_of_an_ordinary_user_is_that_user_and_can_do_nothing() {
    in_world(|world| {
        look_at(world, Identity::Courier, |monitor, child| {
            assert_powerless(child);
            let (monitor, child) = (status(monitor), status(child));
            for field in ["Uid", "Gid", "Groups"] {
                assert_eq!(monitor[field], child[field], "{field}");
            }
        });
    });
}

#[test]
fn ordinary_users_have_their_own_ids() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        for (identity, uid, gid) in
            [(Identity::Courier, COURIER, COURIER), (Identity::Qmailr, QMAILR_UID, QMAIL_GID)]
        {
            look_at(world, identity, |_, child| {
                let status = status(child);
                assert_eq!(status["Uid"], four_times(uid));
                assert_eq!(status["Gid"], four_times(gid));
                assert_eq!(status["Groups"], "");
            });
        }
    });
}

#[test]
fn the_child_of_a_set_group_id_program_has_not_its_group() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        look_at(world, Identity::SetgidKeys, |monitor, child| {
            assert_powerless(child);
            let keys = KEYS_GID.to_string();
            let has_keys = |process| words(&status(process)["Gid"]).contains(&&*keys);
            assert!(has_keys(monitor), "the monitor has the group, or there is nothing to see here");
            assert!(!has_keys(child));
            assert!(!words(&status(child)["Groups"]).contains(&&*keys));
            assert_eq!(status(child)["Gid"], four_times(COURIER));
        });
    });
}

#[test]
fn the_monitor_is_confined_and_keeps_one_capability_at_most() {
    in_world(|world| {
        for identity in [Identity::Root, Identity::Courier] {
            if identity == Identity::Root && !world.can(Needs::ManyUids) {
                continue;
            }
            look_at(world, identity, |monitor, _| {
                let status = status(monitor);
                assert_eq!((&*status["Seccomp"], &*status["NoNewPrivs"]), ("2", "1"));
                assert_eq!((&*status["Threads"], &*status["Umask"]), ("1", "0077"));
                // Number 5 is CAP_KILL: the child of root is another user's.
                let kept = if identity == Identity::Root { "0000000000000020" } else { NO_CAPABILITY };
                assert_eq!((&*status["CapEff"], &*status["CapPrm"]), (kept, kept));
                assert_eq!((&*status["CapInh"], &*status["CapAmb"]), (NO_CAPABILITY, NO_CAPABILITY));
                let limits = fs::read_to_string(format!("/proc/{monitor}/limits")).unwrap();
                let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
                assert_eq!(words(core).get(4..6), Some(&["0", "0"][..]));
            });
        }
    });
}

/// What a descriptor of `/proc/PROCESS/fd` is, and how it was opened: `r`, `w` or `b`, both.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Descriptor {
    target: String,
    access: char,
}

fn descriptors(process: Pid) -> BTreeMap<u32, Descriptor> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let describe = |entry: fs::DirEntry| {
        let number: u32 = entry.file_name().to_str().unwrap().parse().unwrap();
        let target = fs::read_link(entry.path()).unwrap().display().to_string();
        let info = fs::read_to_string(format!("/proc/{process}/fdinfo/{number}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let access = match i32::from_str_radix(flags, 8).unwrap() & OFlag::O_ACCMODE.bits() {
            0 => 'r',
            1 => 'w',
            _ => 'b',
        };
        (number, Descriptor { target, access })
    };
    entries.map(|entry| describe(entry.unwrap())).collect()
}

/// Stops the test unless both processes have their own descriptors and no other.
fn assert_own_descriptors(monitor: Pid, child: Pid) {
    let is = |descriptor: &Descriptor, kind: &str, access: char| {
        assert!(descriptor.target.starts_with(kind) && descriptor.access == access, "{descriptor:?}");
    };
    let (of_monitor, of_child) = (descriptors(monitor), descriptors(child));
    println!("monitor {of_monitor:?}\nchild {of_child:?}");

    let numbers: Vec<u32> = of_monitor.keys().copied().collect();
    assert_eq!((numbers.len(), &numbers[..3]), (5, &[0, 1, 2][..]));
    is(&of_monitor[&0], "/var/qmail/queue/message-", 'r');
    is(&of_monitor[&1], "pipe:", 'w');
    is(&of_monitor[&2], "/dev/null", 'w');
    let (messages, replies) = (&of_monitor[&numbers[3]], &of_monitor[&numbers[4]]);
    is(messages, "pipe:", 'r');
    is(replies, "pipe:", 'w');

    let numbers: Vec<u32> = of_child.keys().copied().collect();
    assert_eq!((numbers.len(), &numbers[..3]), (5, &[0, 1, 2][..]));
    assert_eq!(of_child[&0], of_monitor[&0]);
    for number in [1, 2] {
        is(&of_child[&number], "pipe:", 'r');
        assert_eq!(of_child[&number].target, replies.target);
    }
    let (sockets, pipes): (Vec<_>, Vec<_>) =
        numbers[3..].iter().map(|number| &of_child[number]).partition(|it| it.target.starts_with("socket:"));
    assert_eq!((sockets.len(), pipes.len()), (1, 1));
    is(pipes[0], "pipe:", 'w');
    assert_eq!(pipes[0].target, messages.target);
}

#[test]
fn each_process_has_its_own_descriptors_and_no_other() {
    in_world(|world| {
        // With one user id only, not even root of the world may list another user's descriptors.
        world.require(Needs::ManyUids);
        for identity in [Identity::Root, Identity::Courier] {
            look_at(world, identity, assert_own_descriptors);
        }
    });
}

#[test]
fn hundreds_of_inherited_descriptors_are_closed() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        route_to_held(world);
        let file = world.file("left-open", "secret\n");
        // Not closed by exec, unlike those of the standard library.
        let inherited: Vec<OwnedFd> =
            (0..300).map(|_| open(&file, OFlag::O_RDWR, Mode::empty()).unwrap()).collect();
        let held = Held::at(Stage::Ehlo);
        let running = delivery().start();
        held.wait_until_reached();
        assert_own_descriptors(running.pid(), running.child_pid());
        held.go_on();
        running.wait().assert_reports(&ACCEPTED);
        drop(inherited);
        assert_eq!(fs::read_to_string(file).unwrap(), "secret\n");
    });
}

/// A source of users that knows none, and leaves a file open whenever it is asked.
const LEAK: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <nss.h>
#include <pwd.h>

enum nss_status _nss_leak_getpwnam_r(const char *name, struct passwd *entry, char *buffer, size_t size, int *error)
{
    open(LEFT_OPEN, O_RDWR | O_CREAT | O_APPEND, 0600);
    *error = ENOENT;
    return NSS_STATUS_NOTFOUND;
}
"#;

#[test]
fn what_the_user_database_leaves_open_is_closed() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        world.require(Needs::Program("cc"));
        route_to_held(world);
        let left_open = world.scratch().join("left-open");
        let source = world.file("leak.c", LEAK);
        let mut compiler = programs::command("cc");
        compiler.args(["-shared", "-fPIC", &format!("-DLEFT_OPEN=\"{}\"", left_open.display()), "-o"]);
        programs::run(compiler.arg(world.scratch().join("libnss_leak.so.2")).arg(source));
        let switch = world.file("nsswitch.conf", "passwd: leak files\ngroup: files\n");
        programs::run(programs::command("mount").arg("--bind").arg(switch).arg("/etc/nsswitch.conf"));

        // Only root's delivery asks for an account.
        let leaking = delivery().identity(Identity::Root).env("LD_LIBRARY_PATH", world.scratch());
        let (running, held) = held_delivery(Held::at, leaking);
        assert!(left_open.exists(), "nobody was asked");
        assert_own_descriptors(running.pid(), running.child_pid());
        held.go_on();
        running.wait().assert_reports(&ACCEPTED);
        assert!(held.seen().whole);
    });
}

/// A provider of OpenSSL's that is none, and leaves a file open twice when it is loaded: there is one free place below the
/// message pipe.
const PROVIDER: &str = r#"
#include <fcntl.h>

static void leave_open(void) { open(LEFT_OPEN, O_RDWR | O_CREAT | O_APPEND, 0600); }
__attribute__((constructor)) static void loaded(void) { leave_open(); leave_open(); }
int OSSL_provider_init(void) { return 0; }
"#;

#[test]
fn what_the_configuration_of_openssl_leaves_open_is_closed() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        world.require(Needs::Program("cc"));
        route_to_held(world);
        let left_open = world.scratch().join("left-open");
        let provider = world.scratch().join("leak.so");
        let source = world.file("leak.c", PROVIDER);
        let mut compiler = programs::command("cc");
        compiler.args(["-shared", "-fPIC", &format!("-DLEFT_OPEN=\"{}\"", left_open.display()), "-o"]);
        programs::run(compiler.arg(&provider).arg(source));
        let sections = format!(
            "openssl_conf = a\n[a]\nproviders = b\n[b]\nleak = c\n[c]\nmodule = {}\nactivate = 1\n",
            provider.display()
        );
        let configuration = world.file("openssl.cnf", sections);
        programs::run(
            programs::command("mount").arg("--bind").arg(configuration).arg("/etc/ssl/openssl.cnf"),
        );

        let (running, held) = held_delivery(Held::at, delivery().identity(Identity::Root));
        assert!(left_open.exists(), "the configuration was not read");
        assert_own_descriptors(running.pid(), running.child_pid());
        held.go_on();
        running.wait().assert_reports(&ACCEPTED);
        assert!(held.seen().whole);
    });
}

/// Runs a command as the ordinary user; whether it succeeded, and what it said.
fn as_courier(command: &[&str]) -> (bool, String) {
    let ids = [format!("--reuid={COURIER}"), format!("--regid={COURIER}")];
    let output = programs::command("setpriv").args(ids).arg("--clear-groups").args(command).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn nobody_of_the_same_user_can_look_into_a_process() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        let ids = [format!("--reuid={COURIER}"), format!("--regid={COURIER}")];
        let mut setpriv = programs::command("setpriv");
        let mut sleeper = setpriv.args(ids).args(["--clear-groups", "sleep", "1000"]).spawn().unwrap();
        let plain = Pid::from_raw(i32::try_from(sleeper.id()).unwrap());
        world::patience::until(|| {
            (fs::read(format!("/proc/{plain}/comm")).unwrap() == b"sleep\n").then_some(())
        })
        .expect("a process of the user");
        let can_see = |process: Pid| {
            ["environ", "maps", "auxv"].map(|file| as_courier(&["cat", &format!("/proc/{process}/{file}")]).0)
        };
        assert_eq!(can_see(plain), [true; 3], "there is nothing to see here");
        look_at(world, Identity::Courier, |monitor, child| {
            for process in [monitor, child] {
                assert_eq!(can_see(process), [false; 3]);
                let (opened, _) = as_courier(&["dd", &format!("if=/proc/{process}/mem"), "count=0"]);
                assert!(!opened, "the memory can be opened");
            }
        });
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    });
}

#[test]
fn nobody_of_the_same_user_can_trace_a_process() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        world.require(Needs::Program("strace"));
        // Where Yama forbids it nobody can make it otherwise, in CI neither.
        if !world.can(Needs::Tracing) {
            println!("NOT TESTED: nobody can trace a process here, whatever it does about it");
            return;
        }
        look_at(world, Identity::Courier, |monitor, child| {
            for process in [monitor, child] {
                let (attached, said) = as_courier(&["timeout", "10", "strace", "-p", &process.to_string()]);
                assert!(!attached && said.contains("Operation not permitted"), "{said}");
                assert_eq!(status(process)["TracerPid"], "0");
            }
        });
    });
}

#[test]
fn nothing_is_opened_or_started_once_a_process_is_confined() {
    in_world(|world| {
        world.require(Needs::Program("strace"));
        world.require(Needs::ManyUids);
        route_to_held(world);
        for hold in HOLDS {
            let trace = world.scratch().join("trace");
            let held = hold(Stage::EndOfData);
            let strace = Delivery::new(programs::find("strace").unwrap()).argument("-f").argument("-o");
            let running = addressed(strace.argument(&trace).argument(PROGRAM)).start();
            held.wait_until_reached();
            held.go_on();
            let outcome = running.wait();
            assert_eq!(outcome.belief().letter, world::Letter::K, "{outcome:?}");
            let trace = fs::read_to_string(trace).unwrap();
            let calls = calls(&trace);
            let [monitor, child] = calls.values().collect::<Vec<_>>()[..] else {
                panic!("{} processes", calls.len());
            };
            let forks = |calls: &[Call<'_>]| {
                calls.iter().filter(|call| ["clone", "clone3", "fork", "vfork"].contains(&call.name)).count()
            };
            assert_eq!((forks(monitor), forks(child)), (1, 0));
            assert_eq!(monitor.iter().filter(|call| call.name == "execve").count(), 1);
            // What the child says waits until then.
            let before = names(monitor.get(..monitor.len() - after_the_filter(monitor).len()).unwrap());
            let fork =
                before.iter().position(|name| ["clone", "clone3", "fork", "vfork"].contains(name)).unwrap();
            assert!(
                !before[fork..].iter().any(|name| ["read", "poll", "ppoll"].contains(name)),
                "{before:?}"
            );
            let network = ["socket", "connect", "sendto", "recvfrom", "bind"];
            let [after, child_after] = [monitor, child].map(|calls| names(after_the_filter(calls)));
            // The attempt to be root again must fail, and so nothing but its traces shows that it was made.
            let regains =
                |call: &&Call<'_>| call.name == "setresuid" && call.arguments.starts_with("0, 0, 0)");
            let attempts: Vec<_> = child.iter().filter(regains).map(|call| call.end).collect();
            assert!(
                !attempts.is_empty() && attempts.iter().all(|end| end.contains(" EPERM ")),
                "{attempts:?}"
            );
            // What the domain of the monitor forbids its filter forbids, too: only here it is seen to be there.
            if sandbox::landlock_abi().is_some() {
                for calls in [monitor, child] {
                    let entered =
                        |call: &Call<'_>| call.name == "landlock_restrict_self" && call.end.ends_with("= 0");
                    assert!(calls.iter().any(entered), "no domain");
                }
            }
            assert!(after.contains(&"write") && child_after.contains(&"connect"), "the trace ends too early");
            for name in GAINS.into_iter().filter(|name| *name != "kill") {
                assert!(!after.contains(&name), "the monitor called {name}");
            }
            assert_eq!(after.iter().filter(|name| **name == "kill").count(), 1, "the end of the child");
            for name in network {
                assert!(!after.contains(&name), "the monitor called {name}");
            }
            for name in GAINS {
                assert!(!child_after.contains(&name), "the child called {name}");
            }
            // Nothing of the network before the filter either; descriptors of the monitor's own questions
            // to the kernel are of another family.
            let before: Vec<_> = child.iter().take(child.len() - child_after.len()).collect();
            assert!(before.iter().all(|call| !network.contains(&call.name)), "before the filter: {before:?}");
        }
    });
}

/// Every name below a directory, with what it is, its times, and its content.
fn snapshot(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        let content = if about.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let digest = openssl::sha::sha256(&content);
        let what = format!("{:?} {:?} {digest:?}", about.permissions(), about.modified().unwrap());
        found.push((path.clone(), what));
        if about.is_dir() {
            found.extend(snapshot(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn nothing_is_written_but_the_reports() {
    in_world(|world| {
        route_to_held(world);
        world.control("timeoutremote", "60\n");
        let watched = ["/var/qmail", "/var/world", "/var/tmp"].map(Path::new);
        let message = world::Message::File(world.file("message", "Subject: x\n\nHello.\n"));
        // The first delivery puts the program in its place.
        let outcome = |message: world::Message| {
            let held = Held::under_tls_at(Stage::EndOfData);
            let running = delivery().message(message).start();
            held.wait_until_reached();
            held.go_on();
            assert_eq!(running.wait().belief().letter, world::Letter::K);
        };
        outcome(message.clone());
        let take = || watched.iter().flat_map(|directory| snapshot(directory)).collect::<Vec<_>>();
        let before = take();
        assert!(before.iter().any(|(path, _)| path.ends_with("control/timeoutremote")));
        outcome(message);
        assert_eq!(take(), before);
    });
}
