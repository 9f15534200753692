//! The network child's end of the conversation with the monitor.
//!
//! When the monitor is gone, says stop or answers nonsense there is nobody to work for: the process ends.
//!
//! Claims are collected and written together: each write wakes the monitor, and most claims change nothing
//! until the next. What must be known at once is flushed by whoever claims it, and nothing waits longer
//! than a few seconds and the step under way.
#![forbid(unsafe_code)]

use std::os::fd::{OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::frame::{self, Decoder};
use super::{AnchorQuery, Claim, Message, Reply, Request};
use crate::tls_policy::TlsPolicy;

/// The exit status of a child whose monitor is gone. Nobody reads it.
const MONITOR_GONE: u8 = 1;

/// The child's descriptor for the write end of the message pipe. No higher one is open when it begins to work.
pub const MESSAGE_PIPE: RawFd = 4;

/// After this time without a write the next claim is written at once.
const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// After this many octets, too: a server's long replies to thousands of recipients must not pile up.
const MOST_COLLECTED: usize = 16 * 1024;

/// Speaks to the monitor. Replies are read from descriptor 1, which in the child is the read end of the
/// reply pipe (and so is descriptor 2): a stray print has nowhere to go.
#[derive(Debug)]
pub struct ChildEnd {
    messages: OwnedFd,
    collected: Vec<u8>,
    replies: Decoder,
    last_write: Instant,
}

impl ChildEnd {
    /// `messages` is the write end of the message pipe.
    pub fn new(messages: OwnedFd) -> ChildEnd {
        ChildEnd { messages, collected: Vec::new(), replies: Decoder::default(), last_write: Instant::now() }
    }

    /// Says what happened; the monitor may hear of it later.
    pub fn claim(&mut self, claim: Claim) {
        self.collect(&Message::Claim(claim));
        if self.collected.len() >= MOST_COLLECTED || self.last_write.elapsed() >= FLUSH_INTERVAL {
            self.flush();
        }
    }

    /// Says that work goes on, unless something was said a short while ago.
    pub fn progress(&mut self) {
        if self.last_write.elapsed() >= FLUSH_INTERVAL {
            self.claim(Claim::Progress);
        }
    }

    /// Hands everything to the monitor.
    pub fn flush(&mut self) {
        if frame::write_all(&self.messages, &self.collected).is_err() {
            sandbox::leave(MONITOR_GONE);
        }
        self.collected.clear();
        self.last_write = Instant::now();
    }

    /// Asks to begin, and waits until that may be.
    pub fn ask_to_begin(&mut self) {
        match self.ask(Request::Begin) {
            Reply::Begin => {}
            Reply::TlsPolicy(_) | Reply::TrustAnchors(_) | Reply::NoMoreTrustAnchors | Reply::Stop => {
                sandbox::leave(MONITOR_GONE)
            }
        }
    }

    /// Asks for the policy of the exchanger that was connected to.
    pub fn ask_for_policy(&mut self) -> TlsPolicy {
        match self.ask(Request::TlsPolicy) {
            Reply::TlsPolicy(policy) => policy,
            Reply::Begin | Reply::TrustAnchors(_) | Reply::NoMoreTrustAnchors | Reply::Stop => {
                sandbox::leave(MONITOR_GONE)
            }
        }
    }

    /// Asks for trust anchors, in PEM.
    pub fn ask_for_anchors(&mut self, query: AnchorQuery) -> Vec<u8> {
        let mut pem = Vec::new();
        let mut reply = self.ask(Request::TrustAnchors(query));
        loop {
            match reply {
                Reply::TrustAnchors(piece) => pem.extend_from_slice(&piece),
                Reply::NoMoreTrustAnchors => return pem,
                Reply::Begin | Reply::TlsPolicy(_) | Reply::Stop => sandbox::leave(MONITOR_GONE),
            }
            reply = self.next_reply();
        }
    }

    fn ask(&mut self, request: Request) -> Reply {
        self.collect(&Message::Request(request));
        self.flush();
        self.next_reply()
    }

    fn next_reply(&mut self) -> Reply {
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

    fn collect(&mut self, message: &Message) {
        match frame::encode(message) {
            Ok(frame) => self.collected.extend_from_slice(&frame),
            Err(_) => sandbox::leave(MONITOR_GONE),
        }
    }
}
