//! Runs the example `attempt` and looks at how it ends.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The action succeeded.
    Done,
    /// The action failed with this errno.
    Failed(i32),
    /// The confinement failed at this step.
    NotConfined(&'static str),
    /// Killed by the system call filter.
    Filtered,
    /// Any other end.
    Otherwise(ExitStatus),
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(0), _) => Self::Done,
            (Some(code @ 1..=198), _) => Self::Failed(code),
            (Some(code @ 201..), _) => {
                let step = u8::try_from(code.saturating_sub(200))
                    .ok()
                    .and_then(|step| sandbox::Step::try_from(step).ok());
                step.map_or(Self::Otherwise(status), |step| Self::NotConfined(step.as_str()))
            }
            (_, Some(libc::SIGSYS)) => Self::Filtered,
            _ => Self::Otherwise(status),
        }
    }
}

/// The example, which cargo builds next to the tests.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/attempt");
    assert!(path.exists(), "{} is missing: cargo build -p sandbox --example attempt", path.display());
    let mut command = Command::new(path);
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs an attempt to its end.
pub(crate) fn attempt(args: &[&str]) -> Ended {
    command(args).status().unwrap().into()
}

/// Starts an attempt that holds, and waits until it says that it is confined.
pub(crate) fn hold(args: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut process = command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    if line != "ready\n" {
        panic!("{args:?} ended: {:?}", Ended::from(process.wait().unwrap()));
    }
    (process, output)
}

pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// The call for a clock that cannot be read without one, where there is such a call.
pub(crate) const CLOCK: &str = if cfg!(target_arch = "x86_64") { "time" } else { "nothing" };

/// The ways to start a process that this user can imitate.
pub(crate) fn starts() -> &'static [&'static str] {
    if is_root() {
        &["asis", "keepcaps", "user", "usercaps", "setgid", "setuid", "realroot"]
    } else {
        say("not root: cannot imitate a start as root, by another user, or through set-id files");
        &["asis"]
    }
}

/// Tells what a test could not do on this machine. Where CI is set that is a failure.
pub(crate) fn cannot(what: &str) {
    assert!(std::env::var_os("CI").is_none_or(|value| value.is_empty()), "{what}");
    say(what);
}

/// Tells what a test could not do as this user.
pub(crate) fn say(what: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {what}");
}

/// Whether Landlock enforces what came with `version`; says so if not.
pub(crate) fn landlock_has(version: u32, what: &str) -> bool {
    let has = sandbox::landlock_abi() >= Some(version);
    if !has {
        cannot(&format!("this kernel's Landlock does not know {what}"));
    }
    has
}
