//! Memory for secrets: what the monitor reads of passwords and keys, and nobody else gets.
//!
//! Monitor only. A private mapping of its own that the network child sees as zeros (`MADV_WIPEONFORK`), that no core
//! dump holds (`MADV_DONTDUMP`), that stays out of swap as far as `RLIMIT_MEMLOCK` allows, and that is wiped before it
//! is given back. Read into it with read(2), and parse in place: a copy made elsewhere has none of this.
//!
//! A confined monitor may not make one (its system calls are not in its table): secrets are read before the fork.
#![expect(unsafe_code, reason = "memory with properties that no allocator gives")]

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize;

/// Octets that a child of fork(2) does not inherit.
pub struct Sealed {
    start: NonNull<u8>,
    /// How many octets are mapped, a multiple of [`UNIT`]; the kernel rounds up to its pages.
    mapped: NonZeroUsize,
    /// How many of them are in use.
    length: usize,
    is_locked: bool,
}

/// The smallest page that Linux has.
const UNIT: usize = 4096;

impl Sealed {
    /// `length` zeros. An error when the system cannot keep them from a child or from a core dump; memory that cannot be
    /// locked is none, see [`Sealed::is_locked`].
    pub fn zeroed(length: usize) -> io::Result<Sealed> {
        let mapped = length.max(1).checked_next_multiple_of(UNIT).and_then(NonZeroUsize::new);
        let mapped = mapped.ok_or(io::ErrorKind::OutOfMemory)?;
        let (access, kind) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
        // SAFETY: mmap without MAP_FIXED and without a file makes a new mapping and touches no other.
        let start = unsafe { mmap_anonymous(None, mapped, access, kind) }?;
        // From here on it is unmapped when anything fails.
        let mut sealed = Sealed { start: start.cast(), mapped, length, is_locked: false };
        for advice in [MmapAdvise::MADV_WIPEONFORK, MmapAdvise::MADV_DONTDUMP] {
            // SAFETY: the range is our own private anonymous mapping, and these advices leave its content as it is.
            unsafe { madvise(start, mapped.get(), advice) }?;
        }
        // SAFETY: mlock changes where pages may be, not what they hold; the range is our own mapping.
        sealed.is_locked = unsafe { mlock(start, mapped.get()) }.is_ok();
        Ok(sealed)
    }

    /// The same octets, sealed.
    pub fn copy_of(octets: &[u8]) -> io::Result<Sealed> {
        let mut sealed = Sealed::zeroed(octets.len())?;
        sealed.copy_from_slice(octets);
        Ok(sealed)
    }

    /// All of a file, by read(2) straight into place. An error when it is longer than `limit` or grows meanwhile.
    pub fn of_file(mut file: &File, limit: usize) -> io::Result<Sealed> {
        let too_large = || io::Error::from(io::ErrorKind::FileTooLarge);
        let length = usize::try_from(file.metadata()?.len()).ok().filter(|&length| length <= limit);
        // One octet more, to see the end.
        let room = length.and_then(|length| length.checked_add(1)).ok_or_else(too_large)?;
        let mut sealed = Sealed::zeroed(room)?;
        let mut filled = 0usize;
        loop {
            match file.read(sealed.get_mut(filled..).unwrap_or_default()) {
                Ok(0) if filled < room => break,
                Ok(0) => return Err(too_large()),
                Ok(count) => filled = filled.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        sealed.truncate(filled);
        Ok(sealed)
    }

    /// Holds `octets` instead of what it held, which is wiped; in the same place when they fit.
    pub fn replace(&mut self, octets: &[u8]) -> io::Result<()> {
        if octets.len() > self.mapped.get() {
            *self = Sealed::zeroed(octets.len())?;
        }
        self.truncate(0);
        self.length = octets.len();
        self.copy_from_slice(octets);
        Ok(())
    }

    /// Only the first `length` octets are in use from now on; what is behind them is wiped.
    pub fn truncate(&mut self, length: usize) {
        if let Some(rest) = self.get_mut(length..) {
            rest.zeroize();
            self.length = length;
        }
    }

    /// Whether the pages stay out of swap: `RLIMIT_MEMLOCK` had room for them, or the user has CAP_IPC_LOCK.
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }
}

impl Deref for Sealed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` octets at `start` are mapped readable, initialised by the kernel with zeros, and ours alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Sealed {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`; they are writable too, and `&mut self` is the only way to them.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        // What is behind `length` has been wiped when it was given up.
        self.zeroize();
        // SAFETY: the range is the mapping made by `zeroed`, unmapped nowhere else, and no reference to it outlives `self`.
        let _ = unsafe { munmap(self.start.cast(), self.mapped.get()) };
    }
}

impl PartialEq for Sealed {
    fn eq(&self, other: &Sealed) -> bool {
        **self == **other
    }
}

impl Eq for Sealed {}

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Sealed {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::sys::resource::{Resource, setrlimit};
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, Uid, geteuid, setuid};

    use super::*;

    /// Whether a child of fork(2) finds this so.
    fn in_a_child(found: impl FnOnce() -> bool) -> bool {
        match crate::sys::fork().unwrap() {
            ForkResult::Child => sandbox::leave(if found() { 7 } else { 1 }),
            ForkResult::Parent { child } => waitpid(child, None).unwrap() == WaitStatus::Exited(child, 7),
        }
    }

    #[test]
    fn a_child_sees_zeros_and_the_parent_keeps_its_own() {
        let sealed = Sealed::copy_of(b"xyzzy").unwrap();
        let large = Sealed::copy_of(&[b'x'; 100_000]).unwrap();
        assert!(in_a_child(|| *sealed == [0; 5] && large.iter().all(|&octet| octet == 0)));
        assert_eq!(*sealed, *b"xyzzy");
        assert!(large.iter().all(|&octet| octet == b'x'));
    }

    #[test]
    fn the_kernel_knows_that_they_are_not_to_be_dumped_nor_inherited() {
        let sealed = Sealed::copy_of(&[1; 5000]).unwrap();
        let start = format!("{:x}-", sealed.as_ptr().addr());
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let ours = maps.lines().skip_while(|line| !line.starts_with(&start));
        let flags = ours.into_iter().find_map(|line| line.strip_prefix("VmFlags:")).unwrap();
        let has = |flag| flags.split_whitespace().any(|other| other == flag);
        assert!(has("wf") && has("dd"), "{flags}");
        assert_eq!(has("lo"), sealed.is_locked(), "{flags}");
    }

    #[test]
    fn what_cannot_be_locked_says_so_and_serves_as_well() {
        // Within the smallest limit that was ever usual, 64 KiB, a password has room.
        assert!(Sealed::zeroed(4096).unwrap().is_locked());
        assert!(in_a_child(|| {
            // Root may lock whatever the limit is.
            let is_ordinary = !geteuid().is_root() || setuid(Uid::from_raw(65_534)).is_ok();
            let limited = setrlimit(Resource::RLIMIT_MEMLOCK, 0, 0).is_ok();
            let sealed = Sealed::copy_of(b"xyzzy");
            is_ordinary && limited && sealed.is_ok_and(|sealed| !sealed.is_locked() && *sealed == *b"xyzzy")
        }));
    }

    #[test]
    fn what_is_given_up_is_wiped() {
        let mut sealed = Sealed::copy_of(b"user|secret").unwrap();
        sealed.truncate(4);
        assert_eq!(*sealed, *b"user");
        sealed.length = 11;
        assert_eq!(*sealed, *b"user\0\0\0\0\0\0\0");
        sealed.truncate(400);
        assert_eq!(sealed.len(), 11, "there is no more to give up");
    }

    #[test]
    fn what_is_replaced_is_wiped_and_leaves_its_place_when_it_must() {
        let mut sealed = Sealed::copy_of(b"secret").unwrap();
        let place = sealed.as_ptr();
        sealed.replace(b"user").unwrap();
        assert_eq!((&*sealed, sealed.as_ptr()), (&b"user"[..], place));
        sealed.replace(&[b'x'; UNIT]).unwrap();
        assert_eq!((sealed.len(), sealed.as_ptr()), (UNIT, place));
        sealed.replace(b"user").unwrap();
        sealed.length = 6;
        assert_eq!(*sealed, *b"user\0\0");
        sealed.replace(&[b'y'; UNIT + 1]).unwrap();
        assert_eq!(*sealed, [b'y'; UNIT + 1]);
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let mut file = tempfile::tempfile().unwrap();
        let read = |file: &File, limit| {
            io::Seek::rewind(&mut { file }).unwrap();
            Sealed::of_file(file, limit).map(|sealed| sealed.to_vec()).map_err(|error| error.kind())
        };
        assert_eq!(read(&file, 10), Ok(Vec::new()));
        file.write_all(b"0123456789").unwrap();
        assert_eq!(read(&file, 10), Ok(b"0123456789".to_vec()));
        assert_eq!(read(&file, 9), Err(io::ErrorKind::FileTooLarge));
        // A file that has more to give than it said.
        assert_eq!(read(&File::open("/proc/self/status").unwrap(), 10), Err(io::ErrorKind::FileTooLarge));
    }

    #[test]
    fn it_is_not_printed() {
        assert_eq!(format!("{:?}", Sealed::copy_of(b"xyzzy").unwrap()), "Sealed(..)");
    }
}
