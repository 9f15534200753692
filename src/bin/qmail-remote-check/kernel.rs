//! `sandbox`: what this kernel offers, and what the program would make of it.
#![forbid(unsafe_code)]

use std::fs;

use qmail_remote::monitor::control::HOME;
use qmail_remote::monitor::refusal::ACCOUNT;
use qmail_remote::sealed::Sealed;
use sandbox::{Identity, landlock_abi};

use crate::{Findings, row};

/// As much as the lines and files of one delivery usually have, in octets.
const PASSWORDS_AND_KEYS: usize = 64 * 1024;

const USERS_MAY: &str = "ordinary users make their own; deliveries do not need them, the tests do";
const USERS_MAY_NOT: &str = "for root alone; deliveries do not need them, the tests do";

/// Whether a user without privilege may make a user namespace, as far as the kernel's settings say.
fn users_make_namespaces() -> bool {
    let setting = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).ok();
    let is = |name: &str, value: &str| setting(name).is_some_and(|text| text.trim() == value);
    setting("user/max_user_namespaces").is_some_and(|most| most.trim() != "0")
        // Of Debian, and of Ubuntu.
        && !is("kernel/unprivileged_userns_clone", "0")
        && !is("kernel/apparmor_restrict_unprivileged_userns", "1")
}

/// Describes kernel and identity.
pub(crate) fn describe() -> Findings {
    let mut text = String::new();
    let mut well = true;
    text += &row("home", format!("{HOME}, fixed when this program was built"));

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
    text += &row("namespaces", if users_make_namespaces() { USERS_MAY } else { USERS_MAY_NOT });
    let mounted = fs::metadata("/proc/self/task").is_ok();
    text += &row("/proc", if mounted { "yes" } else { "no: every delivery will be put off" });
    well &= mounted;

    let is_locked = Sealed::zeroed(PASSWORDS_AND_KEYS).is_ok_and(|sealed| sealed.is_locked());
    let limit = "may be swapped out: the limit of locked memory (ulimit -l) has no room for them";
    text +=
        &row("secrets", if is_locked { "passwords and files of keys are not swapped out" } else { limit });

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
