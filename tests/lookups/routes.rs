//! `smtproutes` and `qmtproutes`: which line.

use world::{Needs, in_world};

use crate::network::Network;
use crate::outcome::{Outcome, at, by_qmtp, by_qmtps, malformed};
use crate::row::{Row, SENDER, check};

#[test]
fn the_examples_of_the_manual_page() {
    in_world(|world| {
        let mut network = Network::start(world);
        let routes = "inside.af.mil:firewall.af.mil;26\n.af.mil:\n:heaven.af.mil\n!@:bouncehost.af.mil;27\n";
        check(
            world,
            &mut network,
            &[("smtproutes", routes)],
            &[
                ("inside.af.mil", SENDER, at("192.0.2.11:26"), "route,port smtproutes:1"),
                ("x.af.mil", SENDER, at("192.0.2.14:25"), "route smtproutes:2"),
                ("af.mil", SENDER, at("192.0.2.12:25"), "route smtproutes:3"),
                ("elsewhere.test", SENDER, at("192.0.2.12:25"), "route smtproutes:3"),
                ("inside.af.mil", "", at("192.0.2.13:27"), "route,port smtproutes:4"),
            ],
        );
        let routes = ":submission.myrelay.com;s587|myuserid|mypasswd-secret\n";
        let given = "route,port smtproutes:1; credentials given";
        check(
            world,
            &mut network,
            &[("smtproutes", routes)],
            &[("example.test", SENDER, at("192.0.2.15:587").without_auth(), given)],
        );
        let row = at("192.0.2.16:25").from("192.0.2.90");
        check(
            world,
            &mut network,
            &[("smtproutes", ":bouncehost.org||192.0.2.90\n")],
            &[("example.test", SENDER, row, "route,from smtproutes:1")],
        );
        // As the page has it: a private address, which is taken, and which this machine does not have.
        let unbound = Outcome::Tried("ZSystem can't bind to local ip address: 10.1.1.0 (#4.3.0)\n".into());
        check(
            world,
            &mut network,
            &[("smtproutes", ":bouncehost.org||10.1.1.0\n")],
            &[("example.test", SENDER, unbound, "route,from smtproutes:1")],
        );
        world.require(Needs::Ipv6);
        let row = at("[2001:db8::11]:42").from("2001:db8::fefe");
        check(
            world,
            &mut network,
            &[("smtproutes", ":partnermx.net;42||2001:db8::fefe\n")],
            &[("example.test", SENDER, row, "route,port,from smtproutes:1")],
        );
    });
}

#[test]
fn the_longest_key_wins_and_the_last_of_equals() {
    in_world(|world| {
        let mut network = Network::start(world);
        let routes = ":192.0.2.15\n.test:192.0.2.14\n.example.test:192.0.2.13\n.Sub.Example.Test:192.0.2.12\n\
                      MX.sub.example.test:192.0.2.10\nmx.sub.example.test:192.0.2.11\n";
        let mut rows: Vec<Row<'_>> = vec![
            ("mx.sub.example.test", SENDER, at("192.0.2.11:25"), "route smtproutes:6"),
            ("MX.Sub.EXAMPLE.test", SENDER, at("192.0.2.11:25"), "route smtproutes:6"),
            ("mx.sub.example.test.", SENDER, at("192.0.2.11:25"), "route smtproutes:6"),
            ("a.sub.example.test", SENDER, at("192.0.2.12:25"), "route smtproutes:4"),
            ("a.b.sub.example.test", SENDER, at("192.0.2.12:25"), "route smtproutes:4"),
            ("sub.example.test", SENDER, at("192.0.2.13:25"), "route smtproutes:3"),
            ("example.test", SENDER, at("192.0.2.14:25"), "route smtproutes:2"),
            ("notexample.test", SENDER, at("192.0.2.14:25"), "route smtproutes:2"),
            ("test", SENDER, at("192.0.2.15:25"), "route smtproutes:1"),
            ("example.org", SENDER, at("192.0.2.15:25"), "route smtproutes:1"),
        ];
        check(world, &mut network, &[("smtproutes", routes)], &rows);
        rows = vec![("mx.example.test", SENDER, at("192.0.2.12:25"), "route smtproutes:1")];
        let routes = ".example.test:192.0.2.12\n.test:192.0.2.14\n:192.0.2.15\n";
        check(world, &mut network, &[("smtproutes", routes)], &rows);
        rows = vec![("example.test", SENDER, at("192.0.2.12:25"), "route smtproutes:3")];
        let routes = "# :192.0.2.11\r\n\r\nexample.test:192.0.2.12 \t\r\nother.test:192.0.2.11";
        check(world, &mut network, &[("smtproutes", routes)], &rows);
        rows = vec![("other.test", SENDER, at("192.0.2.17:25"), "")];
        check(world, &mut network, &[("smtproutes", "# :192.0.2.11\nexample.test:192.0.2.11\n")], &rows);
        // Text that no key fits, and a malformed line for somebody else.
        check(world, &mut network, &[("smtproutes", "192.0.2.11\n\n*:192.0.2.11\nx.test:a b\n")], &rows);
    });
}

#[test]
fn bounces_have_a_route_of_their_own() {
    in_world(|world| {
        let mut network = Network::start(world);
        let routes = "example.test:192.0.2.11\n!@:192.0.2.12\n:192.0.2.13\n";
        check(
            world,
            &mut network,
            &[("smtproutes", routes)],
            &[
                ("example.test", "", at("192.0.2.12:25"), "route smtproutes:2"),
                ("other.test", "", at("192.0.2.12:25"), "route smtproutes:2"),
                ("example.test", SENDER, at("192.0.2.11:25"), "route smtproutes:1"),
                ("other.test", "@", at("192.0.2.13:25"), "route smtproutes:3"),
            ],
        );
        check(
            world,
            &mut network,
            &[("smtproutes", "!@:\nexample.test:192.0.2.11\n")],
            &[("example.test", "", at("192.0.2.10:25"), "route smtproutes:1")],
        );
        let qmtp = ("qmtproutes", "!@:192.0.2.14\n");
        check(
            world,
            &mut network,
            &[qmtp, ("smtproutes", routes)],
            &[
                ("example.test", "", by_qmtp("example.test"), "route qmtproutes:1"),
                ("example.test", SENDER, at("192.0.2.11:25"), "route smtproutes:1"),
            ],
        );
        check(
            world,
            &mut network,
            &[("qmtproutes", "example.test:192.0.2.14\n"), ("smtproutes", routes)],
            &[("example.test", "", at("192.0.2.12:25"), "route smtproutes:2")],
        );
    });
}

#[test]
fn at_each_level_qmtproutes_comes_first() {
    const LEVELS: [&str; 5] = ["mx.sub.example.test", ".sub.example.test", ".example.test", ".test", ""];
    in_world(|world| {
        let mut network = Network::start(world);
        for (level, key) in LEVELS.iter().enumerate() {
            let qmtp = format!("{key}:192.0.2.11\n");
            let same = format!("{key}:192.0.2.12\n");
            let outcome = by_qmtp("mx.sub.example.test");
            let row = ("mx.sub.example.test", SENDER, outcome, "route qmtproutes:1");
            check(world, &mut network, &[("qmtproutes", &qmtp), ("smtproutes", &same)], &[row]);
            if let Some(better) = level.checked_sub(1) {
                let better = format!("{}:192.0.2.12\n", LEVELS[better]);
                let row = ("mx.sub.example.test", SENDER, at("192.0.2.12:25"), "route smtproutes:1");
                check(world, &mut network, &[("qmtproutes", &qmtp), ("smtproutes", &better)], &[row]);
            }
        }
    });
}

#[test]
fn the_file_or_the_port_means_qmtp() {
    in_world(|world| {
        let mut network = Network::start(world);
        let qmtp = || by_qmtp("example.test");
        for (file, route, outcome, lines) in [
            ("qmtproutes", "192.0.2.11", qmtp(), "route qmtproutes:1"),
            ("qmtproutes", "192.0.2.11;26", qmtp(), "route,port qmtproutes:1"),
            ("qmtproutes", "192.0.2.11;6209", by_qmtps("192.0.2.11"), "route,port qmtproutes:1"),
            ("qmtproutes", "192.0.2.11||192.0.2.90", qmtp(), "route,from qmtproutes:1"),
            ("qmtproutes", "", qmtp(), "route qmtproutes:1"),
            ("qmtproutes", ";6209", by_qmtps("mx2.example.test"), "route,port qmtproutes:1"),
            ("smtproutes", "192.0.2.11;6209", by_qmtps("192.0.2.11"), "route,port smtproutes:1"),
        ] {
            let text = format!("example.test:{route}\n");
            check(
                world,
                &mut network,
                &[(file, &text)],
                &[("example.test", SENDER, outcome, lines), ("other.test", SENDER, at("192.0.2.17:25"), "")],
            );
        }
        let bad = malformed("qmtproutes:2", "the port is not a number from 1 to 65535");
        let row = ("example.test", SENDER, bad, "nothing");
        check(world, &mut network, &[("qmtproutes", "\n:192.0.2.11;x\n")], &[row]);
    });
}
