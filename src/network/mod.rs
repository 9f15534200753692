//! The network child: confined, and the only process that meets the network.
//!
//! Inherits the plan; trusts nothing that comes from DNS or a server. Everything that happens is claimed
//! to the monitor, which decides what it means. Enters the sandbox before the first byte from any network
//! and never works without it.

mod channel;
mod connect;
mod dane;
mod dns;
mod exchangers;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod probe;
mod qmtp;
mod smtp;
mod tls;
mod walk;

use nix::errno::Errno;
use nix::unistd::close;
use sandbox::ChildProfile;

use crate::ipc::child_end::{ChildEnd, MESSAGE_PIPE};
use crate::ipc::{Claim, ConfinementStep};
use crate::plan::{Plan, Purpose};
use crate::sys;

/// The exit status of a child that could not close what it inherited. Nobody reads it.
const NOT_CONFINED: u8 = 1;

/// What the program runs in the network child; a [`crate::monitor::child::NetworkEntry`].
pub fn enter(plan: &Plan, profile: &ChildProfile, mut monitor: ChildEnd) -> ! {
    // Reads the system's openssl.cnf, which no file access allows later.
    tls::configuration::fetch();
    // The dates of certificates are compared with the clock, and for that the time zone's file is opened once.
    sys::load_time_zone();
    // What it leaves open must not come along, in the one free place below the pipe or above it.
    let below = close(MESSAGE_PIPE.saturating_sub(1));
    if !matches!(below, Ok(()) | Err(Errno::EBADF))
        || sys::close_from(MESSAGE_PIPE.saturating_add(1)).is_err()
    {
        sandbox::leave(NOT_CONFINED);
    }
    if let Err(error) = sandbox::confine_child(profile) {
        monitor.claim(Claim::NotConfined(ConfinementStep(error.step().into())));
        monitor.flush();
        sandbox::leave(0);
    }
    monitor.ask_to_begin();
    deliver(plan, &mut monitor);
    monitor.flush();
    sandbox::leave(0)
}

fn deliver(plan: &Plan, monitor: &mut ChildEnd) {
    let is_probe = plan.purpose == Purpose::Probe;
    if is_probe {
        probe::resolver(plan, monitor);
    }
    match exchangers::find(plan) {
        Ok(exchangers) => {
            if is_probe {
                probe::exchangers(exchangers.known(), monitor);
            }
            walk::walk(plan, exchangers, monitor);
        }
        Err(failure) => monitor.claim(Claim::NotFound(failure)),
    }
}
