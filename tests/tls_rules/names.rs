//! Which names of a certificate are the server's.

use world::certificates::{Authority, Content};
use world::{World, in_world};

use crate::held::delivery;
use crate::support::*;

/// What a rule by name makes of a certificate.
struct Case<'a> {
    content: Content<'a>,
    /// Whether `~example.test` and `=example.test` take it.
    taken: [bool; 2],
}

fn names<'a>(names: &'a [&'a str], taken: [bool; 2]) -> Case<'a> {
    Case { content: Content { names, ..Content::default() }, taken }
}

fn common_name<'a>(common_name: &'a str, names: &'a [&'a str], taken: [bool; 2]) -> Case<'a> {
    Case { content: Content { names, common_name: Some(common_name), ..Content::default() }, taken }
}

fn check(world: &World, cases: &[Case<'_>]) {
    let authority = Authority::new("Partner authority").unwrap();
    let file = ca_file(world, "ca.pem", &[&authority.identity().certificate]);
    for case in cases {
        println!("{:?}", case.content);
        let server = Server::with(&authority.issue_with(&case.content).unwrap());
        for ((key, how), taken) in [("~", NAME), ("=", EXACT_NAME)].into_iter().zip(case.taken) {
            let outcome = deliver_by(world, &format!("{key}example.test:{file}"));
            match taken {
                true => server.assert_accepted(&outcome, how),
                false => server.assert_put_off(&outcome, WRONG_NAME),
            }
        }
    }
}

const BOTH: [bool; 2] = [true, true];
const LOOSELY: [bool; 2] = [true, false];
const NEITHER: [bool; 2] = [false, false];

#[test]
fn an_exchanger_that_dnssec_vouches_for_is_called_by_its_own_name() {
    in_world(|world| {
        let _dns = secure_dns();
        check(
            world,
            &[
                names(&["other.test", "MX1.Example.Test", "example.test"], BOTH),
                names(&["*.example.test"], LOOSELY),
                names(&["example.test"], LOOSELY),
                names(&["mx1.example.test.other.test"], NEITHER),
                names(&["xmx1.example.test", "mx11.example.test"], NEITHER),
                names(&["mx*.example.test", "*1.example.test"], NEITHER),
                names(&["mx1.*.test", "*.*.test", "*.test", "*"], NEITHER),
                names(&["*.mx1.example.test"], NEITHER),
                names(&["test"], NEITHER),
                names(&["192.0.2.10"], NEITHER),
            ],
        );
    });
}

#[test]
fn an_exchanger_that_nobody_vouches_for_may_be_called_by_the_domain() {
    in_world(|world| {
        let _dns = insecure_dns();
        check(
            world,
            &[
                names(&["mx1.example.test"], BOTH),
                names(&["example.test"], BOTH),
                names(&["*.example.test"], LOOSELY),
                names(&["*.test", "test"], NEITHER),
                names(&["mx2.example.test"], NEITHER),
                common_name("example.test", &[], BOTH),
            ],
        );
    });
}

#[test]
fn the_common_name_counts_only_without_alternative_names() {
    in_world(|world| {
        let _dns = secure_dns();
        check(
            world,
            &[
                common_name("mx1.example.test", &[], BOTH),
                common_name("*.example.test", &[], LOOSELY),
                common_name("mx1.example.test", &["other.test"], NEITHER),
                common_name("mx1.example.test", &["192.0.2.10"], NEITHER),
                common_name("other.test", &["mx1.example.test"], BOTH),
            ],
        );
    });
}

#[test]
fn a_name_does_not_end_at_a_nul() {
    in_world(|world| {
        let _dns = secure_dns();
        check(
            world,
            &[
                names(&["mx1.example.test\0.other.test"], NEITHER),
                names(&["other.test", "mx1.example.test\0"], NEITHER),
                common_name("mx1.example.test\0.other.test", &[], NEITHER),
            ],
        );
    });
}

#[test]
fn an_address_literal_is_named_by_an_address() {
    in_world(|world| {
        let authority = Authority::new("Partner authority").unwrap();
        let file = ca_file(world, "ca.pem", &[&authority.identity().certificate]);
        for (content, taken) in [
            (Content { names: &["other.test", "192.0.2.10"], ..Content::default() }, true),
            (Content { names: &["192.0.2.11"], ..Content::default() }, false),
            (Content { names: &["mx1.example.test", "example.test"], ..Content::default() }, false),
            (Content { common_name: Some("192.0.2.10"), ..Content::default() }, false),
        ] {
            println!("{content:?}");
            let server = Server::with(&authority.issue_with(&content).unwrap());
            world.control("smtproutes", "example.test:[192.0.2.10]\n");
            for (key, how) in [("~", NAME), ("=", EXACT_NAME)] {
                let outcome = deliver_by(world, &format!("{key}[192.0.2.10]:{file}"));
                let wrong = "Unable to validate X.500 certificate Subject for: example.test at [192.0.2.10]";
                match taken {
                    true => server.assert_accepted(&outcome, how),
                    false => server.assert_put_off(&outcome, wrong),
                }
            }
        }
    });
}

#[test]
fn the_host_argument_may_be_the_address() {
    in_world(|world| {
        let authority = Authority::new("Partner authority").unwrap();
        let file = ca_file(world, "ca.pem", &[&authority.identity().certificate]);
        let server = Server::with(&issue(&authority, &["192.0.2.10"]));
        let literal = delivery_to("[192.0.2.10]", "alice@sender.test");
        let outcome = deliver_with(world, &format!("=*:{file}"), literal);
        server.assert_accepted(&outcome, EXACT_NAME);
    });
}

#[test]
fn a_relay_is_called_by_the_name_that_its_route_gives_it() {
    in_world(|world| {
        let authority = Authority::new("Partner authority").unwrap();
        let file = ca_file(world, "ca.pem", &[&authority.identity().certificate]);
        let _dns = dns("insecure relay.test A 192.0.2.10\n");
        world.control("smtproutes", "example.test:relay.test\n");
        let rules = format!("=relay.test:{file}\n!example.test:");
        let server = Server::with(&issue(&authority, &["relay.test"]));
        server.assert_accepted(&deliver_by(world, &rules), EXACT_NAME);
        drop(server);
        let server = Server::with(&issue(&authority, &["example.test"]));
        let wrong = "Unable to validate X.500 certificate Subject for: example.test at relay.test";
        server.assert_put_off(&deliver_by(world, &rules), wrong);
    });
}

#[test]
fn a_wildcard_stands_for_one_label_and_for_no_domain_above() {
    in_world(|world| {
        let authority = Authority::new("Partner authority").unwrap();
        let file = ca_file(world, "ca.pem", &[&authority.identity().certificate]);
        let _dns = dns("relay.deep.example.test A 192.0.2.10\n");
        world.control("smtproutes", "example.test:relay.deep.example.test\n");
        let rules = format!("~relay.deep.example.test:{file}");
        let wrong =
            "Unable to validate X.500 certificate Subject for: example.test at relay.deep.example.test";
        for (name, is_taken) in [
            ("*.deep.example.test", true),
            ("deep.example.test", true),
            ("example.test", true),
            // Two labels, and one of the domain above.
            ("*.example.test", false),
            ("*.deep.test", false),
        ] {
            println!("{name}");
            let server = Server::with(&issue(&authority, &[name]));
            let outcome = deliver_by(world, &rules);
            match is_taken {
                true => server.assert_accepted(&outcome, NAME),
                false => server.assert_put_off(&outcome, wrong),
            }
        }
    });
}

#[test]
fn the_certificate_of_a_domain_without_exchangers_has_its_name() {
    in_world(|world| {
        let authority = Authority::new("Partner authority").unwrap();
        let file = ca_file(world, "ca.pem", &[&authority.identity().certificate]);
        let _dns = dns("insecure example.test A 192.0.2.10\n");
        let server = Server::with(&issue(&authority, &["example.test"]));
        let outcome = deliver_with(world, &format!("=example.test:{file}"), delivery());
        server.assert_accepted(&outcome, EXACT_NAME);
    });
}
