//! The system calls each process may make, as tables with a reason in every line, and their enforcement.
//!
//! [`child`] and [`common`] make the child's table, [`monitor`] and [`common`] the monitor's. What is not in the table
//! kills the process: a confined process that tries something else has been taken over, or has a bug, and
//! in both cases it must not go on. That includes the calls of another architecture (32 bit, x32). (On x86_64 the kernel lets uretprobe
//! and uprobe past every filter; they act on nothing but a tracer's own probes.)
//!
//! Runs in both processes; trusts the child's pid, which the fork returned.

mod child;
mod common;
mod filter;
mod monitor;
mod rule;

use crate::error::Error;
use crate::monitor::{ReadsFiles, Signs, UpdatesFile};
use crate::step::Step;
use crate::sys;
use filter::Program;
use nix::errno::Errno;
use nix::unistd::Pid;
pub use rule::{Arg, Is, Rule, Value, When};

/// The child's table.
pub fn child_rules() -> impl Iterator<Item = &'static Rule> {
    common::RULES.iter().chain(child::RULES)
}

/// The monitor's table.
pub fn monitor_rules(
    reads: ReadsFiles,
    updates: UpdatesFile,
    signs: Signs,
) -> impl Iterator<Item = &'static Rule> {
    monitor_tables(reads, updates, signs).into_iter().flatten()
}

const fn monitor_tables(reads: ReadsFiles, updates: UpdatesFile, signs: Signs) -> [&'static [Rule]; 6] {
    let of_readers: &[Rule] = match reads {
        ReadsFiles::No => &[],
        ReadsFiles::Yes => monitor::READS_FILES,
    };
    let of_updaters: &[Rule] = match updates {
        UpdatesFile::No => &[],
        UpdatesFile::Yes => monitor::UPDATES_FILE,
    };
    let of_both: &[Rule] = match (reads, updates) {
        (ReadsFiles::No, UpdatesFile::No) => &[],
        (ReadsFiles::Yes, _) | (_, UpdatesFile::Yes) => monitor::READS_PLACES,
    };
    let of_signers: &[Rule] = match signs {
        Signs::No => &[],
        Signs::Yes => monitor::SIGNS,
    };
    [common::RULES, monitor::RULES, of_readers, of_updaters, of_both, of_signers]
}

static CHILD: Program = Program::of(&[common::RULES, child::RULES]);

/// The program of the monitor's table, which has still to be told who the child is.
fn monitor_program(reads: ReadsFiles, updates: UpdatesFile, signs: Signs) -> &'static Program {
    use {ReadsFiles as Reads, UpdatesFile as Updates};
    const fn of(reads: Reads, updates: Updates, signs: Signs) -> Program {
        Program::of(&monitor_tables(reads, updates, signs))
    }
    static USUAL: Program = of(Reads::No, Updates::No, Signs::No);
    static SIGNS: Program = of(Reads::No, Updates::No, Signs::Yes);
    static UPDATES: Program = of(Reads::No, Updates::Yes, Signs::No);
    static UPDATES_SIGNS: Program = of(Reads::No, Updates::Yes, Signs::Yes);
    static READS: Program = of(Reads::Yes, Updates::No, Signs::No);
    static READS_SIGNS: Program = of(Reads::Yes, Updates::No, Signs::Yes);
    static READS_UPDATES: Program = of(Reads::Yes, Updates::Yes, Signs::No);
    static ALL: Program = of(Reads::Yes, Updates::Yes, Signs::Yes);
    match (reads, updates, signs) {
        (Reads::No, Updates::No, Signs::No) => &USUAL,
        (Reads::No, Updates::No, Signs::Yes) => &SIGNS,
        (Reads::No, Updates::Yes, Signs::No) => &UPDATES,
        (Reads::No, Updates::Yes, Signs::Yes) => &UPDATES_SIGNS,
        (Reads::Yes, Updates::No, Signs::No) => &READS,
        (Reads::Yes, Updates::No, Signs::Yes) => &READS_SIGNS,
        (Reads::Yes, Updates::Yes, Signs::No) => &READS_UPDATES,
        (Reads::Yes, Updates::Yes, Signs::Yes) => &ALL,
    }
}

/// Installs the child's table in the calling process.
pub(crate) fn confine_child() -> Result<(), Error> {
    sys::install_filter(CHILD.steps()).map_err(Error::refused(Step::Seccomp))
}

/// Installs the monitor's table in the calling process, with `child` as the only process it may kill.
pub(crate) fn confine_monitor(
    child: Pid,
    reads: ReadsFiles,
    updates: UpdatesFile,
    signs: Signs,
) -> Result<(), Error> {
    // To kill(2), 0 and negative numbers are groups of processes.
    let pid = u32::try_from(child.as_raw()).ok().filter(|pid| *pid > 0);
    let program = pid.and_then(|pid| monitor_program(reads, updates, signs).with_child(pid));
    let program = program.ok_or(Error::Refused { step: Step::Seccomp, errno: Errno::ESRCH })?;
    sys::install_filter(program.steps()).map_err(Error::refused(Step::Seccomp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Every monitor that there can be.
    fn monitors() -> impl Iterator<Item = (ReadsFiles, UpdatesFile, Signs)> {
        let reads = [ReadsFiles::No, ReadsFiles::Yes].into_iter();
        let updates = |reads| [UpdatesFile::No, UpdatesFile::Yes].map(|updates| (reads, updates));
        let signs = |(reads, updates)| [Signs::No, Signs::Yes].map(|signs| (reads, updates, signs));
        reads.flat_map(updates).flat_map(signs)
    }

    #[test]
    fn every_line_has_a_name_and_a_reason_and_is_the_only_one_for_its_call() {
        let of_monitors = monitors()
            .map(|(reads, updates, signs)| monitor_rules(reads, updates, signs).collect::<Vec<_>>());
        for rules in of_monitors.chain([child_rules().collect()]) {
            let calls: HashSet<_> = rules.iter().map(|rule| rule.call).collect();
            assert_eq!(calls.len(), rules.len());
            for rule in rules {
                assert!(!rule.name.is_empty() && !rule.name.starts_with("SYS_"), "{}", rule.name);
                assert!(rule.why.len() > 10, "{} has no reason", rule.name);
            }
        }
    }

    #[test]
    fn the_monitors_table_needs_a_child() {
        let (reads, updates, signs) = (ReadsFiles::No, UpdatesFile::No, Signs::No);
        for pid in [0, -1, i32::MIN] {
            assert!(confine_monitor(Pid::from_raw(pid), reads, updates, signs).is_err());
        }
    }
}
