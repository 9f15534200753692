//! What both processes may do: their descriptors, their memory, the clock, the end.
//!
//! Memory is never executable here, neither when it is mapped nor later.

use super::rule::{Rule, When, flags, one_of, rule};
use libc::{
    FUTEX_PRIVATE_FLAG, FUTEX_WAKE, MADV_DONTNEED, MADV_HUGEPAGE, MAP_ANONYMOUS, MAP_HUGE_1GB, MAP_HUGE_2MB,
    MAP_HUGETLB, MAP_NORESERVE, MAP_PRIVATE, MAP_STACK, MREMAP_MAYMOVE, PROT_READ, PROT_WRITE,
};

pub(super) const RULES: &[Rule] = &[
    rule!(SYS_read, When::Always, "bytes from pipes, sockets and the message"),
    rule!(SYS_close, When::Always, "descriptors that are done with"),
    // AArch64 has no poll: its C library makes one of ppoll.
    #[cfg(target_arch = "x86_64")]
    rule!(SYS_poll, When::Always, "waiting for a descriptor, with a deadline"),
    #[cfg(target_arch = "aarch64")]
    rule!(SYS_ppoll, When::Always, "waiting for a descriptor, with a deadline"),
    rule!(SYS_brk, When::Always, "the allocator's heap"),
    rule!(
        SYS_mmap,
        When::Args(&[&[
            flags!(2, 0, PROT_READ | PROT_WRITE),
            flags!(
                3,
                MAP_PRIVATE | MAP_ANONYMOUS,
                MAP_NORESERVE | MAP_STACK | MAP_HUGETLB | MAP_HUGE_2MB | MAP_HUGE_1GB
            ),
        ]]),
        "the allocator's large blocks, in large pages where GLIBC_TUNABLES wants them: no code, no file, no fixed address, \
         nothing shared"
    ),
    rule!(SYS_munmap, When::Always, "the allocator's large blocks, given back"),
    rule!(
        SYS_mprotect,
        When::Args(&[&[flags!(2, 0, PROT_READ | PROT_WRITE)]]),
        "the allocator's reserve: nothing becomes code"
    ),
    rule!(SYS_mremap, When::Args(&[&[one_of!(3, MREMAP_MAYMOVE)]]), "the allocator's large blocks, grown"),
    rule!(
        SYS_madvise,
        When::Args(&[&[one_of!(2, MADV_DONTNEED, MADV_HUGEPAGE)]]),
        "pages of the allocator and of a wiped stack, given back; large ones where GLIBC_TUNABLES wants them"
    ),
    rule!(
        SYS_futex,
        When::Args(&[&[one_of!(1, FUTEX_WAKE | FUTEX_PRIVATE_FLAG)]]),
        "the end of a library's one-time set-up; with one thread there is nobody to wait for"
    ),
    rule!(SYS_clock_gettime, When::Always, "deadlines, where the clock cannot be read without a call"),
    rule!(SYS_getpid, When::Always, "OpenSSL's random numbers look for a fork"),
    rule!(SYS_rt_sigreturn, When::Always, "the end of a signal handler"),
    rule!(SYS_restart_syscall, When::Always, "a wait that a stop signal interrupted goes on"),
    rule!(SYS_exit_group, When::Always, "the end of the process"),
];
