//! QMTPS, where the handshake comes first, and the probe of the check tool.

use std::net::TcpListener;
use std::process::Command;

use openssl::nid::Nid;
use world::certificates::Identity;
use world::dns_stub::{DnsStub, Zone};
use world::patience::LONG_ENOUGH;
use world::peer::Peer;
use world::smtp_sink::{Options, SmtpSink};
use world::{Needs, in_world};

use crate::held::delivery;
use crate::keys::{certified, ec, installed};

#[test]
fn a_server_of_qmtps_gets_the_certificate_that_it_demands() {
    in_world(|world| {
        installed(world, &certified(&ec(Nid::X9_62_PRIME256V1)));
        world.control("me", "client.example.test\n");
        world.control("qmtproutes", ":192.0.2.10;6209\n");
        let acceptor =
            Identity::self_signed(&["mx1.example.test"]).unwrap().acceptor_that_demands_one().unwrap();
        let listener = TcpListener::bind("192.0.2.10:6209").unwrap();
        // There is no STARTTLS for `!` to forbid.
        let rules = ["", "!192.0.2.10:\n"];
        let server = std::thread::spawn(move || {
            for _ in rules {
                let peer = Peer::new(listener.accept().unwrap().0, LONG_ENOUGH).unwrap();
                let mut peer = peer.start_tls(&acceptor).unwrap();
                while !peer.pending().ends_with(b"20:16:bob@example.test,,") {
                    peer.receive().unwrap();
                }
                peer.send(b"3:Kok,").unwrap();
                let _ = peer.drain(LONG_ENOUGH);
            }
        });
        let accepted = ["rqmtps: ok\n", "KAll received okay by 192.0.2.10\n"];
        for rule in rules {
            world.control("tlsdestinations", rule);
            delivery().run().assert_reports(&accepted);
        }
        server.join().unwrap();
    });
}

#[test]
fn a_server_of_smtps_gets_the_certificate_that_it_demands_whatever_starttls_may_not() {
    in_world(|world| {
        installed(world, &certified(&ec(Nid::X9_62_PRIME256V1)));
        world.control("me", "client.example.test\n");
        let identity = Identity::self_signed(&["mx1.example.test"]).unwrap();
        let acceptor = Some(identity.acceptor_that_demands_one().unwrap());
        let options = Options { acceptor, implicit_tls: true, ..Options::named("mx1.example.test") };
        let server = SmtpSink::start(&["192.0.2.10:465".parse().unwrap()], options).unwrap();
        for (route, rule) in [
            (":192.0.2.10;s465\n", ""),
            (":192.0.2.10;s465\n", "!192.0.2.10:\n"),
            (":192.0.2.10\n", "!192.0.2.10:;465\n"),
        ] {
            world.control("smtproutes", route);
            world.control("tlsdestinations", rule);
            let reports = String::from_utf8(delivery().run().reports().concat()).unwrap();
            let accepted = "rK192.0.2.10 TLS transmitted message accepted.\n";
            assert!(reports.starts_with(accepted), "{route}{rule}{reports}");
        }
        assert_eq!(server.messages().len(), 3);
    });
}

#[test]
fn a_probe_presents_the_certificate_of_its_sender() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        let (certificate, key) = installed(world, &certified(&ec(Nid::X9_62_PRIME256V1)));
        let line = format!("sender.test:{}|{}\n", certificate.display(), key.display());
        world.control("me", "client.example.test\n");
        world.control("domaincerts", line);
        // The probe asks what its resolver is worth.
        let _dns = DnsStub::start(Zone::parse("mx1.example.test A 192.0.2.10\n").unwrap()).unwrap();
        let identity = Identity::self_signed(&["mx1.example.test"]).unwrap();
        let acceptor = Some(identity.acceptor_that_demands_one().unwrap());
        let options = Options { acceptor, ..Options::named("mx1.example.test") };
        let server = SmtpSink::start(&["192.0.2.10:25".parse().unwrap()], options).unwrap();
        let probe = |sender: &str| {
            let mut tool = Command::new(env!("CARGO_BIN_EXE_qmail-remote-check"));
            tool.args(["probe", "[192.0.2.10]", "--sender", sender]).status().unwrap().success()
        };
        assert!(probe("alice@sender.test"));
        assert!(!probe("alice@other.test"), "a server that demands one is not usable without");
        assert!(server.messages().is_empty());
    });
}
