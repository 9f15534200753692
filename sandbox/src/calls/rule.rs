//! One line of a system call table. Plain data, so that documentation can be written from it.

use std::fmt;

/// One permitted system call. What no rule permits kills the process.
#[derive(Debug)]
pub struct Rule {
    /// The call's number on this architecture.
    pub call: libc::c_long,
    /// Its name, as in syscalls(2).
    pub name: &'static str,
    /// With which arguments.
    pub when: When,
    /// What the process needs it for.
    pub why: &'static str,
}

/// With which arguments a call is permitted.
#[derive(Debug)]
pub enum When {
    /// With any.
    Always,
    /// If all conditions of one of these lists hold.
    Args(&'static [&'static [Arg]]),
}

/// A condition on one argument. Only its lower 32 bits are looked at: every filtered argument is an `int`, an
/// `unsigned int` or a set of flags whose known members fit into 32 bits.
#[derive(Debug)]
pub struct Arg {
    /// Which argument, counted from 0.
    pub index: u8,
    /// What it must be.
    pub is: Is,
}

/// What an argument must be.
#[derive(Debug)]
pub enum Is {
    /// One of these numbers.
    OneOf(&'static [Value]),
    /// Any number but this.
    Not(Value),
    /// These flags.
    Flags {
        /// All of these must be set.
        required: Value,
        /// Any of these may be set, and no others.
        optional: Value,
    },
    /// The process id of the monitor's child.
    TheChild,
}

/// A number with the name it has in the manual.
#[derive(Debug)]
pub struct Value {
    /// The name.
    pub name: &'static str,
    /// The number.
    pub bits: u32,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("any arguments"),
            Self::Args(alternatives) => join(f, alternatives, "; or ", |f, all| {
                join(f, all, ", ", |f, arg| write!(f, "argument {} {}", arg.index, arg.is))
            }),
        }
    }
}

impl fmt::Display for Is {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(values) => {
                f.write_str("is ")?;
                join(f, values, " or ", |f, value| f.write_str(value.name))
            }
            Self::Not(value) => write!(f, "is not {}", value.name),
            Self::Flags { required, optional } if required.bits == 0 => {
                write!(f, "has no flags but {}", optional.name)
            }
            Self::Flags { required, optional } => {
                write!(f, "is {}, perhaps with {}", required.name, optional.name)
            }
            Self::TheChild => f.write_str("is the child's process id"),
        }
    }
}

/// Writes `items` with `separator` between them.
fn join<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    separator: &str,
    mut write: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            f.write_str(separator)?;
        }
        write(f, item)?;
    }
    Ok(())
}

/// `rule!(SYS_read, When, "why")`: the name cannot differ from the number.
macro_rules! rule {
    ($call:ident, $when:expr, $why:literal) => {
        $crate::calls::rule::Rule {
            call: libc::$call,
            name: stringify!($call).split_at("SYS_".len()).1,
            when: $when,
            why: $why,
        }
    };
}

/// `value!(AF_INET)`: a constant expression of libc's with its own text as its name.
macro_rules! value {
    ($value:expr) => {
        $crate::calls::rule::Value { name: stringify!($value), bits: ($value) as u32 }
    };
}

/// `one_of!(0, AF_INET, AF_INET6)`: argument 0 is one of these.
macro_rules! one_of {
    ($index:literal, $($value:expr),+) => {
        $crate::calls::rule::Arg {
            index: $index,
            is: $crate::calls::rule::Is::OneOf(&[$($crate::calls::rule::value!($value)),+]),
        }
    };
}

/// `is_not!(0, STDIN_FILENO)`: argument 0 is anything else.
macro_rules! is_not {
    ($index:literal, $value:expr) => {
        $crate::calls::rule::Arg {
            index: $index,
            is: $crate::calls::rule::Is::Not($crate::calls::rule::value!($value)),
        }
    };
}

/// `flags!(2, required, optional)`: argument 2 has the required flags, maybe the optional ones, and no others.
macro_rules! flags {
    ($index:literal, $required:expr, $optional:expr) => {
        $crate::calls::rule::Arg {
            index: $index,
            is: $crate::calls::rule::Is::Flags {
                required: $crate::calls::rule::value!($required),
                optional: $crate::calls::rule::value!($optional),
            },
        }
    };
}

pub(super) use {flags, is_not, one_of, rule, value};

#[cfg(test)]
mod tests {
    use crate::calls::{child_rules, monitor_rules};
    use crate::{ReadsFiles, Signs, UpdatesFile};

    #[test]
    fn conditions_read_like_the_manual() {
        let text = |name: &str| {
            let mut rules = child_rules().chain(monitor_rules(ReadsFiles::Yes, UpdatesFile::Yes, Signs::Yes));
            rules.find(|rule| rule.name == name).map(|rule| rule.when.to_string()).unwrap()
        };
        assert_eq!(text("read"), "any arguments");
        assert_eq!(text("writev"), "argument 0 is not STDIN_FILENO");
        assert_eq!(text("kill"), "argument 0 is the child's process id, argument 1 is SIGKILL");
        assert_eq!(text("mprotect"), "argument 2 has no flags but PROT_READ | PROT_WRITE");
        assert_eq!(text("getrandom"), "argument 2 is 0 or GRND_NONBLOCK or GRND_INSECURE");
    }
}
