//! `domaincerts`: the client certificate by the sender's domain, `domain:certificate|keyfile|password`.
//!
//! Which one is selected here; `client_key` reads the files.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::keys::{self, Keys};
use super::routes::Origin;
use super::{ControlDirectory, ControlError};
use crate::report::printable;
use crate::sealed::Sealed;

/// The file's name.
pub const FILE: &str = "domaincerts";

/// A client certificate and what opens its key.
#[derive(PartialEq, Eq)]
pub struct DomainCert {
    /// Where it stands.
    pub origin: Origin,
    /// The chain, PEM.
    pub certificate: PathBuf,
    /// The key, PEM: by default in the same file.
    pub key: PathBuf,
    /// The key's password.
    pub password: Option<Sealed>,
}

impl std::fmt::Debug for DomainCert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DomainCert")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The certificate for this sender: by its domain, each suffix of it that starts at a dot, or `*`.
pub fn look_up(control: &ControlDirectory, sender: &[u8]) -> Result<Option<DomainCert>, ControlError> {
    let entry = control.find::<Sealed>(FILE, &keys_for(sender), |_| true)?;
    entry.map(|entry| parse(Origin { file: FILE, line: entry.line }, &entry.value?)).transpose()
}

/// The keys that are asked for, best first.
pub fn keys_for(sender: &[u8]) -> Keys {
    Keys::new(keys::of_sender_domain(sender).into_iter().chain([b"*".to_vec()]))
}

/// Reads the value of a line.
pub fn parse(origin: Origin, value: &[u8]) -> Result<DomainCert, ControlError> {
    // The password is last and may hold bars.
    let mut fields = value.splitn(3, |&octet| octet == b'|');
    let path = |field: Option<&[u8]>| {
        field.filter(|path| !path.is_empty()).map(|path| PathBuf::from(OsString::from_vec(path.to_vec())))
    };
    let certificate = path(fields.next()).ok_or_else(|| origin.bad("there is no certificate"))?;
    let key = path(fields.next()).unwrap_or_else(|| certificate.clone());
    let password = fields.next().filter(|password| !password.is_empty());
    Ok(DomainCert { origin, certificate, key, password: password.map(Sealed::copy_of).transpose()? })
}

/// The name of such a file, for people to read. What does not look like one may be a password in the wrong field.
pub fn shown(path: &Path) -> String {
    let name = path.as_os_str().as_bytes();
    let is_one = path.is_absolute() && !name.iter().any(|octet| b";:, \t".contains(octet));
    if is_one { printable(name) } else { "(not a path)".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestHome;
    use super::*;

    fn found(text: &str, sender: &str) -> Result<Option<(String, String, Option<String>)>, ControlError> {
        let home = TestHome::new(&[(FILE, text.as_bytes())]);
        let found = look_up(&home.control(), sender.as_bytes())?;
        Ok(found.map(|cert| {
            let password = cert.password.map(|octets| String::from_utf8(octets.to_vec()).unwrap());
            (cert.certificate.display().to_string(), cert.key.display().to_string(), password)
        }))
    }

    #[test]
    fn the_key_is_in_the_certificates_file_unless_named() {
        let text = "a.test:/c|/k|p|q\n.test:/d||p\n*:/e\n";
        let is = |certificate: &str, key: &str, password: Option<&str>| {
            Ok(Some((certificate.to_owned(), key.to_owned(), password.map(Into::into))))
        };
        assert_eq!(found(text, "x@a.test"), is("/c", "/k", Some("p|q")));
        assert_eq!(found(text, "x@b.test"), is("/d", "/d", Some("p")));
        assert_eq!(found(text, "x@b.example"), is("/e", "/e", None));
        assert_eq!(found(text, ""), is("/e", "/e", None));
        assert_eq!(found(":/c\n", "x@a.test"), Ok(None), "the empty key means nothing here");
        let origin = Origin { file: FILE, line: 1 };
        assert_eq!(found("*:|/k\n", ""), Err(origin.bad("there is no certificate")));
    }

    #[test]
    fn only_what_looks_like_the_name_of_a_file_is_shown() {
        assert_eq!(shown(Path::new("/etc/ssl/a\u{e9}.pem")), "/etc/ssl/a??.pem");
        for other in
            ["", "secret", "/c.pem;/k.pem;secret", "/c.pem:/k.pem:secret", "/c.pem secret", "/c.pem,secret"]
        {
            assert_eq!(shown(Path::new(other)), "(not a path)");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let home = TestHome::new(&[(FILE, b"*:/c|/k|secret\n")]);
        let cert = look_up(&home.control(), b"").unwrap();
        assert!(!format!("{cert:?}").contains("secret"));
    }
}
