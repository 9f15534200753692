//! What who has taken a confined process over would try next, each attempt in a process of its own: the child of every
//! kind of user, and every kind of monitor. The attempts are in `examples/attempt/attacks.rs`.
//!
//! That a call is in no table is seen for all there are by the sweeps in `child.rs` and `monitor.rs`; here is what has
//! names, and what the tables permit with other arguments.

use crate::support::{Ended, attempt, starts};

/// Who is confined.
const WHO: [&str; 6] = ["child", "monitor", "reader", "updater", "signer", "all"];

/// What somebody is there to do; the tests of their own work see that they can.
const PERMITTED: &[(&str, &str)] = &[
    ("child", "socket-tcp"),
    ("child", "socket-udp"),
    ("child", "connect-nothing"),
    ("child", "sendto-nothing"),
    ("child", "recvfrom-nothing"),
    ("child", "bind-nothing"),
    ("child", "getrandom"),
    ("child", "getrandom-insecure"),
    ("signer", "getrandom"),
    ("reader", "openat"),
    ("reader", "lseek"),
    ("reader", "pread64-of-another"),
    ("updater", "pread64-of-another"),
    ("updater", "pwrite64"),
    ("all", "getrandom"),
    ("all", "openat"),
    ("all", "lseek"),
    ("all", "pread64-of-another"),
    ("all", "pwrite64"),
];

/// Each way in which `who` is started. Monitors differ in what they may do beside what all may, and not in how they
/// come there: two of their starts are enough.
fn starts_of(who: &str) -> impl Iterator<Item = &'static str> {
    let all = matches!(who, "child" | "monitor");
    starts().iter().copied().filter(move |how| all || matches!(*how, "asis" | "user"))
}

/// Stops the test unless each of these ends whoever tries it.
fn all_are_filtered(actions: &[&str]) {
    let mut survived = Vec::new();
    for who in WHO {
        for how in starts_of(who) {
            for action in actions.iter().filter(|action| !PERMITTED.contains(&(who, action))) {
                let ended = attempt(&[who, how, action]);
                if ended != Ended::Filtered {
                    survived.push(format!("{action} by the {who}, as {how}: {ended:?}"));
                }
            }
        }
    }
    assert_eq!(survived, [""; 0]);
}

#[test]
fn the_end_cannot_be_caught() {
    for who in WHO {
        assert_eq!(attempt(&[who, "handler", "nothing"]), Ended::Done, "{who}");
        assert_eq!(attempt(&[who, "handler", "openat2"]), Ended::Filtered, "{who}");
    }
}

#[test]
fn no_file_is_opened() {
    all_are_filtered(&[
        "openat",
        "openat-write",
        "openat-write-only",
        "openat-append",
        "openat-create",
        "openat-truncate",
        "openat-path",
        "openat-unnamed",
        "openat2",
        "open_by_handle_at",
        "name_to_handle_at",
        "getdents64",
        "newfstatat",
        "statx",
        "faccessat",
        "readlinkat",
        "getcwd",
        "chdir",
        "fchdir",
        "memfd_create",
        "inotify_init1",
        "fanotify_init",
    ]);
}

#[test]
fn no_file_is_changed() {
    all_are_filtered(&[
        "unlinkat",
        "renameat2",
        "linkat",
        "symlinkat",
        "mkdirat",
        "mknodat",
        "fchmodat",
        "fchmod",
        "fchownat",
        "utimensat",
        "truncate",
        "ftruncate",
        "setxattr",
        "fsync",
    ]);
}

#[test]
fn no_program_and_no_process_is_started() {
    all_are_filtered(&["execve", "execveat", "clone", "clone-thread", "clone3", "setsid", "setpgid"]);
}

#[test]
fn no_process_is_traced_or_looked_into() {
    all_are_filtered(&[
        "ptrace",
        "ptrace-parent",
        "process_vm_readv",
        "process_vm_writev",
        "process_madvise",
        "kcmp",
        "pidfd_open",
        "pidfd_getfd",
        "perf_event_open",
        "waitid",
    ]);
}

#[test]
fn no_process_is_signalled() {
    let both = [
        "kill",
        "kill-all",
        "kill-group",
        "kill-parent",
        "kill-self",
        "tkill",
        "tgkill",
        "tgkill-parent",
        "rt_sigqueueinfo",
        "pidfd_send_signal",
        "rt_sigaction",
        "rt_sigprocmask",
        "timer_create",
        "setitimer",
    ];
    all_are_filtered(&both);
    // The one that a monitor may kill, otherwise than by SIGKILL, and one that it may not.
    for who in &WHO[1..] {
        for how in starts_of(who) {
            for action in ["terminate-child", "probe-child", "kill-starter"] {
                assert_eq!(attempt(&[who, how, action]), Ended::Filtered, "{action} by the {who}, as {how}");
            }
        }
    }
}

#[test]
fn no_namespace_and_no_root_directory_is_entered() {
    all_are_filtered(&[
        "unshare-user",
        "unshare-mount",
        "unshare-network",
        "unshare-pid",
        "unshare-ipc",
        "unshare-names",
        "unshare-cgroup",
        "clone-user",
        "setns",
        "chroot",
        "pivot_root",
        "mount",
        "umount2",
        "open_tree",
        "move_mount",
        "fsopen",
        "fsmount",
        "mount_setattr",
    ]);
}

#[test]
fn no_id_and_no_capability_comes_back() {
    all_are_filtered(&[
        "setuid",
        "setreuid",
        "setresuid",
        "setfsuid",
        "setgid",
        "setregid",
        "setresgid",
        "setfsgid",
        "setgroups",
        "capset",
        "prctl",
        "prctl-death-signal",
        "prctl-keep-capabilities",
        "prctl-seccomp",
        "prctl-ptracer",
        "seccomp",
        "landlock_create_ruleset",
    ]);
}

#[test]
fn no_limit_is_raised() {
    all_are_filtered(&[
        "setrlimit-files",
        "setrlimit-processes",
        "prlimit64",
        "prlimit64-parent",
        "setpriority",
        "sched_setscheduler",
        "sched_setaffinity",
    ]);
}

#[test]
fn no_socket_of_another_family_or_kind_is_made() {
    // More than there are. 2 and 10 are IPv4 and IPv6, which are the child's own.
    let families: Vec<String> = (0..48)
        .filter(|family| ![libc::AF_INET, libc::AF_INET6].contains(family))
        .map(|family| format!("socket-family-{family}"))
        .collect();
    all_are_filtered(&families.iter().map(String::as_str).collect::<Vec<_>>());
    all_are_filtered(&[
        "socket-tcp",
        "socket-udp",
        "socket-raw",
        "socket-raw-6",
        "socket-ping",
        "socket-mptcp",
        "socket-sctp",
        "socket-udplite",
        "socket-unix-datagram",
        "socket-alg",
        "socket-netlink",
        "socket-blocking",
        "socketpair",
    ]);
}

#[test]
fn no_connection_is_awaited_and_no_way_around_the_ports_is_taken() {
    all_are_filtered(&[
        "connect-nothing",
        "sendto-nothing",
        "recvfrom-nothing",
        "bind-nothing",
        "listen",
        "accept4",
        "bind-long",
        "setsockopt-bindtodevice",
        "setsockopt-mark",
        "setsockopt-filter",
        "setsockopt-reuseport",
        "setsockopt-transparent",
        "setsockopt-ulp",
        "setsockopt-fastopen-connect",
        "setsockopt-of-another-level",
        "getsockopt-of-another-level",
        "getsockopt-peer",
        "sendto-fastopen",
        "sendto-out-of-band",
    ]);
}

#[test]
fn no_memory_becomes_code_or_is_shared() {
    all_are_filtered(&[
        "mmap-exec",
        "mmap-write-exec",
        "mmap-file",
        "mmap-file-exec",
        "mmap-shared",
        "mmap-fixed",
        "mprotect-exec",
        "mprotect-write-exec",
        "pkey_mprotect",
        "mremap-fixed",
        "personality",
        "remap_file_pages",
        "shmget",
        "shmat-exec",
        "memfd_secret",
        "mlock",
        "madvise-wipe",
        "futex-wait",
        "userfaultfd",
    ]);
}

#[test]
fn no_descriptor_is_passed_copied_or_changed() {
    all_are_filtered(&[
        "sendmsg",
        "sendmmsg",
        "recvmsg",
        "recvmmsg",
        "dup",
        "dup3",
        "fcntl-copy",
        "fcntl-flags",
        "fcntl-setflags",
        "fcntl-setown",
        "fcntl-setsig",
        "fcntl-lease",
        "fcntl-notify",
        "fcntl-pipe-size",
        "ioctl",
        "ioctl-type",
        "flock-waiting",
        "lseek",
        "pread64-of-another",
        "pwrite64",
        "pwritev",
        "sendfile",
        "splice",
        "tee",
        "vmsplice",
        "copy_file_range",
        "epoll_create1",
        "eventfd2",
        "pipe2",
        "signalfd4",
        "timerfd_create",
    ]);
}

#[test]
fn nothing_is_written_to_the_message() {
    all_are_filtered(&[
        "write-message",
        "writev-message",
        "pwrite64-message",
        "sendto-message",
        "bind-message",
        "connect-message",
        "fcntl-copy-message",
    ]);
}

#[test]
fn nothing_else_is_had_of_the_kernel() {
    all_are_filtered(&[
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "bpf",
        "keyctl",
        "add_key",
        "request_key",
        "init_module",
        "finit_module",
        "kexec_load",
        "reboot",
        "swapoff",
        "sethostname",
        "clock_settime",
        "syslog",
        "msgget",
        "mq_open",
        "getrandom",
        "getrandom-insecure",
    ]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_older_forms_of_calls_are_none_either() {
    all_are_filtered(&[
        "open",
        "creat",
        "stat",
        "access",
        "readlink",
        "unlink",
        "rename",
        "chmod",
        "uselib",
        "fork",
        "dup2",
        "pipe",
        "accept",
        "alarm",
        "arch_prctl",
        "modify_ldt",
        "iopl",
        "ioperm",
    ]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_of_the_other_architectures_kill() {
    use std::os::unix::process::ExitStatusExt as _;

    // These have numbers that are in no table, whether or not the kernel knows them.
    all_are_filtered(&["x32", "x32-read", "x32-openat", "x32-execve"]);
    let mut has_compat = true;
    for who in WHO {
        for how in starts_of(who) {
            // getpid, which both tables permit under its own number; fork, open, execve, kill, ptrace, socketcall.
            for number in [20, 2, 5, 11, 37, 26, 102] {
                match attempt(&[who, how, &format!("compat-{number}")]) {
                    Ended::Filtered => {}
                    // A kernel without 32 bit support answers int 0x80 with SIGSEGV.
                    Ended::Otherwise(status) => {
                        assert_eq!(status.signal(), Some(libc::SIGSEGV));
                        has_compat = false;
                    }
                    other @ (Ended::Done | Ended::Failed(_) | Ended::NotConfined(_)) => {
                        panic!("{number} by the {who}, as {how}: {other:?}")
                    }
                }
            }
        }
    }
    if !has_compat {
        crate::support::cannot("this kernel has no 32 bit calls");
    }
}
