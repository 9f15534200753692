//! Postfix asks, and knows a client by the fingerprint of its certificate.

use std::fs;

use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use world::certificates::{self, Identity};
use world::{Delivery, Mailbox, Outcome, Postfix, World, in_world};

use crate::held::PROGRAM;
use crate::keys::{certified, ec, installed, rsa};

/// A domain that the server is not there for: it relays to it whom it knows.
const ELSEWHERE: &str = "bob@elsewhere.test";

/// A Postfix with a port for each version, which asks for a certificate and relays for those of `clients` alone.
pub(crate) fn server(world: &World, clients: &[&Identity], settings: &[(&str, &str)]) -> Mailbox {
    let fingerprint = |client: &&Identity| {
        let digest = client.certificate.digest(MessageDigest::sha256()).unwrap();
        let pairs: Vec<String> = digest.iter().map(|octet| format!("{octet:02X}")).collect();
        format!("{} client\n", pairs.join(":"))
    };
    let known = world.file("known-clients", clients.iter().map(fingerprint).collect::<String>());
    let files = Identity::self_signed(&["mx1.example.test"]).unwrap();
    let files = files.write(&world.scratch(), "mx1").unwrap();
    let postfix = Postfix::on("192.0.2.10")
        .tls(files.certificate, files.key)
        .port(2512, &["smtpd_tls_protocols=>=TLSv1.2,<=TLSv1.2"])
        .port(2513, &["smtpd_tls_protocols=>=TLSv1.3"])
        .implicit_tls_on(465)
        .setting("smtpd_tls_ask_ccert", "yes")
        .setting("smtpd_tls_fingerprint_digest", "sha256")
        .setting("relay_clientcerts", &format!("texthash:{}", known.display()))
        .setting("smtpd_relay_restrictions", "permit_tls_clientcerts, reject_unauth_destination")
        // What is relayed comes into the box as well.
        .setting("default_transport", "virtual");
    world.postfix(settings.iter().fold(postfix, |postfix, (name, value)| postfix.setting(name, value)))
}

/// Leaves a message for a domain elsewhere with the server, on this port.
pub(crate) fn deliver(world: &World, port: &str) -> Outcome {
    deliver_by(world, port, world::Identity::Qmailr)
}

pub(crate) fn deliver_by(world: &World, port: &str, identity: world::Identity) -> Outcome {
    world.control("me", "client.example.test\n");
    world.control("smtproutes", format!(":192.0.2.10;{port}\n"));
    let delivery = Delivery::new(PROGRAM).identity(identity);
    delivery.host("elsewhere.test").sender("alice@sender.test").recipient(ELSEWHERE).run()
}

/// The message was relayed. Gives what the server wrote into it.
#[track_caller]
pub(crate) fn assert_relayed(server: &Mailbox, outcome: &Outcome) -> String {
    let reports = String::from_utf8(outcome.reports().concat()).unwrap();
    let accepted = "rK192.0.2.10 TLS transmitted message accepted.\n";
    assert!(reports.starts_with(accepted), "{reports}\n{}", server.log());
    fs::read_to_string(server.wait_for_message()).unwrap()
}

/// The server did not know the client.
#[track_caller]
fn assert_not_relayed(outcome: &Outcome) {
    let said = "Remote host said: 554 5.7.1 <bob@elsewhere.test>: Relay access denied\n";
    let refused = ["h192.0.2.10 does not like recipient.\n", "DGiving up on 192.0.2.10.\n"];
    outcome.assert_reports(&refused.map(|report| format!("{report}{said}")));
}

#[test]
fn a_real_server_relays_for_every_kind_of_key_in_both_versions() {
    in_world(|world| {
        let keys = [
            (rsa(), "client-signature RSA-PSS (2048 bits)"),
            (ec(Nid::X9_62_PRIME256V1), "client-signature ECDSA (prime256v1)"),
            (ec(Nid::SECP384R1), "client-signature ECDSA (secp384r1)"),
            (PKey::generate_ed25519().unwrap(), "client-signature ED25519"),
        ];
        let clients: Vec<_> = keys.iter().map(|(key, words)| (certified(key), words)).collect();
        let known: Vec<_> = clients.iter().map(|(client, _)| client).collect();
        let server = server(world, &known, &[]);
        for (client, words) in &clients {
            installed(world, client);
            for (port, version) in [("2512", "TLSv1.2"), ("2513", "TLSv1.3"), ("s465", "TLSv1.3")] {
                println!("{words} {port}");
                let message = assert_relayed(&server, &deliver(world, port));
                assert!(message.contains(&format!("using {version} with cipher")), "{message}");
                assert!(message.contains("Client CN \"client.test\""), "{message}");
                // Of TLS 1.2 Postfix does not say it.
                assert!(version == "TLSv1.2" || message.contains(*words), "{message}");
            }
        }
    });
}

#[test]
fn a_server_that_demands_a_certificate_gets_it_or_no_message() {
    in_world(|world| {
        let client = certified(&ec(Nid::X9_62_PRIME256V1));
        let demands = [("smtpd_tls_security_level", "encrypt"), ("smtpd_tls_req_ccert", "yes")];
        // It verifies whom it demands a certificate of.
        let authority = world.file("client-authority", client.certificate.to_pem().unwrap());
        let authority = authority.display().to_string();
        let server = server(world, &[&client], &[demands[0], demands[1], ("smtpd_tls_CAfile", &authority)]);
        for port in ["2512", "2513"] {
            world.control("domaincerts", "");
            let outcome = deliver(world, port);
            let reports = String::from_utf8(outcome.reports().concat()).unwrap();
            assert!(reports.starts_with('Z'), "{reports}");
            installed(world, &client);
            let message = assert_relayed(&server, &deliver(world, port));
            assert!(
                message.contains("(Client CN \"client.test\", Issuer \"client.test\" (verified OK))"),
                "{message}"
            );
        }
    });
}

#[test]
fn another_certificate_is_another_client() {
    in_world(|world| {
        let client = certified(&rsa());
        let server = server(world, &[&client], &[]);
        installed(world, &certified(&rsa()));
        for port in ["2512", "2513"] {
            assert_not_relayed(&deliver(world, port));
        }
        world.control("domaincerts", "");
        assert_not_relayed(&deliver(world, "2513"));
        assert!(server.messages().is_empty());
    });
}

#[test]
fn a_server_that_does_not_ask_gets_none() {
    in_world(|world| {
        let client = certified(&rsa());
        let server = server(world, &[&client], &[("smtpd_tls_ask_ccert", "no")]);
        installed(world, &client);
        for port in ["2512", "2513"] {
            assert_not_relayed(&deliver(world, port));
        }
        server.assert_logs("Anonymous TLS connection established from");
        assert!(!server.log().contains("client.test"), "{}", server.log());
    });
}

#[test]
fn the_issuers_of_a_chain_are_presented_too() {
    in_world(|world| {
        let root = certificates::Authority::new("Client root").unwrap();
        let below = root.authority("Client authority").unwrap();
        let content =
            certificates::Content { names: &["client.test"], for_clients: true, ..Default::default() };
        let client = below.issue_with(&content).unwrap();
        let authority = world.file("client-root", root.identity().certificate.to_pem().unwrap());
        let settings = [("smtpd_tls_CAfile", &*authority.display().to_string())];
        let server = server(world, &[&client], &settings);
        let following = [below.identity().certificate.clone()];
        let chain = client.write_chain(&world.scratch(), "client", &following).unwrap();
        for port in ["2512", "2513"] {
            // The key stands in the same file, before the certificates.
            crate::keys::select(world, &chain.display().to_string());
            let message = assert_relayed(&server, &deliver(world, port));
            assert!(message.contains("Issuer \"Client authority\" (verified OK)"), "{message}");
        }
    });
}

#[test]
fn a_key_that_openssl_finds_too_short_is_reported_and_nothing_is_sent() {
    in_world(|world| {
        let short = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        let client = certified(&short);
        let server = server(world, &[&client], &[]);
        let (certificate, _) = installed(world, &client);
        let report = format!("ZCan't load X.509 certificate: {}. (#4.4.1)\n", certificate.display());
        for rule in ["", "?:\n", "-*:\n"] {
            world.control("tlsdestinations", rule);
            // Anonymous suites come with a security level that takes any key.
            match rule {
                "-*:\n" => drop(assert_relayed(&server, &deliver(world, "2512"))),
                _ => deliver(world, "2512").assert_reports(&[&report]),
            }
        }
    });
}
