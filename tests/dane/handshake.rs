//! What the handshake tells the server: the name that the records stand under (RFC 7672 section 8.1).

use std::net::TcpListener;

use world::certificates;
use world::dns_stub::{DnsStub, Zone};
use world::in_world;
use world::patience::{LONG_ENOUGH, accept};
use world::peer::Peer;

use crate::records::{no_match, of};
use crate::scene::delivery;

/// What a server sees of the handshake whose records stand under `owner`, and match or not. The exchanger is
/// `mx1.dane.test`, a secure alias of `mx2.dane.test`.
fn seen_by_the_server(owner: &str, matches: bool, report: &str) -> Result<Option<String>, String> {
    let certificate = certificates::Identity::self_signed(&["other.test"]).unwrap();
    let record = if matches { of(3, 1, 1, &certificate.certificate) } else { no_match() };
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
        let session = peer.start_tls(&certificate.acceptor().unwrap());
        session.map(|session| session.indicated_name())
    });
    let outcome = delivery("dane.test").run();
    outcome.assert_reports(&[report]);
    server.join().unwrap()
}

#[test]
fn the_server_is_told_the_base_domain() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        let died = "ZConnected to 192.0.2.20 but connection died. (#4.4.2)\n";
        for owner in ["mx2.dane.test", "mx1.dane.test"] {
            let name = seen_by_the_server(owner, true, died).unwrap();
            assert_eq!(name.as_deref(), Some(owner));
        }
    });
}

#[test]
fn a_server_that_does_not_match_gets_an_alert_and_no_session() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        let refused = "ZTLSA X.509 cert required but missing from: mx1.dane.test for dane.test: no matching DANE TLSA \
                       records. (#4.4.1)\n";
        let error = seen_by_the_server("mx2.dane.test", false, refused).unwrap_err();
        assert!(error.contains("alert"), "{error}");
    });
}
