//! Plays one connection of a dialogue file, step by step, against a client.
//!
//! What the client says ahead of a reply must be listed ahead of it: before each reply nothing may be
//! left over, so that a client which does not wait where it must is seen.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use openssl::ssl::SslAcceptor;

use super::case::{Body, Connection, Ending, Placed, Step, Times};
use super::escapes::escape;
use super::servers::Mismatch;
use super::wire_form::WireForms;
use crate::netstring::{Cut, Package};
use crate::patience::{LONG_ENOUGH, until};
use crate::peer::{END_OF_DATA, Gone, Peer};

/// What `drip ... forever` sends at most: a client that reads on this far reads on for ever.
const FOREVER_BYTES: usize = 64 * 1024 * 1024;

/// Plays the connection. `converted` is what `body converted` compares with; `over` is set once the delivery has
/// ended.
pub(super) fn play(
    connection: &Connection,
    stream: TcpStream,
    acceptor: &SslAcceptor,
    converted: &WireForms,
    over: &AtomicBool,
) -> Result<(), Mismatch> {
    let mut peer = Peer::new(stream, LONG_ENOUGH)
        .map_err(|error| Mismatch::new(connection.line, "a connection", error.to_string()))?;
    for step in &connection.steps {
        peer = perform(step, peer, acceptor, converted)?;
    }
    end(&connection.ending, peer, over)
}

fn perform(
    Placed { line, what: step }: &Placed<Step>,
    mut peer: Peer,
    acceptor: &SslAcceptor,
    converted: &WireForms,
) -> Result<Peer, Mismatch> {
    let line = *line;
    match step {
        Step::Send(bytes) => {
            nothing_left(&peer, line)?;
            peer.send(bytes).map_err(|error| {
                Mismatch::new(line, "a client that takes the reply", format!("the connection broke: {error}"))
            })?;
        }
        Step::Line(text) => {
            let whole = [text.as_slice(), b"\r\n"].concat();
            let seen = line_of(&mut peer, line, &whole)?;
            if seen != whole {
                return Err(Mismatch::bytes(line, &whole, &seen));
            }
        }
        Step::LinePrefix(text) => {
            let seen = line_of(&mut peer, line, text)?;
            if !(seen.starts_with(text) && seen.ends_with(b"\r\n")) {
                return Err(Mismatch::new(line, format!("{}...\\r\\n", escape(text)), escape(&seen)));
            }
        }
        Step::Tls(name) => {
            peer = peer.start_tls(acceptor).map_err(|error| Mismatch::new(line, "a TLS handshake", error))?;
            let seen = peer.indicated_name();
            if name.is_some() && *name != seen {
                let wanted = format!("server name {name:?}");
                return Err(Mismatch::new(line, wanted, format!("server name {seen:?}")));
            }
        }
        Step::Body(body) => {
            let seen = read_body(&mut peer, line)?;
            let wanted = match body {
                Body::Any => return Ok(peer),
                Body::Is(bytes) => bytes.as_slice(),
                Body::Converted => &converted.data,
            };
            if seen != wanted {
                return Err(Mismatch::bytes(line, wanted, &seen));
            }
        }
        Step::Chunk(body) => {
            let seen = read_chunk(&mut peer, line)?;
            let wanted = match body {
                Body::Any => return Ok(peer),
                Body::Is(bytes) => bytes.as_slice(),
                Body::Converted => &converted.chunk,
            };
            if seen != wanted {
                return Err(Mismatch::bytes(line, wanted, &seen));
            }
        }
        Step::Package(wanted) => {
            let (_, seen) = package(&mut peer, line)?;
            if seen.message != wanted.message {
                return Err(Mismatch::bytes(line, &wanted.message, &seen.message));
            }
            let addresses = |package: &Package| {
                let all = [&package.sender].into_iter().chain(&package.recipients);
                all.map(|address| escape(address)).collect::<Vec<_>>().join("\n")
            };
            if addresses(&seen) != addresses(wanted) {
                return Err(Mismatch::new(line, addresses(wanted), addresses(&seen)));
            }
        }
        Step::PackageIs(wanted) => {
            let (seen, _) = package(&mut peer, line)?;
            if seen != *wanted {
                return Err(Mismatch::bytes(line, wanted, &seen));
            }
        }
        Step::Read(size) => {
            while peer.pending().len() < *size {
                let have = peer.pending().len();
                let short = |gone: Gone| {
                    Mismatch::new(line, format!("{size} bytes"), format!("{have} bytes, then {gone}"))
                };
                peer.receive().map_err(short)?;
            }
            peer.take();
        }
        Step::Pause(time) => sleep(*time),
        Step::Drip { text, times, pause } => drip(&mut peer, line, text, *times, *pause)?,
    }
    Ok(peer)
}

fn nothing_left(peer: &Peer, line: usize) -> Result<(), Mismatch> {
    match peer.pending() {
        [] => Ok(()),
        early => Err(Mismatch::new(
            line,
            "a client that waits for this reply",
            format!("already: {}", shortened(early)),
        )),
    }
}

fn line_of(peer: &mut Peer, line: usize, wanted: &[u8]) -> Result<Vec<u8>, Mismatch> {
    peer.line().map_err(|gone| {
        let seen = format!("{}{gone}", fragment(peer.pending()));
        Mismatch::new(line, escape(wanted), seen)
    })
}

fn fragment(pending: &[u8]) -> String {
    if pending.is_empty() { String::new() } else { format!("{}, then ", shortened(pending)) }
}

/// A QMTP package: its bytes, and what they hold. What comes after it stays.
fn package(peer: &mut Peer, line: usize) -> Result<(Vec<u8>, Package), Mismatch> {
    loop {
        let end = match Package::parse(peer.pending()) {
            Ok((package, length)) => return Ok((peer.take_first(length), package)),
            Err(Cut::Short) => match peer.receive() {
                Ok(()) => continue,
                Err(gone) => gone.to_string(),
            },
            Err(Cut::Wrong) => "no netstring".to_owned(),
        };
        return Err(Mismatch::new(line, "a package", format!("{}{end}", fragment(peer.pending()))));
    }
}

/// The message on the wire, its final dot line included; what comes after it stays.
fn read_body(peer: &mut Peer, line: usize) -> Result<Vec<u8>, Mismatch> {
    let mut body = Vec::new();
    let end = peer.message(|bytes| body.extend_from_slice(bytes));
    if let Err(gone) = end {
        body.extend(peer.take());
        return Err(Mismatch::new(line, "a message and its end", format!("{}{gone}", fragment(&body))));
    }
    body.extend(b".\r\n");
    Ok(body)
}

/// `BDAT`, and the bytes that it announces; what comes after them stays.
fn read_chunk(peer: &mut Peer, line: usize) -> Result<Vec<u8>, Mismatch> {
    let command = String::from_utf8_lossy(&line_of(peer, line, b"BDAT")?).into_owned();
    let size = command.strip_prefix("BDAT ").and_then(|rest| rest.strip_suffix(" LAST\r\n"));
    let Some(size) = size.and_then(|size| size.parse::<usize>().ok()) else {
        return Err(Mismatch::new(line, "BDAT n LAST", escape(command.as_bytes())));
    };
    while peer.pending().len() < size {
        let short = |gone: Gone| Mismatch::new(line, format!("a chunk of {size} bytes"), gone.to_string());
        peer.receive().map_err(short)?;
    }
    Ok(peer.take_first(size))
}

fn drip(peer: &mut Peer, line: usize, text: &[u8], times: Times, pause: Duration) -> Result<(), Mismatch> {
    if let (Times::Count(count), Duration::ZERO) = (times, pause) {
        // The client may have had enough before the last of them; the next step sees whether it is gone.
        let _ = peer.send(&text.repeat(count));
        return Ok(());
    }
    let limit = match times {
        Times::Count(count) => count,
        Times::Forever => FOREVER_BYTES / text.len().max(1),
    };
    let start = Instant::now();
    for _ in 0..limit {
        if peer.send(text).is_err() {
            return Ok(());
        }
        if start.elapsed() > LONG_ENOUGH {
            break;
        }
        sleep(pause);
    }
    match times {
        Times::Count(_) => Ok(()),
        Times::Forever => Err(Mismatch::new(line, "a client that gives up", "a client that reads on")),
    }
}

fn end(
    Placed { line, what: ending }: &Placed<Ending>,
    mut peer: Peer,
    over: &AtomicBool,
) -> Result<(), Mismatch> {
    let line = *line;
    match ending {
        Ending::Quit => {
            let seen = line_of(&mut peer, line, b"QUIT\r\n")?;
            if seen != b"QUIT\r\n" {
                return Err(Mismatch::bytes(line, b"QUIT\r\n", &seen));
            }
            // The client may be gone already: it does not wait for this.
            let _ = peer.send(b"221 2.0.0 bye\r\n");
            ends_after(peer, line, &[b""])
        }
        Ending::Bye => ends_after(peer, line, &[b"", b"QUIT\r\n"]),
        Ending::Eof => ends_after(peer, line, &[b""]),
        Ending::Abandoned => {
            let seen = drain(&mut peer, line)?;
            let ended = seen.starts_with(b".\r\n")
                || seen.windows(END_OF_DATA.len()).any(|window| window == END_OF_DATA);
            if ended {
                return Err(Mismatch::new(line, "a message without its end", shortened(&seen)));
            }
            Ok(())
        }
        Ending::Hold => drain(&mut peer, line).map(drop),
        // Who reads nothing does not learn from the connection that the client is gone.
        Ending::Stall => until(|| over.load(Ordering::SeqCst).then_some(()))
            .ok_or_else(|| Mismatch::new(line, "the end of the delivery", "none")),
        Ending::Close => {
            peer.finish_sending();
            drain(&mut peer, line).map(drop)
        }
        Ending::Reset => peer.reset().map_err(|error| Mismatch::new(line, "a reset", error.to_string())),
    }
}

fn ends_after(mut peer: Peer, line: usize, allowed: &[&[u8]]) -> Result<(), Mismatch> {
    let seen = drain(&mut peer, line)?;
    if allowed.contains(&seen.as_slice()) {
        return Ok(());
    }
    Err(Mismatch::new(line, "the end of the connection", shortened(&seen)))
}

fn drain(peer: &mut Peer, line: usize) -> Result<Vec<u8>, Mismatch> {
    peer.drain(LONG_ENOUGH).map_err(|gone| Mismatch::new(line, "the end of the connection", gone.to_string()))
}

/// At most the last bytes of something long: where it went wrong.
fn shortened(bytes: &[u8]) -> String {
    match bytes.len().checked_sub(300) {
        None | Some(0) => escape(bytes),
        Some(hidden) => {
            format!("({hidden} bytes, then) {}", escape(bytes.get(hidden..).unwrap_or_default()))
        }
    }
}
