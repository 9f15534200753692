//! Internationalised domain names (IDNA 2008, RFC 5891; mapped as UTS 46 says, without its transitional forms).
//!
//! Monitor only, before the fork: what arguments and control files write in other letters becomes ASCII once, and what
//! is looked up, compared and sent is that. Pure.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use idna::uts46::{DnsLength, Hyphens, Uts46};
use idna::{AsciiDenyList, domain_to_unicode};

/// The A-label form of a domain that is not ASCII, case folded by IDNA; none when it has none. What is ASCII stays as it
/// is. Whether the result is a host name is the caller's to check.
pub fn to_ascii(domain: &[u8]) -> Option<Cow<'_, [u8]>> {
    if domain.is_ascii() {
        return Some(Cow::Borrowed(domain));
    }
    // Characters of ASCII that others map to are no concern here: host names are checked for them.
    let ascii =
        Uts46::new().to_ascii(domain, AsciiDenyList::EMPTY, Hyphens::Check, DnsLength::VerifyAllowRootDot);
    ascii.ok().map(|ascii| Cow::Owned(ascii.into_owned().into_bytes()))
}

/// The same domain in its own letters, as people write it in control files: none when that is ASCII, too.
pub fn to_unicode(domain: &[u8]) -> Option<String> {
    let ascii = to_ascii(domain)?;
    let ascii = std::str::from_utf8(&ascii).ok()?;
    if !ascii.split('.').any(|label| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))) {
        return None;
    }
    let (unicode, result) = domain_to_unicode(ascii);
    result.ok().map(|()| unicode).filter(|unicode| !unicode.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ascii(domain: &str) -> Option<String> {
        to_ascii(domain.as_bytes()).map(|ascii| String::from_utf8(ascii.into_owned()).unwrap())
    }

    #[test]
    fn names_in_other_letters_have_one_form_in_ascii() {
        for (domain, expected) in [
            ("b\u{fc}cher.test", "xn--bcher-kva.test"),
            ("B\u{dc}CHER.Test", "xn--bcher-kva.test"),
            ("bu\u{308}cher.test.", "xn--bcher-kva.test."),
            // IDNA 2008 keeps what IDNA 2003 replaced.
            ("fa\u{df}.test", "xn--fa-hia.test"),
            ("\u{3bb}\u{3cc}\u{3b3}\u{3bf}\u{3c2}.test", "xn--oxapnm1c.test"),
            ("\u{4f8b}\u{3048}\u{3002}\u{30c6}\u{30b9}\u{30c8}", "xn--r8jz45g.xn--zckzah"),
            ("Plain.Test", "Plain.Test"),
        ] {
            assert_eq!(ascii(domain).as_deref(), Some(expected), "{domain}");
        }
        let long = format!("{}.test", "\u{fc}".repeat(70));
        for bad in [
            "\u{fc}\u{202e}.test",
            "\u{fc}..test",
            "\u{ad}.test",
            "a\u{200d}b.test",
            "\u{85}.test",
            &long,
            "\u{fc} .\u{2f}",
        ] {
            let checked = ascii(bad).and_then(|ascii| crate::host::HostName::parse(ascii.as_bytes()).ok());
            assert_eq!(checked, None, "{bad:?}");
        }
        assert_eq!(to_ascii(b"b\xfccher.test"), None, "not UTF-8");
    }

    #[test]
    fn the_way_back_is_there_for_names_that_have_other_letters() {
        let unicode = |domain: &str| to_unicode(domain.as_bytes());
        assert_eq!(unicode("XN--bcher-kva.test").as_deref(), Some("b\u{fc}cher.test"));
        assert_eq!(unicode("B\u{dc}CHER.test").as_deref(), Some("b\u{fc}cher.test"));
        assert_eq!(unicode("plain.test"), None);
        assert_eq!(unicode("xn--a.test"), None, "no A-label");
    }
}
