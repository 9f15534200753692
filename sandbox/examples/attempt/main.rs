//! The subject of the tests in `tests/`: a real process that enters a confinement and then attempts one thing.
//!
//! `attempt child AS ACTION [PORT [ADDRESS]]` becomes a network child; its monitor is whoever started it.
//! `attempt monitor AS ACTION` forks a network child and becomes its monitor; `attempt reader AS ACTION` becomes one that
//! reads files, `attempt updater AS ACTION` one that updates a file, `attempt signer AS ACTION` one that signs, and
//! `attempt all AS ACTION` one that does all of that.
//! `attempt sweep child|monitor|reader|updater|signer|all` makes every system call that is not in the table, in a process
//! each, and prints those that were survived.
//!
//! AS is how the process is started: one of those in `start.rs`, most of them for root only.
//!
//! Exit status: 0, the action succeeded; 1 to 199, it failed with that errno; 200 and more, the confinement
//! failed at step (status - 200). A forbidden system call ends the process by SIGSYS.

#![expect(unsafe_code, reason = "makes forbidden system calls, and forks")]

mod actions;
mod attacks;
mod calls;
mod start;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, alarm, getpid, getppid};
use sandbox::{
    ChildProfile, Identity, ReadsFiles, Signs, UpdatesFile, confine_child, confine_monitor, leave,
};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;

/// Status for a command line that makes no sense.
const USAGE: u8 = 199;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let status = match args.as_slice() {
        ["child", how, action, rest @ ..] => child(how, action, rest),
        ["sweep", "child"] => sweep(None),
        ["sweep", who] => needs_of(who).map_or(USAGE, |needs| sweep(Some(needs))),
        [who, how, action] => needs_of(who).map_or(USAGE, |needs| monitor(how, action, needs)),
        _ => USAGE,
    };
    leave(status);
}

/// What a monitor may do beside what all may.
type Needs = (ReadsFiles, UpdatesFile, Signs);

/// What a monitor of this name may do.
fn needs_of(who: &str) -> Option<Needs> {
    match who {
        "monitor" => Some((ReadsFiles::No, UpdatesFile::No, Signs::No)),
        "reader" => Some((ReadsFiles::Yes, UpdatesFile::No, Signs::No)),
        "updater" => Some((ReadsFiles::No, UpdatesFile::Yes, Signs::No)),
        "signer" => Some((ReadsFiles::No, UpdatesFile::No, Signs::Yes)),
        "all" => Some((ReadsFiles::Yes, UpdatesFile::Yes, Signs::Yes)),
        _ => None,
    }
}

/// What the exit status says about an action.
fn status_of(result: Result<(), Errno>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(errno) => u8::try_from(errno as i32).unwrap_or(USAGE),
    }
}

/// What the exit status says about a confinement.
fn status_of_failure(error: &sandbox::Error) -> u8 {
    let _ = writeln!(std::io::stderr(), "not confined: {error}");
    u8::from(error.step()).saturating_add(200)
}

fn child(how: &str, action: &str, rest: &[&str]) -> u8 {
    if start::as_if(how).is_err() {
        return USAGE;
    }
    let port = rest.first().and_then(|port| port.parse().ok());
    let address: Option<SocketAddr> = rest.get(1).and_then(|address| address.parse().ok());
    let profile = match Identity::choose("nobody") {
        Ok(identity) => {
            let monitor = if action == "orphan" { Pid::from_raw(1 << 21) } else { getppid() };
            ChildProfile { identity, connect_ports: port.into_iter().collect(), binds_source: false, monitor }
        }
        Err(error) => return status_of_failure(&error),
    };
    let attack = attacks::attack(action);
    if let Err(error) = confine_child(&profile) {
        return status_of_failure(&error);
    }
    status_of(match attack {
        Some(attack) => actions::perform_attack(&attack),
        None => actions::perform(action, address),
    })
}

/// A complete pair: the child is confined and waits; then the monitor is confined and acts.
fn monitor(how: &str, action: &str, (reads, updates, signs): Needs) -> u8 {
    if start::as_if(how).is_err() {
        return USAGE;
    }
    let (monitor, starter, attack) = (getpid(), getppid(), attacks::attack(action));
    let (Ok(identity), Ok((ready, child_ready)), Ok((until, hold)), Ok(file)) = (
        Identity::choose("nobody"),
        nix::unistd::pipe(),
        nix::unistd::pipe(),
        memfd_create(c"updated", MFdFlags::empty()),
    ) else {
        return USAGE;
    };
    // SAFETY: fork(2) with one thread; the child goes on with a copy of everything.
    match unsafe { nix::unistd::fork() } {
        Err(_) => USAGE,
        Ok(ForkResult::Child) => {
            drop((ready, hold));
            let status = match confine_child(&ChildProfile {
                identity,
                connect_ports: Vec::new(),
                binds_source: false,
                monitor,
            }) {
                Ok(()) => {
                    let _ = nix::unistd::write(&child_ready, b"+");
                    // Returns when the monitor is gone, but the child should be gone before.
                    status_of(nix::unistd::read(&until, &mut [0]).map(drop))
                }
                Err(error) => status_of_failure(&error),
            };
            leave(status)
        }
        Ok(ForkResult::Parent { child }) => {
            drop((child_ready, until));
            if let Err(error) = confine_monitor(child, reads, updates, signs) {
                return status_of_failure(&error);
            }
            let confined = nix::unistd::read(&ready, &mut [0]) == Ok(1);
            let result = match attack {
                _ if !confined => Err(Errno::ECHILD),
                Some(attack) => actions::perform_attack(&attack),
                None => actions::perform_as_monitor(action, child, starter, &File::from(file)),
            };
            drop(hold);
            status_of(result)
        }
    }
}

/// Attempts every call of [`calls::forbidden`], in a process each: of a monitor, or of a child when there is none. Never as
/// root: should the filter fail, a few hundred calls are really made.
fn sweep(of_monitor: Option<Needs>) -> u8 {
    if nix::unistd::Uid::effective().is_root() && start::as_if("user").is_err() {
        return USAGE;
    }
    let Ok(identity) = Identity::choose("nobody") else { return USAGE };
    let monitor = getpid();
    let mut survived = 0_u8;
    let forbidden = match of_monitor {
        Some((reads, updates, signs)) => calls::forbidden(sandbox::monitor_rules(reads, updates, signs)),
        None => calls::forbidden(sandbox::child_rules()),
    };
    for number in forbidden {
        // SAFETY: fork(2) with one thread; the child goes on with a copy of everything.
        match unsafe { nix::unistd::fork() } {
            Err(_) => return USAGE,
            Ok(ForkResult::Child) => {
                // Some calls wait for ever if they are made. Only keeps a failure from hanging.
                alarm::set(5);
                let confined = match of_monitor {
                    Some((reads, updates, signs)) => confine_monitor(monitor, reads, updates, signs),
                    None => confine_child(&ChildProfile {
                        identity,
                        connect_ports: Vec::new(),
                        binds_source: false,
                        monitor,
                    }),
                };
                if let Err(error) = confined {
                    leave(status_of_failure(&error));
                }
                let _ = calls::make((number, [u64::MAX; 6]));
                leave(0)
            }
            Ok(ForkResult::Parent { child }) => match waitpid(child, None) {
                Ok(WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGSYS, _)) => {}
                other => {
                    let _ = writeln!(std::io::stdout(), "call {number:#x}: {other:?}");
                    survived = 1;
                }
            },
        }
    }
    survived
}
