//! Why a process could not be confined. Runs in both processes; every value means "exit".

use crate::step::Step;
use nix::errno::Errno;
use std::fmt;

/// A process is not confined, and must not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The user database has no such account.
    NoSuchAccount {
        /// The account that was asked for.
        name: String,
    },
    /// The identity to take on is the superuser's, or has its group.
    Privileged,
    /// The kernel (or, for [`Step::Account`], the user database) refused a step.
    Refused {
        /// What was being done.
        step: Step,
        /// What the system said.
        errno: Errno,
    },
    /// A step reported success, and reading back shows otherwise.
    Ineffective {
        /// What was being done.
        step: Step,
    },
    /// The monitor is gone: nobody would read what the child says, or kill it.
    Orphan,
}

impl Error {
    /// The step that failed: all that a child tells its monitor.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self {
            Self::NoSuchAccount { .. } | Self::Privileged => Step::Account,
            Self::Refused { step, .. } | Self::Ineffective { step } => *step,
            Self::Orphan => Step::Parent,
        }
    }

    /// For `map_err`: the refusal of `step`.
    pub(crate) fn refused(step: Step) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Refused { step, errno }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchAccount { name } => {
                write!(f, "there is no account {name:?}: create it, or do not start this program as root")
            }
            Self::Privileged => f.write_str(
                "the network process would run with user id 0 or group id 0: give its account ids of its own",
            ),
            Self::Refused { step, errno } => {
                write!(f, "{step}: the system refused ({errno}){}", remedy(*step))
            }
            Self::Ineffective { step } => {
                write!(f, "{step}: the system agreed, but nothing changed{}", remedy(*step))
            }
            Self::Orphan => f.write_str("the monitor is gone: nothing to do"),
        }
    }
}

impl std::error::Error for Error {}

/// What an administrator can do about it.
const fn remedy(step: Step) -> &'static str {
    match step {
        Step::Account => ": check the user database (/etc/passwd, nsswitch.conf)",
        Step::Root => ": mount /proc, and leave root the capability CAP_SYS_CHROOT",
        Step::Groups | Step::GroupId => {
            ": leave root the capability CAP_SETGID, and map the account's group in its user namespace"
        }
        Step::UserId => ": leave root the capability CAP_SETUID, and map the account in its user namespace",
        Step::Seccomp => ": the kernel needs CONFIG_SECCOMP_FILTER (Linux 4.14 or later)",
        Step::Regain => {
            ": privileges were not given up for good; look for unusual securebits or a security module"
        }
        Step::Capabilities => {
            ": leave a start by root the capability CAP_KILL; else look for a container or a security module that interferes"
        }
        Step::BoundingSet
        | Step::Dumpable
        | Step::DeathSignal
        | Step::Parent
        | Step::NoNewPrivileges
        | Step::Limits
        | Step::Landlock => ": look for a container or a security module that interferes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_to_do() {
        let error = Error::NoSuchAccount { name: "nobody\n".to_owned() };
        assert!(error.to_string().contains(r#""nobody\n": create it"#));
        for step in Step::ALL {
            assert!(Error::Ineffective { step: *step }.to_string().contains(": "));
            assert_eq!(Error::refused(*step)(Errno::EPERM).step(), *step);
        }
    }
}
