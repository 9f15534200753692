//! Control files that are no text, no file, too large, or changed while they are read: a delivery goes by the whole of
//! what is there, or is put off.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use held::{ACCEPTED, Held, Stage, delivery, route_to_held};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use world::{Identity, World, in_world};

const NO_CONTROL: &str = "ZUnable to read control files. (#4.3.0)\n";
/// Nothing listens.
const NOT_CONNECTED: &str = "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n";

const VALUES: [&str; 4] = ["me", "helohost", "timeoutconnect", "timeoutremote"];
const LISTS: [&str; 6] =
    ["authsenders", "domaincerts", "domainips", "qmtproutes", "smtproutes", "tlsdestinations"];

fn problem(place: &str, problem: &str) -> String {
    format!("ZUnable to use /var/qmail/control/{place}: {problem}. (#4.3.0)\n")
}

#[test]
fn junk_is_no_value_and_no_line_that_anybody_asks_for() {
    in_world(|world| {
        let octets: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for junk in [octets, vec![0; 100_000], b"\n".repeat(100_000)] {
            for file in VALUES {
                route_to_held(world);
                world.control(file, &junk);
                // A blank line is no value: the default counts, and for `me` there is none.
                let expected = if junk[0] == b'\n' && file != "me" { NOT_CONNECTED } else { NO_CONTROL };
                delivery().run().assert_reports(&[expected]);
                fs::remove_file(world.control_directory().join(file)).unwrap();
            }
            route_to_held(world);
            for file in LISTS {
                world.control(file, &junk);
            }
            world.control("smtproutes", [&junk, &b"\n:192.0.2.10\n"[..], &junk].concat());
            delivery().run().assert_reports(&[NOT_CONNECTED]);
        }
    });
}

#[test]
fn directories_need_only_be_searched() {
    in_world(|world| {
        route_to_held(world);
        let control = world.control_directory();
        let home = control.parent().unwrap();
        let as_courier = || delivery().identity(Identity::Courier).run();
        let may = |directory: &Path, mode| {
            fs::set_permissions(directory, Permissions::from_mode(mode)).unwrap();
        };
        may(&control, 0o111);
        may(home, 0o111);
        as_courier().assert_reports(&[NOT_CONNECTED]);
        may(&control, 0o666);
        as_courier().assert_reports(&[NO_CONTROL]);
        may(home, 0o666);
        as_courier().assert_reports(&["ZUnable to switch to home directory. (#4.3.0)\n"]);
        may(home, 0o755);
    });
}

/// Puts something that is no readable file at a path, and says who cannot read it.
type Obstacle = fn(&Path) -> Identity;

const OBSTACLES: [(&str, Obstacle); 7] = [
    ("unreadable", |path| {
        fs::write(path, "1\n").unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
        Identity::Courier
    }),
    ("directory", |path| {
        fs::create_dir(path).unwrap();
        Identity::Qmailr
    }),
    ("fifo", |path| {
        mkfifo(path, Mode::from_bits_truncate(0o666)).unwrap();
        Identity::Qmailr
    }),
    ("socket", |path| {
        drop(UnixListener::bind(path).unwrap());
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        Identity::Qmailr
    }),
    ("device", |path| {
        symlink("/dev/null", path).unwrap();
        Identity::Qmailr
    }),
    ("loop", |path| {
        symlink(path.file_name().unwrap(), path).unwrap();
        Identity::Qmailr
    }),
    ("link to nowhere", |path| {
        symlink("nowhere", path).unwrap();
        Identity::Qmailr
    }),
];

fn remove(path: &Path) {
    if path.symlink_metadata().unwrap().is_dir() {
        fs::remove_dir(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_cannot_be_read_is_not_an_empty_file() {
    in_world(|world| {
        let indices = LISTS.map(|list| format!("{list}.cdb"));
        let names = VALUES.iter().chain(&LISTS).map(ToString::to_string);
        for name in names.chain(indices) {
            for (what, obstacle) in OBSTACLES {
                println!("{name}: {what}");
                route_to_held(world);
                LISTS.iter().filter(|list| **list != "smtproutes").for_each(|list| world.control(list, ""));
                let path = world.control_directory().join(&name);
                let _ = fs::remove_file(&path);
                let identity = obstacle(&path);
                delivery().identity(identity).run().assert_reports(&[NO_CONTROL]);
                remove(&path);
            }
        }
    });
}

/// The most memory that the process has ever had, in KiB.
fn peak(process: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("line of the peak");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The peak of a monitor whose delivery is accepted.
fn peak_of_a_delivery() -> u64 {
    let held = Held::at(Stage::EndOfData);
    let running = delivery().start();
    held.wait_until_reached();
    let peak = peak(running.pid());
    held.go_on();
    running.wait().assert_reports(&ACCEPTED);
    peak
}

/// Makes a file longer without writing to it: NULs.
fn lengthen(path: &Path, size: u64) {
    File::options().append(true).open(path).unwrap().set_len(size).unwrap();
}

const GIB: u64 = 1 << 30;
/// Buffers, and pages that are there in one run and not in another, in KiB.
const MARGIN: u64 = 2048;

#[test]
fn the_size_of_a_file_costs_no_memory() {
    in_world(|world| {
        route_to_held(world);
        let usual = peak_of_a_delivery();
        let lines: String = (0..1_000_000).map(|n| format!("host{n}.example:192.0.2.66\n")).collect();
        let path = |name: &str| world.control_directory().join(name);
        for list in LISTS {
            world.control(list, &lines);
        }
        world.control("smtproutes", format!("{lines}:192.0.2.10\n"));
        let peak = peak_of_a_delivery();
        assert!(peak <= usual + MARGIN, "a million lines: {peak} KiB, without them {usual}");
        for list in LISTS {
            world.control(list, "");
        }
        world.control("smtproutes", ":192.0.2.10\n");
        lengthen(&path("smtproutes"), GIB);
        let peak = peak_of_a_delivery();
        assert!(peak <= usual + MARGIN, "a line of a GiB: {peak} KiB, without it {usual}");
        world.control("smtproutes", "\n:192.0.2.10");
        lengthen(&path("smtproutes"), GIB);
        delivery().run().assert_reports(&[problem("smtproutes, line 2", "the line is too long")]);
        route_to_held(world);
        for value in VALUES {
            world.control(value, "1");
            lengthen(&path(value), GIB);
            delivery().run().assert_reports(&[NO_CONTROL]);
            fs::remove_file(path(value)).unwrap();
            route_to_held(world);
        }
    });
}

/// An index with these records.
fn index(world: &World, records: &[(&str, &str)]) -> Vec<u8> {
    let path = world.scratch().join("index");
    let mut index = cdb2::CDBWriter::create(&path).unwrap();
    for (key, value) in records {
        index.add(key.as_bytes(), value.as_bytes()).unwrap();
    }
    index.finish().unwrap();
    fs::read(path).unwrap()
}

#[test]
fn an_index_that_leads_outside_itself_is_a_retry() {
    in_world(|world| {
        route_to_held(world);
        let good = index(world, &[("example.test", "192.0.2.10")]);
        world.index("smtproutes", &good);
        delivery().run().assert_reports(&[NOT_CONNECTED]);
        // One record, so that of the two slots of its table one is empty.
        let table = good.chunks(8).position(|pair| pair[4..] == [2, 0, 0, 0]).unwrap() * 8;
        let slots = 2048 + 8 + "example.test192.0.2.10".len();
        let slot = slots + if good[slots + 4..slots + 8] == [0; 4] { 8 } else { 0 };
        for (what, place) in [
            ("place of a table", table),
            ("size of a table", table + 4),
            ("place of a record", slot + 4),
            ("length of the key", 2048),
            ("length of the value", 2048 + 4),
        ] {
            for number in [u32::MAX, u32::MAX - 8, 1 << 31, u32::try_from(good.len()).unwrap()] {
                println!("{what}: {number}");
                let mut bad = good.clone();
                bad[place..place + 4].copy_from_slice(&number.to_le_bytes());
                world.index("smtproutes", &bad);
                delivery().run().assert_reports(&[NO_CONTROL]);
            }
        }
        // As a crash leaves it: nothing behind the header, or no slots, or a key that is another.
        for (what, wiped) in [("body", 2048..good.len()), ("slots", slots..good.len()), ("key", 2056..2057)] {
            println!("no {what}");
            let mut bad = good.clone();
            bad[wiped].fill(0);
            world.index("smtproutes", &bad);
            delivery().run().assert_reports(&[NO_CONTROL]);
        }
        // A large one, of which a crash has wiped the pages of all slots.
        let names: Vec<_> = (0..40_000).map(|number| format!("host{number}.test")).collect();
        let records: Vec<_> = names.iter().map(|name| (name.as_str(), "192.0.2.11")).collect();
        let mut large = index(world, &[&records[..], &[("example.test", "192.0.2.10")]].concat());
        world.index("smtproutes", &large);
        delivery().run().assert_reports(&[NOT_CONNECTED]);
        let places = large[..2048].chunks(8).map(|pair| u32::from_le_bytes(pair[..4].try_into().unwrap()));
        let first = usize::try_from(places.min().unwrap()).unwrap();
        large[first..].fill(0);
        world.index("smtproutes", &large);
        delivery().run().assert_reports(&[NO_CONTROL]);
        for size in [0, 1, 2047, 2048, slots, good.len() - 1] {
            println!("cut to {size}");
            world.index("smtproutes", &good[..size]);
            delivery().run().assert_reports(&[NO_CONTROL]);
        }
    });
}

#[test]
fn an_index_of_another_list_is_read_as_what_it_is_called() {
    in_world(|world| {
        route_to_held(world);
        world.index("smtproutes", index(world, &[("example.test", "/etc/ssl/ca|HIGH")]));
        let relay = "the relay is neither a host name nor an address";
        delivery().run().assert_reports(&[problem("smtproutes.cdb", relay)]);
    });
}

/// Deliveries while another thread changes what they read: each ends with one of these reports, and each of these
/// reports was seen.
fn deliver_while(change: impl Fn(usize) + Sync, always: &[String], sometimes: &[String]) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..).take_while(|_| !over.load(Ordering::Relaxed)).for_each(&change));
        let mut missing = always.to_vec();
        for run in 0.. {
            let outcome = delivery().run();
            let mut possible = always.iter().chain(sometimes);
            let seen = possible.find(|report| outcome.stdout == format!("{report}\0").into_bytes());
            // Stops the other thread, too.
            over.store(seen.is_none() || missing.is_empty() && run >= 50, Ordering::Relaxed);
            let seen = seen.unwrap_or_else(|| panic!("{}", outcome.stdout.escape_ascii()));
            missing.retain(|report| report != seen);
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
    });
}

const PORT: &str = "the port is not a number from 1 to 65535";
const DOMAIN: &str = "the sender's domain is not a domain";

/// The line for the delivery behind so many others, and the report that it leads to.
fn text(lines: usize, filler: &str) -> (Vec<u8>, String) {
    let text = format!("{}192.0.2.10:;x\n", format!("{filler}example:\n").repeat(lines));
    (text.into_bytes(), problem(&format!("tlsdestinations, line {}", lines + 1), PORT))
}

/// Two texts that no mixture of them can be taken for.
fn texts() -> [(Vec<u8>, String); 2] {
    [text(3000, &"host.".repeat(20)), text(4001, &"another-host.".repeat(9))]
}

fn indices(world: &World) -> [(Vec<u8>, String); 2] {
    let index = |value, wrong| {
        let records: Vec<_> = (0..2000).map(|_| ("other.test", "")).chain([("192.0.2.10", value)]).collect();
        (index(world, &records), problem("tlsdestinations.cdb", wrong))
    };
    [index(";x", PORT), index("|||.", DOMAIN)]
}

fn rename_into_place(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

/// The file whose changes are watched, and what it is changed between.
fn watched(
    world: &World,
    name: &str,
    contents: [(Vec<u8>, String); 2],
) -> (PathBuf, [Vec<u8>; 2], Vec<String>) {
    route_to_held(world);
    world.control("tlsdestinations", "");
    let path = world.control_directory().join(name);
    let (contents, reports): (Vec<_>, Vec<_>) = contents.into_iter().unzip();
    if name.ends_with(".cdb") {
        world.index("tlsdestinations", &contents[0]);
    } else {
        rename_into_place(&path, &contents[0]);
    }
    (path, contents.try_into().unwrap(), reports)
}

#[test]
fn a_file_that_is_renamed_into_place_is_the_old_one_or_the_new_one() {
    in_world(|world| {
        let files = [("tlsdestinations", texts()), ("tlsdestinations.cdb", indices(world))];
        for (name, contents) in files {
            println!("{name}");
            let (path, contents, reports) = watched(world, name, contents);
            deliver_while(|turn| rename_into_place(&path, &contents[turn % 2]), &reports, &[]);
        }
    });
}

#[test]
fn a_file_that_is_overwritten_is_what_stands_there_at_a_moment_or_a_retry() {
    in_world(|world| {
        // A text is empty for a moment; an index cannot be.
        let files = [
            ("tlsdestinations", texts(), vec![NO_CONTROL.to_owned(), NOT_CONNECTED.to_owned()]),
            ("tlsdestinations.cdb", indices(world), vec![NO_CONTROL.to_owned()]),
        ];
        for (name, contents, halves) in files {
            println!("{name}");
            let (path, contents, reports) = watched(world, name, contents);
            let possible = [reports, halves].concat();
            deliver_while(|turn| fs::write(&path, &contents[turn % 2]).unwrap(), &[], &possible);
        }
    });
}

#[test]
fn a_file_that_comes_and_goes_is_there_or_not() {
    in_world(|world| {
        let (path, [content, _], reports) = watched(world, "tlsdestinations", texts());
        let change = |turn: usize| match turn % 2 {
            0 => fs::remove_file(&path).unwrap(),
            _ => rename_into_place(&path, &content),
        };
        let always = [reports[0].clone(), NOT_CONNECTED.to_owned()];
        // Gone when it was opened, and there again when it was looked for.
        deliver_while(change, &always, &[NO_CONTROL.to_owned()]);
    });
}
