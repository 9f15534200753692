//! A server's replies, and the extensions that they offer, beside a plain reading of RFC 5321 section 4.2. Where the pieces
//! are cut changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::ipc::server_reply::ReplyText;
use qmail_remote::network::fuzzing::replied;

const KEYWORDS: [&str; 6] = ["STARTTLS", "SIZE", "PIPELINING", "8BITMIME", "SMTPUTF8", "AUTH"];

/// The lines of the first reply, without their ends, and what comes after. None: no reply, or not the whole of one.
fn plain(octets: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut lines: Vec<&[u8]> = Vec::new();
    let mut rest = octets;
    loop {
        let end = rest.iter().position(|&octet| octet == b'\n').filter(|end| *end < 4096)?;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        let code: u16 = std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()?;
        let is_number = line[..3].iter().all(u8::is_ascii_digit) && (200..600).contains(&code);
        let same = lines.first().is_none_or(|first| first[..3] == line[..3]);
        let marked = line.len() == 3 || line[3] == b' ' || line[3] == b'-';
        lines.push(line);
        let octets: usize = lines.iter().map(|line| line.len() + 1).sum();
        if !(is_number && same && marked) || lines.len() > 512 || octets > 65536 {
            return None;
        }
        if line.get(3) != Some(&b'-') {
            return Some((lines, rest));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((size, octets)) = data.split_first() else { return };
    let whole = replied(octets, octets.len().max(1));
    let cut = replied(octets, usize::from(*size).max(1));
    assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
    let Ok(Some(reply)) = whole else {
        // A reply whose first line is too long to be told is none.
        assert!(
            plain(octets)
                .is_none_or(|(lines, _)| lines[0].len() >= 4096 - 5 || lines[0].len() > ReplyText::MAX)
        );
        return;
    };
    let (lines, rest) = plain(octets).expect("the plain reading sees a reply, too");
    assert_eq!(reply.left_over, rest);
    let told: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
    assert!(told.starts_with(reply.text().as_bytes()));
    assert!(told.len() <= ReplyText::MAX || reply.text().as_bytes().len() > ReplyText::MAX - 4096);
    for keyword in KEYWORDS {
        let offers = lines[1..].iter().any(|line| {
            let text = String::from_utf8_lossy(line.get(4..).unwrap_or_default()).to_ascii_uppercase();
            text == keyword
                || text.strip_prefix(keyword).is_some_and(|rest| rest.starts_with([' ', '\t', '\r', '\x0c']))
        });
        assert_eq!(reply.offers(keyword.as_bytes()), offers, "{keyword}");
    }
});
