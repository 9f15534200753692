//! The network child's confinement: the steps and their order.
//!
//! Runs in the child, after the fork and before the first byte from any network. Trusts the profile, which the monitor
//! made before the fork. Every failure is an error, and then the process must end: half of the steps are no sandbox.

use crate::error::Error;
use crate::identity::{self, Identity};
use crate::step::Step;
use crate::{calls, capabilities, domain, limits};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};

/// The child's confinement, decided before the fork.
#[derive(Debug, Clone)]
pub struct ChildProfile {
    /// Who the child becomes.
    pub identity: Identity,
    /// The TCP ports it may connect to, that of the name servers included. Enforced where the kernel has
    /// Landlock version 4 or later.
    pub connect_ports: Vec<u16>,
    /// Whether TCP sockets may be bound to an address of this machine, with a port of the kernel's choice.
    pub binds_source: bool,
    /// The process that forks the child: the child dies with it.
    pub monitor: Pid,
}

/// Confines the calling process, for good. To be called in the child once its descriptors are in place; it must have
/// one thread. Afterwards it must end through [`leave`](crate::leave).
///
/// # Errors
/// Any error means that the process is not confined. The caller must end it without having touched the network.
pub fn confine_child(profile: &ChildProfile) -> Result<(), Error> {
    identity::prepare(&profile.identity)?;
    // Needs CAP_SETPCAP, so it comes before the ids that take it away.
    capabilities::empty_bounding_set()?;
    let former = identity::assume(&profile.identity)?;
    // Inherited securebits can let capabilities survive the change of ids, and a user can have been given some.
    capabilities::clear()?;
    identity::try_to_regain(&former)?;

    // A change of ids resets these two, so they come after the last one.
    prctl::set_dumpable(false).map_err(Error::refused(Step::Dumpable))?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Error::refused(Step::DeathSignal))?;
    // The monitor may have died before the death signal was armed.
    if getppid() != profile.monitor {
        return Err(Error::Orphan);
    }
    check_prctl()?;

    prctl::set_no_new_privs().map_err(Error::refused(Step::NoNewPrivileges))?;
    limits::lower()?;
    domain::enter_child(&profile.connect_ports, profile.binds_source)?;
    // Last: it takes away the calls that the steps above are made of.
    calls::confine_child()
}

/// Reads back what was just set.
fn check_prctl() -> Result<(), Error> {
    if prctl::get_dumpable() != Ok(false) {
        return Err(Error::Ineffective { step: Step::Dumpable });
    }
    if prctl::get_pdeathsig() != Ok(Some(Signal::SIGKILL)) {
        return Err(Error::Ineffective { step: Step::DeathSignal });
    }
    Ok(())
}
