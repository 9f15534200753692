//! TLS by the system's OpenSSL. Network child.

mod bundle;
mod chain;
pub(super) mod client;
pub(super) mod configuration;
mod dane;
mod ffi;
mod proof;
mod provider;

use super::dane::{Dane, NameStatus};
use crate::host::HostName;
use crate::ipc::Server;
use crate::plan::ClientCertificate;
use crate::tls_policy::{Need, Proof, TlsPolicy};

/// A server, and what TLS with it needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer<'a> {
    /// Its name and address.
    pub(super) server: &'a Server,
    /// What it was found by: the recipients' domain, when the server is one of its exchangers.
    pub(super) found_by: &'a [HostName],
    /// Whether DNSSEC vouches for the name.
    pub(super) status: NameStatus,
    /// What the control files demand.
    pub(super) policy: &'a TlsPolicy,
    /// What its TLSA records demand.
    pub(super) dane: &'a Dane,
    /// What to present when it asks for a certificate.
    pub(super) client_certificate: Option<&'a ClientCertificate>,
    /// Whether it is only looked at.
    pub(super) is_probed: bool,
}

impl Peer<'_> {
    /// Whether nothing may be sent without TLS.
    pub(super) fn needs_tls(&self) -> bool {
        self.policy.need == Need::Required || self.records_demand_tls()
    }

    /// Whether the envelope may be sent in this state of TLS.
    pub(super) fn allows(&self, tls: Option<Proof>) -> bool {
        self.policy.allows(tls) && (tls.is_some() || !self.records_demand_tls())
    }

    /// Whether a handshake that fails may be followed by a connection in clear.
    pub(super) fn may_go_on_in_clear(&self) -> bool {
        self.policy.may_go_on_in_clear() && !self.records_demand_tls()
    }

    fn records_demand_tls(&self) -> bool {
        match self.dane {
            Dane::NotAsked | Dane::Insecure | Dane::Absent => false,
            Dane::Match { .. } | Dane::Encrypt { .. } | Dane::Unknown => true,
        }
    }
}
