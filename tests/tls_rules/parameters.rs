//! The other fields of a rule: verify depth, ciphers, fingerprints, the sender's domain.

use openssl::hash::MessageDigest;
use openssl::ssl::{SslAcceptor, SslMethod, SslVersion};
use world::certificates::{Authority, Identity, anonymous_acceptor};
use world::in_world;

use crate::support::*;

#[test]
fn a_chain_is_no_longer_than_the_depth_allows() {
    in_world(|world| {
        let _dns = secure_dns();
        let mut chain = vec![Authority::new("Root").unwrap()];
        let file = ca_file(world, "root.pem", &[&chain[0].identity().certificate]);
        for intermediates in 0_usize..4 {
            let leaf = issue(chain.last().unwrap(), &[EXCHANGER]);
            let presented: Vec<&Authority> = chain.iter().skip(1).rev().collect();
            let server = Server::with_tls(leaf.acceptor_below(&presented).unwrap());
            for depth in 0..4 {
                println!("{intermediates} intermediate certificates");
                let outcome = deliver_by(world, &format!("example.test:{file}||{depth}"));
                match intermediates <= depth {
                    true => server.assert_accepted(&outcome, CHAIN),
                    false => server.assert_put_off(&outcome, &unverified("certificate chain too long")),
                }
            }
            server.assert_accepted(&deliver_by(world, &format!("example.test:{file}")), CHAIN);
            chain.push(chain[intermediates].authority(&format!("Level {intermediates}")).unwrap());
        }
    });
}

/// A server that knows no TLS above 1.2.
fn old_server(identity: &Identity) -> Server {
    use openssl::ssl::{SslAcceptor, SslMethod};
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    builder.set_certificate(&identity.certificate).unwrap();
    builder.set_private_key(&identity.key).unwrap();
    Server::with_tls(builder.build())
}

#[test]
fn the_ciphers_of_a_rule_are_those_offered() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = old_server(&Identity::self_signed(&[EXCHANGER]).unwrap());
        for cipher in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"] {
            for rule in ["example.test:", "*:", "-*:", "?:"] {
                server.assert_accepted(&deliver_by(world, &format!("{rule}|{cipher}")), TLS);
                let last = server.transcript().into_iter().rfind(|line| line.starts_with("-- TLS starts"));
                assert_eq!(last, Some(format!("-- TLS starts: TLSv1.2, {cipher}")));
            }
        }
        // The server's key is none for these.
        server.assert_put_off(&deliver_by(world, "example.test:|ECDHE-RSA-AES128-GCM-SHA256"), NO_HANDSHAKE);
    });
}

#[test]
fn ciphers_that_openssl_does_not_know_put_the_delivery_off() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = Server::with(&Identity::self_signed(&[EXCHANGER]).unwrap());
        for ciphers in ["NONSENSE", "!ALL", "TLS_AES_128_GCM_SHA256", "NULL-SHA256"] {
            for rule in ["example.test:", "*:", "-*:", "?:"] {
                let outcome = deliver_by(world, &format!("{rule}|{ciphers}"));
                let text = format!("I wasn't able to process the TLS ciphers: {ciphers}");
                server.assert_put_off(&outcome, &text);
            }
        }
    });
}

#[test]
fn anonymous_ciphers_prove_nothing_where_a_certificate_is_demanded() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = Server::with_tls(anonymous_acceptor().unwrap());
        let authority = Authority::new("Partner authority").unwrap();
        let file = ca_file(world, "ca.pem", &[&authority.identity().certificate]);
        trusted_system_directory(world, &[]);
        let pin = format!("%example.test:={}", "00".repeat(32));
        let ciphers = "aNULL@SECLEVEL=0";
        for rule in ["+*:", "~*:", "=*:", &format!("*:{file}"), &format!("?:{file}"), &pin] {
            let outcome = deliver_by(world, &format!("{rule}|{ciphers}"));
            let text = "Unable to obtain X.500 certificate from: mx1.example.test for example.test";
            server.assert_put_off(&outcome, text);
        }
        // The same where nothing is demanded, and the example of the manual page.
        server.assert_accepted(&deliver_by(world, &format!("example.test:|{ciphers}")), TLS);
        server.assert_accepted(&deliver_by(world, "-example.test:||aNULL:!kRSA"), TLS);
    });
}

#[test]
fn a_fingerprint_has_any_digest_and_any_writing() {
    in_world(|world| {
        let _dns = secure_dns();
        let identity = Identity::self_signed(&[EXCHANGER]).unwrap();
        let server = Server::with(&identity);
        for digest in [
            MessageDigest::sha1(),
            MessageDigest::sha224(),
            MessageDigest::sha256(),
            MessageDigest::sha384(),
            MessageDigest::sha512(),
        ] {
            let octets = identity.certificate.digest(digest).unwrap();
            let written = |upper: bool, between: &str| {
                let octets = octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>();
                let text = octets.join(between);
                if upper { text.to_uppercase() } else { text }
            };
            for text in [written(true, ""), written(false, ""), written(true, ":"), written(false, ":")] {
                let outcome = deliver_by(world, &format!("%example.test:={text}"));
                server.assert_accepted(&outcome, PINNED);
            }
        }
    });
}

#[test]
fn another_fingerprint_is_another_certificate() {
    in_world(|world| {
        let _dns = secure_dns();
        let identity = Identity::self_signed(&[EXCHANGER]).unwrap();
        let server = Server::with(&identity);
        let octets = identity.certificate.digest(MessageDigest::sha256()).unwrap();
        let right: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
        let flipped = |at: usize| {
            let mut digits = right.clone();
            let other = if digits.as_bytes()[at] == b'0' { "1" } else { "0" };
            digits.replace_range(at..=at, other);
            digits
        };
        // Each a digest of some length, and none of them this certificate's.
        let begins_so = format!("{right}{right}");
        for wrong in [flipped(0), flipped(63), right[..40].to_owned(), right[..56].to_owned(), begins_so] {
            let outcome = deliver_by(world, &format!("%example.test:={wrong}"));
            let text = "Received X.500 certificate from: mx1.example.test for example.test does not match provided \
                        fingerprint:";
            server.assert_put_off(&outcome, &format!("{text} {wrong}"));
        }
        for unknown in [&right[..62], &right[..2], &format!("{right}00"), &right[..63]] {
            let outcome = deliver_by(world, &format!("%example.test:={unknown}"));
            let text = "Received X.500 certificate from: mx1.example.test for example.test posses an unknown digest \
                        method";
            server.assert_put_off(&outcome, text);
        }
    });
}

#[test]
fn a_rule_for_one_senders_domain_is_for_that_one() {
    in_world(|world| {
        let _dns = secure_dns();
        let authority = Authority::new("Partner authority").unwrap();
        let file = ca_file(world, "ca.pem", &[&authority.identity().certificate]);
        let server = Server::with(&Identity::self_signed(&[EXCHANGER]).unwrap());
        let rules = format!("*:\nexample.test:{file}|||sender.test");
        for (sender, is_bound) in [
            ("alice@sender.test", true),
            ("alice@SENDER.test", true),
            ("alice@below.sender.test", true),
            ("alice@anothersender.test", false),
            ("alice@test", false),
            ("", false),
        ] {
            println!("from {sender:?}");
            let outcome = deliver_with(world, &rules, delivery_to("example.test", sender));
            match is_bound {
                true => server.assert_put_off(&outcome, &unverified("self-signed certificate")),
                false => server.assert_accepted(&outcome, TLS),
            }
        }
    });
}

#[test]
fn suites_that_do_not_encrypt_are_never_used() {
    in_world(|world| {
        let _dns = secure_dns();
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
        acceptor.set_security_level(0);
        acceptor.set_cipher_list("AECDH-NULL-SHA").unwrap();
        let server = Server::with_tls(acceptor.build());
        // The first is the manual page's example.
        for rule in
            ["-example.test:||aNULL:!kRSA", "-example.test:", "-:|ALL:eNULL", "-:|AECDH-NULL-SHA:HIGH"]
        {
            server.assert_put_off(&deliver_by(world, rule), NO_HANDSHAKE);
        }
    });
}

#[test]
fn a_chain_without_end_is_no_handshake() {
    in_world(|world| {
        let _dns = secure_dns();
        let authority = Authority::new("One of many").unwrap();
        // OpenSSL reads 100 KiB of certificates.
        let many = vec![&authority; 400];
        let server = issue(&authority, &[EXCHANGER]).acceptor_below(&many).unwrap();
        let server = Server::with_tls(server);
        let text = "TLS connection/protocol error with host: mx1.example.test for example.test: excessive message size";
        server.assert_put_off(&deliver_by(world, "*:"), text);
    });
}
