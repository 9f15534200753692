//! How often a delivery waits for the server, connect included, and that neither side waits for ever.
//!
//! The servers say nothing before they have read what the client may send without waiting: what they are played through
//! with is what the client needs, whatever the network's delay. No clock is read.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use world::certificates::Authority;
use world::dialogue::Dialogue;
use world::dns_flights::DnsFlights;
use world::dns_stub::Zone;
use world::patience::{LONG_ENOUGH, accept};
use world::peer::Peer;
use world::{Delivery, Message, World, in_world};

/// What the server offers, and whether TLS is among it.
#[derive(Clone, Copy, Debug)]
struct Server {
    extensions: &'static [&'static str],
    tls: bool,
}

const LOCK_STEP: Server = Server { extensions: &[], tls: false };
const PIPELINING: Server = Server { extensions: &["PIPELINING"], tls: false };
const CHUNKING: Server = Server { extensions: &["PIPELINING", "CHUNKING"], tls: false };

impl Server {
    fn with_tls(self) -> Server {
        Server { tls: true, ..self }
    }

    fn offers(self, keyword: &str) -> bool {
        self.extensions.contains(&keyword)
    }

    /// A delivery to so many recipients.
    fn dialogue(self, recipients: usize) -> String {
        let mut text =
            "control smtproutes\n    :192.0.2.10\nhost example.test\nsender a@sender.test\n".to_owned();
        for number in 0..recipients {
            writeln!(text, "recipient r{number}@example.test").unwrap();
        }
        text.push_str(
            "message\n    Subject: hello\\n\n    \\n\n    .Hello.\\n\nserver 192.0.2.10:25\n    s: 220 mx1\n",
        );
        if self.tls {
            text.push_str("    c~ EHLO\n    s+ 250-mx1\\r\\n250 STARTTLS\\r\\n\n    c: STARTTLS\n    s: 220 go\n    tls\n");
        }
        let offered: String = self.extensions.iter().map(|keyword| format!("250-{keyword}\\r\\n")).collect();
        write!(text, "    c~ EHLO\n    s+ 250-mx1\\r\\n{offered}250 HELP\\r\\n\n").unwrap();
        let answer = |text: &str| format!("    s: 250 {text}\n");
        let rcpt = |number: usize| format!("    c: RCPT TO:<r{number}@example.test>\n");
        text.push_str("    c~ MAIL FROM:<a@sender.test>\n");
        let last = if self.offers("CHUNKING") { "    chunk converted\n" } else { "    c: DATA\n" };
        let last_answer = if self.offers("CHUNKING") { "    s: 250 queued\n" } else { "    s: 354 go\n" };
        if self.offers("PIPELINING") {
            text.extend((0..recipients).map(rcpt));
            text.push_str(last);
            text.extend((0..=recipients).map(|_| answer("ok")));
        } else {
            text.push_str(&answer("ok"));
            text.extend((0..recipients).map(|number| rcpt(number) + &answer("ok")));
            text.push_str(last);
        }
        text.push_str(last_answer);
        if !self.offers("CHUNKING") {
            text.push_str("    body converted\n    s: 250 queued\n");
        }
        let how = if self.tls { "TLS transmitted message accepted" } else { "accepted message" };
        text.push_str("    quit\nexpect\n");
        writeln!(text, "expect repeat {recipients} \"r\\0\"").unwrap();
        writeln!(text, "expect\n    K192.0.2.10 {how}.\\nRemote host said: 250 queued\\n\\0\nbelief K")
            .unwrap();
        text.replacen("expect\nexpect", "expect", 1)
    }

    /// Delivers, and says how often the client had to wait.
    fn round_trips(self, world: &mut World, recipients: usize) -> usize {
        let dialogue = Dialogue::parse(&self.dialogue(recipients)).unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_qmail-remote"));
        if let Err(differences) = dialogue.check(binary, world) {
            panic!("{self:?}, {recipients} recipients\n{differences}");
        }
        let connection = dialogue.servers.first().and_then(|server| server.connections.first()).unwrap();
        let turns = connection.round_trips();
        println!("{turns} round trips to {recipients} recipients of {self:?}");
        turns
    }
}

#[test]
fn one_recipient_costs_five_round_trips_and_four_with_chunking() {
    in_world(|world| {
        assert_eq!(LOCK_STEP.round_trips(world, 1), 7);
        assert_eq!(PIPELINING.round_trips(world, 1), 5);
        assert_eq!(CHUNKING.round_trips(world, 1), 4);
    });
}

#[test]
fn fifty_and_a_thousand_recipients_cost_no_more_than_one() {
    in_world(|world| {
        for recipients in [50, 1000] {
            assert_eq!(LOCK_STEP.round_trips(world, recipients), 6 + recipients);
            assert_eq!(PIPELINING.round_trips(world, recipients), 5);
            assert_eq!(CHUNKING.round_trips(world, recipients), 4);
        }
    });
}

#[test]
fn tls_costs_three_more() {
    in_world(|world| {
        for recipients in [1, 50, 1000] {
            assert_eq!(LOCK_STEP.with_tls().round_trips(world, recipients), 9 + recipients);
            assert_eq!(PIPELINING.with_tls().round_trips(world, recipients), 8);
            assert_eq!(CHUNKING.with_tls().round_trips(world, recipients), 7);
        }
    });
}

/// Delivers to `example.test`, whose names stand in `zone`, with these flights of questions.
fn asks(world: &World, zone: &str, flights: &[&[&str]]) {
    world.control("me", "client.example.test\n");
    let dns = DnsFlights::start(Zone::parse(zone).unwrap(), flights).unwrap();
    let outcome = Delivery::new(env!("CARGO_BIN_EXE_qmail-remote"))
        .host("example.test")
        .sender("a@sender.test")
        .recipient("b@example.test")
        .run();
    // Nothing listens: found, and not reached.
    outcome.assert_reports(&["ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"]);
    dns.assert_all_came();
}

/// RFC 7672 section 2.2.2 has TLSA records asked for only when the addresses are known to be secure.
#[test]
fn all_addresses_are_asked_for_at_once_and_then_all_tlsa_records() {
    in_world(|world| {
        let zone = "example.test MX 10 mx1.example.test\nexample.test MX 20 mx2.example.test\n\
                    mx1.example.test A 192.0.2.10\nmx2.example.test A 192.0.2.20\n";
        let addresses: [&str; 4] =
            ["mx1.example.test A", "mx1.example.test AAAA", "mx2.example.test A", "mx2.example.test AAAA"];
        let records = ["_25._tcp.mx1.example.test TLSA", "_25._tcp.mx2.example.test TLSA"];
        asks(world, zone, &[&["example.test MX"], &addresses, &records]);
        // Without DNSSEC it ends there.
        let insecure: String = zone.lines().map(|line| format!("insecure {line}\n")).collect();
        asks(world, &insecure, &[&["example.test MX"], &addresses]);
    });
}

#[test]
fn a_relay_costs_one_flight_and_a_host_without_exchanger_two() {
    in_world(|world| {
        let addresses: [&str; 2] = ["example.test A", "example.test AAAA"];
        asks(world, "insecure example.test A 192.0.2.10\n", &[&["example.test MX"], &addresses]);
        world.control("smtproutes", ":relay.example.test\n");
        let addresses: [&str; 2] = ["relay.example.test A", "relay.example.test AAAA"];
        asks(world, "insecure relay.example.test A 192.0.2.10\n", &[&addresses]);
    });
}

/// The system takes little at once of what is sent, and keeps little of what has come.
fn narrow_socket_buffers() {
    for direction in ["rmem", "wmem"] {
        std::fs::write(format!("/proc/sys/net/ipv4/tcp_{direction}"), "4096 16384 16384").unwrap();
    }
}

/// A small message to so many recipients.
fn delivery_to(recipients: usize) -> Delivery {
    let delivery = Delivery::new(env!("CARGO_BIN_EXE_qmail-remote"))
        .host("example.test")
        .sender("a@sender.test")
        .message(Message::bytes("Hello.\n"));
    let name = "x".repeat(40);
    (0..recipients)
        .fold(delivery, |delivery, number| delivery.recipient(format!("{name}{number}@example.test")))
}

/// A server that answers each command at length before it reads the next: both directions fill up.
fn talkative(tls: bool, recipients: usize) {
    in_world(|world| {
        narrow_socket_buffers();
        let address: SocketAddr = "192.0.2.10:25".parse().unwrap();
        world.control("me", "client.example.test\n");
        world.control("smtproutes", ":192.0.2.10\n");
        let listener = TcpListener::bind(address).unwrap();
        let server = std::thread::spawn(move || {
            let acceptor = Authority::new("authority").unwrap().issue(&["mx1"]).unwrap().acceptor().unwrap();
            let mut peer = Peer::new(accept(&listener), Duration::from_secs(60)).unwrap();
            peer.send(b"220 mx1\r\n").unwrap();
            if tls {
                peer.line().unwrap();
                peer.send(b"250-mx1\r\n250 STARTTLS\r\n").unwrap();
                peer.line().unwrap();
                peer.send(b"220 go\r\n").unwrap();
                peer = peer.start_tls(&acceptor).unwrap();
            }
            peer.line().unwrap();
            peer.send(b"250-mx1\r\n250 PIPELINING\r\n").unwrap();
            let reply = format!("250-{}\r\n250 ok\r\n", "x".repeat(2000));
            for _ in 0..=recipients {
                peer.line().unwrap();
                peer.send(reply.as_bytes()).unwrap();
            }
            assert_eq!(peer.line().unwrap(), b"DATA\r\n");
            peer.send(b"354 go\r\n").unwrap();
            peer.message(|_| {}).unwrap();
            peer.send(b"250 queued\r\n").unwrap();
        });
        let outcome = delivery_to(recipients).run();
        server.join().unwrap();
        let how = if tls { "TLS transmitted message accepted" } else { "accepted message" };
        let mut reports = vec!["r".to_owned(); recipients];
        reports.push(format!("K192.0.2.10 {how}.\nRemote host said: 250 queued\n"));
        outcome.assert_reports(&reports);
    });
}

#[test]
fn neither_side_waits_for_ever_with_full_buffers() {
    talkative(false, 5000);
}

#[test]
fn neither_side_waits_for_ever_under_tls() {
    talkative(true, 5000);
}

/// An answer is matched to its command, which must have been sent.
#[test]
fn answers_to_commands_that_are_still_to_be_sent_are_none() {
    in_world(|world| {
        narrow_socket_buffers();
        world.control("me", "client.example.test\n");
        world.control("smtproutes", ":192.0.2.10\n");
        let recipients = 5000;
        let listener = TcpListener::bind("192.0.2.10:25").unwrap();
        let server = std::thread::spawn(move || {
            let mut peer = Peer::new(accept(&listener), LONG_ENOUGH).unwrap();
            peer.send(b"220 mx1\r\n").unwrap();
            peer.line().unwrap();
            peer.send(b"250-mx1\r\n250 PIPELINING\r\n").unwrap();
            peer.line().unwrap();
            // To sender and recipients; the client may be gone before the last of them.
            let _ = peer.send(&b"250 ok\r\n".repeat(recipients + 1));
            peer.drain(LONG_ENOUGH).unwrap()
        });
        let outcome = delivery_to(recipients).run();
        let seen = server.join().unwrap();
        assert!(!memchr::memmem::find_iter(&seen, b"DATA\r\n").any(|_| true), "it went on");
        let reports = outcome.reports();
        let (last, accepted) = reports.split_last().unwrap();
        assert_eq!(*last, b"ZConnected to 192.0.2.10 but connection died. (#4.4.2)\n");
        assert!(accepted.len() < recipients && accepted.iter().all(|report| *report == b"r"));
    });
}
