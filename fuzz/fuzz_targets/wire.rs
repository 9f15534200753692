//! A message on its way to the wire, beside the rule applied an octet at a time: every line end is CRLF, dots are doubled,
//! and CRLF.CRLF stands at the end and nowhere else, wherever the reads cut it. As a chunk it is the same without doubled
//! dots and end, and as long as was announced.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::network::fuzzing::encoded;

/// By the rule, with dots doubled or not, and without an end; none where the last line has no end.
fn plain(message: &[u8], dots: bool) -> Option<Vec<u8>> {
    if message.last().is_some_and(|last| *last != b'\n') {
        return None;
    }
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
    Some(wire)
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
    let with_end = plain(message, true).map(|wire| [&wire[..], b".\r\n"].concat());
    assert_eq!(encoded.after_data, with_end);
    assert_eq!(encoded.chunk, plain(message, false));
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
