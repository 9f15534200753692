//! What the monitor may do beside [`common`](super::common): kill its child, and see it dead.

use super::rule::{Arg, Is, Rule, When, flags, is_not, one_of, rule};
use libc::{
    AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, F_GETFD, LOCK_EX, LOCK_NB, LOCK_UN, O_CLOEXEC, O_NONBLOCK, SIGKILL,
    STDIN_FILENO,
};

/// What a monitor that [reads files](crate::ReadsFiles) may do beside [`RULES`]. A path is behind a pointer, which a filter
/// cannot follow: any file that its user may read, and never for writing, which Landlock checks as well.
pub(super) const READS_FILES: &[Rule] = &[
    rule!(
        SYS_openat,
        When::Args(&[&[flags!(2, 0, O_CLOEXEC | O_NONBLOCK)]]),
        "control files and certificates that only the dialogue shows to be needed, for reading"
    ),
    rule!(
        SYS_newfstatat,
        When::Args(&[&[one_of!(3, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW)]]),
        "whether what was opened is a regular file, and what could not be opened a link that leads nowhere"
    ),
    rule!(SYS_fstat, When::Always, "the same, as C libraries before 2.33 ask"),
    rule!(
        SYS_statx,
        When::Args(&[&[flags!(2, AT_EMPTY_PATH, 0)]]),
        "the same, as Rust's library asks, and how large it is"
    ),
    rule!(SYS_lseek, When::Always, "Rust's library asks how much of a file is left"),
];

/// What both of the others need.
pub(super) const READS_PLACES: &[Rule] = &[rule!(
    SYS_pread64,
    When::Always,
    "places of a control file's index, and the content of the file that is updated"
)];

/// What a monitor that [updates a file](crate::UpdatesFile) may do beside [`RULES`] and [`READS_PLACES`].
pub(super) const UPDATES_FILE: &[Rule] = &[
    rule!(
        SYS_flock,
        When::Args(&[&[one_of!(1, LOCK_EX | LOCK_NB, LOCK_UN)]]),
        "the file that is updated, against other deliveries; never waiting for one that does not end"
    ),
    rule!(
        SYS_pwrite64,
        When::Args(&[&[is_not!(0, STDIN_FILENO)]]),
        "a record of the file that is updated, in its place; not the message"
    ),
];

/// What a monitor that [signs](crate::Signs) may do beside [`RULES`].
pub(super) const SIGNS: &[Rule] = &[
    rule!(
        SYS_getrandom,
        When::Args(&[&[one_of!(2, 0)]]),
        "OpenSSL's random numbers: salts, nonces, and blinding against who measures the time"
    ),
    #[cfg(target_arch = "x86_64")]
    rule!(
        SYS_time,
        When::Always,
        "the age of OpenSSL's random numbers, where the clock cannot be read without a call"
    ),
];

pub(super) const RULES: &[Rule] = &[
    rule!(
        SYS_kill,
        When::Args(&[&[Arg { index: 0, is: Is::TheChild }, one_of!(1, SIGKILL)]]),
        "a child that is silent or lies"
    ),
    rule!(SYS_wait4, When::Always, "how the child ended"),
    rule!(
        SYS_write,
        When::Args(&[&[is_not!(0, STDIN_FILENO)]]),
        "replies to the child, and the reports; not the message"
    ),
    rule!(
        SYS_fcntl,
        When::Args(&[&[one_of!(1, F_GETFD)]]),
        "Rust's library looks before it closes a descriptor, in builds with debug assertions"
    ),
    rule!(SYS_exit, When::Always, "the end of the only thread"),
];
