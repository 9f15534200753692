//! A name server on [`ADDRESS`], UDP and TCP, that sends what a test says: octets that need not be an answer, several of
//! them, or nothing. What it would have answered by its zone is at hand.
//!
//! A datagram that is no question with one name gets nothing. A stream is read for one question, and closed behind what
//! is sent: who waits for more of it sees its end.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::dns_flights::question;
use crate::dns_stub::{ADDRESS, Limit, Zone};

/// How often the waiting thread looks whether it is to stop, in milliseconds.
const GLANCE: u8 = 50;
/// Who has connected asks within this time.
const QUESTION: Duration = Duration::from_secs(10);

/// A question that has come.
#[derive(Debug)]
pub struct Asked<'a> {
    /// What is asked, as `mx1.example.test A`.
    pub question: &'a str,
    /// The whole message.
    pub query: &'a [u8],
    /// The answer of the zone. By TCP its length does not stand before it.
    pub answer: Vec<u8>,
    /// It came by TCP.
    pub by_tcp: bool,
    /// Who asks.
    pub peer: SocketAddr,
}

/// Datagrams, each sent for itself, or parts of what goes through the stream, as they are.
type Script = Box<dyn FnMut(Asked<'_>) -> Vec<Vec<u8>> + Send>;

/// The running server; ends when dropped.
pub struct DnsScript {
    over: Arc<AtomicBool>,
    script: Arc<Mutex<Script>>,
    thread: Option<JoinHandle<()>>,
}

impl DnsScript {
    /// Binds [`ADDRESS`] and answers from `zone`, until [`play`](Self::play) says otherwise.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(zone: Zone) -> io::Result<DnsScript> {
        let socket = UdpSocket::bind(ADDRESS)?;
        let listener = TcpListener::bind(ADDRESS)?;
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(truly)));
        let over = Arc::new(AtomicBool::new(false));
        let (shared, is_over) = (script.clone(), over.clone());
        let thread = std::thread::spawn(move || serve(&zone, &socket, &listener, &shared, &is_over));
        Ok(DnsScript { over, script, thread: Some(thread) })
    }

    /// From now on this is sent.
    pub fn play(&self, script: impl FnMut(Asked<'_>) -> Vec<Vec<u8>> + Send + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }
}

impl Drop for DnsScript {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl fmt::Debug for DnsScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsScript").finish_non_exhaustive()
    }
}

/// What the zone says.
#[must_use]
pub fn truly(asked: Asked<'_>) -> Vec<Vec<u8>> {
    match asked.by_tcp {
        true => vec![framed(&asked.answer)],
        false => vec![asked.answer],
    }
}

/// A message as it goes through a stream: behind its length.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("no longer than a message can be");
    [&length.to_be_bytes(), message].concat()
}

fn serve(zone: &Zone, socket: &UdpSocket, listener: &TcpListener, script: &Mutex<Script>, over: &AtomicBool) {
    let reply = |query: &[u8], limit: Limit, peer: SocketAddr| {
        let question = question(query)?;
        let answer = zone.reply(query, limit)?;
        let by_tcp = matches!(limit, Limit::Stream);
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        Some(script(Asked { question: &question, query, answer, by_tcp, peer }))
    };
    let mut buffer = vec![0; usize::from(u16::MAX)];
    while !over.load(Ordering::SeqCst) {
        let mut ends = [socket.as_fd(), listener.as_fd()].map(|end| PollFd::new(end, PollFlags::POLLIN));
        if poll(&mut ends, PollTimeout::from(GLANCE)).is_err() {
            continue;
        }
        let [datagram, stream] = ends.map(|end| end.any().unwrap_or_default());
        if datagram && let Ok((size, peer)) = socket.recv_from(&mut buffer) {
            let query = buffer.get(..size).unwrap_or_default();
            for octets in reply(query, Limit::Datagram, peer).unwrap_or_default() {
                let _ = socket.send_to(&octets, peer);
            }
        }
        if stream && let Ok((mut stream, peer)) = listener.accept() {
            // Who is gone, or asks nothing, gets nothing.
            if let Ok(query) = receive(&mut stream) {
                let parts = reply(&query, Limit::Stream, peer).unwrap_or_default();
                let _ = stream.write_all(&parts.concat());
            }
        }
    }
}

fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(QUESTION))?;
    let mut size = [0; 2];
    stream.read_exact(&mut size)?;
    let mut query = vec![0; usize::from(u16::from_be_bytes(size))];
    stream.read_exact(&mut query)?;
    Ok(query)
}
