//! Names from the DNS and of arguments, beside a plain reading of RFC 5321 sections 4.1.2 and 4.1.3: what becomes a host name
//! is one, an address that becomes a path cannot end it, and nothing else is refused.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use qmail_remote::envelope::Path;
use qmail_remote::host::{HeloName, Host, HostName};
use qmail_remote::idn::to_ascii;

/// Whether `<path>` ends where it should, read as RFC 5321 section 4.1.2 has it: quoted strings, pairs in them, and no
/// bracket, space or control outside, and one `@` at most.
fn is_one_path(path: &[u8]) -> bool {
    let (mut quoted, mut escaped, mut at) = (false, false, false);
    for &octet in path {
        match octet {
            0..=31 | 127 => return false,
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' | b'>' | b' ' if !quoted => return false,
            b'@' if !quoted && at => return false,
            b'@' if !quoted => at = true,
            _ => {}
        }
    }
    !quoted && !escaped
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Atoms between single dots: what is ASCII in them is a letter, a digit or one of RFC 5322's other signs.
fn is_dot_string(local: &str) -> bool {
    let is_special = |c: char| c.is_ascii_control() || " \"(),:;<>@[\\]".contains(c);
    local.split('.').all(|atom| !atom.is_empty() && !atom.contains(is_special))
}

/// The path for an argument that is not empty, and its form without quotes. None: it is refused.
fn sent(argument: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(argument).ok().filter(|text| !text.contains(char::is_control))?;
    let (path, unquoted) = match text.rsplit_once('@') {
        Some((local, domain)) => {
            let domain = String::from_utf8(to_ascii(domain.as_bytes())?.into_owned()).expect("ASCII");
            if domain.contains([' ', '<', '>', '"', '\\', '(', ')', ',', ';', '@']) {
                return None;
            }
            let as_sent = if is_dot_string(local) { local.to_owned() } else { quoted(local) };
            (format!("{as_sent}@{domain}"), format!("{local}@{domain}"))
        }
        None if text.contains([' ', '<', '>', '"', '\\']) => (quoted(text), text.to_owned()),
        None => (text.to_owned(), text.to_owned()),
    };
    (path.len() <= Path::MAX).then_some((path, unquoted))
}

fn is_name(text: &[u8]) -> bool {
    text.len() <= 253
        && text.split(|&octet| octet == b'.').all(|label| {
            (1..=63).contains(&label.len())
                && label.iter().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(octet))
        })
}

fn without_final_dot(text: &[u8]) -> &[u8] {
    text.strip_suffix(b".").unwrap_or(text)
}

fn inside_brackets(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"[")?.strip_suffix(b"]")
}

/// An address, as std reads it, an IPv4 one in IPv6's form being that, or a name in lower case. None: neither.
fn host(text: &[u8]) -> Option<Result<IpAddr, String>> {
    if let Some(inside) = inside_brackets(text) {
        let inside = std::str::from_utf8(inside).ok()?;
        let is_tagged = inside.to_ascii_lowercase().starts_with("ipv6:");
        let address =
            match if is_tagged { IpAddr::V6(inside[5..].parse().ok()?) } else { inside.parse().ok()? } {
                IpAddr::V6(address) => mapped(address).map_or(IpAddr::V6(address), IpAddr::V4),
                address => address,
            };
        return Some(Ok(address));
    }
    let ascii = to_ascii(text)?;
    let name = String::from_utf8(without_final_dot(&ascii).to_ascii_lowercase()).ok()?;
    is_name(name.as_bytes()).then(|| name.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| name))
}

fn mapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.octets() {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

fuzz_target!(|data: &[u8]| {
    let name = HostName::parse(data);
    let trimmed = without_final_dot(data);
    assert_eq!(name.is_ok(), is_name(trimmed));
    if let Ok(name) = name {
        assert_eq!(name.as_str().as_bytes(), trimmed.to_ascii_lowercase());
        assert_eq!(HostName::parse(name.as_str().as_bytes()), Ok(name));
    }

    let read = Host::parse(data).ok().map(|host| match host {
        Host::Address(address) => Ok(address),
        Host::Name(name) => Err(name.as_str().to_owned()),
    });
    let expected = host(data);
    assert_eq!(read, expected);
    if let Some(Ok(address)) = read {
        assert_eq!(Host::parse(format!("[{address}]").as_bytes()), Ok(Host::Address(address)));
    }
    let said = match expected {
        Some(Err(name)) => Some(name),
        Some(Ok(_)) => inside_brackets(data).map(|_| String::from_utf8_lossy(data).into_owned()),
        None => None,
    };
    assert_eq!(HeloName::parse(data).ok().map(|helo| helo.to_string()), said);
    if let Some(said) = said {
        assert!(
            said.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.[]:".contains(&octet)),
            "{said}"
        );
    }

    if data.is_empty() {
        assert!(Path::forward(data).is_err() && Path::reverse(data).is_ok_and(|path| path.is_null()));
        return;
    }
    let path = Path::forward(data);
    assert_eq!(Path::reverse(data), path);
    let Ok(path) = path else {
        assert_eq!(sent(data), None, "{path:?}");
        return;
    };
    let octets = path.as_bytes();
    assert!(is_one_path(octets), "{}", octets.escape_ascii());
    assert!(octets.len() <= Path::MAX);
    let text = std::str::from_utf8(octets).expect("UTF-8");
    assert!(!text.contains(char::is_control), "{text:?}");
    assert_eq!(path.needs_smtputf8(), !text.is_ascii());
    let unquoted = String::from_utf8(path.unquoted()).expect("UTF-8");
    assert_eq!(Some((text.to_owned(), unquoted)), sent(data));
});
