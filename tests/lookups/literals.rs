//! Hosts that are addresses: no look-up, but routes and rules as for a name.

use world::{Needs, in_world};

use crate::network::Network;
use crate::outcome::{Outcome, at};
use crate::row::{SENDER, check};

const OURSELVES: &str = "DSorry. Although I'm listed as a best-preference MX or A for that host,\n\
                         it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n";

#[test]
fn ipv4_literals() {
    in_world(|world| {
        let mut network = Network::start(world);
        let rows = [
            ("[192.0.2.12]", SENDER, at("192.0.2.12:25"), ""),
            ("192.0.2.12", SENDER, at("192.0.2.12:25"), ""),
            ("[127.0.0.5]", SENDER, Outcome::Tried(OURSELVES.into()), ""),
            ("127.0.0.5", SENDER, Outcome::Tried(OURSELVES.into()), ""),
        ];
        check(world, &mut network, &[], &rows);
        let rows = [
            ("[192.0.2.12]", SENDER, at("192.0.2.13:26"), "route,port smtproutes:1"),
            // However the recipient's domain writes it.
            ("192.0.2.12", SENDER, at("192.0.2.13:26"), "route,port smtproutes:1"),
            ("192.0.2.14", SENDER, at("192.0.2.15:25"), "route smtproutes:2"),
            ("[192.0.2.14]", SENDER, at("192.0.2.15:25"), "route smtproutes:2"),
            // A relay may be this machine.
            ("[127.0.0.9]", SENDER, at("127.0.0.5:25"), "route smtproutes:3"),
        ];
        let routes = "[192.0.2.12]:192.0.2.13;26\n192.0.2.14:192.0.2.15\n[127.0.0.9]:127.0.0.5\n\
                      .12:192.0.2.10\n.2.14]:192.0.2.10\n";
        check(world, &mut network, &[("smtproutes", routes)], &rows);
        let rows = [
            ("[192.0.2.12]", SENDER, at("192.0.2.12:465"), "TLS,port tlsdestinations:1"),
            ("192.0.2.12", SENDER, at("192.0.2.12:465"), "TLS,port tlsdestinations:1"),
            ("192.0.2.13", SENDER, at("192.0.2.13:26").in_clear(), "TLS,port tlsdestinations:2"),
            ("192.0.2.14", SENDER, at("192.0.2.14:25"), ""),
        ];
        let rules = "![192.0.2.12]:;s\n!192.0.2.13:;26\n!.2.14:\n!.14:\n";
        check(world, &mut network, &[("tlsdestinations", rules)], &rows);
        let rows = [
            ("[192.0.2.12]", SENDER, at("192.0.2.11:25"), "route smtproutes:1"),
            ("[192.0.2.12]", "", at("192.0.2.16:25"), "route smtproutes:2"),
        ];
        check(world, &mut network, &[("smtproutes", ":192.0.2.11\n!@:192.0.2.16\n")], &rows);
        let source = at("192.0.2.12:25").from("192.0.2.91").named("helo.test");
        let rows = [("[192.0.2.12]", SENDER, source, "from,says domainips:1")];
        check(world, &mut network, &[("domainips", "*:192.0.2.91|helo.test\n")], &rows);
        // An IPv4 address it is in IPv6's form, too.
        for mapped in ["[::ffff:192.0.2.12]", "[IPv6:::FFFF:192.0.2.12]", "[::ffff:c000:20c]"] {
            check(world, &mut network, &[], &[(mapped, SENDER, at("192.0.2.12:25"), "")]);
            for key in ["192.0.2.12", "[192.0.2.12]"] {
                let files = [("smtproutes", &*format!("{key}:192.0.2.13;26\n"))];
                let row = (mapped, SENDER, at("192.0.2.13:26"), "route,port smtproutes:1");
                check(world, &mut network, &files, &[row]);
                let files = [("tlsdestinations", &*format!("!{key}:;26\n"))];
                let row = (mapped, SENDER, at("192.0.2.12:26").in_clear(), "TLS,port tlsdestinations:1");
                check(world, &mut network, &files, &[row]);
            }
            let files = [("smtproutes", &*format!(":{mapped}\n")), ("tlsdestinations", "!192.0.2.12:;26\n")];
            let lines = "route smtproutes:1; TLS,port tlsdestinations:1";
            let row = ("example.test", SENDER, at("192.0.2.12:26").in_clear(), lines);
            check(world, &mut network, &files, &[row]);
        }
        let bad = |host: &str| {
            let shown = host.replace(' ', "?");
            Outcome::Foreseen(format!("DSorry, I couldn't find any host named {shown}. (#5.1.2)\n"))
        };
        for host in ["[192.0.2]", "[x]", "[192.0.2.12", "bad host", "2001:db8::10"] {
            check(world, &mut network, &[], &[(host, SENDER, bad(host), "nothing")]);
        }
    });
}

#[test]
fn ipv6_literals() {
    in_world(|world| {
        world.require(Needs::Ipv6);
        let mut network = Network::start(world);
        let rows = [
            ("[2001:db8::10]", SENDER, at("[2001:db8::10]:25"), ""),
            ("[IPv6:2001:db8::10]", SENDER, at("[2001:db8::10]:25"), ""),
            ("[ipv6:2001:DB8:0::10]", SENDER, at("[2001:db8::10]:25"), ""),
            ("[::1]", SENDER, Outcome::Tried(OURSELVES.into()), ""),
            ("[::ffff:127.0.0.5]", SENDER, Outcome::Tried(OURSELVES.into()), ""),
        ];
        check(world, &mut network, &[], &rows);
        let routes = "[2001:db8::10]:[2001:db8::11];26\n[IPv6:2001:db8::11]:192.0.2.13\n";
        let rows = [
            ("[2001:db8::10]", SENDER, at("[2001:db8::11]:26"), "route,port smtproutes:1"),
            ("[IPv6:2001:db8::10]", SENDER, at("[2001:db8::11]:26"), "route,port smtproutes:1"),
            ("[ipv6:2001:DB8:0::10]", SENDER, at("[2001:db8::11]:26"), "route,port smtproutes:1"),
            ("[IPv6:2001:db8::11]", SENDER, at("192.0.2.13:25"), "route smtproutes:2"),
            ("[2001:db8::11]", SENDER, at("192.0.2.13:25"), "route smtproutes:2"),
        ];
        check(world, &mut network, &[("smtproutes", routes)], &rows);
        let rows = [
            ("[2001:db8::10]", SENDER, at("[2001:db8::10]:26").in_clear(), "TLS,port tlsdestinations:1"),
            ("[IPv6:2001:DB8::10]", SENDER, at("[2001:db8::10]:26").in_clear(), "TLS,port tlsdestinations:1"),
            ("[2001:db8::11]", SENDER, at("[2001:db8::11]:25"), ""),
        ];
        check(world, &mut network, &[("tlsdestinations", "![2001:db8::10]:;26\n")], &rows);
        // A relay that is written otherwise than its rule.
        let row = at("[2001:db8::10]:26").in_clear();
        let rows = [("example.test", SENDER, row, "route smtproutes:1; TLS,port tlsdestinations:1")];
        let route = ("smtproutes", ":[IPv6:2001:DB8:0::10];27\n");
        check(world, &mut network, &[route, ("tlsdestinations", "![2001:db8::10]:;26\n")], &rows);
    });
}
