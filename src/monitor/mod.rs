//! The monitor: the parent process, privileged, without a network.
//!
//! Reads what the administrator wrote, decides everything that can be decided without the network, forks
//! the network child, confines itself, and turns the child's claims into reports. Trusts the control
//! files; checks the arguments; takes the child for hostile.
#![forbid(unsafe_code)]
// A new kind of claim, failure or reason must be decided by a person.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod child;
pub mod client_key;
pub mod control;
pub mod interfaces;
pub mod message;
pub mod outcome;
pub mod permits;
pub mod planning;
pub mod refusal;
pub mod resolvers;
pub mod secrets;
pub mod selection;
pub mod serve;
pub mod signer;
pub mod tcpto;
pub mod trust_store;

use std::ffi::OsString;
use std::path::Path;

use nix::unistd::Pid;
use sandbox::{ReadsFiles, Signs, UpdatesFile};

use child::NetworkEntry;
use control::{ControlDirectory, HOME};
use outcome::{Broken, Seen, Transcript};
use refusal::{ACCOUNT, Refusal};
use secrets::Secrets;
use serve::Sources;
use tcpto::Tcpto;

use crate::args::Invocation;
use crate::plan::{Plan, Purpose};
use crate::report::{MessageReport, Reports};
use crate::startup::{self, Environment};
use crate::sys;

/// One delivery, from arguments to reports.
pub fn deliver(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    entry: NetworkEntry,
) -> Result<Reports, Refusal> {
    let invocation = Invocation::parse(arguments)?;
    let message = message::inspect()?;
    let (host, sender) = (invocation.host_argument.clone(), invocation.sender_argument.clone());
    let (planned, secrets) = planning::plan(invocation, message.part, None, environment)?;
    message.fits(planned.protocol)?;
    // Not kept open: the child must not have it.
    let skip = Tcpto::open(Path::new(HOME)).map(|table| table.to_skip());
    let keeps_table = skip.is_some();
    let plan = Plan { skip: skip.unwrap_or_default(), ..planned };
    let mut transcript = Transcript::new(&host, &plan);
    match carry_out(&plan, sender, secrets, keeps_table, &mut transcript, entry)? {
        Ok(()) => Ok(transcript.conclude()),
        Err(how) => Ok(transcript.broken(how)),
    }
}

/// A delivery that turns back before the envelope: what it saw, and what stopped it. `port` replaces that of the control
/// files: 465 means SMTPS, 6209 QMTPS, and any other the protocol of the file that the route is in. Sends nothing of any
/// message.
pub fn probe(
    arguments: impl IntoIterator<Item = OsString>,
    port: Option<u16>,
    environment: &Environment,
    entry: NetworkEntry,
) -> Result<(Plan, Vec<Seen>, Option<MessageReport>), Refusal> {
    startup::without_message()?;
    let invocation = Invocation::parse(arguments)?;
    let (host, sender) = (invocation.host_argument.clone(), invocation.sender_argument.clone());
    let (planned, secrets) = planning::plan(invocation, None, port, environment)?;
    // It turns back before AUTH: the credentials are given up here.
    let secrets = Secrets { credentials: None, ..secrets };
    let plan = Plan { purpose: Purpose::Probe, authentication: None, ..planned };
    let mut transcript = Transcript::new(&host, &plan);
    let result = carry_out(&plan, sender, secrets, false, &mut transcript, entry)?;
    let (seen, stopped) = transcript.into_seen();
    let stopped = match result {
        Ok(()) => stopped,
        Err(how) => Some(outcome::texts::child_failed(how)),
    };
    Ok((plan, seen, stopped))
}

/// Forks the child, confines the monitor, and listens until there is a verdict. What the attempts to connect showed is
/// written down when `keeps_table`.
fn carry_out(
    plan: &Plan,
    sender: Vec<u8>,
    secrets: Secrets,
    keeps_table: bool,
    transcript: &mut Transcript,
    entry: NetworkEntry,
) -> Result<Result<(), Broken>, Refusal> {
    // Other lines, which the child must not inherit.
    sys::wipe_stack();
    let identity = sandbox::Identity::choose(ACCOUNT)?;
    let child = child::start(plan, identity, entry)?;
    match prepare(plan, sender, secrets, keeps_table, child.pid) {
        Ok((mut sources, table)) => {
            let result = serve::serve(child, transcript, &mut sources, plan.timeouts.longest());
            if let Some(table) = table {
                table.update(transcript.evidence());
            }
            Ok(result)
        }
        Err(refusal) => {
            child.end();
            Err(refusal)
        }
    }
}

/// Confines the monitor, for what it will be asked.
fn prepare(
    plan: &Plan,
    sender: Vec<u8>,
    mut secrets: Secrets,
    keeps_table: bool,
    child: Pid,
) -> Result<(Sources, Option<Tcpto>), Refusal> {
    // Before the confinement: OpenSSL reads its configuration.
    let signer = secrets.open_key(plan)?;
    let control = if plan.exchanger_rules { Some(ControlDirectory::open()?) } else { None };
    let reads_files = match plan.exchanger_rules || plan.tls.certificate.anchors().is_some() {
        true => ReadsFiles::Yes,
        false => ReadsFiles::No,
    };
    let table = if keeps_table { Tcpto::open(Path::new(HOME)) } else { None };
    let updates_file = if table.is_some() { UpdatesFile::Yes } else { UpdatesFile::No };
    let signs = if signer.is_some() { Signs::Yes } else { Signs::No };
    sandbox::confine_monitor(child, reads_files, updates_file, signs)?;
    Ok((Sources { control, sender, secrets, signer }, table))
}
