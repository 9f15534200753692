//! The forms of a line of `smtproutes`.

use world::{Needs, World, in_world};

use crate::network::Network;
use crate::outcome::{Outcome, at, malformed};
use crate::row::{SENDER, check};

const NOT_FOUND_NOW: &str = "ZSorry, I couldn't find any host by that name. (#4.1.2)\n";

/// A route for every host, and what becomes of a message to `example.test`.
fn forms(world: &World, network: &mut Network, rows: &[(&str, Outcome, &str)]) {
    for (route, outcome, lines) in rows {
        let routes = format!(":{route}\n");
        check(
            world,
            network,
            &[("smtproutes", &routes)],
            &[("example.test", SENDER, outcome.clone(), lines)],
        );
    }
}

#[test]
fn the_forms_of_relay_and_port() {
    const ROUTE: &str = "route smtproutes:1";
    const WITH_PORT: &str = "route,port smtproutes:1";
    in_world(|world| {
        let mut network = Network::start(world);
        let rows = [
            ("relay.example.test", at("192.0.2.12:25"), ROUTE),
            ("Relay.Example.Test.", at("192.0.2.12:25"), ROUTE),
            ("relay.example.test;26", at("192.0.2.12:26"), WITH_PORT),
            ("relay.example.test:26", at("192.0.2.12:26"), WITH_PORT),
            ("relay.example.test;s587", at("192.0.2.12:587"), WITH_PORT),
            ("relay.example.test;s465", at("192.0.2.12:465"), WITH_PORT),
            ("relay.example.test;s", at("192.0.2.12:465"), WITH_PORT),
            ("192.0.2.13", at("192.0.2.13:25"), ROUTE),
            ("192.0.2.13:26", at("192.0.2.13:26"), WITH_PORT),
            ("[192.0.2.13]", at("192.0.2.13:25"), ROUTE),
            ("[192.0.2.13];s2465", at("192.0.2.13:2465"), WITH_PORT),
            ("[192.0.2.13]:26", at("192.0.2.13:26"), WITH_PORT),
            ("127.0.0.5;26", at("127.0.0.5:26"), WITH_PORT),
            ("192.0.2.19", at("192.0.2.19:25").in_clear(), ROUTE),
            // No relay: the exchangers as usual.
            ("", at("192.0.2.10:25"), ROUTE),
            (";26", at("192.0.2.10:26"), WITH_PORT),
            (";s", at("192.0.2.10:465"), WITH_PORT),
            (";s587", at("192.0.2.10:587"), WITH_PORT),
            ("nowhere.example.test", Outcome::Tried(NOT_FOUND_NOW.into()), ROUTE),
        ];
        forms(world, &mut network, &rows);
        let port = malformed("smtproutes:1", "the port is not a number from 1 to 65535");
        let relay = malformed("smtproutes:1", "the relay is neither a host name nor an address");
        let bad =
            ["192.0.2.13;x", "192.0.2.13;", "192.0.2.13;0", "192.0.2.13;65536", "192.0.2.13:smtp", ";sx"];
        forms(world, &mut network, &bad.map(|route| (route, port.clone(), "nothing")));
        let bad = ["a b", "2001:db8::10", "[192.0.2.13", "[fe80::10%lo]"];
        forms(world, &mut network, &bad.map(|route| (route, relay.clone(), "nothing")));
    });
}

#[test]
fn ipv6_relays() {
    in_world(|world| {
        world.require(Needs::Ipv6);
        let mut network = Network::start(world);
        let rows = [
            ("six.example.test", at("[2001:db8::10]:25"), "route smtproutes:1"),
            ("six.example.test;26", at("[2001:db8::10]:26"), "route,port smtproutes:1"),
            ("[2001:db8::11]", at("[2001:db8::11]:25"), "route smtproutes:1"),
            ("[IPv6:2001:db8::11]", at("[2001:db8::11]:25"), "route smtproutes:1"),
            ("[2001:db8::11];26", at("[2001:db8::11]:26"), "route,port smtproutes:1"),
            ("[2001:db8::11];s465", at("[2001:db8::11]:465"), "route,port smtproutes:1"),
            ("[2001:db8::11];s", at("[2001:db8::11]:465"), "route,port smtproutes:1"),
            ("[2001:db8::11]:27", at("[2001:db8::11]:27"), "route,port smtproutes:1"),
            ("[::1]", at("[::1]:25"), "route smtproutes:1"),
            ("[::1];42", at("[::1]:42"), "route,port smtproutes:1"),
            (
                "[2001:db8::11]||2001:db8::90",
                at("[2001:db8::11]:25").from("2001:db8::90"),
                "route,from smtproutes:1",
            ),
            (
                "[2001:db8::11]|||2001:DB8:0::90",
                at("[2001:db8::11]:25").from("2001:db8::90"),
                "route,from smtproutes:1",
            ),
            ("[fe80::10]||fe80::90%lo", at("[fe80::10]:25").from("fe80::90"), "route,from smtproutes:1"),
            (
                "[fe80::10];26||fe80::90%lo",
                at("[fe80::10]:26").from("fe80::90"),
                "route,port,from smtproutes:1",
            ),
            ("[::1]||::1%lo", at("[::1]:25").from("::1"), "route,from smtproutes:1"),
            // The other family of the same server.
            (
                "both.example.test||192.0.2.90",
                at("192.0.2.13:25").from("192.0.2.90"),
                "route,from smtproutes:1",
            ),
            (
                "both.example.test||2001:db8::90",
                at("[2001:db8::11]:25").from("2001:db8::90"),
                "route,from smtproutes:1",
            ),
        ];
        forms(world, &mut network, &rows);
    });
}

#[test]
fn user_password_and_local_address() {
    const ROUTE: &str = "route smtproutes:1";
    const WITH_LOCAL: &str = "route,from smtproutes:1";
    const GIVEN: &str = "route smtproutes:1; credentials given";
    in_world(|world| {
        let mut network = Network::start(world);
        let local = || at("192.0.2.13:25").from("192.0.2.90");
        let rows = [
            ("192.0.2.13||192.0.2.90", local(), WITH_LOCAL),
            ("192.0.2.13|||192.0.2.90", local(), WITH_LOCAL),
            ("192.0.2.13||192.0.2.90|", local(), WITH_LOCAL),
            (
                "192.0.2.13;26||192.0.2.90",
                at("192.0.2.13:26").from("192.0.2.90"),
                "route,port,from smtproutes:1",
            ),
            ("|||192.0.2.90", at("192.0.2.10:25").from("192.0.2.90"), WITH_LOCAL),
            ("127.0.0.5||127.0.0.90", at("127.0.0.5:25").from("127.0.0.90"), WITH_LOCAL),
            // Not both of user and password: unauthenticated.
            ("192.0.2.13|user", at("192.0.2.13:25"), ROUTE),
            ("192.0.2.13|user|", at("192.0.2.13:25"), ROUTE),
            ("192.0.2.13|user||192.0.2.90", local(), WITH_LOCAL),
            ("192.0.2.13||", at("192.0.2.13:25"), ROUTE),
            // With both.
            ("192.0.2.13|user|secret", at("192.0.2.13:25").without_auth(), GIVEN),
            ("192.0.2.13|user|secret|", at("192.0.2.13:25").without_auth(), GIVEN),
            (
                "192.0.2.13|user|secret|192.0.2.90",
                local().without_auth(),
                "route,from smtproutes:1; credentials given",
            ),
            ("192.0.2.13|user|secret|bar", at("192.0.2.13:25").without_auth(), GIVEN),
            ("192.0.2.13|user|192.0.2.90", at("192.0.2.13:25").without_auth(), GIVEN),
            ("|user|secret", at("192.0.2.10:25").without_auth(), GIVEN),
        ];
        forms(world, &mut network, &rows);
        let bad = malformed("smtproutes:1", "the local address is not an address");
        let routes = [
            "192.0.2.13||192.0.2",
            "192.0.2.13|||192.0.2.300",
            "192.0.2.13||secret",
            "||192.0.2.90,192.0.2.91",
        ];
        forms(world, &mut network, &routes.map(|route| (route, bad.clone(), "nothing")));
    });
}
