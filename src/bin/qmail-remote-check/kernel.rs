//! `sandbox`: what this kernel offers, and what the program would make of it.
#![forbid(unsafe_code)]

use std::fs;

use qmail_remote::monitor::refusal::ACCOUNT;
use sandbox::{Identity, landlock_abi};

use crate::{Findings, row};

/// Describes kernel and identity.
pub(crate) fn describe() -> Findings {
    let mut text = String::new();
    let mut well = true;

    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    let seccomp = actions.split_whitespace().any(|action| action == "kill_process");
    text += &row("seccomp", if seccomp { "yes" } else { "no: every delivery will be put off" });
    well &= seccomp;

    text += &row(
        "Landlock",
        match landlock_abi() {
            None => "no: TCP ports are not restricted".to_owned(),
            Some(version @ ..4) => format!("version {version}: files, but not TCP ports"),
            Some(version @ 4..6) => format!("version {version}: files and TCP ports"),
            Some(version) => format!("version {version}: files, TCP ports, signals and abstract sockets"),
        },
    );
    let mounted = fs::metadata("/proc/self/task").is_ok();
    text += &row("/proc", if mounted { "yes" } else { "no: every delivery will be put off" });
    well &= mounted;

    text += &row(
        "runs as",
        match Identity::choose(ACCOUNT) {
            Ok(Identity::Invoker) => {
                "the user who starts it, without groups that a setgid bit gives".to_owned()
            }
            Ok(Identity::Account { uid, gid }) => {
                format!(
                    "{ACCOUNT} (uid {uid}, gid {gid}) in an empty root directory, when started by this user"
                )
            }
            Err(error) => {
                well = false;
                format!("nobody: {error}")
            }
        },
    );
    Findings { text, well }
}
