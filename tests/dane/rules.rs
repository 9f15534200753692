//! TLSA records beside the rules of `tlsdestinations`, routes, ports and literals.

use world::{World, Zones, in_world};

use crate::records::{exchanger, no_match, of, tlsa, with_tlsa};
use crate::scene::{Expected, Scene, delivery};
use crate::servers::{CHAIN, CLEAR, OLD, STRANGER, Servers, WORTHLESS};

const NO_MATCH: &str = "no matching DANE TLSA records";

/// `right` and `wrong`: a server with a certificate of the private root, and TLSA records that match or do not.
/// `self`: one that vouches for itself, with records that match. `clear`: no TLS, and records.
fn zones(servers: &Servers) -> Zones {
    let text = with_tlsa("right", CHAIN, &[of(3, 1, 1, &servers.chain)])
        + &with_tlsa("wrong", CHAIN, &[no_match()])
        + &with_tlsa("self", WORTHLESS, &[of(3, 1, 1, &servers.worthless)])
        + &with_tlsa("other", STRANGER, &[of(2, 0, 1, &servers.root)])
        + &with_tlsa("stranger", STRANGER, &[of(3, 1, 1, &servers.stranger)])
        + &with_tlsa("clear", CLEAR, &[no_match()])
        + &with_tlsa("unusable", CHAIN, &[no_match().replacen('3', "1", 1)])
        + &exchanger("none", CHAIN)
        + &tlsa("_465._tcp.right.mx", &[of(3, 1, 1, &servers.chain)])
        + &tlsa("_465._tcp.self.mx", &[no_match()])
        + &format!("implicit MX 10 implicit.mx\nimplicit.mx A {CHAIN}\n")
        + &tlsa("_465._tcp.implicit.mx", &[no_match()])
        + &tlsa("_25._tcp.implicit.mx", &[of(3, 1, 1, &servers.chain)]);
    let plain = format!("relay A {CHAIN}\n") + &tlsa("_25._tcp.relay", &[no_match()]);
    Zones::new().signed("dane.test", &text).insecure("plain.test", &plain)
}

fn start(world: &World) -> Scene<'_> {
    let scene = Scene::start(world, zones);
    world.file("root.pem", scene.servers.root.to_pem().unwrap());
    scene
}

impl Scene<'_> {
    /// The same delivery under another text of `tlsdestinations`.
    #[track_caller]
    fn under(&self, rules: &str, host: &str, expected: &Expected) {
        println!("{rules}");
        self.world.control("tlsdestinations", format!("{rules}\n"));
        self.deliver(host, expected);
    }

    fn root_file(&self) -> String {
        self.world.scratch().join("root.pem").display().to_string()
    }
}

fn temporary(text: &str) -> Expected {
    Expected::NoServer(format!("{text}. (#4.4.1)"))
}

#[test]
fn rules_that_are_without_tlsa_do_not_ask_for_records() {
    in_world(|world| {
        let scene = start(world);
        let digest = scene.servers.chain.digest(openssl::hash::MessageDigest::sha256()).unwrap();
        let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
        let encrypted = Expected::Encrypted(CHAIN);
        for rule in ["/wrong.dane.test:", "/:", "/*:"] {
            scene.under(rule, "wrong.dane.test", &encrypted);
        }
        scene.under("!wrong.dane.test:", "wrong.dane.test", &Expected::Clear(CHAIN));
        scene.world.control("tlsdestinations", format!("%wrong.dane.test:={hex}\n"));
        let pinned = delivery("wrong.dane.test").run();
        pinned.assert_queued(&["r"], &format!("{CHAIN} TLS (CERT pinning) transmitted message accepted"));
        assert!(scene.dns.was_asked("wrong.mx.dane.test", "A"));
        assert!(!scene.dns.was_asked("_25._tcp.wrong.mx.dane.test", "TLSA"));
        scene.under("*:", "wrong.dane.test", &Expected::mismatch("wrong", NO_MATCH));
        assert!(scene.dns.was_asked("_25._tcp.wrong.mx.dane.test", "TLSA"));
    });
}

#[test]
fn records_override_rules_that_would_go_on_in_clear() {
    in_world(|world| {
        let scene = start(world);
        for rule in ["?wrong.dane.test:", "?:", "-:", "*:", "-*:", "wrong.dane.test:", "-wrong.dane.test:"] {
            scene.under(rule, "wrong.dane.test", &Expected::mismatch("wrong", NO_MATCH));
        }
        for rule in ["?clear.dane.test:", "?:", "-:", "*:"] {
            scene.under(rule, "clear.dane.test", &Expected::no_tls("clear"));
        }
        for rule in ["?right.dane.test:", "?:", "-:", "*:", "-*:", "right.dane.test:"] {
            scene.under(rule, "right.dane.test", &Expected::Validated(CHAIN));
        }
        for rule in ["?:", "-:", "-*:"] {
            scene.under(rule, "none.dane.test", &Expected::Encrypted(CHAIN));
        }
    });
}

#[test]
fn a_match_is_proof_enough_where_the_systems_trust_store_would_verify() {
    in_world(|world| {
        let scene = start(world);
        for rule in ["+*:", "~*:", "=*:", "~self.dane.test:", "=self.dane.test:"] {
            scene.under(rule, "self.dane.test", &Expected::Validated(WORTHLESS));
        }
        for rule in ["+*:", "~*:", "=*:"] {
            scene.under(rule, "wrong.dane.test", &Expected::mismatch("wrong", NO_MATCH));
        }
        // Records that cannot be used prove nothing: the rule's proof stays due.
        scene.world.control("tlsdestinations", "+*:\n");
        let reports = delivery("unusable.dane.test").run().reports();
        let text = String::from_utf8(reports.concat()).unwrap();
        let start =
            "ZUnable to verify X.500 certificate from: unusable.mx.dane.test for unusable.dane.test: ";
        assert!(reports.len() == 1 && text.starts_with(start), "{text}");
    });
}

#[test]
fn with_an_authority_of_the_administrators_own_both_must_hold() {
    in_world(|world| {
        let scene = start(world);
        let root = scene.root_file();
        let both = |host: &str, expected: &Expected| {
            scene.under(&format!("~{host}:{root}"), host, expected);
        };
        both("right.dane.test", &Expected::Validated(CHAIN));
        both("wrong.dane.test", &Expected::mismatch("wrong", NO_MATCH));
        let unverified = "Unable to verify X.500 certificate from: self.mx.dane.test for self.dane.test: self-signed certificate";
        both("self.dane.test", &temporary(unverified));
        let named =
            "Unable to validate X.500 certificate Subject for: stranger.dane.test at stranger.mx.dane.test";
        both("stranger.dane.test", &temporary(named));
        let rule = format!("stranger.dane.test:{root}");
        scene.under(&rule, "stranger.dane.test", &Expected::Validated(STRANGER));
    });
}

#[test]
fn a_relay_of_a_route_is_asked_for_under_its_own_name() {
    in_world(|world| {
        let scene = start(world);
        let routes = "a.test:right.mx.dane.test\nb.test:wrong.mx.dane.test\nc.test:relay.plain.test\n\
                      d.test:clear.mx.dane.test\ne.test:none.mx.dane.test\nf.test:other.mx.dane.test\n";
        scene.world.control("smtproutes", routes);
        scene.deliver("a.test", &Expected::Validated(CHAIN));
        scene.deliver("b.test", &Expected::mismatch_of("wrong.mx.dane.test", "b.test", NO_MATCH));
        scene.deliver("c.test", &Expected::Encrypted(CHAIN));
        assert!(!scene.dns.was_asked("_25._tcp.relay.plain.test", "TLSA"));
        let no_tls = "I wasn't able to negotiate a StartTLS connection with: clear.mx.dane.test for d.test";
        scene.deliver("d.test", &temporary(no_tls));
        scene.deliver("e.test", &Expected::Encrypted(CHAIN));
        scene.deliver("f.test", &Expected::mismatch_of("other.mx.dane.test", "f.test", "hostname mismatch"));
        // Postfix says the same of the relays themselves.
        scene.world.control("smtproutes", "");
        for (relay, verdict) in [
            ("right.mx.dane.test", world::ProbeVerdict::Verified),
            ("wrong.mx.dane.test", world::ProbeVerdict::Mismatch),
            ("relay.plain.test", world::ProbeVerdict::Unproved),
        ] {
            assert_eq!(world.posttls_finger(&format!("[{relay}]")).verdict(), verdict, "{relay}");
        }
    });
}

#[test]
fn the_port_in_use_is_the_one_that_is_asked_for() {
    in_world(|world| {
        let scene = start(world);
        scene.deliver("implicit.dane.test", &Expected::Validated(CHAIN));
        assert!(!scene.dns.was_asked("_465._tcp.implicit.mx.dane.test", "TLSA"));
        scene.under("right.dane.test:||;465", "right.dane.test", &Expected::Validated(CHAIN));
        scene.under(
            "implicit.dane.test:||;465",
            "implicit.dane.test",
            &Expected::mismatch("implicit", NO_MATCH),
        );
        scene.under("*:;s465", "implicit.dane.test", &Expected::mismatch("implicit", NO_MATCH));
        scene.world.control("tlsdestinations", "");
        scene.world.control("smtproutes", "a.test:right.mx.dane.test;s465\nb.test:implicit.mx.dane.test;s\n");
        scene.deliver("a.test", &Expected::Validated(CHAIN));
        scene.deliver("b.test", &Expected::mismatch_of("implicit.mx.dane.test", "b.test", NO_MATCH));
        for (host, verdict) in [
            ("[right.mx.dane.test]:465", world::ProbeVerdict::Verified),
            ("[implicit.mx.dane.test]:465", world::ProbeVerdict::Mismatch),
        ] {
            assert_eq!(world.posttls_finger(host).verdict(), verdict, "{host}");
        }
    });
}

#[test]
fn an_address_has_no_records() {
    in_world(|world| {
        let scene = start(world);
        scene.deliver(&format!("[{CHAIN}]"), &Expected::Encrypted(CHAIN));
        scene.deliver(OLD, &Expected::Encrypted(OLD));
        scene.world.control("smtproutes", format!("a.test:{CHAIN}\nb.test:[{CLEAR}]\n"));
        scene.deliver("a.test", &Expected::Encrypted(CHAIN));
        scene.deliver("b.test", &Expected::Clear(CLEAR));
    });
}
