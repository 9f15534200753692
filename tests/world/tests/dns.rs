//! The private DNS, asked by `drill`: what is authenticated, what is not, and what fails.

#![expect(clippy::unwrap_used, reason = "a failed step must stop the test")]

use std::net::TcpStream;

use world::{Needs, World, Zones, in_world, programs};

/// The answer of the resolver as `drill` prints it; the question has AD set.
fn ask(name: &str, kind: &str) -> String {
    let output = programs::command("drill").args(["-o", "AD", name, kind, "@127.0.0.1"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_authenticated(answer: &str) -> bool {
    let flags = answer.split("flags: ").nth(1).unwrap().split(" ;").next().unwrap();
    flags.split(' ').any(|flag| flag == "ad")
}

fn needs(world: &World) {
    world.require(Needs::NameServers);
    world.require(Needs::Program("drill"));
}

#[test]
fn signed_answers_are_authenticated_and_others_are_not() {
    in_world(|world| {
        needs(world);
        let zones = Zones::new()
            .signed("example.test", "@ MX 10 mx1\nmx1 A 192.0.2.10\n* A 192.0.2.99\nalias CNAME mx1\n")
            .signed("sub.example.test", "@ A 192.0.2.12\n")
            .insecure("plain.test", "@ MX 10 mx1.example.test.\n@ A 192.0.2.11\n")
            .signed("other.example", "@ A 192.0.2.13\n");
        let _dns = world.dns(&zones);
        for (name, kind, has) in [
            ("example.test", "MX", "10 mx1.example.test."),
            ("mx1.example.test", "A", "192.0.2.10"),
            ("any.example.test", "A", "192.0.2.99"),
            ("alias.example.test", "A", "192.0.2.10"),
            ("sub.example.test", "A", "192.0.2.12"),
            ("other.example", "A", "192.0.2.13"),
        ] {
            let answer = ask(name, kind);
            assert!(answer.contains(has) && is_authenticated(&answer), "{answer}");
        }
        let insecure = ask("plain.test", "A");
        assert!(insecure.contains("192.0.2.11") && !is_authenticated(&insecure), "{insecure}");
        let missing = ask("nothing.test", "A");
        assert!(missing.contains("rcode: NXDOMAIN"), "{missing}");
    });
}

#[test]
fn bogus_zones_fail() {
    in_world(|world| {
        needs(world);
        let _dns = world.dns(&Zones::new().bogus("bad.test", "@ MX 10 mx1\nmx1 A 192.0.2.10\n"));
        for (name, kind) in
            [("bad.test", "MX"), ("mx1.bad.test", "A"), ("bad.test", "A"), ("none.bad.test", "A")]
        {
            let answer = ask(name, kind);
            assert!(answer.contains("rcode: SERVFAIL"), "{name} {kind}: {answer}");
        }
    });
}

#[test]
fn single_record_sets_can_be_bogus() {
    in_world(|world| {
        needs(world);
        let text = "@ MX 10 mx1\nmx1 A 192.0.2.10\n_25._tcp.mx1 TLSA 3 1 1 \
                    0000000000000000000000000000000000000000000000000000000000000000\n";
        let _dns = world.dns(&Zones::new().bogus_at("half.test", text, &[("_25._tcp.mx1", "TLSA")]));
        assert!(is_authenticated(&ask("half.test", "MX")));
        assert!(is_authenticated(&ask("mx1.half.test", "A")));
        let answer = ask("_25._tcp.mx1.half.test", "TLSA");
        assert!(answer.contains("rcode: SERVFAIL"), "{answer}");
    });
}

#[test]
fn zones_deny_with_nsec3_and_opt_out() {
    in_world(|world| {
        needs(world);
        let text = "@ A 192.0.2.10\n";
        let zones = Zones::new().signed_by_nsec3("hashed.test", text).signed_with_opt_out("out.test", text);
        let _dns = world.dns(&zones.insecure("plain.out.test", text));
        assert!(is_authenticated(&ask("hashed.test", "A")) && is_authenticated(&ask("out.test", "A")));
        let hashed = ask("none.hashed.test", "A");
        assert!(hashed.contains("rcode: NXDOMAIN") && is_authenticated(&hashed), "{hashed}");
        let out = ask("none.out.test", "A");
        assert!(out.contains("rcode: NXDOMAIN") && !is_authenticated(&out), "{out}");
    });
}

#[test]
fn expired_and_stripped_zones_fail() {
    in_world(|world| {
        needs(world);
        let text = "@ A 192.0.2.10\n";
        let _dns = world.dns(&Zones::new().expired("late.test", text).stripped("bare.test", text));
        for name in ["late.test", "bare.test"] {
            let answer = ask(name, "A");
            assert!(answer.contains("rcode: SERVFAIL"), "{name}: {answer}");
        }
    });
}

#[test]
fn silent_zones_are_delegated_and_questions_are_remembered() {
    in_world(|world| {
        needs(world);
        let dns =
            world.dns(&Zones::new().signed("example.test", "@ A 192.0.2.10\n").silent("mute.example.test"));
        assert!(!dns.was_asked("mute.example.test", "NS"));
        let delegation = programs::command("drill").args(["mute.example.test", "NS", "@127.0.0.2"]).output();
        assert!(String::from_utf8_lossy(&delegation.unwrap().stdout).contains("NS\tsilent."));
        assert!(ask("EXAMPLE.test", "A").contains("192.0.2.10"));
        assert!(dns.was_asked("example.test", "A") && !dns.was_asked("example.test", "AAAA"));
    });
}

#[test]
fn options_reach_the_resolver() {
    in_world(|world| {
        needs(world);
        let zones = Zones::new().bogus("bad.test", "@ A 192.0.2.10\n");
        let _dns = world.dns(&zones.unbound_option("val-permissive-mode: yes"));
        let answer = ask("bad.test", "A");
        assert!(answer.contains("192.0.2.10") && !is_authenticated(&answer), "{answer}");
    });
}

#[test]
fn stopped_servers_leave_their_port() {
    in_world(|world| {
        needs(world);
        assert!(TcpStream::connect("127.0.0.1:53").is_err());
        world.dns(&Zones::new()).stop();
        assert!(TcpStream::connect("127.0.0.1:53").is_err());
        let _dns = world.dns(&Zones::new().signed("example.test", "@ A 192.0.2.10\n"));
        assert!(ask("example.test", "A").contains("192.0.2.10"));
    });
}
