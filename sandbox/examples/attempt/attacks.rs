//! The forbidden attempts, by name: what a successful attack would like to do next.
//!
//! A filter acts before anything looks at the arguments. They are chosen so that a filter that does not act leaves the
//! machine as it was: no path but one below `/proc/self`, no signal but one that wakes who is awake, no size but 0.

use libc::{c_int, c_long};
use nix::unistd::getppid;

/// A system call, and its arguments.
pub(crate) type Call = (c_long, [u64; 6]);

/// One attempt, ready to be made: whatever else it takes has been called.
pub(crate) enum Attack {
    /// A call of this architecture, or of x32, which is told by the number alone.
    Native(Call),
    /// A call by the 32 bit entrance of the kernel, and its number there.
    #[cfg(target_arch = "x86_64")]
    Compat(u32),
}

/// Marks the calls of x86_64's 32 bit sibling.
#[cfg(target_arch = "x86_64")]
pub(crate) const X32: c_long = 0x4000_0000;

/// The attempt of this name. To be asked before the confinement: some look up who the parent is.
pub(crate) fn attack(name: &str) -> Option<Attack> {
    #[cfg(target_arch = "x86_64")]
    if let Some(number) = name.strip_prefix("compat-") {
        return Some(Attack::Compat(number.parse().ok()?));
    }
    on_files(name)
        .or_else(|| on_processes(name))
        .or_else(|| on_privileges(name))
        .or_else(|| on_sockets(name))
        .or_else(|| on_memory(name))
        .or_else(|| on_descriptors(name))
        .or_else(|| on_the_kernel(name))
        .or_else(|| of_this_architecture(name))
        .map(Attack::Native)
}

/// It cannot be changed, nor opened for anything that would outlive the process.
fn path() -> u64 {
    c"/proc/self/mem".as_ptr() as u64
}

/// An `int` argument as the register that carries it.
fn bits(argument: c_int) -> u64 {
    argument.cast_unsigned().into()
}

/// The arguments that are given, and zeros.
fn call<const N: usize>(number: c_long, given: [u64; N]) -> Option<Call> {
    let mut arguments = [0; 6];
    arguments.iter_mut().zip(given).for_each(|(argument, given)| *argument = given);
    Some((number, arguments))
}

fn on_files(name: &str) -> Option<Call> {
    let (here, path) = (bits(libc::AT_FDCWD), path());
    let openat = |flags: c_int| call(libc::SYS_openat, [here, path, bits(flags)]);
    match name {
        "openat" => openat(0),
        "openat-write" => openat(libc::O_RDWR),
        "openat-write-only" => openat(libc::O_WRONLY),
        "openat-append" => openat(libc::O_APPEND),
        "openat-create" => openat(libc::O_CREAT),
        "openat-truncate" => openat(libc::O_TRUNC),
        "openat-path" => openat(libc::O_PATH),
        "openat-unnamed" => openat(libc::O_TMPFILE | libc::O_RDWR),
        "openat2" => call(libc::SYS_openat2, [here, path]),
        "open_by_handle_at" => call(libc::SYS_open_by_handle_at, [here]),
        "name_to_handle_at" => call(libc::SYS_name_to_handle_at, [here, path]),
        "getdents64" => call(libc::SYS_getdents64, []),
        "newfstatat" => call(libc::SYS_newfstatat, [here, path]),
        "statx" => call(libc::SYS_statx, [here, path]),
        "faccessat" => call(libc::SYS_faccessat, [here, path]),
        "readlinkat" => call(libc::SYS_readlinkat, [here, path]),
        "getcwd" => call(libc::SYS_getcwd, []),
        "chdir" => call(libc::SYS_chdir, [path]),
        "fchdir" => call(libc::SYS_fchdir, [u64::MAX]),
        "unlinkat" => call(libc::SYS_unlinkat, [here, path]),
        "renameat2" => call(libc::SYS_renameat2, [here, path, here, path]),
        "linkat" => call(libc::SYS_linkat, [here, path, here, path]),
        "symlinkat" => call(libc::SYS_symlinkat, [path, here, path]),
        "mkdirat" => call(libc::SYS_mkdirat, [here, path]),
        "mknodat" => call(libc::SYS_mknodat, [here, path, libc::S_IFIFO.into()]),
        "fchmodat" => call(libc::SYS_fchmodat, [here, path]),
        "fchmod" => call(libc::SYS_fchmod, [u64::MAX]),
        "fchownat" => call(libc::SYS_fchownat, [here, path, u64::MAX, u64::MAX]),
        "utimensat" => call(libc::SYS_utimensat, [here, path, 0, u64::MAX]),
        "truncate" => call(libc::SYS_truncate, [path]),
        "ftruncate" => call(libc::SYS_ftruncate, [u64::MAX]),
        "setxattr" => call(libc::SYS_setxattr, [path, path, path, 0]),
        "memfd_create" => call(libc::SYS_memfd_create, [path]),
        "inotify_init1" => call(libc::SYS_inotify_init1, []),
        "fanotify_init" => call(libc::SYS_fanotify_init, []),
        _ => None,
    }
}

fn on_processes(name: &str) -> Option<Call> {
    let parent = bits(getppid().as_raw());
    let wake = bits(libc::SIGCONT);
    match name {
        "execve" => call(libc::SYS_execve, [path()]),
        "execveat" => call(libc::SYS_execveat, [bits(libc::AT_FDCWD), path()]),
        "clone" => call(libc::SYS_clone, [bits(libc::SIGCHLD)]),
        "clone-thread" => call(
            libc::SYS_clone,
            [bits(libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_PIDFD)],
        ),
        "clone3" => call(libc::SYS_clone3, []),
        "ptrace" => call(libc::SYS_ptrace, [libc::PTRACE_TRACEME.into()]),
        "ptrace-parent" => call(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), parent]),
        "process_vm_readv" => call(libc::SYS_process_vm_readv, [parent]),
        "process_vm_writev" => call(libc::SYS_process_vm_writev, [parent]),
        "process_madvise" => call(libc::SYS_process_madvise, [u64::MAX]),
        "kcmp" => call(libc::SYS_kcmp, [parent, parent]),
        "kill" => call(libc::SYS_kill, [1]),
        "kill-all" => call(libc::SYS_kill, [u64::MAX]),
        "kill-group" => call(libc::SYS_kill, [0]),
        "kill-parent" => call(libc::SYS_kill, [parent, wake]),
        "tkill" => call(libc::SYS_tkill, [parent, wake]),
        "tgkill" => call(libc::SYS_tgkill, [1, 1]),
        "tgkill-parent" => call(libc::SYS_tgkill, [parent, parent, wake]),
        "rt_sigqueueinfo" => call(libc::SYS_rt_sigqueueinfo, [parent, wake]),
        "pidfd_open" => call(libc::SYS_pidfd_open, [parent]),
        "pidfd_send_signal" => call(libc::SYS_pidfd_send_signal, [u64::MAX, wake]),
        "pidfd_getfd" => call(libc::SYS_pidfd_getfd, [u64::MAX]),
        "setpgid" => call(libc::SYS_setpgid, []),
        "setsid" => call(libc::SYS_setsid, []),
        "waitid" => call(libc::SYS_waitid, [bits(libc::P_ALL.cast_signed()), 0, 0, bits(libc::WNOHANG)]),
        "timer_create" => call(libc::SYS_timer_create, [u64::MAX]),
        "setitimer" => call(libc::SYS_setitimer, [u64::MAX]),
        "rt_sigaction" => call(libc::SYS_rt_sigaction, [0, 0, 0, 8]),
        "rt_sigprocmask" => call(libc::SYS_rt_sigprocmask, [0, 0, 0, 8]),
        _ => None,
    }
}

fn on_privileges(name: &str) -> Option<Call> {
    static NO_LIMIT: [u64; 2] = [u64::MAX; 2];
    let no_limit = NO_LIMIT.as_ptr() as u64;
    let unshare = |flag: c_int| call(libc::SYS_unshare, [bits(flag)]);
    let prctl = |option: c_int, argument: u64| call(libc::SYS_prctl, [bits(option), argument]);
    match name {
        "setuid" => call(libc::SYS_setuid, []),
        "setreuid" => call(libc::SYS_setreuid, []),
        "setresuid" => call(libc::SYS_setresuid, []),
        "setfsuid" => call(libc::SYS_setfsuid, []),
        "setgid" => call(libc::SYS_setgid, []),
        "setregid" => call(libc::SYS_setregid, []),
        "setresgid" => call(libc::SYS_setresgid, []),
        "setfsgid" => call(libc::SYS_setfsgid, []),
        "setgroups" => call(libc::SYS_setgroups, []),
        "capset" => call(libc::SYS_capset, []),
        "prctl" => prctl(libc::PR_SET_DUMPABLE, 1),
        "prctl-death-signal" => prctl(libc::PR_SET_PDEATHSIG, 0),
        "prctl-keep-capabilities" => prctl(libc::PR_SET_KEEPCAPS, 1),
        "prctl-seccomp" => prctl(libc::PR_SET_SECCOMP, 0),
        "prctl-ptracer" => prctl(libc::PR_SET_PTRACER, u64::MAX),
        "seccomp" => call(libc::SYS_seccomp, [u64::MAX]),
        "landlock_create_ruleset" => call(libc::SYS_landlock_create_ruleset, []),
        "unshare-user" => unshare(libc::CLONE_NEWUSER),
        "unshare-mount" => unshare(libc::CLONE_NEWNS),
        "unshare-network" => unshare(libc::CLONE_NEWNET),
        "unshare-pid" => unshare(libc::CLONE_NEWPID),
        "unshare-ipc" => unshare(libc::CLONE_NEWIPC),
        "unshare-names" => unshare(libc::CLONE_NEWUTS),
        "unshare-cgroup" => unshare(libc::CLONE_NEWCGROUP),
        "clone-user" => call(libc::SYS_clone, [bits(libc::CLONE_NEWUSER | libc::SIGCHLD)]),
        "setns" => call(libc::SYS_setns, [u64::MAX]),
        "chroot" => call(libc::SYS_chroot, [path()]),
        "pivot_root" => call(libc::SYS_pivot_root, [path(), path()]),
        "mount" => call(libc::SYS_mount, [0, path(), 0, libc::MS_BIND]),
        "umount2" => call(libc::SYS_umount2, [path()]),
        "open_tree" => call(libc::SYS_open_tree, [bits(libc::AT_FDCWD), path()]),
        "move_mount" => call(libc::SYS_move_mount, [u64::MAX, path(), u64::MAX, path()]),
        "fsopen" => call(libc::SYS_fsopen, [path()]),
        "fsmount" => call(libc::SYS_fsmount, [u64::MAX]),
        "mount_setattr" => call(libc::SYS_mount_setattr, [u64::MAX, path()]),
        "setrlimit-files" => call(libc::SYS_setrlimit, [libc::RLIMIT_NOFILE.into(), no_limit]),
        "setrlimit-processes" => call(libc::SYS_setrlimit, [libc::RLIMIT_NPROC.into(), no_limit]),
        "prlimit64" => call(libc::SYS_prlimit64, [0, libc::RLIMIT_AS.into(), no_limit]),
        "prlimit64-parent" => call(libc::SYS_prlimit64, [bits(getppid().as_raw()), libc::RLIMIT_AS.into()]),
        "setpriority" => call(libc::SYS_setpriority, []),
        "sched_setscheduler" => call(libc::SYS_sched_setscheduler, [0, u64::MAX]),
        "sched_setaffinity" => call(libc::SYS_sched_setaffinity, []),
        _ => None,
    }
}

fn on_sockets(name: &str) -> Option<Call> {
    let socket = |family: c_int, kind: c_int, protocol: c_int| {
        let kind = kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        call(libc::SYS_socket, [bits(family), bits(kind), bits(protocol)])
    };
    let option =
        |level: c_int, name: c_int| call(libc::SYS_setsockopt, [3, bits(level), bits(name), path(), 4]);
    if let Some(family) = name.strip_prefix("socket-family-") {
        return socket(family.parse().ok()?, libc::SOCK_STREAM, 0);
    }
    match name {
        "socket-tcp" => socket(libc::AF_INET, libc::SOCK_STREAM, 0),
        "socket-udp" => socket(libc::AF_INET, libc::SOCK_DGRAM, 0),
        "socket-raw" => socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        "socket-raw-6" => socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6),
        "socket-ping" => socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP),
        "socket-mptcp" => socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
        "socket-sctp" => socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        "socket-udplite" => socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE),
        "socket-unix-datagram" => socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0),
        "socket-alg" => socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        "socket-netlink" => socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT),
        "socket-blocking" => call(libc::SYS_socket, [bits(libc::AF_INET), bits(libc::SOCK_STREAM)]),
        "socketpair" => call(libc::SYS_socketpair, [bits(libc::AF_UNIX), bits(libc::SOCK_STREAM)]),
        "connect-nothing" => call(libc::SYS_connect, [3]),
        "sendto-nothing" => call(libc::SYS_sendto, [3]),
        "recvfrom-nothing" => call(libc::SYS_recvfrom, [3]),
        "bind-nothing" => call(libc::SYS_bind, [3, path(), 16]),
        // As long as no address of IP is: that of another family.
        "bind-long" => call(libc::SYS_bind, [3, path(), 110]),
        "listen" => call(libc::SYS_listen, [3, 1]),
        "accept4" => call(libc::SYS_accept4, [3]),
        "setsockopt-bindtodevice" => option(libc::SOL_SOCKET, libc::SO_BINDTODEVICE),
        "setsockopt-mark" => option(libc::SOL_SOCKET, libc::SO_MARK),
        "setsockopt-filter" => option(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER),
        "setsockopt-reuseport" => option(libc::SOL_SOCKET, libc::SO_REUSEPORT),
        "setsockopt-transparent" => option(libc::SOL_IP, libc::IP_TRANSPARENT),
        "setsockopt-ulp" => option(libc::IPPROTO_TCP, libc::TCP_ULP),
        "setsockopt-fastopen-connect" => option(libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT),
        // The permitted options' numbers, where they mean something else.
        "setsockopt-of-another-level" => option(libc::SOL_SOCKET, libc::TCP_NODELAY),
        "getsockopt-of-another-level" => {
            call(libc::SYS_getsockopt, [3, bits(libc::IPPROTO_TCP), bits(libc::SO_ERROR)])
        }
        "getsockopt-peer" => call(libc::SYS_getsockopt, [3, bits(libc::SOL_SOCKET), bits(libc::SO_PEERCRED)]),
        "sendto-fastopen" => call(libc::SYS_sendto, [3, path(), 1, bits(libc::MSG_FASTOPEN)]),
        "sendto-out-of-band" => call(libc::SYS_sendto, [3, path(), 1, bits(libc::MSG_OOB)]),
        "sendmsg" => call(libc::SYS_sendmsg, [1]),
        "sendmmsg" => call(libc::SYS_sendmmsg, [1]),
        "recvmsg" => call(libc::SYS_recvmsg, []),
        "recvmmsg" => call(libc::SYS_recvmmsg, []),
        _ => None,
    }
}

fn on_memory(name: &str) -> Option<Call> {
    use libc::{MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE};
    let mmap = |protection: c_int, flags: c_int| {
        call(libc::SYS_mmap, [0, 4096, bits(protection), bits(flags), u64::MAX])
    };
    let page = path() & !0xfff;
    match name {
        "mmap-exec" => mmap(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS),
        "mmap-write-exec" => mmap(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS),
        "mmap-file" => mmap(PROT_READ, MAP_PRIVATE),
        "mmap-file-exec" => mmap(PROT_READ | PROT_EXEC, MAP_PRIVATE),
        "mmap-shared" => mmap(PROT_READ, MAP_SHARED | MAP_ANONYMOUS),
        "mmap-fixed" => mmap(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
        "mprotect-exec" => call(libc::SYS_mprotect, [page, 4096, bits(PROT_READ | PROT_EXEC)]),
        "mprotect-write-exec" => {
            call(libc::SYS_mprotect, [page, 0, bits(PROT_READ | PROT_WRITE | PROT_EXEC)])
        }
        "pkey_mprotect" => call(libc::SYS_pkey_mprotect, [page, 0, bits(PROT_EXEC), u64::MAX]),
        "mremap-fixed" => {
            call(libc::SYS_mremap, [page, 0, 0, bits(libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED), page])
        }
        // READ_IMPLIES_EXEC: what is readable becomes code.
        "personality" => call(libc::SYS_personality, [0x0040_0000]),
        "remap_file_pages" => call(libc::SYS_remap_file_pages, [page]),
        "shmget" => call(libc::SYS_shmget, [u64::MAX]),
        "shmat-exec" => call(libc::SYS_shmat, [u64::MAX, 0, bits(libc::SHM_EXEC)]),
        "memfd_secret" => call(libc::SYS_memfd_secret, []),
        "mlock" => call(libc::SYS_mlock, [page]),
        "madvise-huge" => call(libc::SYS_madvise, [page, 0, bits(libc::MADV_HUGEPAGE)]),
        "mmap-huge" => {
            let kind = MAP_PRIVATE | MAP_ANONYMOUS | libc::MAP_HUGETLB | libc::MAP_HUGE_2MB;
            call(libc::SYS_mmap, [0, 0, bits(PROT_READ), bits(kind), u64::MAX])
        }
        "madvise-wipe" => call(libc::SYS_madvise, [page, 0, bits(libc::MADV_WIPEONFORK)]),
        "futex-wait" => call(libc::SYS_futex, [path(), bits(libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG)]),
        _ => None,
    }
}

fn on_descriptors(name: &str) -> Option<Call> {
    /// `F_SETSIG` of `asm-generic/fcntl.h`.
    const F_SETSIG: c_int = 10;
    let fcntl = |command: c_int, argument: u64| call(libc::SYS_fcntl, [0, bits(command), argument]);
    match name {
        "write-message" => call(libc::SYS_write, [0]),
        "writev-message" => call(libc::SYS_writev, [0]),
        "sendto-message" => call(libc::SYS_sendto, [0]),
        "bind-message" => call(libc::SYS_bind, [0, path(), 16]),
        "connect-message" => call(libc::SYS_connect, [0, path(), 16]),
        "fcntl-copy-message" => fcntl(libc::F_DUPFD_CLOEXEC, u64::MAX),
        "dup" => call(libc::SYS_dup, [u64::MAX]),
        "dup3" => call(libc::SYS_dup3, [u64::MAX, u64::MAX]),
        "fcntl-copy" => fcntl(libc::F_DUPFD, u64::MAX),
        "fcntl-flags" => fcntl(libc::F_GETFL, 0),
        "fcntl-setflags" => call(libc::SYS_fcntl, [u64::MAX, bits(libc::F_SETFL)]),
        "fcntl-setown" => fcntl(libc::F_SETOWN, 1),
        "fcntl-setsig" => fcntl(F_SETSIG, 0),
        "fcntl-lease" => fcntl(libc::F_SETLEASE, u64::MAX),
        "fcntl-notify" => fcntl(libc::F_NOTIFY, 0),
        "fcntl-pipe-size" => fcntl(libc::F_SETPIPE_SZ, 0),
        "ioctl" => call(libc::SYS_ioctl, [0, libc::FIONREAD]),
        "ioctl-type" => call(libc::SYS_ioctl, [u64::MAX, libc::TIOCSTI]),
        "flock-waiting" => call(libc::SYS_flock, [0, bits(libc::LOCK_SH)]),
        "lseek" => call(libc::SYS_lseek, [u64::MAX]),
        "fsync" => call(libc::SYS_fsync, []),
        "pread64-of-another" => call(libc::SYS_pread64, [4]),
        "pwrite64" => call(libc::SYS_pwrite64, [u64::MAX]),
        "pwrite64-message" => call(libc::SYS_pwrite64, [0]),
        "pwritev" => call(libc::SYS_pwritev, [u64::MAX]),
        "sendfile" => call(libc::SYS_sendfile, [u64::MAX]),
        "splice" => call(libc::SYS_splice, [u64::MAX]),
        "tee" => call(libc::SYS_tee, [u64::MAX]),
        "vmsplice" => call(libc::SYS_vmsplice, [u64::MAX]),
        "copy_file_range" => call(libc::SYS_copy_file_range, [u64::MAX]),
        // Without the flag that closes it when another program is started.
        "epoll_create1" => call(libc::SYS_epoll_create1, []),
        "eventfd2" => call(libc::SYS_eventfd2, [0, libc::EFD_NONBLOCK as u64]),
        "pipe2" => call(libc::SYS_pipe2, []),
        "signalfd4" => call(libc::SYS_signalfd4, [u64::MAX]),
        "timerfd_create" => call(libc::SYS_timerfd_create, [u64::MAX]),
        _ => None,
    }
}

fn on_the_kernel(name: &str) -> Option<Call> {
    match name {
        "io_uring_setup" => call(libc::SYS_io_uring_setup, [8]),
        "io_uring_enter" => call(libc::SYS_io_uring_enter, [u64::MAX]),
        "io_uring_register" => call(libc::SYS_io_uring_register, [u64::MAX]),
        "bpf" => call(libc::SYS_bpf, []),
        "userfaultfd" => call(libc::SYS_userfaultfd, []),
        "perf_event_open" => call(libc::SYS_perf_event_open, []),
        "keyctl" => call(libc::SYS_keyctl, [u64::MAX]),
        "add_key" => call(libc::SYS_add_key, []),
        "request_key" => call(libc::SYS_request_key, []),
        "init_module" => call(libc::SYS_init_module, []),
        "finit_module" => call(libc::SYS_finit_module, [u64::MAX]),
        "kexec_load" => call(libc::SYS_kexec_load, [0, 0, 0, u64::MAX]),
        "reboot" => call(libc::SYS_reboot, []),
        "swapoff" => call(libc::SYS_swapoff, [path()]),
        "sethostname" => call(libc::SYS_sethostname, [0, u64::MAX]),
        "clock_settime" => call(libc::SYS_clock_settime, [u64::MAX]),
        "syslog" => call(libc::SYS_syslog, [u64::MAX]),
        "msgget" => call(libc::SYS_msgget, [u64::MAX]),
        "mq_open" => call(libc::SYS_mq_open, [path()]),
        #[cfg(target_arch = "x86_64")]
        "time" => call(libc::SYS_time, []),
        // None of them, so that where they are permitted it succeeds.
        "getrandom" => call(libc::SYS_getrandom, []),
        "getrandom-insecure" => call(libc::SYS_getrandom, [0, 0, libc::GRND_INSECURE.into()]),
        _ => None,
    }
}

/// The older forms, which this architecture has beside the newer ones.
#[cfg(target_arch = "x86_64")]
fn of_this_architecture(name: &str) -> Option<Call> {
    match name {
        "open" => call(libc::SYS_open, [path()]),
        "creat" => call(libc::SYS_creat, [path()]),
        "stat" => call(libc::SYS_stat, [path()]),
        "access" => call(libc::SYS_access, [path()]),
        "readlink" => call(libc::SYS_readlink, [path()]),
        "unlink" => call(libc::SYS_unlink, [path()]),
        "rename" => call(libc::SYS_rename, [path(), path()]),
        "chmod" => call(libc::SYS_chmod, [path()]),
        "uselib" => call(libc::SYS_uselib, [path()]),
        "fork" => call(libc::SYS_fork, []),
        "dup2" => call(libc::SYS_dup2, [u64::MAX, u64::MAX]),
        "pipe" => call(libc::SYS_pipe, []),
        "accept" => call(libc::SYS_accept, [3]),
        "alarm" => call(libc::SYS_alarm, []),
        "arch_prctl" => call(libc::SYS_arch_prctl, [u64::MAX]),
        "modify_ldt" => call(libc::SYS_modify_ldt, [u64::MAX]),
        "iopl" => call(libc::SYS_iopl, []),
        "ioperm" => call(libc::SYS_ioperm, []),
        "x32" => call(libc::SYS_getpid | X32, []),
        "x32-read" => call(libc::SYS_read | X32, [u64::MAX]),
        "x32-openat" => call(libc::SYS_openat | X32, [bits(libc::AT_FDCWD), path()]),
        // The one of its numbers that stands for execve there.
        "x32-execve" => call(520 | X32, [path()]),
        _ => None,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn of_this_architecture(_: &str) -> Option<Call> {
    None
}
