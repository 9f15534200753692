//! `?`: in clear after a handshake that failed, and only then, and only to the server that it failed with.

use std::net::TcpListener;
use std::thread::JoinHandle;

use world::certificates::{Authority, Identity, failing_acceptor};
use world::in_world;
use world::patience::{LONG_ENOUGH, accept};
use world::peer::Peer;
use world::smtp_sink::Options;

use crate::support::*;

/// Serves one connection at `address` until its handshake fails, and is gone from its port before that.
fn fails_once_and_goes(address: &str) -> JoinHandle<()> {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        let stream = accept(&listener);
        drop(listener);
        let mut peer = Peer::new(stream, LONG_ENOUGH).unwrap();
        for reply in ["220 mx1\r\n", "250-mx1\r\n250 STARTTLS\r\n", "220 go ahead\r\n"] {
            peer.send(reply.as_bytes()).unwrap();
            if !reply.starts_with("220 go") {
                peer.line().unwrap();
            }
        }
        let failed = peer.start_tls(&failing_acceptor().unwrap());
        assert!(failed.is_err());
    })
}

#[test]
fn another_address_is_not_spoken_to_in_clear_because_one_failed() {
    in_world(|world| {
        let _dns = dns(
            "example.test MX 10 mx1.example.test\nmx1.example.test A 192.0.2.11\nmx1.example.test A 192.0.2.10\n",
        );
        let failing = fails_once_and_goes("192.0.2.11:25");
        let server = Server::with(&Identity::self_signed(&[EXCHANGER]).unwrap());
        server.assert_accepted(&deliver_by(world, "?:"), TLS);
        // Were it asked second, nothing would have failed.
        failing.join().unwrap();
    });
}

#[test]
fn a_certificate_that_does_not_verify_is_no_reason_to_go_on_in_clear() {
    in_world(|world| {
        let _dns = secure_dns();
        let [ours, other] = ["Ours", "Other"].map(|name| Authority::new(name).unwrap());
        let file = ca_file(world, "ca.pem", &[&ours.identity().certificate]);
        let server = Server::with(&issue(&other, &[EXCHANGER]));
        for rule in ["?", "?example.test", "?.test"] {
            let outcome = deliver_by(world, &format!("{rule}:{file}"));
            server.assert_put_off(&outcome, &unverified(UNKNOWN_ISSUER));
        }
        let connections = server.transcript().iter().filter(|line| line.starts_with("-- connection")).count();
        assert_eq!(connections, 3, "a second attempt");
    });
}

#[test]
fn whoever_has_to_prove_something_cannot_get_out_of_it_by_a_failed_handshake() {
    in_world(|world| {
        let _dns = secure_dns();
        let file = ca_file(world, "ca.pem", &[&Authority::new("Ours").unwrap().identity().certificate]);
        let server = Server::with_tls(failing_acceptor().unwrap());
        let fingerprint = "AB".repeat(32);
        for rule in [
            format!("?:{file}"),
            format!("?example.test:{file}"),
            format!("?:\n%mx1.example.test:={fingerprint}"),
            format!("?:\n?mx1.example.test:{file}"),
            format!("?:\n!mx1.example.test:{file}"),
        ] {
            server.assert_put_off(&deliver_by(world, &rule), NO_HANDSHAKE);
        }
        server.assert_accepted(&deliver_by(world, "?:||3"), CLEAR);
    });
}

#[test]
fn what_an_exchangers_rule_demands_is_not_left_out_after_a_failed_handshake() {
    in_world(|world| {
        let _dns = secure_dns();
        let server = Server::start(Options {
            acceptor: Some(failing_acceptor().unwrap()),
            ..Options::named(EXCHANGER)
        });
        for rule in ["mx1.example.test:", "-mx1.example.test:", "/mx1.example.test:"] {
            let outcome = deliver_by(world, &format!("?:\n{rule}"));
            server.assert_put_off(&outcome, NO_HANDSHAKE);
        }
        server.assert_accepted(&deliver_by(world, "?:\n?mx1.example.test:"), CLEAR);
    });
}

#[test]
fn tlsa_records_overrule_the_question_mark() {
    in_world(|world| {
        let record = format!("_25._tcp.mx1.example.test TLSA 3 1 1 {}\n", "ab".repeat(32));
        let _dns =
            dns(&format!("example.test MX 10 mx1.example.test\nmx1.example.test A 192.0.2.10\n{record}"));
        let server = Server::with_tls(failing_acceptor().unwrap());
        for rule in ["?:", "?example.test:"] {
            server.assert_put_off(&deliver_by(world, rule), NO_HANDSHAKE);
        }
    });
}
