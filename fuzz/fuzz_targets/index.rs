//! A damaged `smtproutes.cdb`. A case is the number of patches, the patches (two octets of place, four of content), how
//! many octets are cut off, and then as for a list: host, sender and the text whose index is so treated. What is found
//! stands in the index, and every error is one of the index. Where the number has its highest bit, each patch wipes a
//! sector instead, as a crash would: what is found then is what was there before, or an error.
#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt;

use libfuzzer_sys::fuzz_target;
use qmail_remote::monitor::control::indexed::{self, IndexError};
use qmail_remote::monitor::control::{ControlError, smtproutes};
use qmail_remote_fuzz::{Case, Home};

/// The bit of the number of patches that has them wipe sectors.
const WIPES: u8 = 0x80;

/// What a disk writes at once, in octets.
const SECTOR: usize = 512;

/// The index of the text, damaged.
fn damaged(home: &Home, patches: &[u8], wipes: bool, cut: u8) -> Vec<u8> {
    let path = home.directory().join("smtproutes.cdb");
    let index = File::options().write(true).open(&path).expect("index");
    let whole = std::fs::read(&path).expect("index");
    for patch in patches.chunks_exact(6) {
        let place = usize::from(u16::from_le_bytes([patch[0], patch[1]]));
        if wipes {
            let place = place % whole.len().div_ceil(SECTOR) * SECTOR;
            let zeros = vec![0; SECTOR.min(whole.len() - place)];
            index.write_all_at(&zeros, place as u64).expect("sector");
        } else {
            index.write_all_at(&patch[2..], (place % whole.len()) as u64).expect("patch");
        }
    }
    let length = index.metadata().expect("length").len();
    index.set_len(length.saturating_sub(u64::from(cut))).expect("cut");
    std::fs::read(path).expect("index")
}

fuzz_target!(|data: &[u8]| {
    let Some((count, rest)) = data.split_first() else { return };
    let Some((patches, rest)) = rest.split_at_checked(usize::from(count % 16) * 6) else { return };
    let Some((cut, rest)) = rest.split_first() else { return };
    let Some(case) = Case::new(rest) else { return };
    let home = Home::new(&[(smtproutes::SMTPROUTES, case.text)]);
    let look_up = || smtproutes::look_up(&home.control(), &case.invocation);
    let wipes = count & WIPES != 0;
    match indexed::write(&home.directory(), smtproutes::SMTPROUTES) {
        Ok(_) => {}
        Err(IndexError::Zero(_) | IndexError::BadLine(_)) => return,
        Err(error) => panic!("{error:?}"),
    }
    let before = look_up();
    let index = damaged(&home, patches, wipes, *cut);
    let found = look_up();
    if wipes {
        assert!(found == before || found == Err(ControlError::Unreadable), "{before:?}, then {found:?}");
    }
    match found {
        Ok(Some((_, route))) => {
            assert_eq!(route.origin.line, 0, "the text was used");
            let relay = route.relay.map(|relay| relay.as_written).unwrap_or_default();
            assert!(relay.is_empty() || index.windows(relay.len()).any(|octets| octets == relay));
        }
        Ok(None) | Err(ControlError::Unreadable | ControlError::BadLine { line: 0, .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
});
