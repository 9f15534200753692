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
pub mod trust_store;

use std::ffi::OsString;

use nix::unistd::Pid;
use sandbox::ReadsFiles;

use child::NetworkEntry;
use control::ControlDirectory;
use outcome::Transcript;
use refusal::{ACCOUNT, Refusal};
use serve::Sources;

use crate::args::Invocation;
use crate::plan::Plan;
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
    let sender = invocation.sender_argument.clone();
    let plan = planning::plan(invocation, message_octets, environment)?;
    wipe_stack();
    let identity = sandbox::Identity::choose(ACCOUNT)?;
    let transcript = Transcript::new(&host, &plan);
    let longest_step = plan.timeouts.longest();
    let child = child::start(&plan, identity, entry)?;
    match prepare(&plan, sender, child.pid) {
        Ok(sources) => Ok(serve::serve(child, transcript, &sources, longest_step)),
        Err(refusal) => {
            child.end();
            Err(refusal)
        }
    }
}

/// Confines the monitor, for what it will be asked.
fn prepare(plan: &Plan, sender: Vec<u8>, child: Pid) -> Result<Sources, Refusal> {
    let control = if plan.exchanger_rules { Some(ControlDirectory::open()?) } else { None };
    let reads_files = match plan.exchanger_rules || plan.tls.certificate.anchors().is_some() {
        true => ReadsFiles::Yes,
        false => ReadsFiles::No,
    };
    sandbox::confine_monitor(child, reads_files)?;
    Ok(Sources { control, sender })
}

/// Overwrites what the look-ups left below the present stack frame: vector registers full of other lines, as
/// library calls save them. The child must not inherit that.
#[inline(never)]
fn wipe_stack() {
    /// More than the look-ups use.
    const DEPTH: usize = 64 * 1024;
    std::hint::black_box(&mut [0u8; DEPTH]);
}
