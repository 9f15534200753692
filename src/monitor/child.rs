//! Starts the network child and ends it. Monitor only.
//!
//! The child inherits the plan by fork, and four descriptors: 0 the message, 1 and 2 the read end of the
//! reply pipe, 4 the write end of the message pipe.
#![forbid(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdout, getpid, pipe2};
use sandbox::{ChildProfile, Identity};

use crate::ipc::child_end::{ChildEnd, MESSAGE_PIPE};
use crate::plan::Plan;
use crate::{startup, sys};

/// What runs in the child. Gets the plan, how to confine itself, and its end of the pipes; confines
/// itself before the first byte of any network, works, and ends the process.
pub type NetworkEntry = fn(&Plan, &ChildProfile, ChildEnd) -> !;

/// The running child and the monitor's ends of its pipes.
#[derive(Debug)]
pub struct Child {
    /// Its process.
    pub pid: Pid,
    /// Where its messages come from.
    pub messages: OwnedFd,
    /// Where replies to it go; never blocks.
    pub replies: OwnedFd,
}

/// The exit status of a child that could not put its descriptors in place.
const NOT_STARTED: u8 = 1;

/// Forks the child.
pub fn start(plan: &Plan, identity: Identity, entry: NetworkEntry) -> Result<Child, Errno> {
    if !startup::single_threaded() {
        return Err(Errno::EAGAIN);
    }
    // The user database, which was asked for the account, may have left something open.
    sys::close_from(3)?;
    let (messages, child_messages) = pipe2(OFlag::O_CLOEXEC)?;
    let (child_replies, replies) = pipe2(OFlag::O_CLOEXEC)?;
    let profile = ChildProfile {
        identity,
        connect_ports: plan.connect_ports(),
        binds_source: !plan.local.is_any(),
        monitor: getpid(),
    };
    match sys::fork()? {
        ForkResult::Parent { child } => {
            // A child that does not read must not hold the monitor up.
            fcntl(&replies, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            Ok(Child { pid: child, messages, replies })
        }
        ForkResult::Child => {
            drop((messages, replies));
            if dup2_stdout(&child_replies).is_err() || dup2_stderr(&child_replies).is_err() {
                sandbox::leave(NOT_STARTED);
            }
            drop(child_replies);
            if child_messages.as_raw_fd() != MESSAGE_PIPE {
                sandbox::leave(NOT_STARTED);
            }
            entry(plan, &profile, ChildEnd::new(child_messages))
        }
    }
}

impl Child {
    /// Kills and reaps the child, whatever it is doing. Its process id cannot have been reused: only this
    /// process can reap it. One that may not be killed is not waited for: it finds its pipes closed.
    pub fn end(self) {
        if kill(self.pid, Signal::SIGKILL).is_ok() {
            while waitpid(self.pid, None) == Err(Errno::EINTR) {}
        }
    }
}
