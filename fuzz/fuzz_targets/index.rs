//! A damaged `smtproutes.cdb`. A case is the number of patches, the patches (two octets of place, four of content), how
//! many octets are cut off, and the text whose index is so treated. What is found stands in the index, and every error
//! is one of the index. Where the number has its highest bit, each patch wipes a sector instead, as a crash would: what is
//! found then is what was there before, or an error.
#![no_main]

use std::fs::File;
use std::os::unix::fs::FileExt;

use libfuzzer_sys::fuzz_target;
use qmail_remote::args::Invocation;
use qmail_remote::monitor::control::{ControlError, indexed, smtproutes};
use qmail_remote_fuzz::Home;

/// The bit of the number of patches that has them wipe sectors.
const WIPES: u8 = 0x80;

/// What a disk writes at once, in octets.
const SECTOR: usize = 512;

/// The length of the header: the place and the slots of each of 256 tables.
const HEADER: usize = 2048;

/// The place where the first table begins, behind the last record.
fn tables(index: &[u8]) -> usize {
    let places = index[..HEADER].chunks_exact(8).map(|table| {
        let place = u32::from_le_bytes([table[0], table[1], table[2], table[3]]);
        usize::try_from(place).expect("place")
    });
    places.min().expect("tables")
}

/// The places of the sectors that hold nothing of a record: the header's, and those behind the place where the first table
/// begins. A record cannot tell by itself that it was wiped: zeros are one of the empty key, and a value may be anything.
fn sectors_without_records(index: &[u8]) -> Vec<usize> {
    let tables = tables(index);
    let sectors = (0..index.len()).step_by(SECTOR);
    sectors.filter(|&place| place < HEADER || place >= tables).collect()
}

/// Writes the index of the text; with `aligned`, a line more has the tables begin where no slot lies in two sectors. One that
/// does may be wiped by half, and is then taken for empty: a known defect.
fn write(home: &Home, text: &[u8], aligned: bool) {
    let write = || indexed::write(&home.directory(), smtproutes::SMTPROUTES).expect("index");
    write();
    if aligned {
        let index = std::fs::read(home.directory().join("smtproutes.cdb")).expect("index");
        // The key is one octet.
        let value = 7 - tables(&index) % 8;
        home.write(smtproutes::SMTPROUTES, &[text, b"\nz:", &vec![b'x'; value]].concat());
        write();
    }
}

/// The index of the text, damaged.
fn damaged(home: &Home, patches: &[u8], wipes: bool, cut: u8) -> Vec<u8> {
    let path = home.directory().join("smtproutes.cdb");
    let index = File::options().write(true).open(&path).expect("index");
    let whole = std::fs::read(&path).expect("index");
    let sectors = sectors_without_records(&whole);
    for patch in patches.chunks_exact(6) {
        let place = usize::from(u16::from_le_bytes([patch[0], patch[1]]));
        if wipes {
            let place = sectors[place % sectors.len()];
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
    let Some((cut, text)) = rest.split_first() else { return };
    let home = Home::new(&[(smtproutes::SMTPROUTES, text.to_vec())]);
    let arguments = ["mx.example.test", "a@b.test", "bob@example.test"].map(Into::into);
    let invocation = Invocation::parse(arguments).expect("arguments");
    let look_up = || smtproutes::look_up(&home.control(), &invocation);
    let wipes = count & WIPES != 0;
    write(&home, text, wipes);
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
