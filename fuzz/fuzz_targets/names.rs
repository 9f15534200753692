//! Names from the DNS and of arguments: what becomes a host name is one, and an address that becomes a path cannot end it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::envelope::Path;
use qmail_remote::host::{HeloName, Host, HostName};

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

fuzz_target!(|data: &[u8]| {
    let name = HostName::parse(data);
    let trimmed = data.strip_suffix(b".").unwrap_or(data);
    let is_name = trimmed.len() <= 253
        && trimmed.split(|&octet| octet == b'.').all(|label| {
            (1..=63).contains(&label.len())
                && label.iter().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(octet))
        });
    assert_eq!(name.is_ok(), is_name);
    if let Ok(name) = name {
        assert_eq!(name.as_str().as_bytes(), trimmed.to_ascii_lowercase());
        assert_eq!(HostName::parse(name.as_str().as_bytes()), Ok(name));
    }
    if let Ok(Host::Address(address)) = Host::parse(data) {
        assert_eq!(Host::parse(format!("[{address}]").as_bytes()), Ok(Host::Address(address)));
    }
    if let Ok(helo) = HeloName::parse(data) {
        let said = helo.to_string();
        assert!(
            said.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.[]:".contains(&octet)),
            "{said}"
        );
    }
    for path in [Path::reverse(data), Path::forward(data)].into_iter().flatten() {
        assert!(is_one_path(path.as_bytes()), "{}", path.as_bytes().escape_ascii());
        assert!(path.as_bytes().len() <= Path::MAX);
        let text = std::str::from_utf8(path.as_bytes()).expect("UTF-8");
        assert!(!text.contains(char::is_control), "{text:?}");
        assert_eq!(path.needs_smtputf8(), !text.is_ascii());
    }
});
