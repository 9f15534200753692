//! Answers that no name server of good will gives, and more records than anybody needs.

use openssl::ssl::{SslAcceptor, SslMethod, SslVersion};
use world::certificates;
use world::dns_stub::{DnsStub, Zone};
use world::smtp_sink::{Options, SmtpSink};
use world::{World, Zones, in_world};

use crate::records::{exchanger, no_match, of, tlsa};
use crate::scene::{Expected, Scene, delivery};
use crate::servers::CHAIN;

/// Many records of this kind, each with other data; they do not fit a datagram.
fn thousand(kind: &str) -> Vec<String> {
    (0..1000).map(|number| format!("{kind} {number:064x}")).collect()
}

#[test]
fn a_thousand_records_are_all_looked_at_for_usable_ones_and_need_not_match() {
    in_world(|world| {
        let scene = Scene::start(world, |servers| {
            let mut one_right = thousand("1 1 1");
            one_right.push(of(3, 1, 1, &servers.chain));
            // A short owner: with a longer one unbound has no room to validate so many.
            let many = |name: &str, owner: &str, records: &[String]| {
                exchanger(name, CHAIN)
                    + &format!("_25._tcp.{name}.mx CNAME {owner}\n")
                    + &tlsa(owner, records)
            };
            let zone = [
                many("unusable", "a", &thousand("3 1 9")),
                many("wrong", "b", &thousand("3 1 1")),
                many("one-usable", "c", &one_right),
            ];
            // In the order of the zone, so that the one usable record is the last.
            Zones::new().signed("dane.test", &zone.concat()).unbound_option("rrset-roundrobin: no")
        });
        scene.compare("unusable.dane.test", &Expected::Encrypted(CHAIN));
        scene.compare("wrong.dane.test", &Expected::mismatch("wrong", "no matching DANE TLSA records"));
        scene.compare("one-usable.dane.test", &Expected::Validated(CHAIN));
    });
}

const ACCEPTED: &str =
    "K192.0.2.20 TLS transmitted message accepted.\nRemote host said: 250 2.0.0 accepted\n";

/// Two exchangers with TLS at 192.0.2.10 and 192.0.2.20, and a resolver that says this about TLSA records of the first.
/// Stops the test unless the second gets the message.
fn goes_to_the_second(tlsa: &str) {
    println!("{tlsa}");
    let zone = "dane.test MX 10 a.test\ndane.test MX 20 b.test\na.test A 192.0.2.10\nb.test A 192.0.2.20\n";
    let lines = tlsa.lines().map(|line| format!("_25._tcp.a.test TLSA {line}\n"));
    let zone = lines.fold(zone.to_owned(), |zone, line| zone + &line);
    let _resolver = DnsStub::start(Zone::parse(&zone).unwrap()).unwrap();
    delivery("dane.test").run().assert_reports(&["r", ACCEPTED]);
}

fn two_servers(world: &World) -> SmtpSink {
    world.control("me", "client.example.test\n");
    let mut options = Options::named("mx.test");
    let certificate = certificates::Identity::self_signed(&["mx.test"]).unwrap();
    options.acceptor = Some(certificate.acceptor().unwrap());
    let addresses = ["192.0.2.10:25", "192.0.2.20:25"].map(|address| address.parse().unwrap());
    SmtpSink::start(&addresses, options).unwrap()
}

#[test]
fn answers_that_are_none_keep_mail_from_the_exchanger() {
    in_world(|world| {
        let servers = two_servers(world);
        for answer in ["SERVFAIL", "REFUSED", "RCODE1", "RCODE4", "RCODE9"] {
            goes_to_the_second(answer);
        }
        assert!(servers.messages().iter().all(|message| message.server.ip().to_string() == "192.0.2.20"));
    });
}

#[test]
fn records_that_are_cut_short_keep_mail_from_the_exchanger() {
    in_world(|world| {
        let servers = two_servers(world);
        for answer in ["\\# 1 03", "\\# 2 0301", "\\# 2 0301\n3 1 1 abab"] {
            goes_to_the_second(answer);
        }
        assert!(servers.messages().iter().all(|message| message.server.ip().to_string() == "192.0.2.20"));
    });
}

#[test]
fn a_record_without_data_cannot_be_used() {
    in_world(|world| {
        let _servers = two_servers(world);
        let zone = "dane.test MX 10 a.test\na.test A 192.0.2.20\n_25._tcp.a.test TLSA \\# 3 030100\n";
        let _resolver = DnsStub::start(Zone::parse(zone).unwrap()).unwrap();
        delivery("dane.test").run().assert_reports(&["r", ACCEPTED]);
    });
}

/// So many records of this kind, each with other data of this many hexadecimal digits.
fn heap(kind: &str, count: usize, digits: usize) -> Vec<String> {
    (0..count).map(|number| format!("{kind} {number:0digits$x}")).collect()
}

#[test]
fn records_that_only_openssl_can_tell_to_be_none_do_not_hide_the_others() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        let certificate = certificates::Identity::self_signed(&["mx.test"]).unwrap();
        let mut options = Options::named("mx.test");
        options.acceptor = Some(certificate.acceptor().unwrap());
        let _server = SmtpSink::start(&["192.0.2.20:25".parse().unwrap()], options).unwrap();
        let good = of(3, 1, 1, &certificate.certificate);
        let come_to = |records: &[String], expected: &[&str]| {
            let zone = "dane.test MX 10 a.test\na.test A 192.0.2.20\n".to_owned()
                + &tlsa("_25._tcp.a.test", records);
            let _resolver = DnsStub::start(Zone::parse(&zone).unwrap()).unwrap();
            delivery("dane.test").run().assert_reports(expected);
        };
        let validated = ACCEPTED.replace("TLS", "TLS (TLSA validated)");
        let mismatch = "ZTLSA X.509 cert required but missing from: a.test for dane.test: no matching DANE TLSA records. (#4.4.1)\n";
        for count in [128, 1000] {
            let garbage = [heap("3 0 0", count / 2, 16), heap("2 1 0", count / 2, 16)].concat();
            come_to(&garbage, &["r", ACCEPTED]);
            come_to(&[garbage.clone(), vec![no_match()]].concat(), &[mismatch]);
            come_to(&[garbage, vec![good.clone()]].concat(), &["r", &validated]);
        }
        // As many as an answer holds, all of which can be used.
        come_to(&[heap("3 1 1", 1000, 64), vec![good]].concat(), &["r", &validated]);
    });
}

/// Offers nothing but suites without a certificate, which TLS 1.3 does not have.
fn anonymous() -> SslAcceptor {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    builder.set_security_level(0);
    builder.set_cipher_list("aNULL").unwrap();
    builder.build()
}

#[test]
fn a_server_without_a_certificate_matches_nothing() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        let mut options = Options::named("mx.test");
        options.acceptor = Some(anonymous());
        let _server = SmtpSink::start(&["192.0.2.20:25".parse().unwrap()], options).unwrap();
        let zone = "dane.test MX 10 a.test\na.test A 192.0.2.20\nb.test A 192.0.2.20\n".to_owned();
        let zone = zone + &tlsa("_25._tcp.a.test", &[no_match()]);
        let _resolver = DnsStub::start(Zone::parse(&zone).unwrap()).unwrap();
        world.control("tlsdestinations", "-b.test:||aNULL:@SECLEVEL=0\n-dane.test:||aNULL:@SECLEVEL=0\n");
        delivery("b.test").run().assert_reports(&["r", ACCEPTED]);
        let refused = "ZTLSA X.509 cert required but missing from: a.test for dane.test: no certificate was matched. (#4.4.1)\n";
        delivery("dane.test").run().assert_reports(&[refused]);
        // What no certificate can match is not offered, whatever the rule allows.
        world.control("tlsdestinations", "-dane.test:\n");
        let refused = "ZTLS connection/protocol error with host: a.test for dane.test: sslv3 alert handshake failure. (#4.4.1)\n";
        delivery("dane.test").run().assert_reports(&[refused]);
    });
}
