//! What the queue believes after a delivery: the rules by which `qmail-rspawn` reads the status and the
//! output of `qmail-remote`. Pure.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// The fate of a recipient, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Letter {
    /// Failed for good: a bounce.
    D,
    /// Failed for now: tried again later.
    Z,
    /// Delivered: the queue forgets the message.
    K,
}

/// What the queue takes away from a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belief {
    /// The fate of the recipient.
    pub letter: Letter,
    /// The text for the log and the bounce, without the letter.
    pub text: Vec<u8>,
}

impl Belief {
    fn own_words(letter: Letter, text: &str) -> Belief {
        Belief { letter, text: text.as_bytes().to_owned() }
    }
}

/// What the queue believes after a process ended with `status` and wrote `output` (fd 1 and fd 2 as one).
#[must_use]
pub fn belief(status: ExitStatus, output: &[u8]) -> Belief {
    if status.signal().is_some() {
        return Belief::own_words(Letter::Z, "qmail-remote crashed.\n");
    }
    match status.code() {
        Some(0) => {}
        Some(111) => return Belief::own_words(Letter::Z, "Unable to run qmail-remote.\n"),
        _ => return Belief::own_words(Letter::D, "Unable to run qmail-remote.\n"),
    }
    if output.is_empty() {
        return Belief::own_words(Letter::Z, "qmail-remote produced no output.\n");
    }
    // What follows the last NUL is no report.
    let ended = output.iter().rposition(|byte| *byte == 0).and_then(|last| output.get(..last));
    let mut letters = ended.into_iter().flat_map(|reports| reports.split(|byte| *byte == 0)).map(letter);
    // No verdict is a bad verdict.
    let verdict = letters.find_map(|letter| letter).unwrap_or(Letter::D);
    let letter = match output.first() {
        Some(b's') => Letter::Z,
        Some(b'h') => Letter::D,
        _ => verdict,
    };
    Belief { letter, text: text(output, verdict <= letter) }
}

fn letter(report: &[u8]) -> Option<Letter> {
    match report.first()? {
        b'K' => Some(Letter::K),
        b'Z' => Some(Letter::Z),
        b'D' => Some(Letter::D),
        _ => None,
    }
}

/// The first report's text; then the second one's, if that is a verdict and `with_second`, which is so
/// unless the recipient's failure made a better verdict worse.
fn text(output: &[u8], with_second: bool) -> Vec<u8> {
    let Some((_, rest)) = output.split_first() else { return Vec::new() };
    let mut reports = rest.split(|byte| *byte == 0);
    let first = reports.next().filter(|first| first.len() < rest.len()).unwrap_or_default();
    let second = reports.next().filter(|second| with_second && letter(second).is_some());
    [first, second.and_then(|second| second.get(1..)).unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wait status as the kernel encodes it.
    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn every_way_to_end_has_its_belief() {
        let table: &[(ExitStatus, &[u8], Letter)] = &[
            (ExitStatus::from_raw(9), b"r\0Kdone\n\0", Letter::Z),
            (ExitStatus::from_raw(6 | 0x80), b"", Letter::Z),
            (exited(111), b"r\0Kdone\n\0", Letter::Z),
            (exited(1), b"r\0Kdone\n\0", Letter::D),
            (exited(101), b"", Letter::D),
            (exited(0), b"", Letter::Z),
            (exited(0), b"r\0Kdone\n\0", Letter::K),
            (exited(0), b"Kdone\n\0", Letter::K),
            (exited(0), b"r\0Zlater\n\0", Letter::Z),
            (exited(0), b"Dnever\n\0", Letter::D),
            // The first verdict counts, ...
            (exited(0), b"Kdone\n\0h\0Dnever\n\0", Letter::K),
            (exited(0), b"r\0Zlater\n\0Kdone\n\0", Letter::Z),
            // ... unless the whole output begins with a failed recipient.
            (exited(0), b"sno\n\0Kdone\n\0", Letter::Z),
            (exited(0), b"sno\n\0Dnever\n\0", Letter::Z),
            (exited(0), b"hno\n\0Kdone\n\0", Letter::D),
            (exited(0), b"hno\n\0Zlater\n\0", Letter::D),
            (exited(0), b"r\0hno\n\0Kdone\n\0", Letter::K),
            // No verdict: a bounce.
            (exited(0), b"r\0", Letter::D),
            (exited(0), b"\0\0", Letter::D),
            (exited(0), b"Zlater\n", Letter::D),
            (exited(0), b"r\0Kdone\n", Letter::D),
            (exited(0), b"sno\n\0", Letter::Z),
            // A stray line before the reports is part of the first one.
            (exited(0), b"Zounds, a warning\nr\0Kdone\n\0", Letter::Z),
            (exited(0), b"warning\nKdone\n\0", Letter::D),
            (exited(0), b"some warning\nr\0Kdone\n\0", Letter::Z),
        ];
        for (status, output, expected) in table {
            assert_eq!(
                belief(*status, output).letter,
                *expected,
                "{status} {:?}",
                output.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn the_text_is_that_of_the_recipient_and_of_a_verdict_no_better() {
        let table: &[(&[u8], &[u8])] = &[
            (b"r\0Kdone\nSaid: 250\n\0", b"done\nSaid: 250\n"),
            (b"Zlater\n\0", b"later\n"),
            (b"sslow\n\0Zlater\n\0", b"slow\nlater\n"),
            (b"sslow\n\0Dnever\n\0", b"slow\nnever\n"),
            (b"hno\n\0Dnever\n\0", b"no\nnever\n"),
            (b"hno\n\0Kdone\n\0", b"no\n"),
            (b"r\0r\0Kdone\n\0", b""),
            (b"Zlater\n", b""),
        ];
        for (output, expected) in table {
            let text = belief(exited(0), output).text;
            assert_eq!(text.escape_ascii().to_string(), expected.escape_ascii().to_string());
        }
    }
}
