//! Verifies a chain of certificates against trust anchors that are asked of the monitor, and only those that the chain
//! names: a bundle of all the world's authorities costs more to load than a whole delivery. Network child.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

use openssl::error::ErrorStack;
use openssl::ssl::SslRef;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyParam;
use openssl::x509::{X509, X509PurposeId, X509Ref, X509StoreContext};

use super::bundle::{Bundle, Damaged};
use crate::ipc::child_end::ChildEnd;
use crate::ipc::reason::Reason;
use crate::ipc::{AnchorQuery, TlsFailure};
use crate::tls_policy::TrustAnchors;

/// No more issuers of one chain are looked for.
const MOST_ISSUERS: usize = 32;
/// One is asked for by its hash, and then with the file, once for a chain.
const OF_ONE_ISSUER: u16 = 2;

/// Verifies the chain that the server presented with `leaf`, as one of a TLS server.
pub(super) fn verify(
    session: &SslRef,
    leaf: &X509Ref,
    anchors: &TrustAnchors,
    depth: Option<u32>,
    monitor: &mut ChildEnd,
) -> Result<(), TlsFailure> {
    let presented: Vec<X509> = session
        .peer_cert_chain()
        .map(|chain| chain.iter().map(ToOwned::to_owned).collect())
        .unwrap_or_default();
    let trusted = Search { anchors, file: None, monitor }.issuers_of(leaf, &presented)?;
    let result = store(trusted, depth, session.ssl_context().security_level())
        .and_then(|store| check(&store, leaf, presented));
    match result {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(TlsFailure::Unverified(reason)),
        Err(_) => Err(TlsFailure::Context),
    }
}

/// None: it verifies.
fn check(store: &X509Store, leaf: &X509Ref, presented: Vec<X509>) -> Result<Option<Reason>, ErrorStack> {
    let mut untrusted = Stack::new()?;
    for certificate in presented {
        untrusted.push(certificate)?;
    }
    X509StoreContext::new()?.init(store, leaf, &untrusted, |context| {
        let verified = context.verify_cert()?;
        Ok(if verified { None } else { Some(Reason::new(context.error().error_string())) })
    })
}

fn store(trusted: Vec<X509>, depth: Option<u32>, security_level: u32) -> Result<X509Store, ErrorStack> {
    let mut parameters = X509VerifyParam::new()?;
    parameters.set_purpose(X509PurposeId::SSL_SERVER)?;
    // No weaker keys and digests than the session itself may have.
    parameters.set_auth_level(i32::try_from(security_level).unwrap_or(i32::MAX));
    if let Some(depth) = depth {
        parameters.set_depth(i32::try_from(depth).unwrap_or(i32::MAX));
    }
    let mut store = X509StoreBuilder::new()?;
    store.set_param(&parameters)?;
    for certificate in trusted {
        store.add_cert(certificate)?;
    }
    Ok(store.build())
}

/// Where issuers are looked for.
struct Search<'a> {
    anchors: &'a TrustAnchors,
    /// The certificates of the file, once it was asked for.
    file: Option<Bundle>,
    monitor: &'a mut ChildEnd,
}

impl Search<'_> {
    /// The trusted certificates that may have issued one of the chain's, or one another.
    fn issuers_of(mut self, leaf: &X509Ref, presented: &[X509]) -> Result<Vec<X509>, TlsFailure> {
        let mut asked = Vec::new();
        let mut found: Vec<X509> = Vec::new();
        let mut waiting: VecDeque<X509> =
            [leaf.to_owned()].into_iter().chain(presented.iter().cloned()).collect();
        while let Some(certificate) = waiting.pop_front() {
            let hash = certificate.issuer_name_hash();
            // What is not asked for is not trusted.
            let is_one_too_many =
                asked.len() >= MOST_ISSUERS || !self.monitor.has_left_of_anchor_queries(OF_ONE_ISSUER);
            if asked.contains(&hash) || is_one_too_many {
                continue;
            }
            asked.push(hash);
            let issuers = self.issuers(&certificate, hash).map_err(|Damaged| TlsFailure::TrustAnchors)?;
            waiting.extend(issuers.iter().cloned());
            found.extend(issuers);
        }
        // What the administrator names must hold something to verify by.
        match (self.anchors, &self.file) {
            (TrustAnchors::File(_), Some(file)) if file.is_empty() => Err(TlsFailure::TrustAnchors),
            _ => Ok(found),
        }
    }

    /// The trusted certificates with the issuer's name.
    fn issuers(&mut self, certificate: &X509Ref, hash: u32) -> Result<Vec<X509>, Damaged> {
        let subject = certificate.issuer_name();
        if !matches!(self.anchors, TrustAnchors::File(_)) {
            let with_hash = Bundle::read(&self.monitor.ask_for_anchors(AnchorQuery::BySubject(hash)))?;
            let found = with_hash.with_subject(subject)?;
            if !found.is_empty() || matches!(self.anchors, TrustAnchors::Directory(_)) {
                return Ok(found);
            }
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => Bundle::read(&self.monitor.ask_for_anchors(AnchorQuery::File))?,
        };
        self.file.insert(file).with_subject(subject)
    }
}
