//! The servers of a dialogue: bound before the client starts, one thread each, and a list of what they
//! saw that the file does not say.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, sockopt};
use openssl::ssl::SslAcceptor;

use super::case::{Dialogue, Server};
use super::connection::play;
use super::escapes::escape;
use super::wire_form::WireForms;
use crate::certificates::Authority;
use crate::dns_stub::{DnsStub, Zone};

/// How often a server looks whether the test is over, while nobody connects.
const GLANCE_MILLISECONDS: u8 = 20;

/// Something that a server saw and the file does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The file's line.
    pub line: usize,
    /// What it leads one to expect.
    pub expected: String,
    /// What happened.
    pub seen: String,
}

impl Mismatch {
    pub(super) fn new(line: usize, expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { line, expected: expected.into(), seen: seen.into() }
    }

    /// Two byte strings that differ; long ones from a little before the first difference.
    pub(super) fn bytes(line: usize, expected: &[u8], seen: &[u8]) -> Self {
        let same = expected.iter().zip(seen).take_while(|(one, other)| one == other).count();
        let from = if expected.len().max(seen.len()) > 400 { same.saturating_sub(40) } else { 0 };
        let part = |bytes: &[u8]| {
            let shown = bytes.get(from..).unwrap_or_default();
            let shown = shown.get(..300).unwrap_or(shown);
            let place =
                if from > 0 { format!("({} bytes, from {from}) ", bytes.len()) } else { String::new() };
            format!("{place}{}", escape(shown))
        };
        Self::new(line, part(expected), part(seen))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}:\n  expected: {}\n  seen:     {}", self.line, self.expected, self.seen)
    }
}

/// Running servers.
pub struct Servers {
    threads: Vec<JoinHandle<Vec<Mismatch>>>,
    over: Arc<AtomicBool>,
    authority: Authority,
    // Kept for as long as the servers are: the name server, and what fills the silent ones' backlogs.
    _dns: Option<DnsStub>,
    _silent: Vec<Silent>,
}

impl Dialogue {
    /// Binds all servers, the name server included, and starts them.
    ///
    /// # Errors
    /// An address cannot be bound, a certificate cannot be made, a zone line is wrong.
    pub fn serve(&self) -> io::Result<Servers> {
        let authority = Authority::new("Dialogue test authority")?;
        let names: Vec<&str> = self.certificate_names.iter().map(String::as_str).collect();
        let acceptor = Arc::new(authority.issue(&names)?.acceptor()?);
        let converted = Arc::new(WireForms::of(&self.message));
        let over = Arc::new(AtomicBool::new(false));
        let dns = match &self.zone {
            Some(zone) => {
                let zone = Zone::parse(zone).map_err(|error| io::Error::other(error.to_string()))?;
                Some(DnsStub::start(zone)?)
            }
            None => None,
        };
        let silent = self.silent.iter().map(|address| Silent::listen(*address)).collect::<io::Result<_>>()?;
        let mut bound = Vec::new();
        for server in &self.servers {
            let place =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", server.address));
            bound.push((server.clone(), TcpListener::bind(server.address).map_err(place)?));
        }
        let mut threads = Vec::new();
        for (server, listener) in bound {
            let (acceptor, converted, over) = (acceptor.clone(), converted.clone(), over.clone());
            let name = server.address.to_string();
            threads.push(
                std::thread::Builder::new()
                    .name(name)
                    .spawn(move || serve(&server, &listener, &acceptor, &converted, &over))?,
            );
        }
        Ok(Servers { threads, over, authority, _dns: dns, _silent: silent })
    }
}

impl Servers {
    /// The authority that issued the servers' certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// To be called when the client has ended: waits for the servers, and returns what went otherwise
    /// than the file says, in the order of its lines.
    pub fn finish(self) -> Vec<Mismatch> {
        self.over.store(true, Ordering::SeqCst);
        let mut mismatches = Vec::new();
        for thread in self.threads {
            let broken = |_| vec![Mismatch::new(0, "a server", "its thread panicked")];
            mismatches.extend(thread.join().unwrap_or_else(broken));
        }
        mismatches.sort_by_key(|mismatch| mismatch.line);
        mismatches
    }
}

/// Plays a server's connections in order, then sees to it that there are no more.
fn serve(
    server: &Server,
    listener: &TcpListener,
    acceptor: &SslAcceptor,
    converted: &WireForms,
    over: &AtomicBool,
) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for connection in &server.connections {
        let played = match accept(listener, over) {
            Ok(Some(stream)) => play(connection, stream, acceptor, converted, over),
            Ok(None) => Err(Mismatch::new(connection.line, "a connection", "none")),
            Err(error) => Err(Mismatch::new(connection.line, "a connection", error.to_string())),
        };
        mismatches.extend(played.err());
    }
    while let Ok(Some(_)) = accept(listener, over) {
        let count = server.connections.len();
        mismatches.push(Mismatch::new(server.line, format!("{count} connections"), "one more"));
    }
    mismatches
}

/// The next connection, or `None` when the client has ended and no more can come.
fn accept(listener: &TcpListener, over: &AtomicBool) -> io::Result<Option<TcpStream>> {
    listener.set_nonblocking(true)?;
    loop {
        // In this order: a connection made before the end is still in the backlog.
        let last = over.load(Ordering::SeqCst);
        match listener.accept() {
            Ok((stream, _)) => return Ok(Some(stream)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => return Err(error),
        }
        if last {
            return Ok(None);
        }
        let mut wait = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        poll(&mut wait, PollTimeout::from(GLANCE_MILLISECONDS))?;
    }
}

/// An address whose backlog is full: the kernel drops further connection attempts, as a dead host would.
#[derive(Debug)]
pub struct Silent {
    _listener: std::os::fd::OwnedFd,
    _fillers: Vec<std::os::fd::OwnedFd>,
}

impl Silent {
    /// Fills the backlog of `address`, until this is dropped.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let place = SockaddrStorage::from(address);
        let new = |flags| socket::socket(family, SockType::Stream, flags, None);
        let listener = new(SockFlag::SOCK_CLOEXEC)?;
        socket::setsockopt(&listener, sockopt::ReuseAddr, &true)?;
        socket::bind(std::os::fd::AsRawFd::as_raw_fd(&listener), &place)?;
        // A backlog of nought still holds one connection; those beyond it fill what else there is.
        socket::listen(&listener, Backlog::new(0)?)?;
        let mut fillers = Vec::new();
        for _ in 0..4 {
            let filler = new(SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
            match socket::connect(std::os::fd::AsRawFd::as_raw_fd(&filler), &place) {
                Ok(()) | Err(nix::errno::Errno::EINPROGRESS) => fillers.push(filler),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { _listener: listener, _fillers: fillers })
    }
}
