//! What a confined process attempts.

use crate::attacks::Attack;
use crate::calls;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, SockaddrLike,
    SockaddrStorage, bind, connect, getsockopt, recvfrom, send, sendto, setsockopt, socket, sockopt,
};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, read, write};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

const FLAGS: SockFlag = SockFlag::SOCK_NONBLOCK.union(SockFlag::SOCK_CLOEXEC);

/// A forbidden attempt.
pub(crate) fn perform_attack(attack: &Attack) -> Result<(), Errno> {
    match *attack {
        Attack::Native(call) => calls::make(call),
        #[cfg(target_arch = "x86_64")]
        Attack::Compat(number) => calls::make_compat(number),
    }
}

/// What a network child attempts.
pub(crate) fn perform(action: &str, address: Option<SocketAddr>) -> Result<(), Errno> {
    match (action, address) {
        ("nothing" | "orphan", _) => Ok(()),
        ("hold", _) => hold(),
        ("memory", _) => memory(),
        ("events", _) => events(),
        ("too-much-memory", _) => too_much_memory(),
        ("kill-self", _) => kill(getpid(), Signal::SIGTERM),
        ("connect", Some(address)) => tcp(address),
        ("bind-tcp", Some(address)) => {
            let fd = socket(family(&address), SockType::Stream, FLAGS, None)?;
            bind(fd.as_raw_fd(), sockaddr(&address).as_ref())
        }
        ("udp", Some(address)) => udp(address),
        _ => Err(Errno::EINVAL),
    }
}

/// What a monitor attempts. `starter` is a process that it has no business with, `file` was open before.
pub(crate) fn perform_as_monitor(action: &str, child: Pid, starter: Pid, file: &File) -> Result<(), Errno> {
    match action {
        "nothing" => Ok(()),
        "hold" => hold(),
        "memory" => memory(),
        "read-file" => read_file(),
        "update-file" => update_file(file),
        "kill-child" => {
            kill(child, Signal::SIGKILL)?;
            let killed = matches!(waitpid(child, None)?, WaitStatus::Signaled(_, Signal::SIGKILL, _));
            if killed { Ok(()) } else { Err(Errno::ECHILD) }
        }
        "terminate-child" => kill(child, Signal::SIGTERM),
        "probe-child" => kill(child, None),
        "kill-starter" => kill(starter, Signal::SIGKILL),
        "kill-self" => kill(getpid(), Signal::SIGKILL),
        _ => Err(Errno::EINVAL),
    }
}

/// As files of certificates are read: opened without waiting, looked at, read to the end.
fn read_file() -> Result<(), Errno> {
    let failed = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open("/etc/passwd");
    let mut file = file.map_err(failed)?;
    let is_file = file.metadata().map_err(failed)?.is_file();
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(failed)?;
    if is_file && content.starts_with(b"root:") { Ok(()) } else { Err(Errno::EIO) }
}

/// As the table of addresses is kept: locked without waiting, read, and written to in place.
fn update_file(file: &File) -> Result<(), Errno> {
    let failed = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    file.try_lock().map_err(|_| Errno::EWOULDBLOCK)?;
    file.write_all_at(b"changed", 100).map_err(failed)?;
    let mut octets = [0; 7];
    file.read_exact_at(&mut octets, 100).map_err(failed)?;
    file.unlock().map_err(failed)?;
    if octets == *b"changed" { Ok(()) } else { Err(Errno::EIO) }
}

/// Says that it is there, and stays until standard input ends.
fn hold() -> Result<(), Errno> {
    write(std::io::stdout(), b"ready\n")?;
    read(std::io::stdin(), &mut [0]).map(drop)
}

/// Small, large, growing and zeroed blocks, and a hash table.
fn memory() -> Result<(), Errno> {
    let mut bytes = vec![1_u8; 100];
    bytes.resize(300_000, 2);
    bytes.resize(8_000_000, 3);
    let zeros = vec![0_u8; 8_000_000];
    bytes.truncate(100_000);
    bytes.shrink_to_fit();
    // Small pieces for some megabytes: the heap grows.
    let names: HashMap<usize, String> = (0..100_000).map(|n| (n, n.to_string())).collect();
    if names.len() == 100_000 && bytes.len() == 100_000 && zeros.iter().all(|zero| *zero == 0) {
        Ok(())
    } else {
        Err(Errno::EIO)
    }
}

fn too_much_memory() -> Result<(), Errno> {
    Vec::<u8>::new().try_reserve_exact(600 * 1024 * 1024).map_err(|_| Errno::ENOMEM)
}

/// What an event loop does: its own descriptor copied, and woken by itself.
fn events() -> Result<(), Errno> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let waker = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let copy = epoll.0.try_clone().map_err(|_| Errno::EIO)?;
    epoll.add(&waker, EpollEvent::new(EpollFlags::EPOLLIN, 7))?;
    waker.write(1)?;
    let mut events = [EpollEvent::empty()];
    epoll.wait(&mut events, EpollTimeout::NONE)?;
    drop(copy);
    if events.first().is_some_and(|event| event.data() == 7) { Ok(()) } else { Err(Errno::EIO) }
}

fn family(address: &SocketAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// The address in the length of its own family; a `SockaddrStorage` always has that of the longest.
fn sockaddr(address: &SocketAddr) -> Box<dyn SockaddrLike> {
    match address {
        SocketAddr::V4(address) => Box::new(SockaddrIn::from(*address)),
        SocketAddr::V6(address) => Box::new(SockaddrIn6::from(*address)),
    }
}

fn wait_for(fd: &OwnedFd, flags: PollFlags) -> Result<(), Errno> {
    poll(&mut [PollFd::new(fd.as_fd(), flags)], PollTimeout::NONE).map(drop)
}

/// Connects and sends a byte.
fn tcp(address: SocketAddr) -> Result<(), Errno> {
    let fd = socket(family(&address), SockType::Stream, FLAGS, SockProtocol::Tcp)?;
    setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) => {}
        Err(Errno::EINPROGRESS) => {
            wait_for(&fd, PollFlags::POLLOUT)?;
            match getsockopt(&fd, sockopt::SocketError)? {
                0 => {}
                code => return Err(Errno::from_raw(code)),
            }
        }
        Err(errno) => return Err(errno),
    }
    send(fd.as_raw_fd(), b"!", MsgFlags::MSG_NOSIGNAL).map(drop)
}

/// Asks from a port of its own, and takes the answer.
fn udp(address: SocketAddr) -> Result<(), Errno> {
    let fd = socket(family(&address), SockType::Datagram, FLAGS, None)?;
    let any: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    bind(fd.as_raw_fd(), sockaddr(&any).as_ref())?;
    sendto(fd.as_raw_fd(), b"?", &SockaddrStorage::from(address), MsgFlags::MSG_NOSIGNAL)?;
    wait_for(&fd, PollFlags::POLLIN)?;
    let mut answer = [0];
    recvfrom::<SockaddrStorage>(fd.as_raw_fd(), &mut answer)?;
    if answer == *b"!" { Ok(()) } else { Err(Errno::EIO) }
}
