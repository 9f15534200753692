//! The Landlock domain of each process: no file (to a monitor that reads files: none for writing), chosen TCP ports, no foreign abstract sockets.
//!
//! Runs in both processes. Trusts the port numbers of the profile. Best effort by kernel: rights that the running
//! kernel does not know are left out, and without Landlock nothing happens here, because seccomp denies
//! nearly all of this as well. Only the choice of TCP ports is Landlock's alone. A call that should work and fails is
//! an error.
//!
//! UDP is not restricted: kernels that can are too young to have been tested here, and a right is not
//! handled before it has been seen to work.

use crate::error::Error;
use crate::monitor::ReadsFiles;
use crate::step::Step;
use crate::sys;
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope,
};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::error::Error as _;
use std::io;

/// File system rights are all denied, so the newest list known is the right one: no rule can go stale.
const NEWEST: ABI = ABI::V10;

/// Child: no file, TCP connections to `connect_ports` only, no signal to the outside. TCP sockets are bound, if at all,
/// to a port that the kernel chooses: 0 stands for that.
pub(crate) fn enter_child(connect_ports: &[u16], binds_source: bool) -> Result<(), Error> {
    let connect = connect_ports.iter().map(|port| NetPort::new(*port, AccessNet::ConnectTcp));
    let bind = binds_source.then(|| NetPort::new(0, AccessNet::BindTcp));
    closed(Scope::AbstractUnixSocket | Scope::Signal)
        .and_then(|ruleset| ruleset.add_rules(connect.chain(bind).map(Ok)))
        .and_then(RulesetCreated::restrict_self)
        .map_err(refused)
        .map(drop)
}

/// Monitor: no TCP at all, and no file, or none but for reading. It may still signal: its child is outside its domain, and the kernel asks the
/// domain of a dying monitor too, before it delivers the child's death signal.
pub(crate) fn enter_monitor(reads: ReadsFiles) -> Result<(), Error> {
    let root = match reads {
        ReadsFiles::No => None,
        ReadsFiles::Yes => {
            let root = open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
            Some(root.map_err(Error::refused(Step::Landlock))?)
        }
    };
    let below_root = root.map(|root| PathBeneath::new(root, AccessFs::ReadFile | AccessFs::ReadDir));
    closed(Scope::AbstractUnixSocket.into())
        .and_then(|ruleset| ruleset.add_rules(below_root.into_iter().map(Ok)))
        .and_then(RulesetCreated::restrict_self)
        .map_err(refused)
        .map(drop)
}

/// Everything denied that this crate has seen denied.
fn closed(scopes: landlock::BitFlags<Scope>) -> Result<RulesetCreated, landlock::RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
        .scope(scopes)?
        .create()
}

/// The `landlock` crate wraps the system's error several layers deep.
fn refused(error: landlock::RulesetError) -> Error {
    let mut cause = error.source();
    let mut errno = Errno::UnknownErrno;
    while let Some(error) = cause {
        if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            errno = Errno::from_raw(code);
        }
        cause = error.source();
    }
    Error::Refused { step: Step::Landlock, errno }
}

/// The version of Landlock that the running kernel offers; `None` if it has none or keeps it switched off.
///
/// From 4 on TCP ports are enforced, from 6 on the scopes.
#[must_use]
pub fn landlock_abi() -> Option<u32> {
    sys::landlock_version().ok().and_then(|version| u32::try_from(version).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;
    use std::fs::File;
    use std::net::{TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
    use std::process::{Command, Stdio};
    use std::thread;

    /// What a thread in a domain can still do without a system call filter: open a file, for reading and for writing,
    /// connect, by TCP and to an abstract socket, signal another process. A domain holds for the thread that enters it, so
    /// that the other tests stay outside.
    fn inside(enter: fn() -> Result<(), Error>) -> [Option<i32>; 5] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let name = UnixAddress::from_abstract_name(format!("domain of {}", address.port())).unwrap();
        let _abstract_listener = UnixListener::bind_addr(&name).unwrap();
        let mut other = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(other.id()).unwrap());
        let results = thread::spawn(move || {
            enter().unwrap();
            let failed = |error: io::Error| error.raw_os_error();
            let read = File::open("/").map_err(failed).err();
            let write = File::options().write(true).open("/dev/null").map_err(failed).err();
            let stream = TcpStream::connect(address).map_err(failed).err();
            let local = UnixStream::connect_addr(&name).map_err(failed).err();
            let signal = kill(pid, None).map_err(|errno| Some(errno as i32)).err();
            [read, write, stream, local, signal].map(Option::flatten)
        });
        let results = results.join().unwrap();
        // It ends with its input.
        other.wait().unwrap();
        results
    }

    #[test]
    fn a_source_may_be_bound_to_a_port_of_the_kernels_choice_only() {
        let bind = |binds_source: bool, port: u16| {
            thread::spawn(move || {
                enter_child(&[], binds_source).unwrap();
                TcpListener::bind(("127.0.0.1", port)).map_err(|error| error.raw_os_error()).err().flatten()
            })
            .join()
            .unwrap()
        };
        let denied = (landlock_abi().unwrap_or(0) >= 4).then_some(libc::EACCES);
        assert_eq!((bind(true, 0), bind(true, 1), bind(false, 0)), (None, denied.or(bind(true, 1)), denied));
    }

    #[test]
    fn domains_close_files_ports_and_scopes_by_themselves() {
        let version = landlock_abi().unwrap_or(0);
        let file = (version >= 1).then_some(libc::EACCES);
        let port = (version >= 4).then_some(libc::EACCES);
        let scope = (version >= 6).then_some(libc::EPERM);
        assert_eq!(inside(|| enter_child(&[1], false)), [file, file, port, scope, scope]);
        assert_eq!(inside(|| enter_monitor(ReadsFiles::No)), [file, file, port, scope, None]);
        assert_eq!(inside(|| enter_monitor(ReadsFiles::Yes)), [None, file, port, scope, None]);
    }
}
