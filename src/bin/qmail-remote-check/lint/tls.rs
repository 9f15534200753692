//! The values of `tlsdestinations`.
#![forbid(unsafe_code)]

use std::path::Path;

use openssl::ssl::{SslContext, SslContextBuilder, SslMethod};
use qmail_remote::monitor::control::routes::{Origin, cut, parse_port};
use qmail_remote::monitor::control::tlsdestinations::{self, Kind, TlsRule};
use qmail_remote::monitor::selection::Selection;
use qmail_remote::plan::TlsStart;
use qmail_remote::tls_policy::{TlsPolicy, TrustAnchors};

use super::certificates;
use super::findings::{Severity, shown};
use super::lists::Remarks;

/// The deepest chain that OpenSSL follows unless told otherwise.
const DEEPEST: u32 = 100;

/// What is said of no more ciphers and files is remembered.
const MOST_REMEMBERED: usize = 256;

/// What OpenSSL says about ciphers and files. Many lines have the same, so that is remembered.
pub(super) struct Tls {
    /// None: OpenSSL cannot be had, and ciphers are not tried.
    context: Option<SslContextBuilder>,
    /// Ciphers, and whether they can be used.
    ciphers: Vec<(String, bool)>,
    /// Trust anchors, and what is wrong with them.
    anchors: Vec<(TrustAnchors, Option<Problem>)>,
}

/// What is wrong, and how bad it is.
type Problem = (Severity, String);

/// What was found for `key` before, or what `find` finds now.
fn remembered<K: Clone + PartialEq, V: Clone>(
    known: &mut Vec<(K, V)>,
    key: &K,
    find: impl FnOnce() -> V,
) -> V {
    if let Some((_, value)) = known.iter().find(|(other, _)| other == key) {
        return value.clone();
    }
    let value = find();
    if known.len() < MOST_REMEMBERED {
        known.push((key.clone(), value.clone()));
    }
    value
}

impl Tls {
    /// With OpenSSL as this system configures it.
    pub(super) fn new() -> Tls {
        let context = SslContext::builder(SslMethod::tls_client()).ok();
        Tls { context, ciphers: Vec::new(), anchors: Vec::new() }
    }

    fn can_use(&mut self, ciphers: &str) -> bool {
        let context = &mut self.context;
        remembered(&mut self.ciphers, &ciphers.to_owned(), || {
            context.as_mut().is_none_or(|context| context.set_cipher_list(ciphers).is_ok())
        })
    }

    fn problem_of(&mut self, anchors: &TrustAnchors) -> Option<Problem> {
        remembered(&mut self.anchors, anchors, || problem_of(anchors))
    }

    /// Checks a value whose key asks for `kind`.
    pub(super) fn check(&mut self, origin: Origin, value: &[u8], kind: Kind, remarks: &mut Remarks) {
        let rule = match tlsdestinations::parse(value, origin, kind) {
            Ok(rule) => rule,
            Err(error) => return remarks.refused(&error, instead(value, kind)),
        };
        let policy = rule.policy();
        let anchors = policy.certificate.anchors();
        match anchors.and_then(|anchors| self.problem_of(anchors)) {
            Some((Severity::Error, text)) => remarks.error(text),
            Some((Severity::Warning, text)) => remarks.warning(text),
            None => {}
        }
        if rule.trust_anchors.is_some() && anchors.is_none() {
            remarks.warning("a rule with `-` verifies nothing: remove its CA, or write a rule that verifies");
        }
        if kind == Kind::Never && !begins_with_tls(&rule) {
            return check_unused(&rule, remarks);
        }
        self.check_ciphers(&policy, value, remarks);
        if let Some(depth) = rule.verify_depth.filter(|depth| *depth > DEEPEST) {
            remarks.warning(format!("no chain is {depth} certificates long: write a port as ;{depth}"));
        }
        if let Some(fingerprint) = rule.fingerprint.filter(|fingerprint| fingerprint.digest.is_none()) {
            let digits = fingerprint.hex.len();
            remarks.error(format!("no digest has {digits} digits: write all 40, 56, 64, 96 or 128 of them"));
        }
    }

    fn check_ciphers(&mut self, policy: &TlsPolicy, value: &[u8], remarks: &mut Remarks) {
        let Some(ciphers) = policy.offered_ciphers().filter(|ciphers| !self.can_use(ciphers)) else {
            return;
        };
        let instead = if is_order_of_smtpam(value) {
            IN_ORDER
        } else if ciphers.contains("TLS_") {
            "those of TLS 1.3 cannot be chosen here"
        } else {
            "write a list as openssl ciphers takes it, such as HIGH"
        };
        // They are not printed: what is no list of ciphers may be a password that belongs elsewhere.
        remarks.error(format!("OpenSSL knows none of the ciphers: {instead}"));
    }
}

const IN_ORDER: &str =
    "write cafile|ciphers|verifydepth;port|domain, which qmail-smtpam has in another order";

/// Whether the depth stands where the ciphers belong, as in `cafile|verifydepth;port|ciphers|domain`.
fn is_order_of_smtpam(value: &[u8]) -> bool {
    let second = value.split(|&octet| octet == b'|').nth(1).unwrap_or_default();
    let (depth, port) = cut(second, b';');
    let is_number = depth.iter().all(u8::is_ascii_digit);
    is_number && (!depth.is_empty() || port.is_some_and(|port| parse_port(port).is_some()))
}

/// What to write instead of a value that is refused.
fn instead(value: &[u8], kind: Kind) -> &'static str {
    let fourth = value.splitn(4, |&octet| octet == b'|').nth(3);
    if value.contains(&b'#') {
        "a comment needs a line of its own"
    } else if is_order_of_smtpam(value) {
        IN_ORDER
    } else if fourth.is_some_and(|domain| domain.contains(&b';')) {
        "write the port before the bar of the domain, cafile|ciphers|verifydepth;port|domain"
    } else if fourth.is_some_and(|domain| domain.starts_with(b".") || domain.starts_with(b"@")) {
        "write the domain alone, which those below it belong to"
    } else if value.starts_with(b"=") && kind != Kind::Pinned {
        "write the host as %host"
    } else if kind == Kind::Pinned {
        "openssl x509 -noout -fingerprint -sha256 prints the digits"
    } else {
        "write cafile|ciphers|verifydepth;port|domain"
    }
}

/// Whether the rule's own port, by itself, means TLS from the first octet.
fn begins_with_tls(rule: &TlsRule) -> bool {
    let alone = Selection { route: None, tls: rule.clone(), certificate: None, domain_ips: None };
    let (start, _) = alone.port().value;
    start == TlsStart::Implicit
}

/// A rule that has no TLS on its port, though it may on that of a route.
fn check_unused(rule: &TlsRule, remarks: &mut Remarks) {
    if rule.trust_anchors.is_some() || rule.ciphers.is_some() || rule.verify_depth.is_some() {
        remarks.warning(
            "a rule with `!` has TLS only on a port that begins with it: write such a port, or a port alone",
        );
    }
}

/// What is wrong with trust anchors.
fn problem_of(anchors: &TrustAnchors) -> Option<Problem> {
    match anchors {
        // No line names it.
        TrustAnchors::System => None,
        TrustAnchors::File(path) => problem_of_file(path),
        TrustAnchors::Directory(path) => problem_of_directory(path).map(|text| (Severity::Error, text)),
    }
}

fn problem_of_file(path: &Path) -> Option<Problem> {
    let name = shown(path.as_os_str().as_encoded_bytes());
    let error = |text: String| Some((Severity::Error, text));
    if name.contains('#') {
        return error("the CA file is a comment, which needs a line of its own".to_owned());
    }
    if path.is_dir() {
        return error(format!("the CA file {name} is a directory: write {name}/"));
    }
    let certificates = match certificates::in_file(path) {
        Ok(certificates) => certificates,
        Err(problem) => return error(format!("the CA file {name} {problem}")),
    };
    let (expired, all) = (certificates::count_expired(&certificates), certificates.len());
    match expired {
        0 => None,
        _ if expired == all => {
            error(format!("the CA file {name} holds expired certificates alone: replace it"))
        }
        _ => Some((
            Severity::Warning,
            format!("the CA file {name}: {expired} of its {all} certificates have expired"),
        )),
    }
}

fn problem_of_directory(path: &Path) -> Option<String> {
    let name = shown(path.as_os_str().as_encoded_bytes());
    let file = name.trim_end_matches('/');
    if Path::new(file).is_file() {
        return Some(format!("the CA directory {name} is a file: write {file}"));
    }
    match std::fs::read_dir(path) {
        Err(error) => Some(format!("the CA directory {name} cannot be read: {error}")),
        Ok(mut entries) => {
            let hashed =
                entries.any(|entry| entry.is_ok_and(|entry| is_hashed(entry.file_name().as_encoded_bytes())));
            (!hashed).then(|| {
                format!("the CA directory {name} has no hashed names, HASH.0: run openssl rehash {name}")
            })
        }
    }
}

/// The name of the first certificate with a hash, as `openssl rehash` gives it: eight hexadecimal digits, a dot, 0. Without
/// that one the others are not looked for.
fn is_hashed(name: &[u8]) -> bool {
    let (hash, number) = cut(name, b'.');
    hash.len() == 8 && hash.iter().all(u8::is_ascii_hexdigit) && number == Some(b"0")
}
