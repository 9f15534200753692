//! Files that cannot be used: the report names the file, and says nothing of what is in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::Mode;
use openssl::asn1::Asn1Time;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::symm::Cipher;
use world::certificates::{Content, Identity};
use world::{Delivery, World, in_world};

use crate::held::PROGRAM;
use crate::keys::{certificate_pem, certified, ec, key_pem, rsa};

/// The line, and the report that it gives, from the delivery as from what `explain` foresees.
#[track_caller]
fn refused(world: &World, value: &str, report: &str) {
    println!("{value}");
    world.control("me", "client.example.test\n");
    // Nobody is there: it must be refused before anything is connected to.
    world.control("smtproutes", ":192.0.2.10\n");
    world.control("domaincerts", format!("*:{value}\n"));
    let delivery = Delivery::new(PROGRAM).identity(world::Identity::Qmailr);
    let outcome = delivery.host("example.test").sender("a@sender.test").recipient("b@example.test").run();
    outcome.assert_reports(&[format!("Z{report}. (#4.4.1)\n")]);
}

/// The tool, which runs as somebody who may read all, foresees the same.
#[track_caller]
fn foreseen(report: &str) {
    let tool = env!("CARGO_BIN_EXE_qmail-remote-check");
    let output = Command::new(tool).args(["explain", "example.test", "a@sender.test"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with(&format!("put off: {report}. (#4.4.1)\n")), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn certificates_that_cannot_be_loaded() {
    in_world(|world| {
        let client = certified(&ec(Nid::X9_62_PRIME256V1));
        let key = world.file("key", key_pem(&client));
        let pem = String::from_utf8(certificate_pem(&client)).unwrap();
        let days = |days| Asn1Time::days_from_now(days).unwrap();
        let long_ago = Asn1Time::from_str("20000101000000Z").unwrap();
        let dated = |start: &Asn1Time, end: &Asn1Time| {
            let content = Content {
                names: &["client.test"],
                valid: Some((start, end)),
                key: Some(&client.key),
                ..Content::default()
            };
            certificate_pem(&Identity::self_signed_with(&content).unwrap())
        };
        for (name, content) in [
            ("empty", Vec::new()),
            ("blank", b"\n\n".to_vec()),
            ("text", b"The quick brown fox\n".to_vec()),
            ("der", client.certificate.to_der().unwrap()),
            ("key-alone", key_pem(&client)),
            ("cut", pem.as_bytes()[..pem.len() / 2].to_vec()),
            ("damaged", pem.replacen("MII", "???", 1).into_bytes()),
            ("expired", dated(&long_ago, &days(0))),
            ("expired-first", [dated(&long_ago, &days(0)), pem.clone().into_bytes()].concat()),
            ("too-early", dated(&days(1), &days(2))),
            ("huge", [pem.as_bytes(), &vec![b'\n'; 8 * 1024 * 1024]].concat()),
        ] {
            let file = world.file(name, content);
            let report = format!("Can't load X.509 certificate: {}", file.display());
            refused(world, &format!("{}|{}|secret", file.display(), key.display()), &report);
            foreseen(&report);
        }
        let named = |name: &str| {
            let file = world.scratch().join(name);
            refused(
                world,
                &format!("{}|{}|secret", file.display(), key.display()),
                &format!("Can't load X.509 certificate: {}", file.display()),
            );
        };
        named("missing");
        fs::create_dir(world.scratch().join("directory")).unwrap();
        named("directory");
        nix::unistd::mkfifo(&world.scratch().join("fifo"), Mode::from_bits_truncate(0o666)).unwrap();
        named("fifo");
        set_mode(&world.file("closed", &pem), 0);
        named("closed");
        // The line is malformed in a way that nobody can see: what may be a password is not repeated.
        let unseen = "Can't load X.509 certificate: (not a path)";
        for value in ["secret", "/c.pem;/k.pem;secret", "/c.pem /k.pem secret"] {
            refused(world, value, unseen);
            foreseen(unseen);
        }
    });
}

#[test]
fn keys_that_cannot_be_loaded() {
    in_world(|world| {
        let client = certified(&rsa());
        let certificate = world.file("certificate", certificate_pem(&client));
        let pem = String::from_utf8(key_pem(&client)).unwrap();
        let (password, long) = (b"the right secret", "x".repeat(1025));
        let pkcs8 = client.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password).unwrap();
        let rsa = client.key.rsa().unwrap();
        let traditional = rsa.private_key_to_pem_passphrase(Cipher::aes_128_cbc(), password).unwrap();
        for (name, content, password) in [
            ("empty", Vec::new(), ""),
            ("text", b"The quick brown fox\n".to_vec(), ""),
            ("der", client.key.private_key_to_der().unwrap(), ""),
            ("public", client.key.public_key_to_pem().unwrap(), ""),
            ("certificate-alone", certificate_pem(&client), ""),
            ("cut", pem.as_bytes()[..pem.len() / 2].to_vec(), ""),
            ("damaged", pem.replacen("MII", "???", 1).into_bytes(), ""),
            ("pkcs8-without-password", pkcs8.clone(), ""),
            ("pkcs8-wrong-password", pkcs8.clone(), "|another secret"),
            ("pkcs8-long-password", pkcs8, &*format!("|{long}")),
            ("traditional-without-password", traditional.clone(), ""),
            ("traditional-wrong-password", traditional.clone(), "|another secret"),
            ("traditional-long-password", traditional, &*format!("|{long}")),
        ] {
            let file = world.file(name, content);
            let report = format!("Can't load X.509 private key: {}", file.display());
            let value = format!("{}|{}{password}", certificate.display(), file.display());
            refused(world, &value, &report);
            foreseen(&report);
        }
        let named = |file: &Path| {
            let value = format!("{}|{}|secret", certificate.display(), file.display());
            refused(world, &value, &format!("Can't load X.509 private key: {}", file.display()));
        };
        named(&world.scratch().join("missing"));
        let closed = world.file("closed", &pem);
        set_mode(&closed, 0);
        named(&closed);
        // There is no other file: the key is looked for in the certificate's.
        let report = format!("Can't load X.509 private key: {}", certificate.display());
        refused(world, &format!("{}", certificate.display()), &report);
        refused(world, &format!("{}||secret", certificate.display()), &report);
        let value = format!("{}|secret", certificate.display());
        refused(world, &value, "Can't load X.509 private key: (not a path)");
    });
}

#[test]
fn keys_of_other_certificates() {
    in_world(|world| {
        let (client, curve) = (certified(&rsa()), certified(&ec(Nid::X9_62_PRIME256V1)));
        let certificate = world.file("certificate", certificate_pem(&client));
        // The last is of a key that signs nothing.
        let exchange = PKey::generate_x25519().unwrap().private_key_to_pem_pkcs8().unwrap();
        for other in [key_pem(&certified(&rsa())), key_pem(&curve), exchange] {
            let key = world.file("key", other);
            let report = format!("Keyfile does not match X.509 certificate: {}", certificate.display());
            refused(world, &format!("{}|{}", certificate.display(), key.display()), &report);
            foreseen(&report);
        }
        // What counts is the first certificate, whatever follows it.
        let both = [certificate_pem(&curve), certificate_pem(&client)].concat();
        let (both, key) = (world.file("both", both), world.file("key", key_pem(&client)));
        let report = format!("Keyfile does not match X.509 certificate: {}", both.display());
        refused(world, &format!("{}|{}", both.display(), key.display()), &report);
    });
}
