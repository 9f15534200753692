//! System calls by number: the forbidden ones by name, and all there are.

use nix::errno::Errno;

/// Larger than the number of any call there is.
const NUMBERS: i64 = 600;
/// Marks the calls of x86_64's 32 bit sibling.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// uretprobe and uprobe: the kernel exempts them from every filter. Outside of the trampoline that it makes itself for a
/// traced process, the first is SIGILL and the second an error.
#[cfg(target_arch = "x86_64")]
const EXEMPT: &[i64] = &[335, 336];
#[cfg(target_arch = "aarch64")]
const EXEMPT: &[i64] = &[];

/// One forbidden attempt: what a successful attack would like to do next. A filter acts before anything looks at the
/// arguments; they are chosen so that a filter that does not act leaves the machine as it was.
pub(crate) fn attack(name: &str) -> Option<(i64, [u64; 6])> {
    let path = c"/proc/self/mem".as_ptr() as u64;
    let here = bits(libc::AT_FDCWD);
    Some(match name {
        "openat" => (libc::SYS_openat, [here, path, 0, 0, 0, 0]),
        "openat-write" => (libc::SYS_openat, [here, path, bits(libc::O_RDWR), 0, 0, 0]),
        "openat-write-only" => (libc::SYS_openat, [here, path, bits(libc::O_WRONLY), 0, 0, 0]),
        "openat-append" => (libc::SYS_openat, [here, path, bits(libc::O_APPEND), 0, 0, 0]),
        "openat-create" => (libc::SYS_openat, [here, path, bits(libc::O_CREAT), 0, 0, 0]),
        "openat-truncate" => (libc::SYS_openat, [here, path, bits(libc::O_TRUNC), 0, 0, 0]),
        "openat-path" => (libc::SYS_openat, [here, path, bits(libc::O_PATH), 0, 0, 0]),
        "openat-unnamed" => (libc::SYS_openat, [here, path, bits(libc::O_TMPFILE | libc::O_RDWR), 0, 0, 0]),
        "openat2" => (libc::SYS_openat2, [here, path, 0, 0, 0, 0]),
        "execve" => (libc::SYS_execve, [path, 0, 0, 0, 0, 0]),
        "execveat" => (libc::SYS_execveat, [here, path, 0, 0, 0, 0]),
        "clone" => (libc::SYS_clone, [bits(libc::SIGCHLD), 0, 0, 0, 0, 0]),
        "clone3" => (libc::SYS_clone3, [0; 6]),
        "ptrace" => (libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0, 0, 0, 0]),
        "process_vm_readv" => (libc::SYS_process_vm_readv, [1, 0, 0, 0, 0, 0]),
        "prctl" => (libc::SYS_prctl, [bits(libc::PR_SET_DUMPABLE), 1, 0, 0, 0, 0]),
        "seccomp" => (libc::SYS_seccomp, [0; 6]),
        "unshare" => (libc::SYS_unshare, [bits(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0]),
        "setuid" => (libc::SYS_setuid, [0; 6]),
        "capset" => (libc::SYS_capset, [0; 6]),
        "chroot" => (libc::SYS_chroot, [path, 0, 0, 0, 0, 0]),
        "io_uring_setup" => (libc::SYS_io_uring_setup, [8, 0, 0, 0, 0, 0]),
        "bpf" => (libc::SYS_bpf, [0; 6]),
        "userfaultfd" => (libc::SYS_userfaultfd, [0; 6]),
        "memfd_create" => (libc::SYS_memfd_create, [path, 0, 0, 0, 0, 0]),
        "sendmsg" => (libc::SYS_sendmsg, [1, 0, 0, 0, 0, 0]),
        "recvmsg" => (libc::SYS_recvmsg, [0; 6]),
        "socketpair" => (libc::SYS_socketpair, [bits(libc::AF_UNIX), bits(libc::SOCK_STREAM), 0, 0, 0, 0]),
        "listen" => (libc::SYS_listen, [3, 1, 0, 0, 0, 0]),
        "accept4" => (libc::SYS_accept4, [3, 0, 0, 0, 0, 0]),
        "ioctl" => (libc::SYS_ioctl, [0, libc::FIONREAD, 0, 0, 0, 0]),
        "dup3" => (libc::SYS_dup3, [0, 1, 0, 0, 0, 0]),
        "flock-waiting" => (libc::SYS_flock, [0, bits(libc::LOCK_SH), 0, 0, 0, 0]),
        "ftruncate" => (libc::SYS_ftruncate, [0; 6]),
        "lseek" => (libc::SYS_lseek, [0; 6]),
        "fsync" => (libc::SYS_fsync, [0; 6]),
        "getdents64" => (libc::SYS_getdents64, [0; 6]),
        // None of them, so that where they are permitted it succeeds.
        "getrandom" => (libc::SYS_getrandom, [0; 6]),
        "getrandom-insecure" => (libc::SYS_getrandom, [0, 0, libc::GRND_INSECURE.into(), 0, 0, 0]),
        "tgkill" => (libc::SYS_tgkill, [1, 1, 0, 0, 0, 0]),
        "socket-unix" => socket(libc::AF_UNIX, libc::SOCK_STREAM, 0),
        "socket-netlink" => socket(libc::AF_NETLINK, libc::SOCK_DGRAM, 0),
        "socket-packet" => socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0),
        "socket-vsock" => socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        "socket-alg" => socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        "socket-raw" => socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        "socket-ping" => socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP),
        "socket-mptcp" => socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
        "socket-blocking" => (libc::SYS_socket, [bits(libc::AF_INET), bits(libc::SOCK_STREAM), 0, 0, 0, 0]),
        "setsockopt-bindtodevice" => {
            (libc::SYS_setsockopt, [3, bits(libc::SOL_SOCKET), bits(libc::SO_BINDTODEVICE), path, 4, 0])
        }
        "sendto-fastopen" => (libc::SYS_sendto, [3, path, 1, bits(libc::MSG_FASTOPEN), 0, 0]),
        "fcntl-setown" => (libc::SYS_fcntl, [0, bits(libc::F_SETOWN), 1, 0, 0, 0]),
        "mmap-exec" => mmap(libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS),
        "mmap-file" => mmap(libc::PROT_READ, libc::MAP_PRIVATE),
        "mmap-shared" => mmap(libc::PROT_READ, libc::MAP_SHARED | libc::MAP_ANONYMOUS),
        "mmap-fixed" => mmap(libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED),
        "mprotect-exec" => {
            let protection = libc::PROT_READ | libc::PROT_EXEC;
            (libc::SYS_mprotect, [path & !0xfff, 4096, bits(protection), 0, 0, 0])
        }
        "futex-wait" => {
            (libc::SYS_futex, [path, bits(libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG), 0, 0, 0, 0])
        }
        "kill" => (libc::SYS_kill, [1, 0, 0, 0, 0, 0]),
        "kill-all" => (libc::SYS_kill, [u64::MAX, 0, 0, 0, 0, 0]),
        #[cfg(target_arch = "x86_64")]
        "x32" => (libc::SYS_getpid | X32, [0; 6]),
        _ => return None,
    })
}

/// An `int` argument as the register that carries it.
fn bits(argument: i32) -> u64 {
    argument.cast_unsigned().into()
}

fn socket(family: i32, kind: i32, protocol: i32) -> (i64, [u64; 6]) {
    let kind = kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    (libc::SYS_socket, [bits(family), bits(kind), bits(protocol), 0, 0, 0])
}

fn mmap(protection: i32, flags: i32) -> (i64, [u64; 6]) {
    (libc::SYS_mmap, [0, 4096, bits(protection), bits(flags), u64::MAX, 0])
}

/// Every call that must kill, when all bits of all its arguments are set: those in no table, those of x32, and those of
/// the table that look at arguments. As arguments, all ones are no descriptor, no address and no known flag, so that
/// a filter that does not act does little harm. (Zeros are standard input, and its mode.)
pub(crate) fn forbidden(rules: impl Iterator<Item = &'static sandbox::Rule>) -> Vec<i64> {
    let rules: Vec<_> = rules.collect();
    let always = |number: i64| {
        rules.iter().any(|rule| rule.call == number && matches!(rule.when, sandbox::When::Always))
    };
    let mut calls: Vec<i64> =
        (0..NUMBERS).filter(|number| !EXEMPT.contains(number) && !always(*number)).collect();
    #[cfg(target_arch = "x86_64")]
    calls.extend((0..NUMBERS).map(|number| number | X32));
    calls
}

/// Makes the call `number`.
pub(crate) fn make(number: i64, [a, b, c, d, e, f]: [u64; 6]) -> Result<(), Errno> {
    // SAFETY: in a confined process, which is what this is for, the filter stops every call that `attack` and
    // `forbidden` list before the kernel looks at an argument. Where it does not, the test process suffers.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    Errno::result(result).map(drop)
}

/// A call through the 32 bit entrance of an x86_64 kernel: getpid, number 20 there.
#[cfg(target_arch = "x86_64")]
pub(crate) fn make_compat() {
    // SAFETY: int 0x80 returns its result in eax, clobbers r8 to r11, and getpid has no arguments.
    unsafe {
        core::arch::asm!(
            "int 0x80",
            inout("eax") 20 => _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
}
