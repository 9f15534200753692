//! The ways in which a process can be started, imitated by root before it is confined.

use nix::errno::Errno;
use nix::sys::prctl::{set_dumpable, set_keepcaps};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

/// An ordinary user, and a group and an account that a file's set-id bits could give.
const USER: u32 = 12345;
const EXTRA: u32 = 23456;

/// `asis`: nothing changes. `keepcaps`: capabilities do not fall with user id 0. `user`: an ordinary user with a
/// supplementary group. `usercaps`: that user, with capabilities. `setgid`, `setuid`: that user, started through a file
/// with that bit. `realroot`: root, started through a file that belongs to another and has the setuid bit. `handler`, for
/// everybody: with a handler for the signal by which a filter ends a process.
pub(crate) fn as_if(how: &str) -> Result<(), Errno> {
    let (gids, uids) = match how {
        "asis" => return Ok(()),
        "handler" => {
            let action = SigAction::new(SigHandler::Handler(go_on), SaFlags::empty(), SigSet::empty());
            // SAFETY: the handler is a function of this program that touches nothing.
            return unsafe { sigaction(Signal::SIGSYS, &action) }.map(drop);
        }
        "keepcaps" => return set_keepcaps(true),
        "user" | "usercaps" => ([USER, USER, USER], [USER, USER, USER]),
        "setgid" => ([USER, EXTRA, EXTRA], [USER, USER, USER]),
        "setuid" => ([USER, USER, USER], [USER, EXTRA, EXTRA]),
        "realroot" => ([0, 0, 0], [0, USER, USER]),
        _ => return Err(Errno::EINVAL),
    };
    set_keepcaps(how == "usercaps")?;
    let [real, effective, saved] = gids.map(Gid::from_raw);
    setgroups(&[Gid::from_raw(USER), Gid::from_raw(54321)])?;
    setresgid(real, effective, saved)?;
    let [real, effective, saved] = uids.map(Uid::from_raw);
    setresuid(real, effective, saved)?;
    // A change of ids takes this away, and a start of a program gives it back.
    set_dumpable(true)
}

extern "C" fn go_on(_: libc::c_int) {}
