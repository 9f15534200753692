//! `bench count PROGRAM`: what a small delivery costs in numbers that do not depend on the hour, each under a ceiling.
//!
//! Both processes of a delivery are counted together: system calls, pages that are touched first or copied after the
//! fork (what getrusage(2) calls faults without a disk), and instructions outside the kernel. Round trips have tests of their own, `tests/round_trips.rs`. A
//! ceiling stands a little above what was counted when it was set: whether an answer is there already when it is read is
//! the machine's business. Whoever makes something cheaper lowers it.
#![expect(unsafe_code, reason = "a process asks to be traced between fork and exec")]

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options as Trace};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use world::certificates::Authority;
use world::{Needs, World};

use crate::contest::Contest;
use crate::instructions::Counter;
use crate::process::Job;
use crate::sink::{Manner, Sink};
use crate::{Anything, Options};

/// What a delivery may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    calls: u64,
    pages: u64,
    instructions: u64,
}

/// The most that was counted on Debian 12, and a twentieth: what depends on the moment, on the kernel, on a library mended since.
const PLAINTEXT: Counts = Counts { calls: 320, pages: 411, instructions: 4_716_000 };
const TLS: Counts = Counts { calls: 394, pages: 568, instructions: 21_340_000 };

const SERVER: &str = "192.0.2.10";

/// Counts, prints, and fails above a ceiling.
pub(crate) fn run(program: &str, world: &World) -> Anything<()> {
    // Deliveries run as a user of their own.
    world.require(Needs::ManyUids);
    let options = Options { programs: vec![program.to_owned()], ..Options::default() };
    let contest = Contest::prepare(world, &options)?;
    let contestant = contest.contestants.first().ok_or("no program")?;
    let counter = Counter::build(&world.scratch())?;
    let identity = Authority::new("Bench")?.issue(&["sink.test"])?;
    let mut broken = Vec::new();
    for (name, port, acceptor, ceilings) in [
        ("small, plaintext", 2501, None, PLAINTEXT),
        ("small, TLS 1.3", 2502, Some(Arc::new(identity.acceptor()?)), TLS),
    ] {
        let manner = Manner { extensions: &["PIPELINING"], acceptor, holds: None };
        let _sink = Sink::start(format!("{SERVER}:{port}").parse()?, manner)?;
        contest.set_route(contestant, SERVER, port);
        let counts = Counts::of(&contestant.delivery("example.test", 1, &contest.message(1000)), &counter)?;
        println!("{name}: {}", counts.beside(ceilings));
        broken.extend(counts.above(ceilings).into_iter().map(|what| format!("{name}: {what}")));
    }
    if broken.is_empty() { Ok(()) } else { Err(format!("above the ceiling: {}", broken.join(", ")).into()) }
}

impl Counts {
    fn of(job: &Job, counter: &Counter) -> Anything<Counts> {
        // The first run brings files into the page cache.
        job.run()?;
        let instructions = counter.of(job, delivered)?;
        Ok(Counts { calls: calls(job)?, pages: pages(job)?, instructions })
    }

    fn beside(self, ceilings: Counts) -> String {
        self.figures()
            .iter()
            .zip(ceilings.figures())
            .map(|((what, count), (_, ceiling))| format!("{count} of {ceiling} {what}"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// What is above its ceiling.
    fn above(self, ceilings: Counts) -> Vec<&'static str> {
        self.figures()
            .into_iter()
            .zip(ceilings.figures())
            .filter_map(|((what, count), (_, ceiling))| (count > ceiling).then_some(what))
            .collect()
    }

    fn figures(self) -> [(&'static str, u64); 3] {
        let Counts { calls, pages, instructions } = self;
        [("system calls", calls), ("pages", pages), ("instructions", instructions)]
    }
}

/// The least of a few runs: what else happens on the machine can only add.
fn pages(job: &Job) -> Anything<u64> {
    let mut least = u64::MAX;
    for _ in 0..5 {
        let before = faults()?;
        delivered(&job.run()?.1.stdout)?;
        least = least.min(faults()?.saturating_sub(before));
    }
    Ok(least)
}

fn faults() -> io::Result<u64> {
    Ok(u64::try_from(getrusage(UsageWho::RUSAGE_CHILDREN)?.minor_page_faults()).unwrap_or_default())
}

fn delivered(output: &[u8]) -> Anything<()> {
    if output.starts_with(b"r\0K") { Ok(()) } else { Err(output.escape_ascii().to_string().into()) }
}

/// How many calls a job and what it forks make.
fn calls(job: &Job) -> Anything<u64> {
    let mut command = job.command()?;
    // SAFETY: between fork and exec only what is async-signal-safe may be called; this is one system call.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(io::Error::from)) };
    let mut child = command.spawn()?;
    // The tracer reaps it, and a pipe has room for the reports.
    let output = child.stdout.take();
    let process = Pid::from_raw(i32::try_from(child.id())?);
    waitpid(process, None)?;
    let options = Trace::PTRACE_O_TRACESYSGOOD | Trace::PTRACE_O_TRACEFORK | Trace::PTRACE_O_EXITKILL;
    ptrace::setoptions(process, options)?;
    ptrace::syscall(process, None)?;
    let count = count_stops()?;
    let mut reports = Vec::new();
    output.ok_or("no output")?.read_to_end(&mut reports)?;
    delivered(&reports)?;
    Ok(count)
}

/// Lets the traced processes run until none is left.
fn count_stops() -> nix::Result<u64> {
    let mut count = 0u64;
    loop {
        let (process, signal) = match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::PtraceSyscall(process)) => {
                count += 1;
                (process, None)
            }
            // A new process, which is traced as its parent is.
            Ok(WaitStatus::Stopped(process, Signal::SIGSTOP)) => (process, None),
            Ok(WaitStatus::Stopped(process, signal)) => (process, Some(signal)),
            Ok(WaitStatus::PtraceEvent(process, ..)) => (process, None),
            Ok(_) => continue,
            // A call stops at its beginning and at its end.
            Err(Errno::ECHILD) => return Ok(count / 2),
            Err(error) => return Err(error),
        };
        match ptrace::syscall(process, signal) {
            // It has been killed meanwhile.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Counts = Counts { calls: 10, pages: 20, instructions: 30 };

    #[test]
    fn what_is_above_its_ceiling_is_named() {
        assert_eq!(SOME.above(SOME), [""; 0]);
        assert_eq!(Counts { calls: 11, ..SOME }.above(SOME), ["system calls"]);
        assert_eq!(Counts { pages: 21, ..SOME }.above(SOME), ["pages"]);
        assert_eq!(Counts { instructions: 31, ..SOME }.above(SOME), ["instructions"]);
        assert_eq!(SOME.beside(SOME), "10 of 10 system calls, 20 of 20 pages, 30 of 30 instructions");
    }
}
