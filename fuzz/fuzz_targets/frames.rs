//! Octets of the pipes, into the decoders of both processes. What they make of them is what a plain reading of frames does,
//! and what is decoded survives being encoded, and fits a frame.
#![no_main]

use std::fmt::Debug;
use std::io::Write;

use libfuzzer_sys::fuzz_target;
use qmail_remote::ipc::frame::{Decoder, FrameError, MAX_CONTENT, encode};
use qmail_remote::ipc::{Message, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The values in `octets`, and how they end: none at the end of file.
fn decode<T: DeserializeOwned>(octets: &[u8]) -> (Vec<T>, Option<FrameError>) {
    let (pipe, mut end) = std::io::pipe().expect("pipe");
    let (mut decoder, mut values, mut written) = (Decoder::default(), Vec::new(), octets.chunks(1024));
    loop {
        match decoder.take() {
            Ok(Some(value)) => values.push(value),
            Ok(None) => match written.next() {
                Some(piece) => {
                    end.write_all(piece).expect("room in the pipe");
                    assert_eq!(decoder.fill(&pipe), Ok(true));
                }
                None => {
                    drop(end);
                    return (values, decoder.fill(&pipe).err());
                }
            },
            Err(error) => return (values, Some(error)),
        }
    }
}

/// The same by a plain reading: a length, and a content that is one value exactly.
fn plain<T: DeserializeOwned>(mut octets: &[u8]) -> (Vec<T>, Option<FrameError>) {
    let mut values = Vec::new();
    while !octets.is_empty() {
        let Some((length, rest)) = octets.split_first_chunk() else {
            return (values, Some(FrameError::Gone));
        };
        let length = usize::try_from(u32::from_le_bytes(*length)).expect("32 bits");
        if length == 0 || length > MAX_CONTENT {
            return (values, Some(FrameError::BadLength));
        }
        let Some((content, after)) = rest.split_at_checked(length) else {
            return (values, Some(FrameError::Gone));
        };
        match postcard::take_from_bytes(content) {
            Ok((value, [])) => values.push(value),
            _ => return (values, Some(FrameError::BadContent)),
        }
        octets = after;
    }
    (values, None)
}

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(octets: &[u8]) {
    let (values, end) = decode::<T>(octets);
    let (expected, expected_end) = plain::<T>(octets);
    assert_eq!((&values, end), (&expected, expected_end));
    let mut again = Vec::new();
    for value in &values {
        // A peer may write a number longer than it needs to be: of ours, none is.
        let frame = encode(value).expect("what came in a frame goes into one");
        assert!(frame.len() <= MAX_CONTENT + 4);
        again.extend_from_slice(&frame);
    }
    assert_eq!(plain::<T>(&again), (values, None));
}

fuzz_target!(|data: &[u8]| {
    check::<Message>(data);
    check::<Reply>(data);
});
