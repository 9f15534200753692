//! Answers of a QMTP server, beside a plain reading of them as netstrings. Where the pieces are cut changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::ipc::qmtp_answer::QmtpAnswer;
use qmail_remote::network::fuzzing::answered;

/// The text of an answer, and what comes after it.
type Answer<'a> = (&'a [u8], &'a [u8]);

/// What the first netstring says, and what comes after. None: it has not come to its end. The error: it is none, or longer
/// than any answer.
fn plain(octets: &[u8]) -> Result<Option<Answer<'_>>, ()> {
    let digits = octets.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(octets.len());
    let length = octets[..digits]
        .iter()
        .fold(0, |length: usize, digit| length.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
    // No needless zero.
    if octets.first() == Some(&b'0') || length > 1_000_000 {
        return Err(());
    }
    match octets[digits..] {
        [] => return Ok(None),
        [b':', ..] if digits > 0 => {}
        _ => return Err(()),
    }
    let Some((text, end)) = octets[digits + 1..].split_at_checked(length) else { return Ok(None) };
    match end {
        [] => Ok(None),
        [b',', rest @ ..] if b"KZD".contains(&text[0]) => Ok(Some((text, rest))),
        _ => Err(()),
    }
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
    match (whole, plain(&octets)) {
        (Ok(Some((answer, rest))), Ok(Some((text, after)))) => {
            assert_eq!(
                (Vec::from(answer), &rest[..]),
                (text[..text.len().min(QmtpAnswer::MAX + 1)].to_vec(), after)
            );
        }
        (Ok(None), Ok(None)) | (Err(()), Err(())) => {}
        (whole, expected) => panic!("{whole:?}, and by the plain reading {expected:?}"),
    }
});
