//! Hands trust anchors to the network child. Monitor only, confined.
//!
//! The files are the administrator's or the system's; of them the blocks of certificates are passed on: certificates are
//! parsed in the child alone, and only those that a server's chain asks for are read at all. The child gives nothing but
//! the hash of a name.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::ipc::AnchorQuery;
use crate::sys;
use crate::tls_policy::TrustAnchors;

/// Trust anchors that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoTrustAnchors(pub TrustAnchors);

/// No file of certificates is longer, in octets: they have a few hundred KiB.
pub const LONGEST_FILE: u64 = 8 * 1024 * 1024;
/// No more certificates with one hash are read.
const MOST_WITH_ONE_HASH: u8 = 16;

/// Looks whether there is anything to verify by, so that a mistake shows before anything is sent.
pub fn check(anchors: &TrustAnchors) -> Result<(), NoTrustAnchors> {
    let [file, directory] = places(anchors);
    let file_is_there = file.as_ref().is_some_and(|file| open(file).is_ok());
    let directory_is_there = directory.as_ref().is_some_and(|path| std::fs::read_dir(path).is_ok());
    if file_is_there || directory_is_there { Ok(()) } else { Err(NoTrustAnchors(anchors.clone())) }
}

/// The answer to `query`, in PEM. Empty when there is no such certificate.
pub fn read(anchors: &TrustAnchors, query: AnchorQuery) -> Result<Vec<u8>, NoTrustAnchors> {
    let [file, directory] = places(anchors);
    let result = match (query, &file, &directory) {
        (AnchorQuery::File, Some(file), _) => open(file).and_then(|file| append(file, Zeroizing::default())),
        (AnchorQuery::BySubject(hash), _, Some(directory)) => with_hash(directory, hash),
        (AnchorQuery::File, None, _) | (AnchorQuery::BySubject(_), _, None) => Ok(Zeroizing::default()),
    };
    match result {
        Ok(octets) => Ok(certificates_of(&octets)),
        // One of the system's two places may be missing.
        Err(error) if error.kind() == ErrorKind::NotFound && *anchors == TrustAnchors::System => {
            Ok(Vec::new())
        }
        Err(_) => Err(NoTrustAnchors(anchors.clone())),
    }
}

/// File and directory. Those of the system are compiled into OpenSSL.
pub(super) fn places(anchors: &TrustAnchors) -> [Option<PathBuf>; 2] {
    match anchors {
        TrustAnchors::File(file) => [Some(file.clone()), None],
        TrustAnchors::Directory(directory) => [None, Some(directory.clone())],
        TrustAnchors::System => [Some(sys::certificate_file()), Some(sys::certificate_directory())],
    }
}

fn with_hash(directory: &Path, hash: u32) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::default();
    for number in 0..MOST_WITH_ONE_HASH {
        match open(&directory.join(format!("{hash:08x}.{number}"))) {
            Ok(file) => octets = append(file, octets)?,
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(octets)
}

/// Only a regular file: nothing else may hold the delivery up.
pub(super) fn open(path: &Path) -> std::io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(ErrorKind::InvalidInput.into()) }
}

/// The lines that begin a certificate, in the forms that OpenSSL reads.
const BEGINNINGS: [&[u8]; 3] = [
    b"-----BEGIN CERTIFICATE-----",
    b"-----BEGIN X509 CERTIFICATE-----",
    b"-----BEGIN TRUSTED CERTIFICATE-----",
];

/// The blocks of certificates, and nothing that stands between them: a file may hold a private key too, which the child
/// must never see. One with headers (RFC 1421), by which it may be encrypted, is none: OpenSSL would ask for its password.
pub fn certificates_of(pem: &[u8]) -> Vec<u8> {
    let mut certificates = Vec::new();
    // Where the present block begins.
    let mut block = None;
    for line in pem.split_inclusive(|&octet| octet == b'\n') {
        let label = line.trim_ascii_end();
        if label.starts_with(b"-----BEGIN ") {
            block = BEGINNINGS.contains(&label).then_some(certificates.len());
        }
        match block {
            Some(begin) if label.contains(&b':') => {
                certificates.truncate(begin);
                block = None;
            }
            Some(_) => certificates.extend_from_slice(line),
            None => {}
        }
        if label.starts_with(b"-----END ") {
            block = None;
        }
    }
    certificates
}

fn append(file: File, mut octets: Zeroizing<Vec<u8>>) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let count = file.take(LONGEST_FILE.saturating_add(1)).read_to_end(&mut octets)?;
    // A piece that ends without a line feed must not run into the next.
    octets.push(b'\n');
    let fits = u64::try_from(count).is_ok_and(|count| count <= LONGEST_FILE);
    if fits { Ok(octets) } else { Err(ErrorKind::FileTooLarge.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_passed_on() {
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let trusted = "-----BEGIN TRUSTED CERTIFICATE-----\r\nMIIC\r\n-----END TRUSTED CERTIFICATE-----\r\n";
        let key = "-----BEGIN PRIVATE KEY-----\nxyzzy\n-----END PRIVATE KEY-----\n";
        let passed = |text: &str| String::from_utf8(certificates_of(text.as_bytes())).unwrap();
        assert_eq!(
            passed(&format!("a comment\n{key}{certificate}password\n{trusted}{key}")),
            format!("{certificate}{trusted}")
        );
        // Where an end is missing the child sees a damaged block, and still no key.
        let unended = "-----BEGIN CERTIFICATE-----\nMIIB\n";
        assert_eq!(passed(&format!("{unended}{key}")), unended);
        assert_eq!(passed(key), "");
        // A file that has lost its line ends begins with a key here.
        let one_line = format!("{key}{certificate}").replace('\n', " ");
        for other in
            [one_line.as_str(), "-----BEGIN NO CERTIFICATE-----\nMIIB\n-----END NO CERTIFICATE-----\n"]
        {
            assert_eq!(passed(&format!("{other}\n{certificate}")), certificate);
        }
        let headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n";
        let encrypted = certificate.replacen("MIIB", &format!("{headers}MIIB"), 1);
        assert_eq!(passed(&format!("{certificate}{encrypted}{trusted}")), format!("{certificate}{trusted}"));
    }
}
