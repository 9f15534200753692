//! `tlsdestinations`: keys, senders, ports and relays, by rules that every version carries out.

use world::in_world;

use crate::network::Network;
use crate::outcome::{at, by_qmtp, by_qmtps, malformed};
use crate::row::{SENDER, check};

#[test]
fn keys_that_do_not_fit_do_not_count() {
    in_world(|world| {
        let mut network = Network::start(world);
        // Neither % nor = has suffixes; a suffix does not fit itself; nor does a key for all with a letter more.
        let text = "%.example.test:=00\n=.example.test:\n.mx.sub.example.test:\nub.example.test:\n\
                    !*:;27\n%*:\n+:\n+mx.sub.example.test:\n:\n!:;27\n";
        let rows = [("mx.sub.example.test", SENDER, at("192.0.2.10:25"), "")];
        check(world, &mut network, &[("tlsdestinations", text)], &rows);
    });
}

#[test]
fn the_last_of_equals_that_is_for_the_sender_counts() {
    in_world(|world| {
        let mut network = Network::start(world);
        let text = "!example.test:;27\n!Example.TEST:;26\n!example.test:||;27|b.test\n!.test:;27\n*:||;35|c.test\n\
             *:||;26|D.test.\n";
        let mut rows = vec![
            ("example.test", SENDER, at("192.0.2.10:26").in_clear(), "TLS,port tlsdestinations:2"),
            ("EXAMPLE.test", SENDER, at("192.0.2.10:26").in_clear(), "TLS,port tlsdestinations:2"),
            ("example.test", "", at("192.0.2.10:26").in_clear(), "TLS,port tlsdestinations:2"),
            ("example.test", "a@b.test", at("192.0.2.10:27").in_clear(), "TLS,port tlsdestinations:3"),
            ("example.test", "a@x.B.test", at("192.0.2.10:27").in_clear(), "TLS,port tlsdestinations:3"),
            ("example.com", "a@c.test", at("192.0.2.10:35"), "TLS,port tlsdestinations:5"),
            ("example.com", "a@d.test", at("192.0.2.10:26"), "TLS,port tlsdestinations:6"),
            ("example.com", "a@x.d.test.", at("192.0.2.10:26"), "TLS,port tlsdestinations:6"),
            ("example.com", SENDER, at("192.0.2.10:25"), ""),
        ];
        check(world, &mut network, &[("tlsdestinations", text)], &rows);
        // The only line that fits is for another sender.
        rows = vec![("example.test", SENDER, at("192.0.2.10:25"), "")];
        check(world, &mut network, &[("tlsdestinations", "!example.test:||;27|b.test\n")], &rows);
    });
}

#[test]
fn the_rules_port_wins_over_the_routes() {
    in_world(|world| {
        let mut network = Network::start(world);
        let by_rule = "route smtproutes:1; TLS,port tlsdestinations:1";
        let by_route = "route,port smtproutes:1; TLS tlsdestinations:1";
        for (route, rule, outcome, lines) in [
            ("192.0.2.11;26", "*:;27", at("192.0.2.11:27"), by_rule),
            ("192.0.2.11;26", "*:;s587", at("192.0.2.11:587"), by_rule),
            ("192.0.2.11;26", "*:;s", at("192.0.2.11:465"), by_rule),
            ("192.0.2.11;26", "*:;465", at("192.0.2.11:465"), by_rule),
            ("192.0.2.11;s587", "*:;26", at("192.0.2.11:26"), by_rule),
            ("192.0.2.11;s587", "!192.0.2.11:;26", at("192.0.2.11:26").in_clear(), by_rule),
            ("192.0.2.11", "*:;26", at("192.0.2.11:26"), by_rule),
            ("", "*:;26", at("192.0.2.10:26"), by_rule),
            ("192.0.2.11;26", "*:", at("192.0.2.11:26"), by_route),
            ("192.0.2.11;s587", "*:", at("192.0.2.11:587"), by_route),
            ("192.0.2.11;s587", "!192.0.2.11:", at("192.0.2.11:587"), by_route),
            ("192.0.2.11;26", "*:;6209", by_qmtps("192.0.2.11"), by_rule),
        ] {
            let files = [("smtproutes", &*format!(":{route}\n")), ("tlsdestinations", &*format!("{rule}\n"))];
            check(world, &mut network, &files, &[("example.test", SENDER, outcome, lines)]);
        }
    });
}

#[test]
fn a_relay_is_the_destination() {
    in_world(|world| {
        let mut network = Network::start(world);
        let rules = "!example.test:;27\n!relay.example.test:;26\n![192.0.2.13]:;s\n!192.0.2.14:;35\n!other.test:;42\n";
        let row = |host, sender, server: &str, lines| (host, sender, at(server).in_clear(), lines);
        for (routes, rows) in [
            ("\n", row("example.test", SENDER, "192.0.2.10:27", "TLS,port tlsdestinations:1")),
            (
                ":\n",
                row(
                    "example.test",
                    SENDER,
                    "192.0.2.10:27",
                    "route smtproutes:1; TLS,port tlsdestinations:1",
                ),
            ),
            (
                ":Relay.example.test.;27\n",
                row(
                    "example.test",
                    SENDER,
                    "192.0.2.12:26",
                    "route smtproutes:1; TLS,port tlsdestinations:2",
                ),
            ),
            (
                ":relay.example.test:27\n",
                row(
                    "example.test",
                    SENDER,
                    "192.0.2.12:26",
                    "route smtproutes:1; TLS,port tlsdestinations:2",
                ),
            ),
            (
                "!@:other.test\n",
                row("example.test", "", "192.0.2.17:42", "route smtproutes:1; TLS,port tlsdestinations:5"),
            ),
            (
                ":192.0.2.14\n",
                row(
                    "example.test",
                    SENDER,
                    "192.0.2.14:35",
                    "route smtproutes:1; TLS,port tlsdestinations:4",
                ),
            ),
        ] {
            check(world, &mut network, &[("smtproutes", routes), ("tlsdestinations", rules)], &[rows]);
        }
        let tls = "route smtproutes:1; TLS,port tlsdestinations:3";
        for route in [":[192.0.2.13]\n", ":192.0.2.13\n"] {
            let rows = [("example.test", SENDER, at("192.0.2.13:465"), tls)];
            check(world, &mut network, &[("smtproutes", route), ("tlsdestinations", rules)], &rows);
        }
        // The host has a rule, its relay has none.
        let rows = [("example.test", SENDER, at("192.0.2.11:25"), "route smtproutes:1")];
        check(world, &mut network, &[("smtproutes", ":192.0.2.11\n"), ("tlsdestinations", rules)], &rows);
        let rows =
            [row("example.test", SENDER, "192.0.2.12:26", "route authsenders:1; TLS,port tlsdestinations:2")];
        check(
            world,
            &mut network,
            &[("authsenders", ":relay.example.test\n"), ("tlsdestinations", rules)],
            &rows,
        );
        let qmtp = "route qmtproutes:1; TLS,port tlsdestinations:2";
        let rows = [("example.test", SENDER, by_qmtp("example.test"), qmtp)];
        check(
            world,
            &mut network,
            &[("qmtproutes", ":relay.example.test\n"), ("tlsdestinations", rules)],
            &rows,
        );
    });
}

#[test]
fn a_malformed_rule_in_use_stops_the_delivery() {
    in_world(|world| {
        let mut network = Network::start(world);
        for (rule, problem) in [
            ("!example.test:;0", "the port is not a number from 1 to 65535"),
            ("example.test:||2;x", "the port is not a number from 1 to 65535"),
            ("*:|HIGH|two", "the verify depth is not a number"),
            ("*:||2|.sender.test", "the sender's domain is not a domain"),
            ("%example.test:", "there is no fingerprint: write %host:=DIGITS"),
            ("%example.test:=xyz", "the fingerprint is not hexadecimal"),
            ("example.test:=ABCD", "a fingerprint needs a key that starts with %"),
            (&format!("%example.test:={}", "AB".repeat(3000)), "the fingerprint has more than 256 digits"),
        ] {
            let text = format!("#\n{rule}\n");
            let rows = [("example.test", SENDER, malformed("tlsdestinations:2", problem), "nothing")];
            check(world, &mut network, &[("tlsdestinations", &text)], &rows);
        }
        let text = "!example.com:;0\n";
        let rows = [("example.test", SENDER, at("192.0.2.10:25"), "")];
        check(world, &mut network, &[("tlsdestinations", text)], &rows);
    });
}
