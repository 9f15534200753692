//! SMTP authentication as both processes know it: the mechanisms, and where credentials may go.
//!
//! The monitor makes an [`Authentication`] of the control files, the network child chooses a mechanism by it, and both
//! ask [`Authentication::allows`] before AUTH is said or believed to have been said. Pure, without secrets.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::tls_policy::{Proof, Verified};

/// A SASL mechanism, the preferred one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mechanism {
    /// CRAM-MD5 (RFC 2195): the server gets a digest, and the password does not leave the monitor.
    CramMd5,
    /// LOGIN: the server gets user and password, one after the other.
    Login,
    /// PLAIN (RFC 4616): the server gets user and password.
    Plain,
}

impl Mechanism {
    /// All of them, in order of preference.
    pub const ALL: [Mechanism; 3] = [Mechanism::CramMd5, Mechanism::Login, Mechanism::Plain];

    /// Its name in commands, offers and reports.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::CramMd5 => "CRAM-MD5",
            Mechanism::Login => "LOGIN",
            Mechanism::Plain => "PLAIN",
        }
    }
}

/// That the delivery has credentials, and where they may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// The administrator lets passwords go in clear (`control/authplaintext`).
    pub in_clear: bool,
    /// They are for a server that the DNS chooses: only for one whose certificate proves who it is.
    pub verified_only: bool,
}

impl Authentication {
    /// Whether `mechanism` may be used with the server at this address, without TLS or with TLS that proved this much.
    ///
    /// A password goes in clear to this machine only, unless the administrator allows more. A certificate proves who a
    /// server is by its name, its fingerprint or its TLSA record; a chain alone is anybody's.
    pub fn allows(&self, mechanism: Mechanism, server: IpAddr, tls: Option<Proof>) -> bool {
        let is_hidden = tls.is_some() || server.to_canonical().is_loopback() || self.in_clear;
        let is_verified = tls.is_some_and(|proof| {
            proof.tlsa || proof.pinned || matches!(proof.certificate, Verified::Name | Verified::ExactName)
        });
        (mechanism == Mechanism::CramMd5 || is_hidden) && (is_verified || !self.verified_only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REMOTE: &str = "192.0.2.1";

    fn allowed(authentication: Authentication, server: &str, tls: Option<Proof>) -> Vec<Mechanism> {
        let server = server.parse().unwrap();
        Mechanism::ALL.into_iter().filter(|way| authentication.allows(*way, server, tls)).collect()
    }

    #[test]
    fn passwords_go_under_tls_to_this_machine_or_where_the_administrator_says() {
        let usual = Authentication { in_clear: false, verified_only: false };
        assert_eq!(allowed(usual, REMOTE, None), [Mechanism::CramMd5]);
        assert_eq!(allowed(usual, REMOTE, Some(Proof::NOTHING)), Mechanism::ALL);
        for loopback in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(allowed(usual, loopback, None), Mechanism::ALL, "{loopback}");
        }
        assert_eq!(allowed(Authentication { in_clear: true, ..usual }, REMOTE, None), Mechanism::ALL);
    }

    #[test]
    fn where_the_dns_chooses_the_server_its_certificate_proves_who_it_is() {
        let strict = Authentication { in_clear: true, verified_only: true };
        let with = |certificate| Proof { certificate, ..Proof::NOTHING };
        for nothing in [None, Some(Proof::NOTHING), Some(with(Verified::Chain))] {
            assert_eq!(allowed(strict, REMOTE, nothing), [], "{nothing:?}");
            assert_eq!(allowed(strict, "127.0.0.1", nothing), [], "{nothing:?}");
        }
        for proof in [
            with(Verified::Name),
            with(Verified::ExactName),
            Proof { tlsa: true, ..Proof::NOTHING },
            Proof { pinned: true, ..Proof::NOTHING },
        ] {
            assert_eq!(allowed(strict, REMOTE, Some(proof)), Mechanism::ALL, "{proof:?}");
        }
    }
}
