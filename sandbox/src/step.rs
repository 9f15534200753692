//! The steps of confinement, as one byte: what a child may say about its failure over a pipe.
//!
//! Runs in both processes. The reader of that byte trusts nothing: an unknown number is an error value.

use std::fmt;

macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident = $number:literal $text:literal,)+) => {
        /// A step of [`confine_child`](crate::confine_child), [`confine_monitor`](crate::confine_monitor) or
        /// [`Identity::choose`](crate::Identity::choose). Converts to and from `u8`; 0 is no step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Step {
            $($(#[$doc])* $step = $number,)+
        }

        impl Step {
            /// Every step, in the order in which a child takes them.
            pub const ALL: &[Self] = &[$(Self::$step),+];

            /// A short fixed name, fit for a report line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$step => $text,)+
                }
            }
        }

        impl From<Step> for u8 {
            fn from(step: Step) -> Self {
                match step {
                    $(Step::$step => $number,)+
                }
            }
        }
    };
}

steps! {
    /// Looking up the account to become.
    Account = 1 "account",
    /// Emptying the capability bounding set.
    BoundingSet = 2 "bounding set",
    /// Changing the root directory to one that holds nothing.
    Root = 3 "root directory",
    /// Giving up the supplementary groups.
    Groups = 4 "supplementary groups",
    /// Giving up the group ids.
    GroupId = 5 "group id",
    /// Giving up the user ids.
    UserId = 6 "user id",
    /// Emptying the capability sets.
    Capabilities = 7 "capabilities",
    /// Trying to get back what was given up, which must fail.
    Regain = 8 "regain",
    /// Denying inspection by other processes of the same user.
    Dumpable = 9 "dumpable",
    /// Dying with the monitor.
    DeathSignal = 10 "death signal",
    /// Finding the monitor still there.
    Parent = 11 "parent",
    /// Renouncing privileges by execve.
    NoNewPrivileges = 12 "no new privileges",
    /// Lowering the resource limits.
    Limits = 13 "resource limits",
    /// Entering the Landlock domain.
    Landlock = 14 "landlock",
    /// Installing the system call filter.
    Seccomp = 15 "seccomp",
}

/// The byte is no step's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStep;

impl fmt::Display for UnknownStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the number of a confinement step: do not believe its sender")
    }
}

impl std::error::Error for UnknownStep {}

impl TryFrom<u8> for Step {
    type Error = UnknownStep;

    fn try_from(number: u8) -> Result<Self, UnknownStep> {
        Self::ALL.iter().copied().find(|step| u8::from(*step) == number).ok_or(UnknownStep)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_survives_the_trip_over_a_byte() {
        for step in Step::ALL {
            assert_eq!(Step::try_from(u8::from(*step)), Ok(*step));
        }
    }

    #[test]
    fn bytes_that_are_no_step_are_refused() {
        let known = Step::ALL.len();
        assert_eq!((0..=u8::MAX).filter(|byte| Step::try_from(*byte).is_ok()).count(), known);
        assert_eq!(Step::try_from(0), Err(UnknownStep));
    }
}
