//! The monitor's confinement: the steps and their order.
//!
//! Runs in the monitor, after the fork and before it reads the child's first byte. From then on it may be
//! talking to an attacker. It keeps its ids and its open descriptors; it loses the means to get any other,
//! unless a delivery's rules make it read files that only the dialogue names.

use crate::error::Error;
use crate::step::Step;
use crate::{calls, capabilities, domain};
use nix::sys::prctl;
use nix::unistd::Pid;
use std::hash::RandomState;

/// Whether the monitor has to open files for reading once it is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadsFiles {
    /// It opens nothing.
    No,
    /// It may open any file that its user may read, and none for writing.
    Yes,
}

/// Whether the monitor has to change a file that is open already once it is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdatesFile {
    /// It writes to pipes only.
    No,
    /// It may lock what it has open, and write in place. Landlock looks at files when they are opened, so that
    /// this is what the descriptor allows.
    Yes,
}

/// Whether the monitor has to sign with a private key once it is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// It has no key.
    No,
    /// It may ask for the random numbers that signatures take.
    Yes,
}

/// Confines the calling process, for good. `child` is the only process it may signal, with SIGKILL only.
/// It must have one thread. Afterwards it must end through [`leave`](crate::leave).
///
/// The capability bounding set stays as it is: it bounds what execve gives, and there is no execve any more.
///
/// # Errors
/// Any error means that the process is not confined. The caller must kill and reap the child without reading from it.
pub fn confine_monitor(
    child: Pid,
    reads: ReadsFiles,
    updates: UpdatesFile,
    signs: Signs,
) -> Result<(), Error> {
    capabilities::keep_only_kill()?;
    // The first hash table of a thread asks the kernel for random numbers, later ones do not. The table has no such
    // call, so the first one is now: whether the monitor may use a hash table must not depend on who started it.
    let _seeded = RandomState::new();
    prctl::set_no_new_privs().map_err(Error::refused(Step::NoNewPrivileges))?;
    domain::enter_monitor(reads)?;
    calls::confine_monitor(child, reads, updates, signs)
}
