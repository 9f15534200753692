//! What the network child holds in memory: nothing of other routes, senders or certificates.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;

use held::{Held, Stage, delivery, delivery_after, route_to_held};
use nix::unistd::Pid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use world::certificates::{Content, Identity};
use world::patience::{LONG_ENOUGH, accept, until};
use world::peer::Peer;
use world::{Delivery, Needs, World, in_world};

/// The control files hold this in every line but the one that the delivery uses.
const SECRET: &str = "xyzzy-plugh-password-of-others";

/// All readable memory of a process, but for what is as it stands in a program's or a library's file: most of it, and no
/// secret.
fn memory(process: Pid) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut content = Vec::new();
    for line in maps.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [range, mode, offset, ..] = fields[..] else { panic!("{line}") };
        if !mode.starts_with('r') {
            continue;
        }
        let number = |hex| u64::from_str_radix(hex, 16).unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let mut part = vec![0; usize::try_from(number(end) - number(start)).unwrap()];
        if memory.read_exact_at(&mut part, number(start)).is_err() {
            // The process gives some of it back meanwhile. The kernel's own pages, [vvar] for one, cannot be read at all.
            let pages = part.chunks_mut(4096).zip((number(start)..).step_by(4096));
            for (page, place) in pages {
                if memory.read_exact_at(page, place).is_ok() {
                    content.extend_from_slice(page);
                }
            }
            continue;
        }
        let mut of_file = vec![0; part.len()];
        let file = fields.get(5).and_then(|path| File::open(path).ok());
        let is_file = file.is_some_and(|file| file.read_exact_at(&mut of_file, number(offset)).is_ok());
        if !is_file || part != of_file {
            content.extend_from_slice(&part);
        }
    }
    content
}

/// Holds a delivery and looks into both of its processes.
fn look_into(world: &World, delivery: Delivery) {
    world.require(Needs::ManyUids);
    let server = Held::at(Stage::Ehlo);
    let running = delivery.start();
    server.wait_until_reached();
    for process in [running.pid(), running.child_pid()] {
        let memory = memory(process);
        // What it must have, to know that the search finds what is there.
        assert!(memmem(&memory, b"alice@sender.test"));
        assert!(!holds_piece(&memory, SECRET), "process {process}");
    }
    server.go_on();
    assert!(running.wait().status.success());
}

#[test]
fn what_the_callers_variables_held_is_wiped_before_the_fork() {
    in_world(|world| {
        route_to_held(world);
        look_into(world, delivery().env("API_TOKEN", SECRET).env(SECRET, ""));
    });
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
            assert!(!holds_piece(memory, SECRET), "{stage}");
        });
    });
}

/// The released password is there while it is used, and not before or after.
fn released_by(mechanism: &'static str) {
    in_world(move |world| {
        authenticate(world, mechanism, |stage, memory| {
            assert!(!holds_piece(memory, SECRET), "{stage}");
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

/// What there is to look for, in pieces as large as what a vector register or a digest's block leaves.
#[derive(Default)]
struct Pieces {
    /// By their first two octets.
    by_start: HashMap<[u8; 2], Vec<(Vec<u8>, &'static str)>>,
    /// The same, to be asked for every place of a memory.
    starts: Vec<bool>,
}

impl Pieces {
    const LENGTH: usize = 12;

    /// Adds the pieces of `octets` that begin at every `step`.
    fn add(&mut self, name: &'static str, octets: &[u8], step: usize) {
        assert!(octets.len() >= 2 * Pieces::LENGTH, "{name}");
        self.starts.resize(1 << 16, false);
        for piece in octets.windows(Pieces::LENGTH).step_by(step) {
            let start = *piece.first_chunk().unwrap();
            self.by_start.entry(start).or_default().push((piece.to_vec(), name));
            if let Some(is_start) = self.starts.get_mut(usize::from(u16::from_be_bytes(start))) {
                *is_start = true;
            }
        }
    }

    /// Of what some is there.
    fn in_memory(&self, memory: &[u8]) -> BTreeSet<&'static str> {
        let mut found = BTreeSet::new();
        for place in memory.windows(Pieces::LENGTH) {
            let &start = place.first_chunk().unwrap();
            if self.starts.get(usize::from(u16::from_be_bytes(start))) == Some(&true) {
                let pieces = self.by_start.get(&start).into_iter().flatten();
                found.extend(pieces.filter(|(piece, _)| piece == place).map(|(_, name)| *name));
            }
        }
        found
    }
}

/// The private numbers of a key: as people and DER write them, and as a machine computes with them.
fn numbers_of(key: &PKey<Private>) -> Pieces {
    let rsa = key.rsa().unwrap();
    let mut pieces = Pieces::default();
    for (name, number) in [
        ("d", Some(rsa.d())),
        ("p", rsa.p()),
        ("q", rsa.q()),
        ("dmp1", rsa.dmp1()),
        ("dmq1", rsa.dmq1()),
        ("iqmp", rsa.iqmp()),
    ] {
        let number = number.unwrap().to_vec();
        pieces.add(name, &number, 4);
        pieces.add(name, &number.iter().rev().copied().collect::<Vec<_>>(), 4);
    }
    pieces
}

/// The file of a key in PEM and in DER, from where it is no longer public or the same in all keys.
fn file_of(key: &PKey<Private>, pem: &[u8]) -> Pieces {
    let is_text = |line: &&[u8]| !line.is_empty() && !line.contains(&b'-') && !line.contains(&b':');
    let lines: Vec<&[u8]> = pem.split(|&octet| octet == b'\n').filter(is_text).collect();
    let der = openssl::base64::decode_block(std::str::from_utf8(&lines.concat()).unwrap()).unwrap();
    let private = memchr::memmem::find(&der, &key.rsa().unwrap().d().to_vec());
    // Encrypted there is no number in it; what is at its start says how.
    let start = private.unwrap_or(128);
    let mut pieces = Pieces::default();
    pieces.add("DER", der.get(start..).unwrap(), 4);
    // 64 characters of a line are 48 octets.
    for line in lines.iter().skip(start.div_ceil(48)).filter(|line| line.len() == 64) {
        pieces.add("PEM", line, 4);
    }
    pieces
}

/// Holds deliveries by a server that demands a certificate, before and after the handshake and at their end, and looks into
/// both processes.
fn look_for_the_key(world: &World, key: &PKey<Private>, pem: &[u8], password: &str, in_one_file: bool) {
    world.require(Needs::ManyUids);
    route_to_held(world);
    let content =
        Content { names: &["client.test"], for_clients: true, key: Some(key), ..Content::default() };
    let certificate = Identity::self_signed_with(&content).unwrap().certificate.to_pem().unwrap();
    let line = if in_one_file {
        let file = world.file("client", [pem, &certificate].concat());
        format!("{}||{password}", file.display())
    } else {
        let (certificate, key) = (world.file("client", &certificate), world.file("key", pem));
        format!("{}|{}|{password}", certificate.display(), key.display())
    };
    let others: String = (0..200).map(|n| format!("other{n}.test:/c|/k|{SECRET}\n")).collect();
    world.control("domaincerts", format!("{others}sender.test:{line}\n*:/c|/k|{SECRET}\n{others}"));
    let (numbers, mut others) = (numbers_of(key), file_of(key, pem));
    others.add("password of another line", SECRET.as_bytes(), 1);
    if !password.is_empty() {
        others.add("password", password.as_bytes(), 1);
    }
    for stage in [Stage::Greeting, Stage::Ehlo, Stage::EndOfData] {
        let server = Held::that_demands_a_certificate_at(stage);
        let running = delivery().start();
        server.wait_until_reached();
        let all = BTreeSet::from(["d", "p", "q", "dmp1", "dmq1", "iqmp"]);
        // The monitor has them, and the search finds what is there.
        let has_all = || (numbers.in_memory(&memory(running.pid())) == all).then_some(());
        until(has_all).expect("the numbers of the key");
        let child = memory(running.child_pid());
        assert!(memmem(&child, b"alice@sender.test"));
        for pieces in [&numbers, &others] {
            assert_eq!(pieces.in_memory(&child), BTreeSet::new(), "{stage:?}");
        }
        server.go_on();
        assert!(running.wait().status.success());
    }
}

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

#[test]
fn the_key_of_a_client_certificate_is_never_in_the_child() {
    in_world(|world| {
        let key = rsa();
        look_for_the_key(world, &key, &key.private_key_to_pem_pkcs8().unwrap(), "", false);
    });
}

#[test]
fn a_key_in_the_certificates_file_is_never_in_the_child() {
    in_world(|world| {
        let key = rsa();
        look_for_the_key(world, &key, &key.private_key_to_pem_pkcs8().unwrap(), "", true);
    });
}

#[test]
fn an_encrypted_key_and_its_password_are_never_in_the_child() {
    in_world(|world| {
        let key = rsa();
        let password = PASSWORD.as_bytes();
        let pkcs8 = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password).unwrap();
        look_for_the_key(world, &key, &pkcs8, PASSWORD, true);
        let traditional = key.rsa().unwrap();
        let traditional = traditional.private_key_to_pem_passphrase(Cipher::aes_128_cbc(), password).unwrap();
        look_for_the_key(world, &key, &traditional, PASSWORD, false);
    });
}

#[test]
fn passwords_of_other_lines_are_wiped_before_the_fork() {
    in_world(|world| {
        route_to_held(world);
        let others: String = (0..2000).map(|n| format!("other{n}.test:r.test|user|{SECRET}\n")).collect();
        world.control("smtproutes", format!("{others}:192.0.2.10\n{others}"));
        world.control("authsenders", format!("@other.test:r.test|user|{SECRET}\n"));
        world.control("domaincerts", format!("other.test:/c|/k|{SECRET}\n"));
        look_into(world, delivery());
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
        look_into(world, delivery());
    });
}

/// What the kernel says of the mappings that no child inherits.
fn flags_of_sealed(process: Pid) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let flags = maps.lines().filter_map(|line| line.strip_prefix("VmFlags:"));
    let has = |flags: &&str, flag| flags.split_whitespace().any(|other| other == flag);
    flags.filter(|flags| has(flags, "wf")).map(str::to_owned).collect()
}

/// The smallest limit that was ever usual has room for them, and an administrator's may be none.
#[test]
fn credentials_are_locked_in_the_monitor_as_far_as_the_limit_has_room() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        route_to_held(world);
        world.control("smtproutes", format!(":192.0.2.10|{USER}|{PASSWORD}\n"));
        for (kilobytes, is_locked) in [("64", true), ("0", false)] {
            let server = Held::at(Stage::Ehlo);
            let running = delivery_after(world, &format!("ulimit -l {kilobytes}; ")).start();
            server.wait_until_reached();
            let sealed = flags_of_sealed(running.pid());
            assert_eq!(sealed.len(), 1, "{sealed:?}");
            for flags in sealed {
                let has = |flag| flags.split_whitespace().any(|other| other == flag);
                assert!(has("dd"), "{flags}");
                assert_eq!(has("lo"), is_locked, "{kilobytes}: {flags}");
            }
            server.go_on();
            assert_eq!(running.wait().belief().letter, world::Letter::K);
        }
    });
}
