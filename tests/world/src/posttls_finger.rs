//! `posttls-finger -l dane`, Postfix's probe: what a client by one of RFC 7672's authors makes of a server.
//!
//! It delivers nothing. Where no TLSA record can be used it verifies by trust anchors, and it has none: what it says of
//! the certificate means nothing then.

use crate::postfix::write_old;
use crate::programs::command;
use crate::world::{Needs, World, make_directory};

/// What it found.
#[derive(Clone, Debug)]
pub struct Probe {
    /// In its own words.
    pub output: String,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeVerdict {
    /// The certificate matches a TLSA record.
    Verified,
    /// There are TLSA records that can be used, and the certificate matches none.
    Mismatch,
    /// TLS; there is no TLSA record that can be used.
    Unproved,
    /// The server does not offer TLS.
    NoTls,
    /// No exchanger that may be used.
    NoServer,
}

impl World {
    /// Probes `destination`: a domain, or a host in brackets; a port may follow a colon. TLS comes with the first byte
    /// where the port is 465.
    #[must_use]
    pub fn posttls_finger(&self, destination: &str) -> Probe {
        self.require(Needs::Program("posttls-finger"));
        let directory = self.scratch().join("posttls-finger");
        make_directory(&directory, 0o755);
        let main_cf = "compatibility_level = 3.6\nmyhostname = client.example.test\n";
        write_old(&directory.join("main.cf"), main_cf);
        let mut probe = command("posttls-finger");
        probe.env("MAIL_CONFIG", &directory).args(["-c", "-l", "dane", "-L", "routine,verbose"]);
        if destination.ends_with(":465") {
            probe.arg("-w");
        }
        let output = probe.arg(destination).output().expect("posttls-finger");
        let texts = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        Probe { output: texts.concat() }
    }
}

impl Probe {
    /// What it comes to.
    #[must_use]
    pub fn verdict(&self) -> ProbeVerdict {
        let says = |words: &str| self.output.contains(words);
        if says("Verified TLS connection established") {
            ProbeVerdict::Verified
        } else if says(" TLS connection established") {
            match says("DNSSEC-signed TLSA record") && !says("all TLSA records unusable") {
                true => ProbeVerdict::Mismatch,
                false => ProbeVerdict::Unproved,
            }
        } else if says("Failed to establish session") || says("Destination address lookup failed") {
            ProbeVerdict::NoServer
        } else {
            ProbeVerdict::NoTls
        }
    }
}
