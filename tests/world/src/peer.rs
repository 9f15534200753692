//! The server's end of one SMTP connection: lines, raw bytes, and TLS from some point on.
//!
//! Runs in the tests and the demonstration only. It trusts nothing that the client sends, but it has
//! no limits of its own beyond a deadline for each read: the client is the subject, not an attacker.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use memchr::memmem;
use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};
use openssl::ssl::{NameType, ShutdownState, SslAcceptor, SslStream};

/// What ends a message on the wire.
pub const END_OF_DATA: &[u8] = b"\r\n.\r\n";
/// What ends an empty one.
const EMPTY_END: &[u8] = b".\r\n";

/// Why no more bytes came.
#[derive(Debug)]
pub enum Gone {
    /// The client closed its side in an orderly way.
    Closed,
    /// The client reset the connection, or it broke.
    Broken(io::Error),
    /// Nothing came for this long.
    Silent(Duration),
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the client closed the connection"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Silent(limit) => write!(f, "the client was silent for {} ms", limit.as_millis()),
        }
    }
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

/// One accepted connection.
pub struct Peer {
    stream: Stream,
    /// What was received and not yet taken.
    buffer: Vec<u8>,
    patience: Duration,
}

impl Peer {
    /// Takes over an accepted connection. Each later read may last `patience`.
    ///
    /// # Errors
    /// The socket options cannot be set.
    pub fn new(stream: TcpStream, patience: Duration) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream: Stream::Clear(stream), buffer: Vec::new(), patience })
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Clear(stream) => stream,
            Stream::Tls(stream) => stream.get_ref(),
        }
    }

    /// Whether TLS protects the connection by now.
    pub fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// The server name that the client indicated in its TLS handshake.
    pub fn indicated_name(&self) -> Option<String> {
        match &self.stream {
            Stream::Clear(_) => None,
            Stream::Tls(stream) => stream.ssl().servername(NameType::HOST_NAME).map(str::to_owned),
        }
    }

    /// TLS version and cipher in use, for people.
    pub fn tls_summary(&self) -> Option<String> {
        match &self.stream {
            Stream::Clear(_) => None,
            Stream::Tls(stream) => {
                let cipher = stream.ssl().current_cipher().map_or("no cipher", |cipher| cipher.name());
                Some(format!("{}, {cipher}", stream.ssl().version_str()))
            }
        }
    }

    /// Does the server's half of a TLS handshake.
    ///
    /// # Errors
    /// A description, when the client sent something before the handshake or the handshake fails.
    pub fn start_tls(mut self, acceptor: &SslAcceptor) -> Result<Self, String> {
        if !self.buffer.is_empty() {
            return Err("the client spoke before the handshake".to_owned());
        }
        let stream = match self.stream {
            Stream::Clear(stream) => stream,
            Stream::Tls(_) => return Err("TLS is in use already".to_owned()),
        };
        stream.set_read_timeout(Some(self.patience)).map_err(|error| error.to_string())?;
        let stream = acceptor.accept(stream).map_err(|error| format!("TLS handshake: {error}"))?;
        self.stream = Stream::Tls(Box::new(stream));
        Ok(self)
    }

    /// Receives once and appends to what is buffered.
    ///
    /// # Errors
    /// See [`Gone`].
    pub fn receive(&mut self) -> Result<(), Gone> {
        self.receive_within(self.patience)
    }

    fn receive_within(&mut self, limit: Duration) -> Result<(), Gone> {
        // A zero time-out would mean "none" to the socket.
        let limit = limit.max(Duration::from_millis(1));
        self.socket().set_read_timeout(Some(limit)).map_err(Gone::Broken)?;
        let mut chunk = vec![0; 64 * 1024];
        let result = match &mut self.stream {
            Stream::Clear(stream) => stream.read(&mut chunk),
            Stream::Tls(stream) => stream.read(&mut chunk),
        };
        match result {
            Ok(0) => Err(Gone::Closed),
            Ok(size) => {
                self.buffer.extend(chunk.iter().take(size));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error)
                if error.kind() == io::ErrorKind::WouldBlock || error.kind() == io::ErrorKind::TimedOut =>
            {
                Err(Gone::Silent(limit))
            }
            Err(error) => Err(Gone::Broken(error)),
        }
    }

    /// What was received and not yet taken.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes everything that is buffered.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Takes the first `size` buffered bytes, or as many as there are.
    pub fn take_first(&mut self, size: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(size.min(self.buffer.len()));
        std::mem::replace(&mut self.buffer, rest)
    }

    /// The next line, with its line end as it came.
    ///
    /// # Errors
    /// The line did not become complete; the fragment stays in [`pending`](Self::pending).
    pub fn line(&mut self) -> Result<Vec<u8>, Gone> {
        let deadline = Instant::now().checked_add(self.patience);
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                return Ok(self.take_first(end.saturating_add(1)));
            }
            let left = deadline.map_or(self.patience, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(Gone::Silent(self.patience));
            }
            self.receive_within(left)?;
        }
    }

    /// Takes the message that follows a 354, piece by piece, and then its final dot line, which is no
    /// part of it. What comes after that stays.
    ///
    /// # Errors
    /// The end did not come; all but the last few bytes have been handed out.
    pub fn message(&mut self, mut take: impl FnMut(&[u8])) -> Result<(), Gone> {
        let mut at_start = true;
        loop {
            if at_start && self.buffer.starts_with(EMPTY_END) {
                self.take_first(EMPTY_END.len());
                return Ok(());
            }
            if let Some(at) = memmem::find(&self.buffer, END_OF_DATA) {
                // The first CRLF ends the message's last line.
                take(&self.take_first(at.saturating_add(2)));
                self.take_first(EMPTY_END.len());
                return Ok(());
            }
            // The end may have begun in the last bytes.
            let sure = self.buffer.len().saturating_sub(END_OF_DATA.len().saturating_sub(1));
            if sure > 0 {
                take(&self.take_first(sure));
                at_start = false;
            }
            self.receive()?;
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection broke, or the client stopped reading.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Clear(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes),
        }
    }

    /// Says that nothing more will be sent, in an orderly way; reading goes on.
    pub fn finish_sending(&mut self) {
        // The client may be gone already: then there is nobody left to tell.
        if let Stream::Tls(stream) = &mut self.stream {
            let _ = stream.shutdown();
        }
        let _ = self.socket().shutdown(Shutdown::Write);
    }

    /// Reads until the client closes, `limit` in all, and returns what came.
    ///
    /// # Errors
    /// The client neither closed nor broke the connection in time.
    pub fn drain(&mut self, limit: Duration) -> Result<Vec<u8>, Gone> {
        let deadline = Instant::now().checked_add(limit);
        let mut all = self.take();
        loop {
            let left = deadline.map_or(limit, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(Gone::Silent(limit));
            }
            match self.receive_within(left) {
                Ok(()) => all.append(&mut self.buffer),
                Err(Gone::Closed | Gone::Broken(_)) => return Ok(all),
                Err(Gone::Silent(_)) => return Err(Gone::Silent(limit)),
            }
        }
    }

    /// Ends the connection by a TCP reset: what is still in flight is lost.
    ///
    /// # Errors
    /// The socket option cannot be set.
    pub fn reset(mut self) -> io::Result<()> {
        setsockopt(self.socket(), sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 })?;
        if let Stream::Tls(stream) = &mut self.stream {
            // Otherwise dropping the stream may try to say goodbye first.
            stream.set_shutdown(ShutdownState::SENT | ShutdownState::RECEIVED);
        }
        Ok(())
    }
}
