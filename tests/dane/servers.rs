//! One Postfix with many listeners, each with a certificate of its own.

use openssl::asn1::Asn1Time;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::X509;
use world::certificates::{Authority, Content, Identity};
use world::{Mailbox, Postfix, World};

/// The name of every exchanger in `mx.dane.test`.
const EXCHANGERS: &str = "*.mx.dane.test";
/// The name of every domain in `dane.test`.
const DOMAINS: &str = "*.dane.test";

/// A server without TLS, on port 25.
pub(crate) const CLEAR: &str = "192.0.2.9";
/// Presents its certificate, the intermediate authority's and the root's. Port 465 too, with TLS from the first byte.
pub(crate) const CHAIN: &str = "192.0.2.10";
/// The same without the root's.
pub(crate) const SHORT: &str = "192.0.2.11";
/// The same with its certificate alone.
pub(crate) const ALONE: &str = "192.0.2.18";
/// Its certificate has expired, the root's has not.
pub(crate) const EXPIRED: &str = "192.0.2.12";
/// Its certificate is for another name.
pub(crate) const STRANGER: &str = "192.0.2.13";
/// TLS 1.2 at most, with an RSA certificate that vouches for itself.
pub(crate) const OLD: &str = "192.0.2.14";
/// Vouches for itself, has expired, and is for another name.
pub(crate) const WORTHLESS: &str = "192.0.2.15";
/// Its certificate is for the recipients' domain, not for the exchanger.
pub(crate) const DOMAIN: &str = "192.0.2.16";
/// Its certificate is for `target.test`.
pub(crate) const TARGET: &str = "192.0.2.17";

/// Its certificate is for a wildcard of a part of a label.
pub(crate) const PARTIAL: &str = "192.0.2.19";
/// Its certificate has the exchanger's name for its common name, and an address for its alternative one.
pub(crate) const COMMON: &str = "192.0.2.20";

/// The certificates of the servers. They run until this is dropped.
pub(crate) struct Servers {
    pub(crate) root: X509,
    pub(crate) intermediate: X509,
    pub(crate) chain: X509,
    pub(crate) expired: X509,
    pub(crate) stranger: X509,
    pub(crate) old: X509,
    pub(crate) worthless: X509,
    pub(crate) domain: X509,
    pub(crate) target: X509,
    _mailbox: Mailbox,
}

impl Servers {
    /// Starts them.
    pub(crate) fn start(world: &World) -> Servers {
        let root = Authority::new("Test root").unwrap();
        let intermediate = root.authority("Test intermediate").unwrap();
        let top = || root.identity().certificate.clone();
        let middle = || intermediate.identity().certificate.clone();
        let (start, end) = (date("20200101000000Z"), date("20200201000000Z"));
        let past = Content { valid: Some((&start, &end)), ..Content::default() };

        let chain = intermediate.issue(&[EXCHANGERS]).unwrap();
        let expired = root.issue_with(&Content { names: &[EXCHANGERS], ..past }).unwrap();
        let stranger = root.issue(&["other.test"]).unwrap();
        let old = {
            let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
            let content = Content { names: &[EXCHANGERS], key: Some(&key), ..Content::default() };
            Identity::self_signed_with(&content).unwrap()
        };
        let worthless = Identity::self_signed_with(&Content { names: &["other.test"], ..past }).unwrap();
        let domain = root.issue(&[DOMAINS]).unwrap();
        let target = root.issue(&["target.test"]).unwrap();
        let partial = root.issue(&["par*.mx.dane.test"]).unwrap();
        let (names, common_name) = (&[COMMON][..], Some(EXCHANGERS));
        let common = root.issue_with(&Content { names, common_name, ..Content::default() }).unwrap();

        let with_root = [middle(), top()];
        let listeners: [Listener<'_>; 12] = [
            (CHAIN, 25, &chain, &with_root, ""),
            (CHAIN, 465, &chain, &with_root, "smtpd_tls_wrappermode=yes"),
            (SHORT, 25, &chain, &with_root[..1], ""),
            (ALONE, 25, &chain, &[], ""),
            (EXPIRED, 25, &expired, &with_root[1..], ""),
            (STRANGER, 25, &stranger, &with_root[1..], ""),
            (OLD, 25, &old, &[], "smtpd_tls_protocols=<=TLSv1.2"),
            (WORTHLESS, 25, &worthless, &[], ""),
            (DOMAIN, 25, &domain, &with_root[1..], ""),
            (TARGET, 25, &target, &with_root[1..], ""),
            (PARTIAL, 25, &partial, &with_root[1..], ""),
            (COMMON, 25, &common, &with_root[1..], ""),
        ];
        let postfix = listeners
            .into_iter()
            .fold(Postfix::on(CLEAR), |postfix, listener| listen(world, postfix, listener));
        Servers {
            root: top(),
            intermediate: middle(),
            chain: chain.certificate,
            expired: expired.certificate,
            stranger: stranger.certificate,
            old: old.certificate,
            worthless: worthless.certificate,
            domain: domain.certificate,
            target: target.certificate,
            _mailbox: world.postfix(postfix),
        }
    }
}

/// Address, port, certificate, those that follow it, and one more setting.
type Listener<'a> = (&'a str, u16, &'a Identity, &'a [X509], &'a str);

fn listen(
    world: &World,
    postfix: Postfix,
    (address, port, identity, following, more): Listener<'_>,
) -> Postfix {
    let file = identity.write_chain(&world.scratch(), &format!("{address}-{port}"), following).unwrap();
    let chain = format!("smtpd_tls_chain_files={}", file.display());
    let mut settings = vec!["smtpd_tls_security_level=may", &chain];
    settings.extend(Some(more).filter(|more| !more.is_empty()));
    postfix.socket(format!("{address}:{port}").parse().unwrap(), &settings)
}

fn date(text: &str) -> Asn1Time {
    Asn1Time::from_str(text).unwrap()
}
