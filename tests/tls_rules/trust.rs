//! Whom a rule trusts: files, hashed directories, the system's store, and what happens when they hold nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::sys::stat::Mode;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::X509;
use world::certificates::{Authority, Content, Identity};
use world::patience::until;
use world::programs::command;
use world::smtp_sink::{Options, SmtpSink};
use world::{Needs, World, in_world};

use crate::held::delivery;
use crate::support::*;

fn certificate(authority: &Authority) -> &X509 {
    &authority.identity().certificate
}

/// The text for trust anchors that cannot be read.
fn no_anchors(file: &str, directory: &str) -> String {
    format!("I wasn't able to setup CAFILE: {file} or CADIR: {directory} for TLS")
}

#[test]
fn a_directory_may_hold_several_authorities_of_one_name() {
    in_world(|world| {
        let _dns = secure_dns();
        let namesakes = ["first", "second", "third"].map(|_| Authority::new("Partner authority").unwrap());
        let stranger = Authority::new("Partner authority").unwrap();
        let directory = ca_directory(world, "ca", &namesakes.each_ref().map(certificate));
        let rule = format!("example.test:{directory}");
        for authority in &namesakes {
            let server = Server::with(&issue(authority, &[EXCHANGER]));
            server.assert_accepted(&deliver_by(world, &rule), CHAIN);
        }
        let server = Server::with(&issue(&stranger, &[EXCHANGER]));
        server.assert_put_off(&deliver_by(world, &rule), &unverified(UNKNOWN_ISSUER));
    });
}

#[test]
fn a_file_may_hold_other_authorities_too() {
    in_world(|world| {
        let _dns = secure_dns();
        let authorities = ["One", "Two", "Two", "Three"].map(|name| Authority::new(name).unwrap());
        let file = ca_file(world, "ca.pem", &authorities.each_ref().map(certificate));
        for authority in &authorities {
            let server = Server::with(&issue(authority, &[EXCHANGER]));
            server.assert_accepted(&deliver_by(world, &format!("example.test:{file}")), CHAIN);
        }
    });
}

#[test]
fn keys_and_signatures_of_every_usual_kind_are_verified() {
    in_world(|world| {
        let _dns = secure_dns();
        let elliptic = |curve| {
            let group = EcGroup::from_curve_name(curve).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        };
        let keys = [
            PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
            elliptic(Nid::SECP384R1),
            elliptic(Nid::SECP521R1),
            PKey::generate_ed25519().unwrap(),
        ];
        for key in &keys {
            println!("{:?}, {} bits", key.id(), key.bits());
            let authority = Authority::with_key("Partner authority", key.clone()).unwrap();
            let file = ca_file(world, "ca.pem", &[certificate(&authority)]);
            let content = Content { names: &[EXCHANGER], key: Some(key), ..Content::default() };
            let server = Server::with(&authority.issue_with(&content).unwrap());
            server.assert_accepted(&deliver_by(world, &format!("=example.test:{file}")), EXACT_NAME);
        }
        // Too short for OpenSSL's security level, for a server's key as for an authority's.
        let short = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        let authority = Authority::with_key("Partner authority", short).unwrap();
        let file = ca_file(world, "ca.pem", &[certificate(&authority)]);
        let server = Server::with(&issue(&authority, &[EXCHANGER]));
        let outcome = deliver_by(world, &format!("=example.test:{file}"));
        server.assert_put_off(&outcome, &unverified("CA certificate key too weak"));
    });
}

#[test]
fn a_large_bundle_is_searched_to_its_end() {
    in_world(|world| {
        let _dns = secure_dns();
        let many: Vec<Authority> =
            (0..300).map(|number| Authority::new(&format!("Authority {number}")).unwrap()).collect();
        let bundle: Vec<&X509> = many.iter().map(certificate).collect();
        empty_system_store(world);
        ca_file(world, "openssl/cert.pem", &bundle);
        let server = Server::with(&issue(many.last().unwrap(), &[EXCHANGER]));
        server.assert_accepted(&deliver_by(world, "=*:"), EXACT_NAME);
    });
}

#[test]
fn a_self_signed_certificate_may_be_its_own_anchor() {
    in_world(|world| {
        let _dns = secure_dns();
        let identity = Identity::self_signed(&[EXCHANGER]).unwrap();
        let file = ca_file(world, "ca.pem", &[&identity.certificate]);
        let server = Server::with(&identity);
        server.assert_accepted(&deliver_by(world, &format!("=example.test:{file}")), EXACT_NAME);
    });
}

#[test]
fn what_the_server_leaves_out_of_its_chain_may_be_in_the_file() {
    in_world(|world| {
        let _dns = secure_dns();
        let root = Authority::new("Root").unwrap();
        let middle = root.authority("Middle").unwrap();
        let server = Server::with(&issue(&middle, &[EXCHANGER]));
        let both = ca_file(world, "both.pem", &[certificate(&middle), certificate(&root)]);
        server.assert_accepted(&deliver_by(world, &format!("example.test:{both}")), CHAIN);
        let both = ca_directory(world, "both", &[certificate(&middle), certificate(&root)]);
        server.assert_accepted(&deliver_by(world, &format!("example.test:{both}")), CHAIN);
        let root = ca_file(world, "root.pem", &[certificate(&root)]);
        server
            .assert_put_off(&deliver_by(world, &format!("example.test:{root}")), &unverified(UNKNOWN_ISSUER));
        // No anchor but one that vouches for itself ends a chain.
        let middle = ca_file(world, "middle.pem", &[certificate(&middle)]);
        let reason = unverified("unable to get issuer certificate");
        server.assert_put_off(&deliver_by(world, &format!("example.test:{middle}")), &reason);
    });
}

#[test]
fn a_leaf_is_no_authority() {
    in_world(|world| {
        let _dns = secure_dns();
        let root = Authority::new("Root").unwrap();
        let file = ca_file(world, "ca.pem", &[certificate(&root)]);
        // Whoever has a certificate of the root signs another with its key.
        let forger = Authority::from_identity(issue(&root, &["forger.test"]));
        let forged = issue(&forger, &[EXCHANGER]);
        let server = Server::with_tls(forged.acceptor_below(&[&forger]).unwrap());
        let outcome = deliver_by(world, &format!("=example.test:{file}"));
        server.assert_put_off(&outcome, &unverified("invalid CA certificate"));
    });
}

#[test]
fn a_certificate_for_clients_is_no_servers() {
    in_world(|world| {
        let _dns = secure_dns();
        let root = Authority::new("Root").unwrap();
        let file = ca_file(world, "ca.pem", &[certificate(&root)]);
        let content = Content { names: &[EXCHANGER], for_clients: true, ..Content::default() };
        let server = Server::with(&root.issue_with(&content).unwrap());
        let outcome = deliver_by(world, &format!("example.test:{file}"));
        server.assert_put_off(&outcome, &unverified("unsuitable certificate purpose"));
    });
}

#[test]
fn the_systems_directory_comes_before_its_bundle_and_either_will_do() {
    in_world(|world| {
        let _dns = secure_dns();
        let [ours, other] = ["Ours", "Other"].map(|name| Authority::new(name).unwrap());
        let server = Server::with(&issue(&ours, &[EXCHANGER]));
        let place = empty_system_store(world);
        let refused = unverified(UNKNOWN_ISSUER);
        let (bundle, directory) = (place.join("cert.pem"), place.join("certs"));
        let missing = no_anchors(&bundle.display().to_string(), &directory.display().to_string());
        let deliver = || deliver_by(world, "=*:");
        server.assert_put_off(&deliver(), &missing);
        // A bundle alone.
        ca_file(world, "openssl/cert.pem", &[certificate(&other), certificate(&ours)]);
        server.assert_accepted(&deliver(), EXACT_NAME);
        ca_file(world, "openssl/cert.pem", &[certificate(&other)]);
        server.assert_put_off(&deliver(), &refused);
        // A directory beside it, which need not have everything that the bundle has.
        ca_directory(world, "openssl/certs", &[certificate(&other)]);
        server.assert_put_off(&deliver(), &refused);
        ca_file(world, "openssl/cert.pem", &[certificate(&ours)]);
        server.assert_accepted(&deliver(), EXACT_NAME);
        ca_directory(world, "openssl/certs", &[certificate(&ours)]);
        fs::remove_file(&bundle).unwrap();
        server.assert_accepted(&deliver(), EXACT_NAME);
        // An empty store is not a missing one, and trusts nobody.
        fs::remove_dir_all(&directory).unwrap();
        ca_directory(world, "openssl/certs", &[]);
        server.assert_put_off(&deliver(), &refused);
        world.file("openssl/cert.pem", "");
        server.assert_put_off(&deliver(), &refused);
    });
}

#[test]
fn the_environment_names_no_trust_store() {
    in_world(|world| {
        let _dns = secure_dns();
        let ours = Authority::new("Ours").unwrap();
        trusted_system_directory(world, &[]);
        let server = Server::with(&issue(&ours, &[EXCHANGER]));
        let file = ca_file(world, "ours.pem", &[certificate(&ours)]);
        let directory = ca_directory(world, "ours", &[certificate(&ours)]);
        let tempted = delivery().env("SSL_CERT_FILE", file).env("SSL_CERT_DIR", directory);
        server.assert_put_off(&deliver_with(world, "+*:", tempted), &unverified(UNKNOWN_ISSUER));
    });
}

/// Delivers by a rule with this path, which is to hold nothing to verify by.
fn holds_nothing(world: &World, server: &Server, path: &str) {
    let text = match path.ends_with('/') {
        true => no_anchors("-", path),
        false => no_anchors(path, "-"),
    };
    for rule in ["=example.test", "example.test", "*", "?"] {
        server.assert_put_off(&deliver_by(world, &format!("{rule}:{path}")), &text);
    }
}

#[test]
fn a_file_without_certificates_puts_the_delivery_off() {
    in_world(|world| {
        let _dns = secure_dns();
        let authority = Authority::new("Partner authority").unwrap();
        let server = Server::with(&issue(&authority, &[EXCHANGER]));
        let pem = certificate(&authority).to_pem().unwrap();
        let broken = String::from_utf8(pem.clone()).unwrap().replacen("MII", "MI!", 1);
        let key = authority.identity().key.private_key_to_pem_pkcs8().unwrap();
        for (name, content) in [
            ("empty.pem", &b""[..]),
            ("garbage.pem", b"\x7fELF\0\xff no certificate\n"),
            ("broken.pem", broken.as_bytes()),
            ("cut.pem", pem.get(..pem.len() / 2).unwrap()),
            ("key.pem", &key),
            ("der.pem", &certificate(&authority).to_der().unwrap()),
        ] {
            let path = world.file(name, content);
            holds_nothing(world, &server, &path.display().to_string());
        }
        // More than any bundle of authorities.
        let large = [pem.as_slice(), &vec![b'\n'; 8 << 20]].concat();
        holds_nothing(world, &server, &world.file("large.pem", large).display().to_string());
        // What follows a good certificate is not passed over either.
        let half = world.file("half.pem", [pem.as_slice(), broken.as_bytes()].concat());
        holds_nothing(world, &server, &half.display().to_string());
    });
}

#[test]
fn what_is_no_file_of_certificates_is_found_before_anybody_is_asked() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = Server::with(&Identity::self_signed(&[EXCHANGER]).unwrap());
        let scratch = world.scratch();
        nix::unistd::mkfifo(&scratch.join("fifo"), Mode::S_IRUSR).unwrap();
        std::os::unix::fs::symlink("loop", scratch.join("loop")).unwrap();
        world.file("file", "");
        for name in ["missing.pem", "missing/", "fifo", "loop", "file/", "."] {
            holds_nothing(world, &server, &scratch.join(name).display().to_string());
        }
        assert!(server.transcript().is_empty(), "nobody was connected to");
    });
}

#[test]
fn an_unreadable_file_puts_the_delivery_off() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        let _dns = secure_dns();
        let authority = Authority::new("Partner authority").unwrap();
        let server = Server::with(&issue(&authority, &[EXCHANGER]));
        let file = ca_file(world, "ca.pem", &[certificate(&authority)]);
        let directory = ca_directory(world, "ca", &[certificate(&authority)]);
        for path in [&file, &directory] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
            holds_nothing(world, &server, path);
        }
    });
}

#[test]
fn an_unreadable_certificate_in_a_directory_puts_the_delivery_off() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        let _dns = secure_dns();
        let authority = Authority::new("Partner authority").unwrap();
        let server = Server::with(&issue(&authority, &[EXCHANGER]));
        let directory = ca_directory(world, "ca", &[certificate(&authority)]);
        for entry in fs::read_dir(&directory).unwrap() {
            fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o000)).unwrap();
        }
        holds_nothing(world, &server, &directory);
    });
}

#[test]
fn an_empty_directory_trusts_nobody() {
    in_world(|world| {
        let _dns = secure_dns();
        let authority = Authority::new("Partner authority").unwrap();
        let server = Server::with(&issue(&authority, &[EXCHANGER]));
        let directory = ca_directory(world, "ca", &[]);
        let outcome = deliver_by(world, &format!("example.test:{directory}"));
        server.assert_put_off(&outcome, &unverified(UNKNOWN_ISSUER));
    });
}

#[test]
fn an_authority_that_the_administrator_rejects_is_not_trusted() {
    in_world(|world| {
        let _dns = secure_dns();
        let authority = Authority::new("Partner authority").unwrap();
        let server = Server::with(&issue(&authority, &[EXCHANGER]));
        let plain = ca_file(world, "plain.pem", &[&authority.identity().certificate]);
        let rejecting = world.scratch().join("rejecting.pem");
        let mut openssl = command("openssl");
        openssl
            .args(["x509", "-in", &plain, "-addreject", "serverAuth", "-trustout", "-out"])
            .arg(&rejecting);
        assert!(openssl.status().unwrap().success());
        assert!(fs::read_to_string(&rejecting).unwrap().contains("BEGIN TRUSTED CERTIFICATE"));
        let rejecting = rejecting.display().to_string();
        server.assert_accepted(&deliver_by(world, &format!("example.test:{plain}")), CHAIN);
        server.assert_put_off(
            &deliver_by(world, &format!("example.test:{rejecting}")),
            &no_anchors(&rejecting, "-"),
        );
        // Beside others it is as if it were not there.
        let other = Authority::new("Other authority").unwrap();
        let others = ca_file(world, "others.pem", &[&other.identity().certificate]);
        let both = fs::read_to_string(&others).unwrap() + &fs::read_to_string(&rejecting).unwrap();
        let both = world.file("both.pem", both).display().to_string();
        server
            .assert_put_off(&deliver_by(world, &format!("example.test:{both}")), &unverified(UNKNOWN_ISSUER));
    });
}

#[test]
fn servers_that_name_more_issuers_than_the_monitor_is_asked_for_prove_nothing() {
    in_world(|world| {
        let authorities: Vec<Authority> =
            (0..40).map(|number| Authority::new(&format!("Authority {number}")).unwrap()).collect();
        let many: Vec<&Authority> = authorities.iter().collect();
        let acceptor = issue(&authorities[0], &[EXCHANGER]).acceptor_below(&many).unwrap();
        // Each takes 32 questions, which are 512 in all.
        let addresses: Vec<String> = (10..30).map(|last| format!("192.0.2.{last}")).collect();
        let listening: Vec<_> =
            addresses.iter().map(|address| format!("{address}:25").parse().unwrap()).collect();
        let options = Options { acceptor: Some(acceptor), ..Options::named(EXCHANGER) };
        let sink = SmtpSink::start(&listening, options).unwrap();
        let zone = addresses.iter().enumerate().map(|(number, address)| {
            let name = format!("mx{number}.example.test");
            format!("example.test MX {number} {name}\n{name} A {address}\n")
        });
        let _dns = dns(&zone.collect::<String>());
        let outcome = deliver_by(world, &format!("+*:{}", ca_directory(world, "ca", &[])));
        let text = unverified("self-signed certificate in certificate chain").replace("mx1.", "mx19.");
        outcome.assert_reports(&[format!("Z{text}. (#4.4.1)\n")]);
        // The last server writes this down while the delivery ends.
        let connections = || sink.transcript().iter().filter(|it| it.starts_with("-- TLS starts")).count();
        let all = until(|| (connections() == addresses.len()).then_some(()));
        assert!(all.is_some(), "{} connections", connections());
    });
}
