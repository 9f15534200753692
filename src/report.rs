//! The reports for qmail-rspawn: built in one place, written once. Monitor only.
//!
//! The only writer of descriptor 1, and with it of the exit status. [`Reports`] cannot hold a second
//! message report, and a [`Text`] cannot hold a NUL or lack its final line feed, so no text of a server
//! can forge the structure that qmail-rspawn parses.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::ipc::server_reply::ReplyText;

/// What a report says after its letter: no NUL, ends in one LF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// `sentence`, which may have inner line feeds, and a final line feed.
    pub fn new(sentence: impl Into<String>) -> Text {
        let mut text = sentence.into().replace('\0', "?");
        text.push('\n');
        Text(text)
    }

    /// Puts a line of its own behind the first.
    #[must_use]
    pub fn with_second_line(self, line: &str) -> Text {
        let (first, rest) = self.0.split_once('\n').unwrap_or((&self.0, ""));
        Text(format!("{first}\n{line}\n{rest}"))
    }

    /// What the server said about one recipient by QMTP: on one line, cleaned. Its lines carry no codes, so none of
    /// them may begin a line of the report.
    pub fn of_qmtp(protocol: &str, said: &[u8]) -> Text {
        Text::new(format!("{protocol}: {}", cleaned(said).replace('\n', "?")))
    }

    /// Adds what the server said: its reply lines with their codes, cleaned.
    #[must_use]
    pub fn remote_host_said(mut self, reply: &ReplyText) -> Text {
        self.0.push_str("Remote host said: ");
        self.0.push_str(&cleaned(reply.as_bytes()));
        self
    }

    /// The text, final line feed included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Keeps printable ASCII, LF and well-formed UTF-8; every other octet, and every C1 control, becomes
/// `?`, so that a server can neither drive a terminal nor end a report.
fn cleaned(text: &[u8]) -> String {
    let mut clean = String::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        clean.extend(chunk.valid().chars().map(|c| if c == '\n' || !c.is_control() { c } else { '?' }));
        clean.extend(chunk.invalid().iter().map(|_| '?'));
    }
    clean
}

/// A name as it may be printed: octets below 33 and above 126 become `?`.
pub fn printable(name: &[u8]) -> String {
    name.iter().map(|&octet| if (33..=126).contains(&octet) { char::from(octet) } else { '?' }).collect()
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientReport {
    /// `r`: the server accepted this recipient.
    Accepted,
    /// `r`, with a text: by QMTP the server has words for it.
    AcceptedSaying(Text),
    /// `s`: refused for now.
    Deferred(Text),
    /// `h`: refused for good.
    Rejected(Text),
}

/// What became of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageReport {
    /// `K`: the server has taken responsibility for the accepted recipients.
    Success(Text),
    /// `Z`: try again later.
    Temporary(Text),
    /// `D`: bounce.
    Permanent(Text),
}

/// All that is said about one delivery: recipients in argument order, then the one message report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reports {
    recipients: Vec<RecipientReport>,
    message: MessageReport,
    feed: Feed,
}

/// Whether the message could be read to its end: what the exit status says, and only by QMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    Whole,
    Failed,
}

/// Whether the reports have been handed to descriptor 1, wholly or in part.
static WRITTEN: AtomicBool = AtomicBool::new(false);

impl Reports {
    /// Reports of a dialogue that reached the recipients.
    pub fn new(recipients: Vec<RecipientReport>, message: MessageReport) -> Reports {
        Reports { recipients, message, feed: Feed::Whole }
    }

    /// The one temporary report of a delivery by QMTP whose message could not be read to its announced end. The exit
    /// status is 1, as qmail-remote(8) wants it; it makes a bounce of this at qmail-rspawn, which looks at the status
    /// first. Never a success: nobody got the whole package.
    pub fn feed_failed(text: Text) -> Reports {
        Reports { feed: Feed::Failed, ..Reports::from(MessageReport::Temporary(text)) }
    }

    /// The exit status that goes with them.
    pub fn exit_status(&self) -> u8 {
        match self.feed {
            Feed::Whole => 0,
            Feed::Failed => 1,
        }
    }

    /// The bytes for qmail-rspawn.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        for recipient in &self.recipients {
            match recipient {
                RecipientReport::Accepted => bytes.push(b'r'),
                RecipientReport::AcceptedSaying(text) => put(b'r', text, &mut bytes),
                RecipientReport::Deferred(text) => put(b's', text, &mut bytes),
                RecipientReport::Rejected(text) => put(b'h', text, &mut bytes),
            }
            bytes.push(0);
        }
        match &self.message {
            MessageReport::Success(text) => put(b'K', text, &mut bytes),
            MessageReport::Temporary(text) => put(b'Z', text, &mut bytes),
            MessageReport::Permanent(text) => put(b'D', text, &mut bytes),
        }
        bytes.push(0);
        bytes
    }

    /// Writes everything and ends the process, with status 0 unless a feed failed. When the reader is gone there is
    /// nobody left to tell; qmail-rspawn takes "no output" as a temporary failure.
    pub fn finish(self) -> ! {
        write_once(&self.encode());
        sandbox::leave(self.exit_status())
    }
}

impl From<MessageReport> for Reports {
    fn from(message: MessageReport) -> Reports {
        Reports::new(Vec::new(), message)
    }
}

fn put(letter: u8, text: &Text, bytes: &mut Vec<u8>) {
    bytes.push(letter);
    bytes.extend_from_slice(text.as_str().as_bytes());
}

/// The last resort of the panic hook: one temporary report, unless reports have been written already.
/// In the network child descriptor 1 cannot be written, so that nothing is said twice.
pub(crate) fn internal_error() -> ! {
    write_once(b"ZInternal error in qmail-remote. (#4.3.0)\n\0");
    sandbox::leave(0)
}

fn write_once(mut bytes: &[u8]) {
    if WRITTEN.swap(true, Ordering::Relaxed) {
        return;
    }
    let stdout = std::io::stdout();
    while !bytes.is_empty() {
        match nix::unistd::write(&stdout, bytes) {
            Ok(0) => return,
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            // Somebody else made the pipe non-blocking.
            Err(Errno::EAGAIN) => {
                let mut ready = [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)];
                let _ = poll(&mut ready, PollTimeout::NONE);
            }
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &[u8]) -> ReplyText {
        ReplyText::try_from(text.to_vec()).unwrap()
    }

    #[test]
    fn recipients_come_first_in_order_and_every_report_ends_in_nul() {
        let rejected = Text::new("192.0.2.1 does not like recipient.").remote_host_said(&reply(b"550 no\n"));
        let deferred =
            Text::new("192.0.2.1 does not like recipient.").remote_host_said(&reply(b"450-wait\n450 more\n"));
        let reports = Reports::new(
            vec![
                RecipientReport::Accepted,
                RecipientReport::Rejected(rejected),
                RecipientReport::Deferred(deferred),
            ],
            MessageReport::Success(
                Text::new("192.0.2.1 accepted message.").remote_host_said(&reply(b"250 ok\n")),
            ),
        );
        assert_eq!(
            reports.encode().escape_ascii().to_string(),
            "r\\x00\
             h192.0.2.1 does not like recipient.\\nRemote host said: 550 no\\n\\x00\
             s192.0.2.1 does not like recipient.\\nRemote host said: 450-wait\\n450 more\\n\\x00\
             K192.0.2.1 accepted message.\\nRemote host said: 250 ok\\n\\x00"
        );
    }

    #[test]
    fn an_answer_of_qmtp_is_one_clean_line_and_a_failed_feed_no_success() {
        let answer = Text::of_qmtp("qmtps", b"ok\0\n\nRemote host said: 250\x1b \xc3\xbc\xff");
        let reports = Reports::new(
            vec![RecipientReport::AcceptedSaying(answer)],
            MessageReport::Success(Text::new("All received okay by 192.0.2.1")),
        );
        assert_eq!(reports.exit_status(), 0);
        assert_eq!(
            String::from_utf8(reports.encode()).unwrap(),
            "rqmtps: ok???Remote host said: 250? \u{fc}?\n\0KAll received okay by 192.0.2.1\n\0"
        );
        let failed = Reports::feed_failed(Text::new("Unable to read message. (#4.3.0)"));
        assert_eq!(
            (failed.encode(), failed.exit_status()),
            (b"ZUnable to read message. (#4.3.0)\n\0".to_vec(), 1)
        );
    }

    #[test]
    fn a_servers_text_is_cleaned() {
        for (raw, clean) in [
            (&b"550 plain\n"[..], "550 plain\n"),
            (b"550 a\0b\tc\rd\x1b[2Je\x7f\n", "550 a?b?c?d?[2Je?\n"),
            ("550 gr\u{fc}n \u{1f600}\n".as_bytes(), "550 gr\u{fc}n \u{1f600}\n"),
            ("550 \u{9b}2J\n".as_bytes(), "550 ?2J\n"),
            (b"550 \xff\xc3(\xe2\x82\n", "550 ??(??\n"),
        ] {
            let text = Text::new("x").remote_host_said(&reply(raw));
            let said = text.as_str().strip_prefix("x\nRemote host said: ").unwrap().to_owned();
            // One `?` per octet that is not part of well-formed UTF-8.
            assert_eq!(said, clean, "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn our_own_text_holds_no_nul_either() {
        assert_eq!(Text::new("a\0b").as_str(), "a?b\n");
        assert_eq!(printable(b"a b\0\xff~!"), "a?b??~!");
    }
}
