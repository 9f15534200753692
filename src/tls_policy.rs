//! What TLS a connection must have and what the server's certificate must prove, and what was proved.
//!
//! Both processes: the monitor makes the policy of `tlsdestinations`, the network child carries it out, and both ask
//! [`TlsPolicy::allows`] before the envelope is sent or believed. Pure, without secrets.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The demands on one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsPolicy {
    /// Whether there may be no TLS.
    pub need: Need,
    /// What the certificate must prove.
    pub certificate: CertificateNeed,
    /// The fingerprint that it must have beside that.
    pub pin: Option<Fingerprint>,
    /// OpenSSL's cipher string, for TLS 1.2 and below; none: the system's.
    pub ciphers: Option<String>,
    /// How many intermediate certificates a chain may have; none: OpenSSL's default.
    pub verify_depth: Option<u32>,
    /// Whether TLSA records are asked for (RFC 7672). Those that are found demand more than is written here.
    pub tlsa: bool,
}

/// Whether a message may go without TLS, from the least demand to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Need {
    /// No STARTTLS, offered or not.
    Never,
    /// STARTTLS when offered; in clear when its handshake fails, unless something had to be proved.
    OrClear,
    /// STARTTLS when offered; a handshake that fails is a failure.
    Optional,
    /// Nothing without TLS.
    Required,
}

/// What the server's certificate must prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateNeed {
    /// There need not be one: anonymous suites are offered.
    Anonymous,
    /// Nothing.
    Nothing,
    /// A chain to a trust anchor.
    Chain(TrustAnchors),
    /// The chain, and that the server's name or a domain above it is in the certificate, wildcards included.
    Name(TrustAnchors),
    /// The chain, and that the server's name itself is in the certificate.
    ExactName(TrustAnchors),
}

/// Where trust anchors come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustAnchors {
    /// The directory and the file that OpenSSL was built to use.
    System,
    /// A file of certificates.
    File(PathBuf),
    /// A directory of certificates named by hash (openssl-rehash(1)): the value ends in `/`.
    Directory(PathBuf),
}

/// The digest that a fingerprint's length stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Digest {
    /// 40 digits.
    Sha1,
    /// 56 digits.
    Sha224,
    /// 64 digits.
    Sha256,
    /// 96 digits.
    Sha384,
    /// 128 digits.
    Sha512,
}

/// A certificate's fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Upper-case hexadecimal digits, without colons.
    pub hex: String,
    /// None: no digest has this length.
    pub digest: Option<Digest>,
}

/// What a handshake proved about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Its certificate matches a secure TLSA record.
    pub tlsa: bool,
    /// Its certificate has the fingerprint.
    pub pinned: bool,
    /// What was verified by the rule.
    pub certificate: Verified,
}

/// What a certificate proved by the rule in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verified {
    /// Nothing was demanded.
    Nothing,
    /// Its chain.
    Chain,
    /// Chain and name, with wildcards and domains above.
    Name,
    /// Chain and exact name.
    ExactName,
}

impl Proof {
    /// Encryption alone.
    pub const NOTHING: Proof = Proof { tlsa: false, pinned: false, certificate: Verified::Nothing };
}

impl TrustAnchors {
    /// The longest name of a file or directory, in octets.
    pub const MAX: usize = 1024;
}

impl Fingerprint {
    /// The most digits: more than any digest has.
    pub const MAX: usize = 256;
}

impl TlsPolicy {
    /// The longest cipher string, in octets: more than it takes to name all that OpenSSL has.
    pub const MAX_CIPHERS: usize = 4096;

    /// Rule (0) of `tlsdestinations`: what holds without any line.
    pub const OPPORTUNISTIC: TlsPolicy = TlsPolicy {
        need: Need::Optional,
        certificate: CertificateNeed::Nothing,
        pin: None,
        ciphers: None,
        verify_depth: None,
        tlsa: true,
    };

    /// Whether a message may be sent over a connection in this state: without TLS, or with TLS that proved this much.
    pub fn allows(&self, tls: Option<Proof>) -> bool {
        let Some(Proof { tlsa, pinned, certificate }) = tls else {
            return self.need != Need::Required;
        };
        let proved = match &self.certificate {
            CertificateNeed::Anonymous | CertificateNeed::Nothing => true,
            CertificateNeed::Chain(_) => {
                matches!(certificate, Verified::Chain | Verified::Name | Verified::ExactName)
            }
            CertificateNeed::Name(_) => matches!(certificate, Verified::Name | Verified::ExactName),
            CertificateNeed::ExactName(_) => certificate == Verified::ExactName,
        };
        (pinned || self.pin.is_none()) && (proved || (tlsa && self.tlsa_suffices()))
    }

    /// [`ciphers`](Self::ciphers) as they are set: whatever is asked for, suites that do not encrypt stay out. `aNULL` of
    /// the manual page's example would bring them.
    pub fn offered_ciphers(&self) -> Option<String> {
        self.ciphers.as_ref().map(|ciphers| format!("{ciphers}:!eNULL"))
    }

    /// Whether a handshake that fails may be followed by a connection in clear. Not where the certificate has to prove
    /// something: whoever cannot prove it would only have to make the handshake fail.
    pub fn may_go_on_in_clear(&self) -> bool {
        self.need == Need::OrClear && !self.demands_proof()
    }

    fn demands_proof(&self) -> bool {
        self.certificate.rank() > CertificateNeed::Nothing.rank() || self.pin.is_some()
    }

    /// Whether a TLSA match makes the rest of [`certificate`](Self::certificate) needless: where only the system's trust
    /// anchors stand behind it. Anchors that the administrator names hold beside it, and so does a fingerprint.
    pub fn tlsa_suffices(&self) -> bool {
        match &self.certificate {
            CertificateNeed::Anonymous | CertificateNeed::Nothing => true,
            CertificateNeed::Chain(anchors)
            | CertificateNeed::Name(anchors)
            | CertificateNeed::ExactName(anchors) => *anchors == TrustAnchors::System,
        }
    }

    /// The demands of both policies. `other` is the one that the name of an exchanger selects: an unsigned name must not
    /// choose anything weaker, so it raises what it is stricter in and leaves the rest.
    pub fn raised_by(self, other: TlsPolicy) -> TlsPolicy {
        let demands_more = self.need == Need::Required || self.demands_proof();
        TlsPolicy {
            need: self.need.max(other.need),
            certificate: self.certificate.raised_by(other.certificate),
            pin: self.pin.or(other.pin),
            ciphers: match (self.ciphers, demands_more) {
                (Some(ciphers), _) => Some(ciphers),
                // A cipher string can lower the security level too.
                (None, true) => None,
                (None, false) => other.ciphers,
            },
            verify_depth: match (self.verify_depth, other.verify_depth) {
                (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
                (ours, theirs) => ours.or(theirs),
            },
            tlsa: self.tlsa,
        }
    }
}

impl CertificateNeed {
    fn rank(&self) -> u8 {
        match self {
            CertificateNeed::Anonymous => 0,
            CertificateNeed::Nothing => 1,
            CertificateNeed::Chain(_) => 2,
            CertificateNeed::Name(_) => 3,
            CertificateNeed::ExactName(_) => 4,
        }
    }

    /// The trust anchors behind a chain.
    pub fn anchors(&self) -> Option<&TrustAnchors> {
        match self {
            CertificateNeed::Chain(anchors)
            | CertificateNeed::Name(anchors)
            | CertificateNeed::ExactName(anchors) => Some(anchors),
            CertificateNeed::Anonymous | CertificateNeed::Nothing => None,
        }
    }

    fn raised_by(self, other: CertificateNeed) -> CertificateNeed {
        // Whom the destination's rule trusts stays: an authority of one partner has no say about another's mail.
        let anchors = self.anchors().or(other.anchors()).cloned();
        let higher = if other.rank() > self.rank() { other } else { self };
        match (higher, anchors) {
            (CertificateNeed::Chain(_), Some(anchors)) => CertificateNeed::Chain(anchors),
            (CertificateNeed::Name(_), Some(anchors)) => CertificateNeed::Name(anchors),
            (CertificateNeed::ExactName(_), Some(anchors)) => CertificateNeed::ExactName(anchors),
            (higher, _) => higher,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TLS: Option<Proof> = Some(Proof::NOTHING);
    const TLSA: Option<Proof> = Some(Proof { tlsa: true, ..Proof::NOTHING });
    const PINNED: Option<Proof> = Some(Proof { pinned: true, ..Proof::NOTHING });

    fn proved(certificate: Verified) -> Option<Proof> {
        Some(Proof { certificate, ..Proof::NOTHING })
    }

    fn policy(need: Need, certificate: CertificateNeed) -> TlsPolicy {
        TlsPolicy { need, certificate, ..TlsPolicy::OPPORTUNISTIC }
    }

    fn own() -> TrustAnchors {
        TrustAnchors::File("/etc/ssl/partner.pem".into())
    }

    fn pin(hex: &str) -> Option<Fingerprint> {
        Some(Fingerprint { hex: hex.into(), digest: Some(Digest::Sha256) })
    }

    #[test]
    fn only_required_tls_forbids_the_clear() {
        for need in [Need::Never, Need::OrClear, Need::Optional] {
            assert!(policy(need, CertificateNeed::ExactName(own())).allows(None), "{need:?}");
        }
        assert!(!policy(Need::Required, CertificateNeed::Anonymous).allows(None));
        assert!(policy(Need::Required, CertificateNeed::Anonymous).allows(TLS));
        assert!(policy(Need::Required, CertificateNeed::Nothing).allows(TLS));
    }

    #[test]
    fn a_failed_handshake_leads_to_the_clear_only_where_nothing_had_to_be_proved() {
        use CertificateNeed::{Anonymous, Chain, ExactName, Name, Nothing};
        for need in [Need::Never, Need::OrClear, Need::Optional, Need::Required] {
            for nothing in [Anonymous, Nothing] {
                let policy = policy(need, nothing);
                assert_eq!(policy.may_go_on_in_clear(), need == Need::OrClear, "{policy:?}");
                assert!(!TlsPolicy { pin: pin("AB"), ..policy }.may_go_on_in_clear());
            }
            for proof in [Chain(own()), Name(own()), ExactName(own()), Chain(TrustAnchors::System)] {
                assert!(!policy(need, proof).may_go_on_in_clear());
            }
        }
    }

    #[test]
    fn a_certificate_must_prove_what_is_demanded_even_where_tls_is_optional() {
        use CertificateNeed::{Chain, ExactName, Name};
        let states = [Verified::Nothing, Verified::Chain, Verified::Name, Verified::ExactName];
        for (demand, enough) in [
            (Chain(own()), [false, true, true, true]),
            (Name(own()), [false, false, true, true]),
            (ExactName(own()), [false, false, false, true]),
        ] {
            for need in [Need::OrClear, Need::Optional, Need::Required] {
                let allowed = states.map(|state| policy(need, demand.clone()).allows(proved(state)));
                assert_eq!(allowed, enough, "{need:?} {demand:?}");
            }
        }
    }

    #[test]
    fn a_fingerprint_is_demanded_beside_everything_else() {
        let pinned = |certificate| TlsPolicy { pin: pin("AB"), ..policy(Need::Optional, certificate) };
        let both = Some(Proof { pinned: true, tlsa: false, certificate: Verified::Chain });
        let only_pinned = pinned(CertificateNeed::Nothing);
        for (state, enough) in
            [(TLS, false), (TLSA, false), (proved(Verified::ExactName), false), (PINNED, true)]
        {
            assert_eq!(only_pinned.allows(state), enough, "{state:?}");
        }
        let with_chain = pinned(CertificateNeed::Chain(own()));
        for (state, enough) in [(TLS, false), (proved(Verified::Chain), false), (PINNED, false), (both, true)]
        {
            assert_eq!(with_chain.allows(state), enough, "{state:?}");
        }
    }

    #[test]
    fn tlsa_is_proof_enough_but_not_beside_named_anchors_or_a_fingerprint() {
        use CertificateNeed::{Chain, ExactName, Name};
        for demand in
            [Chain(TrustAnchors::System), Name(TrustAnchors::System), ExactName(TrustAnchors::System)]
        {
            assert!(policy(Need::Required, demand).allows(TLSA));
        }
        for demand in [Chain(own()), Name(own()), ExactName(own())] {
            assert!(!policy(Need::Required, demand).allows(TLSA));
        }
        let pinned = TlsPolicy { pin: pin("AB"), ..TlsPolicy::OPPORTUNISTIC };
        assert!(!pinned.allows(TLSA));
    }

    #[test]
    fn an_exchangers_rule_raises_and_never_lowers() {
        use CertificateNeed::{Anonymous, Chain, ExactName, Name, Nothing};
        let needs = [
            Anonymous,
            Nothing,
            Chain(TrustAnchors::System),
            Chain(own()),
            Name(TrustAnchors::System),
            Name(own()),
            ExactName(TrustAnchors::System),
            ExactName(own()),
        ];
        let verified = [Verified::Nothing, Verified::Chain, Verified::Name, Verified::ExactName];
        let states = [false, true].into_iter().flat_map(|tlsa| {
            let states =
                [false, true].map(|pinned| verified.map(|certificate| Proof { tlsa, pinned, certificate }));
            states.concat()
        });
        let states: Vec<Option<Proof>> = [None].into_iter().chain(states.map(Some)).collect();
        let policies: Vec<TlsPolicy> = [Need::Never, Need::OrClear, Need::Optional, Need::Required]
            .into_iter()
            .flat_map(|need| needs.iter().map(move |demand| policy(need, demand.clone())))
            .flat_map(|policy| [None, pin("AB")].map(|pin| TlsPolicy { pin, ..policy.clone() }))
            .collect();
        for ours in &policies {
            for theirs in &policies {
                let raised = ours.clone().raised_by(theirs.clone());
                for state in &states {
                    assert!(
                        !raised.allows(*state) || ours.allows(*state),
                        "{ours:?} by {theirs:?}: {state:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_parts_of_a_raised_policy() {
        use CertificateNeed::{Chain, ExactName};
        let ours = TlsPolicy { verify_depth: Some(3), ..policy(Need::Optional, Chain(own())) };
        let theirs = TlsPolicy {
            verify_depth: Some(2),
            ciphers: Some("HIGH".into()),
            pin: pin("AB"),
            tlsa: false,
            ..policy(Need::Required, ExactName(TrustAnchors::System))
        };
        let raised = TlsPolicy {
            need: Need::Required,
            certificate: ExactName(own()),
            pin: pin("AB"),
            ciphers: None,
            verify_depth: Some(2),
            tlsa: true,
        };
        assert_eq!(ours.raised_by(theirs), raised);
        let system = policy(Need::Required, ExactName(TrustAnchors::System));
        assert_eq!(system.clone().raised_by(policy(Need::Required, Chain(own()))), system);
        let nothing = policy(Need::Optional, CertificateNeed::Nothing);
        let chain = policy(Need::Optional, Chain(own()));
        assert_eq!(nothing.clone().raised_by(chain.clone()), chain);
        let ciphers = TlsPolicy { ciphers: Some("HIGH".into()), ..nothing.clone() };
        assert_eq!(nothing.raised_by(ciphers.clone()), ciphers);
        let pinned = |hex| TlsPolicy { pin: pin(hex), ..TlsPolicy::OPPORTUNISTIC };
        assert_eq!(pinned("AB").raised_by(pinned("CD")), pinned("AB"));
    }
}
