//! TLSA records and exchangers behind aliases: CNAME, DNAME, wildcards (RFC 7671 section 7, RFC 7672 section 2.2.2).

use world::{Zones, in_world};

use crate::records::{exchanger, no_match, nothing, of, tlsa, with_tlsa};
use crate::scene::{Expected, Row, Scene, compare_all, zone};
use crate::servers::{CHAIN, DOMAIN, OLD, STRANGER, Servers, TARGET};

const NO_MATCH: &str = "no matching DANE TLSA records";

#[test]
fn records_are_found_through_aliases_and_wildcards() {
    in_world(|world| {
        for kind in [Zones::signed, Zones::signed_by_nsec3] {
            let mut checked = Vec::new();
            let scene = Scene::start(world, |servers| {
                checked = rows(servers);
                kind(Zones::new(), "dane.test", &zone(&checked))
            });
            compare_all(&scene, &checked);
        }
    });
}

#[test]
fn in_a_zone_with_opt_out_a_wildcard_is_not_secure_and_all_else_is() {
    in_world(|world| {
        let mut checked = Vec::new();
        let scene = Scene::start(world, |servers| {
            checked = rows(servers);
            for (_, text, expected) in &mut checked {
                // RFC 5155 section 8.8 with 9.2: nothing proves that there is no closer match.
                if text.contains("*.") {
                    *expected = Expected::Encrypted(CHAIN);
                }
            }
            Zones::new().insecure("plain.dane.test", "").signed_with_opt_out("dane.test", &zone(&checked))
        });
        compare_all(&scene, &checked);
    });
}

fn rows(servers: &Servers) -> Vec<Row> {
    let right = [of(3, 1, 1, &servers.chain)];
    let wrong = [no_match()];
    let row = |name, text: &[&str], expected| -> Row { (name, text.concat(), expected) };
    let validated = || Expected::Validated(CHAIN);
    vec![
        // The records themselves are elsewhere.
        row("wild", &[&exchanger("wild", CHAIN), &tlsa("*._tcp.wild.mx", &right)], validated()),
        row(
            "wild-wrong",
            &[&exchanger("wild-wrong", CHAIN), &tlsa("*._tcp.wild-wrong.mx", &wrong)],
            Expected::mismatch("wild-wrong", NO_MATCH),
        ),
        row(
            "cname",
            &[&exchanger("cname", CHAIN), "_25._tcp.cname.mx CNAME right\n", &tlsa("right", &right)],
            validated(),
        ),
        row(
            "cname-wild",
            &[&exchanger("cname-wild", CHAIN), "*._tcp.cname-wild.mx CNAME right\n"],
            validated(),
        ),
        row(
            "cname-wrong",
            &[
                &exchanger("cname-wrong", CHAIN),
                "_25._tcp.cname-wrong.mx CNAME wrong\n",
                &tlsa("wrong", &wrong),
            ],
            Expected::mismatch("cname-wrong", NO_MATCH),
        ),
        row(
            "cname-none",
            &[&exchanger("cname-none", CHAIN), "_25._tcp.cname-none.mx CNAME missing\n"],
            Expected::Encrypted(CHAIN),
        ),
        row(
            "cname-no-data",
            &[&exchanger("cname-no-data", CHAIN), "_25._tcp.cname-no-data.mx CNAME cname-no-data.mx\n"],
            Expected::Encrypted(CHAIN),
        ),
        row(
            "dname",
            &[&exchanger("dname", CHAIN), "_tcp.dname.mx DNAME far\n", &tlsa("_25.far", &right)],
            validated(),
        ),
        row(
            "dname-wrong",
            &[
                &exchanger("dname-wrong", CHAIN),
                "_tcp.dname-wrong.mx DNAME far-wrong\n",
                &tlsa("_25.far-wrong", &wrong),
            ],
            Expected::mismatch("dname-wrong", NO_MATCH),
        ),
        // The exchanger is an alias: the end of the chain first, then the name itself.
        row(
            "end",
            &[
                "end MX 10 end.mx\nend.mx CNAME end2.mx\n",
                &exchanger("end2", CHAIN),
                &tlsa("_25._tcp.end2.mx", &right),
                &tlsa("_25._tcp.end.mx", &wrong),
            ],
            validated(),
        ),
        row(
            "start",
            &[
                "start MX 10 start.mx\nstart.mx CNAME start2.mx\n",
                &exchanger("start2", CHAIN),
                &tlsa("_25._tcp.start.mx", &right),
            ],
            validated(),
        ),
        row(
            "end-wrong",
            &[
                "end-wrong MX 10 end-wrong.mx\nend-wrong.mx CNAME end-wrong2.mx\n",
                &exchanger("end-wrong2", CHAIN),
                &tlsa("_25._tcp.end-wrong2.mx", &wrong),
                &tlsa("_25._tcp.end-wrong.mx", &right),
            ],
            Expected::mismatch("end-wrong", NO_MATCH),
        ),
        row(
            "twice",
            &[
                "twice MX 10 twice.mx\ntwice.mx CNAME twice2.mx\ntwice2.mx CNAME twice3.mx\n",
                &exchanger("twice3", CHAIN),
                &tlsa("_25._tcp.twice3.mx", &right),
                &tlsa("_25._tcp.twice2.mx", &wrong),
            ],
            validated(),
        ),
        row(
            "moved",
            &[
                "moved MX 10 host.away\naway DNAME mx\n",
                &exchanger("host", CHAIN),
                &tlsa("_25._tcp.host.mx", &right),
            ],
            validated(),
        ),
        // All exchangers by a wildcard.
        row(
            "every",
            &[&format!("every MX 10 some.every\n*.every A {CHAIN}\n"), &tlsa("*.every", &right)],
            validated(),
        ),
    ]
}

#[test]
fn a_secure_alias_into_an_unsigned_zone_is_asked_for_under_its_own_name() {
    in_world(|world| {
        let scene = Scene::start(world, |servers| {
            let right = [of(3, 1, 1, &servers.chain)];
            let alias = |name: &str, target: &str, records: &[String]| {
                format!("{name} MX 10 {name}.mx\n{name}.mx CNAME {target}.plain.test.\n")
                    + &tlsa(&format!("_25._tcp.{name}.mx"), records)
            };
            let signed = alias("right", "host", &right)
                + &alias("wrong", "host", &[no_match()])
                + &alias("none", "host", &[])
                + &alias("odd", "odd", &[no_match()]);
            // A name that no host can have: whoever forges unsigned records may choose it.
            let plain = format!("host A {CHAIN}\nodd CNAME a\\032b\na\\032b A {CHAIN}\n");
            let plain = plain + &tlsa("_25._tcp.host", &[no_match()]);
            Zones::new().signed("dane.test", &signed).insecure("plain.test", &plain)
        });
        scene.compare("right.dane.test", &Expected::Validated(CHAIN));
        scene.compare("wrong.dane.test", &Expected::mismatch("wrong", NO_MATCH));
        scene.compare("none.dane.test", &Expected::Encrypted(CHAIN));
        scene.compare("odd.dane.test", &Expected::mismatch("odd", NO_MATCH));
        assert!(!scene.dns.was_asked("_25._tcp.host.plain.test", "TLSA"));
    });
}

#[test]
fn records_behind_an_unsigned_alias_are_no_records() {
    in_world(|world| {
        let scene = Scene::start(world, |_| {
            let signed = exchanger("out", CHAIN)
                + "_25._tcp.out.mx CNAME x.plain.test.\n"
                + &tlsa("back", &[no_match()]);
            Zones::new().signed("dane.test", &signed).insecure("plain.test", "x CNAME back.dane.test.\n")
        });
        scene.compare("out.dane.test", &Expected::Encrypted(CHAIN));
    });
}

#[test]
fn no_answer_at_the_end_of_an_alias_is_not_no_records_there() {
    in_world(|world| {
        let scene = Scene::start(world, |servers| {
            let right = [of(3, 1, 1, &servers.chain)];
            let text = "ends MX 10 ends.mx\nends.mx CNAME end.mx\n".to_owned()
                + &with_tlsa("end", CHAIN, &right)
                + &tlsa("_25._tcp.ends.mx", &right);
            Zones::new().bogus_at("dane.test", &text, &[("_25._tcp.end.mx", "TLSA")])
        });
        scene.compare("ends.dane.test", &Expected::unknown("ends.mx.dane.test"));
    });
}

#[test]
fn an_authority_may_vouch_for_the_base_domain_or_the_recipients_alone() {
    in_world(|world| {
        let scene = Scene::start(world, |servers| {
            let root = [of(2, 0, 1, &servers.root)];
            let signed = [
                // The certificate is for the alias, the records stand under its end.
                "base MX 10 base.mx\nbase.mx CNAME base.far.test.\n".to_owned(),
                // The same for the domain: an alias of one whose name the certificate has.
                "next CNAME target.test.\n".to_owned(),
                // The certificate is for the recipients' domain.
                with_tlsa("own", DOMAIN, &root),
                with_tlsa("other", STRANGER, &root),
            ];
            let far = format!("base A {CHAIN}\n") + &tlsa("_25._tcp.base", &root);
            let target = format!("@ MX 10 host\nhost A {TARGET}\n") + &tlsa("_25._tcp.host", &root);
            Zones::new()
                .signed("dane.test", &signed.concat())
                .signed("far.test", &far)
                .signed("target.test", &target)
        });
        let mismatch = "hostname mismatch";
        scene.compare("base.dane.test", &Expected::mismatch("base", mismatch));
        scene.compare("target.test", &Expected::Validated(TARGET));
        scene.compare("next.dane.test", &Expected::Validated(TARGET));
        scene.compare("own.dane.test", &Expected::Validated(DOMAIN));
        scene.compare("other.dane.test", &Expected::mismatch("other", mismatch));
    });
}

#[test]
fn the_name_that_a_route_gives_an_alias_counts_beside_its_end() {
    in_world(|world| {
        let scene = Scene::start(world, |servers| {
            let root = [of(2, 0, 1, &servers.root)];
            let far = format!("host A {CHAIN}\nhost2 A {STRANGER}\n")
                + &tlsa("_25._tcp.host", &root)
                + &tlsa("_25._tcp.host2", &root);
            Zones::new()
                .signed("dane.test", "relay.mx CNAME host.far.test.\nrelay2.mx CNAME host2.far.test.\n")
                .signed("far.test", &far)
        });
        let routes = "a.test:relay.mx.dane.test\nb.test:relay2.mx.dane.test\n";
        scene.world.control("smtproutes", routes);
        scene.deliver("a.test", &Expected::Validated(CHAIN));
        let expected = Expected::mismatch_of("relay2.mx.dane.test", "b.test", "hostname mismatch");
        scene.deliver("b.test", &expected);
    });
}

#[test]
fn one_secure_family_is_enough_to_ask() {
    in_world(|world| {
        world.require(world::Needs::Ipv6);
        let scene = Scene::start(world, |_| {
            let text = with_tlsa("dual", OLD, &[no_match()]) + "dual.mx AAAA 2001:db8::99\n";
            let bogus = exchanger("half", OLD)
                + "half.mx AAAA 2001:db8::99\n"
                + &tlsa("_25._tcp.half.mx", &[nothing("3 0 1", 32)]);
            Zones::new().bogus_at("dane.test", &(text + &bogus), &[("half.mx", "AAAA")])
        });
        scene.compare("dual.dane.test", &Expected::mismatch("dual", NO_MATCH));
        scene.compare("half.dane.test", &Expected::mismatch("half", NO_MATCH));
    });
}
