//! A damaged `smtproutes.cdb`. A case is the number of patches, the patches (two octets of place, four of content), how
//! many octets are cut off, and the text whose index is so treated. What is found stands in the index, and every error
//! is one of the index.
#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt;

use libfuzzer_sys::fuzz_target;
use qmail_remote::args::Invocation;
use qmail_remote::monitor::control::{ControlError, indexed, smtproutes};
use qmail_remote_fuzz::Home;

/// The index of `text`, damaged.
fn damaged(home: &Home, patches: &[u8], cut: u8) -> Vec<u8> {
    indexed::write(&home.directory(), smtproutes::SMTPROUTES).expect("index");
    let path = home.directory().join("smtproutes.cdb");
    let index = File::options().write(true).open(&path).expect("index");
    for patch in patches.chunks_exact(6) {
        let length = index.metadata().expect("length").len();
        let place = u64::from(u16::from_le_bytes([patch[0], patch[1]])) % length;
        index.write_all_at(&patch[2..], place).expect("patch");
    }
    let length = index.metadata().expect("length").len();
    index.set_len(length.saturating_sub(u64::from(cut))).expect("cut");
    std::fs::read(path).expect("index")
}

fuzz_target!(|data: &[u8]| {
    let Some((count, rest)) = data.split_first() else { return };
    let Some((patches, rest)) = rest.split_at_checked(usize::from(count % 16) * 6) else { return };
    let Some((cut, text)) = rest.split_first() else { return };
    let home = Home::new(&[(smtproutes::SMTPROUTES, text.to_vec())]);
    let index = damaged(&home, patches, *cut);
    let arguments = ["mx.example.test", "a@b.test", "bob@example.test"].map(Into::into);
    match smtproutes::look_up(&home.control(), &Invocation::parse(arguments).expect("arguments")) {
        Ok(Some((_, route))) => {
            assert_eq!(route.origin.line, 0, "the text was used");
            let relay = route.relay.map(|relay| relay.as_written).unwrap_or_default();
            assert!(relay.is_empty() || index.windows(relay.len()).any(|octets| octets == relay));
        }
        Ok(None) | Err(ControlError::Unreadable | ControlError::BadLine { line: 0, .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
});
