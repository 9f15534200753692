//! A dialogue file's content as data. Built by the parser alone; plain values, nothing runs here.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use crate::netstring::Package;
use crate::rspawn::Letter;

/// One complete test case.
#[derive(Debug, Clone)]
pub struct Dialogue {
    /// Control files: name and content.
    pub controls: Vec<(String, Vec<u8>)>,
    /// Host, sender, recipients, as far as the file has them.
    pub arguments: Vec<OsString>,
    /// The message, as the queue holds it.
    pub message: Vec<u8>,
    /// How the message reaches the program.
    pub feed: Feed,
    /// The mail servers.
    pub servers: Vec<Server>,
    /// Addresses where a connection attempt is never answered.
    pub silent: Vec<SocketAddr>,
    /// Zone lines for [`DnsStub`](crate::dns_stub::DnsStub); without them no name server runs.
    pub zone: Option<String>,
    /// The names in the servers' certificate.
    pub certificate_names: Vec<String>,
    /// The exact output.
    pub expected: Vec<u8>,
    /// The exit status.
    pub exit: i32,
    /// What the queue believes afterwards.
    pub belief: Letter,
}

/// How the message reaches the program as fd 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// A regular file.
    File,
    /// A pipe.
    Pipe,
}

/// A mail server: what it does on each connection it gets, in order. None: nobody may connect.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it stands in the file.
    pub line: usize,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it does.
    pub connections: Vec<Connection>,
}

/// What a server does on one connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Where it begins in the file.
    pub line: usize,
    /// The steps but the last.
    pub steps: Vec<Placed<Step>>,
    /// How the connection ends.
    pub ending: Placed<Ending>,
}

impl Connection {
    /// How often the client waits for the server, the connection itself included and a handshake of TLS 1.3 counted
    /// once. What the client does not wait for, the answer to QUIT, does not count.
    pub fn round_trips(&self) -> usize {
        let mut count = 1_usize;
        let mut is_answering = false;
        for step in &self.steps {
            let waits = match step.what {
                // After a handshake the client speaks first, so that one counts by itself.
                Step::Tls(_) => true,
                Step::Send(_) | Step::Drip { .. } => !is_answering,
                _ => false,
            };
            is_answering = matches!(step.what, Step::Send(_) | Step::Drip { .. });
            count = count.saturating_add(usize::from(waits));
        }
        count
    }
}

/// Something, and the line where it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The line, counted from 1.
    pub line: usize,
    /// What stands there.
    pub what: T,
}

/// A step within a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `s:` and `s+`: sends these bytes.
    Send(Vec<u8>),
    /// `c:`: the client sends exactly this line, and CRLF.
    Line(Vec<u8>),
    /// `c~`: the client sends a line that begins so.
    LinePrefix(Vec<u8>),
    /// `tls`: a handshake, with this server name indicated if one is given.
    Tls(Option<String>),
    /// `body`: the message's bytes, up to the CRLF.CRLF.
    Body(Body),
    /// `chunk`: `BDAT` with the last chunk, and its bytes.
    Chunk(Body),
    /// `package`: a QMTP package that holds this.
    Package(Package),
    /// `package is`: a QMTP package of exactly these bytes.
    PackageIs(Vec<u8>),
    /// `read`: at least so many bytes, whatever they are.
    Read(usize),
    /// `drip`: sends this again and again, a pause after each; ends early when the client closes.
    Drip {
        /// The bytes.
        text: Vec<u8>,
        /// How often.
        times: Times,
        /// How long it waits after each.
        pause: Duration,
    },
    /// `pause`: does nothing.
    Pause(Duration),
}

/// How often a `drip` repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// So often.
    Count(usize),
    /// Until the client closes, which it must do.
    Forever,
}

/// What the message's bytes must be on the wire; after DATA the final `.` line is one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Anything.
    Any,
    /// These bytes.
    Is(Vec<u8>),
    /// The message after the conversion that SMTP asks for, as a plain byte loop does it.
    Converted,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// `quit`: the client says QUIT, is answered, and closes.
    Quit,
    /// `bye`: the client closes, with or without a QUIT.
    Bye,
    /// `eof`: the client closes without a further byte.
    Eof,
    /// `abandoned`: the client closes in the middle of the message, whose end never came.
    Abandoned,
    /// `hold`: the server says nothing any more, and waits until the client closes.
    Hold,
    /// `stall`: the server reads nothing more, until the delivery has ended.
    Stall,
    /// `close`: the server closes in an orderly way.
    Close,
    /// `reset`: the server resets the connection.
    Reset,
}
