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
use super::secret::Secret;
use super::signature::{MOST_OCTETS, Piece, Scheme};
use super::{AnchorQuery, Claim, MOST_ANCHOR_QUERIES, Message, Reply, Request};
use crate::tls_policy::TlsPolicy;

/// The exit status of a child whose monitor is gone. Nobody reads it.
const MONITOR_GONE: u8 = 1;

/// The child's descriptor for the write end of the message pipe. 0 to 2 are the only others that are open when it begins to
/// work.
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
    anchor_queries: u16,
}

impl ChildEnd {
    /// `messages` is the write end of the message pipe.
    pub fn new(messages: OwnedFd) -> ChildEnd {
        let (collected, replies, last_write) = (Vec::new(), Decoder::default(), Instant::now());
        ChildEnd { messages, collected, replies, last_write, anchor_queries: 0 }
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
        self.ask(Request::Begin, |reply| matches!(reply, Reply::Begin).then_some(()))
    }

    /// Asks for the policy of the exchanger that was connected to.
    pub fn ask_for_policy(&mut self) -> TlsPolicy {
        self.ask(Request::TlsPolicy, |reply| match reply {
            Reply::TlsPolicy(policy) => Some(policy),
            _ => None,
        })
    }

    /// Whether the monitor will still hear so many questions for trust anchors.
    pub fn has_left_of_anchor_queries(&self, count: u16) -> bool {
        MOST_ANCHOR_QUERIES.saturating_sub(self.anchor_queries) >= count
    }

    /// Asks for trust anchors, in PEM.
    pub fn ask_for_anchors(&mut self, query: AnchorQuery) -> Vec<u8> {
        self.anchor_queries = self.anchor_queries.saturating_add(1);
        let piece = |reply| match reply {
            Reply::TrustAnchors(piece) => Some(Some(piece)),
            Reply::NoMoreTrustAnchors => Some(None),
            _ => None,
        };
        let mut pem = Vec::new();
        let mut next = self.ask(Request::TrustAnchors(query), piece);
        while let Some(octets) = next {
            pem.extend_from_slice(&octets);
            next = self.expect(piece);
        }
        pem
    }

    /// Asks for the response to a challenge of CRAM-MD5.
    pub fn ask_for_digest(&mut self) -> Secret {
        self.ask(Request::AuthResponse, |reply| match reply {
            Reply::CramMd5(response) => Some(response),
            _ => None,
        })
    }

    /// Asks for user and password.
    pub fn ask_for_credentials(&mut self) -> (Secret, Secret) {
        self.ask(Request::AuthResponse, |reply| match reply {
            Reply::Credentials { user, password } => Some((user, password)),
            _ => None,
        })
    }

    /// Asks for a signature of `octets` by the client certificate's key. None: they are more than anybody signs.
    pub fn ask_to_sign(&mut self, scheme: Scheme, octets: &[u8]) -> Option<Vec<u8>> {
        if octets.len() > MOST_OCTETS {
            return None;
        }
        for piece in octets.chunks(Piece::MAX) {
            self.collect(&Message::ToBeSigned(Piece::try_from(piece.to_vec()).ok()?));
        }
        self.ask(Request::Sign(scheme), |reply| match reply {
            Reply::Signature(signature) => Some(Some(signature.into())),
            _ => None,
        })
    }

    /// Sends a request, with all that was claimed before it, and waits for the reply that `wanted` takes.
    fn ask<T>(&mut self, request: Request, wanted: impl FnOnce(Reply) -> Option<T>) -> T {
        self.collect(&Message::Request(request));
        self.flush();
        self.expect(wanted)
    }

    /// Waits for the reply that `wanted` takes. With any other there is nothing more to do.
    fn expect<T>(&mut self, wanted: impl FnOnce(Reply) -> Option<T>) -> T {
        wanted(self.next_reply()).unwrap_or_else(|| sandbox::leave(MONITOR_GONE))
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
