//! Whose AD bit counts: that of a resolver on loopback, or one that resolv.conf vouches for.

use world::{World, Zones, in_world};

use crate::records::{no_match, with_tlsa};
use crate::scene::{Expected, Scene};
use crate::servers::{CHAIN, Servers};

const REMOTE: &str = "192.0.2.53";

fn zones(_: &Servers) -> Zones {
    Zones::new()
        .signed("dane.test", &with_tlsa("wrong", CHAIN, &[no_match()]))
        .unbound_option(&format!("interface: {REMOTE}"))
        .unbound_option("access-control: 192.0.2.0/24 allow")
}

fn refused() -> Expected {
    Expected::mismatch("wrong", "no matching DANE TLSA records")
}

fn delivered(world: &World, resolv_conf: &str, expected: &Expected) {
    let scene = Scene::start(world, zones);
    println!("{resolv_conf}");
    world.resolv_conf(resolv_conf);
    scene.deliver("wrong.dane.test", expected);
    let asked = scene.dns.was_asked("_25._tcp.wrong.mx.dane.test", "TLSA");
    assert_eq!(asked, matches!(expected, Expected::Mismatch(_)));
}

#[test]
fn the_word_of_a_resolver_on_loopback_counts() {
    in_world(|world| delivered(world, "nameserver 127.0.0.1\n", &refused()));
}

#[test]
fn the_word_of_a_resolver_elsewhere_does_not_count() {
    in_world(|world| delivered(world, &format!("nameserver {REMOTE}\n"), &Expected::Encrypted(CHAIN)));
}

#[test]
fn the_word_of_a_resolver_elsewhere_counts_under_trust_ad() {
    in_world(|world| {
        delivered(world, &format!("nameserver {REMOTE}\noptions edns0 trust-ad\n"), &refused());
    });
}

#[test]
fn one_resolver_elsewhere_is_enough_to_trust_none() {
    in_world(|world| {
        let resolv_conf = format!("nameserver 127.0.0.1\nnameserver {REMOTE}\n");
        delivered(world, &resolv_conf, &Expected::Encrypted(CHAIN));
    });
}

#[test]
fn a_resolver_that_does_not_validate_vouches_for_nothing() {
    in_world(|world| {
        let scene =
            Scene::start(world, |servers| zones(servers).unbound_option("module-config: \"iterator\""));
        scene.compare("wrong.dane.test", &Expected::Encrypted(CHAIN));
    });
}

#[test]
fn a_resolver_that_lets_forgeries_pass_does_not_vouch_for_them() {
    in_world(|world| {
        let scene = Scene::start(world, |_| {
            Zones::new()
                .bogus("dane.test", &with_tlsa("wrong", CHAIN, &[no_match()]))
                .unbound_option("val-permissive-mode: yes")
        });
        scene.compare("wrong.dane.test", &Expected::Encrypted(CHAIN));
    });
}
