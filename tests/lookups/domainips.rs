//! `domainips`, `helohost` and `me`: where a delivery comes from, and what it calls itself.

use world::{Needs, in_world};

use crate::network::Network;
use crate::outcome::{Outcome, at, malformed, put_off};
use crate::row::{SENDER, check};

const ROUTE: (&str, &str) = ("smtproutes", ":192.0.2.11\n");
const UNREACHABLE: &str = "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n";

#[test]
fn the_senders_domain_decides() {
    in_world(|world| {
        let mut network = Network::start(world);
        let ips = "*:192.0.2.95|star.test\n:192.0.2.94|empty.test\n.test:192.0.2.93|suffix.test\n\
                   .Sender.Test:192.0.2.92|sub.sender.test\nsender.test:192.0.2.98|first.test\n\
                   SENDER.test:192.0.2.91|helo.sender.test\n";
        let row = |sender, source, hello, line| {
            ("example.test", sender, at("192.0.2.11:25").from(source).named(hello), line)
        };
        let rows = [
            row(
                "a@sender.test",
                "192.0.2.91",
                "helo.sender.test",
                "route smtproutes:1; from,says domainips:6",
            ),
            row(
                "A@Sender.TEST",
                "192.0.2.91",
                "helo.sender.test",
                "route smtproutes:1; from,says domainips:6",
            ),
            row(
                "a@x@x.sender.test",
                "192.0.2.92",
                "sub.sender.test",
                "route smtproutes:1; from,says domainips:4",
            ),
            row("a@other.test", "192.0.2.93", "suffix.test", "route smtproutes:1; from,says domainips:3"),
            row("a@sender.org", "192.0.2.94", "empty.test", "route smtproutes:1; from,says domainips:2"),
            row("", "192.0.2.94", "empty.test", "route smtproutes:1; from,says domainips:2"),
        ];
        check(world, &mut network, &[ROUTE, ("domainips", ips)], &rows);
        let rows = [
            row("a@other.test", "192.0.2.95", "star.test", "route smtproutes:1; from,says domainips:1"),
            row("", "192.0.2.95", "star.test", "route smtproutes:1; from,says domainips:1"),
        ];
        check(world, &mut network, &[ROUTE, ("domainips", "*:192.0.2.95|star.test\n")], &rows);
        let rows = [("example.test", "a@other.test", at("192.0.2.11:25"), "route smtproutes:1")];
        check(world, &mut network, &[ROUTE, ("domainips", "sender.test:192.0.2.91|helo.test\n")], &rows);
        // The best exchanger has an address of the other family only.
        let row = at("192.0.2.12:25").from("192.0.2.91");
        let rows = [("families.example.test", SENDER, row, "from domainips:1")];
        check(world, &mut network, &[("domainips", "sender.test:192.0.2.91\n")], &rows);
        // Without a route.
        let row = at("192.0.2.10:25").from("192.0.2.91").named("helo.test");
        let rows = [("example.test", SENDER, row, "from,says domainips:1")];
        check(world, &mut network, &[("domainips", "sender.test:192.0.2.91|helo.test\n")], &rows);
    });
}

#[test]
fn the_forms_of_a_line() {
    in_world(|world| {
        let mut network = Network::start(world);
        let relay = || at("192.0.2.11:25");
        let both = "route smtproutes:1; from,says domainips:1";
        let no_address = || put_off("Invalid ipaddr in control/domainips (#4.3.0)");
        for (value, outcome, lines) in [
            ("192.0.2.91|helo.test", relay().from("192.0.2.91").named("helo.test"), both),
            ("192.0.2.91", relay().from("192.0.2.91"), "route smtproutes:1; from domainips:1"),
            ("192.0.2.91|", relay().from("192.0.2.91"), "route smtproutes:1; from domainips:1"),
            ("|helo.test", relay().named("helo.test"), "route smtproutes:1; says domainips:1"),
            ("|[192.0.2.91]", relay().named("[192.0.2.91]"), "route smtproutes:1; says domainips:1"),
            ("", relay(), "route smtproutes:1"),
            ("192.0.2.91,2001:db8::91|helo.test", relay().from("192.0.2.91").named("helo.test"), both),
            ("2001:db8::91,192.0.2.91", relay().from("192.0.2.91"), "route smtproutes:1; from domainips:1"),
            ("2001:db8::91", Outcome::Tried(UNREACHABLE.into()), "route smtproutes:1; from domainips:1"),
            ("eth0", no_address(), "nothing"),
            ("192.0.2", no_address(), "nothing"),
            ("192.0.2.91,", no_address(), "nothing"),
            ("[2001:db8::91]", no_address(), "nothing"),
            (
                "192.0.2.91,192.0.2.92",
                malformed("domainips:1", "two addresses must be one of each family"),
                "nothing",
            ),
            ("192.0.2.91|a b", malformed("domainips:1", "the HELO name is not a host name"), "nothing"),
        ] {
            let text = format!("*:{value}\n");
            check(
                world,
                &mut network,
                &[ROUTE, ("domainips", &text)],
                &[("example.test", SENDER, outcome, lines)],
            );
        }
    });
}

#[test]
fn a_routes_address_wins_and_the_name_stays() {
    in_world(|world| {
        let mut network = Network::start(world);
        let lines = "route,from smtproutes:1; says domainips:1";
        let row = |ips, outcome, lines| (("domainips", ips), [("example.test", SENDER, outcome, lines)]);
        let arrives = || at("192.0.2.11:25").from("192.0.2.90");
        for (ips, rows) in [
            row("*:192.0.2.91|helo.test\n", arrives().named("helo.test"), lines),
            row("*:2001:db8::91|helo.test\n", arrives().named("helo.test"), lines),
            row("*:198.51.100.1\n", arrives(), "route,from smtproutes:1"),
        ] {
            check(world, &mut network, &[("smtproutes", ":192.0.2.11||192.0.2.90\n"), ips], &rows);
        }
    });
}

#[test]
fn addresses_that_this_machine_does_not_have() {
    in_world(|world| {
        let mut network = Network::start(world);
        let unbound = "ZSystem can't bind to local ip address: 198.51.100.1 (#4.3.0)\n";
        let no_interface = put_off("System can't bind to local ip address: fe80::90 (#4.3.0)");
        check(
            world,
            &mut network,
            &[ROUTE, ("domainips", "a.test:198.51.100.1|helo.test\nb.test:fe80::90%nowhere0\n")],
            &[
                (
                    "example.test",
                    "a@a.test",
                    Outcome::Tried(unbound.into()),
                    "route smtproutes:1; from,says domainips:1",
                ),
                ("example.test", "a@b.test", no_interface.clone(), "route smtproutes:1; from domainips:2"),
            ],
        );
        let rows = [("example.test", SENDER, Outcome::Tried(unbound.into()), "route,from smtproutes:1")];
        check(world, &mut network, &[("smtproutes", ":192.0.2.11||198.51.100.1\n")], &rows);
        let rows = [("example.test", SENDER, no_interface, "route,from smtproutes:1")];
        check(world, &mut network, &[("smtproutes", ":192.0.2.11||fe80::90%nowhere0\n")], &rows);

        world.require(Needs::Ipv6);
        world.forbid_foreign_ipv6_binds();
        let unbound =
            Outcome::Tried("ZSystem can't bind to local ip address: 2001:db8::91 (#4.3.0)\n".into());
        let rows = [("example.test", SENDER, unbound, "route smtproutes:1; from domainips:1")];
        check(
            world,
            &mut network,
            &[("smtproutes", ":[2001:db8::10]\n"), ("domainips", "*:2001:db8::91\n")],
            &rows,
        );
    });
}

#[test]
fn each_family_has_its_source() {
    in_world(|world| {
        world.require(Needs::Ipv6);
        let mut network = Network::start(world);
        let two = "*:192.0.2.91,2001:db8::91|helo.test\n";
        let says = "route smtproutes:1; from,says domainips:1";
        let quiet = "route smtproutes:1; from domainips:1";
        for (relay, ips, outcome, lines) in [
            ("192.0.2.11", two, at("192.0.2.11:25").from("192.0.2.91").named("helo.test"), says),
            ("[2001:db8::10]", two, at("[2001:db8::10]:25").from("2001:db8::91").named("helo.test"), says),
            ("[2001:db8::10]", "*:192.0.2.91\n", Outcome::Tried(UNREACHABLE.into()), quiet),
            // Of the server's two addresses, the one that there is a source for.
            ("both.example.test", "*:192.0.2.91\n", at("192.0.2.13:25").from("192.0.2.91"), quiet),
            ("both.example.test", "*:2001:db8::91\n", at("[2001:db8::11]:25").from("2001:db8::91"), quiet),
            ("[fe80::10]", "*:fe80::90%lo\n", at("[fe80::10]:25").from("fe80::90"), quiet),
            (
                "[fe80::10];s",
                "*:192.0.2.91,fe80::90%lo\n",
                at("[fe80::10]:465").from("fe80::90"),
                "route,port smtproutes:1; from domainips:1",
            ),
            ("[fe80::10]", "*:192.0.2.91\n", Outcome::Tried(UNREACHABLE.into()), quiet),
            ("[::1]", "*:::1\n", at("[::1]:25").from("::1"), quiet),
        ] {
            let route = format!(":{relay}\n");
            let rows = [("example.test", SENDER, outcome, lines)];
            check(world, &mut network, &[("smtproutes", &route), ("domainips", ips)], &rows);
        }
    });
}

#[test]
fn helohost_comes_before_me_and_one_is_needed() {
    in_world(|world| {
        let mut network = Network::start(world);
        let unreadable = || put_off("Unable to read control files. (#4.3.0)");
        let arrives = || at("192.0.2.10:25");
        let no_name = "says nothing";
        for (helohost, me, outcome, lines) in [
            ("", "me.test\n", arrives().named("me.test"), ""),
            ("helo.test\n", "me.test\n", arrives().named("helo.test"), "says helohost:1"),
            ("helo.test \nsecond.test\n", "", arrives().named("helo.test"), "says helohost:1"),
            ("[192.0.2.90]\n", "me.test\n", arrives().named("[192.0.2.90]"), "says helohost:1"),
            ("", "", unreadable(), no_name),
            ("", "not a name\n", unreadable(), no_name),
            ("192.0.2.90\n", "me.test\n", unreadable(), no_name),
        ] {
            let files = [("helohost", helohost), ("me", me)];
            check(world, &mut network, &files, &[("example.test", SENDER, outcome, lines)]);
        }
        // The name of domainips is no excuse for having none.
        let files = [("me", ""), ("domainips", "*:192.0.2.91|helo.test\n")];
        let rows = [("example.test", SENDER, unreadable(), "from domainips:1; says nothing")];
        check(world, &mut network, &files, &rows);
        let bad = malformed("smtproutes:1", "the port is not a number from 1 to 65535");
        let rows = [("example.test", SENDER, bad, "nothing")];
        check(world, &mut network, &[("me", ""), ("smtproutes", ":192.0.2.11;x\n")], &rows);
        check(
            world,
            &mut network,
            &[("timeoutremote", "0\n")],
            &[("example.test", SENDER, unreadable(), "")],
        );
    });
}
