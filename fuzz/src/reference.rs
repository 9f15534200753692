//! The look-up in a list as the manual page tells it: all lines are read, and of those with the best key the last one
//! counts. Nothing of the program's own search is used.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use qmail_remote::host::Host;

/// The line, from 1, that decides; and the level of its key, from 0, the best. `keys` are in lower case, best first.
pub fn choose(text: &[u8], keys: &[Vec<u8>], wanted: impl Fn(&[u8]) -> bool) -> Option<(usize, usize)> {
    let lines = text.split(|&octet| octet == b'\n').enumerate();
    let entries = lines.filter_map(|(number, line)| {
        let (key, value) = split(line)?;
        let level = keys.iter().position(|asked| *asked == key)?;
        wanted(value).then_some((number + 1, level))
    });
    entries.min_by_key(|(number, level)| (*level, std::cmp::Reverse(*number)))
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

/// The keys of a host: whole, and each suffix from a dot; an address as given and in its usual form.
pub fn of_host(argument: &[u8], host: &Host) -> Vec<Vec<u8>> {
    match host {
        Host::Name(name) => suffixes(name.as_str().as_bytes(), b"."),
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
    domain(sender).map_or_else(Vec::new, |domain| suffixes(domain, b"."))
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
