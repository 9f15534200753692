//! A server's replies, and the extensions that they offer, beside a plain reading of RFC 5321 section 4.2. Where the pieces
//! are cut changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::ipc::server_reply::ReplyText;
use qmail_remote::network::fuzzing::replied;

const KEYWORDS: [&str; 7] = ["STARTTLS", "SIZE", "PIPELINING", "8BITMIME", "SMTPUTF8", "AUTH", "CHUNKING"];

/// Those that the program knows, in its order.
const MECHANISMS: [&str; 3] = ["CRAM-MD5", "LOGIN", "PLAIN"];

/// The lines of a reply, and what comes after it.
type Lines<'a> = (Vec<&'a [u8]>, &'a [u8]);

/// The lines of the first reply, without their ends, and what comes after. None: it has not come to its end. The error: it
/// is no reply, or longer than any.
fn plain(octets: &[u8]) -> Result<Option<Lines<'_>>, ()> {
    let (mut lines, mut rest): (Vec<&[u8]>, _) = (Vec::new(), octets);
    loop {
        let end = rest.iter().position(|&octet| octet == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        if line.len() >= 4096 || !line.iter().take(3).all(u8::is_ascii_digit) {
            return Err(());
        }
        let Some(end) = end else { return Ok(None) };
        rest = &rest[end + 1..];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_code = line.len() >= 3 && (b'2'..=b'5').contains(&line[0]);
        let same = lines.first().is_none_or(|first| line.starts_with(&first[..3]));
        let marked = line.len() == 3 || line.get(3).is_some_and(|octet| b" -".contains(octet));
        lines.push(line);
        let octets: usize = lines.iter().map(|line| line.len() + 1).sum();
        if !(is_code && same && marked) || lines.len() > 512 || octets > 65536 {
            return Err(());
        }
        if line.get(3) != Some(&b'-') {
            return Ok(Some((lines, rest)));
        }
    }
}

/// As many whole lines from the start as fit.
fn kept(lines: &[&[u8]]) -> Vec<u8> {
    let mut kept = Vec::new();
    for line in lines {
        if kept.len() + line.len() + 1 > ReplyText::MAX {
            break;
        }
        kept.extend_from_slice(line);
        kept.push(b'\n');
    }
    kept
}

/// The mechanisms that a reply to EHLO offers: words of the lines of AUTH, which older servers write `AUTH=`, too.
fn mechanisms(lines: &[&[u8]]) -> Vec<&'static str> {
    let mut words = Vec::new();
    for line in &lines[1..] {
        let text = String::from_utf8_lossy(line.get(4..).unwrap_or_default()).to_ascii_uppercase();
        if let Some(list) = text.strip_prefix("AUTH").filter(|list| list.starts_with([' ', '\t', '='])) {
            words.extend(list.split([' ', '\t', '\r', '\x0c', '=']).map(str::to_owned));
        }
    }
    MECHANISMS.into_iter().filter(|name| words.iter().any(|word| word == name)).collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((size, octets)) = data.split_first() else { return };
    // Few cases are long by themselves: `!`, an octet and two of a width stand for four times as many lines of that width.
    let octets = match octets {
        [b'!', count, high, low, rest @ ..] => {
            let width = usize::from(u16::from_be_bytes([*high, *low]));
            let line = [b"250-", &vec![b'x'; width.saturating_sub(4)][..], b"\n"].concat();
            let lines = line.repeat(usize::from(*count) * 4).into_iter().take(70_000);
            lines.chain(rest.iter().copied()).collect()
        }
        other => other.to_vec(),
    };
    let whole = replied(&octets, octets.len().max(1));
    let cut = replied(&octets, usize::from(*size).max(1));
    assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
    let (reply, (lines, rest)) = match (whole, plain(&octets)) {
        (Ok(Some(reply)), Ok(Some(expected))) => (reply, expected),
        (Ok(None), Ok(None)) | (Err(()), Err(())) => return,
        (whole, expected) => panic!("{whole:?}, and by the plain reading {expected:?}"),
    };
    assert_eq!(reply.left_over, rest);
    assert_eq!(reply.text().as_bytes(), kept(&lines));
    for keyword in KEYWORDS {
        let offers = lines[1..].iter().any(|line| {
            let text = String::from_utf8_lossy(line.get(4..).unwrap_or_default()).to_ascii_uppercase();
            text == keyword
                || text.strip_prefix(keyword).is_some_and(|rest| rest.starts_with([' ', '\t', '\r', '\x0c']))
        });
        assert_eq!(reply.offers(keyword.as_bytes()), offers, "{keyword}");
    }
    assert_eq!(reply.mechanisms(), mechanisms(&lines));
});
