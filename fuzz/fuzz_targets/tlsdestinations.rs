//! `tlsdestinations`: by host in the order of the manual page's signs, then the generic rules; lines bound to another
//! domain than the sender's do not exist. For the name of an exchanger the same without the generic rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::host::{Host, HostName};
use qmail_remote::idn;
use qmail_remote::monitor::control::ControlError;
use qmail_remote::monitor::control::tlsdestinations::{self, Kind, TlsRule};
use qmail_remote::plan::TlsStart;
use qmail_remote_fuzz::reference::Chosen;
use qmail_remote_fuzz::{Case, check, reference, values};

/// Keys of one host, and what their signs ask for; numbers are those of the page.
fn specific(argument: &[u8], host: &Host) -> Vec<(Kind, Vec<u8>)> {
    let levels = reference::of_host(argument, host);
    let whole: Vec<_> = levels.iter().filter(|key| !key.starts_with(b".")).cloned().collect();
    let signs = [
        ("!", Kind::Never, &levels),               // (17)
        ("%", Kind::Pinned, &whole),               // (16)
        ("=", Kind::ExactName, &whole),            // (13)
        ("~", Kind::Name, &levels),                // (14)
        ("", Kind::Required, &levels),             // (9)
        ("-", Kind::Anonymous, &levels),           // (15)
        ("?", Kind::OptionalOrClear, &levels),     // (19)
        ("/", Kind::OptionalWithoutTlsa, &levels), // (20)
    ];
    let with_sign = |(sign, kind, keys): (&str, Kind, &Vec<Vec<u8>>)| {
        keys.iter().map(|key| (kind, [sign.as_bytes(), key].concat())).collect::<Vec<_>>()
    };
    signs.into_iter().flat_map(with_sign).collect()
}

/// Keys of all hosts.
fn generic() -> Vec<(Kind, Vec<u8>)> {
    let signs = [
        ("=*", Kind::ExactName),          // (7)
        ("~*", Kind::Name),               // (6)
        ("+*", Kind::Chain),              // (5)
        ("-*", Kind::Anonymous),          // (4)
        ("/*", Kind::WithoutTlsa),        // (8)
        ("*", Kind::Optional),            // (0)
        ("?", Kind::OptionalOrClear),     // (1)
        ("-", Kind::OptionalAnonymous),   // (2)
        ("/", Kind::OptionalWithoutTlsa), // (3)
    ];
    signs.map(|(sign, kind)| (kind, sign.as_bytes().to_vec())).to_vec()
}

/// Whether the fourth field is empty, the sender's domain or one above it, in ASCII or in their own letters, with a final
/// dot or without, or no domain at all, which is refused later.
fn concerns(value: &[u8], sender: &[u8]) -> bool {
    let bound = value.splitn(4, |&octet| octet == b'|').nth(3).unwrap_or_default();
    if bound.is_empty() || HostName::written(bound).is_err() {
        return true;
    }
    let (Some(domain), Some(bound)) =
        (reference::domain(sender).and_then(idn::to_ascii), idn::to_ascii(bound))
    else {
        return false;
    };
    let bound = bound.strip_suffix(b".").unwrap_or(&bound).to_ascii_lowercase();
    let domains = reference::suffixes(&domain, b".");
    let below = [b".".as_slice(), &bound].concat();
    domains.first() == Some(&bound) || domains.contains(&below)
}

/// The port behind the last semicolon of the last field that is there, the sender's domain apart. At 465 TLS comes first.
fn port(value: &[u8]) -> Option<(TlsStart, u16)> {
    let last = value.splitn(4, |&octet| octet == b'|').take(3).last()?;
    let at = last.iter().rposition(|&octet| octet == b';')?;
    let (start, port) = values::port(&last[at + 1..]).expect("a line with no such port is refused");
    Some((if port == 465 { TlsStart::Implicit } else { start }, port))
}

/// What is made of the chosen line, whose key asks for `kind`.
fn compare(found: Result<TlsRule, ControlError>, kind: Kind, chosen: Chosen<'_>) {
    match found {
        Ok(rule) => {
            let value = chosen.value.expect("a line that is too long is refused");
            assert_eq!((rule.kind, rule.port), (kind, port(value)));
            assert_eq!(rule.fingerprint.is_some(), kind == Kind::Pinned, "{rule:?}");
            assert_eq!(rule.fingerprint.is_some(), value.starts_with(b"="), "{rule:?}");
        }
        // There is nothing in it that could be wrong.
        Err(_) => assert!(chosen.value != Some(b"") || kind == Kind::Pinned),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let (argument, host) = (&case.invocation.host_argument, &case.invocation.host);
    let sender = &case.invocation.sender_argument;
    let lists = [("tlsdestinations", &case.text[..])];
    let choose = |keys: Vec<(Kind, Vec<u8>)>| {
        let (kinds, keys): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        let wanted = |value: &[u8]| concerns(value, sender);
        let chosen = reference::choose("tlsdestinations", &case.text, &keys, wanted)?;
        Some((kinds[chosen.level], chosen))
    };

    let chosen = choose([specific(argument, host), generic()].concat());
    let found = check(&lists, chosen.map(|(_, chosen)| chosen), case.shift, |control| {
        tlsdestinations::look_up(control, argument, host, sender)
    });
    match chosen {
        Some((kind, chosen)) => compare(found, kind, chosen),
        None => assert_eq!(found.expect("no line").kind, Kind::Optional),
    }

    let Host::Name(name) = host else { return };
    let chosen = choose(specific(name.as_str().as_bytes(), host));
    let found = check(&lists, chosen.map(|(_, chosen)| chosen), case.shift, |control| {
        tlsdestinations::look_up_exchanger(control, name, sender)
    });
    match chosen {
        Some((kind, chosen)) => compare(found.map(|rule| rule.expect("a rule")), kind, chosen),
        None => assert_eq!(found, Ok(None)),
    }
});
