//! Commands on their way together (RFC 2920), and which of them have been sent. Network child.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use crate::network::channel::{Channel, Deadline, Lost};

/// Commands whose answers are awaited. Their octets leave while answers are taken in, so that neither side waits
/// for the other with full buffers, however many recipients there are.
#[derive(Debug, Default)]
pub(super) struct Flight {
    octets: Vec<u8>,
    written: usize,
    /// Where each command ends that has not been answered.
    ends: VecDeque<usize>,
    /// Writing has failed. What the server said before can still be read.
    is_cut: bool,
}

impl Flight {
    /// Adds a command.
    pub(super) fn push(&mut self, command: &[u8]) {
        self.octets.extend_from_slice(command);
        self.ends.push_back(self.octets.len());
    }

    /// Writes what can be written at once.
    pub(super) fn depart(&mut self, channel: &mut Channel) {
        let written = channel.write_now(self.unwritten());
        self.note(written);
    }

    /// Reads at least one octet, and writes meanwhile.
    pub(super) fn read(
        &mut self,
        channel: &mut Channel,
        piece: &mut [u8],
        deadline: Deadline,
    ) -> Result<usize, Lost> {
        while !self.unwritten().is_empty() {
            let moved = channel.write_or_read(self.unwritten(), piece, deadline)?;
            if moved.read > 0 {
                return Ok(moved.read);
            }
            self.note(moved.written);
        }
        channel.read(piece, deadline)
    }

    /// An answer has come to the oldest command. Says whether that had been sent: what comes earlier is no answer.
    pub(super) fn answered(&mut self) -> bool {
        let was_sent = self.ends.pop_front().is_none_or(|end| end <= self.written);
        if self.ends.is_empty() && self.unwritten().is_empty() {
            self.octets.clear();
            self.written = 0;
        }
        was_sent
    }

    /// Whether all commands have been sent.
    pub(super) fn is_sent(&self) -> bool {
        self.written == self.octets.len()
    }

    fn unwritten(&self) -> &[u8] {
        if self.is_cut { &[] } else { self.octets.get(self.written..).unwrap_or_default() }
    }

    fn note(&mut self, written: Result<usize, Lost>) {
        match written {
            Ok(count) => self.written = self.written.saturating_add(count),
            Err(Lost) => self.is_cut = true,
        }
    }
}
