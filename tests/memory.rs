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
use std::os::unix::fs::FileExt;

use held::{Held, Stage, delivery, route_to_held};
use nix::unistd::Pid;
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
