//! What all real mail servers have here: a process, a log, and one mailbox that takes everything, so that what a delivery
//! sends can be compared with what came out of the box.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use crate::daemon::Daemon;
use crate::patience;
use crate::world::make_directory;

/// A running mail server with its mailbox; ends when dropped.
#[derive(Debug)]
pub struct Mailbox {
    /// The server's first process.
    pub daemon: Daemon,
    home: PathBuf,
    log: PathBuf,
    returned: RefCell<Vec<PathBuf>>,
}

impl Mailbox {
    /// The box that [`make_box`] made in `home`, and the file of `home/log`.
    pub(crate) fn new(daemon: Daemon, home: &Path, log: &str) -> Mailbox {
        let log = home.join("log").join(log);
        Mailbox { daemon, home: home.to_owned(), log, returned: RefCell::default() }
    }

    /// The next message to come in that this has not returned yet.
    #[must_use]
    pub fn wait_for_message(&self) -> PathBuf {
        let mut returned = self.returned.borrow_mut();
        let message = patience::until(|| self.messages().into_iter().find(|path| !returned.contains(path)));
        let message = message.expect("a message in the mailbox");
        returned.push(message.clone());
        message
    }

    /// All messages in the mailbox now. One that was accepted a moment ago may still be on its way.
    #[must_use]
    pub fn messages(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.home.join("mail/box/new")).expect("mailbox");
        files.map(|file| file.expect("message").path()).collect()
    }

    /// A message as it was sent, but with LF for CRLF: without the header fields that the server put
    /// before it.
    #[must_use]
    pub fn message_body(&self, message: &Path) -> Vec<u8> {
        let mut content = fs::read(message).expect("message");
        let trace = length_of_trace(&content);
        content.drain(..trace);
        content
    }

    /// All that the server logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Stops the test unless the server logs this. It may do so after it answered the client: its log has a writer of its own.
    pub fn assert_logs(&self, text: &str) {
        let found = patience::until(|| self.log().contains(text).then_some(()));
        assert!(found.is_some(), "no {text:?} in the log:\n{}", self.log());
    }
}

/// The length of the fields that servers prepend: at most one of each, in this order.
fn length_of_trace(message: &[u8]) -> usize {
    let mut rest = message;
    for name in [b"Return-Path:".as_slice(), b"X-Original-To:", b"Delivered-To:", b"Received:"] {
        if rest.starts_with(name) {
            rest = after_field(rest);
        }
    }
    message.len() - rest.len()
}

/// What follows the first header field and its continuation lines.
fn after_field(mut message: &[u8]) -> &[u8] {
    loop {
        let end = message.iter().position(|byte| *byte == b'\n').map_or(message.len(), |end| end + 1);
        message = message.get(end..).unwrap_or_default();
        if !matches!(message.first(), Some(b' ' | b'\t')) {
            return message;
        }
    }
}

/// Makes `home/mail/box`, of this user and its group.
pub(crate) fn make_box(home: &Path, owner: u32) {
    make_directory(home.join("mail"), 0o755);
    for directory in ["", "cur", "new", "tmp"] {
        make_owned(&home.join("mail/box").join(directory), 0o755, owner, Some(owner));
    }
}

/// Makes a directory of this mode and owner, and perhaps group.
pub(crate) fn make_owned(directory: &Path, mode: u32, owner: u32, group: Option<u32>) {
    make_directory(directory, mode);
    chown(directory, Some(owner), group).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_prepended_is_taken_off() {
        let ours = "Received: from elsewhere\n\tby here\nSubject: x\n\nReceived: body\n";
        let trace =
            "Return-Path: <a@b>\nX-Original-To: c@d\nDelivered-To: c@d\nReceived: from e\n\tby f;\n date\n";
        assert_eq!(length_of_trace(format!("{trace}{ours}").as_bytes()), trace.len());
        assert_eq!(length_of_trace(b"Subject: x\n\nbody\n"), 0);
    }
}
