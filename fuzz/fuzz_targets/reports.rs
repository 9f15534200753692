//! Reports made of hostile texts, read by the rules of qmail-rspawn: as many reports as there were, and the verdict that was
//! meant. What a server said is in them, cleaned by a plain reading, and nothing else. A case is letters of recipients, a
//! letter for the message, and texts between NULs.
#![no_main]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use libfuzzer_sys::fuzz_target;
use qmail_remote::ipc::server_reply::ReplyText;
use qmail_remote::report::{MessageReport, RecipientReport, Reports, Text, printable};
use qmail_remote_fuzz::rspawn::{Letter, belief};

/// Each octet that is no part of UTF-8, and each control but LF, is one `?`.
fn cleaned(mut octets: &[u8]) -> String {
    let mut clean = String::new();
    while !octets.is_empty() {
        let most = octets.len().min(4);
        let character = (1..=most).find_map(|length| std::str::from_utf8(&octets[..length]).ok());
        let is_kept = |text: &&str| *text == "\n" || !text.contains(char::is_control);
        clean.push_str(character.filter(is_kept).unwrap_or("?"));
        octets = &octets[character.map_or(1, str::len)..];
    }
    clean
}

/// A text of our own about a name, and what the server said behind it; and how it is expected.
fn with_reply(raw: &[u8]) -> (Text, String) {
    let ours = Text::new(String::from_utf8_lossy(raw));
    assert_eq!(ours.as_str(), String::from_utf8_lossy(raw).replace('\0', "?") + "\n");
    let graphic = |octet: &u8| if octet.is_ascii_graphic() { char::from(*octet) } else { '?' };
    let name: String = raw.iter().map(graphic).collect();
    assert_eq!(printable(raw), name);

    // As many whole lines as are kept.
    let (mut lines, mut kept) = (Vec::new(), Vec::new());
    for line in raw.split(|&octet| octet == b'\n') {
        lines.extend([b"550-", line, b"\n"].concat());
        if lines.len() <= ReplyText::MAX {
            kept.clone_from(&lines);
        }
    }
    match ReplyText::truncated(&lines) {
        Ok(reply) => {
            let said = format!("{name}\nRemote host said: {}", cleaned(&kept));
            (Text::new(printable(raw)).remote_host_said(&reply), said)
        }
        Err(_) => {
            assert!(kept.is_empty());
            (ours, String::from_utf8_lossy(raw).replace('\0', "?") + "\n")
        }
    }
}

/// The one line about what a server said by QMTP; and how it is expected.
fn of_qmtp(raw: &[u8]) -> (Text, String) {
    (Text::of_qmtp("qmtp", raw), format!("qmtp: {}\n", cleaned(raw).replace('\n', "?")))
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|&octet| octet == 0);
    let letters = parts.next().unwrap_or_default();
    let Some((message, recipients)) = letters.split_last() else { return };
    // A NUL separates the texts of a case; in them, `@` stands for it.
    let mut next = || -> Vec<u8> {
        let raw = parts.next().unwrap_or_default().iter();
        raw.map(|&octet| if octet == b'@' { 0 } else { octet }).collect()
    };
    let mut expected = Vec::new();
    let mut expect = |letter: u8, text: &str| {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        expected.extend([&[letter], text.as_bytes(), b"\0"].concat());
    };
    let recipients: Vec<RecipientReport> = recipients
        .iter()
        .map(|letter| {
            let (letter, (text, said)) = match letter % 4 {
                0 => {
                    expect(b'r', "");
                    return RecipientReport::Accepted;
                }
                3 => (b'r', of_qmtp(&next())),
                1 => (b's', with_reply(&next())),
                _ => (b'h', with_reply(&next())),
            };
            expect(letter, &said);
            match letter {
                b'r' => RecipientReport::AcceptedSaying(text),
                b's' => RecipientReport::Deferred(text),
                _ => RecipientReport::Rejected(text),
            }
        })
        .collect();
    let (text, said) = with_reply(&next());
    let (letter, report) = match message % 3 {
        0 => (Letter::K, MessageReport::Success(text)),
        1 => (Letter::Z, MessageReport::Temporary(text)),
        _ => (Letter::D, MessageReport::Permanent(text)),
    };
    expect(b"KZD"[usize::from(message % 3)], &said);
    let verdict = match recipients.first() {
        Some(RecipientReport::Deferred(_)) => Letter::Z,
        Some(RecipientReport::Rejected(_)) => Letter::D,
        Some(RecipientReport::Accepted | RecipientReport::AcceptedSaying(_)) | None => letter,
    };
    let count = recipients.len() + 1;
    let output = Reports::new(recipients, report).encode();
    assert_eq!(output.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(output.iter().filter(|&&octet| octet == 0).count(), count);
    assert_eq!(output.last(), Some(&0));
    assert_eq!(belief(ExitStatus::from_raw(0), &output).letter, verdict);
});
