//! Certificates in PEM, of which few are needed. Network child.
//!
//! Parsing a certificate costs OpenSSL a tenth of a millisecond, and a system's bundle has 150 of them: only those are
//! parsed that can be the issuer that is looked for. The text is the administrator's or the system's; a block that cannot
//! be decoded is an error, what stands between the blocks is a comment.
#![forbid(unsafe_code)]

use std::cmp::Ordering;

use memchr::memmem;
use openssl::x509::{X509, X509NameRef};

/// Certificates in DER.
#[derive(Debug, Default)]
pub(super) struct Bundle(Vec<Vec<u8>>);

/// The text holds a block that is no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// So many certificates are parsed in a millisecond.
const FEW: usize = 8;
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
/// Of certificates and nothing else. `TRUSTED CERTIFICATE` carries what the certificate is trusted or rejected for, which is
/// not honoured here: it counts as a comment, and nobody is trusted by it.
const LABELS: [&str; 2] = ["CERTIFICATE", "X509 CERTIFICATE"];

impl Bundle {
    /// All certificates of a text (RFC 7468).
    pub(super) fn read(pem: &[u8]) -> Result<Bundle, Damaged> {
        let mut certificates = Vec::new();
        let mut block: Option<String> = None;
        for line in pem.split(|&octet| octet == b'\n').map(<[u8]>::trim_ascii_end) {
            let Ok(line) = std::str::from_utf8(line) else {
                // Inside a block only; names in comments may be in any encoding.
                match block {
                    Some(_) => return Err(Damaged),
                    None => continue,
                }
            };
            let label = |mark| line.strip_prefix(mark).and_then(|rest: &str| rest.strip_suffix("-----"));
            match (label(BEGIN), label(END), &mut block) {
                (Some(label), _, None) if LABELS.contains(&label) => block = Some(String::new()),
                (None, None, Some(block)) => block.push_str(line.trim_ascii_start()),
                (None, Some(_), Some(_)) => {
                    let text = block.take().unwrap_or_default();
                    certificates.push(openssl::base64::decode_block(&text).map_err(|_| Damaged)?);
                }
                (Some(_), _, Some(_)) => return Err(Damaged),
                (_, _, None) => {}
            }
        }
        if block.is_some() { Err(Damaged) } else { Ok(Bundle(certificates)) }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The certificates with this subject. Of a few all are compared. Of many those that hold its octets: an authority's
    /// name is encoded in its own certificate as in those that it issues (RFC 5280 section 4.1.2.6).
    pub(super) fn with_subject(&self, subject: &X509NameRef) -> Result<Vec<X509>, Damaged> {
        let octets = subject.to_der().map_err(|_| Damaged)?;
        let finder = memmem::Finder::new(&octets);
        let are_few = self.0.len() <= FEW;
        let named = self.0.iter().filter(|certificate| are_few || finder.find(certificate).is_some());
        let mut found = Vec::new();
        for certificate in named {
            let certificate = X509::from_der(certificate).map_err(|_| Damaged)?;
            if matches!(certificate.subject_name().try_cmp(subject), Ok(Ordering::Equal)) {
                found.push(certificate);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::x509::{X509Name, X509NameBuilder};

    fn name(text: &str) -> X509Name {
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", text).unwrap();
        name.build()
    }

    fn certificate(subject: &str, issuer: &str) -> X509 {
        let key = PKey::generate_ed25519().unwrap();
        let mut builder = X509::builder().unwrap();
        builder.set_subject_name(&name(subject)).unwrap();
        builder.set_issuer_name(&name(issuer)).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.sign(&key, MessageDigest::null()).unwrap();
        builder.build()
    }

    fn pem(certificates: &[&X509]) -> Vec<u8> {
        certificates.iter().flat_map(|certificate| certificate.to_pem().unwrap()).collect()
    }

    fn found(text: &[u8], subject: &str) -> Result<usize, Damaged> {
        Bundle::read(text)?.with_subject(&name(subject)).map(|found| found.len())
    }

    #[test]
    fn certificates_are_found_by_their_subject() {
        let (a, b, again) = (certificate("a", "b"), certificate("b", "b"), certificate("b", "c"));
        let text = pem(&[&a, &b, &again]);
        assert_eq!((found(&text, "a"), found(&text, "b"), found(&text, "c")), (Ok(1), Ok(2), Ok(0)));
        assert!(Bundle::read(b"").unwrap().is_empty());
        let others: Vec<X509> = (0..20).map(|number| certificate(&format!("other{number}"), "a")).collect();
        let many = [pem(&others.iter().collect::<Vec<_>>()), text].concat();
        assert_eq!((found(&many, "a"), found(&many, "b"), found(&many, "c")), (Ok(1), Ok(2), Ok(0)));
        assert_eq!(found(&many, "other7"), Ok(1));
    }

    #[test]
    fn comments_line_ends_and_labels_are_those_of_openssl() {
        let text = String::from_utf8(pem(&[&certificate("a", "a")])).unwrap();
        for text in [
            text.replace('\n', "\r\n").into_bytes(),
            [&b"# M\xfcller CA\nissuer: x\n"[..], text.as_bytes(), b"trailing"].concat(),
            text.replace("CERTIFICATE", "X509 CERTIFICATE").into_bytes(),
            text.trim_end().as_bytes().to_vec(),
        ] {
            assert_eq!(found(&text, "a"), Ok(1), "{}", text.escape_ascii());
        }
        // Keys and requests are no certificates, and what has settings for its trust is not taken without them.
        for other in ["PRIVATE KEY", "TRUSTED CERTIFICATE"] {
            assert_eq!(found(text.replace("CERTIFICATE", other).as_bytes(), "a"), Ok(0));
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_an_error() {
        let text = String::from_utf8(pem(&[&certificate("a", "a")])).unwrap();
        let (begin, end) = ("-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n");
        for text in [
            begin.to_owned(),
            text.replace(end, ""),
            format!("{begin}{text}"),
            format!("{begin}!!!!\n{end}"),
            format!("{text}{begin}MIIB\u{e9}\n{end}"),
        ] {
            assert!(Bundle::read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Bundle::read(&[begin.as_bytes(), b"\xff\n", end.as_bytes()].concat()).is_err());
    }
}
