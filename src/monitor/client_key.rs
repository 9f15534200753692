//! The client certificate that `domaincerts` selects, and its key. Monitor only.
//!
//! Trusts the files, which are the administrator's. Before the fork they go by read(2) into sealed pages, and the blocks of
//! certificates alone leave those, for the plan. The key is parsed when the network child exists, so that nothing OpenSSL
//! makes of it was ever in memory that the child has a copy of. What cannot be used stops the delivery before the network
//! child may begin; the report names a file and nothing of its content.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Ref};

use super::control::HOME;
use super::control::domaincerts::DomainCert;
use super::signer::Signer;
use super::trust_store;
use crate::plan::ClientCertificate;
use crate::sealed::Sealed;

/// What cannot be used, and the file that is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// There is no certificate in it that can be read and is valid now.
    Certificate(PathBuf),
    /// There is no key in it that can be read and that signs.
    Key(PathBuf),
    /// The certificate in it is another key's.
    Mismatch(PathBuf),
}

/// A key as it was read, and what opens it.
#[derive(Debug)]
pub struct SealedKey {
    file: PathBuf,
    pem: Sealed,
    password: Option<Sealed>,
}

/// Reads the files of a line.
pub fn read(line: DomainCert) -> Result<(ClientCertificate, SealedKey), Unusable> {
    let DomainCert { certificate: file, key: key_file, password, .. } = line;
    let pem = content(&file).ok_or_else(|| Unusable::Certificate(file.clone()))?;
    let chain = trust_store::certificates_of(&pem);
    let pem = match key_file == file {
        true => pem,
        false => content(&key_file).ok_or_else(|| Unusable::Key(key_file.clone()))?,
    };
    Ok((ClientCertificate { file, chain }, SealedKey { file: key_file, pem, password }))
}

/// A relative name begins at qmail's home, where s/qmail runs.
fn content(file: &Path) -> Option<Sealed> {
    let limit = usize::try_from(trust_store::LONGEST_FILE).ok()?;
    Sealed::of_file(&trust_store::open(&Path::new(HOME).join(file)).ok()?, limit).ok()
}

impl SealedKey {
    /// Parses the key, which `certificate` must certify. The sealed form is wiped with that. Not before the fork.
    pub fn open(self, certificate: &ClientCertificate) -> Result<Signer, Unusable> {
        let ClientCertificate { file, chain } = certificate;
        let chain = X509::stack_from_pem(chain).unwrap_or_default();
        let leaf = chain.first().filter(|leaf| is_valid_now(leaf));
        let leaf = leaf.ok_or_else(|| Unusable::Certificate(file.clone()))?;
        let (Ok(public), Ok(der)) = (leaf.public_key(), leaf.to_der()) else {
            return Err(Unusable::Certificate(file.clone()));
        };
        let key = self.parse().ok_or_else(|| Unusable::Key(self.file.clone()))?;
        if !public.public_eq(&key) {
            return Err(Unusable::Mismatch(file.clone()));
        }
        Signer::new(key, der).ok_or(Unusable::Key(self.file))
    }

    fn parse(&self) -> Option<PKey<Private>> {
        // Without a callback OpenSSL would ask at the terminal.
        let key = PKey::private_key_from_pem_callback(&self.pem, |room| {
            let password = self.password.as_deref().unwrap_or_default();
            let place = room.get_mut(..password.len());
            Ok(place.map_or(0, |place| {
                place.copy_from_slice(password);
                password.len()
            }))
        });
        key.ok()
    }
}

/// A server could only refuse it at another time.
fn is_valid_now(certificate: &X509Ref) -> bool {
    let now = Asn1Time::days_from_now(0);
    now.is_ok_and(|now| certificate.not_before() <= now && certificate.not_after() > now)
}
