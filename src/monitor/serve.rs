//! Serves the network child until there is a verdict. Monitor only, confined.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::child::Child;
use super::outcome::{Broken, Transcript};
use crate::ipc::frame::{self, Decoder};
use crate::ipc::{Message, Reply, Request};
use crate::report::Reports;

/// How much longer than its longest step the child may be silent.
const GRACE: Duration = Duration::from_secs(15);
/// How long a child may take to say QUIT and leave once the verdict is known.
const FAREWELL: Duration = Duration::from_millis(500);

/// Listens to the child, then ends and reaps it, whatever happened. `longest_step` is the longest
/// timeout in force.
pub fn serve(child: Child, mut transcript: Transcript, longest_step: Duration) -> Reports {
    let result = listen(&child, &mut transcript, longest_step.saturating_add(GRACE));
    if result.is_ok() {
        let deadline = Instant::now().checked_add(FAREWELL);
        while wait_for(&child, deadline)
            && nix::unistd::read(&child.messages, &mut [0; 512]).is_ok_and(|n| n > 0)
        {}
    }
    child.end();
    match result {
        Ok(()) => transcript.conclude(),
        Err(how) => transcript.broken(how),
    }
}

fn listen(child: &Child, transcript: &mut Transcript, patience: Duration) -> Result<(), Broken> {
    let mut decoder = Decoder::default();
    loop {
        while let Some(message) = decoder.take::<Message>().map_err(|_| Broken::Lied)? {
            let request = match &message {
                Message::Request(request) => Some(request.clone()),
                Message::Claim(_) => None,
            };
            transcript.accept(message)?;
            if let Some(Request::Begin) = request {
                // When the child is gone, what it said before still counts: go on reading.
                let _ = frame::send(&child.replies, &Reply::Begin);
            }
            if transcript.is_over() {
                return Ok(());
            }
        }
        if !wait_for(child, Instant::now().checked_add(patience)) {
            return Err(Broken::Silent);
        }
        match decoder.fill(&child.messages) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(Broken::Died),
        }
    }
}

/// Waits until the child has said something or is gone; false when `deadline` came first. No deadline
/// means one beyond what the clock can hold.
fn wait_for(child: &Child, deadline: Option<Instant>) -> bool {
    loop {
        // Also for a child that always has something more to say.
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return false;
        }
        let left =
            deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        // At most a day at a time; rounded up, so as not to spin through the last millisecond.
        let left = left.min(Duration::from_secs(86_400)).saturating_add(Duration::from_micros(999));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut descriptors = [PollFd::new(child.messages.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return true,
        }
    }
}
