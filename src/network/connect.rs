//! TCP connections: to the first of several addresses that answers.
//!
//! Network child. Attempts are staggered (RFC 8305 section 5), so that a dead address family costs a
//! fraction of a second and not a whole timeout.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, connect, socket};

use super::channel::Deadline;
use crate::ipc::Family;
use crate::plan::{LocalAddresses, Plan};

/// RFC 8305 section 8: the recommended delay between attempts.
const STAGGER: Duration = Duration::from_millis(250);

struct Attempt {
    stream: TcpStream,
    address: IpAddr,
    deadline: Deadline,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoConnection {
    /// None of the addresses answered, or none is of a family that there is a local address for.
    Unreachable,
    /// The local address of this family is not one of this machine's.
    CannotBind(Family),
    /// The system has no socket to give.
    NoSocket,
}

/// Connects to one of `addresses`, in order, each with the plan's timeout for itself. Those at which nothing answered in
/// that time, or that refused, are put into `failed`; not those that another one has overtaken, nor those to which there
/// is no way from here.
pub(super) fn connect_any(
    addresses: &[IpAddr],
    plan: &Plan,
    failed: &mut Vec<IpAddr>,
) -> Result<(TcpStream, IpAddr), NoConnection> {
    let has_source = |address: &IpAddr| plan.local.is_any() || plan.local.of(family_of(*address)).is_some();
    let mut waiting: VecDeque<IpAddr> = addresses.iter().copied().filter(has_source).collect();
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut next_start = Deadline::after(Duration::ZERO);
    loop {
        if attempts.is_empty() || next_start.has_passed() {
            match waiting.pop_front() {
                Some(address) => attempts.extend(start(address, plan, failed)?),
                None if attempts.is_empty() => return Err(NoConnection::Unreachable),
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
                Ok(None) => return Ok((attempt.stream, attempt.address)),
                // Refused or unreachable: the next one need not wait.
                Ok(Some(error)) | Err(error) => {
                    if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::TimedOut) {
                        failed.push(attempt.address);
                    }
                    next_start = Deadline::after(Duration::ZERO);
                }
            }
        }
        let timed_out = attempts.extract_if(.., |attempt| attempt.deadline.has_passed());
        failed.extend(timed_out.map(|attempt| attempt.address));
    }
}

/// Starts an attempt; none when the kernel refuses it at once (no route, no such family).
fn start(address: IpAddr, plan: &Plan, failed: &mut Vec<IpAddr>) -> Result<Option<Attempt>, NoConnection> {
    let family = family_of(address);
    let domain = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let stream = match socket(domain, SockType::Stream, flags, None) {
        Ok(socket) => TcpStream::from(socket),
        Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
            return Err(NoConnection::NoSocket);
        }
        Err(_) => return Ok(None),
    };
    // Each flight is one write; none should wait for the acknowledgement of the one before. Slow is not wrong.
    let _ = stream.set_nodelay(true);
    bind_source(&stream, family, plan).map_err(|_| NoConnection::CannotBind(family))?;
    let scope = plan.local.v6.map_or(0, |(_, scope)| scope);
    let connected = match address {
        IpAddr::V4(address) => {
            connect(stream.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(address, plan.port)))
        }
        IpAddr::V6(address) => {
            connect(stream.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(address, plan.port, 0, scope)))
        }
    };
    let deadline = Deadline::after(plan.timeouts.connect);
    Ok(match connected {
        Ok(()) | Err(Errno::EINPROGRESS) => Some(Attempt { stream, address, deadline }),
        // By an address of this machine, that comes at once.
        Err(Errno::ECONNREFUSED) => {
            failed.push(address);
            None
        }
        Err(_) => None,
    })
}

fn bind_source(stream: &TcpStream, family: Family, plan: &Plan) -> Result<(), Errno> {
    let socket = stream.as_raw_fd();
    match (family, plan.local) {
        (Family::V4, LocalAddresses { v4: Some(local), .. }) => {
            bind(socket, &SockaddrIn::from(SocketAddrV4::new(local, 0)))
        }
        (Family::V6, LocalAddresses { v6: Some((local, scope)), .. }) => {
            bind(socket, &SockaddrIn6::from(SocketAddrV6::new(local, 0, 0, scope)))
        }
        (Family::V4, LocalAddresses { v4: None, .. }) | (Family::V6, LocalAddresses { v6: None, .. }) => {
            Ok(())
        }
    }
}

fn family_of(address: IpAddr) -> Family {
    if address.is_ipv6() { Family::V6 } else { Family::V4 }
}

/// Waits until an attempt has come to an end, and gives its index.
fn answered(attempts: &[Attempt], until: Deadline) -> Option<usize> {
    let mut descriptors: Vec<_> =
        attempts.iter().map(|attempt| PollFd::new(attempt.stream.as_fd(), PollFlags::POLLOUT)).collect();
    let _ = poll(&mut descriptors, until.poll_timeout(Instant::now()));
    descriptors.iter().position(|descriptor| descriptor.any().unwrap_or(false))
}
