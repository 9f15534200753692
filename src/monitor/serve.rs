//! Serves the network child until there is a verdict. Monitor only, confined.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zeroize::Zeroizing;

use super::child::Child;
use super::control::tlsdestinations::{self, TlsRule};
use super::control::{ControlDirectory, ControlError};
use super::outcome::{Broken, Task, Transcript};
use super::refusal::Refusal;
use super::secrets::Secrets;
use super::signer::{NotSigned, Signer};
use super::trust_store;
use crate::host::HostName;
use crate::ipc::frame::{self, Decoder};
use crate::ipc::{Message, Reply};

/// How much longer than its longest step the child may be silent.
const GRACE: Duration = Duration::from_secs(15);
/// How long a child may take to say QUIT and leave once the verdict is known.
const FAREWELL: Duration = Duration::from_millis(500);

/// What requests are answered from.
#[derive(Debug)]
pub struct Sources {
    /// For rules by the names of exchangers, when there may be any.
    pub control: Option<ControlDirectory>,
    /// The envelope sender: some rules are for certain senders.
    pub sender: Vec<u8>,
    /// What only permitted requests open.
    pub secrets: Secrets,
    /// The key of the client certificate.
    pub signer: Option<Signer>,
}

/// Listens to the child, then ends it, whatever happened. `longest_step` is the longest
/// timeout in force.
pub fn serve(
    child: Child,
    transcript: &mut Transcript,
    sources: &mut Sources,
    longest_step: Duration,
) -> Result<(), Broken> {
    let result = listen(&child, transcript, sources, longest_step.saturating_add(GRACE));
    if result.is_ok() {
        let deadline = Instant::now().checked_add(FAREWELL);
        while wait_for(&child, deadline)
            && nix::unistd::read(&child.messages, &mut [0; 512]).is_ok_and(|n| n > 0)
        {}
    }
    child.end();
    result
}

fn listen(
    child: &Child,
    transcript: &mut Transcript,
    sources: &mut Sources,
    patience: Duration,
) -> Result<(), Broken> {
    let mut decoder = Decoder::default();
    loop {
        while let Some(message) = decoder.take::<Message>().map_err(|_| Broken::Lied)? {
            if let Some(task) = transcript.accept(message)? {
                let deadline = Instant::now().checked_add(patience);
                for reply in perform(task, transcript, sources)? {
                    // When the child is gone, what it said before still counts: go on reading.
                    if !send(child, &reply, deadline)? {
                        break;
                    }
                }
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

/// Does what a request asks for, and gives the replies.
fn perform(task: Task, transcript: &mut Transcript, sources: &mut Sources) -> Result<Vec<Reply>, Broken> {
    let result = match task {
        Task::Begin => Ok(vec![Reply::Begin]),
        Task::RaisePolicy(exchanger) => exchanger_rule(sources, &exchanger)
            .map(|rule| vec![Reply::TlsPolicy(transcript.raise_policy(rule))])
            .map_err(Refusal::from),
        Task::HandOut(anchors, query) => {
            trust_store::read(&anchors, query).map(|pem| in_pieces(&pem)).map_err(Refusal::from)
        }
        Task::Digest(challenge) => opened(sources.secrets.digest(&challenge)),
        Task::Release => opened(sources.secrets.release()),
        Task::Sign(scheme, octets) => {
            match sources.signer.as_ref().map(|signer| signer.sign(scheme, &octets)) {
                Some(Err(NotSigned::Refused)) => return Err(Broken::Lied),
                Some(Ok(signature)) => Ok(vec![Reply::Signature(signature)]),
                Some(Err(NotSigned::Failed)) | None => Err(Refusal::Resources),
            }
        }
        Task::Stop => Ok(vec![Reply::Stop]),
    };
    Ok(result.unwrap_or_else(|refusal| {
        transcript.stop(refusal.report());
        vec![Reply::Stop]
    }))
}

/// A plan that has credentials comes with them, and nothing is permitted twice: what is not there is trouble of our own.
fn opened(reply: Option<Reply>) -> Result<Vec<Reply>, Refusal> {
    reply.map(|reply| vec![reply]).ok_or(Refusal::Resources)
}

fn exchanger_rule(sources: &Sources, exchanger: &HostName) -> Result<Option<TlsRule>, ControlError> {
    match &sources.control {
        Some(control) => tlsdestinations::look_up_exchanger(control, exchanger, &sources.sender),
        None => Ok(None),
    }
}

fn in_pieces(pem: &[u8]) -> Vec<Reply> {
    /// Fits a frame.
    const PIECE: usize = 4096;
    let pieces = pem.chunks(PIECE).map(|piece| Reply::TrustAnchors(piece.to_vec()));
    pieces.chain([Reply::NoMoreTrustAnchors]).collect()
}

/// Sends a reply before `deadline`; false when the child is gone.
fn send(child: &Child, reply: &Reply, deadline: Option<Instant>) -> Result<bool, Broken> {
    let Ok(frame) = frame::encode(reply).map(Zeroizing::new) else { return Err(Broken::Died) };
    let mut left = frame.as_slice();
    while !left.is_empty() {
        match nix::unistd::write(&child.replies, left) {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                if !ready(child.replies.as_fd(), PollFlags::POLLOUT, deadline) {
                    return Err(Broken::Silent);
                }
            }
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// Waits until the child has said something or is gone; false when `deadline` came first.
fn wait_for(child: &Child, deadline: Option<Instant>) -> bool {
    ready(child.messages.as_fd(), PollFlags::POLLIN, deadline)
}

/// Waits until `pipe` is ready for `what` or its other end is gone; false when `deadline` came first. No deadline means
/// one beyond what the clock can hold.
fn ready(pipe: BorrowedFd<'_>, what: PollFlags, deadline: Option<Instant>) -> bool {
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
        let mut descriptors = [PollFd::new(pipe, what)];
        match poll(&mut descriptors, timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return true,
        }
    }
}
