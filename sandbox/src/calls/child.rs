//! What the network child may do beside [`common`](super::common): TCP and UDP over IP, and an event loop.
//!
//! No file, no process, no signal, no descriptor passing, no other address family, no listener, no ioctl.
//! The address of connect(2), bind(2) and sendto(2) is behind a pointer, which a filter cannot follow: Landlock checks
//! the ports of TCP, nothing checks those of UDP.

use super::rule::{Rule, When, flags, is_not, one_of, rule};
use libc::{
    AF_INET, AF_INET6, EFD_CLOEXEC, EFD_NONBLOCK, EPOLL_CLOEXEC, F_DUPFD_CLOEXEC, F_GETFD, GRND_INSECURE,
    GRND_NONBLOCK, IPPROTO_TCP, IPPROTO_UDP, MSG_NOSIGNAL, SO_ERROR, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK,
    SOCK_STREAM, SOL_SOCKET, STDIN_FILENO, TCP_NODELAY,
};

/// Lengths of a `sockaddr_in` and of a `sockaddr_in6`: fixed by the kernel's interface.
const IPV4_ADDRESS: u32 = 16;
const IPV6_ADDRESS: u32 = 28;

pub(super) const RULES: &[Rule] = &[
    rule!(
        SYS_socket,
        When::Args(&[
            &[
                one_of!(0, AF_INET, AF_INET6),
                one_of!(1, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC),
                one_of!(2, 0, IPPROTO_TCP),
            ],
            &[
                one_of!(0, AF_INET, AF_INET6),
                one_of!(1, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC),
                one_of!(2, 0, IPPROTO_UDP),
            ],
        ]),
        "TCP to the peer, UDP and TCP to name servers; never blocking, so that every wait has a deadline"
    ),
    // A socket that the message comes from is neither connected nor bound: it may be the report's, too, or somebody else's.
    rule!(
        SYS_connect,
        When::Args(&[&[is_not!(0, STDIN_FILENO)]]),
        "TCP to the peer and to name servers; Landlock checks the port"
    ),
    rule!(
        SYS_bind,
        When::Args(&[&[is_not!(0, STDIN_FILENO), one_of!(2, IPV4_ADDRESS, IPV6_ADDRESS)]]),
        "the resolver's random source ports, and the source address of TCP; there is no listen"
    ),
    // Nothing is written to the message: a terminal or a socket there is the report's, too, or is read by somebody.
    rule!(
        SYS_write,
        When::Args(&[&[is_not!(0, STDIN_FILENO)]]),
        "bytes to the pipe to the monitor and to sockets"
    ),
    // MSG_FASTOPEN in particular must not pass: it connects a TCP socket, and not every kernel
    // asks Landlock then.
    rule!(
        SYS_sendto,
        When::Args(&[&[is_not!(0, STDIN_FILENO), flags!(3, 0, MSG_NOSIGNAL)]]),
        "questions to name servers, bytes to the peer"
    ),
    rule!(SYS_recvfrom, When::Always, "answers of name servers, bytes of the peer"),
    rule!(
        SYS_pread64,
        When::Args(&[&[one_of!(0, 0)]]),
        "the message, by place: it is measured before it is announced, then sent, and sent again where BDAT is refused"
    ),
    rule!(
        SYS_writev,
        When::Args(&[&[is_not!(0, STDIN_FILENO)]]),
        "the resolver's questions over TCP: length and question at once"
    ),
    rule!(
        SYS_getsockopt,
        When::Args(&[&[one_of!(1, SOL_SOCKET), one_of!(2, SO_ERROR)]]),
        "whether a connection was made"
    ),
    rule!(
        SYS_setsockopt,
        When::Args(&[&[one_of!(1, IPPROTO_TCP), one_of!(2, TCP_NODELAY)]]),
        "small packets at once"
    ),
    rule!(SYS_epoll_create1, When::Args(&[&[one_of!(0, EPOLL_CLOEXEC)]]), "the resolver's event loop"),
    rule!(SYS_epoll_ctl, When::Always, "the resolver's event loop"),
    // AArch64 has no epoll_wait: its C library makes one of epoll_pwait.
    #[cfg(target_arch = "x86_64")]
    rule!(SYS_epoll_wait, When::Always, "the resolver's event loop"),
    #[cfg(target_arch = "aarch64")]
    rule!(SYS_epoll_pwait, When::Always, "the resolver's event loop"),
    rule!(
        SYS_eventfd2,
        When::Args(&[&[one_of!(1, EFD_CLOEXEC | EFD_NONBLOCK)]]),
        "the resolver's event loop wakes itself"
    ),
    rule!(
        SYS_fcntl,
        When::Args(&[&[is_not!(0, STDIN_FILENO), one_of!(1, F_DUPFD_CLOEXEC, F_GETFD)]]),
        "F_DUPFD_CLOEXEC: the resolver's event loop copies its own descriptor, and nobody that of the message; \
         F_GETFD: Rust's library looks before it closes, in builds with debug assertions"
    ),
    rule!(
        SYS_getrandom,
        When::Args(&[&[one_of!(2, 0, GRND_NONBLOCK, GRND_INSECURE)]]),
        "random numbers: 0 OpenSSL and ids of questions, GRND_NONBLOCK the allocator, GRND_INSECURE hash tables"
    ),
    rule!(
        SYS_sysinfo,
        When::Always,
        "qsort of C libraries before 2.37 sizes its buffer by the memory there is"
    ),
    rule!(SYS_gettimeofday, When::Always, "OpenSSL's clock, where it cannot be read without a call"),
    #[cfg(target_arch = "x86_64")]
    rule!(
        SYS_time,
        When::Always,
        "the same clock, for the dates of certificates and the age of random numbers"
    ),
];
