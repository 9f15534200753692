//! Ports, TLS from the first byte, and a real Postfix behind the rules.

use world::certificates::{Authority, failing_acceptor};
use world::smtp_sink::Options;
use world::{Letter, Postfix, in_world};

use crate::support::*;

fn implicit(port: u16, acceptor: openssl::ssl::SslAcceptor) -> Server {
    let options = Options { acceptor: Some(acceptor), implicit_tls: true, ..Options::named(EXCHANGER) };
    Server::on_port(port, options)
}

#[test]
fn the_port_says_how_tls_starts() {
    in_world(|world| {
        let _dns = secure_dns();
        let authority = Authority::new("Partner authority").unwrap();
        let file = ca_file(world, "ca.pem", &[&authority.identity().certificate]);
        let leaf = issue(&authority, &[EXCHANGER]);
        let acceptor = || leaf.acceptor().unwrap();
        let by_starttls =
            Server::on_port(35, Options { acceptor: Some(acceptor()), ..Options::named(EXCHANGER) });
        by_starttls.assert_accepted(&deliver_by(world, "example.test:;35"), TLS);
        by_starttls.assert_accepted(&deliver_by(world, &format!("=example.test:{file};35")), EXACT_NAME);
        // The rule's port wins over the route's.
        world.control("smtproutes", "example.test:mx1.example.test;s465\n");
        by_starttls.assert_accepted(&deliver_by(world, "mx1.example.test:;35"), TLS);
        world.control("smtproutes", "");
        drop(by_starttls);
        for (rules, port) in [(["", ";s35"], 35), ([";465", ";s"], 465)] {
            let server = implicit(port, acceptor());
            for port in rules.into_iter().filter(|rule| !rule.is_empty()) {
                server.assert_accepted(&deliver_by(world, &format!("example.test:{port}")), TLS);
                server.assert_accepted(&deliver_by(world, &format!("*:{port}")), TLS);
                server.assert_accepted(&deliver_by(world, &format!("!example.test:{port}")), TLS);
                let rule = format!("~example.test:{file}||3{port}");
                server.assert_accepted(&deliver_by(world, &rule), NAME);
            }
        }
    });
}

#[test]
fn a_certificate_is_verified_before_the_greeting_of_an_implicit_port() {
    in_world(|world| {
        let _dns = secure_dns();
        let [ours, other] = ["Ours", "Other"].map(|name| Authority::new(name).unwrap());
        let file = ca_file(world, "ca.pem", &[&ours.identity().certificate]);
        let server = implicit(465, issue(&other, &[EXCHANGER]).acceptor().unwrap());
        for rule in ["example.test", "=example.test", "*", "?", "/", "!example.test"] {
            let outcome = deliver_by(world, &format!("{rule}:{file};465"));
            server.assert_put_off(&outcome, &unverified(UNKNOWN_ISSUER));
        }
        assert!(server.transcript().iter().all(|line| !line.starts_with("C: ")), "somebody spoke");
    });
}

#[test]
fn an_implicit_port_is_never_spoken_to_in_clear() {
    in_world(|world| {
        let _dns = secure_dns();
        let rules =
            ["?:;465", "?example.test:;s", "*:;465", "-:;465", "example.test:;465", "!example.test:;465"];
        let failing = implicit(465, failing_acceptor().unwrap());
        for rule in rules {
            failing.assert_put_off(&deliver_by(world, rule), NO_HANDSHAKE);
        }
        assert!(failing.transcript().iter().all(|line| !line.starts_with("C: ")), "somebody spoke");
        assert_eq!(failing.transcript().iter().filter(|line| line.starts_with("-- connection")).count(), 6);
    });
}

#[test]
fn postfix_takes_mail_by_the_rules() {
    in_world(|world| {
        let _dns = secure_dns();
        let authority = Authority::new("Partner authority").unwrap();
        let file = ca_file(world, "ca.pem", &[&authority.identity().certificate]);
        let files = issue(&authority, &[EXCHANGER]).write(&world.scratch(), "mx1").unwrap();
        let anonymous =
            ["smtpd_tls_cert_file=none", "smtpd_tls_key_file=none", "smtpd_tls_protocols=!TLSv1.3,>=TLSv1.2"];
        let server = world.postfix(
            Postfix::on("192.0.2.10")
                .tls(files.certificate, files.key)
                .implicit_tls_on(465)
                .port(26, &["smtpd_tls_security_level=none"])
                .port(27, &anonymous)
                .port(28, &["smtpd_tls_key_file=/missing"]),
        );
        for (rule, how) in [
            (format!("=example.test:{file}"), EXACT_NAME),
            (format!("~example.test:{file};465"), NAME),
            (format!("example.test:{file};s"), CHAIN),
            ("-example.test:;27".to_owned(), TLS),
            ("*:;26".to_owned(), CLEAR),
            ("*:;28".to_owned(), CLEAR),
        ] {
            let outcome = deliver_by(world, &rule);
            let reports = String::from_utf8(outcome.reports().concat()).unwrap();
            let accepted = format!("rK192.0.2.10 {how}.\nRemote host said: 250 2.0.0 Ok: ");
            assert!(reports.starts_with(&accepted) && outcome.belief().letter == Letter::K, "{reports}");
            let _ = server.wait_for_message();
        }
        for (rule, text) in [
            ("example.test:;26".to_owned(), NOT_OFFERED.to_owned()),
            ("example.test:;28".to_owned(), NOT_OFFERED.to_owned()),
            (format!("=example.test:{file};27"), NO_HANDSHAKE.to_owned()),
            (format!("%example.test:={}", "0".repeat(41)), {
                "Received X.500 certificate from: mx1.example.test for example.test posses an unknown digest method"
                    .to_owned()
            }),
        ] {
            deliver_by(world, &rule).assert_reports(&[format!("Z{text}. (#4.4.1)\n")]);
        }
        assert_eq!(server.messages().len(), 6);
    });
}
