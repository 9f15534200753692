//! A small SMTP server that accepts everything, keeps what arrived, and writes the conversation down.
//!
//! Any number of connections at once, one thread each. A message is streamed, never held as a whole
//! unless [`Keep::Memory`] asks for it. It knows EHLO, HELO, STARTTLS, MAIL, RCPT, DATA, RSET, NOOP and
//! QUIT; what it does not know is answered with 500.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use openssl::sha::Sha256;
use openssl::ssl::SslAcceptor;

use crate::dialogue::escape;
use crate::peer::Peer;

const PATIENCE: Duration = Duration::from_secs(60);
/// How often the waiting thread looks whether it is to stop, in milliseconds.
const GLANCE: u8 = 20;

/// What becomes of a message's bytes. Length and digest are known in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// They are kept in memory.
    Memory,
    /// They go to files in this directory.
    Directory(PathBuf),
    /// They are counted and forgotten.
    Digest,
}

/// How the server presents itself.
pub struct Options {
    /// Its name, in the greeting.
    pub name: String,
    /// EHLO keywords beyond STARTTLS, as the lines go: `PIPELINING`, `SIZE 1000000`.
    pub extensions: Vec<String>,
    /// Offers STARTTLS when there is one.
    pub acceptor: Option<SslAcceptor>,
    /// The reply to STARTTLS where it is offered and refused.
    pub tls_refusal: Option<String>,
    /// TLS starts with the connection.
    pub implicit_tls: bool,
    /// What becomes of messages.
    pub keep: Keep,
}

impl Options {
    /// A plain server of this name, which keeps messages in memory.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            extensions: Vec::new(),
            acceptor: None,
            tls_refusal: None,
            implicit_tls: false,
            keep: Keep::Memory,
        }
    }
}

/// Where a message's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Here.
    Memory(Vec<u8>),
    /// In this file.
    File(PathBuf),
    /// Gone.
    Digest,
}

/// A message that arrived. Its bytes are those of the wire: CRLF line ends, leading dots doubled,
/// without the final dot line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Where it arrived.
    pub server: SocketAddr,
    /// Where it came from.
    pub client: SocketAddr,
    /// What the client called itself last, in EHLO or HELO.
    pub hello: String,
    /// The path after `MAIL FROM:`, with its brackets, without parameters.
    pub sender: String,
    /// The paths after `RCPT TO:`.
    pub recipients: Vec<String>,
    /// Octets on the wire.
    pub octets: u64,
    /// SHA-256 of those octets.
    pub digest: [u8; 32],
    /// The octets.
    pub content: Content,
    /// Whether it came through TLS.
    pub tls: bool,
}

impl Arrived {
    /// The message as a mailbox would hold it: LF line ends, doubled dots undone. Empty unless it was
    /// kept in memory.
    pub fn text(&self) -> String {
        let Content::Memory(wire) = &self.content else { return String::new() };
        let lines = wire.split_inclusive(|&byte| byte == b'\n').map(|line| {
            let line = line.strip_prefix(b".").unwrap_or(line);
            String::from_utf8_lossy(line).replace("\r\n", "\n")
        });
        lines.collect()
    }
}

#[derive(Default)]
struct Record {
    /// A list for each connection, in the order in which they came.
    transcripts: Vec<Vec<String>>,
    messages: Vec<Arrived>,
}

struct Shared {
    options: Options,
    over: AtomicBool,
    serial: AtomicU64,
    record: Mutex<Record>,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        // A thread that panicked left whole lines behind: they are as good as any.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server; it accepts no more connections when dropped.
pub struct SmtpSink {
    shared: Arc<Shared>,
    /// Taken by `drop` alone.
    thread: Option<JoinHandle<()>>,
}

impl SmtpSink {
    /// Binds the addresses and serves them.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub fn start(addresses: &[SocketAddr], options: Options) -> io::Result<Self> {
        let over = AtomicBool::new(false);
        let shared = Arc::new(Shared { options, over, serial: AtomicU64::new(0), record: Mutex::default() });
        let listeners = addresses.iter().map(TcpListener::bind).collect::<io::Result<Vec<_>>>()?;
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        let thread = {
            let shared = shared.clone();
            std::thread::spawn(move || accept(&listeners, &shared))
        };
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The messages that arrived so far.
    pub fn messages(&self) -> Vec<Arrived> {
        self.shared.record().messages.clone()
    }

    /// Waits until `count` messages have arrived, `limit` at most, and returns those that have.
    pub fn wait_for_messages(&self, count: usize, limit: Duration) -> Vec<Arrived> {
        let enough = || Some(self.messages()).filter(|messages| messages.len() >= count);
        wait(limit, enough).unwrap_or_else(|| self.messages())
    }

    /// Waits until the conversations so far satisfy `enough`, `limit` at most.
    pub fn wait_for(&self, limit: Duration, enough: impl Fn(&[String]) -> bool) {
        wait(limit, || enough(&self.transcript()).then_some(()));
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.shared.record().transcripts.len()
    }

    /// The conversations so far, one connection after the other: lines `C: ...`, `S: ...`, and lines
    /// that begin with `-- ` for what has no line on the wire.
    pub fn transcript(&self) -> Vec<String> {
        self.shared.record().transcripts.concat()
    }
}

fn wait<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = ready();
        if found.is_some() || start.elapsed() > limit {
            return found;
        }
        std::thread::sleep(Duration::from_millis(GLANCE.into()));
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.shared.options.name, self.transcript().join("\n"));
        }
    }
}

fn accept(listeners: &[TcpListener], shared: &Arc<Shared>) {
    let mut ready: Vec<_> =
        listeners.iter().map(|listener| PollFd::new(listener.as_fd(), PollFlags::POLLIN)).collect();
    while !shared.over.load(Ordering::SeqCst) {
        if poll(&mut ready, GLANCE).unwrap_or(0) == 0 {
            continue;
        }
        for (stream, _) in listeners.iter().filter_map(|listener| listener.accept().ok()) {
            let shared = shared.clone();
            // Ends with its client, or by its patience.
            std::thread::spawn(move || Session::run(stream, &shared));
        }
    }
}

/// What a client says so far in one transaction.
#[derive(Default)]
struct Envelope {
    sender: Option<String>,
    recipients: Vec<String>,
}

struct Session<'a> {
    peer: Peer,
    shared: &'a Shared,
    /// The place of this conversation in the record.
    number: usize,
    server: SocketAddr,
    client: SocketAddr,
    hello: String,
    envelope: Envelope,
}

/// Whether the conversation goes on.
enum Next {
    Go,
    Stop,
    StartTls,
}

impl<'a> Session<'a> {
    fn run(stream: TcpStream, shared: &'a Shared) -> Result<(), String> {
        let ends = stream.local_addr().and_then(|server| Ok((server, stream.peer_addr()?)));
        let (server, client) = ends.map_err(|error| error.to_string())?;
        let number = {
            let mut record = shared.record();
            record.transcripts.push(vec![format!("-- connection to {server}")]);
            record.transcripts.len().saturating_sub(1)
        };
        let peer = Peer::new(stream, PATIENCE).map_err(|error| error.to_string())?;
        let hello = String::new();
        let mut session =
            Session { peer, shared, number, server, client, hello, envelope: Envelope::default() };
        if shared.options.implicit_tls {
            session = session.start_tls()?;
        }
        let greeting = format!("220 {} ESMTP", shared.options.name);
        session.say(&greeting)?;
        loop {
            let line = match session.peer.line() {
                Ok(line) => line,
                Err(gone) => {
                    session.note(format!("-- {gone}"));
                    return Ok(());
                }
            };
            let line = line.strip_suffix(b"\r\n").unwrap_or(&line).to_vec();
            session.note(format!("C: {}", escape(&line)));
            match session.answer(&String::from_utf8_lossy(&line))? {
                Next::Go => {}
                Next::Stop => return Ok(()),
                Next::StartTls => session = session.start_tls()?,
            }
        }
    }

    fn note(&self, line: String) {
        if let Some(transcript) = self.shared.record().transcripts.get_mut(self.number) {
            transcript.push(line);
        }
    }

    fn say(&mut self, text: &str) -> Result<(), String> {
        for line in text.split('\n') {
            self.note(format!("S: {line}"));
        }
        let wire = format!("{}\r\n", text.replace('\n', "\r\n"));
        self.peer.send(wire.as_bytes()).map_err(|error| error.to_string())
    }

    fn answer(&mut self, line: &str) -> Result<Next, String> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                rest.clone_into(&mut self.hello);
                self.envelope = Envelope::default();
                let text = self.introduction();
                self.say(&text)?;
            }
            "HELO" => {
                rest.clone_into(&mut self.hello);
                self.envelope = Envelope::default();
                let text = format!("250 {}", self.shared.options.name);
                self.say(&text)?;
            }
            "STARTTLS" if self.offers_tls() => {
                if let Some(refusal) = &self.shared.options.tls_refusal {
                    self.say(refusal)?;
                    return Ok(Next::Go);
                }
                self.say("220 2.0.0 go ahead")?;
                return Ok(Next::StartTls);
            }
            "MAIL" => {
                self.envelope = Envelope { sender: path(rest, "FROM:"), recipients: Vec::new() };
                let good = self.envelope.sender.is_some();
                self.say(if good { "250 2.1.0 sender ok" } else { "501 5.5.4 what sender?" })?;
            }
            "RCPT" => match path(rest, "TO:") {
                Some(path) if self.envelope.sender.is_some() => {
                    self.envelope.recipients.push(path);
                    self.say("250 2.1.5 recipient ok")?;
                }
                Some(_) => self.say("503 5.5.1 MAIL first")?,
                None => self.say("501 5.5.4 what recipient?")?,
            },
            "DATA" if self.envelope.recipients.is_empty() => self.say("503 5.5.1 RCPT first")?,
            "DATA" => self.take_message()?,
            "RSET" => {
                self.envelope = Envelope::default();
                self.say("250 2.0.0 forgotten")?;
            }
            "NOOP" => self.say("250 2.0.0 done")?,
            "QUIT" => {
                // The client may be gone already: it need not wait for this.
                let _ = self.say("221 2.0.0 goodbye");
                return Ok(Next::Stop);
            }
            _ => self.say("500 5.5.1 unknown command")?,
        }
        Ok(Next::Go)
    }

    fn offers_tls(&self) -> bool {
        let Options { acceptor, tls_refusal, .. } = &self.shared.options;
        (acceptor.is_some() || tls_refusal.is_some()) && !self.peer.is_tls()
    }

    fn introduction(&self) -> String {
        let mut lines = vec![self.shared.options.name.clone()];
        lines.extend(self.shared.options.extensions.iter().cloned());
        if self.offers_tls() {
            lines.push("STARTTLS".to_owned());
        }
        let last = lines.len().saturating_sub(1);
        let mark = |at: usize| if at == last { ' ' } else { '-' };
        let lines: Vec<_> =
            lines.iter().enumerate().map(|(at, line)| format!("250{}{line}", mark(at))).collect();
        lines.join("\n")
    }

    fn start_tls(mut self) -> Result<Self, String> {
        let Some(acceptor) = &self.shared.options.acceptor else { return Err("no TLS offered".to_owned()) };
        let (shared, number) = (self.shared, self.number);
        let failed = |error: String| {
            if let Some(transcript) = shared.record().transcripts.get_mut(number) {
                transcript.push(format!("-- {error}"));
            }
            error
        };
        self.peer = self.peer.start_tls(acceptor).map_err(failed)?;
        self.envelope = Envelope::default();
        let summary = self.peer.tls_summary().unwrap_or_default();
        self.note(format!("-- TLS starts: {summary}"));
        Ok(self)
    }

    fn take_message(&mut self) -> Result<(), String> {
        self.say("354 go on, end with a dot")?;
        let mut store = Store::new(self.shared).map_err(|error| error.to_string())?;
        let mut failure = None;
        let end = self.peer.message(|bytes| {
            if let Err(error) = store.add(bytes) {
                failure = Some(error);
            }
        });
        if let Err(gone) = end {
            self.note(format!("-- in the message: {gone}"));
            return Err(gone.to_string());
        }
        let finished = store.finish();
        let (Ok((content, octets, digest)), None) = (finished, failure) else {
            return self.say("452 4.3.1 cannot store this");
        };
        self.note(format!("C: (the message, {octets} octets)"));
        self.note("C: .".to_owned());
        let envelope = std::mem::take(&mut self.envelope);
        let message = Arrived {
            server: self.server,
            client: self.client,
            hello: self.hello.clone(),
            sender: envelope.sender.unwrap_or_default(),
            recipients: envelope.recipients,
            octets,
            digest,
            content,
            tls: self.peer.is_tls(),
        };
        // Before the reply: whoever has seen the reply finds the message.
        self.shared.record().messages.push(message);
        self.say("250 2.0.0 accepted")
    }
}

/// The path of a MAIL or RCPT command.
fn path(rest: &str, keyword: &str) -> Option<String> {
    let (head, path) = rest.split_at_checked(keyword.len())?;
    let end = path.rfind('>')?;
    let path = path.trim_start().get(..=end)?;
    (head.eq_ignore_ascii_case(keyword) && path.starts_with('<')).then(|| path.to_owned())
}

/// A message on its way in.
struct Store {
    place: Place,
    octets: u64,
    digest: Sha256,
}

enum Place {
    Memory(Vec<u8>),
    File(BufWriter<File>, PathBuf),
    Nowhere,
}

impl Store {
    fn new(shared: &Shared) -> io::Result<Self> {
        let place = match &shared.options.keep {
            Keep::Memory => Place::Memory(Vec::new()),
            Keep::Digest => Place::Nowhere,
            Keep::Directory(directory) => {
                let serial = shared.serial.fetch_add(1, Ordering::Relaxed);
                let path = directory.join(format!("message-{serial}"));
                Place::File(BufWriter::new(File::create(&path)?), path)
            }
        };
        Ok(Self { place, octets: 0, digest: Sha256::new() })
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.octets = self.octets.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.digest.update(bytes);
        match &mut self.place {
            Place::Memory(all) => all.extend_from_slice(bytes),
            Place::File(file, _) => file.write_all(bytes)?,
            Place::Nowhere => {}
        }
        Ok(())
    }

    fn finish(self) -> io::Result<(Content, u64, [u8; 32])> {
        let content = match self.place {
            Place::Memory(all) => Content::Memory(all),
            Place::File(mut file, path) => {
                file.flush()?;
                Content::File(path)
            }
            Place::Nowhere => Content::Digest,
        };
        Ok((content, self.octets, self.digest.finish()))
    }
}

#[cfg(test)]
mod tests;
