//! Confinement of two processes: a privileged *monitor*, and the *network child* it forks.
//!
//! The child is assumed to fall to whoever it talks to. What is left to its attacker is then the
//! list in [`child_rules`]: sockets of two families, the descriptors it was given, its own memory.
//! The monitor reads what a fallen child writes, so it is confined too ([`monitor_rules`]): it can
//! answer, and it can kill that one child.
//!
//! Nothing here knows what the processes talk about. Everything that varies is a [`ChildProfile`],
//! decided before the fork by the caller, whose values are trusted. The environment, the command line and
//! files are not looked at, with one exception: [`Identity::choose`] asks the user database.
//!
//! Failure is an [`Error`] and means: exit. There is no "continue without". The one thing taken as it
//! comes is Landlock, because kernels without it are still in service; see [`landlock_abi`].
//!
//! Two things are left to the caller. Both processes must have one thread only. And after confinement
//! both must end through [`leave`]: a return from `main` runs exit code that is not in the tables,
//! and dies of it.

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("the system call tables cover Linux on x86_64 and aarch64 (64 bit) only: add a table first");

mod calls;
mod capabilities;
mod child;
mod domain;
mod error;
mod identity;
mod limits;
mod monitor;
mod step;
mod sys;

pub use calls::{Arg, Is, Rule, Value, When, child_rules, monitor_rules};
pub use child::{ChildProfile, confine_child};
pub use domain::landlock_abi;
pub use error::Error;
pub use identity::Identity;
pub use monitor::{ReadsFiles, Signs, UpdatesFile, confine_monitor};
pub use step::Step;
pub use sys::leave;
