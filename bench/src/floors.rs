//! What nothing can be faster than: run as processes of their own, by `bench floor KIND ADDRESS OCTETS`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;

use crate::Anything;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

/// A copy in clear.
pub(crate) const COPY: &str = "copy";
/// A copy under TLS.
pub(crate) const COPY_TLS: &str = "copy-tls";
/// A loop over the lines of a file.
pub(crate) const LINES: &str = "lines";

/// `KIND ADDRESS OCTETS`, or `lines FILE`.
pub(crate) fn run(words: &[String]) -> Anything<()> {
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [COPY, address, octets] => copy(address, octets.parse()?, false),
        [COPY_TLS, address, octets] => copy(address, octets.parse()?, true),
        [LINES, file] => lines(file),
        _ => Err("no such floor".into()),
    }
}

/// What a program does at least that looks at every line.
fn lines(file: &str) -> Anything<()> {
    let mut reader = BufReader::new(File::open(file)?);
    let (mut line, mut empty) = (Vec::new(), 0u64);
    while reader.read_until(b'\n', &mut line)? > 0 {
        empty += u64::from(line.first() == Some(&b'#'));
        line.clear();
    }
    std::hint::black_box(empty);
    Ok(())
}

/// What is written at once: a full TLS record.
const PIECE: usize = 16 * 1024;

/// Copies octets to a server and waits for its answer, in clear or under TLS, without a word of SMTP but `DATA` and the end
/// mark. `tls` is said by STARTTLS, which costs nothing beside so many octets.
fn copy(address: &str, octets: u64, tls: bool) -> Anything<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    expect(&mut stream, b"220")?;
    if !tls {
        return send(stream, octets);
    }
    stream.write_all(b"STARTTLS\r\n")?;
    expect(&mut stream, b"220")?;
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.set_verify(SslVerifyMode::NONE);
    let configured = connector.build().configure()?.verify_hostname(false).use_server_name_indication(false);
    send(configured.connect("sink.test", stream)?, octets)
}

fn send(mut stream: impl Read + Write, octets: u64) -> Anything<()> {
    stream.write_all(b"DATA\r\n")?;
    expect(&mut stream, b"354")?;
    let piece = [b'x'; PIECE];
    let mut left = octets;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        stream.write_all(piece.get(..count).unwrap_or_default())?;
        left = left.saturating_sub(u64::try_from(count)?);
    }
    stream.write_all(b"\r\n.\r\n")?;
    expect(&mut stream, b"250")
}

fn expect(stream: &mut impl Read, code: &[u8]) -> Anything<()> {
    let mut answer = [0; 512];
    let count = stream.read(&mut answer)?;
    let answer = answer.get(..count).unwrap_or_default();
    if answer.starts_with(code) { Ok(()) } else { Err(answer.escape_ascii().to_string().into()) }
}
