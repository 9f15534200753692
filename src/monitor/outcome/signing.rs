//! What the network child sends to be signed, and when it may ask for a signature. Monitor only; pure.
//!
//! The key of a client certificate works once for each connection, in its handshake, and for no more connections than
//! any delivery needs. What is signed is looked at where the key is (`monitor::signer`).
#![forbid(unsafe_code)]

use super::{Broken, Task, Transcript};
use crate::ipc::signature::{MOST_OCTETS, Piece, Scheme};
use crate::plan::TlsStart;
use crate::tls_policy::Need;

/// A delivery that needs more handshakes than this with servers that ask for a certificate is none.
const MOST_SIGNATURES: u8 = 100;

/// What was sent to be signed, and how often something was signed.
#[derive(Debug, Default)]
pub(super) struct Signing {
    octets: Vec<u8>,
    /// The present connection has had its signature.
    is_spent: bool,
    /// How many all connections have had.
    signatures: u8,
}

impl Signing {
    /// Nothing of the last connection counts for the next.
    pub(super) fn begin_connection(&mut self) {
        self.octets = Vec::new();
        self.is_spent = false;
    }
}

impl Transcript {
    /// Takes some of what is to be signed.
    pub(super) fn take_piece(&mut self, piece: &Piece) -> Result<(), Broken> {
        let octets = piece.as_bytes();
        let length = self.signing.octets.len().saturating_add(octets.len());
        if !self.may_sign() || length > MOST_OCTETS {
            return Err(Broken::Lied);
        }
        self.signing.octets.extend_from_slice(octets);
        Ok(())
    }

    /// What the key is to sign. The connection's signature is spent with that.
    pub(super) fn asked_to_sign(&mut self, scheme: Scheme) -> Result<Task, Broken> {
        if !self.may_sign() {
            return Err(Broken::Lied);
        }
        self.signing.is_spent = true;
        self.signing.signatures = self.signing.signatures.saturating_add(1);
        Ok(Task::Sign(scheme, std::mem::take(&mut self.signing.octets)))
    }

    /// Whether a handshake may be under way that needs the key: the plan has one, and TLS may be and is not yet. Implicit
    /// TLS there is by every rule.
    fn may_sign(&self) -> bool {
        let is_implicit = self.tls_start == TlsStart::Implicit;
        self.client_certificate.is_some()
            && self.tls.is_none()
            && self.in_force.as_ref().is_some_and(|policy| is_implicit || policy.need != Need::Never)
            && !self.signing.is_spent
            && self.signing.signatures < MOST_SIGNATURES
    }
}
