//! QMTP where a dialogue file cannot say it: messages that change, sizes, and what a probe does.
//! The rest is `tests/dialogues/qmtp*.txt`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::fs::File;
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use held::{delivery, delivery_after};
use nix::unistd::Pid;
use openssl::sha::Sha256;
use world::netstring::{Cut, Package};
use world::patience::{LONG_ENOUGH, accept};
use world::peer::Peer;
use world::{Letter, Message, World, Zones, certificates, in_world};

const CLEAR: (&str, &str) = ("192.0.2.10", "192.0.2.10:209");
const TLS: (&str, &str) = ("192.0.2.10;6209", "192.0.2.10:6209");
const LINE: &[u8] = b"Fifty octets of nothing in particular, line by ln\n";

/// A server of one connection that waits for a word after its first octets, and again before it answers.
struct Waiting {
    reached: Receiver<()>,
    go_on: Sender<()>,
    thread: JoinHandle<Seen>,
}

/// What a server saw: how many octets, their digest, and whether the package had its end.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    octets: usize,
    digest: [u8; 32],
    whole: bool,
}

/// Octets of a package of `message` octets to the usual recipient, and their digest when all of it is lines.
fn expected(message: usize) -> Seen {
    let head = format!("{}:\n", message + 1);
    let tail: &[u8] = b",17:alice@sender.test,20:16:bob@example.test,,";
    let mut digest = Sha256::new();
    digest.update(head.as_bytes());
    for _ in 0..message / LINE.len() {
        digest.update(LINE);
    }
    digest.update(tail);
    Seen { octets: head.len() + message + tail.len(), digest: digest.finish(), whole: true }
}

impl Waiting {
    fn listen((route, address): (&str, &str), world: &World, length: usize) -> Waiting {
        world.control("me", "client.example.test\n");
        world.control("qmtproutes", format!(":{route}\n"));
        let acceptor = certificates::Identity::self_signed(&["mx"]).unwrap().acceptor().unwrap();
        let is_tls = route.ends_with("6209");
        let listener = TcpListener::bind(address).unwrap();
        let (tell_reached, reached) = channel();
        let (go_on, told) = channel::<()>();
        let thread = std::thread::spawn(move || {
            let mut peer = Peer::new(accept(&listener), LONG_ENOUGH).unwrap();
            if is_tls {
                peer = peer.start_tls(&acceptor).unwrap();
            }
            let (mut octets, mut digest) = (0, Sha256::new());
            let mut waits = true;
            while octets < length && peer.receive().is_ok() {
                let piece = peer.take();
                octets += piece.len();
                digest.update(&piece);
                if std::mem::take(&mut waits) {
                    tell_reached.send(()).unwrap();
                    told.recv().unwrap();
                }
            }
            let whole = octets == length;
            if whole {
                tell_reached.send(()).unwrap();
                told.recv().unwrap();
                peer.send(b"3:Kok,").unwrap();
            }
            Seen { octets, digest: digest.finish(), whole }
        });
        Waiting { reached, go_on, thread }
    }

    fn wait(&self) {
        self.reached.recv_timeout(LONG_ENOUGH).unwrap();
    }

    fn go_on(&self) {
        self.go_on.send(()).unwrap();
    }
}

#[test]
fn a_file_that_turns_out_shorter_is_no_success_and_exit_status_1() {
    in_world(|world| {
        for way in [CLEAR, TLS] {
            let announced = 400_000 * LINE.len();
            let path = world.file("message", LINE.repeat(400_000));
            let server = Waiting::listen(way, world, expected(announced).octets);
            let running = delivery().message(Message::File(path.clone())).start();
            server.wait();
            File::options().write(true).open(&path).unwrap().set_len(19_000_000).unwrap();
            server.go_on();
            let outcome = running.wait();
            let seen = server.thread.join().unwrap();
            assert!(!seen.whole && seen.octets < announced, "{seen:?}");
            assert_eq!(outcome.stdout, b"ZUnable to read message. (#4.3.0)\n\0");
            assert_eq!((outcome.status.code(), outcome.stderr.as_slice()), (Some(1), &b""[..]));
            // What qmail-rspawn makes of every status but 0 and 111.
            assert_eq!(outcome.belief().letter, Letter::D);
        }
    });
}

#[test]
fn a_file_that_grows_is_sent_as_it_was_announced() {
    in_world(|world| {
        let announced = 400_000 * LINE.len();
        let path = world.file("message", LINE.repeat(400_000));
        let server = Waiting::listen(CLEAR, world, expected(announced).octets);
        let running = delivery().message(Message::File(path.clone())).start();
        server.wait();
        File::options().write(true).open(&path).unwrap().set_len(30_000_000).unwrap();
        server.go_on();
        server.wait();
        server.go_on();
        running.wait().assert_reports(&["rqmtp: ok\n", "KAll received okay by 192.0.2.10\n"]);
        assert_eq!(server.thread.join().unwrap(), expected(announced));
    });
}

#[test]
fn the_package_begins_where_the_descriptor_stands() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        world.control("qmtproutes", ":192.0.2.10\n");
        let listener = TcpListener::bind(CLEAR.1).unwrap();
        let server = std::thread::spawn(move || {
            let mut peer = Peer::new(accept(&listener), LONG_ENOUGH).unwrap();
            while Package::parse(peer.pending()) == Err(Cut::Short) {
                peer.receive().unwrap();
            }
            peer.send(b"3:Kok,").unwrap();
            Package::parse(&peer.take()).unwrap().0
        });
        let message = Message::bytes("not for the wire\nfor the wire\n");
        let outcome = delivery_after(world, "read -r first; ").message(message).run();
        assert_eq!(outcome.belief().letter, Letter::K, "{outcome:?}");
        assert_eq!(server.join().unwrap().message, b"\nfor the wire\n");
    });
}

fn peak_memory(process: Pid) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn memory_does_not_grow_with_the_package() {
    const MOST: i64 = 24 << 10;
    const NOTHING: i64 = 512;
    in_world(|world| {
        for way in [CLEAR, TLS] {
            let peaks = [20_000, 4_000_000].map(|lines| {
                let server = Waiting::listen(way, world, expected(lines * LINE.len()).octets);
                let message = Message::File(world.file("message", LINE.repeat(lines)));
                let running = delivery().message(message).start();
                server.wait();
                server.go_on();
                server.wait();
                let peaks = [running.pid(), running.child_pid()].map(peak_memory);
                server.go_on();
                assert_eq!(running.wait().belief().letter, Letter::K);
                assert_eq!(server.thread.join().unwrap(), expected(lines * LINE.len()));
                peaks
            });
            println!("{way:?}: monitor and child, in KiB: {peaks:?}");
            let [small, large] = peaks;
            for (small, large) in small.into_iter().zip(large) {
                assert!(large < MOST, "{large} KiB");
                assert!((large - small).abs() < NOTHING, "{small} KiB, then {large} KiB");
            }
        }
    });
}

#[test]
fn a_probe_sends_no_octet_of_a_package() {
    in_world(|world| {
        let _dns = world.dns(&Zones::new().insecure("example.test", "@ A 192.0.2.10\n"));
        for (route, port, said) in [
            ("192.0.2.10", 209, "a message could be sent, and reported as: accepted message\n"),
            (
                "192.0.2.10;6209",
                6209,
                "a message could be sent, and reported as: TLS transmitted message accepted\n",
            ),
        ] {
            world.control("me", "client.example.test\n");
            world.control("qmtproutes", format!(":{route}\n"));
            let acceptor = certificates::Identity::self_signed(&["mx"]).unwrap().acceptor().unwrap();
            let listener = TcpListener::bind(("192.0.2.10", port)).unwrap();
            let server = std::thread::spawn(move || {
                let mut peer = Peer::new(accept(&listener), LONG_ENOUGH).unwrap();
                if port == 6209 {
                    peer = peer.start_tls(&acceptor).unwrap();
                }
                peer.drain(LONG_ENOUGH).unwrap()
            });
            let tool = env!("CARGO_BIN_EXE_qmail-remote-check");
            let output = Command::new(tool).args(["probe", "example.test"]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            println!("{text}");
            assert_eq!(server.join().unwrap(), b"");
            assert!(output.status.success() && text.contains(said), "{text}");
        }
    });
}

#[test]
fn a_probe_of_another_port_speaks_the_protocol_of_the_routes_file() {
    in_world(|world| {
        let _dns = world.dns(&Zones::new().insecure("example.test", "@ A 192.0.2.10\n"));
        let (smtp, qmtp) = ("220 mx.example.test\r\n", "");
        let (route, with_password) = (":192.0.2.10\n", ":192.0.2.10|user|password\n");
        for (file, line, rule, port, greeting) in [
            // The rule's port means QMTPS, and so does nothing else.
            ("smtproutes", "", "*:;6209\n", 25, smtp),
            ("smtproutes", route, "*:;6209\n", 25, smtp),
            ("smtproutes", with_password, "*:;6209\n", 25, smtp),
            ("qmtproutes", route, "*:;6209\n", 209, qmtp),
            // The rule's port means SMTPS.
            ("qmtproutes", route, "*:;465\n", 209, qmtp),
            ("smtproutes", route, "*:;465\n", 25, smtp),
            ("qmtproutes", route, "*:;26\n", 209, qmtp),
        ] {
            for file in ["smtproutes", "qmtproutes"] {
                world.control(file, "");
            }
            world.control("me", "client.example.test\n");
            world.control(file, line);
            world.control("tlsdestinations", rule);
            let listener = TcpListener::bind(("192.0.2.10", port)).unwrap();
            let server = std::thread::spawn(move || {
                let mut peer = Peer::new(accept(&listener), LONG_ENOUGH).unwrap();
                peer.send(greeting.as_bytes()).unwrap();
                if greeting.is_empty() {
                    return peer.drain(LONG_ENOUGH).unwrap();
                }
                peer.receive().unwrap();
                peer.pending().to_vec()
            });
            let tool = env!("CARGO_BIN_EXE_qmail-remote-check");
            let port = port.to_string();
            let output =
                Command::new(tool).args(["probe", "example.test", "--port", &port]).output().unwrap();
            println!("{file} {line}{rule}{}", String::from_utf8_lossy(&output.stdout));
            let said = if greeting.is_empty() { "" } else { "EHLO client.example.test\r\n" };
            assert_eq!(server.join().unwrap(), said.as_bytes());
        }
    });
}
