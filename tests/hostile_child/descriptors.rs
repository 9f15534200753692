//! Scripts that try what the child's descriptors are good for.
#![expect(unsafe_code, reason = "tries descriptors by their numbers, whether they are open or not")]

use std::io::IoSlice;
use std::os::fd::{BorrowedFd, RawFd};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use qmail_remote::ipc::child_end::{ChildEnd, MESSAGE_PIPE};
use qmail_remote::ipc::{Claim, Message, Step};
use sandbox::ChildProfile;

use crate::program::{claim, connected, replied};

/// What a forger would like qmail-rspawn to read.
const FORGED: &[u8] = b"Kdelivered, trust me\n\0";

/// Plays the script if it is one of these. What it found out is the text of a refusal, by which a test sees it.
pub(crate) fn attack(script: &str, profile: &ChildProfile, monitor: &mut ChildEnd) {
    let confine = || sandbox::confine_child(profile).unwrap();
    let found = match script {
        "write-to-every-descriptor" => {
            confine();
            format!("{:?}", taking(FORGED))
        }
        // Nothing is in it, and nothing changes: only who could is found.
        "find-writable-descriptors" => format!("{:?}", taking(b"")),
        "descriptor-passing" => format!("{:?}", pass_a_descriptor()),
        "descriptor-passing-confined" => {
            confine();
            format!("{:?}", pass_a_descriptor())
        }
        _ => return,
    };
    monitor.ask_to_begin();
    let refusal = replied(Step::Greeting, &format!("421 {found}"));
    for message in [connected(), refusal, claim(Claim::Exhausted)] {
        let Message::Claim(claim) = message else { return };
        monitor.claim(claim);
    }
    monitor.flush();
    sandbox::leave(0);
}

/// The descriptors, but for the pipe to the monitor, to which `octets` can be written.
fn taking(octets: &[u8]) -> Vec<RawFd> {
    let takes = |number: &RawFd| {
        // SAFETY: the number is used for one write(2), which fails when it is no open descriptor.
        let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
        nix::unistd::write(descriptor, octets).is_ok()
    };
    (0..1024).filter(|number| *number != MESSAGE_PIPE).filter(takes).collect()
}

fn pass_a_descriptor() -> nix::Result<usize> {
    let rights = [ControlMessage::ScmRights(&[0])];
    sendmsg::<()>(MESSAGE_PIPE, &[IoSlice::new(FORGED)], &rights, MsgFlags::empty(), None)
}
