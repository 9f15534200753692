//! Mail that arrives: found by MX through a validating resolver, taken by Postfix, the same to the byte.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::panic,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::io::{BufWriter, Write as _};
use std::path::Path;

use held::{ACCEPTED, Held, PROGRAM, Stage, delivery, route_to_held};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use openssl::sha::{Sha256, sha256};
use world::smtp_sink::{Content, Options, SmtpSink};
use world::{
    Delivery, Dns, Identity, Letter, Mailbox, Message, Needs, Postfix, World, Zones, certificates, in_world,
};

/// Begins every message that has a header, so that Postfix adds no line of its own.
const HEADER: &[u8] = b"Subject: x\n\n";
const NOT_FOUND_NOW: &str = "ZSorry, I couldn't find any host by that name. (#4.1.2)\n";

/// The example's name servers, with these records in its signed zone.
fn dns(world: &World, records: &str) -> Dns {
    world.control("me", "client.example.test\n");
    world.dns(&Zones::new().signed("example.test", records))
}

/// One exchanger, at 192.0.2.10.
fn usual_dns(world: &World) -> Dns {
    dns(world, "@ MX 10 mx1\nmx1 A 192.0.2.10\n")
}

/// Delivers each message, and compares it with what is in the mailbox then.
fn all_arrive(server: &Mailbox, how: &str, messages: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
    for (sent, expected) in messages {
        println!("{} octets", sent.len());
        let outcome = delivery().message(Message::Bytes(sent)).run();
        outcome.assert_queued(&["r"], how);
        let arrived = server.message_body(&server.wait_for_message());
        assert_eq!(arrived.len(), expected.len());
        if let Some(at) = arrived.iter().zip(&expected).position(|(one, other)| one != other) {
            let around = |bytes: &[u8]| {
                bytes
                    .iter()
                    .skip(at.saturating_sub(20))
                    .take(40)
                    .copied()
                    .collect::<Vec<_>>()
                    .escape_ascii()
                    .to_string()
            };
            panic!("differs at {at}: {} instead of {}", around(&arrived), around(&expected));
        }
    }
}

/// Numbers without a pattern, always the same.
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        // Knuth's MMIX constants; the upper bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(self.0 >> 33)
    }
}

/// A message of exactly `size` octets: lines of all lengths, with dots at their beginnings and with every
/// octet but NUL, CR and LF in them.
fn mixed(size: usize) -> Vec<u8> {
    let mut numbers = Numbers(u64::try_from(size).unwrap());
    let mut message = HEADER.to_vec();
    while message.len() < size {
        let mut number = || usize::try_from(numbers.next().unwrap()).unwrap();
        message.extend(std::iter::repeat_n(b'.', number() % 4));
        for _ in 0..number() % 200 {
            let octet = u8::try_from(number() % 256).unwrap();
            message.push(if matches!(octet, 0 | b'\r' | b'\n') { b'.' } else { octet });
        }
        message.push(b'\n');
    }
    message.truncate(size - 1);
    message.push(b'\n');
    message
}

fn unchanged(message: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    (message.clone(), message)
}

fn with_header(body: &[u8]) -> Vec<u8> {
    [HEADER, body].concat()
}

/// What is read at once is 32 KiB, what is written at once is a multiple of 16 KiB; the largest here is
/// many of both.
fn messages_of_every_size() -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let around = |size: usize| [size - 2, size - 1, size, size + 1, size + 2];
    let sizes = [16 << 10, 32 << 10, 64 << 10].into_iter().flat_map(around);
    sizes.chain([13, 1 << 20]).map(|size| unchanged(mixed(size)))
}

/// Messages whose octets are worth a look, and what must be in the mailbox.
fn messages_of_every_kind() -> Vec<(Vec<u8>, Vec<u8>)> {
    let dots = b".\n..\n...\n.x\n..x\n\n.\n.\n\n".repeat(2000);
    let long = [vec![b'x'; 100_000], b"\n".to_vec(), vec![b'.'; 100_000], b"\n".to_vec()].concat();
    let eight_bit: Vec<u8> = (128..=255).chain(1..=9).chain(14..=127).chain([b'\n']).collect();
    let normalised: [(&[u8], &[u8]); 7] = [
        (b"one\r\ntwo\r\n", b"one\ntwo\n"),
        (b"one\rtwo\n", b"one\ntwo\n"),
        (b"one\r\r\n.two\n", b"one\n\n.two\n"),
        (b"one\r.\rtwo\n", b"one\n.\ntwo\n"),
        (b"one\n.\r\nMAIL FROM:<eve@evil.test>\r\n", b"one\n.\nMAIL FROM:<eve@evil.test>\n"),
        (b"one\n\r.\r\n.\r.\n", b"one\n\n.\n.\n.\n"),
        (b".\r\n", b".\n"),
    ];
    let normalised = normalised.map(|(sent, stored)| (with_header(sent), with_header(stored)));
    let unchanged = [dots, long, eight_bit.repeat(300), b"From: x\n\nFrom x\n.From x\n".to_vec()]
        .map(|body| unchanged(with_header(&body)));
    normalised.into_iter().chain(unchanged).collect()
}

#[test]
fn messages_of_every_size_arrive_unchanged() {
    in_world(|world| {
        let server = world.postfix(Postfix::on("192.0.2.10"));
        let _dns = usual_dns(world);
        all_arrive(&server, "192.0.2.10 accepted message", messages_of_every_size());
    });
}

#[test]
fn an_empty_message_arrives_empty() {
    in_world(|world| {
        let server = world.postfix(Postfix::on("192.0.2.10"));
        let _dns = usual_dns(world);
        all_arrive(&server, "192.0.2.10 accepted message", [(Vec::new(), Vec::new())]);
    });
}

#[test]
fn messages_of_every_kind_arrive_with_their_line_ends_in_order() {
    in_world(|world| {
        let server = world.postfix(Postfix::on("192.0.2.10"));
        let _dns = usual_dns(world);
        all_arrive(&server, "192.0.2.10 accepted message", messages_of_every_kind());
    });
}

#[test]
fn starttls_changes_no_message() {
    in_world(|world| {
        let server = world.postfix(postfix_with_tls(world));
        let _dns = usual_dns(world);
        let messages = messages_of_every_size().chain(messages_of_every_kind());
        all_arrive(&server, "192.0.2.10 TLS transmitted message accepted", messages);
        server.assert_logs("TLS connection established");
    });
}

#[test]
fn a_route_to_an_implicit_tls_port_changes_no_message() {
    in_world(|world| {
        let server = world.postfix(postfix_with_tls(world).implicit_tls_on(465));
        let _dns = usual_dns(world);
        world.control("smtproutes", "example.test:mx1.example.test;s465\n");
        let messages = [unchanged(mixed(100_000))];
        all_arrive(&server, "192.0.2.10 TLS transmitted message accepted", messages);
    });
}

fn postfix_with_tls(world: &World) -> Postfix {
    let certificate = certificates::Identity::self_signed(&["mx1.example.test"]).unwrap();
    let files = certificate.write(&world.scratch(), "mx1").unwrap();
    Postfix::on("192.0.2.10").tls(files.certificate, files.key)
}

/// Writes a message of 200 MB, and returns what becomes of it with CRLF line ends: length and digest.
fn write_large(path: &Path) -> (usize, [u8; 32]) {
    let piece =
        [HEADER, b"All work and no play makes Jack a dull boy indeed.\n".repeat(20_000).as_slice()].concat();
    let on_the_wire = String::from_utf8(piece.clone()).unwrap().replace('\n', "\r\n");
    let mut file = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut digest = Sha256::new();
    for _ in 0..200 {
        file.write_all(&piece).unwrap();
        digest.update(on_the_wire.as_bytes());
    }
    file.flush().unwrap();
    (on_the_wire.len() * 200, digest.finish())
}

#[test]
fn two_hundred_megabytes_arrive_at_postfix() {
    in_world(|world| {
        let server = world.postfix(Postfix::on("192.0.2.10"));
        let _dns = usual_dns(world);
        let path = world.scratch().join("large");
        write_large(&path);
        let outcome = delivery().message(Message::File(path.clone())).run();
        outcome.assert_queued(&["r"], "192.0.2.10 accepted message");
        let arrived = server.message_body(&server.wait_for_message());
        assert_eq!(sha256(&arrived), sha256(&std::fs::read(&path).unwrap()));
    });
}

#[test]
fn two_hundred_megabytes_arrive_through_tls() {
    in_world(|world| {
        route_to_held(world);
        let certificate = certificates::Identity::self_signed(&["mx1.example.test"]).unwrap();
        let mut options = Options::named("mx1.example.test");
        options.acceptor = Some(certificate.acceptor().unwrap());
        options.keep = world::smtp_sink::Keep::Digest;
        let sink = SmtpSink::start(&["192.0.2.10:25".parse().unwrap()], options).unwrap();
        let path = world.scratch().join("large");
        let (length, digest) = write_large(&path);
        let success = "K192.0.2.10 TLS transmitted message accepted.\nRemote host said: 250 2.0.0 accepted\n";
        delivery().message(Message::File(path)).run().assert_reports(&["r", success]);
        let messages = sink.messages();
        assert_eq!(messages.len(), 1);
        assert_eq!((messages[0].octets, messages[0].digest), (u64::try_from(length).unwrap(), digest));
        assert!(messages[0].tls);
    });
}

/// The most memory that a process ever had, in KiB.
fn peak_memory(process: Pid) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_the_message() {
    const MOST: i64 = 24 << 10;
    const NOTHING: i64 = 512;
    in_world(|world| {
        route_to_held(world);
        let path = world.scratch().join("large");
        write_large(&path);
        for (tls, start) in [("clear", Held::at as fn(Stage) -> Held), ("TLS", Held::under_tls_at)] {
            let peaks = [Message::Bytes(mixed(1 << 20)), Message::File(path.clone())].map(|message| {
                let held = start(Stage::EndOfData);
                let running = delivery().message(message).start();
                held.wait_until_reached();
                let peaks = [running.pid(), running.child_pid()].map(peak_memory);
                held.go_on();
                assert_eq!(running.wait().belief().letter, Letter::K);
                peaks
            });
            println!("{tls}: monitor and child, in KiB: {peaks:?}");
            let [small, large] = peaks;
            for (small, large) in small.into_iter().zip(large) {
                assert!(large < MOST, "{large} KiB");
                assert!((large - small).abs() < NOTHING, "{small} KiB, then {large} KiB");
            }
        }
    });
}

#[test]
fn memory_does_not_grow_with_the_servers_chain_but_for_what_it_is_long() {
    // As many as OpenSSL reads in 100 KiB; parsed, a certificate takes the room of some.
    const CERTIFICATES: usize = 220;
    const MOST: i64 = 4 << 10;
    in_world(|world| {
        route_to_held(world);
        let authority = certificates::Authority::new("One of many").unwrap();
        let leaf = authority.issue(&["mx1.example.test"]).unwrap();
        let peaks = [1, CERTIFICATES].map(|number| {
            let acceptor = leaf.acceptor_below(&vec![&authority; number]).unwrap();
            let held = Held::under_this_tls_at(Stage::Mail, acceptor);
            let running = delivery().start();
            held.wait_until_reached();
            let peaks = [running.pid(), running.child_pid()].map(peak_memory);
            held.go_on();
            assert_eq!(running.wait().belief().letter, Letter::K);
            peaks
        });
        println!("monitor and child, in KiB: {peaks:?}");
        let [short, long] = peaks;
        for (short, long) in short.into_iter().zip(long) {
            assert!(long - short < MOST, "{short} KiB, then {long} KiB");
        }
    });
}

#[test]
fn the_message_begins_where_the_descriptor_stands() {
    in_world(|world| {
        route_to_held(world);
        let mut options = Options::named("mx1.example.test");
        options.extensions.push("SIZE 1000".to_owned());
        let sink = SmtpSink::start(&["192.0.2.10:25".parse().unwrap()], options).unwrap();
        let message = Message::bytes("not for the wire\nfor the wire\n");
        let outcome = held::delivery_after(world, "read -r first; ").message(message).run();
        assert_eq!(outcome.belief().letter, Letter::K);
        assert_eq!(sink.messages()[0].content, Content::Memory(b"for the wire\r\n".to_vec()));
        let transcript = sink.transcript();
        assert!(
            transcript.iter().any(|line| line.ends_with("MAIL FROM:<alice@sender.test> SIZE=14")),
            "{transcript:?}"
        );
    });
}

#[test]
fn the_next_exchanger_takes_what_the_best_one_refuses() {
    in_world(|world| {
        let server = world.postfix(Postfix::on("192.0.2.11").hostname("mx2.example.test"));
        let _dns = dns(world, "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.10\nmx2 A 192.0.2.11\n");
        all_arrive(&server, "192.0.2.11 accepted message", [unchanged(mixed(1000))]);
    });
}

#[test]
fn the_best_exchanger_gets_the_mail() {
    in_world(|world| {
        let best = world.postfix(Postfix::on("192.0.2.11"));
        let other = world.postfix(Postfix::on("192.0.2.10"));
        let _dns = dns(world, "@ MX 20 mx1\n@ MX 10 mx2\nmx1 A 192.0.2.10\nmx2 A 192.0.2.11\n");
        all_arrive(&best, "192.0.2.11 accepted message", [unchanged(mixed(1000))]);
        assert!(other.messages().is_empty());
    });
}

#[test]
fn an_exchanger_without_ipv4_is_reached() {
    in_world(|world| {
        world.require(Needs::Ipv6);
        let server = world.postfix(Postfix::on("2001:db8::10"));
        let _dns = dns(world, "@ MX 10 mx1\nmx1 AAAA 2001:db8::10\n");
        all_arrive(&server, "2001:db8::10 accepted message", [unchanged(mixed(1000))]);
    });
}

#[test]
fn a_relay_of_smtproutes_gets_the_mail() {
    in_world(|world| {
        let server = world.postfix(Postfix::on("192.0.2.12").port(2525, &[]));
        let _dns = dns(world, "@ MX 10 mx1\nmx1 A 192.0.2.10\nrelay A 192.0.2.12\n");
        for (route, port) in
            [("relay.example.test", 25), ("relay.example.test;2525", 2525), ("[192.0.2.12]", 25)]
        {
            println!("{route}, port {port}");
            world.control("smtproutes", format!("other.test:[192.0.2.99]\nexample.test:{route}\n"));
            all_arrive(&server, "192.0.2.12 accepted message", [unchanged(mixed(1000))]);
        }
    });
}

#[test]
fn recipients_are_reported_in_the_order_of_the_arguments() {
    in_world(|world| {
        let server = world.postfix(Postfix::on("192.0.2.10"));
        let _dns = usual_dns(world);
        let recipients =
            ["reject@example.test", "you@example.test", "defer@example.test", "them@example.test"];
        let outcome = recipients.into_iter().fold(without_recipient(), Delivery::recipient).run();
        let refusal = |letter: char, recipient: &str, code: &str, text: &str| {
            format!(
                "{letter}192.0.2.10 does not like recipient.\nRemote host said: \
                 {code} <{recipient}>: Recipient address rejected: {text}\n"
            )
        };
        let rejected = refusal('h', "reject@example.test", "550 5.1.1", "No such mailbox here");
        let deferred = refusal('s', "defer@example.test", "451 4.7.1", "Come back later");
        let reports = outcome.reports();
        let success = reports.last().expect("a message report");
        assert!(success.starts_with(b"K192.0.2.10 accepted message.\nRemote host said: 250 2.0.0 Ok: "));
        outcome.assert_reports(&[rejected.as_bytes(), b"r", deferred.as_bytes(), b"r", success]);
        for _ in 0..2 {
            let _ = server.wait_for_message();
        }
    });
}

#[test]
fn recipients_of_one_refused_message_are_all_reported() {
    in_world(|world| {
        let _server = world.postfix(Postfix::on("192.0.2.10"));
        let _dns = usual_dns(world);
        let delivery = |second: &str| {
            let delivery = without_recipient().recipient("reject@example.test").recipient(second);
            let outcome = delivery.run();
            let letters: Vec<_> = outcome.reports().iter().map(|report| char::from(report[0])).collect();
            (letters.into_iter().collect::<String>(), outcome.belief().letter)
        };
        assert_eq!(delivery("reject@example.test"), ("hhD".to_owned(), Letter::D));
        // qmail-rspawn hands out one recipient at a time, and believes the first report.
        assert_eq!(delivery("defer@example.test").0, "hsZ");
    });
}

fn without_recipient() -> Delivery {
    Delivery::new(PROGRAM).identity(Identity::Qmailr).host("example.test").sender("a@b.test")
}

fn delivers_as(world: &World, identity: Identity) {
    route_to_held(world);
    let held = Held::at(Stage::EndOfData);
    let running = delivery().identity(identity).start();
    held.wait_until_reached();
    held.go_on();
    running.wait().assert_reports(&ACCEPTED);
    assert!(held.seen().whole);
}

#[test]
fn root_delivers() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        delivers_as(world, Identity::Root);
    });
}

#[test]
fn qmailr_delivers() {
    in_world(|world| delivers_as(world, Identity::Qmailr));
}

#[test]
fn an_ordinary_user_delivers() {
    in_world(|world| delivers_as(world, Identity::Courier));
}

#[test]
fn a_set_group_id_program_delivers() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        delivers_as(world, Identity::SetgidKeys);
    });
}

#[test]
fn every_identity_finds_its_exchanger_by_dns() {
    in_world(|world| {
        let server = world.postfix(postfix_with_tls(world));
        let _dns = usual_dns(world);
        for identity in [Identity::Root, Identity::Qmailr, Identity::Courier, Identity::SetgidKeys] {
            println!("{identity:?}");
            let outcome = delivery().identity(identity).run();
            outcome.assert_queued(&["r"], "192.0.2.10 TLS transmitted message accepted");
            let _ = server.wait_for_message();
        }
    });
}

#[test]
fn a_zone_that_does_not_validate_is_a_retry() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        let _dns = world.dns(&Zones::new().bogus("example.test", "@ MX 10 mx1\nmx1 A 192.0.2.10\n"));
        let outcome = delivery().run();
        outcome.assert_reports(&[NOT_FOUND_NOW]);
        assert_eq!(outcome.belief().letter, Letter::Z);
    });
}

#[test]
fn a_bogus_mx_is_not_no_mx() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        let text = "@ A 192.0.2.10\n@ MX 10 mx1\nmx1 A 192.0.2.10\n";
        let _dns = world.dns(&Zones::new().bogus_at("example.test", text, &[("@", "MX")]));
        delivery().run().assert_reports(&[NOT_FOUND_NOW]);
    });
}

#[test]
fn a_stopped_resolver_is_a_retry() {
    in_world(|world| {
        let dns = usual_dns(world);
        dns.resolver.signal(Signal::SIGSTOP);
        // Lasts as long as all look-ups together may.
        delivery().run().assert_reports(&[NOT_FOUND_NOW]);
    });
}
