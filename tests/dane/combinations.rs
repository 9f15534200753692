//! Every kind of zone with every kind of server and every kind of record, beside Postfix.

use openssl::x509::X509;
use world::{World, Zones, in_world};

use crate::records::{exchanger, no_match, nothing, of, tlsa};
use crate::scene::{Expected, NOT_FOUND_NOW, Scene};
use crate::servers::{
    ALONE, CHAIN, CLEAR, DOMAIN, EXPIRED, OLD, SHORT, STRANGER, Servers, TARGET, WORTHLESS,
};

const NO_MATCH: &str = "no matching DANE TLSA records";

/// A kind of server.
struct Kind<'a> {
    name: &'static str,
    address: &'static str,
    /// None: it has no TLS.
    certificate: Option<&'a X509>,
    /// What a record for the root makes of it; the reason, where it refuses.
    by_root: Result<(), &'static str>,
}

fn kinds(servers: &Servers) -> Vec<Kind<'_>> {
    let kind = |name, address, certificate, by_root| Kind { name, address, certificate, by_root };
    vec![
        kind("clear", CLEAR, None, Ok(())),
        kind("chain", CHAIN, Some(&servers.chain), Ok(())),
        kind("short", SHORT, Some(&servers.chain), Err(NO_MATCH)),
        kind("alone", ALONE, Some(&servers.chain), Err(NO_MATCH)),
        kind("expired", EXPIRED, Some(&servers.expired), Err("certificate has expired")),
        kind("stranger", STRANGER, Some(&servers.stranger), Err("hostname mismatch")),
        kind("old", OLD, Some(&servers.old), Err(NO_MATCH)),
        kind("worthless", WORTHLESS, Some(&servers.worthless), Err(NO_MATCH)),
        kind("domain", DOMAIN, Some(&servers.domain), Ok(())),
        kind("target", TARGET, Some(&servers.target), Err("hostname mismatch")),
    ]
}

impl Kind<'_> {
    /// What becomes of a message where TLSA records demand nothing.
    fn by_the_rule(&self) -> Expected {
        match self.certificate {
            None => Expected::Clear(self.address),
            Some(_) => Expected::Encrypted(self.address),
        }
    }

    /// Without records, with one for itself, for the root, for nobody, and with one that cannot be used: what stands in the
    /// zone, and what follows where that zone is signed.
    fn with_records(&self, servers: &Servers) -> Vec<Combination> {
        let verdict = |name: &str, proved: Result<(), &str>| match (self.certificate, proved) {
            (None, _) => Expected::no_tls(name),
            (Some(_), Ok(())) => Expected::Validated(self.address),
            (Some(_), Err(reason)) => Expected::mismatch(name, reason),
        };
        let own = self.certificate.map_or_else(no_match, |certificate| of(3, 1, 1, certificate));
        let [none, leaf, root, wrong, unusable] =
            ["none", "leaf", "root", "wrong", "unusable"].map(|records| format!("{}-{records}", self.name));
        let unproved = match self.certificate {
            None => Expected::no_tls(&unusable),
            Some(_) => Expected::Encrypted(self.address),
        };
        vec![
            self.with(none, &[], |_| self.by_the_rule()),
            self.with(leaf, &[own], |name| verdict(name, Ok(()))),
            self.with(root, &[of(2, 0, 1, &servers.root)], |name| verdict(name, self.by_root)),
            self.with(wrong, &[no_match()], |name| verdict(name, Err(NO_MATCH))),
            self.with(unusable, &[nothing("1 1 1", 32)], |_| unproved),
        ]
    }

    fn with(&self, name: String, records: &[String], expected: impl FnOnce(&str) -> Expected) -> Combination {
        let text = exchanger(&name, self.address) + &tlsa(&format!("_25._tcp.{name}.mx"), records);
        Combination { text, expected: expected(&name), name }
    }
}

/// A domain `NAME`, what stands in the zone for it, and what a delivery to it comes to.
struct Combination {
    name: String,
    text: String,
    expected: Expected,
}

/// Delivers, beside Postfix, to each combination in zones with `dane.test`. `changed` says what comes of it there; none: it
/// shows nothing new there.
fn check(
    world: &World,
    zones: impl FnOnce(&str, &[Combination]) -> Zones,
    changed: impl Fn(&Kind<'_>, Combination) -> Option<Combination>,
) {
    let mut combinations = Vec::new();
    let scene = Scene::start(world, |servers| {
        for kind in kinds(servers) {
            let all = kind.with_records(servers).into_iter();
            combinations.extend(all.filter_map(|combination| changed(&kind, combination)));
        }
        let text: String = combinations.iter().map(|combination| combination.text.as_str()).collect();
        zones(&text, &combinations)
    });
    assert!(!combinations.is_empty());
    for Combination { name, expected, .. } in &combinations {
        scene.compare(&format!("{name}.dane.test"), expected);
    }
}

fn as_it_is(_: &Kind<'_>, combination: Combination) -> Option<Combination> {
    Some(combination)
}

fn by_the_rule(kind: &Kind<'_>, combination: Combination) -> Option<Combination> {
    Some(Combination { expected: kind.by_the_rule(), ..combination })
}

/// Of a zone without an answer no record is seen: those that would be right stand for all.
fn nobody_to_send_to(_: &Kind<'_>, combination: Combination) -> Option<Combination> {
    let expected = Expected::NoServer(NOT_FOUND_NOW.to_owned());
    combination.name.ends_with("-leaf").then_some(Combination { expected, ..combination })
}

#[test]
fn in_a_zone_signed_with_nsec() {
    in_world(|world| check(world, |text, _| Zones::new().signed("dane.test", text), as_it_is));
}

#[test]
fn in_a_zone_signed_with_nsec3() {
    in_world(|world| check(world, |text, _| Zones::new().signed_by_nsec3("dane.test", text), as_it_is));
}

#[test]
fn in_a_zone_signed_with_opt_out() {
    in_world(|world| {
        let with_delegation = Zones::new().insecure("plain.dane.test", "");
        check(world, |text, _| with_delegation.signed_with_opt_out("dane.test", text), as_it_is);
    });
}

#[test]
fn in_a_zone_without_signatures() {
    in_world(|world| check(world, |text, _| Zones::new().insecure("dane.test", text), by_the_rule));
}

#[test]
fn with_exchangers_in_a_zone_without_signatures() {
    in_world(|world| {
        let zones = |text: &str, _: &[Combination]| {
            let (exchangers, domains): (Vec<&str>, Vec<&str>) = text
                .lines()
                .partition(|line| line.split(' ').next().is_some_and(|owner| owner.ends_with(".mx")));
            let exchangers = exchangers.join("\n").replace(".mx ", " ");
            Zones::new().signed("dane.test", &domains.join("\n")).insecure("mx.dane.test", &exchangers)
        };
        check(world, zones, by_the_rule);
    });
}

#[test]
fn in_a_zone_that_is_bogus() {
    in_world(|world| check(world, |text, _| Zones::new().bogus("dane.test", text), nobody_to_send_to));
}

#[test]
fn in_a_zone_whose_signatures_have_expired() {
    in_world(|world| check(world, |text, _| Zones::new().expired("dane.test", text), nobody_to_send_to));
}

#[test]
fn in_a_zone_whose_signatures_were_stripped() {
    in_world(|world| check(world, |text, _| Zones::new().stripped("dane.test", text), nobody_to_send_to));
}

#[test]
fn in_a_zone_whose_records_alone_are_bogus() {
    in_world(|world| {
        let unknown = |_: &Kind<'_>, combination: Combination| {
            let expected = Expected::unknown(&format!("{}.mx.dane.test", combination.name));
            (!combination.name.ends_with("-none")).then_some(Combination { expected, ..combination })
        };
        let zones = |text: &str, combinations: &[Combination]| {
            let owners = combinations.iter().map(|combination| format!("_25._tcp.{}.mx", combination.name));
            let owners: Vec<_> = owners.collect();
            let bogus: Vec<_> = owners.iter().map(|owner| (owner.as_str(), "TLSA")).collect();
            Zones::new().bogus_at("dane.test", text, &bogus)
        };
        check(world, zones, unknown);
    });
}
