//! What programs permit, by an interpreter, beside what the tables say and what another compiler makes of them.

use super::super::rule::{flags, one_of, rule};
use super::*;
use crate::calls::{self, child_rules, monitor_rules};
use crate::{ReadsFiles, Signs, UpdatesFile};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use std::panic::catch_unwind;

/// What the kernel shows a program of a call.
#[derive(Clone, Copy, Debug)]
struct Call {
    architecture: u32,
    number: u32,
    arguments: [u64; 6],
}

impl Call {
    /// `struct seccomp_data`, little-endian, at this offset.
    fn word(&self, offset: u32) -> u32 {
        let mut octets = Vec::new();
        octets.extend(self.number.to_le_bytes());
        octets.extend(self.architecture.to_le_bytes());
        octets.extend(0u64.to_le_bytes());
        octets.extend(self.arguments.iter().flat_map(|argument| argument.to_le_bytes()));
        let at = offset as usize;
        u32::from_le_bytes(octets[at..at + 4].try_into().unwrap())
    }
}

/// An instruction: code, jt, jf, k.
type Step = (u16, u8, u8, u32);

/// What a program says to a call, and after how many instructions.
fn run(program: &[Step], call: &Call) -> (u32, usize) {
    let (mut at, mut word, mut count) = (0, 0, 0);
    loop {
        let (code, jt, jf, k) = program[at];
        at += 1;
        count += 1;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            LOAD => word = call.word(k),
            AND => word &= k,
            JUMP => at += k as usize,
            IF_EQUAL => at += branch(word == k),
            IF_NOT_BELOW => at += branch(word >= k),
            RETURN => return (k, count),
            _ => panic!("{code:#x}"),
        }
    }
}

fn verdict(program: &[Step], call: &Call) -> u32 {
    run(program, call).0
}

fn instructions(program: &Program) -> Vec<Step> {
    program.steps().iter().map(|step| (step.code, step.jt, step.jf, step.k)).collect()
}

fn permits(program: &Program, call: &Call) -> bool {
    verdict(&instructions(program), call) == libc::SECCOMP_RET_ALLOW
}

const CHILD: u32 = 4711;

/// Every table there is, with its program.
fn all() -> Vec<(Vec<&'static Rule>, Program)> {
    let mut all = vec![(child_rules().collect(), calls::CHILD.clone())];
    for reads in [ReadsFiles::No, ReadsFiles::Yes] {
        for updates in [UpdatesFile::No, UpdatesFile::Yes] {
            for signs in [Signs::No, Signs::Yes] {
                let program = calls::monitor_program(reads, updates, signs).with_child(CHILD).unwrap();
                all.push((monitor_rules(reads, updates, signs).collect(), program));
            }
        }
    }
    all
}

/// What the table says of a call.
fn model(rules: &[&Rule], call: &Call) -> bool {
    let holds = |arg: &Arg| {
        let value = call.arguments[usize::from(arg.index)] as u32;
        match &arg.is {
            Is::OneOf(values) => values.iter().any(|it| it.bits == value),
            Is::Not(not) => value != not.bits,
            Is::Flags { required, optional } => value & !optional.bits == required.bits,
            Is::TheChild => value == CHILD,
        }
    };
    call.architecture == ARCHITECTURE
        && rules.iter().filter(|rule| rule.call as u32 == call.number).any(|rule| match rule.when {
            When::Always => true,
            When::Args(lists) => lists.iter().any(|all| all.iter().all(holds)),
        })
}

/// What the `seccompiler` crate makes of a table.
fn other_compiler(rules: &[&Rule]) -> Vec<Step> {
    let condition = |arg: &Arg, operator, value: u32| {
        SeccompCondition::new(arg.index, SeccompCmpArgLen::Dword, operator, u64::from(value)).unwrap()
    };
    let choices = |arg: &Arg| match &arg.is {
        Is::OneOf(values) => {
            values.iter().map(|value| condition(arg, SeccompCmpOp::Eq, value.bits)).collect::<Vec<_>>()
        }
        Is::Not(value) => vec![condition(arg, SeccompCmpOp::Ne, value.bits)],
        Is::Flags { required, optional } => {
            vec![condition(arg, SeccompCmpOp::MaskedEq(u64::from(!optional.bits)), required.bits)]
        }
        Is::TheChild => vec![condition(arg, SeccompCmpOp::Eq, CHILD)],
    };
    let alternatives = |all: &[Arg]| {
        let lists = all.iter().fold(vec![Vec::new()], |lists: Vec<Vec<SeccompCondition>>, arg| {
            let longer = |list: &Vec<_>, choice| list.iter().cloned().chain([choice]).collect();
            lists.iter().flat_map(|list| choices(arg).into_iter().map(move |it| longer(list, it))).collect()
        });
        lists.into_iter().map(|list| SeccompRule::new(list).unwrap()).collect::<Vec<_>>()
    };
    let calls = rules.iter().map(|rule| match rule.when {
        When::Always => (rule.call, Vec::new()),
        When::Args(lists) => (rule.call, lists.iter().flat_map(|all| alternatives(all)).collect()),
    });
    let architecture = if cfg!(target_arch = "x86_64") { TargetArch::x86_64 } else { TargetArch::aarch64 };
    let (kill, allow) = (SeccompAction::KillProcess, SeccompAction::Allow);
    let filter = SeccompFilter::new(calls.collect(), kill, allow, architecture).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    program.iter().map(|step| (step.code, step.jt, step.jf, step.k)).collect()
}

/// Values around what the table looks for in each argument: each of them, its neighbours, one bit more and one less, and
/// each with a bit in the upper half.
fn interesting(rule: &Rule) -> [Vec<u64>; 6] {
    let mut values: [Vec<u64>; 6] = std::array::from_fn(|_| vec![0, u64::MAX]);
    let When::Args(lists) = rule.when else { return values };
    for arg in lists.iter().copied().flatten() {
        let known: Vec<u32> = match &arg.is {
            Is::OneOf(values) => values.iter().map(|value| value.bits).collect(),
            Is::Not(value) => vec![value.bits],
            Is::Flags { required, optional } => vec![required.bits, required.bits | optional.bits],
            Is::TheChild => vec![CHILD, i32::MIN as u32],
        };
        let place = &mut values[usize::from(arg.index)];
        for value in known {
            let changed = (0..32).map(|bit| value ^ (1 << bit));
            let around = [value, value.wrapping_add(1), value.wrapping_sub(1)];
            place.extend(changed.chain(around).map(u64::from));
            place.push(u64::from(value) | 1 << 32);
        }
    }
    values
}

/// All calls with one number: each argument alone takes all its interesting values while the others are as a rule wants
/// them, in each of its lists.
fn attempts(rule: &Rule) -> Vec<Call> {
    let number = rule.call as u32;
    let bare = Call { architecture: ARCHITECTURE, number, arguments: [0; 6] };
    let mut bases = vec![bare];
    if let When::Args(lists) = rule.when {
        for all in lists {
            let wanted = |arg: &Arg| match &arg.is {
                Is::OneOf(values) => values.iter().map(|value| u64::from(value.bits)).collect(),
                Is::Not(value) => vec![u64::from(!value.bits)],
                Is::Flags { required, .. } => vec![u64::from(required.bits)],
                Is::TheChild => vec![u64::from(CHILD)],
            };
            bases.extend(all.iter().fold(vec![bare], |calls, arg| {
                let place = usize::from(arg.index);
                let set = |mut call: Call, value| {
                    call.arguments[place] = value;
                    call
                };
                calls.iter().flat_map(|call| wanted(arg).into_iter().map(|value| set(*call, value))).collect()
            }));
        }
    }
    let values = interesting(rule);
    let mut calls = bases.clone();
    for base in bases {
        for (place, values) in values.iter().enumerate() {
            for value in values {
                let mut call = base;
                call.arguments[place] = *value;
                calls.push(call);
            }
        }
    }
    calls
}

#[test]
fn programs_permit_what_the_tables_say_and_nothing_else() {
    for (rules, program) in all() {
        let other = other_compiler(&rules);
        let (mut permitted, mut denied) = (0, 0);
        let mut look = |call: &Call| {
            let expected = model(&rules, call);
            assert_eq!(permits(&program, call), expected, "{call:x?}");
            assert_eq!(verdict(&other, call) == libc::SECCOMP_RET_ALLOW, expected, "{call:x?}");
            *if expected { &mut permitted } else { &mut denied } += 1;
        };
        for rule in &rules {
            for call in attempts(rule) {
                look(&call);
                look(&Call { architecture: ARCHITECTURE ^ 1, ..call });
                // x32, on x86_64.
                look(&Call { number: call.number | 0x4000_0000, ..call });
            }
        }
        for number in (0..1024).chain([u32::MAX, i32::MAX as u32, 0x8000_0000]) {
            for arguments in [[0; 6], [1; 6], [u64::MAX; 6]] {
                look(&Call { architecture: ARCHITECTURE, number, arguments });
            }
        }
        assert!(permitted > 100 && denied > 1000, "{permitted} {denied}");
    }
}

#[test]
fn a_denied_call_kills_the_process() {
    let (_, program) = all().remove(0);
    let call = Call { architecture: ARCHITECTURE, number: libc::SYS_execve as u32, arguments: [0; 6] };
    assert_eq!(verdict(&instructions(&program), &call), libc::SECCOMP_RET_KILL_PROCESS);
}

#[test]
fn a_number_is_found_in_few_steps() {
    // The kernel asks for every number when a program is installed.
    for (rules, program) in all() {
        let program = instructions(&program);
        let halvings = rules.len().ilog2() as usize + 1;
        for number in 0..1024 {
            let call = Call { architecture: ARCHITECTURE, number, arguments: [u64::MAX; 6] };
            if rules.iter().all(|rule| rule.call as u32 != number) {
                assert!(run(&program, &call).1 <= 5 + 2 * halvings, "{number}");
            }
        }
    }
}

#[test]
fn tables_that_permit_more_than_they_say_are_no_programs() {
    const READ: Rule = rule!(SYS_read, When::Always, "");
    const NOTHING: &[Rule] = &[rule!(SYS_fcntl, When::Args(&[]), "")];
    const NO_CONDITION: &[Rule] = &[rule!(SYS_fcntl, When::Args(&[&[]]), "")];
    const NO_VALUE: &[Rule] = &[rule!(SYS_fcntl, When::Args(&[&[Arg { index: 1, is: Is::OneOf(&[]) }]]), "")];
    const NO_SUCH_ARGUMENT: &[Rule] = &[rule!(SYS_read, When::Args(&[&[one_of!(6, 0)]]), "")];
    const TWICE: &[Rule] = &[READ, READ];
    const TWO_CHILDREN: &[Rule] = &[rule!(
        SYS_kill,
        When::Args(&[&[Arg { index: 0, is: Is::TheChild }], &[Arg { index: 0, is: Is::TheChild }]]),
        ""
    )];
    for table in [NOTHING, NO_CONDITION, NO_VALUE, NO_SUCH_ARGUMENT, TWICE, TWO_CHILDREN] {
        assert!(catch_unwind(|| Program::of(&[table])).is_err(), "{table:?}");
    }
    assert!(catch_unwind(|| Program::of(&[&[READ], &[READ]])).is_err());
    const GOOD: &[Rule] = &[READ, rule!(SYS_fcntl, When::Args(&[&[flags!(0, 1, 6), one_of!(1, 3)]]), "")];
    assert!(Program::of(&[GOOD]).child.is_none());
}

#[test]
fn only_a_program_that_signals_is_told_whom() {
    assert!(calls::CHILD.with_child(CHILD).is_none());
    let unsaid = calls::monitor_program(ReadsFiles::No, UpdatesFile::No, Signs::No);
    for target in [0, u32::MAX, CHILD] {
        let arguments = [u64::from(target), libc::SIGKILL as u64, 0, 0, 0, 0];
        let call = Call { architecture: ARCHITECTURE, number: libc::SYS_kill as u32, arguments };
        assert!(!permits(unsaid, &call));
        assert_eq!(permits(&unsaid.with_child(CHILD).unwrap(), &call), target == CHILD);
    }
}
