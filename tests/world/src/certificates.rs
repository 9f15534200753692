//! Certificates for the servers of a test: a throw-away authority, what it issues, and acceptors.
//!
//! Keys are ECDSA P-256 unless given, made anew for every run and worth nothing outside the private network.

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
use openssl::pkey::{Id, PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode, SslVersion};
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
#[derive(Clone, Debug)]
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
        Self::self_signed_with(&Content { names, ..Content::default() })
    }

    /// A certificate that vouches for itself and says this.
    ///
    /// # Errors
    /// OpenSSL refuses a name, or fails.
    pub fn self_signed_with(content: &Content<'_>) -> Result<Self, ErrorStack> {
        let key = content.key.map_or_else(new_key, |key| Ok(key.clone()))?;
        let subject = content.subject()?;
        let mut builder = prepare(&subject, &subject, &key, content)?;
        add_extensions(&mut builder, None, content)?;
        sign(&mut builder, &key)?;
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
        self.acceptor_below(&[])
    }

    /// The same, and clients need a certificate too, whichever.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn acceptor_that_demands_one(&self) -> Result<SslAcceptor, ErrorStack> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_certificate(&self.certificate)?;
        builder.set_private_key(&self.key)?;
        builder.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, |_, _| true);
        Ok(builder.build())
    }

    /// The same, and the certificates of these authorities are presented after the server's own.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn acceptor_below(&self, authorities: &[&Authority]) -> Result<SslAcceptor, ErrorStack> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_certificate(&self.certificate)?;
        builder.set_private_key(&self.key)?;
        builder.check_private_key()?;
        for authority in authorities {
            builder.add_extra_chain_cert(authority.identity().certificate.clone())?;
        }
        Ok(builder.build())
    }
}

/// An acceptor that has no certificate: it knows nothing but anonymous suites of TLS 1.2.
///
/// # Errors
/// OpenSSL fails.
pub fn anonymous_acceptor() -> Result<SslAcceptor, ErrorStack> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_security_level(0);
    builder.set_cipher_list("aNULL")?;
    Ok(builder.build())
}

/// An acceptor that no client comes to terms with: all its suites need a certificate, and it has none.
///
/// # Errors
/// OpenSSL fails.
pub fn failing_acceptor() -> Result<SslAcceptor, ErrorStack> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    Ok(builder.build())
}

/// What a certificate says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'a> {
    /// The alternative names; those that read as IP addresses become address entries.
    pub names: &'a [&'a str],
    /// The common name; none: the first of the names.
    pub common_name: Option<&'a str>,
    /// From when to when it is valid; none: now, and the next two days.
    pub valid: Option<(&'a Asn1TimeRef, &'a Asn1TimeRef)>,
    /// It is for clients, not for servers.
    pub for_clients: bool,
    /// Its key; none: a new one.
    pub key: Option<&'a PKey<Private>>,
}

impl Content<'_> {
    fn subject(&self) -> Result<X509Name, ErrorStack> {
        subject(self.common_name.or(self.names.first().copied()).unwrap_or("localhost"))
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
        Self::signed_by(None, name, new_key()?)
    }

    /// Makes one that signs with this key.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn with_key(name: &str, key: PKey<Private>) -> Result<Self, ErrorStack> {
        Self::signed_by(None, name, key)
    }

    /// One that this one vouches for.
    ///
    /// # Errors
    /// OpenSSL fails.
    pub fn authority(&self, name: &str) -> Result<Self, ErrorStack> {
        Self::signed_by(Some(self.identity()), name, new_key()?)
    }

    /// Makes one of somebody who is none, and signs with that key.
    pub fn from_identity(identity: Identity) -> Self {
        Self(identity)
    }

    fn signed_by(issuer: Option<&Identity>, name: &str, key: PKey<Private>) -> Result<Self, ErrorStack> {
        let subject = subject(name)?;
        let issuer_name = issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name());
        let mut builder = prepare(issuer_name, &subject, &key, &Content::default())?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
        builder.append_extension(identifier)?;
        sign(&mut builder, issuer.map_or(&key, |issuer| &issuer.key))?;
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
        self.issue_with(&Content { names, ..Content::default() })
    }

    /// Issues a certificate that says this.
    ///
    /// # Errors
    /// OpenSSL refuses a name, or fails.
    pub fn issue_with(&self, content: &Content<'_>) -> Result<Identity, ErrorStack> {
        let key = content.key.map_or_else(new_key, |key| Ok(key.clone()))?;
        let mut builder = prepare(self.0.certificate.subject_name(), &content.subject()?, &key, content)?;
        add_extensions(&mut builder, Some(&self.0.certificate), content)?;
        sign(&mut builder, &self.0.key)?;
        Ok(Identity { certificate: builder.build(), key })
    }
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

fn sign(builder: &mut X509Builder, key: &PKey<Private>) -> Result<(), ErrorStack> {
    let digest = match key.id() {
        // They bring their own.
        Id::ED25519 | Id::ED448 => MessageDigest::null(),
        _ => MessageDigest::sha256(),
    };
    builder.sign(key, digest)
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
    content: &Content<'_>,
) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;
    let (now, soon) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(2)?);
    let (start, end) = content.valid.unwrap_or((&now, &soon));

    let mut builder = X509::builder()?;
    builder.set_version(2)?; // X.509 v3
    builder.set_serial_number(&serial)?;
    builder.set_issuer_name(issuer)?;
    builder.set_subject_name(subject)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(start)?;
    builder.set_not_after(end)?;
    Ok(builder)
}

fn add_extensions(
    builder: &mut X509Builder,
    issuer: Option<&X509>,
    content: &Content<'_>,
) -> Result<(), ErrorStack> {
    let mut alternatives = SubjectAlternativeName::new();
    for name in content.names {
        if name.parse::<IpAddr>().is_ok() {
            alternatives.ip(name);
        } else {
            alternatives.dns(name);
        }
    }
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    let mut purposes = ExtendedKeyUsage::new();
    if !content.for_clients {
        purposes.server_auth();
    }
    builder.append_extension(purposes.client_auth().build()?)?;

    let context = builder.x509v3_context(issuer.map(std::ops::Deref::deref), None);
    let alternatives = (!content.names.is_empty()).then(|| alternatives.build(&context)).transpose()?;
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
