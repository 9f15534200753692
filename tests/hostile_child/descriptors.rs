//! Scripts that try what the child's descriptors are good for, those that it has and those that it can get: sockets.
#![expect(unsafe_code, reason = "tries descriptors by their numbers, whether they are open or not")]

use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, SockaddrIn, bind, connect, sendmsg, socket,
};
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
        script if script.starts_with("tcp-") => {
            let found = tcp(&script["tcp-".len()..], confine);
            format!("{found:?}")
        }
        "write-to-every-descriptor" => {
            confine();
            format!("{:?}", taking(1, FORGED))
        }
        "write-to-the-message" => {
            confine();
            format!("{:?}", taking(0, FORGED))
        }
        "write-to-a-copy-of-the-message" => {
            confine();
            let copied = fcntl(std::io::stdin(), FcntlArg::F_DUPFD_CLOEXEC(5));
            format!("{:?}", copied.map(|first| taking(first, FORGED)))
        }
        // Nothing is in it, and nothing changes: only who could is found.
        "find-writable-descriptors" => format!("{:?}", taking(0, b"")),
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

/// The descriptors from `first` on, but for the pipe to the monitor, to which `octets` can be written.
fn taking(first: RawFd, octets: &[u8]) -> Vec<RawFd> {
    let takes = |number: &RawFd| {
        // SAFETY: the number is used for one write(2), which fails when it is no open descriptor.
        let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
        nix::unistd::write(descriptor, octets).is_ok()
    };
    (first..1024).filter(|number| *number != MESSAGE_PIPE).filter(takes).collect()
}

/// What comes of `connect-PORT` or `bind-PORT`, on the address that the scripts say to be connected to. A connection that is
/// on its way, or that nobody takes, has been permitted.
fn tcp(what: &str, confine: impl Fn()) -> nix::Result<()> {
    let (call, port) = what.split_once('-').unwrap();
    let address = SockaddrIn::new(192, 0, 2, 1, port.parse().unwrap());
    confine();
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    let result = match call {
        "connect" => connect(socket.as_raw_fd(), &address),
        _ => bind(socket.as_raw_fd(), &address),
    };
    match result {
        Err(Errno::EINPROGRESS | Errno::ECONNREFUSED) => Ok(()),
        result => result,
    }
}

fn pass_a_descriptor() -> nix::Result<usize> {
    let rights = [ControlMessage::ScmRights(&[0])];
    sendmsg::<()>(MESSAGE_PIPE, &[IoSlice::new(FORGED)], &rights, MsgFlags::empty(), None)
}
