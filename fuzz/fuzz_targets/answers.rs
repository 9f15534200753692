//! Answers of a QMTP server, beside a plain reading of them as netstrings. Where the pieces are cut changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::ipc::qmtp_answer::QmtpAnswer;
use qmail_remote::network::fuzzing::answered;

/// What the first netstring says, and what comes after. None: there is none, or not the whole of one.
fn plain(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = octets.iter().position(|&octet| octet == b':')?;
    let length: usize = std::str::from_utf8(&octets[..colon]).ok()?.parse().ok()?;
    // No plus, no needless zero.
    (length.to_string().as_bytes() == &octets[..colon]).then_some(())?;
    let (text, rest) = octets[colon + 1..].split_at_checked(length)?;
    Some((text, rest.strip_prefix(b",")?))
}

fuzz_target!(|data: &[u8]| {
    let Some((size, octets)) = data.split_first() else { return };
    // Few cases are long by themselves: `!` and an octet stand for a text of as many hundreds.
    let octets = match octets {
        [b'!', hundreds, rest @ ..] => {
            let text = [b"K", &vec![b'x'; usize::from(*hundreds) * 100][..]].concat();
            [text.len().to_string().as_bytes(), b":", &text, rest].concat()
        }
        other => other.to_vec(),
    };
    let whole = answered(&octets, octets.len().max(1));
    assert_eq!(answered(&octets, usize::from(*size).max(1)), whole);
    let is_answer =
        |text: &[u8]| text.first().is_some_and(|letter| b"KZD".contains(letter)) && text.len() <= 1_000_000;
    match (whole, plain(&octets).filter(|(text, _)| is_answer(text))) {
        (Ok(Some((answer, rest))), Some((text, after))) => {
            assert_eq!(
                (Vec::from(answer), &rest[..]),
                (text[..text.len().min(QmtpAnswer::MAX + 1)].to_vec(), after)
            );
        }
        (Ok(None) | Err(()), None) => {}
        (whole, expected) => panic!("{whole:?}, and by the plain reading {expected:?}"),
    }
});
