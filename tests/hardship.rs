//! What a delivery meets that no dialogue file can describe: name servers that do not help, a server that floods
//! the handshake, a message that ends before it begins.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::thread::JoinHandle;

use held::{ACCEPTED, Held, PROGRAM, Stage, delivery, delivery_after, route_to_held};
use world::Delivery;
use world::dialogue::Silent;
use world::dns_stub::{ADDRESS, DnsStub, Zone};
use world::in_world;
use world::patience::{LONG_ENOUGH, accept};
use world::peer::Peer;

#[test]
fn a_name_server_that_does_not_help_is_not_the_last_word() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        world.resolv_conf("nameserver 127.0.0.1\nnameserver 127.0.0.2\n");
        let second = SocketAddr::new("127.0.0.2".parse().unwrap(), ADDRESS.port());
        let zone = |text: &str| Zone::parse(text).unwrap();
        let good = zone("example.test MX 10 mx1.example.test\nmx1.example.test A 192.0.2.10\n");
        let _good = DnsStub::start_at(good, second).unwrap();
        for first in ["REFUSED", "SERVFAIL", "RCODE12", "not there"] {
            println!("the first server: {first}");
            let _first = (first != "not there").then(|| {
                let everything = format!("example.test {first}\nmx1.example.test {first}\n");
                DnsStub::start(zone(&everything)).unwrap()
            });
            let held = Held::at(Stage::EndOfData);
            held.go_on();
            let running = delivery().start();
            running.wait().assert_reports(&ACCEPTED);
            assert!(held.seen().whole);
        }
    });
}

/// Names that nobody answers for take 20 seconds here, then an exchanger that never answers takes 28: longer than the 45
/// seconds for which the network process may be silent. Once before the first exchanger and once before a later one.
#[test]
fn whoever_waits_for_names_and_then_for_an_exchanger_is_not_taken_for_silent() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        world.control("timeoutremote", "1\n");
        world.control("timeoutconnect", "28\n");
        world.resolv_conf("nameserver 127.0.0.1\nnameserver 127.0.0.2\n");
        let _silent_resolver = UdpSocket::bind(("127.0.0.2", ADDRESS.port())).unwrap();
        let zone = "first.test MX 10 slow.test
            later.test MX 10 refusing.test
            later.test MX 20 slow.test
            refusing.test A 192.0.2.30
            slow.test A 192.0.2.20
            slow.test AAAA SILENCE";
        let _resolver = DnsStub::start(Zone::parse(zone).unwrap().insecure()).unwrap();
        let _dead = Silent::listen("192.0.2.20:25".parse().unwrap()).unwrap();
        let start = |host| {
            Delivery::new(PROGRAM)
                .host(host)
                .sender("alice@sender.test")
                .recipient("bob@example.test")
                .start()
        };
        for running in ["first.test", "later.test"].map(start) {
            let nobody = "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n";
            running.wait().assert_reports(&[nobody]);
        }
    });
}

/// A server that answers the client's part of the handshake with HelloRequests (RFC 5246 section 7.4.1.1) without
/// end: OpenSSL passes over each, and reads the next.
fn flood() -> JoinHandle<()> {
    let listener = TcpListener::bind("192.0.2.10:25").unwrap();
    std::thread::spawn(move || {
        let stream = accept(&listener);
        let mut peer = Peer::new(stream, LONG_ENOUGH).unwrap();
        for (reply, verb) in [("220 mx", "EHLO "), ("250-mx\r\n250 STARTTLS", "STARTTLS")] {
            peer.send(format!("{reply}\r\n").as_bytes()).unwrap();
            assert!(peer.line().unwrap().starts_with(verb.as_bytes()));
        }
        peer.send(b"220 go ahead\r\n").unwrap();
        peer.receive().unwrap();
        let requests = b"\x16\x03\x03\x00\x04\x00\x00\x00\x00".repeat(200);
        // Until the client is gone.
        while peer.send(&requests).is_ok() {}
    })
}

#[test]
fn a_flooded_handshake_ends_at_its_deadline() {
    in_world(|world| {
        route_to_held(world);
        world.control("timeoutremote", "2\n");
        let server = flood();
        delivery().run().assert_reports(&[
            "ZTLS connection/protocol error with host: 192.0.2.10 for example.test: timed out. (#4.4.1)\n",
        ]);
        server.join().unwrap();
    });
}

#[test]
fn an_offset_beyond_the_end_is_no_empty_message() {
    in_world(|world| {
        route_to_held(world);
        world.control("timeoutremote", "1\n");
        let listener = TcpListener::bind("192.0.2.10:25").unwrap();
        listener.set_nonblocking(true).unwrap();
        let message = world.file("message", "Subject: x\n\nHello.\n");
        fs::set_permissions(&message, fs::Permissions::from_mode(0o666)).unwrap();
        // Read to its end, and then emptied.
        let script = "exec 0<\"$MESSAGE\"; cat >/dev/null; : >\"$MESSAGE\"; ";
        let outcome = delivery_after(world, script).env("MESSAGE", &message).run();
        outcome.assert_reports(&["ZUnable to read message. (#4.3.0)\n"]);
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody has connected");
    });
}
