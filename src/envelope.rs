//! Envelope addresses in the form they take between `<` and `>` in MAIL and RCPT.
//!
//! Both processes. Arguments are untrusted: an address that could end the path early, or carry a
//! second command, does not become a [`Path`].
#![forbid(unsafe_code)]

use crate::idn;

/// The content of a reverse-path or forward-path (RFC 5321 section 4.1.2): no control character, no
/// space or angle bracket outside a quoted string. Empty only for the null sender. The domain is ASCII, the local part
/// UTF-8 (RFC 6531 section 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    octets: Vec<u8>,
    needs_smtputf8: bool,
}

/// Why an argument is not an address that SMTP can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAddress {
    /// Nothing where a recipient is needed.
    Empty,
    /// More than [`Path::MAX`] octets.
    TooLong,
    /// A control character, or in the domain a space, bracket or other character that ends a path.
    Unsafe,
    /// Octets above 127 that are not UTF-8.
    NotUtf8,
    /// A domain in other letters than ASCII's that has no form in the DNS.
    BadDomain,
}

impl Path {
    /// The longest path in octets. RFC 5321 section 4.5.3.1.3 asks for 256; more is in use.
    pub const MAX: usize = 1000;

    /// The sender argument; empty for bounces.
    pub fn reverse(argument: &[u8]) -> Result<Path, BadAddress> {
        if argument.is_empty() {
            Ok(Path { octets: Vec::new(), needs_smtputf8: false })
        } else {
            Path::checked(argument)
        }
    }

    /// A recipient argument.
    pub fn forward(argument: &[u8]) -> Result<Path, BadAddress> {
        if argument.is_empty() { Err(BadAddress::Empty) } else { Path::checked(argument) }
    }

    /// The octets to send between the angle brackets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets
    }

    /// Whether only SMTPUTF8 can carry it: the local part is not ASCII. A domain always is, as A-labels.
    pub fn needs_smtputf8(&self) -> bool {
        self.needs_smtputf8
    }

    /// The address without the quotes that SMTP needs: as QMTP carries it, and as the argument was.
    pub fn unquoted(&self) -> Vec<u8> {
        let Some(quoted) = self.octets.strip_prefix(b"\"") else {
            return self.octets.clone();
        };
        let mut address = Vec::with_capacity(quoted.len());
        let mut octets = quoted.iter().copied();
        while let Some(octet) = octets.next() {
            match octet {
                b'"' => break,
                b'\\' => address.extend(octets.next()),
                octet => address.push(octet),
            }
        }
        address.extend(octets);
        address
    }

    /// Whether this is the sender of a bounce.
    pub fn is_null(&self) -> bool {
        self.octets.is_empty()
    }

    fn checked(argument: &[u8]) -> Result<Path, BadAddress> {
        // C0, DEL and C1, which is two octets in UTF-8.
        let is_unsafe = |text: &str| text.contains(char::is_control);
        match std::str::from_utf8(argument) {
            Ok(text) if is_unsafe(text) => return Err(BadAddress::Unsafe),
            Ok(_) => {}
            Err(_) if argument.iter().any(u8::is_ascii_control) => return Err(BadAddress::Unsafe),
            Err(_) => return Err(BadAddress::NotUtf8),
        }
        let mut path = Vec::with_capacity(argument.len());
        match argument.iter().rposition(|&octet| octet == b'@') {
            Some(at) => {
                let (local, domain) = argument.split_at(at);
                let domain = in_ascii(domain).ok_or(BadAddress::BadDomain)?;
                // Other letters may stand for any of these, for a second `@`, too.
                if domain.iter().skip(1).any(|octet| b" <>\"\\(),;@".contains(octet)) {
                    return Err(BadAddress::Unsafe);
                }
                if is_dot_string(local) {
                    path.extend_from_slice(local);
                } else {
                    quote(local, &mut path);
                }
                path.extend_from_slice(&domain);
            }
            // Sent as it is, unless it needs quotes to stay within the path.
            None if argument.iter().any(|octet| b" <>\"\\".contains(octet)) => quote(argument, &mut path),
            None => path.extend_from_slice(argument),
        }
        let needs_smtputf8 = !path.is_ascii();
        if path.len() > Path::MAX {
            Err(BadAddress::TooLong)
        } else {
            Ok(Path { octets: path, needs_smtputf8 })
        }
    }
}

/// `@` and the domain.
fn in_ascii(domain: &[u8]) -> Option<Vec<u8>> {
    let name = domain.strip_prefix(b"@")?;
    Some([b"@", idn::to_ascii(name)?.as_ref()].concat())
}

/// Dot-string of RFC 5321 section 4.1.2, RFC 6531 section 3.3: atoms separated by single dots.
fn is_dot_string(local: &[u8]) -> bool {
    local
        .split(|&octet| octet == b'.')
        .all(|atom| !atom.is_empty() && atom.iter().all(|&octet| is_atext(octet)))
}

fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || !octet.is_ascii() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

fn quote(local: &[u8], path: &mut Vec<u8>) {
    path.push(b'"');
    for &octet in local {
        if matches!(octet, b'"' | b'\\') {
            path.push(b'\\');
        }
        path.push(octet);
    }
    path.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(argument: &str) -> Result<String, BadAddress> {
        Path::forward(argument.as_bytes()).map(|path| String::from_utf8(path.octets).unwrap())
    }

    #[test]
    fn local_parts_are_quoted_when_they_need_it() {
        for (argument, path) in [
            ("bob@example.test", "bob@example.test"),
            ("a.b+c@example.test", "a.b+c@example.test"),
            ("a b@example.test", "\"a b\"@example.test"),
            ("a>b@example.test", "\"a>b\"@example.test"),
            ("a\"b\\c@example.test", "\"a\\\"b\\\\c\"@example.test"),
            (".a@example.test", "\".a\"@example.test"),
            ("a..b@example.test", "\"a..b\"@example.test"),
            ("a@b@example.test", "\"a@b\"@example.test"),
            ("@example.test", "\"\"@example.test"),
            ("\"a b\"@example.test", "\"\\\"a b\\\"\"@example.test"),
            ("postmaster", "postmaster"),
            ("a..b", "a..b"),
            ("c d", "\"c d\""),
            ("x@[192.0.2.1]", "x@[192.0.2.1]"),
            ("x@[IPv6:2001:db8::1]", "x@[IPv6:2001:db8::1]"),
        ] {
            assert_eq!(forward(argument).as_deref(), Ok(path), "{argument}");
            assert_eq!(Path::forward(argument.as_bytes()).unwrap().unquoted(), argument.as_bytes());
        }
    }

    #[test]
    fn what_could_end_the_path_is_refused() {
        for bad in [
            "a@b.test> SIZE=1",
            "a@b test",
            "a\r\nRCPT TO:<c>@b.test",
            "a\0@b.test",
            "a@b\t.test",
            "a@b>",
            "\x7f@b.test",
        ] {
            assert_eq!(forward(bad), Err(BadAddress::Unsafe), "{bad:?}");
        }
    }

    #[test]
    fn a_local_part_in_other_letters_needs_smtputf8_and_a_domain_does_not() {
        for (argument, path, needs_smtputf8) in [
            ("bob@b\u{fc}cher.test", "bob@xn--bcher-kva.test", false),
            ("bob@B\u{dc}CHER.Test", "bob@xn--bcher-kva.test", false),
            ("bob@Example.Test", "bob@Example.Test", false),
            ("b\u{f6}b@b\u{fc}cher.test", "b\u{f6}b@xn--bcher-kva.test", true),
            ("b\u{f6}b@example.test", "b\u{f6}b@example.test", true),
            ("b\u{f6} b@example.test", "\"b\u{f6} b\"@example.test", true),
            ("\u{7528}\u{6237}", "\u{7528}\u{6237}", true),
        ] {
            assert_eq!(forward(argument).as_deref(), Ok(path), "{argument}");
            assert_eq!(
                Path::forward(argument.as_bytes()).unwrap().needs_smtputf8(),
                needs_smtputf8,
                "{argument}"
            );
        }
        assert_eq!(Path::forward(b"b\xf6b@example.test"), Err(BadAddress::NotUtf8));
        assert_eq!(Path::forward(b"bob@b\xfccher.test"), Err(BadAddress::NotUtf8));
        assert_eq!(Path::forward(b"b\xf6b\n@example.test"), Err(BadAddress::Unsafe));
        assert_eq!(forward("b\u{85}b@example.test"), Err(BadAddress::Unsafe), "a C1 control");
        assert_eq!(forward("bob@b\u{fc}cher\u{9b}.test"), Err(BadAddress::Unsafe));
        assert_eq!(forward("bob@b\u{fc}cher\u{202e}.test"), Err(BadAddress::BadDomain));
        assert_eq!(forward("bob@b\u{fc}cher.test\u{ff1e}"), Err(BadAddress::Unsafe), "maps to a bracket");
        assert_eq!(forward("bob@a\u{ff20}b.test"), Err(BadAddress::Unsafe), "maps to an at sign");
    }

    #[test]
    fn only_the_sender_may_be_empty() {
        assert!(Path::reverse(b"").unwrap().is_null());
        assert_eq!(forward(""), Err(BadAddress::Empty));
    }

    #[test]
    fn length_counts_what_is_sent() {
        let domain = "@example.test";
        let longest = format!("{}{domain}", "a".repeat(Path::MAX - domain.len()));
        assert!(forward(&longest).is_ok());
        assert_eq!(forward(&format!("a{longest}")), Err(BadAddress::TooLong));
        let quoted = format!("{}{domain}", "\"".repeat(Path::MAX / 2));
        assert_eq!(forward(&quoted), Err(BadAddress::TooLong));
    }
}
