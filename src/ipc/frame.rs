//! Frames: how a message crosses the pipe. Both processes.
//!
//! Four octets of length (little endian), then that many octets of postcard. The length is checked
//! before anything is allocated, a frame must hold exactly one value, and a length of zero or above the
//! limit ends the conversation. What a decoder has handed out it holds no longer: it may have been a secret.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;

use nix::errno::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroize;

/// The most octets that a frame's content may have: the longest reply text, and the rest of a claim.
pub const MAX_CONTENT: usize = super::server_reply::ReplyText::MAX + 512;

const LENGTH: usize = 4;

/// What is read at once.
const CHUNK: usize = 1024;

/// Why the conversation cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A length that no frame has.
    BadLength,
    /// The content is not one value of the expected type.
    BadContent,
    /// The other side is gone: end of file inside a frame, or a failed read or write.
    Gone,
}

/// `value` as one frame.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    // In one place from the start: a vector that grows leaves its content behind, and that may be a secret.
    let mut start = Vec::with_capacity(LENGTH.saturating_add(MAX_CONTENT));
    start.resize(LENGTH, 0);
    let mut frame = postcard::to_extend(value, start).map_err(|_| FrameError::BadContent)?;
    let length = frame.len().checked_sub(LENGTH).filter(|length| (1..=MAX_CONTENT).contains(length));
    let length = length.and_then(|length| u32::try_from(length).ok()).ok_or(FrameError::BadLength)?;
    frame.get_mut(..LENGTH).ok_or(FrameError::BadLength)?.copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Collects octets of a pipe and hands out the values in them.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Reads once from `pipe`. `false` is the end of file.
    pub fn fill(&mut self, pipe: impl AsFd) -> Result<bool, FrameError> {
        // An unfinished frame and one more chunk: it never grows beyond that, and never moves.
        self.pending.reserve_exact(LENGTH.saturating_add(MAX_CONTENT).saturating_add(CHUNK));
        let filled = self.pending.len();
        self.pending.resize(filled.saturating_add(CHUNK), 0);
        let result = loop {
            match nix::unistd::read(&pipe, self.pending.get_mut(filled..).unwrap_or_default()) {
                Ok(count) => break Ok(count),
                Err(Errno::EINTR) => {}
                Err(_) => break Err(FrameError::Gone),
            }
        };
        self.pending.truncate(filled.saturating_add(result.unwrap_or_default()));
        match result? {
            0 if filled > 0 => Err(FrameError::Gone),
            count => Ok(count > 0),
        }
    }

    /// The next whole value, if it has arrived.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some((length, rest)) = self.pending.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| FrameError::BadLength)?;
        if !(1..=MAX_CONTENT).contains(&length) {
            return Err(FrameError::BadLength);
        }
        let Some(content) = rest.get(..length) else {
            return Ok(None);
        };
        let (value, left_over) = postcard::take_from_bytes(content).map_err(|_| FrameError::BadContent)?;
        if !left_over.is_empty() {
            return Err(FrameError::BadContent);
        }
        self.pending.drain(..LENGTH.saturating_add(length));
        // What moved down left its octets behind.
        self.pending.spare_capacity_mut().zeroize();
        Ok(Some(value))
    }
}

/// Writes whole frames.
pub(super) fn write_all(pipe: impl AsFd, mut left: &[u8]) -> Result<(), FrameError> {
    while !left.is_empty() {
        match nix::unistd::write(&pipe, left) {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(_) => return Err(FrameError::Gone),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::ipc::server_reply::ReplyText;
    use crate::ipc::{Claim, Message, Reply, Request, Step};

    fn decode(bytes: &[u8]) -> Result<Option<Message>, FrameError> {
        Decoder { pending: bytes.to_vec() }.take()
    }

    fn replied(text: &[u8]) -> Message {
        Message::Claim(Claim::Replied(Step::Mail, ReplyText::try_from(text.to_vec()).unwrap()))
    }

    #[test]
    fn values_survive_the_pipe_in_order_however_they_are_cut() {
        let sent = [Message::Request(Request::Begin), replied(b"250 ok\n"), Message::Claim(Claim::Lost)];
        let bytes: Vec<u8> = sent.iter().flat_map(|message| encode(message).unwrap()).collect();
        for size in 1..bytes.len() {
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(size) {
                decoder.pending.extend_from_slice(piece);
                while let Some(message) = decoder.take::<Message>().unwrap() {
                    seen.push(message);
                }
            }
            assert_eq!(seen, sent);
        }
    }

    #[test]
    fn an_end_between_frames_is_one_and_an_end_inside_of_one_is_a_fault() {
        let whole = encode(&Message::Request(Request::Begin)).unwrap();
        for kept in 0..=whole.len() {
            let (reader, mut writer) = std::io::pipe().unwrap();
            writer.write_all(&whole[..kept]).unwrap();
            drop(writer);
            let mut decoder = Decoder::default();
            assert_eq!(decoder.fill(&reader), Ok(kept > 0));
            let message = decoder.take::<Message>().unwrap();
            assert_eq!(message.is_some(), kept == whole.len());
            let is_between = kept == 0 || kept == whole.len();
            assert_eq!(decoder.fill(&reader), if is_between { Ok(false) } else { Err(FrameError::Gone) });
        }
    }

    #[test]
    fn the_longest_reply_fits() {
        let longest = [&b"250 "[..], &vec![b'x'; ReplyText::MAX - 5], b"\n"].concat();
        let frame = encode(&replied(&longest)).unwrap();
        assert_eq!(decode(&frame), Ok(Some(replied(&longest))));
    }

    #[test]
    fn what_fits_no_frame_is_not_sent() {
        let of = |length| encode(&Reply::TrustAnchors(vec![b'x'; length]));
        // A kind, and a length of two octets.
        assert_eq!(of(MAX_CONTENT - 3).map(|frame| frame.len()), Ok(MAX_CONTENT + 4));
        assert_eq!(of(MAX_CONTENT - 2), Err(FrameError::BadLength));
    }

    #[test]
    fn lengths_are_checked_before_the_content_arrives() {
        assert_eq!(decode(&[0, 0, 0, 0]), Err(FrameError::BadLength));
        assert_eq!(decode(&[255, 255, 255, 255]), Err(FrameError::BadLength));
        let over = u32::try_from(MAX_CONTENT + 1).unwrap().to_le_bytes();
        assert_eq!(decode(&over), Err(FrameError::BadLength));
        assert_eq!(decode(&[1, 0, 0]), Ok(None));
        assert_eq!(decode(&[2, 0, 0, 0, 0]), Ok(None));
    }

    #[test]
    fn content_is_one_known_value_exactly() {
        let mut frame = encode(&Message::Request(Request::Begin)).unwrap();
        frame.push(0);
        frame[0] += 1;
        assert_eq!(decode(&frame), Err(FrameError::BadContent), "one octet too many");
        assert_eq!(decode(&[1, 0, 0, 0, 99]), Err(FrameError::BadContent), "an unknown message");
        assert_eq!(decode(&[2, 0, 0, 0, 0, 99]), Err(FrameError::BadContent), "an unknown request");
        // A claim whose reply text breaks the rule of replies.
        let good = encode(&replied(b"250 ok\n")).unwrap();
        for (octet, replacement) in [(b'2', b'9'), (b'\n', b'x'), (b'5', b'x')] {
            let at = good.iter().rposition(|&seen| seen == octet).unwrap();
            let mut bad = good.clone();
            bad[at] = replacement;
            assert_eq!(decode(&bad), Err(FrameError::BadContent));
        }
    }
}
