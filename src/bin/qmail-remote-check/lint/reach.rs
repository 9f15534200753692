//! Which look-ups ask for a key, and which other lines they would take before it or after it.
//!
//! Nothing here knows an order of precedence. Deliveries are made up that may ask for the key, the library says which
//! keys they ask for, and in which order; what is common to all of them holds for every delivery.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use qmail_remote::args::Invocation;
use qmail_remote::host::Host;
use qmail_remote::monitor::control::keys::Keys;
use qmail_remote::monitor::control::smtproutes::{QMTPROUTES, SMTPROUTES};
use qmail_remote::monitor::control::tlsdestinations::Kind;
use qmail_remote::monitor::control::{authsenders, domaincerts, domainips, smtproutes, tlsdestinations};
use qmail_remote::plan::Protocol;

/// A list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum List {
    Authsenders,
    Domaincerts,
    Domainips,
    Qmtproutes,
    Smtproutes,
    Tlsdestinations,
}

impl List {
    /// All of them, in the order in which they are printed.
    pub(super) const ALL: [List; 6] = [
        List::Authsenders,
        List::Domaincerts,
        List::Domainips,
        List::Qmtproutes,
        List::Smtproutes,
        List::Tlsdestinations,
    ];

    /// The file's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            List::Authsenders => authsenders::FILE,
            List::Domaincerts => domaincerts::FILE,
            List::Domainips => domainips::FILE,
            List::Qmtproutes => QMTPROUTES,
            List::Smtproutes => SMTPROUTES,
            List::Tlsdestinations => tlsdestinations::FILE,
        }
    }
}

/// A key of a list, as a look-up asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) list: List,
    pub(super) key: Vec<u8>,
    /// What the key asks for, in `tlsdestinations`.
    kind: Option<Kind>,
}

impl Step {
    /// The key of a line.
    pub(super) fn of(list: List, key: &[u8]) -> Step {
        Step { list, key: key.to_vec(), kind: None }
    }
}

/// Where a key stands in the look-ups that ask for it.
pub(super) struct Reach {
    /// What every one of them asks for before, best first.
    pub(super) before: Vec<Step>,
    /// What every one of them asks for after.
    pub(super) after: Vec<Step>,
    /// What the key asks for, in `tlsdestinations`.
    pub(super) kind: Option<Kind>,
}

/// The reach of a key; none when no look-up asks for it.
pub(super) fn reach(list: List, key: &[u8]) -> Option<Reach> {
    let key = key.to_ascii_lowercase();
    let mut common: Option<Reach> = None;
    for delivery in deliveries(list, &key) {
        let mut before = steps(list, &delivery);
        let Some(at) = before.iter().position(|step| step.list == list && step.key == key) else {
            continue;
        };
        let after = before.split_off(at);
        let kind = after.first().and_then(|step| step.kind);
        common = Some(match common {
            None => Reach { before, after: after.into_iter().skip(1).collect(), kind },
            Some(mut common) => {
                common.before.retain(|step| before.contains(step));
                common.after.retain(|step| after.contains(step));
                common
            }
        });
    }
    common
}

/// What all deliveries to the address in `key` ask for in its place, where only those ask for `key` that write the address
/// so; none for other keys. Addresses in the place of a sender's domain are looked for as they are written.
pub(super) fn own_form(list: List, key: &[u8]) -> Option<Vec<u8>> {
    if !matches!(list, List::Smtproutes | List::Qmtproutes | List::Tlsdestinations) {
        return None;
    }
    let key = key.to_ascii_lowercase();
    let (sign, host) = key.split_at(key.len().checked_sub(host_in(list, &key).len())?);
    // Quick for the names that most keys are.
    if !host.starts_with(b"[") {
        return None;
    }
    let Ok(Host::Address(address)) = Host::parse(host) else { return None };
    let own = [sign, format!("[{address}]").as_bytes()].concat();
    let asked: Vec<Step> = deliveries(list, &own).iter().flat_map(|delivery| steps(list, delivery)).collect();
    let asks_for = |key: &[u8]| asked.iter().any(|step| step.list == list && step.key == key);
    (asks_for(&own) && !asks_for(&key)).then_some(own)
}

/// Deliveries of which some ask for `key`, if any does: two different ones for every key that many ask for.
fn deliveries(list: List, key: &[u8]) -> Vec<Invocation> {
    let text = host_in(list, key);
    let texts = match text.first() {
        None | Some(b'*' | b'!') => vec![b"a.invalid".to_vec(), b"b.example".to_vec()],
        Some(b'.' | b'@') => vec![[b"a", text].concat(), [b"b", text].concat()],
        Some(_) => vec![text.to_vec()],
    };
    let of = |host: &[u8], sender: &[u8]| {
        let arguments = [host, sender, b"x@recipient.invalid"].map(|text| OsString::from_vec(text.to_vec()));
        Invocation::parse(arguments).ok()
    };
    let host = b"host.invalid";
    // A bounce asks for all that other mail asks for, after keys of its own.
    let sender = if key.starts_with(b"!") { &b""[..] } else { b"x@sender.invalid" };
    let deliveries = texts.iter().map(|text| match list {
        List::Authsenders => of(host, text),
        List::Domaincerts | List::Domainips => of(host, &[b"x@", text.as_slice()].concat()),
        List::Qmtproutes | List::Smtproutes | List::Tlsdestinations => of(text, sender),
    });
    deliveries.flatten().collect()
}

/// The host in a key. In a rule it has one character before it; without that, `-host` would be taken for a host's name.
fn host_in(list: List, key: &[u8]) -> &[u8] {
    match key.split_first() {
        Some((sign, host)) if list == List::Tlsdestinations && is_rule(*sign) => host,
        _ => key,
    }
}

/// Whether the octet stands before hosts in `tlsdestinations`: not part of a name, or a hyphen, with which none begins.
fn is_rule(octet: u8) -> bool {
    octet.is_ascii() && !octet.is_ascii_alphanumeric() && !b".[_".contains(&octet)
}

/// What the look-up in `list` for this delivery asks for, best first.
fn steps(list: List, delivery: &Invocation) -> Vec<Step> {
    let all = |keys: Keys| keys.iter().map(|(_, key)| Step::of(list, key)).collect();
    let sender = &delivery.sender_argument;
    match list {
        List::Authsenders => all(authsenders::keys_for(sender)),
        List::Domaincerts => all(domaincerts::keys_for(sender)),
        List::Domainips => all(domainips::keys_for(sender)),
        List::Qmtproutes | List::Smtproutes => {
            let keys = smtproutes::keys_for(delivery);
            let lists = smtproutes::IN_ORDER.map(|(protocol, _)| match protocol {
                Protocol::Qmtp => List::Qmtproutes,
                Protocol::Smtp => List::Smtproutes,
            });
            keys.iter().flat_map(|(_, key)| lists.map(|list| Step::of(list, key))).collect()
        }
        List::Tlsdestinations => {
            let keys = tlsdestinations::keys_for(&delivery.host_argument, &delivery.host);
            keys.into_iter().map(|(kind, key)| Step { list, key, kind: Some(kind) }).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(list: List, key: &str) -> Option<Vec<String>> {
        let reach = reach(list, key.as_bytes())?;
        let named = |step: Step| format!("{}:{}", step.list.name(), String::from_utf8(step.key).unwrap());
        Some(reach.before.into_iter().map(named).collect())
    }

    #[test]
    fn what_comes_before_a_key_is_what_every_look_up_for_it_asks_first() {
        let tls = |key: &str| {
            let keys = before(List::Tlsdestinations, key)?;
            Some(keys.iter().map(|key| key.replace("tlsdestinations:", "")).collect::<Vec<_>>().join(" "))
        };
        for (key, expected) in [
            ("A.test", "!a.test !.test %a.test =a.test ~a.test ~.test"),
            (".test", "!.test ~.test"),
            ("-a.test", "!a.test !.test %a.test =a.test ~a.test ~.test a.test .test"),
            ("-.test", "!.test ~.test .test"),
            ("!a.test", ""),
            ("%a.test", "!a.test !.test"),
            ("=*", ""),
            ("+*", "=* ~*"),
            ("*", "=* ~* +* -* /*"),
            ("-", "=* ~* +* -* /* * ?"),
            ("/", "=* ~* +* -* /* * ? -"),
        ] {
            assert_eq!(tls(key).as_deref(), Some(expected), "{key}");
        }
        for key in
            ["", "+a.test", "!*", "%*", "%.test", "=.test", "a@b.test", "a.test.", "*.test", "=", "x y"]
        {
            assert_eq!(tls(key), None, "{key}");
        }
        let smtp = |key: &str| before(List::Smtproutes, key);
        assert_eq!(smtp("a.test"), Some(vec!["qmtproutes:a.test".to_owned()]));
        assert_eq!(smtp(".test"), Some(vec!["qmtproutes:.test".to_owned()]));
        assert_eq!(smtp("!@"), Some(vec!["qmtproutes:!@".to_owned()]));
        assert_eq!(smtp(""), Some(vec!["qmtproutes:".to_owned()]));
        assert_eq!(before(List::Qmtproutes, "!@"), Some(vec![]));
        assert_eq!(smtp("*"), None);
        assert_eq!(before(List::Domainips, "*"), Some(vec!["domainips:".to_owned()]));
        assert_eq!(before(List::Domaincerts, ""), None);
        for key in ["@a.test", ".test", "a@b.test", ""] {
            assert_eq!(before(List::Authsenders, key), Some(vec![]), "{key}");
        }
    }
}
