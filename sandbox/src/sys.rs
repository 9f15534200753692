//! The system calls that no safe wrapper offers. Runs in both processes; trusts nothing but the kernel.
//!
//! The only file of this crate with `unsafe` in it. Every function turns a failure into an `Errno`.

#![expect(
    unsafe_code,
    reason = "capget, four prctl options, seccomp, the Landlock version and _exit have no safe wrapper"
)]

use nix::errno::Errno;
use std::ptr;

/// `_LINUX_CAPABILITY_VERSION_3` of `linux/capability.h`: sets of 64 bits, in two halves.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
/// `LANDLOCK_CREATE_RULESET_VERSION` of `linux/landlock.h`.
const LANDLOCK_VERSION_QUERY: libc::c_uint = 1;

/// `struct __user_cap_header_struct` of `linux/capability.h`.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct` of `linux/capability.h`: one half.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The three sets of the calling thread, one bit a capability, those without a name here included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CapabilitySets {
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
}

/// capget(2) of the calling thread.
pub(crate) fn capabilities() -> Result<CapabilitySets, Errno> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [CapabilityData::default(); 2];
    // SAFETY: capget(2) reads and may write one header, and for version 3 writes two data structures; both pointers
    // are to live, exclusively borrowed objects of that layout and number.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    Errno::result(result)?;
    let [low, high] = data;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(CapabilitySets {
        effective: join(low.effective, high.effective),
        permitted: join(low.permitted, high.permitted),
        inheritable: join(low.inheritable, high.inheritable),
    })
}

/// Whether capability number `capability` is in the bounding set. `EINVAL`: the kernel has no such capability.
pub(crate) fn bounding_set_has(capability: libc::c_ulong) -> Result<bool, Errno> {
    let unused: libc::c_ulong = 0;
    // SAFETY: prctl(PR_CAPBSET_READ) takes a number and touches no memory of the caller.
    let result = unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, unused, unused, unused) };
    Errno::result(result).map(|present| present != 0)
}

/// Takes capability number `capability` out of the bounding set. `EINVAL`: the kernel has no such capability.
pub(crate) fn bounding_set_drop(capability: libc::c_ulong) -> Result<(), Errno> {
    let unused: libc::c_ulong = 0;
    // SAFETY: prctl(PR_CAPBSET_DROP) takes a number and touches no memory of the caller.
    let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, unused, unused, unused) };
    Errno::result(result).map(drop)
}

/// The Landlock version that the kernel offers, as landlock_create_ruleset(2) numbers them.
pub(crate) fn landlock_version() -> Result<libc::c_long, Errno> {
    let (no_attributes, no_size): (*const libc::c_void, libc::size_t) = (ptr::null(), 0);
    // SAFETY: with the version flag, landlock_create_ruleset(2) demands a null pointer and size 0, reads nothing and
    // opens nothing.
    let result = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, no_attributes, no_size, LANDLOCK_VERSION_QUERY)
    };
    Errno::result(result)
}

/// seccomp(2): from now on the program of these steps decides about the calls of every thread (there is one), for good.
/// Needs no_new_privs.
pub(crate) fn install_filter(steps: &[libc::sock_filter]) -> Result<(), Errno> {
    let len = u16::try_from(steps.len()).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len, filter: steps.as_ptr().cast_mut() };
    let flags = libc::SECCOMP_FILTER_FLAG_TSYNC;
    // SAFETY: seccomp(SECCOMP_SET_MODE_FILTER) reads a program and as many steps as it says; both live through the call, and
    // nothing is written to them.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    match Errno::result(result)? {
        0 => Ok(()),
        // The id of a thread that cannot follow.
        _ => Err(Errno::EBUSY),
    }
}

/// Ends the process at once with `status`: the way out of a confined process.
///
/// Exit handlers do not run and buffers are not flushed. A return from `main` or `std::process::exit` would make
/// calls (sigaltstack(2)) that the tables do not have, and the process would die of a signal after its work was done.
pub fn leave(status: u8) -> ! {
    // SAFETY: _exit(2) takes a number, touches no memory of the caller and does not return.
    unsafe { libc::_exit(libc::c_int::from(status)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_agree_with_proc() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = |name: &str| {
            let hex = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(hex.trim(), 16).unwrap()
        };
        let sets = capabilities().unwrap();
        assert_eq!(sets.effective, line("CapEff:"));
        assert_eq!(sets.permitted, line("CapPrm:"));
        assert_eq!(sets.inheritable, line("CapInh:"));
        let bounding: u64 =
            (0..64).filter(|n| bounding_set_has(*n) == Ok(true)).map(|n: u64| 1_u64 << n).sum();
        assert_eq!(bounding, line("CapBnd:"));
    }

    #[test]
    fn a_capability_the_kernel_lacks_is_invalid() {
        assert_eq!(bounding_set_has(64), Err(Errno::EINVAL));
        // EPERM comes first without CAP_SETPCAP.
        assert!(matches!(bounding_set_drop(64), Err(Errno::EINVAL | Errno::EPERM)));
    }

    #[test]
    fn landlock_has_a_version_or_a_reason() {
        match landlock_version() {
            Ok(version) => assert!(version >= 1),
            Err(errno) => assert!(matches!(errno, Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EPERM)),
        }
    }
}
