//! A message on its way to the wire, beside the rule applied an octet at a time: every line end is CRLF, dots are doubled,
//! and CRLF.CRLF stands at the end and nowhere else, wherever the reads cut it. As a chunk it is the same without doubled
//! dots and end, and as long as was announced. What servers are told of octets above 127 is so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::network::fuzzing::encoded;

/// By the rule, with dots doubled or not, and without an end.
fn plain(message: &[u8], dots: bool) -> Vec<u8> {
    let mut wire: Vec<u8> = Vec::new();
    for (at, &octet) in message.iter().enumerate() {
        let starts_line = wire.is_empty() || wire.ends_with(b"\r\n");
        match octet {
            b'\n' if at > 0 && message[at - 1] == b'\r' => {}
            b'\r' | b'\n' => wire.extend_from_slice(b"\r\n"),
            b'.' if dots && starts_line => wire.extend_from_slice(b".."),
            other => wire.push(other),
        }
    }
    wire
}

/// Up to the first empty line.
fn header(chunk: &[u8]) -> &[u8] {
    let end = chunk.windows(4).position(|octets| octets == b"\r\n\r\n").unwrap_or(chunk.len());
    if chunk.starts_with(b"\r\n") { &[] } else { &chunk[..end] }
}

/// What a server takes out of it again (RFC 5321 section 4.5.2).
fn received(wire: &[u8]) -> Vec<u8> {
    let lines = wire.split_inclusive(|&octet| octet == b'\n');
    lines
        .take_while(|line| *line != b".\r\n")
        .flat_map(|line| line.strip_prefix(b".").unwrap_or(line))
        .copied()
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((size, message)) = data.split_first() else { return };
    let encoded = encoded(message, usize::from(*size).max(1));
    let is_eight_bit = |octets: &[u8]| octets.iter().any(|&octet| octet > 127);
    let normalised = plain(message, false);
    assert_eq!(encoded.is_eight_bit, is_eight_bit(message));
    assert_eq!(encoded.is_header_eight_bit, is_eight_bit(header(&normalised)));
    // None where the last line has no end.
    let is_whole = message.last().is_none_or(|last| *last == b'\n');
    let with_end = [&plain(message, true)[..], b".\r\n"].concat();
    assert_eq!(encoded.after_data, is_whole.then_some(with_end));
    assert_eq!(encoded.chunk, is_whole.then_some(normalised));
    let (Some(wire), Some(chunk)) = (encoded.after_data, encoded.chunk) else { return };
    assert_eq!(encoded.announced, u64::try_from(chunk.len()).expect("short"));
    for octets in [&wire, &chunk] {
        assert!(octets.windows(2).all(|pair| (pair[0] == b'\r') == (pair[1] == b'\n')), "a bare CR or LF");
    }
    let framed = [b"\r\n", &wire[..]].concat();
    let ends: Vec<_> = framed.windows(5).enumerate().filter(|(_, octets)| octets == b"\r\n.\r\n").collect();
    assert!(ends.len() == 1 && ends[0].0 + 5 == framed.len(), "the message ends early");
    // What a server takes out of it is what went as a chunk.
    assert_eq!(received(&wire), chunk);
});
