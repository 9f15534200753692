//! Certificates for the servers of a test: a throw-away authority, what it issues, and acceptors.
//!
//! Keys are ECDSA P-256 unless asked otherwise, made anew for every run and worth nothing outside the private network.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: X509,
    /// Its private key.
    pub key: PKey<Private>,
}

/// The files that [`Identity::write`] made.
pub struct Files {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM, PKCS#8, without a password.
    pub key: PathBuf,
}

impl Identity {
    /// A certificate that vouches for itself. Names that read as IP addresses become address entries.
    ///
    /// # Errors
    /// OpenSSL refuses a name, or fails.
    pub fn self_signed(names: &[&str]) -> Result<Self, ErrorStack> {
        let (start, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(2)?);
        Identity::self_signed_within(names, &start, &end)
    }

    /// The same, valid from `start` to `end`.
    ///
    /// # Errors
    /// OpenSSL refuses a name, or fails.
    pub fn self_signed_within(
        names: &[&str],
        start: &Asn1TimeRef,
        end: &Asn1TimeRef,
    ) -> Result<Self, ErrorStack> {
        Self::vouch_for_itself(names, new_key()?, start, end)
    }

    /// The same as [`self_signed`](Identity::self_signed) with an RSA key of 2048 bits.
    ///
    /// # Errors
    /// OpenSSL refuses a name, or fails.
    pub fn self_signed_rsa(names: &[&str]) -> Result<Self, ErrorStack> {
        let (start, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(2)?);
        Self::vouch_for_itself(names, PKey::from_rsa(Rsa::generate(2048)?)?, &start, &end)
    }

    fn vouch_for_itself(
        names: &[&str],
        key: PKey<Private>,
        start: &Asn1TimeRef,
        end: &Asn1TimeRef,
    ) -> Result<Self, ErrorStack> {
        let subject = subject(names.first().copied().unwrap_or("localhost"))?;
        let mut builder = prepare(&subject, &subject, &key)?;
        builder.set_not_before(start)?;
        builder.set_not_after(end)?;
        add_server_extensions(&mut builder, None, names)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }

    /// Writes `NAME.pem` and `NAME.key` into a directory.
    ///
    /// # Errors
    /// A file cannot be written, or OpenSSL cannot encode.
    pub fn write(&self, directory: &Path, name: &str) -> io::Result<Files> {
        let files = Files {
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        fs::write(&files.certificate, self.certificate.to_pem()?)?;
        fs::write(&files.key, self.key.private_key_to_pem_pkcs8()?)?;
        Ok(files)
    }

    /// Writes `NAME.chain` into a directory: the key, the certificate, and those that follow it, in one PEM file, as
    /// Postfix's `smtpd_tls_chain_files` wants it.
    ///
    /// # Errors
    /// The file cannot be written, or OpenSSL cannot encode.
    pub fn write_chain(&self, directory: &Path, name: &str, following: &[X509]) -> io::Result<PathBuf> {
        let mut pem = self.key.private_key_to_pem_pkcs8()?;
        for certificate in std::iter::once(&self.certificate).chain(following) {
            pem.extend(certificate.to_pem()?);
        }
        let file = directory.join(format!("{name}.chain"));
        fs::write(&file, pem)?;
        Ok(file)
    }

    /// What a server needs to answer handshakes with this certificate; clients of TLS 1.2 and up.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn acceptor(&self) -> Result<SslAcceptor, ErrorStack> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_certificate(&self.certificate)?;
        builder.set_private_key(&self.key)?;
        builder.check_private_key()?;
        Ok(builder.build())
    }
}

/// A certificate authority that lives as long as the test.
pub struct Authority(Identity);

impl Authority {
    /// Makes one, with this common name.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn new(name: &str) -> Result<Self, ErrorStack> {
        Self::make(name, None)
    }

    /// An intermediate authority, which this one vouches for.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn intermediate(&self, name: &str) -> Result<Self, ErrorStack> {
        Self::make(name, Some(&self.0))
    }

    /// An authority below `above`, or one of its own.
    fn make(name: &str, above: Option<&Identity>) -> Result<Self, ErrorStack> {
        let key = new_key()?;
        let subject = subject(name)?;
        let issuer = above.map_or(&*subject, |above| above.certificate.subject_name());
        let mut builder = prepare(issuer, &subject, &key)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
        builder.append_extension(identifier)?;
        builder.sign(above.map_or(&key, |above| &above.key), MessageDigest::sha256())?;
        Ok(Self(Identity { certificate: builder.build(), key }))
    }

    /// The authority's own certificate and key.
    pub fn identity(&self) -> &Identity {
        &self.0
    }

    /// Issues a server certificate for these names or IP addresses.
    ///
    /// # Errors
    /// OpenSSL refuses a name, or fails.
    pub fn issue(&self, names: &[&str]) -> Result<Identity, ErrorStack> {
        let (start, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(2)?);
        self.issue_within(names, &start, &end)
    }

    /// The same, valid from `start` to `end`.
    ///
    /// # Errors
    /// OpenSSL refuses a name, or fails.
    pub fn issue_within(
        &self,
        names: &[&str],
        start: &Asn1TimeRef,
        end: &Asn1TimeRef,
    ) -> Result<Identity, ErrorStack> {
        let key = new_key()?;
        let subject = subject(names.first().copied().unwrap_or("localhost"))?;
        let mut builder = prepare(self.0.certificate.subject_name(), &subject, &key)?;
        builder.set_not_before(start)?;
        builder.set_not_after(end)?;
        add_server_extensions(&mut builder, Some(&self.0.certificate), names)?;
        builder.sign(&self.0.key, MessageDigest::sha256())?;
        Ok(Identity { certificate: builder.build(), key })
    }
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

fn subject(name: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509NameBuilder::new()?;
    // A common name holds at most 64 characters; the alternative names hold the whole.
    let short: String = name.chars().take(64).collect();
    builder.append_entry_by_nid(Nid::COMMONNAME, &short)?;
    Ok(builder.build())
}

fn prepare(
    issuer: &openssl::x509::X509NameRef,
    subject: &X509Name,
    key: &PKey<Private>,
) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let (serial, start, end) =
        (serial.to_asn1_integer()?, Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(2)?);

    let mut builder = X509::builder()?;
    builder.set_version(2)?; // X.509 v3
    builder.set_serial_number(&serial)?;
    builder.set_issuer_name(issuer)?;
    builder.set_subject_name(subject)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&start)?;
    builder.set_not_after(&end)?;
    Ok(builder)
}

fn add_server_extensions(
    builder: &mut X509Builder,
    issuer: Option<&X509>,
    names: &[&str],
) -> Result<(), ErrorStack> {
    let mut alternatives = SubjectAlternativeName::new();
    for name in names {
        if name.parse::<IpAddr>().is_ok() {
            alternatives.ip(name);
        } else {
            alternatives.dns(name);
        }
    }
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;

    let context = builder.x509v3_context(issuer.map(std::ops::Deref::deref), None);
    let alternatives = (!names.is_empty()).then(|| alternatives.build(&context)).transpose()?;
    let own = SubjectKeyIdentifier::new().build(&context)?;
    let above = issuer.map(|_| AuthorityKeyIdentifier::new().keyid(true).build(&context)).transpose()?;
    for extension in [alternatives, Some(own), above].into_iter().flatten() {
        builder.append_extension(extension)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::stack::Stack;
    use openssl::x509::X509StoreContext;
    use openssl::x509::store::X509StoreBuilder;

    #[test]
    fn issued_certificate_verifies_against_its_authority_only() {
        let authority = Authority::new("Test authority").unwrap();
        let leaf = authority.issue(&["mx1.example.test", "192.0.2.10"]).unwrap();
        let stranger = Identity::self_signed(&["mx1.example.test"]).unwrap();

        let verify = |certificate: &X509| {
            let mut store = X509StoreBuilder::new().unwrap();
            store.add_cert(authority.identity().certificate.clone()).unwrap();
            let mut context = X509StoreContext::new().unwrap();
            context
                .init(&store.build(), certificate, &Stack::new().unwrap(), |context| context.verify_cert())
                .unwrap()
        };
        assert!(verify(&leaf.certificate));
        assert!(!verify(&stranger.certificate));

        let names = leaf.certificate.subject_alt_names().unwrap();
        assert_eq!(names.get(0).unwrap().dnsname(), Some("mx1.example.test"));
        assert_eq!(names.get(1).unwrap().ipaddress(), Some(&[192, 0, 2, 10][..]));
    }
}
