//! What the confinement costs: medians over many forks, in microseconds. `cargo run --release --example cost`.
//!
//! The inner numbers are read on both sides of the call; the outer ones are a whole fork and wait.

#![expect(unsafe_code, reason = "forks")]

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getpid, pipe, read, write};
use sandbox::{
    ChildProfile, Error, Identity, ReadsFiles, Signs, UpdatesFile, confine_child, confine_monitor, leave,
};
use std::io::Write;
use std::time::Instant;

const ROUNDS: usize = 2000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let monitor = getpid();
    let profile = ChildProfile {
        identity: Identity::choose("nobody")?,
        connect_ports: vec![25, 53, 465],
        binds_source: false,
        monitor,
    };
    let nothing = measure(|| Ok(()))?;
    let child = measure(|| confine_child(&profile))?;
    let own = measure(|| confine_monitor(monitor, ReadsFiles::No, UpdatesFile::No, Signs::No))?;
    let mut out = std::io::stdout();
    writeln!(out, "{:?}, Landlock {:?}", profile.identity, sandbox::landlock_abi())?;
    for (name, (inner, outer)) in [("nothing", nothing), ("confine_child", child), ("confine_monitor", own)] {
        writeln!(out, "{name:16} {inner:5} us, with fork and wait {outer:5} us")?;
    }
    Ok(())
}

/// Medians of the step alone, and of fork, step, exit and wait.
fn measure(step: impl Fn() -> Result<(), Error>) -> nix::Result<(u64, u64)> {
    let micros = |since: Instant| u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (results, to_parent) = pipe()?;
    let (mut inner, mut outer) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        // SAFETY: fork(2) with one thread; the child goes on with a copy of everything.
        match unsafe { nix::unistd::fork() }? {
            ForkResult::Child => {
                let start = Instant::now();
                let result = step();
                let taken = micros(start);
                let sent = write(&to_parent, &taken.to_ne_bytes());
                leave(u8::from(result.is_err() || sent.is_err()))
            }
            ForkResult::Parent { child } => finish(child)?,
        }
        outer.push(micros(start));
        let mut taken = [0; 8];
        read(&results, &mut taken)?;
        inner.push(u64::from_ne_bytes(taken));
    }
    Ok((median(inner), median(outer)))
}

fn finish(child: Pid) -> nix::Result<()> {
    let done = waitpid(child, None)? == WaitStatus::Exited(child, 0);
    if done { Ok(()) } else { Err(Errno::ECHILD) }
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
