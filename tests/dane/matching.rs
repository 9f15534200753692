//! What TLSA records demand of certificates (RFC 7671, RFC 7672 section 3).

use world::in_world;

use crate::records::{exchanger, no_match, nothing, of, tlsa, with_tlsa};
use crate::scene::{Expected, Row, check};
use crate::servers::{
    ALONE, CHAIN, CLEAR, COMMON, DOMAIN, EXPIRED, OLD, PARTIAL, SHORT, STRANGER, Servers, WORTHLESS,
};

const NO_MATCH: &str = "no matching DANE TLSA records";

#[test]
fn every_usable_form_matches_the_certificate_or_its_authority() {
    in_world(|world| {
        check(world, |servers| {
            let leaf = |form: u8| of(3, form / 10, form % 10, &servers.chain);
            let root = |form: u8| of(2, form / 10, form % 10, &servers.root);
            let middle = |form: u8| of(2, form / 10, form % 10, &servers.intermediate);
            let row = |name, address, record| -> Row {
                (name, with_tlsa(name, address, &[record]), Expected::Validated(address))
            };
            vec![
                row("leaf-key-256", CHAIN, leaf(11)),
                row("leaf-256", CHAIN, leaf(1)),
                row("leaf-key-512", CHAIN, leaf(12)),
                row("leaf-512", CHAIN, leaf(2)),
                row("leaf-whole", CHAIN, leaf(0)),
                row("leaf-key-whole", CHAIN, leaf(10)),
                row("leaf-without-root", SHORT, leaf(11)),
                row("root-256", CHAIN, root(1)),
                row("root-key-256", CHAIN, root(11)),
                row("root-512", CHAIN, root(2)),
                row("root-key-512", CHAIN, root(12)),
                row("root-whole", CHAIN, root(0)),
                row("root-key-whole", CHAIN, root(10)),
                row("root-absent-whole", SHORT, root(0)),
                row("root-absent-key-whole", SHORT, root(10)),
                row("middle-absent-whole", ALONE, middle(0)),
                row("middle-absent-key-whole", ALONE, middle(10)),
                row("middle-256", SHORT, middle(1)),
                row("middle-key-256", CHAIN, middle(11)),
                row("old-leaf", OLD, of(3, 1, 1, &servers.old)),
                row("old-leaf-512", OLD, of(3, 0, 2, &servers.old)),
            ]
        });
    });
}

#[test]
fn a_certificate_that_matches_no_usable_record_is_refused() {
    in_world(|world| {
        check(world, |servers| {
            let row = |name, address, records: &[String]| -> Row {
                (name, with_tlsa(name, address, records), Expected::mismatch(name, NO_MATCH))
            };
            vec![
                row("wrong-leaf", CHAIN, &[no_match()]),
                row("wrong-leaf-512", CHAIN, &[nothing("3 0 2", 64)]),
                row("wrong-leaf-whole", CHAIN, &[of(3, 0, 0, &servers.old)]),
                row("wrong-root", CHAIN, &[nothing("2 0 1", 32)]),
                row("wrong-root-whole", CHAIN, &[of(2, 0, 0, &servers.old)]),
                row("root-as-leaf", CHAIN, &[of(3, 0, 1, &servers.root)]),
                row("leaf-as-root", CHAIN, &[of(2, 0, 1, &servers.chain)]),
                row("certificate-as-key", CHAIN, &[of(3, 0, 1, &servers.chain).replacen("3 0", "3 1", 1)]),
                row("digest-of-an-absent-root", SHORT, &[of(2, 0, 1, &servers.root)]),
                row(
                    "usable-beside-unusable",
                    CHAIN,
                    &[no_match(), of(3, 1, 1, &servers.chain).replacen('3', "1", 1)],
                ),
                row("digest-of-an-absent-middle", ALONE, &[of(2, 1, 1, &servers.intermediate)]),
                row("old-server", OLD, &[no_match()]),
            ]
        });
    });
}

#[test]
fn records_that_cannot_be_used_demand_tls_without_proof() {
    in_world(|world| {
        check(world, |servers| unusable(servers, CHAIN, |_| Expected::Encrypted(CHAIN)));
        check(world, |servers| unusable(servers, CLEAR, Expected::no_tls));
    });
}

/// A server at this address with each kind of record that cannot be used.
fn unusable(servers: &Servers, address: &str, expected: fn(&str) -> Expected) -> Vec<Row> {
    let records = [
        ("usage-0", of(2, 0, 1, &servers.root).replacen('2', "0", 1)),
        ("usage-1", of(3, 1, 1, &servers.chain).replacen('3', "1", 1)),
        ("usage-4", nothing("4 1 1", 32)),
        ("usage-255", nothing("255 1 1", 32)),
        ("selector-2", nothing("3 2 1", 32)),
        ("matching-3", nothing("3 1 3", 32)),
        ("matching-255", nothing("3 1 255", 32)),
        ("short-256", nothing("3 1 1", 31)),
        ("long-256", nothing("3 1 1", 33)),
        ("short-512", nothing("3 1 2", 32)),
        ("long-512", nothing("2 0 2", 65)),
        ("garbage-leaf", nothing("3 0 0", 400)),
        ("garbage-key", nothing("3 1 0", 90)),
        ("garbage-root", nothing("2 0 0", 400)),
        ("garbage-root-key", nothing("2 1 0", 90)),
    ];
    let row = |(name, record)| (name, with_tlsa(name, address, &[record]), expected(name));
    records.map(row).into()
}

#[test]
fn a_record_for_the_certificate_itself_makes_names_and_dates_irrelevant() {
    in_world(|world| {
        check(world, |servers| {
            let row = |name, address, record| -> Row {
                (name, with_tlsa(name, address, &[record]), Expected::Validated(address))
            };
            vec![
                row("worthless-key", WORTHLESS, of(3, 1, 1, &servers.worthless)),
                row("worthless-whole", WORTHLESS, of(3, 0, 0, &servers.worthless)),
                row("expired-leaf", EXPIRED, of(3, 0, 1, &servers.expired)),
            ]
        });
    });
}

#[test]
fn a_record_for_an_authority_needs_the_right_name_and_date() {
    in_world(|world| {
        check(world, |servers| {
            let root = [of(2, 0, 1, &servers.root)];
            let whole = [of(2, 0, 0, &servers.root)];
            let key = [of(2, 1, 0, &servers.root)];
            let refused = |name, address, records: &[String], reason| -> Row {
                (name, with_tlsa(name, address, records), Expected::mismatch(name, reason))
            };
            vec![
                refused("expired", EXPIRED, &root, "certificate has expired"),
                refused("expired-by-whole-root", EXPIRED, &whole, "certificate has expired"),
                refused("other-name", STRANGER, &root, "hostname mismatch"),
                // A wildcard stands for a whole label (RFC 6125 section 6.4.3).
                refused("partly", PARTIAL, &root, "hostname mismatch"),
                refused("common-name", COMMON, &root, "hostname mismatch"),
                refused("other-name-by-whole-root", STRANGER, &whole, "hostname mismatch"),
                refused("other-name-by-root-key", STRANGER, &key, "hostname mismatch"),
                (
                    "name-of-the-domain",
                    with_tlsa("name-of-the-domain", DOMAIN, &root),
                    Expected::Validated(DOMAIN),
                ),
            ]
        });
    });
}

#[test]
fn any_of_several_records_suffices() {
    in_world(|world| {
        check(world, |servers| {
            let row = |name, records: &[String]| -> Row {
                (name, with_tlsa(name, CHAIN, records), Expected::Validated(CHAIN))
            };
            let leaf = of(3, 1, 1, &servers.chain);
            vec![
                row("second-of-two", &[no_match(), leaf.clone()]),
                row("wrong-root-right-leaf", &[nothing("2 0 1", 32), leaf.clone()]),
                row("wrong-leaf-right-root", &[no_match(), of(2, 0, 1, &servers.root)]),
                row("right-beside-unusable", &[nothing("1 1 1", 32), nothing("3 1 9", 20), leaf]),
            ]
        });
    });
}

#[test]
fn the_strongest_digest_of_a_usage_and_selector_decides() {
    in_world(|world| {
        check(world, |servers| {
            let row = |name, records: &[String], expected| -> Row {
                (name, with_tlsa(name, CHAIN, records), expected)
            };
            let (leaf, root) = (&servers.chain, &servers.root);
            let validated = || Expected::Validated(CHAIN);
            vec![
                row(
                    "agile-256-only",
                    &[of(3, 1, 1, leaf), nothing("3 1 2", 64)],
                    Expected::mismatch("agile-256-only", NO_MATCH),
                ),
                row("agile-512", &[no_match(), of(3, 1, 2, leaf)], validated()),
                row(
                    "agile-root-256-only",
                    &[of(2, 0, 1, root), nothing("2 0 2", 64)],
                    Expected::mismatch("agile-root-256-only", NO_MATCH),
                ),
                row("agile-root-512", &[nothing("2 0 1", 32), of(2, 0, 2, root)], validated()),
                row("agile-other-selector", &[of(3, 1, 1, leaf), nothing("3 0 2", 64)], validated()),
                row("agile-other-usage", &[of(3, 1, 1, leaf), nothing("2 1 2", 64)], validated()),
                row("agile-whole-beside-512", &[of(3, 1, 0, leaf), nothing("3 1 2", 64)], validated()),
                row("agile-unusable-512", &[of(3, 1, 1, leaf), nothing("3 1 2", 63)], validated()),
            ]
        });
    });
}

#[test]
fn a_server_with_records_that_offers_no_tls_gets_nothing() {
    in_world(|world| {
        check(world, |_| {
            let domain = exchanger("stripped", CLEAR) + &tlsa("_25._tcp.stripped.mx", &[no_match()]);
            vec![("stripped", domain, Expected::no_tls("stripped"))]
        });
    });
}
