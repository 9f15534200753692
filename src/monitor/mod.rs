//! The monitor: the parent process, privileged, without a network.
//!
//! Reads what the administrator wrote, decides everything that can be decided without the network, forks
//! the network child, confines itself, and turns the child's claims into reports. Trusts the control
//! files; checks the arguments; takes the child for hostile.
#![forbid(unsafe_code)]
// A new kind of claim, failure or reason must be decided by a person.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod child;
pub mod control;
pub mod interfaces;
pub mod message;
pub mod outcome;
pub mod permits;
pub mod planning;
pub mod refusal;
pub mod resolvers;
pub mod selection;
pub mod serve;

use std::ffi::OsString;

use child::NetworkEntry;
use outcome::Transcript;
use refusal::{ACCOUNT, Refusal};

use crate::args::Invocation;
use crate::report::Reports;
use crate::startup::Environment;

/// One delivery, from arguments to reports.
pub fn deliver(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    entry: NetworkEntry,
) -> Result<Reports, Refusal> {
    let invocation = Invocation::parse(arguments)?;
    let message_octets = message::inspect()?;
    let host = invocation.host_argument.clone();
    let plan = planning::plan(invocation, message_octets, environment)?;
    wipe_stack();
    let identity = sandbox::Identity::choose(ACCOUNT)?;
    let transcript = Transcript::new(&host, &plan);
    let longest_step = plan.timeouts.longest();
    let child = child::start(&plan, identity, entry)?;
    if let Err(error) = sandbox::confine_monitor(child.pid) {
        child.end();
        return Err(error.into());
    }
    Ok(serve::serve(child, transcript, longest_step))
}

/// Overwrites what the look-ups left below the present stack frame: vector registers full of other lines, as
/// library calls save them. The child must not inherit that.
#[inline(never)]
fn wipe_stack() {
    /// More than the look-ups use.
    const DEPTH: usize = 64 * 1024;
    std::hint::black_box(&mut [0u8; DEPTH]);
}
