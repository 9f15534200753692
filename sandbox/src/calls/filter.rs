//! Turns a table into a BPF program, while the crate is compiled: nothing of it is left for a delivery to do.
//!
//! The number of the call is looked up by halving: each step asks whether it is below that of a rule in the middle. The
//! kernel runs every program once for each of its calls when it is installed, so that a list of all numbers would cost more
//! than all else here. Trusts the tables; one that would permit more than it says (an empty list, two lines for one call)
//! does not compile.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "runs in the compiler and in tests: what is wrong is no program"
)]

use super::rule::{Arg, Is, Rule, When};
use libc::sock_filter;

/// Of linux/audit.h.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

// Offsets in `struct seccomp_data` of linux/seccomp.h; of an argument's lower half, on a little-endian machine.
const NUMBER: u32 = 0;
const ARCHITECTURE_OF_CALL: u32 = 4;
const ARGUMENTS: u32 = 16;
const ARGUMENT: u32 = 8;
const ARGUMENTS_OF_A_CALL: u8 = 6;

// linux/filter.h
const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_NOT_BELOW: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// More than any table has.
const MOST_RULES: usize = 64;
/// More than any program has; BPF_MAXINSNS is 4096.
const MOST_STEPS: usize = 512;

/// A BPF program. What it does not permit kills the process.
#[derive(Clone)]
pub(crate) struct Program {
    steps: [sock_filter; MOST_STEPS],
    length: usize,
    /// Where [`Is::TheChild`] is compared with, if it is.
    child: Option<usize>,
}

impl Program {
    /// For the rules of these tables.
    pub(super) const fn of(tables: &[&'static [Rule]]) -> Program {
        let rules = sorted(tables);
        let mut program = Program { steps: [step(RETURN, 0, 0, 0); MOST_STEPS], length: 0, child: None };
        program.push(step(LOAD, 0, 0, ARCHITECTURE_OF_CALL));
        // The calls of any other architecture. Those of x32 have numbers that are in no table.
        program.push(step(IF_EQUAL, 1, 0, ARCHITECTURE));
        program.kill();
        program.push(step(LOAD, 0, 0, NUMBER));
        program.among(&rules.0, 0, rules.1);
        program
    }

    /// The same with this process as the only one that may be signalled. None: it signals none.
    pub(crate) fn with_child(&self, child: u32) -> Option<Program> {
        let mut program = self.clone();
        program.steps.get_mut(self.child?)?.k = child;
        Some(program)
    }

    /// As the kernel wants it.
    pub(crate) fn steps(&self) -> &[sock_filter] {
        self.steps.get(..self.length).unwrap_or_default()
    }

    const fn push(&mut self, step: sock_filter) {
        self.steps[self.length] = step;
        self.length += 1;
    }

    const fn allow(&mut self) {
        self.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    }

    const fn kill(&mut self) {
        self.push(step(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS));
    }

    /// A jump whose end is not known yet.
    const fn jump(&mut self) -> usize {
        self.push(step(JUMP, 0, 0, 0));
        self.length - 1
    }

    /// The jump ends here.
    const fn land(&mut self, jump: usize) {
        self.steps[jump].k = (self.length - jump - 1) as u32;
    }

    /// The call is one of these rules', or of none.
    const fn among(&mut self, rules: &[&'static Rule; MOST_RULES], from: usize, to: usize) {
        if to - from == 1 {
            let rule = rules[from];
            self.push(step(IF_EQUAL, 1, 0, rule.call as u32));
            self.kill();
            return self.one(rule);
        }
        let middle = from + (to - from) / 2;
        self.push(step(IF_NOT_BELOW, 0, 1, rules[middle].call as u32));
        let upper_half = self.jump();
        self.among(rules, from, middle);
        self.land(upper_half);
        self.among(rules, middle, to);
    }

    /// The call is this rule's.
    const fn one(&mut self, rule: &'static Rule) {
        let When::Args(lists) = rule.when else { return self.allow() };
        assert!(!lists.is_empty(), "nothing is permitted");
        let mut list = 0;
        while list < lists.len() {
            self.all_of(lists[list]);
            list += 1;
        }
        self.kill();
    }

    /// Permits what meets all of these conditions, and goes on after itself with what does not.
    const fn all_of(&mut self, conditions: &'static [Arg]) {
        assert!(!conditions.is_empty(), "everything is permitted");
        let mut failures = [0; ARGUMENTS_OF_A_CALL as usize];
        let mut condition = 0;
        while condition < conditions.len() {
            failures[condition] = self.holds_or_jumps(&conditions[condition]);
            condition += 1;
        }
        self.allow();
        while condition > 0 {
            condition -= 1;
            self.land(failures[condition]);
        }
    }

    /// Goes on after itself if the condition holds. Gives the jump that is taken otherwise.
    const fn holds_or_jumps(&mut self, condition: &'static Arg) -> usize {
        assert!(condition.index < ARGUMENTS_OF_A_CALL, "no call has so many arguments");
        self.push(step(LOAD, 0, 0, ARGUMENTS + ARGUMENT * condition.index as u32));
        match &condition.is {
            Is::OneOf(values) => {
                assert!(!values.is_empty(), "nothing is permitted");
                let mut value = 0;
                while value < values.len() {
                    // Over the other values, and the jump.
                    let over = values.len() - value;
                    assert!(over <= u8::MAX as usize, "too many values");
                    self.push(step(IF_EQUAL, over as u8, 0, values[value].bits));
                    value += 1;
                }
            }
            Is::Not(value) => self.push(step(IF_EQUAL, 0, 1, value.bits)),
            Is::Flags { required, optional } => {
                self.push(step(AND, 0, 0, !optional.bits));
                self.push(step(IF_EQUAL, 1, 0, required.bits));
            }
            Is::TheChild => {
                assert!(self.child.is_none(), "the child is named once");
                self.child = Some(self.length);
                // Until it is said: what kill(2) takes for nobody.
                self.push(step(IF_EQUAL, 1, 0, i32::MIN as u32));
            }
        }
        self.jump()
    }
}

const fn step(code: u16, if_true: u8, if_false: u8, k: u32) -> sock_filter {
    sock_filter { code, jt: if_true, jf: if_false, k }
}

/// The rules of all tables by the number of the call, and how many there are.
const fn sorted(tables: &[&'static [Rule]]) -> ([&'static Rule; MOST_RULES], usize) {
    let mut rules = [&tables[0][0]; MOST_RULES];
    let (mut length, mut table) = (0, 0);
    while table < tables.len() {
        let mut line = 0;
        while line < tables[table].len() {
            let rule = &tables[table][line];
            let mut place = length;
            while place > 0 && rules[place - 1].call > rule.call {
                rules[place] = rules[place - 1];
                place -= 1;
            }
            assert!(place == 0 || rules[place - 1].call != rule.call, "two lines for one call");
            rules[place] = rule;
            length += 1;
            line += 1;
        }
        table += 1;
    }
    (rules, length)
}

#[cfg(test)]
mod tests;
