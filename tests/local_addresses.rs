//! Where a delivery comes from and what it calls itself: `domainips`, and the local address of a route.
#![expect(clippy::expect_used, reason = "test support: a failed step must stop the test with its cause")]

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use world::peer::Peer;
use world::{Delivery, Needs, Outcome, World, in_world};

/// How long a server waits for a client that has stopped talking.
const PATIENCE: Duration = Duration::from_secs(60);

/// Accepts one message at `address`; the client's address and the name it said.
fn server(address: &str) -> JoinHandle<(IpAddr, String)> {
    let address: SocketAddr = address.parse().expect("address");
    let listener = TcpListener::bind(address).expect("server");
    std::thread::spawn(move || {
        let (stream, client) = listener.accept().expect("client");
        let mut peer = Peer::new(stream, PATIENCE).expect("connection");
        peer.send(b"220 mx\r\n").expect("greeting");
        let hello = peer.line().expect("EHLO");
        for reply in [&b"250 mx\r\n"[..], b"250 ok\r\n", b"550 no\r\n"] {
            peer.send(reply).expect("reply");
            let _ = peer.line();
        }
        let hello = String::from_utf8_lossy(&hello).trim_start_matches("EHLO ").trim_end().to_owned();
        (client.ip().to_canonical(), hello)
    })
}

fn deliver(world: &World) -> Outcome {
    world.control("me", "me.example.test\n");
    let delivery = Delivery::new(env!("CARGO_BIN_EXE_qmail-remote")).host("example.test");
    delivery.sender("alice@sender.test").recipient("bob@example.test").run()
}

const REFUSED: [&str; 2] = [
    "h192.0.2.10 does not like recipient.\nRemote host said: 550 no\n",
    "DGiving up on 192.0.2.10.\nRemote host said: 550 no\n",
];

#[test]
fn the_senders_domain_gives_address_and_name() {
    in_world(|world| {
        let server = server("192.0.2.10:25");
        world.control("smtproutes", ":192.0.2.10\n");
        world.control("domainips", "*:192.0.2.98|other.test\nsender.test:192.0.2.99|helo.sender.test\n");
        deliver(world).assert_reports(&REFUSED);
        let seen = server.join().expect("server");
        assert_eq!(seen, ("192.0.2.99".parse().expect("address"), "helo.sender.test".to_owned()));
    });
}

#[test]
fn a_routes_address_wins_and_the_name_stays() {
    in_world(|world| {
        let server = server("192.0.2.10:25");
        world.control("smtproutes", ":192.0.2.10||192.0.2.97\n");
        world.control("domainips", "*:192.0.2.98|helo.test\n");
        deliver(world).assert_reports(&REFUSED);
        assert_eq!(
            server.join().expect("server"),
            ("192.0.2.97".parse().expect("address"), "helo.test".to_owned())
        );
    });
}

#[test]
fn each_family_has_its_source() {
    in_world(|world| {
        world.require(Needs::Ipv6);
        let server = server("[2001:db8::10]:25");
        world.control("smtproutes", ":[2001:db8::10]\n");
        world.control("domainips", "*:192.0.2.98,2001:db8::99\n");
        let outcome = deliver(world);
        assert!(outcome.stdout.starts_with(b"h2001:db8::10 does not like recipient.\n"));
        assert_eq!(server.join().expect("server").0, "2001:db8::99".parse::<IpAddr>().expect("address"));
    });
}

#[test]
fn a_server_of_the_other_family_is_never_reached_from_a_wrong_source() {
    in_world(|world| {
        // Nobody may connect: a connection would be answered, and the report would be another.
        let _server = TcpListener::bind("192.0.2.10:25").expect("server");
        world.control("smtproutes", ":192.0.2.10\n");
        world.control("domainips", "*:2001:db8::99\n");
        let report = "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n";
        deliver(world).assert_reports(&[report]);
    });
}

#[test]
fn an_address_that_this_machine_does_not_have_is_named() {
    in_world(|world| {
        world.control("smtproutes", ":192.0.2.10||198.51.100.1\n");
        deliver(world).assert_reports(&["ZSystem can't bind to local ip address: 198.51.100.1 (#4.3.0)\n"]);
        world.control("smtproutes", ":192.0.2.10||fe80::1%nowhere0\n");
        deliver(world).assert_reports(&["ZSystem can't bind to local ip address: fe80::1 (#4.3.0)\n"]);
    });
}

#[test]
fn what_is_no_address_stops_the_delivery() {
    in_world(|world| {
        world.control("domainips", "*:eth0\n");
        deliver(world).assert_reports(&["ZInvalid ipaddr in control/domainips (#4.3.0)\n"]);
    });
}

#[test]
fn what_cannot_be_done_yet_stops_the_delivery_that_needs_it() {
    in_world(|world| {
        let unsupported = |file: &str| {
            let report = format!("ZThis version cannot honour /var/qmail/control/{file}, line 2. (#4.3.0)\n");
            deliver(world).assert_reports(&[report]);
            world.control(file, "");
        };
        for (file, line) in [
            ("authsenders", "@sender.test:192.0.2.10|user|password"),
            ("qmtproutes", ":192.0.2.10"),
            ("domaincerts", "*:/etc/ssl/certificate"),
            ("tlsdestinations", "*:;6209"),
            ("smtproutes", ":192.0.2.10|user|password"),
            ("smtproutes", ":192.0.2.10;6209"),
        ] {
            world.control(file, format!("other.test:\n{line}\n"));
            unsupported(file);
        }
    });
}
