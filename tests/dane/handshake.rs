//! What the handshake tells the server: the name that the records stand under (RFC 7672 section 8.1).

use std::net::TcpListener;

use world::certificates;
use world::dns_stub::{DnsStub, Zone};
use world::in_world;
use world::patience::{LONG_ENOUGH, accept};
use world::peer::Peer;

use crate::records::of;
use crate::scene::delivery;

/// The name that the client gives a server whose records, which match, stand under `owner`. The exchanger is
/// `mx1.dane.test`, a secure alias of `mx2.dane.test`.
fn name_given(owner: &str) -> Option<String> {
    let certificate = certificates::Identity::self_signed(&["other.test"]).unwrap();
    let record = of(3, 1, 1, &certificate.certificate);
    let zone =
        "dane.test MX 10 mx1.dane.test\nmx1.dane.test CNAME mx2.dane.test\nmx2.dane.test A 192.0.2.20\n";
    let zone = format!("{zone}_25._tcp.{owner} TLSA {record}\n");
    let _resolver = DnsStub::start(Zone::parse(&zone).unwrap()).unwrap();
    let listener = TcpListener::bind("192.0.2.20:25").unwrap();
    let server = std::thread::spawn(move || {
        let stream = accept(&listener);
        let mut peer = Peer::new(stream, LONG_ENOUGH).unwrap();
        for (reply, command) in [("220 mx", "EHLO "), ("250-mx\r\n250 STARTTLS", "STARTTLS")] {
            peer.send(format!("{reply}\r\n").as_bytes()).unwrap();
            assert!(peer.line().unwrap().starts_with(command.as_bytes()));
        }
        peer.send(b"220 go ahead\r\n").unwrap();
        peer.start_tls(&certificate.acceptor().unwrap()).unwrap().indicated_name()
    });
    let outcome = delivery("dane.test").run();
    outcome.assert_reports(&["ZConnected to 192.0.2.20 but connection died. (#4.4.2)\n"]);
    server.join().unwrap()
}

#[test]
fn the_server_is_told_the_base_domain() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        assert_eq!(name_given("mx2.dane.test").as_deref(), Some("mx2.dane.test"));
        assert_eq!(name_given("mx1.dane.test").as_deref(), Some("mx1.dane.test"));
    });
}
