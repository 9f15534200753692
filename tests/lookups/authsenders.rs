//! `authsenders`.

use world::in_world;

use crate::network::Network;
use crate::outcome::{at, by_qmtps, malformed};
use crate::row::check;

#[test]
fn the_examples_of_the_manual_page() {
    in_world(|world| {
        let mut network = Network::start(world);
        let senders = "@example.com:relay.example.com|user|passwd-secret\n\
                       info@example.com:relay.example.com;26|infouser|infopasswd-secret\n\
                       :mailrelay.example.com|e=mc2|testpass-secret\n";
        let row = |sender, server, columns| ("example.test", sender, at(server).without_auth(), columns);
        let rows = [
            row("a@example.com", "192.0.2.11:25", "route authsenders:1; credentials given"),
            row("info@example.com", "192.0.2.11:26", "route,port authsenders:2; credentials given"),
            row("a@sub.example.com", "192.0.2.12:25", "route authsenders:3; credentials given"),
            row("", "192.0.2.12:25", "route authsenders:3; credentials given"),
        ];
        check(world, &mut network, &[("authsenders", senders)], &rows);
        // Without the authentication information.
        let senders = "@example.com:relay.example.com\ninfo@example.com:relay.example.com;26\n\
                       :mailrelay.example.com\n";
        let rows = [
            ("example.test", "a@example.com", at("192.0.2.11:25"), "route authsenders:1"),
            ("example.test", "info@example.com", at("192.0.2.11:26"), "route,port authsenders:2"),
            ("example.test", "a@sub.example.com", at("192.0.2.12:25"), "route authsenders:3"),
            ("example.test", "", at("192.0.2.12:25"), "route authsenders:3"),
        ];
        check(world, &mut network, &[("authsenders", senders)], &rows);
    });
}

#[test]
fn the_whole_sender_then_suffixes_then_the_empty_key() {
    in_world(|world| {
        let mut network = Network::start(world);
        let senders = ":192.0.2.15\n.test:192.0.2.14\n.example.test:192.0.2.13\n@sub.Example.test:192.0.2.12\n\
                       A.b@sub.example.test:192.0.2.10\na.b@sub.example.test:192.0.2.11\n";
        let row = |sender, server, columns| ("other.test", sender, at(server), columns);
        let mut rows = vec![
            row("a.b@sub.example.test", "192.0.2.11:25", "route authsenders:6"),
            row("A.B@SUB.example.test", "192.0.2.11:25", "route authsenders:6"),
            row("x@sub.example.test", "192.0.2.12:25", "route authsenders:4"),
            row("\"a:b\"@sub.example.test", "192.0.2.12:25", "route authsenders:4"),
            row("x@y.example.test", "192.0.2.13:25", "route authsenders:3"),
            row("x@example.test", "192.0.2.14:25", "route authsenders:2"),
            row("x@example.org", "192.0.2.15:25", "route authsenders:1"),
            row("postmaster", "192.0.2.15:25", "route authsenders:1"),
            row("", "192.0.2.15:25", "route authsenders:1"),
        ];
        check(world, &mut network, &[("authsenders", senders)], &rows);
        rows = vec![row("x@example.org", "192.0.2.17:25", ""), row("", "192.0.2.17:25", "")];
        check(world, &mut network, &[("authsenders", "@example.test:192.0.2.11\n")], &rows);
    });
}

#[test]
fn senders_come_before_all_routes() {
    in_world(|world| {
        let mut network = Network::start(world);
        let files = [
            ("authsenders", ":192.0.2.11\n@empty.test:\n@empty26.test:;26\n@auth.test:|user|secret\n"),
            ("qmtproutes", "example.test:192.0.2.12\n"),
            ("smtproutes", "example.test:192.0.2.13\n!@:192.0.2.13\n"),
        ];
        let rows = [
            ("example.test", "a@b.test", at("192.0.2.11:25"), "route authsenders:1"),
            ("example.test", "", at("192.0.2.11:25"), "route authsenders:1"),
            // No relay: the exchangers, whatever the routes say.
            ("example.test", "a@empty.test", at("192.0.2.10:25"), "route authsenders:2"),
            ("example.test", "a@empty26.test", at("192.0.2.10:26"), "route,port authsenders:3"),
            (
                "example.test",
                "a@auth.test",
                at("192.0.2.10:25").without_auth(),
                "route authsenders:4; credentials given",
            ),
        ];
        check(world, &mut network, &files, &rows);
    });
}

#[test]
fn the_forms_of_a_line() {
    in_world(|world| {
        let mut network = Network::start(world);
        let port = "the port is not a number from 1 to 65535";
        let relay = "the relay is neither a host name nor an address";
        for (value, outcome, lines) in [
            ("192.0.2.11;s587", at("192.0.2.11:587"), "route,port authsenders:1"),
            ("192.0.2.11;s", at("192.0.2.11:465"), "route,port authsenders:1"),
            ("192.0.2.11:26", at("192.0.2.11:26"), "route,port authsenders:1"),
            ("192.0.2.11|user", at("192.0.2.11:25"), "route authsenders:1"),
            ("192.0.2.11|user|", at("192.0.2.11:25"), "route authsenders:1"),
            ("192.0.2.11||secret", at("192.0.2.11:25"), "route authsenders:1"),
            // There is no local address here: it belongs to the password.
            ("192.0.2.11|||192.0.2.90", at("192.0.2.11:25"), "route authsenders:1"),
            (
                "192.0.2.11|user|secret|192.0.2.90",
                at("192.0.2.11:25").without_auth(),
                "route authsenders:1; credentials given",
            ),
            ("192.0.2.11;6209", by_qmtps("192.0.2.11"), "route,port authsenders:1"),
            ("192.0.2.11;0", malformed("authsenders:1", port), "nothing"),
            ("a b|user|secret", malformed("authsenders:1", relay), "nothing"),
        ] {
            let text = format!("@b.test:{value}\n");
            check(
                world,
                &mut network,
                &[("authsenders", &text)],
                &[
                    ("example.test", "a@b.test", outcome, lines),
                    ("other.test", "a@c.test", at("192.0.2.17:25"), ""),
                ],
            );
        }
    });
}
