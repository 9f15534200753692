//! What the network child holds in memory: nothing of other routes, senders or certificates.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;

use held::{Held, Stage, delivery, route_to_held};
use nix::unistd::Pid;
use world::patience::{LONG_ENOUGH, accept};
use world::peer::Peer;
use world::{Needs, World, in_world};

/// The control files hold this in every line but the one that the delivery uses.
const SECRET: &str = "xyzzy-plugh-password";

/// All readable memory of a process.
fn memory(process: Pid) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut content = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with('r'))) {
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let number = |hex| u64::from_str_radix(hex, 16).unwrap();
        let mut part = vec![0; usize::try_from(number(end) - number(start)).unwrap()];
        // The kernel's own pages, [vvar] for one, cannot be read.
        if memory.read_exact_at(&mut part, number(start)).is_ok() {
            content.extend_from_slice(&part);
        }
    }
    content
}

fn holds(memory: &[u8], text: &str) -> bool {
    memory.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Holds a delivery and looks into both of its processes.
fn look_into(world: &World) {
    world.require(Needs::ManyUids);
    let server = Held::at(Stage::Ehlo);
    let running = delivery().start();
    server.wait_until_reached();
    for process in [running.pid(), running.child_pid()] {
        let memory = memory(process);
        // What it must have, to know that the search finds what is there.
        assert!(holds(&memory, "alice@sender.test"));
        assert!(!holds(&memory, SECRET), "process {process}");
    }
    server.go_on();
    assert!(running.wait().status.success());
}

/// The credentials of the line that the delivery uses, in which nothing repeats.
const USER: &str = "Zaphod-Beeblebrox-of-Betelgeuse-Five";
const PASSWORD: &str = "qWmKvTzRyXpLsDfGhJnBcV0192837465";

/// Whether a piece of `text` or of its base64 form is there, as large as what a vector register or a digest's block leaves.
fn holds_piece(memory: &[u8], text: &str) -> bool {
    let encoded = openssl::base64::encode_block(text.as_bytes());
    [text, &encoded].iter().any(|text| {
        let pieces = text.as_bytes().windows(12);
        pieces.into_iter().any(|piece| memmem(memory, piece))
    })
}

fn memmem(memory: &[u8], piece: &[u8]) -> bool {
    memchr::memmem::find(memory, piece).is_some()
}

/// A server on 192.0.2.10 that authenticates by `mechanism` and waits in between: at the answer to AUTH, when it has the
/// user name (LOGIN), and at MAIL. `look` gets the stage and the child's memory.
fn authenticate(world: &World, mechanism: &'static str, look: impl Fn(&str, &[u8])) {
    world.require(Needs::ManyUids);
    route_to_held(world);
    world.control("authplaintext", "1\n");
    let others: String = (0..200).map(|n| format!("other{n}.test:r.test|user|{SECRET}\n")).collect();
    world.control("smtproutes", format!("{others}:192.0.2.10|{USER}|{PASSWORD}\n{others}"));
    let listener = TcpListener::bind("192.0.2.10:25").unwrap();
    let running = delivery().start();
    let stream = accept(&listener);
    let mut peer = Peer::new(stream, LONG_ENOUGH).unwrap();
    let child = running.child_pid();
    let line = |peer: &mut Peer| String::from_utf8(peer.line().unwrap().trim_ascii_end().to_vec()).unwrap();
    peer.send(b"220 mx1\r\n").unwrap();
    line(&mut peer);
    peer.send(format!("250-mx1\r\n250 AUTH {mechanism}\r\n").as_bytes()).unwrap();
    assert_eq!(line(&mut peer), format!("AUTH {mechanism}"));
    look("before", &memory(child));
    peer.send(b"334 PDFAeD4=\r\n").unwrap();
    line(&mut peer);
    if mechanism == "LOGIN" {
        look("between", &memory(child));
        peer.send(b"334 UGFzc3dvcmQ6\r\n").unwrap();
        line(&mut peer);
    }
    peer.send(b"235 ok\r\n").unwrap();
    assert!(line(&mut peer).starts_with("MAIL FROM"));
    look("after", &memory(child));
    drop(peer);
    assert!(running.wait().status.success());
}

#[test]
fn the_password_of_a_digest_is_never_in_the_child() {
    in_world(|world| {
        authenticate(world, "CRAM-MD5", |stage, memory| {
            assert!(memmem(memory, b"alice@sender.test"));
            assert!(!holds_piece(memory, PASSWORD), "{stage}");
            assert!(!memmem(memory, SECRET.as_bytes()), "{stage}");
        });
    });
}

/// The released password is there while it is used, and not before or after.
fn released_by(mechanism: &'static str) {
    in_world(move |world| {
        authenticate(world, mechanism, |stage, memory| {
            assert!(!memmem(memory, SECRET.as_bytes()), "{stage}");
            assert_eq!(holds_piece(memory, PASSWORD), stage == "between", "{stage}");
            if stage != "between" {
                assert!(!holds_piece(memory, USER), "{stage}");
            }
        });
    });
}

#[test]
fn a_password_for_login_is_in_the_child_only_while_it_is_used() {
    released_by("LOGIN");
}

#[test]
fn a_password_for_plain_is_gone_after_its_use() {
    released_by("PLAIN");
}

#[test]
fn passwords_of_other_lines_are_wiped_before_the_fork() {
    in_world(|world| {
        route_to_held(world);
        let others: String = (0..2000).map(|n| format!("other{n}.test:r.test|user|{SECRET}\n")).collect();
        world.control("smtproutes", format!("{others}:192.0.2.10\n{others}"));
        world.control("authsenders", format!("@other.test:r.test|user|{SECRET}\n"));
        world.control("domaincerts", format!("other.test:/c|/k|{SECRET}\n"));
        look_into(world);
    });
}

#[test]
fn passwords_in_an_index_are_wiped_before_the_fork() {
    in_world(|world| {
        route_to_held(world);
        let path = world.scratch().join("index");
        let mut index = cdb2::CDBWriter::create(&path).unwrap();
        index.add(b"other.test", format!("r.test|user|{SECRET}").as_bytes()).unwrap();
        index.add(b"", b"192.0.2.10").unwrap();
        index.finish().unwrap();
        // The text says something else: what is delivered was found in the index.
        world.control("smtproutes", ":192.0.2.66\n");
        world.index("smtproutes", std::fs::read(path).unwrap());
        look_into(world);
    });
}
