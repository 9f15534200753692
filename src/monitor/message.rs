//! Looks at the message on descriptor 0 before anything is connected. Monitor only.
//!
//! On a regular file a last line without its line feed is found here; on a pipe the network child finds
//! it at the end. Descriptor 0 may be anything that the caller left there.
#![forbid(unsafe_code)]

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::uio::pread;
use nix::unistd::{Whence, lseek};

use crate::ipc::MessageFault;

/// A message in a regular file: from the present offset to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePart {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub octets: u64,
}

/// Refuses a message that cannot be read or that SMTP cannot carry, as far as that can be told now. Gives
/// the part of a regular file; none for anything else.
pub fn inspect() -> Result<Option<FilePart>, MessageFault> {
    use MessageFault::{PartialLastLine, Unreadable};
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
            if octets == 0 {
                return Ok(Some(part));
            }
            let mut last = [0];
            match pread(&stdin, &mut last, status.st_size.saturating_sub(1)) {
                Ok(1) if last == *b"\n" => Ok(Some(part)),
                Ok(1) => Err(PartialLastLine),
                Ok(_) | Err(_) => Err(Unreadable),
            }
        }
        _ => Ok(None),
    }
}

fn is_null_device(device: libc::dev_t) -> bool {
    (libc::major(device), libc::minor(device)) == (1, 3)
}
