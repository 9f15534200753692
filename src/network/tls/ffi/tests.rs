//! Each foreign function, called.

use super::*;
use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslOptions};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Extension, X509NameBuilder};

fn certificate(common_name: &str, names: &[&str], addresses: &[&str]) -> X509 {
    let alternatives = (!names.is_empty() || !addresses.is_empty()).then(|| {
        let mut alternatives = SubjectAlternativeName::new();
        for name in names {
            alternatives.dns(name);
        }
        for address in addresses {
            alternatives.ip(address);
        }
        alternatives.build(&X509::builder().unwrap().x509v3_context(None, None)).unwrap()
    });
    certificate_with(common_name, alternatives)
}

fn certificate_with(common_name: &str, alternatives: Option<X509Extension>) -> X509 {
    let key = PKey::generate_ed25519().unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", common_name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    if let Some(extension) = alternatives {
        builder.append_extension(extension).unwrap();
    }
    builder.sign(&key, MessageDigest::null()).unwrap();
    builder.build()
}

fn name(text: &str) -> HostName {
    HostName::parse(text.as_bytes()).unwrap()
}

#[test]
fn the_configuration_is_a_file_of_that_name() {
    assert_eq!(configuration_file().unwrap().file_name().unwrap(), "openssl.cnf");
}

#[test]
fn a_configuration_is_used_as_openssl_uses_its_own() {
    let policy = "[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nOptions = -SessionTicket\n";
    let is_policy =
        || SslContext::builder(SslMethod::tls_client()).unwrap().options().contains(SslOptions::NO_TICKET);
    assert!(apply_configuration(b""));
    // No configuration, and modules that fail: silence, but for those who want to know.
    assert!(apply_configuration(format!("openssl_conf = a\nmissing = $x\n{policy}").as_bytes()));
    let unknown = "openssl_conf = a\n[a]\nnone = of these\n";
    assert!(apply_configuration(unknown.as_bytes()));
    assert!(!apply_configuration(format!("config_diagnostics = 1\n{unknown}").as_bytes()));
    assert!(!is_policy());
    assert!(apply_configuration(format!("config_diagnostics = 1\nopenssl_conf = a\n{policy}").as_bytes()));
    assert!(is_policy());
}

#[test]
fn the_configuration_of_this_machine_loads() {
    assert!(load_configuration());
}

#[test]
fn names_match_by_alternative_names_and_else_by_the_common_name() {
    use Wildcards::{Leftmost, Refused};
    let plain = certificate("cn.test", &["a.test", "*.b.test"], &[]);
    for (host, wildcards, expected) in [
        ("a.test", Refused, true),
        ("A.TEST", Refused, true),
        ("x.b.test", Leftmost, true),
        ("x.b.test", Refused, false),
        ("x.y.b.test", Leftmost, false),
        ("b.test", Leftmost, false),
        ("cn.test", Refused, false),
        ("x.a.test", Leftmost, false),
    ] {
        assert_eq!(is_for_name(&plain, host, wildcards), expected, "{host} {wildcards:?}");
    }
    assert!(is_for_name(&certificate("cn.test", &[], &[]), "cn.test", Refused));
    assert!(!is_for_name(&certificate("x.test", &["x*.b.test"], &[]), "xy.b.test", Leftmost));
    assert!(!is_for_name(&certificate("cn.test", &[], &["192.0.2.3"]), "cn.test", Refused));
}

#[test]
fn the_common_name_does_not_stand_in_for_alternative_names_that_cannot_be_decoded() {
    let nonsense = Asn1OctetString::new_from_bytes(b"none").unwrap();
    let oid = Asn1Object::from_str("subjectAltName").unwrap();
    let nonsense = X509Extension::new_from_der(&oid, false, &nonsense).unwrap();
    let certificate = certificate_with("cn.test", Some(nonsense));
    assert!(certificate.subject_alt_names().is_none());
    assert!(!is_for_name(&certificate, "cn.test", Wildcards::Refused));
}

#[test]
fn addresses_match_by_alternative_names_only() {
    let certificate = certificate("192.0.2.1", &["192.0.2.2"], &["192.0.2.3", "2001:db8::3"]);
    let matches = |address: &str| is_for_address(&certificate, address.parse().unwrap());
    assert!(matches("192.0.2.3") && matches("2001:db8::3"));
    assert!(!matches("192.0.2.1") && !matches("192.0.2.2") && !matches("2001:db8::4"));
}

#[test]
fn dane_is_set_up_once_and_records_are_judged() {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    assert!(enable_dane_in_context(&mut context));
    let mut session = Ssl::new(&context.build()).unwrap();
    assert!(enable_dane(&mut session, &name("mx.example.test")));
    assert!(!enable_dane(&mut session, &name("mx.example.test")));
    skip_names_of_dane_ee(&mut session);
    assert!(add_name(&mut session, &name("example.test")));
    let mut judged = |usage, selector, matching, data: &[u8]| {
        add_record(&mut session, &TlsaRecord { usage, selector, matching, data: data.to_vec() })
    };
    assert_eq!(judged(3, 1, 1, &[0; 32]), Some(true));
    assert_eq!(judged(3, 1, 1, &[0; 31]), Some(false));
    assert_eq!(judged(3, 1, 9, &[0; 32]), Some(false));
    assert_eq!(judged(3, 0, 0, b"no certificate"), Some(false));
    assert_eq!(judged(2, 0, 0, &certificate("ta.test", &[], &[]).to_der().unwrap()), Some(true));
    assert!(!has_matched(&session));
    assert_eq!(matched_record(&session), None);
}

#[test]
fn dane_needs_a_context_that_knows_it() {
    let context = SslContext::builder(SslMethod::tls_client()).unwrap().build();
    assert!(!enable_dane(&mut Ssl::new(&context).unwrap(), &name("mx.example.test")));
}
