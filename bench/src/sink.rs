//! The server that is delivered to: SMTP, as fast as this machine reads.
//!
//! A thread for each connection. It takes everything, keeps nothing, and answers all commands of one read with one write, as
//! servers that pipeline do.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use openssl::ssl::SslAcceptor;

/// Large enough for whole socket buffers: one call, many segments.
const BUFFER: usize = 256 * 1024;
/// What ends a message.
const END: &[u8] = b"\r\n.\r\n";

/// How a server presents itself.
#[derive(Clone, Default)]
pub(crate) struct Manner {
    /// Its EHLO keywords.
    pub(crate) extensions: &'static [&'static str],
    /// Offers STARTTLS when there is one, and demands it.
    pub(crate) acceptor: Option<Arc<SslAcceptor>>,
    /// Answers MAIL only when told to.
    pub(crate) holds: Option<Arc<Gate>>,
}

/// Holds connections until it opens.
#[derive(Default)]
pub(crate) struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    /// How many wait.
    pub(crate) waiting: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = self.opened.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets everybody go on.
    pub(crate) fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }
}

/// A server.
pub(crate) struct Sink {
    octets: Arc<AtomicU64>,
}

impl Sink {
    /// Listens for the rest of the process's life.
    pub(crate) fn start(address: SocketAddr, manner: Manner) -> io::Result<Sink> {
        let listener = TcpListener::bind(address)?;
        let octets = Arc::new(AtomicU64::new(0));
        let counter = octets.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (manner, counter) = (manner.clone(), counter.clone());
                // A client that goes away is its own business.
                thread::spawn(move || serve(stream, &manner, &counter));
            }
        });
        Ok(Sink { octets })
    }

    /// The octets of messages that came so far.
    pub(crate) fn octets(&self) -> u64 {
        self.octets.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, manner: &Manner, octets: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink.test\r\n")?;
    let keywords = match manner.acceptor {
        Some(_) => [manner.extensions, &["STARTTLS"]].concat(),
        None => manner.extensions.to_vec(),
    };
    let needs_tls = manner.acceptor.is_some();
    let mut session = Session { introduction: introduction(&keywords), needs_tls, manner, octets };
    if let (Some(acceptor), true) = (&manner.acceptor, session.converse(&mut stream)?) {
        let mut stream = acceptor.accept(stream).map_err(io::Error::other)?;
        session = Session { introduction: introduction(manner.extensions), needs_tls: false, ..session };
        session.converse(&mut stream)?;
    }
    Ok(())
}

fn introduction(keywords: &[&str]) -> Vec<u8> {
    let lines = keywords.iter().map(|keyword| format!("250-{keyword}\r\n"));
    lines
        .chain(["250 8BITMIME\r\n".to_owned()])
        .fold("250-sink.test\r\n".to_owned(), |all, line| all + &line)
        .into()
}

struct Session<'a> {
    introduction: Vec<u8>,
    /// Whether nothing is taken before STARTTLS.
    needs_tls: bool,
    manner: &'a Manner,
    octets: &'a AtomicU64,
}

/// What the client's next octets are.
enum Expected {
    Commands,
    /// A message up to its end mark; these were the last octets of it so far.
    Message(Vec<u8>),
    /// So many octets of a last chunk.
    Chunk(u64),
}

impl Session<'_> {
    /// True: the client has said STARTTLS, and was told to go on.
    fn converse(&mut self, stream: &mut (impl Read + Write)) -> io::Result<bool> {
        let (mut buffer, mut filled) = (vec![0; BUFFER], 0usize);
        let mut expected = Expected::Commands;
        loop {
            let count = stream.read(buffer.get_mut(filled..).unwrap_or_default())?;
            if count == 0 {
                return Ok(false);
            }
            filled = filled.saturating_add(count);
            let (mut taken, mut answers, mut secure) = (0usize, Vec::new(), false);
            loop {
                let rest = buffer.get(taken..filled).unwrap_or_default();
                if rest.is_empty() {
                    break;
                }
                let (used, next) = match std::mem::replace(&mut expected, Expected::Commands) {
                    Expected::Commands => match rest.iter().position(|&octet| octet == b'\n') {
                        Some(end) => {
                            let line = rest.get(..end).unwrap_or_default();
                            let next = self.command(line.trim_ascii_end(), &mut answers, &mut secure);
                            (end.saturating_add(1), next)
                        }
                        None => break,
                    },
                    Expected::Message(tail) => self.message(rest, tail, &mut answers),
                    Expected::Chunk(left) => self.chunk(rest, left, &mut answers),
                };
                (taken, expected) = (taken.saturating_add(used), next);
            }
            stream.write_all(&answers)?;
            if secure {
                return Ok(true);
            }
            buffer.copy_within(taken..filled, 0);
            filled = filled.saturating_sub(taken);
        }
    }

    fn command(&self, line: &[u8], answers: &mut Vec<u8>, secure: &mut bool) -> Expected {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let (answer, next): (&[u8], _) = match verb.as_slice() {
            b"EHLO" => (&self.introduction, Expected::Commands),
            b"STAR" => {
                *secure = true;
                (b"220 go on\r\n", Expected::Commands)
            }
            b"MAIL" if self.needs_tls => (b"530 STARTTLS first\r\n", Expected::Commands),
            b"MAIL" => {
                if let Some(gate) = &self.manner.holds {
                    gate.pass();
                }
                (b"250 ok\r\n", Expected::Commands)
            }
            b"DATA" => (b"354 go on\r\n", Expected::Message(b"\r\n".to_vec())),
            b"BDAT" => {
                let size = line.split(|&octet| octet == b' ').nth(1).unwrap_or_default();
                let size = std::str::from_utf8(size).ok().and_then(|size| size.parse().ok());
                (b"", Expected::Chunk(size.unwrap_or_default()))
            }
            b"QUIT" => (b"221 bye\r\n", Expected::Commands),
            _ => (b"250 ok\r\n", Expected::Commands),
        };
        answers.extend_from_slice(answer);
        next
    }

    /// A client waits for the answer before it says more: the end mark is at the end of what came, or not here.
    fn message(&self, rest: &[u8], mut tail: Vec<u8>, answers: &mut Vec<u8>) -> (usize, Expected) {
        self.octets.fetch_add(u64::try_from(rest.len()).unwrap_or_default(), Ordering::Relaxed);
        tail.extend_from_slice(rest.get(rest.len().saturating_sub(END.len())..).unwrap_or_default());
        tail.drain(..tail.len().saturating_sub(END.len()));
        if tail == END {
            answers.extend_from_slice(b"250 taken\r\n");
            return (rest.len(), Expected::Commands);
        }
        (rest.len(), Expected::Message(tail))
    }

    fn chunk(&self, rest: &[u8], left: u64, answers: &mut Vec<u8>) -> (usize, Expected) {
        let used = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        let used_octets = u64::try_from(used).unwrap_or_default();
        self.octets.fetch_add(used_octets, Ordering::Relaxed);
        match left.saturating_sub(used_octets) {
            0 => {
                answers.extend_from_slice(b"250 taken\r\n");
                (used, Expected::Commands)
            }
            left => (used, Expected::Chunk(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that sends these pieces, each read by itself.
    struct Client<'a> {
        pieces: Vec<&'a [u8]>,
        answers: Vec<u8>,
    }

    impl Read for Client<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.pieces.is_empty() {
                return Ok(0);
            }
            self.pieces.remove(0).read(buffer)
        }
    }

    impl Write for Client<'_> {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.answers.extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The answers, and how many octets of messages were counted.
    fn converse(pieces: &[&str]) -> (String, u64) {
        let (manner, octets) = (Manner::default(), AtomicU64::new(0));
        let mut session = Session {
            introduction: introduction(&["SIZE"]),
            needs_tls: false,
            manner: &manner,
            octets: &octets,
        };
        let mut client =
            Client { pieces: pieces.iter().map(|it| it.as_bytes()).collect(), answers: Vec::new() };
        session.converse(&mut client).unwrap();
        (String::from_utf8(client.answers).unwrap(), octets.into_inner())
    }

    #[test]
    fn commands_are_answered_however_they_are_cut() {
        let whole = converse(&["EHLO a\r\nMAIL FROM:<>\r\nDATA\r\n", "x\r\n.\r\n", "QUIT\r\n"]);
        let answers =
            "250-sink.test\r\n250-SIZE\r\n250 8BITMIME\r\n250 ok\r\n354 go on\r\n250 taken\r\n221 bye\r\n";
        assert_eq!(whole, (answers.to_owned(), 6));
        assert_eq!(
            converse(&["EH", "LO a\r", "\nMAIL FROM:<>\r\nDATA\r\n", "x\r\n.", "\r\n", "QUIT\r\n"]),
            whole
        );
    }

    #[test]
    fn a_chunk_is_as_long_as_it_says() {
        let answers = "250 taken\r\n221 bye\r\n".to_owned();
        for pieces in [&["BDAT 6 LAST\r\nQUIT\r\nQUIT\r\n"][..], &["BDAT 6 LAST\r\nQUI", "T\r\nQU", "IT\r\n"]]
        {
            assert_eq!(converse(pieces), (answers.clone(), 6));
        }
    }
}
