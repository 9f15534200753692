//! Reports made of hostile texts, read by the rules of qmail-rspawn: as many reports as there were, and the verdict that was
//! meant. A case is letters of recipients, a letter for the message, and texts between NULs.
#![no_main]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use libfuzzer_sys::fuzz_target;
use qmail_remote::ipc::server_reply::ReplyText;
use qmail_remote::report::{MessageReport, RecipientReport, Reports, Text, printable};
use qmail_remote_fuzz::rspawn::{Letter, belief};

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|&octet| octet == 0);
    let letters = parts.next().unwrap_or_default();
    let Some((message, recipients)) = letters.split_last() else { return };
    let mut next = || {
        // A NUL separates the texts of a case; in them, `@` stands for it.
        let raw = parts.next().unwrap_or_default().iter();
        let octets: Vec<u8> = raw.map(|&octet| if octet == b'@' { 0 } else { octet }).collect();
        let text = Text::new(String::from_utf8_lossy(&octets));
        assert!(text.as_str().ends_with('\n') && !text.as_str().contains('\0'));
        let lines = octets.split(|&octet| octet == b'\n').flat_map(|line| [b"550-", line, b"\n"].concat());
        match ReplyText::truncated(&lines.collect::<Vec<u8>>()) {
            Ok(reply) => Text::new(printable(&octets)).remote_host_said(&reply),
            Err(_) => text,
        }
    };
    let recipients: Vec<RecipientReport> = recipients
        .iter()
        .map(|letter| match letter % 4 {
            0 => RecipientReport::Accepted,
            3 => RecipientReport::AcceptedSaying(Text::of_qmtp("qmtp", next().as_str().as_bytes())),
            1 => RecipientReport::Deferred(next()),
            _ => RecipientReport::Rejected(next()),
        })
        .collect();
    let (letter, report) = match message % 3 {
        0 => (Letter::K, MessageReport::Success(next())),
        1 => (Letter::Z, MessageReport::Temporary(next())),
        _ => (Letter::D, MessageReport::Permanent(next())),
    };
    let expected = match recipients.first() {
        Some(RecipientReport::Deferred(_)) => Letter::Z,
        Some(RecipientReport::Rejected(_)) => Letter::D,
        Some(RecipientReport::Accepted | RecipientReport::AcceptedSaying(_)) | None => letter,
    };
    let count = recipients.len() + 1;
    let output = Reports::new(recipients, report).encode();
    assert_eq!(output.iter().filter(|&&octet| octet == 0).count(), count);
    assert_eq!(output.last(), Some(&0));
    assert_eq!(belief(ExitStatus::from_raw(0), &output).letter, expected);
});
