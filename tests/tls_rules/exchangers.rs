//! Rules by the name of an exchanger: they raise what the destination's rule demands, and lower nothing.

use std::fs;

use openssl::hash::MessageDigest;
use openssl::x509::X509Ref;
use world::certificates::{Authority, Identity, anonymous_acceptor};
use world::in_world;
use world::smtp_sink::Options;

use crate::support::*;

/// What the lines for destination and exchanger together must make of a server.
type Combination<'a> = (&'a str, &'a str, Result<&'a str, String>);

fn check(world: &world::World, server: &Server, combinations: &[Combination<'_>]) {
    for (destination, exchanger, expected) in combinations {
        let outcome = deliver_by(world, &format!("{exchanger}\n{destination}"));
        match expected {
            Ok(how) => server.assert_accepted(&outcome, how),
            Err(text) => server.assert_put_off(&outcome, text),
        }
    }
}

fn fingerprint(certificate: &X509Ref) -> String {
    let digest = certificate.digest(MessageDigest::sha256()).unwrap();
    digest.iter().map(|octet| format!("{octet:02X}")).collect()
}

#[test]
fn a_server_without_tls_is_refused_when_either_rule_demands_it() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = Server::start(Options::named(EXCHANGER));
        let refused = || Err(NOT_OFFERED.to_owned());
        check(
            world,
            &server,
            &[
                ("", "mx1.example.test:", refused()),
                ("!example.test:", "mx1.example.test:", refused()),
                ("?example.test:", "-mx1.example.test:", refused()),
                ("*:", ".example.test:", refused()),
                ("/example.test:", "=mx1.example.test:", refused()),
                ("example.test:", "!mx1.example.test:", refused()),
                ("example.test:", "?mx1.example.test:", refused()),
                ("-example.test:", "/mx1.example.test:", refused()),
                ("=*:", "!.example.test:", refused()),
                ("*:", "?mx1.example.test:", Ok(CLEAR)),
                // Rules for all hosts are the destination's business, and a domain is no exchanger.
                ("!example.test:", "+*:", Ok(CLEAR)),
                ("*:", "mx2.example.test:", Ok(CLEAR)),
            ],
        );
    });
}

#[test]
fn a_certificate_must_be_what_the_stricter_rule_demands() {
    in_world(|world| {
        let _dns = secure_dns();
        let [ours, other] = ["Ours", "Other"].map(|name| Authority::new(name).unwrap());
        let file = ca_file(world, "ours.pem", &[&ours.identity().certificate]);
        let theirs = ca_file(world, "other.pem", &[&other.identity().certificate]);
        let server = Server::with(&issue(&ours, &["*.example.test"]));
        let with = |key: &str, file: &str| format!("{key}:{file}");
        let [required, name, exact] = ["example.test", "~example.test", "=example.test"];
        let [mx_required, mx_name, mx_exact] = ["mx1.example.test", "~mx1.example.test", "=mx1.example.test"];
        let unknown = || Err(unverified(UNKNOWN_ISSUER));
        let wrong_name = || Err(WRONG_NAME.to_owned());
        let combinations = [
            ("".to_owned(), with(mx_required, &file), Ok(CHAIN)),
            ("".to_owned(), with(mx_required, &theirs), unknown()),
            (with("*", &file), with(mx_name, ""), Ok(NAME)),
            (with("!example.test", ""), with(mx_required, &file), Ok(CHAIN)),
            (with(required, ""), with(mx_name, &file), Ok(NAME)),
            (with(required, ""), with(mx_exact, &file), wrong_name()),
            (with(required, &file), with(mx_exact, ""), wrong_name()),
            // The destination's authority stays, whoever the exchanger's rule would trust.
            (with(required, &file), with(mx_required, &theirs), Ok(CHAIN)),
            (with(required, &theirs), with(mx_required, &file), unknown()),
            // So does the system's trust store, which does not know them.
            (with("+*", ""), with(mx_required, &file), unknown()),
            (with(name, &theirs), with(mx_exact, &file), unknown()),
            (with(exact, &file), with("-mx1.example.test", ""), wrong_name()),
            (with(exact, &file), with("!mx1.example.test", ""), wrong_name()),
            (with(name, &file), with("?mx1.example.test", &theirs), Ok(NAME)),
            (format!("example.test:{file}||3"), "mx1.example.test:||0".to_owned(), Ok(CHAIN)),
        ];
        let combinations: Vec<Combination<'_>> =
            combinations.iter().map(|(one, two, expected)| (&**one, &**two, expected.clone())).collect();
        check(world, &server, &combinations);
    });
}

#[test]
fn a_fingerprint_for_the_exchanger_comes_on_top_of_the_destinations_chain() {
    in_world(|world| {
        let _dns = insecure_dns();
        let [ours, stranger] = ["Ours", "Stranger"].map(|name| Authority::new(name).unwrap());
        let file = ca_file(world, "ours.pem", &[&ours.identity().certificate]);
        let [good, strange] = [&ours, &stranger].map(|authority| issue(authority, &[EXCHANGER]));
        let pin = |identity: &Identity| format!("%mx1.example.test:={}", fingerprint(&identity.certificate));
        let chain = format!("=example.test:{file}");
        let server = Server::with(&good);
        server.assert_accepted(&deliver_by(world, &format!("{chain}\n{}", pin(&good))), PINNED);
        server.assert_accepted(&deliver_by(world, &format!("*:\n{}", pin(&good))), PINNED);
        let outcome = deliver_by(world, &format!("{chain}\n{}", pin(&strange)));
        let text = "Received X.500 certificate from: mx1.example.test for example.test does not match provided \
                    fingerprint:";
        server.assert_put_off(&outcome, &format!("{text} {}", fingerprint(&strange.certificate)));
        drop(server);
        // Whoever forges the MX record may name a host that is pinned for other reasons.
        let server = Server::with(&strange);
        let outcome = deliver_by(world, &format!("{chain}\n{}", pin(&strange)));
        server.assert_put_off(&outcome, &unverified(UNKNOWN_ISSUER));
        // So with a fingerprint of the destination's own and a chain of the exchanger's.
        let rules = format!("%example.test:={}\n", fingerprint(&strange.certificate));
        let outcome = deliver_by(world, &format!("{rules}=mx1.example.test:{file}"));
        server.assert_put_off(&outcome, &unverified(UNKNOWN_ISSUER));
        server.assert_accepted(&deliver_by(world, &rules), PINNED);
    });
}

#[test]
fn anonymous_suites_are_not_offered_where_the_exchangers_rule_wants_a_certificate() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = Server::with_tls(anonymous_acceptor().unwrap());
        let refused = || Err(NO_HANDSHAKE.to_owned());
        check(
            world,
            &server,
            &[
                ("-example.test:", "", Ok(TLS)),
                ("-example.test:", "-mx1.example.test:", Ok(TLS)),
                ("-example.test:", "mx1.example.test:", refused()),
                ("-:", "~mx1.example.test:", refused()),
                ("example.test:", "-mx1.example.test:", refused()),
            ],
        );
    });
}

#[test]
fn a_malformed_line_for_the_exchanger_puts_the_delivery_off() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = Server::with(&Identity::self_signed(&[EXCHANGER]).unwrap());
        for (line, problem) in [
            ("mx1.example.test:;0", "the port is not a number from 1 to 65535"),
            (".example.test:|HIGH|two", "the verify depth is not a number"),
            ("%mx1.example.test:", "there is no fingerprint: write %host:=DIGITS"),
            ("~mx1.example.test:=AB", "a fingerprint needs a key that starts with %"),
            (
                &format!("%mx1.example.test:={}", "AB".repeat(3000)),
                "the fingerprint has more than 256 digits",
            ),
            (
                &format!("mx1.example.test:|{}", "HIGH:".repeat(1200)),
                "the ciphers have more than 4096 octets",
            ),
            (
                &format!("mx1.example.test:/{}", "ca/".repeat(400)),
                "the name of the CA file or directory has more than 1024 octets",
            ),
        ] {
            let outcome = deliver_by(world, &format!("# rules\n!example.test:\n{line}"));
            let place = "/var/qmail/control/tlsdestinations, line 3";
            outcome.assert_reports(&[format!("ZUnable to use {place}: {problem}. (#4.3.0)\n")]);
            server.assert_told_nothing();
        }
    });
}

#[test]
fn a_long_line_for_the_exchanger_is_carried_out() {
    in_world(|world| {
        let _dns = secure_dns();
        let identity = Identity::self_signed(&[EXCHANGER]).unwrap();
        let server = Server::with(&identity);
        let authority = ca_file(world, "authority.pem", &[&identity.certificate]);
        let above = world.scratch().join("a".repeat(250)).join("b".repeat(250)).join("c".repeat(250));
        fs::create_dir_all(&above).unwrap();
        let directory = format!("{}/", above.display());
        let file = format!("{directory}{}", "d".repeat(1024 - directory.len()));
        fs::copy(authority, &file).unwrap();
        let rule = format!("~mx1.example.test:{file}|{}HIGH", ":".repeat(4092));
        server.assert_accepted(&deliver_by(world, &rule), NAME);
    });
}

#[test]
fn trust_anchors_of_an_exchangers_rule_that_cannot_be_read_put_the_delivery_off() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = Server::with(&Identity::self_signed(&[EXCHANGER]).unwrap());
        let scratch = world.scratch();
        world.file("empty.pem", "");
        for (path, is_directory) in [("missing.pem", false), ("empty.pem", false), ("missing/", true)] {
            let path = scratch.join(path).display().to_string();
            let outcome = deliver_by(world, &format!("!example.test:\nmx1.example.test:{path}"));
            let (file, directory) = if is_directory { ("-", &*path) } else { (&*path, "-") };
            let text = format!("I wasn't able to setup CAFILE: {file} or CADIR: {directory} for TLS");
            match path.ends_with("missing/") {
                // A hashed directory that has not the one certificate is like one that has none.
                true => server.assert_put_off(&outcome, &unverified("self-signed certificate")),
                false => server.assert_put_off(&outcome, &text),
            }
        }
        fs::remove_file(scratch.join("empty.pem")).unwrap();
    });
}

#[test]
fn each_exchanger_has_its_own_rule() {
    in_world(|world| {
        let _dns = dns("example.test MX 10 mx1.example.test\nexample.test MX 20 mx2.example.test\n\
             mx1.example.test A 192.0.2.11\nmx2.example.test A 192.0.2.10\n");
        let strict = world::smtp_sink::SmtpSink::start(
            &["192.0.2.11:25".parse().unwrap()],
            Options::named("mx1.example.test"),
        )
        .unwrap();
        let server = Server::start(Options::named("mx2.example.test"));
        // What the first is asked for is not asked of the second.
        server.assert_accepted(&deliver_by(world, "*:\nmx1.example.test:"), CLEAR);
        assert!(strict.messages().is_empty());
        // The other way round the first takes it.
        let outcome = deliver_by(world, "*:\nmx2.example.test:");
        outcome
            .assert_reports(&["r", "K192.0.2.11 accepted message.\nRemote host said: 250 2.0.0 accepted\n"]);
        server.assert_told_nothing();
    });
}

#[test]
fn an_exchangers_rule_may_be_for_one_senders_domain() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = Server::start(Options::named(EXCHANGER));
        let rules = "*:\nmx1.example.test:|||sender.test";
        server.assert_put_off(&deliver_by(world, rules), NOT_OFFERED);
        let outcome = deliver_with(world, rules, delivery_to("example.test", "alice@other.test"));
        server.assert_accepted(&outcome, CLEAR);
    });
}
