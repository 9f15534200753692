//! What a delivery left: its output, what it wrote to fd 2, its status. Compares reports byte by byte.

use std::process::ExitStatus;

use crate::rspawn::{self, Belief, Letter};

/// The end of a delivery.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// All that came out of fd 1; empty where the delivery had another fd 1.
    pub stdout: Vec<u8>,
    /// All that came out of fd 2, which must be nothing.
    pub stderr: Vec<u8>,
    /// How the process ended.
    pub status: ExitStatus,
}

impl Outcome {
    /// The reports without their NULs; bytes after the last NUL are no report.
    #[must_use]
    pub fn reports(&self) -> Vec<Vec<u8>> {
        let mut parts: Vec<_> = self.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        parts.pop();
        parts
    }

    /// What `qmail-rspawn` makes of this. Its one pipe would hold fd 2 as well; here that comes first,
    /// which is where a library's warning would be.
    #[must_use]
    pub fn belief(&self) -> Belief {
        rspawn::belief(self.status, &[self.stderr.as_slice(), self.stdout.as_slice()].concat())
    }

    /// Stops the test unless the output is exactly these reports, each ended by NUL, with status 0 and
    /// nothing on fd 2.
    #[track_caller]
    pub fn assert_reports<R: AsRef<[u8]>>(&self, expected: &[R]) {
        let wanted: Vec<u8> =
            expected.iter().flat_map(|report| [report.as_ref(), b"\0".as_slice()].concat()).collect();
        let as_it_must_be = self.stdout == wanted && self.stderr.is_empty() && self.status.success();
        assert!(
            as_it_must_be,
            "the delivery left other reports.\n--- expected\n{}--- got\n{}--- fd 2\n{}--- {}\n",
            readable(&wanted),
            readable(&self.stdout),
            readable(&self.stderr),
            self.status
        );
    }

    /// Stops the test unless Postfix has taken the message `how`, as in `192.0.2.1 accepted message`, and the
    /// recipients' reports are these.
    #[track_caller]
    pub fn assert_queued(&self, recipients: &[&str], how: &str) {
        let mut reports = self.reports();
        let success = reports.pop().unwrap_or_default();
        // The last word is the name in Postfix's queue; for BDAT the message's octets stand before.
        let prefix = format!("K{how}.\nRemote host said: 250 2.0.0 Ok: ");
        let queued = success.strip_prefix(prefix.as_bytes()).and_then(|queued| queued.strip_suffix(b"\n"));
        let is_queued = queued.is_some_and(|text| {
            let words: Vec<_> = text.split(|byte| *byte == b' ').collect();
            let name = match words.as_slice() {
                [b"queued", b"as", name] => *name,
                [octets, b"bytes", b"queued", b"as", name] if octets.iter().all(u8::is_ascii_digit) => *name,
                _ => b"",
            };
            !name.is_empty() && name.iter().all(u8::is_ascii_alphanumeric)
        });
        assert!(is_queued, "{prefix:?} expected\n{}", readable(&self.stdout));
        assert_eq!(reports, recipients.iter().map(|report| report.as_bytes().to_vec()).collect::<Vec<_>>());
        self.assert_reports(&self.reports());
        assert_eq!(self.belief().letter, Letter::K);
    }
}

/// One line a line, NUL and all other odd bytes as escapes.
fn readable(bytes: &[u8]) -> String {
    let ends_line = |byte: &u8| matches!(byte, b'\n' | 0);
    bytes.split_inclusive(ends_line).map(|line| format!("  {}\n", line.escape_ascii())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(stdout: &[u8], stderr: &[u8]) -> Outcome {
        Outcome { stdout: stdout.to_vec(), stderr: stderr.to_vec(), status: ExitStatus::default() }
    }

    #[test]
    fn only_ended_reports_count() {
        assert_eq!(left(b"r\0Kdone\n\0Zcut", b"").reports(), [b"r".to_vec(), b"Kdone\n".to_vec()]);
        assert!(left(b"", b"").reports().is_empty());
    }

    #[test]
    fn equal_reports_pass() {
        left(b"r\0Kdone\n\0", b"").assert_reports(&["r", "Kdone\n"]);
    }

    #[test]
    #[should_panic(expected = "fd 2\n  oops")]
    fn a_word_on_fd_2_is_a_failure() {
        left(b"r\0Kdone\n\0", b"oops").assert_reports(&["r", "Kdone\n"]);
    }

    #[test]
    #[should_panic(expected = "  Kdone\\n\n--- fd 2")]
    fn a_missing_nul_is_a_failure() {
        left(b"r\0Kdone\n", b"").assert_reports(&["r", "Kdone\n"]);
    }
}
