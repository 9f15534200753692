//! TCP connections: to the first of several addresses that answers.
//!
//! Network child. Attempts are staggered (RFC 8305 section 5), so that a dead address family costs a
//! fraction of a second and not a whole timeout.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};

use super::channel::Deadline;

/// RFC 8305 section 8: the recommended delay between attempts.
const STAGGER: Duration = Duration::from_millis(250);

struct Attempt {
    stream: TcpStream,
    address: IpAddr,
    deadline: Deadline,
}

/// Connects to one of `addresses`, in order, each with `timeout` for itself. None: none of them answered.
pub(super) fn connect_any(addresses: &[IpAddr], port: u16, timeout: Duration) -> Option<(TcpStream, IpAddr)> {
    let mut waiting: VecDeque<IpAddr> = addresses.iter().copied().collect();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut next_start = Deadline::after(Duration::ZERO);
    loop {
        if attempts.is_empty() || next_start.has_passed() {
            match waiting.pop_front() {
                Some(address) => attempts.extend(start(address, port, timeout)),
                None if attempts.is_empty() => return None,
                None => {}
            }
            next_start = Deadline::after(STAGGER);
        }
        let earliest = attempts.iter().map(|attempt| attempt.deadline).min();
        let Some(earliest) = earliest else { continue };
        let until = if waiting.is_empty() { earliest } else { earliest.min(next_start) };
        let answered = answered(&attempts, until);
        if let Some(index) = answered {
            let attempt = attempts.swap_remove(index);
            match attempt.stream.take_error() {
                Ok(None) => return Some((attempt.stream, attempt.address)),
                // Refused or unreachable: the next one need not wait.
                Ok(Some(_)) | Err(_) => next_start = Deadline::after(Duration::ZERO),
            }
        }
        attempts.retain(|attempt| !attempt.deadline.has_passed());
    }
}

/// Starts an attempt; none when the kernel refuses it at once (no route, no such family).
fn start(address: IpAddr, port: u16, timeout: Duration) -> Option<Attempt> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let stream = TcpStream::from(socket(family, SockType::Stream, flags, None).ok()?);
    // Each flight is one write; none may wait for the acknowledgement of the one before.
    stream.set_nodelay(true).ok()?;
    let peer = SockaddrStorage::from(SocketAddr::new(address, port));
    match connect(std::os::fd::AsRawFd::as_raw_fd(&stream), &peer) {
        Ok(()) | Err(Errno::EINPROGRESS) => {
            Some(Attempt { stream, address, deadline: Deadline::after(timeout) })
        }
        Err(_) => None,
    }
}

/// Waits until an attempt has come to an end, and gives its index.
fn answered(attempts: &[Attempt], until: Deadline) -> Option<usize> {
    let mut descriptors: Vec<_> =
        attempts.iter().map(|attempt| PollFd::new(attempt.stream.as_fd(), PollFlags::POLLOUT)).collect();
    let _ = poll(&mut descriptors, until.poll_timeout(Instant::now()));
    descriptors.iter().position(|descriptor| descriptor.any().unwrap_or(false))
}
