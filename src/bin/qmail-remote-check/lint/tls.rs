//! The values of `tlsdestinations`.
#![forbid(unsafe_code)]

use std::path::Path;

use openssl::ssl::{SslContext, SslContextBuilder, SslMethod};
use qmail_remote::host::HostName;
use qmail_remote::monitor::control::routes::{Origin, cut, parse_port};
use qmail_remote::monitor::control::tlsdestinations::{self, Kind, TlsRule};
use qmail_remote::tls_policy::TrustAnchors;

use super::certificates;
use super::findings::shown;
use super::lists::Remarks;

/// The deepest chain that OpenSSL follows unless told otherwise.
const DEEPEST: u32 = 100;

/// What OpenSSL says about ciphers and files. Many lines have the same, so that of the line before is remembered.
pub(super) struct Tls {
    /// None: OpenSSL cannot be had, and ciphers are not tried.
    context: Option<SslContextBuilder>,
    /// Ciphers, and whether they can be used.
    ciphers: Option<(String, bool)>,
    /// Trust anchors, and what is wrong with them.
    anchors: Option<(TrustAnchors, Option<String>)>,
}

impl Tls {
    /// With OpenSSL as this system configures it.
    pub(super) fn new() -> Tls {
        Tls { context: SslContext::builder(SslMethod::tls_client()).ok(), ciphers: None, anchors: None }
    }

    fn can_use(&mut self, ciphers: &str) -> bool {
        if let Some((before, usable)) = &self.ciphers
            && before == ciphers
        {
            return *usable;
        }
        let usable = self.context.as_mut().is_none_or(|context| context.set_cipher_list(ciphers).is_ok());
        self.ciphers = Some((ciphers.to_owned(), usable));
        usable
    }

    fn problem_of(&mut self, anchors: &TrustAnchors) -> Option<String> {
        if let Some((before, problem)) = &self.anchors
            && before == anchors
        {
            return problem.clone();
        }
        let problem = problem_of(anchors);
        self.anchors = Some((anchors.clone(), problem.clone()));
        problem
    }

    /// Checks a value whose key asks for `kind`.
    pub(super) fn check(&mut self, origin: Origin, value: &[u8], kind: Kind, remarks: &mut Remarks) {
        let rule = match tlsdestinations::parse(value, origin, kind) {
            Ok(rule) => rule,
            Err(error) => return remarks.refused(&error, instead(value, kind)),
        };
        if kind == Kind::Never {
            return check_unused(&rule, remarks);
        }
        if let Some(problem) = rule.trust_anchors.as_ref().and_then(|anchors| self.problem_of(anchors)) {
            remarks.error(problem);
        }
        self.check_ciphers(&rule, value, remarks);
        if let Some(depth) = rule.verify_depth.filter(|depth| *depth > DEEPEST) {
            remarks.warning(format!("no chain is {depth} certificates long: write a port as ;{depth}"));
        }
        if let Some(fingerprint) = rule.fingerprint.filter(|fingerprint| fingerprint.digest.is_none()) {
            let digits = fingerprint.hex.len();
            remarks.error(format!("no digest has {digits} digits: write all 40, 56, 64, 96 or 128 of them"));
        }
        if let Some(bound) = tlsdestinations::bound_to(value)
            && let Ok(name) = HostName::parse(bound)
            && bound.is_ascii()
            && !name.as_str().as_bytes().eq_ignore_ascii_case(bound)
        {
            remarks.warning(format!("no sender's domain is written {}: write {name}", shown(bound)));
        }
    }

    fn check_ciphers(&mut self, rule: &TlsRule, value: &[u8], remarks: &mut Remarks) {
        let Some(ciphers) = rule.ciphers.as_deref().filter(|ciphers| !self.can_use(ciphers)) else {
            return;
        };
        let instead = if is_order_of_smtpam(value) {
            IN_ORDER
        } else if ciphers.contains("TLS_") {
            "those of TLS 1.3 cannot be chosen here"
        } else {
            "write a list as openssl ciphers takes it, such as HIGH"
        };
        // One lower-case word may be a password that belongs elsewhere.
        let is_list =
            ciphers.contains([':', '+', '!']) || !ciphers.contains(|c: char| c.is_ascii_lowercase());
        let those = if is_list { format!(" {}", shown(ciphers.as_bytes())) } else { String::new() };
        remarks.error(format!("OpenSSL knows none of the ciphers{those}: {instead}"));
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

fn check_unused(rule: &TlsRule, remarks: &mut Remarks) {
    if rule.trust_anchors.is_some() || rule.ciphers.is_some() || rule.verify_depth.is_some() {
        remarks.warning("a rule with `!` uses no TLS: write only a port after its colon");
    }
}

/// What is wrong with trust anchors.
fn problem_of(anchors: &TrustAnchors) -> Option<String> {
    match anchors {
        // No line names it.
        TrustAnchors::System => None,
        TrustAnchors::File(path) => problem_of_file(path),
        TrustAnchors::Directory(path) => problem_of_directory(path),
    }
}

fn problem_of_file(path: &Path) -> Option<String> {
    let name = shown(path.as_os_str().as_encoded_bytes());
    if name.contains('#') {
        Some("the CA file is a comment, which needs a line of its own".to_owned())
    } else if path.is_dir() {
        Some(format!("the CA file {name} is a directory: write {name}/"))
    } else {
        certificates::in_file(path).err().map(|problem| format!("the CA file {name} {problem}"))
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
            (!hashed)
                .then(|| format!("the CA directory {name} has no hashed names: run openssl rehash {name}"))
        }
    }
}

/// A name as `openssl rehash` gives it: eight hexadecimal digits, a dot, a number.
fn is_hashed(name: &[u8]) -> bool {
    let (hash, number) = cut(name, b'.');
    hash.len() == 8
        && hash.iter().all(u8::is_ascii_hexdigit)
        && number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}
