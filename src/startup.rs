//! Process hygiene: what the monitor does before it looks at anything. Runs once, first of all.
//!
//! Trusts nothing it inherited: descriptors, signals, environment, limits. The order is part of the
//! contract with qmail-rspawn, whose report pipe is also our descriptor 2: one stray line there would
//! become the verdict on the message.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, umask};

use crate::{report, sys};

/// What remains of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `DNSCACHEIP`, the variable of djbdns: the addresses of the DNS caches, with blanks between. Absent when it is empty,
    /// and when the kernel gave this process more privilege than its caller has.
    pub dns_cache_ip: Option<OsString>,
}

/// Hygiene failed: the process must report a temporary failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CannotStart;

impl From<Errno> for CannotStart {
    fn from(_: Errno) -> CannotStart {
        CannotStart
    }
}

impl From<io::Error> for CannotStart {
    fn from(_: io::Error) -> CannotStart {
        CannotStart
    }
}

/// Brings the process into a known state. Descriptors 0 to 2 exist: Rust's start-up code opens
/// `/dev/null` in place of missing ones.
pub fn hygiene() -> Result<Environment, CannotStart> {
    // Before any library runs: nothing may reach qmail-rspawn but the reports.
    std::panic::set_hook(Box::new(|_| report::internal_error()));
    nix::unistd::dup2_stderr(OpenOptions::new().write(true).open("/dev/null")?)?;
    sys::close_from(3)?;

    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    sys::ignore(Signal::SIGPIPE)?;
    // A limit of file sizes that has no room for `tcpto` must not end a monitor that has a delivery to report.
    sys::ignore(Signal::SIGXFSZ)?;
    // An ignored SIGCHLD, which exec keeps, would take the child's status away.
    sys::default_action(Signal::SIGCHLD)?;
    umask(Mode::from_bits_truncate(0o077));

    let dns_cache_ip = std::env::var_os("DNSCACHEIP");
    let dns_cache_ip = dns_cache_ip.filter(|list| !list.is_empty() && !sys::is_privileged_exec());
    // OpenSSL, the resolver and libc all look at variables; none of them is ours to honour.
    sys::clear_environment()?;

    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::prctl::set_dumpable(false)?;
    Ok(Environment { dns_cache_ip })
}

/// Puts an empty message in the place of descriptor 0, which may be a terminal, for a process that sends none.
pub fn without_message() -> Result<(), CannotStart> {
    Ok(nix::unistd::dup2_stdin(File::open("/dev/null")?)?)
}

/// Whether this process has exactly one thread: what fork needs.
pub fn single_threaded() -> bool {
    // The link count of the directory is 2 plus the number of threads.
    nix::sys::stat::stat("/proc/self/task").is_ok_and(|task| task.st_nlink == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_thread_is_seen() {
        // The test has one of its own, or not, as the harness likes.
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let second = std::thread::spawn(move || receiver.recv());
        assert!(!single_threaded());
        drop(sender);
        second.join().unwrap().unwrap_err();
    }
}
