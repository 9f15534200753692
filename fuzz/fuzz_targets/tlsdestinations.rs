//! `tlsdestinations`: by host in the order of the manual page's signs, then the generic rules; lines bound to another
//! domain than the sender's do not exist.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::host::{Host, HostName};
use qmail_remote::idn;
use qmail_remote::monitor::control::tlsdestinations;
use qmail_remote_fuzz::{Case, check, reference};

fn keys(argument: &[u8], host: &Host) -> Vec<Vec<u8>> {
    let levels = reference::of_host(argument, host);
    let whole: Vec<_> = levels.iter().filter(|key| !key.starts_with(b".")).cloned().collect();
    let signs = [("!", &levels), ("%", &whole), ("=", &whole), ("~", &levels), ("", &levels)];
    let weaker = [("-", &levels), ("?", &levels), ("/", &levels)];
    let specific = signs.into_iter().chain(weaker);
    let with_sign = |(sign, keys): (&str, &Vec<Vec<u8>>)| {
        keys.iter().map(|key| [sign.as_bytes(), key].concat()).collect::<Vec<_>>()
    };
    let generic = ["=*", "~*", "+*", "-*", "/*", "*", "?", "-", "/"].map(|key| key.as_bytes().to_vec());
    specific.flat_map(with_sign).chain(generic).collect()
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

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let (argument, host) = (&case.invocation.host_argument, &case.invocation.host);
    let sender = &case.invocation.sender_argument;
    let chosen = reference::choose(case.text, &keys(argument, host), |value| concerns(value, sender));
    let line = chosen.map(|(line, _)| ("tlsdestinations", line));
    check(&[("tlsdestinations", case.text)], line, case.shift, |control| {
        tlsdestinations::look_up(control, argument, host, sender)
    });
});
