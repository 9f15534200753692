//! A network child that tells a probe too much: the memory of the monitor of `qmail-remote-check`, which is often root's, has a
//! bound.

use std::ffi::OsString;

use qmail_remote::ipc::Claim;
use qmail_remote::ipc::frame::encode;
use qmail_remote::ipc::observation::{CertificateSeen, Few, Observation};
use qmail_remote::ipc::reason::Reason;
use qmail_remote::monitor::{self, child::NetworkEntry};
use qmail_remote::report::Reports;
use qmail_remote::startup;
use world::World;

use crate::program::{begin, claim, frames};

/// Hosts of scripts for a probe start with this, after what all scripts start with.
pub(crate) const PREFIX: &str = "probe-";

/// Probes with the host, the sender and the recipient of the arguments, and prints what stopped it as a delivery would.
pub(crate) fn run(entry: NetworkEntry) -> ! {
    let environment = startup::hygiene().unwrap();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (_, _seen, stopped) = monitor::probe(arguments, None, &environment, entry).unwrap();
    Reports::from(stopped.unwrap()).finish()
}

fn certificate(names: usize, name: &str) -> CertificateSeen {
    let long = || Reason::new(&"x".repeat(Reason::MAX));
    CertificateSeen {
        subject: long(),
        issuer: long(),
        names: std::iter::repeat_n(Reason::new(name), names).collect(),
        not_after: long(),
        sha256: long(),
        key_sha256: long(),
    }
}

/// Sends what `script` says by `send`, when it is one of these.
pub(crate) fn attack(script: &str, send: impl Fn(&[u8])) {
    let told = |certificate| claim(Claim::Observed(Box::new(Observation::Certificate(certificate))));
    match script {
        "probe-flood" => {
            let most = certificate(Few::<Reason>::MAX, &"x".repeat(Reason::MAX));
            send(&frames(&[begin()]));
            let told = frames(&vec![told(most); 100]);
            for _ in 0..200 {
                send(&told);
            }
        }
        "probe-small-things" => {
            // One name more than there may be. A frame has room for thousands without letters, each an octet there and 24 in
            // memory.
            let names = Few::<Reason>::MAX;
            let frame = encode(&told(certificate(names, ""))).unwrap();
            let at = frame.windows(names + 1).position(|octets| octets == names_of(names)).unwrap();
            let content = [&frame[4..at], &names_of(names + 1), &frame[at + names + 1..]].concat();
            let length = u32::try_from(content.len()).unwrap().to_le_bytes();
            send(&[frames(&[begin()]), length.to_vec(), content].concat());
        }
        _ => return,
    }
    std::process::exit(0);
}

/// So many names without letters: their number, and an octet of length for each.
fn names_of(count: usize) -> Vec<u8> {
    [vec![u8::try_from(count).unwrap()], vec![0; count]].concat()
}

pub(crate) fn a_probe_that_is_told_too_much_is_stopped_and_modest(world: &World) {
    crate::all_print(world, &["probe-flood", "probe-small-things"], crate::LIED);
}
