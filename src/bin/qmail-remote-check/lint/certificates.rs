//! Files of certificates and keys, and `domaincerts`, which names them.
//!
//! Nothing of a value is printed: a password may stand in the wrong field.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Ref};
use qmail_remote::monitor::control::routes::Origin;
use qmail_remote::monitor::control::{HOME, domaincerts};
use qmail_remote::monitor::signer::Signer;
use qmail_remote::monitor::trust_store::{LONGEST_FILE, certificates_of};

use super::files;
use super::lists::Remarks;

/// How long before its end a certificate is to be replaced, in days.
const NOTICE: u32 = 14;

/// Checks a line of `domaincerts`.
pub(super) fn check(origin: Origin, value: &[u8], remarks: &mut Remarks) {
    let cert = match domaincerts::parse(origin, value) {
        Ok(cert) => cert,
        Err(error) => {
            return remarks.refused(&error, "write domain:/path/of/certificate|/path/of/key|password");
        }
    };
    let chain = match in_file(&cert.certificate) {
        Ok(chain) => chain,
        Err(problem) => return remarks.error(format!("the certificate's file {problem}")),
    };
    check_times(&chain, remarks);
    let password = cert.password.as_deref();
    match key(&cert.key, password) {
        Err(problem) => remarks.error(format!("the key's file {problem}")),
        Ok(key) => {
            let file = in_home(&cert.key);
            if files::is_world_readable(&file) {
                let private = files::private_for_deliveries(&file);
                remarks.error(format!("every user can read the key's file: {private}"));
            }
            let fits = |leaf: &X509| leaf.public_key().is_ok_and(|public| public.public_eq(&key));
            if !chain.first().is_some_and(fits) {
                remarks.error("the key is not the one of the certificate: name the key that was made for it");
            }
            if Signer::new(key, Vec::new()).is_none() {
                remarks.error("the key is of a kind that is not used: make one of RSA, ECDSA or Ed25519");
            }
        }
    }
}

/// The certificates of a PEM file, at least one; or what is wrong, in words that follow the file's name.
pub(super) fn in_file(path: &Path) -> Result<Vec<X509>, String> {
    let certificates = X509::stack_from_pem(&certificates_of(&content(path)?)).unwrap_or_default();
    if certificates.is_empty() {
        Err("holds no certificate in PEM form".to_owned())
    } else {
        Ok(certificates)
    }
}

/// Where a delivery looks for a file that has this name.
fn in_home(path: &Path) -> PathBuf {
    Path::new(HOME).join(path)
}

fn content(path: &Path) -> Result<Vec<u8>, String> {
    let is_relative = path.is_relative();
    let path = &in_home(path);
    if !path.is_file() {
        let begins =
            if is_relative { format!(", and a relative name begins at {HOME}") } else { String::new() };
        return Err(files::reason(path) + &begins);
    }
    if fs::metadata(path).is_ok_and(|found| found.len() > LONGEST_FILE) {
        return Err(format!("is longer than {LONGEST_FILE} octets, which no delivery reads"));
    }
    let content = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let closed = files::unreadable_for_deliveries(path).map(|problem| format!("is closed: {problem}"));
    let open = files::writable_for_all(path).map(|problem| format!("is open: {problem}"));
    match closed.or(open) {
        Some(problem) => Err(problem),
        None if content.is_empty() => Err("is empty".to_owned()),
        None => Ok(content),
    }
}

fn check_times(chain: &[X509], remarks: &mut Remarks) {
    let (Ok(now), Ok(soon)) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(NOTICE)) else {
        return;
    };
    let find = |is_so: &dyn Fn(&X509Ref) -> bool| chain.iter().find(|certificate| is_so(certificate));
    let ends = |certificate: &X509, by: &Asn1TimeRef| certificate.not_after() < by;
    if let Some(late) = chain.iter().find(|certificate| ends(certificate, &now)) {
        remarks.error(format!("the certificate has expired on {}: replace it", late.not_after()));
    } else if let Some(early) = find(&|certificate| certificate.not_before() > now) {
        remarks.error(format!("the certificate is valid from {} on only", early.not_before()));
    } else if let Some(soon) = chain.iter().find(|certificate| ends(certificate, &soon)) {
        remarks.warning(format!("the certificate expires on {}: replace it", soon.not_after()));
    }
}

/// How many have come to their end.
pub(super) fn count_expired(certificates: &[X509]) -> usize {
    let Ok(now) = Asn1Time::days_from_now(0) else { return 0 };
    certificates.iter().filter(|certificate| certificate.not_after() < now).count()
}

/// The key of a PEM file; or what is wrong, in words that follow the file's name.
fn key(path: &Path, password: Option<&[u8]>) -> Result<PKey<Private>, String> {
    let content = zeroize::Zeroizing::new(content(path)?);
    let mut asked = false;
    // Without a callback OpenSSL would ask at the terminal.
    let key = PKey::private_key_from_pem_callback(&content, |room| {
        asked = true;
        let password = password.unwrap_or_default();
        match room.get_mut(..password.len()) {
            Some(room) => room.copy_from_slice(password),
            None => return Ok(0),
        }
        Ok(password.len())
    });
    key.map_err(|_| {
        match (asked, password) {
            (false, _) => "holds no private key in PEM form",
            (true, None) => "is encrypted, and there is no password: write certificate|key|password",
            (true, Some(_)) => "is encrypted with another password",
        }
        .to_owned()
    })
}
