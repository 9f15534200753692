//! Looks at the message on descriptor 0 before anything is connected. Monitor only.
//!
//! On a regular file a last line without its line feed is found here, if it matters to the protocol; on a pipe the
//! network child finds it at the end. Descriptor 0 may be anything that the caller left there.
#![forbid(unsafe_code)]

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::uio::pread;
use nix::unistd::{Whence, lseek};

use super::refusal::Refusal;
use crate::ipc::MessageFault;
use crate::plan::Protocol;

/// A message in a regular file: from the present offset to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePart {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub octets: u64,
}

/// What can be told of the message before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The part of a regular file; none for anything else.
    pub part: Option<FilePart>,
    /// Whether the last line of a regular file lacks its line feed.
    ends_in_mid_line: bool,
}

impl Message {
    /// Refuses what `protocol` cannot carry. SMTP knows lines only; QMTP takes any octets, and announces how many.
    pub fn fits(self, protocol: Protocol) -> Result<(), Refusal> {
        match (protocol, self) {
            (Protocol::Smtp, Message { ends_in_mid_line: true, .. }) => {
                Err(MessageFault::PartialLastLine.into())
            }
            (Protocol::Qmtp, Message { part: None, .. }) => Err(Refusal::MessageNotInFile),
            (Protocol::Smtp | Protocol::Qmtp, _) => Ok(()),
        }
    }
}

/// Refuses a message that cannot be read, as far as that can be told now.
pub fn inspect() -> Result<Message, MessageFault> {
    use MessageFault::Unreadable;
    let of = |part, ends_in_mid_line| Ok(Message { part, ends_in_mid_line });
    let stdin = std::io::stdin();
    let status = fstat(&stdin).map_err(|_| Unreadable)?;
    let flags = fcntl(&stdin, FcntlArg::F_GETFL).map_err(|_| Unreadable)?;
    let access = OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE;
    match SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFDIR => Err(Unreadable),
        _ if access == OFlag::O_WRONLY => Err(Unreadable),
        // What Rust's start-up code puts in the place of a closed descriptor: /dev/null, open for writing
        // too. Sending an empty message for it would lose the real one.
        SFlag::S_IFCHR if access == OFlag::O_RDWR && is_null_device(status.st_rdev) => Err(Unreadable),
        SFlag::S_IFREG => {
            let offset = lseek(&stdin, 0, Whence::SeekCur).map_err(|_| Unreadable)?;
            // An offset beyond the end is no empty message.
            let octets = u64::try_from(status.st_size.saturating_sub(offset)).map_err(|_| Unreadable)?;
            let part = FilePart { offset: u64::try_from(offset).map_err(|_| Unreadable)?, octets };
            let mut last = [0];
            if octets == 0 {
                // Some file systems make content when it is read, and call its size 0.
                return match pread(&stdin, &mut last, offset) {
                    Ok(0) => of(Some(part), false),
                    Ok(_) => of(None, false),
                    Err(_) => Err(Unreadable),
                };
            }
            match pread(&stdin, &mut last, status.st_size.saturating_sub(1)) {
                Ok(1) => of(Some(part), last != *b"\n"),
                Ok(_) | Err(_) => Err(Unreadable),
            }
        }
        _ => of(None, false),
    }
}

fn is_null_device(device: libc::dev_t) -> bool {
    (libc::major(device), libc::minor(device)) == (1, 3)
}
