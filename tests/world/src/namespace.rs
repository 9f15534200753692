//! A private network, process table and `/var` for each test.
//!
//! [`in_world`] runs the test's own binary once more, under `unshare`, and the body only there: with
//! the whole of the ports, a private `/var/qmail`, `/etc/passwd`, `/etc/group` and `/etc/resolv.conf`,
//! and `192.0.2.0/24` and `2001:db8::/64` as addresses which no interface lists. Root gets there
//! directly, an ordinary user through a user namespace. Every process inside dies with the test.
//!
//! ```no_run
//! world::in_world(|world| {
//!     world.control("me", "sender.test\n");
//!     let peer = std::net::TcpListener::bind("192.0.2.10:25").unwrap();
//! });
//! ```

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, PipeReader};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, ExitStatus};

use crate::programs;
use crate::world::World;

/// Set inside, where the body runs.
const INSIDE: &str = "WORLD_INSIDE";
/// Lines that the inside tells the outside by; each follows a line feed, so that it is a line of its own.
const ENTERED: &str = "world: entered";
const FINISHED: &str = "world: finished";
const SKIPPED: &str = "world: skipped: ";

/// The first process inside: reaps what the daemons leave, and takes all of them along when it ends.
const INIT: &str = "printf '\\nworld: entered\\n'; \"$@\"; exit $?";

/// The payload that carries a reason to skip from the body to [`enter`].
struct Skip(String);

/// Runs `body` in a world of its own; to be called first in a `#[test]`, whose name it takes from the
/// thread or the arguments.
pub fn in_world(body: impl FnOnce(&mut World)) {
    in_world_named(&own_name(), body);
}

/// Like [`in_world`], for test harnesses whose threads are not named after their tests.
///
/// `name` must select this test alone when given to the binary after `--exact`.
pub fn in_world_named(name: &str, body: impl FnOnce(&mut World)) {
    enter(["--exact", name, "--include-ignored", "--nocapture"], body);
}

/// Like [`in_world`], for programs: this binary is run again with `arguments`, with which it must come
/// to this same call. Needs unwinding where `body` may skip or fail.
pub fn enter<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>, body: impl FnOnce(&mut World)) {
    if std::env::var_os(INSIDE).is_some() {
        return run_inside(body);
    }
    let arguments: Vec<OsString> = arguments.into_iter().map(|a| a.as_ref().to_owned()).collect();
    let mut obstacles = String::new();
    for privileges in Privileges::candidates() {
        let attempt = attempt(*privileges, &arguments);
        if attempt.entered {
            return attempt.judge(&arguments);
        }
        obstacles.push_str(&attempt.obstacles);
    }
    absent(&format!("this machine lets us make no namespaces\n{obstacles}"));
}

/// Whether this process runs inside a world.
#[must_use]
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Ends the body as skipped, with a printed reason; where `CI` is set, as failed.
pub fn skip(reason: &str) -> ! {
    assert!(!in_ci(), "cannot run, and must not be skipped here: {reason}");
    resume_unwind(Box::new(Skip(reason.to_owned())))
}

fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// The world cannot be had: a failure where `CI` is set, else a line of output.
fn absent(reason: &str) {
    assert!(!in_ci(), "cannot run, and must not be skipped here: {reason}");
    println!("skipped: {reason}");
}

/// How the namespaces are made.
#[derive(Clone, Copy)]
enum Privileges {
    /// By root, without a user namespace.
    Own,
    /// In a user namespace with the subordinate ids of `/etc/subuid`.
    ManyUids,
    /// In a user namespace that knows one user, called root.
    OneUid,
}

impl Privileges {
    fn candidates() -> &'static [Privileges] {
        if nix::unistd::geteuid().is_root() {
            &[Privileges::Own]
        } else {
            &[Privileges::ManyUids, Privileges::OneUid]
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Privileges::Own => &[],
            Privileges::ManyUids => &["--user", "--map-root-user", "--map-auto"],
            Privileges::OneUid => &["--user", "--map-root-user"],
        }
    }
}

/// What the outside saw of one run of the inside.
struct Attempt {
    entered: bool,
    /// What was said before the inside was entered: why it was not.
    obstacles: String,
    finished: bool,
    skipped: Option<String>,
    status: ExitStatus,
}

impl Attempt {
    fn judge(self, arguments: &[OsString]) {
        if let Some(reason) = self.skipped {
            println!("skipped: {reason}");
            return;
        }
        assert!(self.status.success(), "inside its world the test failed: {}", self.status);
        assert!(self.finished, "run again with {arguments:?}, the binary did not come to this test");
    }
}

fn attempt(privileges: Privileges, arguments: &[OsString]) -> Attempt {
    let (reader, writer) = std::io::pipe().expect("pipe for the output of the inside");
    let mut child = {
        let mut unshare = Command::new("unshare");
        unshare
            .args(privileges.options())
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
            .args(["sh", "-c", INIT, "sh"])
            .arg(std::env::current_exe().expect("path of this binary"))
            .args(arguments)
            .env(INSIDE, "1")
            .stdin(std::process::Stdio::null())
            .stdout(writer.try_clone().expect("descriptor of the pipe"))
            .stderr(writer);
        unshare.spawn().unwrap_or_else(|error| panic!("cannot run unshare of util-linux: {error}"))
        // The command, and with it our writing end of the pipe, ends here.
    };
    let mut attempt = relay(reader);
    attempt.status = child.wait().expect("status of unshare");
    attempt
}

/// Prints the output of the inside as it comes, and keeps what is meant for us.
fn relay(reader: PipeReader) -> Attempt {
    let mut seen = Attempt {
        entered: false,
        obstacles: String::new(),
        finished: false,
        skipped: None,
        status: ExitStatus::default(),
    };
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).expect("output of the inside") > 0 {
        let text = String::from_utf8_lossy(&line);
        match text.trim_end_matches('\n') {
            ENTERED => seen.entered = true,
            FINISHED => seen.finished = true,
            other => match other.strip_prefix(SKIPPED) {
                Some(reason) => seen.skipped = Some(reason.to_owned()),
                None if seen.entered => print!("{text}"),
                None => seen.obstacles.push_str(&text),
            },
        }
        line.clear();
    }
    seen
}

fn run_inside(body: impl FnOnce(&mut World)) {
    let mut world = World::furnish();
    match catch_unwind(AssertUnwindSafe(|| body(&mut world))) {
        Ok(()) => eprint!("\n{FINISHED}\n"),
        Err(payload) => match payload.downcast::<Skip>() {
            Ok(skip) => eprint!("\n{SKIPPED}{}\n", skip.0.replace('\n', " ")),
            Err(failure) => resume_unwind(failure),
        },
    }
}

/// The name of the running test: the thread's, or what the test runner selected.
fn own_name() -> String {
    let thread = std::thread::current();
    if let Some(name) = thread.name().filter(|name| *name != "main") {
        return name.to_owned();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let exact = arguments.iter().any(|argument| argument == "--exact");
    arguments
        .into_iter()
        .find(|argument| exact && !argument.starts_with('-'))
        .expect("the test's name: call in_world on the test's own thread, or use in_world_named")
}

/// How many user ids this process's user namespace knows.
pub(crate) fn mapped_uids() -> u64 {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("/proc/self/uid_map");
    map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum()
}

/// Gives the network namespace its addresses; returns whether it has IPv6.
pub(crate) fn configure_network() -> bool {
    let has_ipv6 = std::path::Path::new("/proc/sys/net/ipv6/ip_nonlocal_bind").exists();
    let mut script = "link set lo up\nroute add local 192.0.2.0/24 dev lo\n".to_owned();
    if has_ipv6 {
        script.push_str("route add local 2001:db8::/64 dev lo\n");
        // A local route is enough for IPv4 to bind to; IPv6 asks for an interface, or for this.
        allow_foreign_ipv6_binds(true);
    }
    programs::run_with_input(programs::command("ip").args(["-batch", "-"]), script.as_bytes());
    lengthen_queues_of_datagrams();
    has_ipv6
}

/// Ten is usual. When as many log messages wait for Postfix's postlogd before it is there, and it has something to log itself,
/// it waits for its own queue for ever, and all of Postfix with it. Kernels of old do not let a private network change this.
fn lengthen_queues_of_datagrams() {
    let _ = std::fs::write("/proc/sys/net/unix/max_dgram_qlen", "1000");
}

pub(crate) fn allow_foreign_ipv6_binds(allow: bool) {
    std::fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", if allow { "1" } else { "0" })
        .expect("setting ip_nonlocal_bind of the private network");
}
