//! Addresses of one family that cannot be had, beside those of the other (RFC 7672 section 2.2.2). What the addresses that are
//! known say counts: all of a name stand in one zone.

use world::certificates::Identity;
use world::dns_stub::{DnsStub, Zone};
use world::smtp_sink::{Options, SmtpSink};
use world::{World, in_world};

use crate::records::{no_match, of, tlsa};
use crate::scene::delivery;

const A: &str = "a.test A 192.0.2.10\n";
const AAAA: &str = "a.test AAAA 2001:db8::10\n";
const MISMATCH: &str = "TLSA X.509 cert required but missing from: a.test for dane.test: no matching DANE TLSA records. (#4.4.1)";

/// An exchanger `a.test` with TLS, at both addresses.
struct Exchanger {
    _server: SmtpSink,
    right: String,
}

impl Exchanger {
    fn start(world: &World) -> Exchanger {
        world.control("me", "client.example.test\n");
        let identity = Identity::self_signed(&["a.test"]).unwrap();
        let acceptor = Some(identity.acceptor().unwrap());
        let addresses = ["192.0.2.10:25", "[2001:db8::10]:25"].map(|address| address.parse().unwrap());
        let server = SmtpSink::start(&addresses, Options { acceptor, ..Options::named("a.test") }).unwrap();
        Exchanger { _server: server, right: of(3, 1, 1, &identity.certificate) }
    }

    /// Delivers where the name servers say this about its addresses, and this is its record.
    #[track_caller]
    fn deliver(&self, addresses: &str, record: &str, expected: &[&str]) {
        println!("{addresses}");
        let record = tlsa("_25._tcp.a.test", &[record.to_owned()]);
        let zone = format!("dane.test MX 10 a.test\n{addresses}{record}");
        let _resolver = DnsStub::start(Zone::parse(&zone).unwrap()).unwrap();
        delivery("dane.test").run().assert_reports(expected);
    }
}

fn accepted(at: &str, how: &str) -> String {
    format!("K{at} {how} transmitted message accepted.\nRemote host said: 250 2.0.0 accepted\n")
}

const FAILURES: [&str; 3] = ["SERVFAIL", "REFUSED", "RCODE4"];

#[test]
fn secure_addresses_of_one_family_have_records_asked_for() {
    in_world(|world| {
        let exchanger = Exchanger::start(world);
        let mismatch = format!("Z{MISMATCH}\n");
        for failure in FAILURES {
            for (known, at, other) in [(A, "192.0.2.10", "AAAA"), (AAAA, "2001:db8::10", "A")] {
                let addresses = format!("{known}a.test {other} {failure}\n");
                let validated = accepted(at, "TLS (TLSA validated)");
                exchanger.deliver(&addresses, &exchanger.right, &["r", &validated]);
                exchanger.deliver(&addresses, &no_match(), &[&mismatch]);
            }
        }
    });
}

#[test]
fn insecure_addresses_of_one_family_are_those_of_an_unsigned_zone() {
    in_world(|world| {
        let exchanger = Exchanger::start(world);
        for failure in FAILURES {
            for (known, at, other) in [(A, "192.0.2.10", "AAAA"), (AAAA, "2001:db8::10", "A")] {
                let addresses = format!("insecure {known}a.test {other} {failure}\n");
                exchanger.deliver(&addresses, &no_match(), &["r", &accepted(at, "TLS")]);
            }
        }
    });
}

#[test]
fn one_secure_family_beside_an_insecure_one_is_enough() {
    in_world(|world| {
        let exchanger = Exchanger::start(world);
        let mismatch = format!("Z{MISMATCH}\n");
        for addresses in [format!("{A}insecure {AAAA}"), format!("insecure {A}{AAAA}")] {
            exchanger.deliver(&addresses, &no_match(), &[&mismatch]);
        }
    });
}

#[test]
fn without_any_address_that_can_be_had_the_exchanger_is_not_used() {
    in_world(|world| {
        let exchanger = Exchanger::start(world);
        let not_found = format!("Z{}\n", crate::scene::NOT_FOUND_NOW);
        for failure in FAILURES {
            for addresses in [
                format!("a.test A {failure}\na.test AAAA {failure}\n"),
                format!("a.test A {failure}\na.test AAAA NODATA\n"),
                format!("a.test A NODATA\na.test AAAA {failure}\n"),
            ] {
                exchanger.deliver(&addresses, &exchanger.right, &[&not_found]);
            }
        }
    });
}
