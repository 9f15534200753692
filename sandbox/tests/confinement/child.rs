//! What a confined network child can and cannot do, tried by real processes.

use crate::support::{CLOCK, Ended, attempt, cannot, command, landlock_has, starts};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// A port on which nothing listens, and nothing can, as long as the descriptor lives.
fn refusing_port() -> (OwnedFd, SocketAddr) {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let address: SockaddrIn = getsockname(fd.as_raw_fd()).unwrap();
    (fd, (Ipv4Addr::LOCALHOST, address.port()).into())
}

fn connect(how: &str, allowed: u16, to: SocketAddr) -> Ended {
    attempt(&["child", how, "connect", &allowed.to_string(), &to.to_string()])
}

#[test]
fn the_childs_own_work_is_permitted() {
    for how in starts() {
        for action in ["nothing", "memory", "events", CLOCK] {
            assert_eq!(attempt(&["child", how, action]), Ended::Done, "{action} as {how}");
        }
    }
}

/// GLIBC_TUNABLES is read before any code of ours: what it makes of the allocator must work.
#[test]
fn the_allocators_large_pages_are_permitted() {
    for tunables in ["glibc.malloc.hugetlb=1", "glibc.malloc.hugetlb=2"] {
        for who in ["child", "monitor"] {
            let status = command(&[who, "asis", "memory"]).env("GLIBC_TUNABLES", tunables).status().unwrap();
            assert_eq!(Ended::from(status), Ended::Done, "{who}, {tunables}");
        }
    }
    // A machine may have none, and the allocator ask for none.
    for call in ["madvise-huge", "mmap-huge"] {
        let ended = attempt(&["child", "asis", call]);
        assert!(matches!(ended, Ended::Done | Ended::Failed(_)), "{call}: {ended:?}");
    }
}

#[test]
fn every_call_outside_the_table_kills() {
    let sweep = command(&["sweep", "child"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&sweep.stdout), "");
    assert_eq!(Ended::from(sweep.status), Ended::Done);
}

#[test]
fn a_listed_port_can_be_reached() {
    let (_holder, refusing) = refusing_port();
    for how in starts() {
        assert_eq!(connect(how, refusing.port(), refusing), Ended::Failed(Errno::ECONNREFUSED as i32));
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                cannot(&format!("cannot listen on {address}"));
                continue;
            };
            let address = listener.local_addr().unwrap();
            assert_eq!(connect(how, address.port(), address), Ended::Done, "{address} as {how}");
            let mut byte = [0];
            listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
            assert_eq!(byte, *b"!");
        }
    }
}

#[test]
fn a_port_that_is_not_listed_cannot_be_reached() {
    if !landlock_has(4, "TCP ports") {
        return;
    }
    let (_holder, other) = refusing_port();
    // The last is the first in other words.
    for (listens, host) in
        [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]"), ("127.0.0.1:0", "[::ffff:127.0.0.1]")]
    {
        let Ok(listener) = TcpListener::bind(listens) else {
            cannot(&format!("cannot listen on {listens}"));
            continue;
        };
        let port = listener.local_addr().unwrap().port();
        let address = format!("{host}:{port}").parse().unwrap();
        for how in starts() {
            let ended = connect(how, other.port(), address);
            assert_eq!(ended, Ended::Failed(Errno::EACCES as i32), "{address} as {how}");
        }
    }
}

#[test]
fn no_tcp_port_can_be_bound() {
    if !landlock_has(4, "TCP ports") {
        return;
    }
    let (holder, address) = refusing_port();
    drop(holder);
    for how in starts() {
        let ended = attempt(&["child", how, "bind-tcp", &address.port().to_string(), &address.to_string()]);
        assert_eq!(ended, Ended::Failed(Errno::EACCES as i32), "as {how}");
    }
}

#[test]
fn questions_over_udp_are_answered() {
    for how in starts() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(server) = UdpSocket::bind(address) else {
                cannot(&format!("cannot bind {address}"));
                continue;
            };
            // Only keeps a failure from hanging.
            server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let address = server.local_addr().unwrap().to_string();
            let mut asking = command(&["child", how, "udp", "53", &address]).spawn().unwrap();
            let mut question = [0];
            let (_, from) = server.recv_from(&mut question).unwrap();
            server.send_to(b"!", from).unwrap();
            assert_eq!(Ended::from(asking.wait().unwrap()), Ended::Done, "{address} as {how}");
        }
    }
}

#[test]
fn memory_is_bounded() {
    assert_eq!(attempt(&["child", "asis", "too-much-memory"]), Ended::Failed(Errno::ENOMEM as i32));
}

#[test]
fn a_child_whose_monitor_is_gone_is_not_confined_but_ends() {
    for how in starts() {
        assert_eq!(attempt(&["child", how, "orphan"]), Ended::NotConfined("parent"), "as {how}");
    }
}
