//! The connection to the server, in clear or under TLS, with a deadline on every step.
//!
//! Network child. Descriptors are non-blocking; waiting is done by poll(2).
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use openssl::ssl::{ErrorCode, SslStream};

/// A moment that a step must not outlast. One beyond the clock's range never comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    /// The moment `timeout` from now.
    pub(super) fn after(timeout: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(timeout))
    }

    /// Whether it has come.
    pub(super) fn has_passed(self) -> bool {
        self.0.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// For poll(2), rounded up so as not to spin through the last millisecond.
    pub(super) fn poll_timeout(self, now: Instant) -> PollTimeout {
        let Some(deadline) = self.0 else { return PollTimeout::MAX };
        let left = deadline.saturating_duration_since(now).saturating_add(Duration::from_micros(999));
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Deadline) -> std::cmp::Ordering {
        match (self.0, other.0) {
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        }
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Deadline) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The most that one TLS record holds (RFC 8446 section 5.1): whoever writes much writes multiples. OpenSSL is given no more
/// at once. Of two records it may say that nothing was written while the first one is with the peer, whose answer would
/// then be one to what is still to be sent.
pub(super) const RECORD: usize = 16 * 1024;

/// For what is done without waiting: OpenSSL's own work needs some time.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The connection ended, failed, or outlasted its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

/// What a step on a non-blocking descriptor has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Octets of the peer.
    Read,
    /// Room for ours.
    Write,
}

/// A connected, non-blocking socket that stops working when the deadline of the step has passed, so that a
/// peer that always has one more octet cannot keep OpenSSL busy beyond it.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    deadline: Deadline,
}

impl Socket {
    /// For steps up to `deadline`.
    pub(super) fn new(stream: TcpStream, deadline: Deadline) -> Socket {
        Socket { stream, deadline }
    }

    /// The same socket, for a step up to `deadline`.
    pub(super) fn until(self, deadline: Deadline) -> Socket {
        Socket { deadline, ..self }
    }

    /// Waits until the socket is ready for one of these.
    pub(super) fn wait(&self, wants: &[Want]) -> Result<(), Lost> {
        let flags = wants.iter().fold(PollFlags::empty(), |flags, want| match want {
            Want::Read => flags | PollFlags::POLLIN,
            Want::Write => flags | PollFlags::POLLOUT,
        });
        while !self.deadline.has_passed() {
            let mut descriptors = [PollFd::new(self.stream.as_fd(), flags)];
            match poll(&mut descriptors, self.deadline.poll_timeout(Instant::now())) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(_) => return Err(Lost),
            }
        }
        Err(Lost)
    }

    fn in_time(&self) -> io::Result<()> {
        if self.deadline.has_passed() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.in_time()?;
        self.stream.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.in_time()?;
        self.stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connected stream.
#[derive(Debug)]
pub(super) enum Channel {
    /// In clear.
    Plain(Socket),
    /// Under TLS.
    Tls(SslStream<Socket>),
}

impl Channel {
    /// Reads at least one octet. The end of the stream is a loss: the protocol says QUIT first.
    pub(super) fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, Lost> {
        self.retry(deadline, |channel| channel.read_once(buffer))
    }

    /// Writes everything.
    pub(super) fn write_all(&mut self, mut octets: &[u8], deadline: Deadline) -> Result<(), Lost> {
        while !octets.is_empty() {
            let written = self.retry(deadline, |channel| channel.write_once(octets))?;
            octets = octets.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Writes what can be written without waiting.
    pub(super) fn write_now(&mut self, octets: &[u8]) -> Result<usize, Lost> {
        self.set_deadline(Deadline::after(AT_ONCE));
        match self.write_once(octets) {
            Ok(count) => Ok(count),
            Err(Hindrance::Must(_)) => Ok(0),
            Err(Hindrance::Lost) => Err(Lost),
        }
    }

    /// Writes or reads at least one octet, whichever can be done first. That nothing can be written any more does not
    /// keep from reading.
    pub(super) fn write_or_read(
        &mut self,
        octets: &[u8],
        buffer: &mut [u8],
        deadline: Deadline,
    ) -> Result<Moved, Lost> {
        self.set_deadline(deadline);
        loop {
            let to_write = match self.write_once(octets) {
                Ok(count) => return Ok(Moved { written: Ok(count), read: 0 }),
                Err(Hindrance::Lost) => return Ok(Moved { written: Err(Lost), read: 0 }),
                Err(Hindrance::Must(want)) => want,
            };
            let to_read = match self.read_once(buffer) {
                Ok(0) | Err(Hindrance::Lost) => return Err(Lost),
                Ok(count) => return Ok(Moved { written: Ok(0), read: count }),
                Err(Hindrance::Must(want)) => want,
            };
            self.socket().wait(&[to_write, to_read])?;
        }
    }

    /// Whether octets have arrived that nobody has read yet. Under TLS they may be no more than its own.
    pub(super) fn has_arrived(&self) -> bool {
        let mut descriptors = [PollFd::new(self.socket().stream.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|count| count > 0)
    }

    /// Whether octets of the peer are there already. They are lost.
    pub(super) fn has_spoken(&mut self) -> bool {
        self.read_arrived(&mut [0]) > 0
    }

    /// Reads what is there already; how much that is.
    pub(super) fn read_arrived(&mut self, buffer: &mut [u8]) -> usize {
        self.set_deadline(Deadline::after(AT_ONCE));
        self.read_once(buffer).unwrap_or(0)
    }

    /// Writes what can be written without waiting, and forgets the connection.
    pub(super) fn farewell(mut self, octets: &[u8]) {
        self.set_deadline(Deadline::after(AT_ONCE));
        let _ = self.write_once(octets);
        if let Channel::Tls(stream) = &mut self {
            let _ = stream.shutdown();
        }
    }

    fn read_once(&mut self, buffer: &mut [u8]) -> Result<usize, Hindrance> {
        match self {
            Channel::Plain(stream) => attempt(stream.read(buffer), Want::Read),
            Channel::Tls(stream) => tls_attempt(stream.ssl_read(buffer)),
        }
    }

    fn write_once(&mut self, octets: &[u8]) -> Result<usize, Hindrance> {
        match self {
            Channel::Plain(stream) => attempt(stream.write(octets), Want::Write),
            Channel::Tls(stream) => tls_attempt(stream.ssl_write(octets.get(..RECORD).unwrap_or(octets))),
        }
    }

    fn retry(
        &mut self,
        deadline: Deadline,
        mut step: impl FnMut(&mut Channel) -> Result<usize, Hindrance>,
    ) -> Result<usize, Lost> {
        self.set_deadline(deadline);
        loop {
            match step(self) {
                Ok(0) | Err(Hindrance::Lost) => return Err(Lost),
                Ok(count) => return Ok(count),
                Err(Hindrance::Must(want)) => self.socket().wait(&[want])?,
            }
        }
    }

    fn socket(&self) -> &Socket {
        match self {
            Channel::Plain(stream) => stream,
            Channel::Tls(stream) => stream.get_ref(),
        }
    }

    fn set_deadline(&mut self, deadline: Deadline) {
        match self {
            Channel::Plain(stream) => stream.deadline = deadline,
            Channel::Tls(stream) => stream.get_mut().deadline = deadline,
        }
    }
}

/// What [`Channel::write_or_read`] did; one of both is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// How much was written; lost when nothing can be written any more.
    pub(super) written: Result<usize, Lost>,
    /// How much was read.
    pub(super) read: usize,
}

enum Hindrance {
    Must(Want),
    Lost,
}

fn attempt(result: io::Result<usize>, want: Want) -> Result<usize, Hindrance> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Hindrance::Must(want),
        _ => Hindrance::Lost,
    })
}

fn tls_attempt(result: Result<usize, openssl::ssl::Error>) -> Result<usize, Hindrance> {
    result.map_err(|error| match want_of(&error) {
        Some(want) => Hindrance::Must(want),
        None => Hindrance::Lost,
    })
}

/// What OpenSSL waits for; none when it has failed.
pub(super) fn want_of(error: &openssl::ssl::Error) -> Option<Want> {
    match error.code() {
        ErrorCode::WANT_READ => Some(Want::Read),
        ErrorCode::WANT_WRITE => Some(Want::Write),
        _ => None,
    }
}
