//! The look-up in a list as the manual page tells it: all lines are read, and of those with the best key the last one
//! counts. Nothing of the program's own search is used.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use qmail_remote::host::Host;
use qmail_remote::idn;

/// A line of so many octets is too long: an error where it is the one.
pub const TOO_LONG: usize = 32 * 1024;

/// The line that decides.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The list's name.
    pub file: &'static str,
    /// The line's number, from 1.
    pub line: usize,
    /// Which of the keys it has, from 0, the best.
    pub level: usize,
    /// What follows the key's colon; none where the line is too long.
    pub value: Option<&'a [u8]>,
}

/// Of the lines of `text`, the one that decides. `keys` are in lower case, best first.
pub fn choose<'a>(
    file: &'static str,
    text: &'a [u8],
    keys: &[Vec<u8>],
    wanted: impl Fn(&[u8]) -> bool,
) -> Option<Chosen<'a>> {
    let lines = text.split(|&octet| octet == b'\n').enumerate();
    let entries = lines.filter_map(|(number, line)| {
        let (key, value) = split(line)?;
        let level = keys.iter().position(|asked| *asked == key)?;
        // Nobody knows whether a line that is too long is wanted.
        let value = (line.len() < TOO_LONG).then_some(value);
        value.is_none_or(&wanted).then_some(Chosen { file, line: number + 1, level, value })
    });
    entries.min_by_key(|chosen| (chosen.level, std::cmp::Reverse(chosen.line)))
}

/// The number of the first line, from 1, with an octet 0 in its value; keys with one are nobody's.
pub fn with_zero(text: &[u8]) -> Option<usize> {
    let mut lines = text.split(|&octet| octet == b'\n');
    lines
        .position(|line| split(line).is_some_and(|(key, value)| !key.contains(&0) && value.contains(&0)))
        .map(|at| at + 1)
}

/// Key in lower case, and value without trailing blanks.
fn split(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let end = line.iter().rposition(|octet| !b" \t\r".contains(octet))?;
    let line = &line[..=end];
    let mut inside = false;
    let colon = line.iter().position(|&octet| {
        inside = octet == b'[' || (inside && octet != b']');
        octet == b':' && !inside
    })?;
    (line[0] != b'#').then(|| (line[..colon].to_ascii_lowercase(), &line[colon + 1..]))
}

/// The keys of a host: whole, and each suffix from a dot, with those in own letters; an address as given and in its usual
/// forms.
pub fn of_host(argument: &[u8], host: &Host) -> Vec<Vec<u8>> {
    match host {
        Host::Name(name) => with_own_letters(suffixes(name.as_str().as_bytes(), b".")),
        Host::Address(address) => {
            let others = match address {
                IpAddr::V4(v4) => {
                    vec![v4.to_string(), format!("[::ffff:{v4}]"), format!("[ipv6:::ffff:{v4}]")]
                }
                IpAddr::V6(v6) => vec![format!("[ipv6:{v6}]")],
            };
            let others = others.into_iter().map(String::into_bytes);
            [argument.to_ascii_lowercase(), format!("[{address}]").into_bytes()]
                .into_iter()
                .chain(others)
                .collect()
        }
    }
}

/// The keys of the sender's domain.
pub fn of_domain(sender: &[u8]) -> Vec<Vec<u8>> {
    domain(sender).map_or_else(Vec::new, |domain| with_own_letters(suffixes(&in_ascii(domain), b".")))
}

/// The keys of a whole sender: each suffix from `@` or a dot. A domain is what follows the last `@`.
pub fn of_sender(sender: &[u8]) -> Vec<Vec<u8>> {
    match domain(sender) {
        Some(domain) => {
            let at = sender.iter().rposition(|&octet| octet == b'@').expect("there is a domain");
            with_own_letters(suffixes(&[&sender[..=at], &in_ascii(domain)].concat(), b"@."))
        }
        None => suffixes(sender.strip_suffix(b".").unwrap_or(sender), b"@."),
    }
}

/// What follows the last `@`.
pub fn domain(sender: &[u8]) -> Option<&[u8]> {
    let domain =
        sender.rsplitn(2, |&octet| octet == b'@').next().filter(|domain| domain.len() < sender.len())?;
    Some(domain.strip_suffix(b".").unwrap_or(domain))
}

/// The text, in lower case, and its suffixes that begin with one of `starts`.
pub fn suffixes(text: &[u8], starts: &[u8]) -> Vec<Vec<u8>> {
    let text = text.to_ascii_lowercase();
    let is_start = |at: &usize| *at == 0 || starts.contains(&text[*at]);
    (0..text.len()).filter(is_start).map(|at| text[at..].to_vec()).collect()
}

/// As it is where it has no form in ASCII.
fn in_ascii(domain: &[u8]) -> Vec<u8> {
    idn::to_ascii(domain).map_or_else(|| domain.to_vec(), |domain| domain.into_owned())
}

/// After each key the same with its domain in own letters, where that has any.
fn with_own_letters(keys: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for key in keys {
        let after_at = key.iter().rposition(|&octet| octet == b'@').map_or(0, |at| at + 1);
        let begin = after_at + usize::from(key[after_at..].starts_with(b"."));
        let other = idn::to_unicode(&key[begin..]);
        let other = other.map(|domain| [&key[..begin], domain.as_bytes()].concat().to_ascii_lowercase());
        all.push(key);
        all.extend(other);
    }
    all
}
