//! Turns a table into a BPF program and installs it. Runs in both processes; trusts the tables.
//!
//! A table that would permit more than it says (an empty list, two lines for one call) does not compile.

use super::rule::{Arg, Is, Rule, When};
use crate::error::Error;
use crate::step::Step;
use nix::errno::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::io;
use std::slice;

/// The program kills on the calls of any other architecture; x32 calls have numbers that are in no table.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// The program for `rules`. `child` is what [`Is::TheChild`] stands for.
pub(super) fn compile(
    rules: impl Iterator<Item = impl Borrow<Rule>>,
    child: Option<u32>,
) -> Result<BpfProgram, Error> {
    let mut calls = BTreeMap::new();
    for rule in rules {
        let rule = rule.borrow();
        let alternatives = match rule.when {
            // To seccompiler, no condition at all means "always".
            When::Always => Vec::new(),
            When::Args(lists) => {
                let mut alternatives = Vec::new();
                for all in lists {
                    alternatives.extend(combinations(all, child)?);
                }
                if alternatives.is_empty() {
                    return Err(Error::Table);
                }
                alternatives
            }
        };
        if calls.insert(rule.call, alternatives).is_some() {
            return Err(Error::Table);
        }
    }
    SeccompFilter::new(calls, SeccompAction::KillProcess, SeccompAction::Allow, ARCHITECTURE)
        .and_then(BpfProgram::try_from)
        .map_err(|_| Error::Table)
}

/// Installs `program` in every thread (there is one) for good.
pub(super) fn install(program: &BpfProgram) -> Result<(), Error> {
    let refused = |errno| Error::Refused { step: Step::Seccomp, errno };
    let number = |error: &io::Error| error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
    seccompiler::apply_filter_all_threads(program).map_err(|error| match error {
        seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => refused(number(&error)),
        seccompiler::Error::ThreadSync(_) => refused(Errno::EBUSY),
        seccompiler::Error::Backend(_) | seccompiler::Error::EmptyFilter => Error::Table,
    })
}

/// All conditions in `all` at once. A filter knows "equal" and "and" only, so each choice among several numbers
/// multiplies the list.
fn combinations(all: &[Arg], child: Option<u32>) -> Result<Vec<SeccompRule>, Error> {
    let mut lists: Vec<Vec<SeccompCondition>> = vec![Vec::new()];
    for arg in all {
        let choices = choices(arg, child)?;
        lists = lists
            .iter()
            .flat_map(|list| choices.iter().map(|choice| [list.as_slice(), slice::from_ref(choice)].concat()))
            .collect();
    }
    // An empty list of conditions is refused here.
    lists.into_iter().map(SeccompRule::new).collect::<Result<_, _>>().map_err(|_| Error::Table)
}

/// The conditions of which one must hold for `arg`.
fn choices(arg: &Arg, child: Option<u32>) -> Result<Vec<SeccompCondition>, Error> {
    let condition = |operator, value: u32| {
        SeccompCondition::new(arg.index, SeccompCmpArgLen::Dword, operator, u64::from(value))
            .map_err(|_| Error::Table)
    };
    match &arg.is {
        Is::OneOf(values) => values.iter().map(|value| condition(SeccompCmpOp::Eq, value.bits)).collect(),
        Is::Flags { required, optional } => {
            let looked_at = u64::from(!optional.bits);
            Ok(vec![condition(SeccompCmpOp::MaskedEq(looked_at), required.bits)?])
        }
        Is::TheChild => Ok(vec![condition(SeccompCmpOp::Eq, child.ok_or(Error::Table)?)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::{flags, one_of, rule};
    use super::*;
    use std::collections::HashSet;

    fn compiles(rules: &[Rule]) -> bool {
        compile(rules.iter(), None).is_ok()
    }

    #[test]
    fn a_table_that_says_nothing_about_arguments_does_not_mean_always() {
        assert!(!compiles(&[rule!(SYS_fcntl, When::Args(&[]), "")]));
        assert!(!compiles(&[rule!(SYS_fcntl, When::Args(&[&[]]), "")]));
        assert!(!compiles(&[rule!(SYS_fcntl, When::Args(&[&[Arg { index: 1, is: Is::OneOf(&[]) }]]), "")]));
    }

    #[test]
    fn what_is_not_permitted_ends_the_process_and_not_a_thread_of_it() {
        let program = compile([rule!(SYS_read, When::Always, "")].iter(), None).unwrap();
        let verdicts: HashSet<u32> =
            program.iter().filter(|step| u32::from(step.code) == libc::BPF_RET).map(|step| step.k).collect();
        assert_eq!(verdicts, HashSet::from([libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_KILL_PROCESS]));
    }

    #[test]
    fn two_lines_for_one_call_are_refused() {
        assert!(compiles(&[rule!(SYS_read, When::Always, "")]));
        assert!(!compiles(&[rule!(SYS_read, When::Always, ""), rule!(SYS_read, When::Always, "")]));
    }

    #[test]
    fn choices_multiply() {
        let all = [one_of!(0, 1, 2), one_of!(1, 3), one_of!(2, 4, 5, 6)];
        assert_eq!(combinations(&all, None).map(|rules| rules.len()), Ok(6));
        assert_eq!(combinations(&[flags!(0, 1, 6)], None).map(|rules| rules.len()), Ok(1));
    }

    #[test]
    fn an_argument_that_no_call_has_is_refused() {
        assert!(!compiles(&[rule!(SYS_read, When::Args(&[&[one_of!(6, 0)]]), "")]));
    }
}
