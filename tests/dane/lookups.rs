//! What DNSSEC says of MX, addresses and TLSA records, and what follows (RFC 7672 section 2).

use world::{Zones, in_world};

use crate::records::{exchanger, no_match, of, tlsa, with_tlsa};
use crate::scene::{Expected, NOT_FOUND_NOW, NOT_REACHED, Row, Scene, check, compare_all, zone};
use crate::servers::{CHAIN, CLEAR, OLD, Servers};

fn not_found_now() -> Expected {
    Expected::NoServer(NOT_FOUND_NOW.to_owned())
}

#[test]
fn exchangers_that_cannot_be_trusted_are_never_replaced_by_the_domains_address() {
    in_world(|world| {
        let text = format!("@ MX 10 mx\n@ A {CLEAR}\nmx A {CLEAR}\n");
        let scene = Scene::start(world, |_| {
            Zones::new()
                .bogus("bogus.test", &text)
                .bogus_at("mx-bogus.test", &text, &[("@", "MX")])
                .expired("expired.test", &text)
                .stripped("stripped.test", &text)
        });
        for host in ["bogus.test", "mx-bogus.test", "expired.test", "stripped.test"] {
            scene.compare(host, &not_found_now());
        }
    });
}

#[test]
fn exchangers_that_nobody_answers_for_are_never_replaced_by_the_domains_address() {
    in_world(|world| {
        let scene = Scene::start(world, |_| Zones::new().silent("silent.test"));
        scene.compare("silent.test", &not_found_now());
    });
}

#[test]
fn exchangers_whose_address_is_bogus_are_not_used() {
    in_world(|world| {
        let only = format!("only MX 10 only.mx\nonly.mx A {CHAIN}\n");
        let first =
            format!("first MX 10 first.mx\nfirst MX 20 second.mx\nfirst.mx A {CHAIN}\nsecond.mx A {OLD}\n");
        let bogus = [("only.mx", "A"), ("first.mx", "A")];
        let scene = Scene::start(world, |_| Zones::new().bogus_at("dane.test", &(only + &first), &bogus));
        scene.compare("only.dane.test", &not_found_now());
        scene.deliver("first.dane.test", &Expected::Encrypted(OLD));
    });
}

#[test]
fn a_domain_of_an_unsigned_zone_is_not_asked_for_tlsa() {
    in_world(|world| {
        let scene = Scene::start(world, |_| {
            let own = with_tlsa("plain", CHAIN, &[no_match()]) + &tlsa("_25._tcp.host", &[no_match()]);
            let elsewhere = with_tlsa("signed", CHAIN, &[no_match()]);
            Zones::new()
                .insecure("plain.test", &format!("{own}signed MX 10 signed.mx.dane.test.\nhost A {CHAIN}\n"))
                .signed("dane.test", &elsewhere)
        });
        scene.compare("plain.plain.test", &Expected::Encrypted(CHAIN));
        // Without MX records; the exchanger of the next one is signed, which an attacker could have chosen.
        scene.compare("host.plain.test", &Expected::Encrypted(CHAIN));
        scene.compare("signed.plain.test", &Expected::Encrypted(CHAIN));
        assert!(scene.dns.was_asked("plain.mx.plain.test", "A"));
        for name in ["plain.mx.plain.test", "host.plain.test"] {
            assert!(!scene.dns.was_asked(&format!("_25._tcp.{name}"), "TLSA"), "{name}");
        }
    });
}

#[test]
fn an_exchanger_with_unsigned_addresses_is_not_asked_for_tlsa() {
    in_world(|world| {
        let scene = Scene::start(world, |_| {
            let plain = format!("mx A {CHAIN}\n") + &tlsa("_25._tcp.mx", &[no_match()]);
            Zones::new().insecure("plain.test", &plain).signed("dane.test", "out MX 10 mx.plain.test.\n")
        });
        scene.compare("out.dane.test", &Expected::Encrypted(CHAIN));
        assert!(scene.dns.was_asked("mx.plain.test", "A"));
        assert!(!scene.dns.was_asked("_25._tcp.mx.plain.test", "TLSA"));
    });
}

#[test]
fn a_domain_that_securely_has_no_exchanger_is_its_own() {
    in_world(|world| {
        check(world, |servers| {
            let right = [of(3, 1, 1, &servers.chain)];
            let host = |name: &str, records: &[String]| {
                format!("{name} A {CHAIN}\n") + &tlsa(&format!("_25._tcp.{name}"), records)
            };
            let mismatch =
                Expected::mismatch_of("b.dane.test", "b.dane.test", "no matching DANE TLSA records");
            vec![
                ("a", host("a", &right), Expected::Validated(CHAIN)),
                ("b", host("b", &[no_match()]), mismatch),
            ]
        });
    });
}

#[test]
fn what_is_securely_denied_leaves_the_rule_in_every_kind_of_zone() {
    in_world(|world| {
        let scene_of = |kind: fn(Zones, &str, &str) -> Zones| {
            let rows = denials();
            // An insecure delegation: in a zone with opt-out nothing says that it is not there.
            let zones = Zones::new().insecure("plain.dane.test", "");
            let scene = Scene::start(world, |_| kind(zones, "dane.test", &zone(&rows)));
            compare_all(&scene, &rows);
        };
        scene_of(Zones::signed);
        scene_of(Zones::signed_by_nsec3);
        scene_of(Zones::signed_with_opt_out);
    });
}

fn denials() -> Vec<Row> {
    vec![
        ("no-name", exchanger("no-name", CHAIN), Expected::Encrypted(CHAIN)),
        ("no-name-clear", exchanger("no-name-clear", CLEAR), Expected::Clear(CLEAR)),
        ("no-data", exchanger("no-data", CHAIN) + "_25._tcp.no-data.mx TXT x\n", Expected::Encrypted(CHAIN)),
        (
            "other-port",
            exchanger("other-port", CHAIN) + &tlsa("_465._tcp.other-port.mx", &[no_match()]),
            Expected::Encrypted(CHAIN),
        ),
        (
            "empty-name",
            exchanger("empty-name", CLEAR) + "x._25._tcp.empty-name.mx TXT x\n",
            Expected::Clear(CLEAR),
        ),
    ]
}

#[test]
fn records_of_an_unsigned_zone_are_no_records() {
    in_world(|world| {
        let scene = Scene::start(world, |_| {
            Zones::new()
                .signed("dane.test", &exchanger("unsigned", CHAIN))
                .insecure("_tcp.unsigned.mx.dane.test", &tlsa("_25", &[no_match()]))
        });
        scene.compare("unsigned.dane.test", &Expected::Encrypted(CHAIN));
        assert!(scene.dns.was_asked("_25._tcp.unsigned.mx.dane.test", "TLSA"));
    });
}

/// Exchangers for whose TLSA records there is no answer, each for a reason of its own.
fn unanswered(servers: &Servers, last: &str) -> Zones {
    let right = [of(3, 1, 1, &servers.chain)];
    let names = ["altered", "denied", "unsigned", "late", "beside"];
    let text = |name| exchanger(name, CHAIN) + &last.replace("NAME", name);
    let zone = names.map(text).concat()
        + &tlsa("_25._tcp.altered.mx", &right)
        + "_25._tcp.denied.mx TXT x\n_25._tcp.beside.mx CNAME _25._tcp.altered.mx\n";
    Zones::new()
        .bogus_at("dane.test", &zone, &[("_25._tcp.altered.mx", "TLSA"), ("_25._tcp.denied.mx", "NSEC")])
        .stripped("_tcp.unsigned.mx.dane.test", &tlsa("_25", &right))
        .expired("_tcp.late.mx.dane.test", &tlsa("_25", &right))
}

#[test]
fn an_exchanger_without_an_answer_for_its_records_is_not_used() {
    in_world(|world| {
        let scene = Scene::start(world, |servers| unanswered(servers, ""));
        for name in ["altered", "denied", "unsigned", "late", "beside"] {
            let expected = Expected::unknown(&format!("{name}.mx.dane.test"));
            scene.compare(&format!("{name}.dane.test"), &expected);
        }
    });
}

#[test]
fn the_next_exchanger_takes_what_the_one_without_an_answer_does_not_get() {
    in_world(|world| {
        let last = format!("NAME MX 20 second.NAME.mx\nsecond.NAME.mx A {OLD}\n");
        let scene = Scene::start(world, |servers| unanswered(servers, &last));
        for name in ["altered", "denied", "unsigned", "late", "beside"] {
            scene.deliver(&format!("{name}.dane.test"), &Expected::Encrypted(OLD));
        }
    });
}

#[test]
fn an_exchanger_whose_records_nobody_answers_for_is_not_used() {
    in_world(|world| {
        let silent = "_tcp.silent.mx.dane.test";
        let text = exchanger("silent", CHAIN);
        let scene = Scene::start(world, |_| Zones::new().signed("dane.test", &text).silent(silent));
        scene.compare("silent.dane.test", &Expected::unknown("silent.mx.dane.test"));
    });
}

#[test]
fn the_next_exchanger_takes_what_one_whose_records_nobody_answers_for_does_not_get() {
    in_world(|world| {
        let silent = "_tcp.silent.mx.dane.test";
        let text = exchanger("silent", CHAIN) + &format!("silent MX 20 second.mx\nsecond.mx A {OLD}\n");
        let scene = Scene::start(world, |_| Zones::new().signed("dane.test", &text).silent(silent));
        scene.deliver("silent.dane.test", &Expected::Encrypted(OLD));
    });
}

#[test]
fn each_exchanger_is_judged_by_its_own_records() {
    in_world(|world| {
        let scene = Scene::start(world, |servers| {
            let right = of(3, 1, 1, &servers.old);
            let pair = |name: &str, first: &[String], second: &[String], address: &str| {
                with_tlsa(name, CHAIN, first)
                    + &format!("{name} MX 20 {name}-2.mx\n{name}-2.mx A {address}\n")
                    + &tlsa(&format!("_25._tcp.{name}-2.mx"), second)
            };
            let zone = [
                pair("a", &[no_match()], &[right], OLD),
                pair("b", &[no_match()], &[], CLEAR),
                pair("c", &[no_match()], &[no_match()], OLD),
                pair("d", &[no_match()], &[no_match()], CLEAR),
                pair("e", &[], &[no_match()], OLD),
                // One exchanger, two addresses: each certificate is looked at.
                with_tlsa("f", CHAIN, &[of(3, 1, 1, &servers.old)]) + &format!("f.mx A {OLD}\n"),
            ];
            Zones::new().signed("dane.test", &zone.concat())
        });
        let no_match = "no matching DANE TLSA records";
        scene.deliver("a.dane.test", &Expected::Validated(OLD));
        scene.deliver("b.dane.test", &Expected::Clear(CLEAR));
        scene.deliver("c.dane.test", &Expected::mismatch_of("c-2.mx.dane.test", "c.dane.test", no_match));
        let no_tls = "I wasn't able to negotiate a StartTLS connection with: d-2.mx.dane.test for d.dane.test. (#4.4.1)";
        scene.deliver("d.dane.test", &Expected::NoTls(no_tls.to_owned()));
        scene.deliver("e.dane.test", &Expected::Encrypted(CHAIN));
        scene.deliver("f.dane.test", &Expected::Validated(OLD));
    });
}

#[test]
fn a_server_that_cannot_be_reached_is_no_mismatch() {
    in_world(|world| {
        check(world, |servers| {
            let records = [of(3, 1, 1, &servers.chain)];
            vec![(
                "closed",
                with_tlsa("closed", "192.0.2.99", &records),
                Expected::NoServer(NOT_REACHED.to_owned()),
            )]
        });
    });
}
