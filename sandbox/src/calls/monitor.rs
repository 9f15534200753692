//! What the monitor may do beside [`common`](super::common): kill its child, and see it dead.

use super::rule::{Arg, Is, Rule, When, one_of, rule};
use libc::{F_GETFD, SIGKILL};

pub(super) const RULES: &[Rule] = &[
    rule!(
        SYS_kill,
        When::Args(&[&[Arg { index: 0, is: Is::TheChild }, one_of!(1, SIGKILL)]]),
        "a child that is silent or lies"
    ),
    rule!(SYS_wait4, When::Always, "how the child ended"),
    rule!(
        SYS_fcntl,
        When::Args(&[&[one_of!(1, F_GETFD)]]),
        "Rust's library looks before it closes a descriptor, in builds with debug assertions"
    ),
    rule!(SYS_exit, When::Always, "the end of the only thread"),
];
