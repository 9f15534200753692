//! Envelope addresses in the form they take between `<` and `>` in MAIL and RCPT.
//!
//! Both processes. Arguments are untrusted: an address that could end the path early, or carry a
//! second command, does not become a [`Path`].
#![forbid(unsafe_code)]

/// The content of a reverse-path or forward-path (RFC 5321 section 4.1.2): no control character, no
/// space or angle bracket outside a quoted string. Empty only for the null sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<u8>);

/// Why an argument is not an address that SMTP can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAddress {
    /// Nothing where a recipient is needed.
    Empty,
    /// More than [`Path::MAX`] octets.
    TooLong,
    /// A control character, or in the domain a space, bracket or other character that ends a path.
    Unsafe,
    /// Octets above 127: they need an extension that this version does not speak.
    NotAscii,
}

impl Path {
    /// The longest path in octets. RFC 5321 section 4.5.3.1.3 asks for 256; more is in use.
    pub const MAX: usize = 1000;

    /// The sender argument; empty for bounces.
    pub fn reverse(argument: &[u8]) -> Result<Path, BadAddress> {
        if argument.is_empty() { Ok(Path(Vec::new())) } else { Path::checked(argument) }
    }

    /// A recipient argument.
    pub fn forward(argument: &[u8]) -> Result<Path, BadAddress> {
        if argument.is_empty() { Err(BadAddress::Empty) } else { Path::checked(argument) }
    }

    /// The octets to send between the angle brackets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The address without the quotes that SMTP needs: as QMTP carries it, and as the argument was.
    pub fn unquoted(&self) -> Vec<u8> {
        let Some(quoted) = self.0.strip_prefix(b"\"") else {
            return self.0.clone();
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
        self.0.is_empty()
    }

    fn checked(argument: &[u8]) -> Result<Path, BadAddress> {
        if argument.iter().any(u8::is_ascii_control) {
            return Err(BadAddress::Unsafe);
        }
        if !argument.is_ascii() {
            return Err(BadAddress::NotAscii);
        }
        let mut path = Vec::with_capacity(argument.len());
        match argument.iter().rposition(|&octet| octet == b'@') {
            Some(at) => {
                let (local, domain) = argument.split_at(at);
                if domain.iter().any(|octet| b" <>\"\\(),;".contains(octet)) {
                    return Err(BadAddress::Unsafe);
                }
                if is_dot_string(local) {
                    path.extend_from_slice(local);
                } else {
                    quote(local, &mut path);
                }
                path.extend_from_slice(domain);
            }
            // Sent as it is, unless it needs quotes to stay within the path.
            None if argument.iter().any(|octet| b" <>\"\\".contains(octet)) => quote(argument, &mut path),
            None => path.extend_from_slice(argument),
        }
        if path.len() > Path::MAX { Err(BadAddress::TooLong) } else { Ok(Path(path)) }
    }
}

/// Dot-string of RFC 5321 section 4.1.2: atoms separated by single dots.
fn is_dot_string(local: &[u8]) -> bool {
    local
        .split(|&octet| octet == b'.')
        .all(|atom| !atom.is_empty() && atom.iter().all(|&octet| is_atext(octet)))
}

fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
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
        Path::forward(argument.as_bytes()).map(|path| String::from_utf8(path.0).unwrap())
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
