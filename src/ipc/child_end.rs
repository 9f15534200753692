//! The network child's end of the conversation with the monitor.
//!
//! When the monitor is gone or answers nonsense there is nobody to work for: the process ends.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::frame::{self, Decoder};
use super::{Claim, Message, Reply, Request};

/// The exit status of a child whose monitor is gone. Nobody reads it.
const MONITOR_GONE: u8 = 1;

/// How often work that goes on is claimed.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// Speaks to the monitor. Replies are read from descriptor 1, which in the child is the read end of the
/// reply pipe (and so is descriptor 2): a stray print has nowhere to go.
#[derive(Debug)]
pub struct ChildEnd {
    messages: OwnedFd,
    replies: Decoder,
    last_sent: Instant,
}

impl ChildEnd {
    /// `messages` is the write end of the message pipe.
    pub fn new(messages: OwnedFd) -> ChildEnd {
        ChildEnd { messages, replies: Decoder::default(), last_sent: Instant::now() }
    }

    /// Says what happened.
    pub fn claim(&mut self, claim: Claim) {
        self.send(&Message::Claim(claim));
    }

    /// Says that work goes on, unless something was said a short while ago.
    pub fn progress(&mut self) {
        if self.last_sent.elapsed() >= PROGRESS_INTERVAL {
            self.claim(Claim::Progress);
        }
    }

    /// Asks, and waits for the reply.
    pub fn ask(&mut self, request: Request) -> Reply {
        self.send(&Message::Request(request));
        loop {
            match self.replies.take() {
                Ok(Some(reply)) => return reply,
                Ok(None) => match self.replies.fill(std::io::stdout()) {
                    Ok(true) => {}
                    Ok(false) | Err(_) => sandbox::leave(MONITOR_GONE),
                },
                Err(_) => sandbox::leave(MONITOR_GONE),
            }
        }
    }

    fn send(&mut self, message: &Message) {
        if frame::send(&self.messages, message).is_err() {
            sandbox::leave(MONITOR_GONE);
        }
        self.last_sent = Instant::now();
    }
}
