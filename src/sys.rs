//! The system calls that have no safe wrapper, and two names that OpenSSL was built with. Both processes.
//!
//! Trusts nothing and decides nothing: each function is one call. The rest of the program is free of
//! `unsafe`, but for `sealed`, the FFI of `network/tls` and the provider there.
#![expect(unsafe_code, reason = "calls without a safe wrapper; one per function")]

use std::ffi::{CStr, OsStr, c_char};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::unistd::{ForkResult, SysconfVar, sysconf};

/// fork(2). The caller has one thread; see [`crate::startup::single_threaded`].
pub(crate) fn fork() -> Result<ForkResult, Errno> {
    // SAFETY: fork may be called at any time; only what a child of a *multithreaded* process does
    // afterwards is restricted, and the caller has checked that there is one thread.
    unsafe { nix::unistd::fork() }
}

/// close_range(2) from `first` to the last descriptor there is.
pub(crate) fn close_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: close_range touches no memory. It invalidates descriptors; callers run it where no owner of a
    // descriptor from `first` on exists in our code.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    Errno::result(result).map(drop)
}

/// sigaction(2): the default action for `signal`.
pub(crate) fn default_action(signal: Signal) -> Result<(), Errno> {
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: sigaction is unsafe for handlers that run code; SIG_DFL runs none.
    unsafe { nix::sys::signal::sigaction(signal, &action) }.map(drop)
}

/// sigaction(2): `signal` is ignored.
pub(crate) fn ignore(signal: Signal) -> Result<(), Errno> {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: sigaction is unsafe for handlers that run code; SIG_IGN runs none.
    unsafe { nix::sys::signal::sigaction(signal, &action) }.map(drop)
}

/// clearenv(3): no environment variable is left, and its text not in memory.
pub(crate) fn clear_environment() -> Result<(), Errno> {
    unsafe extern "C" {
        static environ: *const *mut c_char;
    }
    // SAFETY: environ(7) is null, or an array of strings that a null ends. The kernel made them, in memory that can be
    // written; there is one thread, and the program has put no other strings there.
    let mut next = unsafe { environ };
    while !next.is_null() {
        // SAFETY: the end has not been passed.
        let Some(variable) = NonNull::new(unsafe { *next }) else { break };
        // SAFETY: a string that a NUL ends.
        let length = unsafe { libc::strlen(variable.as_ptr()) };
        // SAFETY: nobody else looks at it, and its NUL stays where it is.
        unsafe { variable.write_bytes(0, length) };
        // SAFETY: this was not the null at the end.
        next = unsafe { next.add(1) };
    }
    // SAFETY: clearenv races with other threads that read the environment; there is one thread.
    match unsafe { libc::clearenv() } {
        0 => Ok(()),
        _ => Err(Errno::ENOMEM),
    }
}

/// getauxval(3) of AT_SECURE: whether the kernel gave this process more than its caller has
/// (set-user-ID, set-group-ID or file capabilities).
pub(crate) fn is_privileged_exec() -> bool {
    // SAFETY: getauxval reads the auxiliary vector, which is there for the life of the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// tzset(3): reads the time zone, which the C library else does when a date is first converted, that of a certificate too.
pub(crate) fn load_time_zone() {
    unsafe extern "C" {
        safe fn tzset();
    }
    tzset();
}

/// Overwrites what was left below the caller's stack frame: vector registers with pieces of secrets, as library calls save
/// them. Whole pages of it are given back.
#[inline(never)]
pub(crate) fn wipe_stack() {
    /// More than look-ups and TLS use.
    const DEPTH: usize = 64 * 1024;
    let mut below = [0u8; DEPTH];
    give_back(std::hint::black_box(&mut below));
}

/// madvise(2), `MADV_DONTNEED`: the whole pages of a stretch of zeros of the stack take no memory until they are used again.
fn give_back(zeros: &mut [u8]) {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|size| usize::try_from(size).ok());
    let Some(page) = page.filter(|size| size.is_power_of_two()) else { return };
    let from_first = zeros.as_ptr().align_offset(page);
    let Some(rest) = zeros.get_mut(from_first..) else { return };
    let length = rest.len().saturating_sub(rest.len().checked_rem(page).unwrap_or(0));
    // SAFETY: whole pages of this stretch, which is the stack's and so private and anonymous, become zeros, as they are.
    // Where the kernel will not, they stay.
    let _ = unsafe { madvise(NonNull::from(rest).cast(), length, MmapAdvise::MADV_DONTNEED) };
}

/// The file of trusted certificates that OpenSSL was built to use (X509_get_default_cert_file(3)).
pub(crate) fn certificate_file() -> PathBuf {
    // SAFETY: takes nothing and returns a constant string.
    let name = unsafe { openssl_sys::X509_get_default_cert_file() };
    // SAFETY: the string is constant and ends in NUL.
    let name = unsafe { CStr::from_ptr(name) };
    OsStr::from_bytes(name.to_bytes()).into()
}

/// The hashed directory of trusted certificates that OpenSSL was built to use (X509_get_default_cert_dir(3)).
pub(crate) fn certificate_directory() -> PathBuf {
    // SAFETY: takes nothing and returns a constant string.
    let name = unsafe { openssl_sys::X509_get_default_cert_dir() };
    // SAFETY: the string is constant and ends in NUL.
    let name = unsafe { CStr::from_ptr(name) };
    OsStr::from_bytes(name.to_bytes()).into()
}

#[cfg(test)]
mod tests {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::wait::{WaitStatus, waitpid};

    use super::*;

    #[test]
    fn a_forked_child_leaves_with_the_status_it_names() {
        match fork().unwrap() {
            ForkResult::Child => sandbox::leave(7),
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 7));
            }
        }
    }

    #[test]
    fn close_from_leaves_only_the_descriptors_below() {
        match fork().unwrap() {
            ForkResult::Child => {
                let closed = close_from(3).is_ok();
                // The lowest free descriptor is what the next open gets.
                let next = nix::fcntl::open(
                    c"/dev/null",
                    nix::fcntl::OFlag::O_RDONLY,
                    nix::sys::stat::Mode::empty(),
                );
                let is_three = next.is_ok_and(|fd| std::os::fd::AsRawFd::as_raw_fd(&fd) == 3);
                sandbox::leave(if closed && is_three { 0 } else { 1 })
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
        }
    }

    #[test]
    fn an_ignored_signal_is_survived_and_a_default_one_is_not() {
        match fork().unwrap() {
            ForkResult::Child => {
                let ignored = ignore(Signal::SIGTERM).is_ok();
                let survived = nix::sys::signal::raise(Signal::SIGTERM).is_ok();
                let reset = default_action(Signal::SIGTERM).is_ok();
                if ignored && survived && reset {
                    let _ = nix::sys::signal::raise(Signal::SIGTERM);
                }
                sandbox::leave(1)
            }
            ForkResult::Parent { child } => {
                let died = WaitStatus::Signaled(child, Signal::SIGTERM, false);
                assert_eq!(waitpid(child, None).unwrap(), died);
            }
        }
    }

    /// Whether this holds in a child whose environment is cleared; it gets what the kernel showed of it before.
    fn once_cleared(holds: impl Fn(&[u8]) -> bool) -> bool {
        match fork().unwrap() {
            ForkResult::Child => {
                let before = std::fs::read("/proc/self/environ").unwrap_or_default();
                let is_well = !before.is_empty() && clear_environment().is_ok() && holds(&before);
                sandbox::leave(if is_well { 0 } else { 1 })
            }
            ForkResult::Parent { child } => waitpid(child, None).unwrap() == WaitStatus::Exited(child, 0),
        }
    }

    #[test]
    fn clear_environment_leaves_no_variable() {
        assert!(once_cleared(|_| std::env::vars_os().next().is_none()));
    }

    #[test]
    fn clear_environment_leaves_no_text() {
        let is_zeros = |text: &[u8]| text.iter().all(|&octet| octet == 0);
        assert!(once_cleared(|before| {
            std::fs::read("/proc/self/environ").is_ok_and(|it| it.len() == before.len() && is_zeros(&it))
        }));
    }

    #[test]
    fn a_wiped_stack_takes_no_memory() {
        #[inline(never)]
        fn use_stack() {
            std::hint::black_box(&mut [1u8; 48 * 1024]);
        }
        // How many pages of it the kernel has to give.
        let missing = || {
            let faults = || getrusage(UsageWho::RUSAGE_THREAD).unwrap().minor_page_faults();
            let before = faults();
            use_stack();
            faults() - before
        };
        // The first time it is new; the kernel may take a page back at any time.
        assert_eq!((0..5).map(|_| missing()).min(), Some(0));
        wipe_stack();
        assert!(missing() > 0);
    }

    #[test]
    fn the_time_zone_loads() {
        load_time_zone();
    }

    #[test]
    fn openssl_knows_its_trust_store() {
        assert!(certificate_file().is_absolute() && certificate_directory().is_absolute());
    }

    #[test]
    fn an_ordinary_exec_is_not_privileged() {
        assert!(!is_privileged_exec());
    }
}
