//! The keys that a look-up in a list asks for, best first. Pure.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::net::IpAddr;

use memchr::{memchr, memchr2};

use crate::host::Host;
use crate::idn;

/// Keys in lower case, best first: the index is the level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    keys: Vec<Vec<u8>>,
    /// Whether a line that starts with this octet may have one of the keys.
    starts: [bool; 256],
    /// Whether one of the keys has this length; the last stands for all that are longer.
    lengths: [bool; 256],
}

impl Keys {
    /// From the best to the last. A key that no line can have keeps its level and matches nothing.
    pub fn new(keys: impl IntoIterator<Item = Vec<u8>>) -> Keys {
        let keys: Vec<Vec<u8>> = keys.into_iter().map(|key| key.to_ascii_lowercase()).collect();
        let (mut starts, mut lengths) = ([false; 256], [false; 256]);
        for key in &keys {
            let start = key.first().copied().unwrap_or(b':');
            for octet in [start, start.to_ascii_uppercase()] {
                if let Some(start) = starts.get_mut(usize::from(octet)) {
                    *start = true;
                }
            }
            if let Some(length) = lengths.get_mut(key.len().min(255)) {
                *length = true;
            }
        }
        Keys { keys, starts, lengths }
    }

    /// The levels and their keys, best first.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.keys.iter().map(Vec::as_slice).enumerate().filter(|(_, key)| is_key(key))
    }

    /// The level of a line's key, when it is `limit` or better; and the line's value. Most lines of a long file are
    /// passed over by their first octet or the length of their key.
    pub(super) fn find<'a>(&self, line: &'a [u8], limit: usize) -> Option<(usize, &'a [u8])> {
        if !*self.starts.get(usize::from(*line.first()?))? {
            return None;
        }
        let (key, value) = key_and_value(line)?;
        if !*self.lengths.get(key.len().min(255))? {
            return None;
        }
        let mut candidates = self.keys.iter().take(limit.saturating_add(1));
        candidates.position(|asked| asked.eq_ignore_ascii_case(key)).map(|level| (level, value))
    }
}

/// Splits a line into key and value; none for comments and lines without a key. A key ends at the first colon outside
/// brackets. A bracket begins an address, which in tlsdestinations stands behind a sign, in authsenders behind a local part;
/// a local part may have brackets of its own.
pub fn key_and_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, rest) = line.split_at_checked(end_of_key(line)?)?;
    rest.strip_prefix(b":").filter(|_| !line.starts_with(b"#")).map(|value| (key, value))
}

/// Whether a line can have this key.
fn is_key(key: &[u8]) -> bool {
    end_of_key(key) == Some(key.len())
}

/// Where the first colon outside brackets is, or the end without one; none where a bracket is not closed.
fn end_of_key(line: &[u8]) -> Option<usize> {
    let mut end = 0usize;
    loop {
        let rest = line.get(end..)?;
        let Some(found) = memchr2(b':', b'[', rest) else { return Some(line.len()) };
        end = end.saturating_add(found);
        match rest.get(found) {
            Some(b'[') => end = end.saturating_add(memchr(b']', line.get(end..)?)?).saturating_add(1),
            _ => return Some(end),
        }
    }
}

/// Keys of a host: the whole, then each suffix that starts at a dot, each in ASCII and in its own letters. An address has
/// no suffixes.
pub(super) fn of_host(argument: &[u8], host: &Host) -> Vec<Vec<u8>> {
    match host {
        // The name without a final dot, so that nobody chooses a route by writing one.
        Host::Name(name) => in_both_forms(b"", name.as_str().as_bytes(), b"."),
        // As given, and as everybody can write it: who writes the recipient does not choose the rule.
        Host::Address(address) => {
            let forms = match address {
                IpAddr::V4(v4) => {
                    let v6 = v4.to_ipv6_mapped();
                    vec![format!("[{v4}]"), v4.to_string(), format!("[{v6}]"), format!("[IPv6:{v6}]")]
                }
                IpAddr::V6(v6) => vec![format!("[{v6}]"), format!("[IPv6:{v6}]")],
            };
            std::iter::once(argument.to_vec()).chain(forms.into_iter().map(String::into_bytes)).collect()
        }
    }
}

/// Keys of a whole sender: all of it, then each suffix that starts at `@` or a dot.
pub(super) fn of_sender(sender: &[u8]) -> Vec<Vec<u8>> {
    match sender.iter().rposition(|&octet| octet == b'@') {
        Some(at) => {
            let (start, domain) = sender.split_at(at.saturating_add(1));
            in_both_forms(start, without_final_dot(domain), b"@.")
        }
        None => whole_and_suffixes(without_final_dot(sender), b"@."),
    }
}

/// Keys of the sender's domain: the whole, then each suffix that starts at a dot. None without a domain.
pub(super) fn of_sender_domain(sender: &[u8]) -> Vec<Vec<u8>> {
    domain(sender).map_or_else(Vec::new, |domain| in_both_forms(b"", domain, b"."))
}

/// A domain and those above it, down to one label.
pub fn and_those_above(domain: &[u8]) -> impl Iterator<Item = &[u8]> {
    let dots = domain.iter().enumerate().filter(|(_, octet)| **octet == b'.');
    let starts = std::iter::once(0).chain(dots.map(|(at, _)| at.saturating_add(1)));
    starts.filter_map(|start| domain.get(start..))
}

/// The keys of `start` and a domain, each with the domain in ASCII and then in its own letters: a line may be written
/// either way. Each by itself: a label that has no letters of its own must not hide a rule for the domains above it.
fn in_both_forms(start: &[u8], domain: &[u8], starts: &[u8]) -> Vec<Vec<u8>> {
    let ascii = idn::to_ascii(domain).unwrap_or(Cow::Borrowed(domain));
    let keys = whole_and_suffixes(&[start, &ascii].concat(), starts);
    let in_own_letters = |key: &[u8]| {
        let before = key.iter().rposition(|&octet| octet == b'@').map_or(0, |at| at.saturating_add(1));
        let dot = usize::from(key.get(before) == Some(&b'.'));
        let (start, domain) = key.split_at_checked(before.saturating_add(dot))?;
        Some([start, idn::to_unicode(domain)?.as_bytes()].concat())
    };
    let both = keys.into_iter().flat_map(|key| {
        let other = in_own_letters(&key).filter(|other| *other != key);
        std::iter::once(key).chain(other)
    });
    both.collect()
}

/// What follows the last `@`.
pub(super) fn domain(address: &[u8]) -> Option<&[u8]> {
    let at = address.iter().rposition(|&octet| octet == b'@')?;
    let domain = address.get(at.saturating_add(1)..).map(without_final_dot);
    domain.filter(|domain| !domain.is_empty())
}

/// As for hosts: nobody chooses a rule by writing a final dot.
fn without_final_dot(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".").unwrap_or(name)
}

fn whole_and_suffixes(text: &[u8], starts: &[u8]) -> Vec<Vec<u8>> {
    let inner = (1..text.len()).filter(|&at| text.get(at).is_some_and(|octet| starts.contains(octet)));
    let suffixes = std::iter::once(0).chain(inner).filter_map(|at| text.get(at..));
    suffixes.filter(|suffix| !suffix.is_empty()).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(keys: Vec<Vec<u8>>) -> Vec<String> {
        keys.into_iter().map(|key| String::from_utf8(key).unwrap()).collect()
    }

    #[test]
    fn levels_go_from_the_whole_to_the_last_suffix() {
        let host = |name: &str| text(of_host(name.as_bytes(), &Host::parse(name.as_bytes()).unwrap()));
        assert_eq!(host("a.b.test"), ["a.b.test", ".b.test", ".test"]);
        assert_eq!(host("B.Test."), ["b.test", ".test"]);
        let mapped = "[IPv6:::ffff:192.0.2.1]";
        for written in ["[192.0.2.1]", "192.0.2.1", "[::FFFF:c000:201]", mapped] {
            let keys = [written, "[192.0.2.1]", "192.0.2.1", "[::ffff:192.0.2.1]", mapped];
            assert_eq!(host(written), keys, "all forms of an IPv4 address");
        }
        assert_eq!(
            host("[IPv6:2001:DB8:0::1]"),
            ["[IPv6:2001:DB8:0::1]", "[2001:db8::1]", "[IPv6:2001:db8::1]"]
        );
        let both = ["xn--bcher-kva.test", "b\u{fc}cher.test", ".test"];
        assert_eq!(host("xn--bcher-kva.test"), both);
        assert_eq!(host("B\u{dc}CHER.test"), both);
        assert_eq!(host("a.b\u{fc}cher.test")[2..4], [".xn--bcher-kva.test", ".b\u{fc}cher.test"]);
        let hidden = ["xn--a.xn--bcher-kva.test", ".xn--bcher-kva.test", ".b\u{fc}cher.test", ".test"];
        assert_eq!(host("xn--a.xn--bcher-kva.test"), hidden, "a label without letters of its own");
        assert_eq!(text(of_sender_domain("x@B\u{fc}cher.test".as_bytes())), both);
        let whole = [
            "x@xn--bcher-kva.test",
            "x@b\u{fc}cher.test",
            "@xn--bcher-kva.test",
            "@b\u{fc}cher.test",
            ".test",
        ];
        assert_eq!(text(of_sender(b"x@xn--bcher-kva.test.")), whole);
        assert_eq!(text(of_sender(b"a.b@c.test")), ["a.b@c.test", ".b@c.test", "@c.test", ".test"]);
        assert_eq!(text(of_sender(b"a@c.test.")), ["a@c.test", "@c.test", ".test"]);
        assert_eq!(text(of_sender_domain(b"a@c.test.")), ["c.test", ".test"]);
        assert_eq!(text(of_sender(b"")), [""; 0]);
        assert_eq!(text(of_sender_domain(b"x@y@a.b.test")), ["a.b.test", ".b.test", ".test"]);
        assert_eq!(text(of_sender_domain(b"postmaster")), [""; 0]);
        assert_eq!(text(of_sender_domain(b"a@")), [""; 0]);
        assert_eq!(and_those_above(b"a.b.test").collect::<Vec<_>>(), [&b"a.b.test"[..], b"b.test", b"test"]);
    }

    #[test]
    fn a_line_has_the_key_before_its_first_colon() {
        let keys =
            ["A.test", ".test", "", "[2001:db8::1]", "[2001", "x:y", "a[b]@c.test", "a[:]b[:]", "a[:]b:"];
        let keys = Keys::new(keys.map(|key| key.into()));
        let found = |line: &'static str| keys.find(line.as_bytes(), usize::MAX);
        assert_eq!(found("a.TEST:v"), Some((0, &b"v"[..])));
        assert_eq!(found(".test:"), Some((1, &b""[..])));
        assert_eq!(found(":v:w"), Some((2, &b"v:w"[..])));
        assert_eq!(found("[2001:db8::1]:v"), Some((3, &b"v"[..])));
        assert_eq!(found("a[b]@c.test:[::1]:v"), Some((6, &b"[::1]:v"[..])));
        assert_eq!(found("a[:]b[:]:v"), Some((7, &b"v"[..])));
        let others =
            ["", "#a.test:v", "a.test", "a.testx:v", "b.test:v", "[2001:db8::2]:v", "[2001:v", "x:y:v"];
        for none in others.into_iter().chain([" a.test:v", "a[:]b::v"]) {
            assert_eq!(found(none), None, "{none}");
        }
        assert_eq!(keys.find(b":v", 1), None, "worse than the limit");
    }

    #[test]
    fn a_line_is_split_where_a_look_up_would_find_its_key() {
        for (line, key, value) in [
            ("a:b:c", "a", "b:c"),
            (":", "", ""),
            ("[::1]:v", "[::1]", "v"),
            ("~[::1]:v", "~[::1]", "v"),
            ("info@[IPv6:::1]:v", "info@[IPv6:::1]", "v"),
            ("@[::1]:v:w", "@[::1]", "v:w"),
            ("[::1]x:v", "[::1]x", "v"),
            ("a[:]@b.test:v", "a[:]@b.test", "v"),
            ("a[[:]]:v", "a[[:]]", "v"),
            (":[::1];26", "", "[::1];26"),
            (":[192.0.2.1]:26", "", "[192.0.2.1]:26"),
        ] {
            assert_eq!(key_and_value(line.as_bytes()), Some((key.as_bytes(), value.as_bytes())), "{line}");
            let keys = Keys::new([key.as_bytes().to_vec()]);
            assert_eq!(keys.find(line.as_bytes(), 0), Some((0, value.as_bytes())), "{line}");
        }
        for none in ["", "#a:b", "a", "[::1", "[::1]", "[::1]x", "a[b]c[d:v", "~[::1:v"] {
            assert_eq!(key_and_value(none.as_bytes()), None, "{none}");
        }
    }
}
