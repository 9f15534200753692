//! `queue/lock/tcpto` as deliveries keep it: records to the octet, and who is left alone for them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use held::{ACCEPTED, Held, Stage, delivery, route_to_held};
use world::dialogue::Silent;
use world::{Delivery, Identity, Needs, Running, Zones, in_world, programs};

const SMTP: &str = "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n";
const QMTP: &str = "ZSorry, I wasn't able to establish an QMTP connection. (#4.4.1)\n";

fn now() -> u32 {
    u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A record as s/qmail writes it.
fn record(address: &str, failures: u8, when: u32) -> Vec<u8> {
    let (family, address) = match address.parse().unwrap() {
        IpAddr::V4(address) => (2, [&address.octets()[..], b"............"].concat()),
        IpAddr::V6(address) => (10, address.octets().to_vec()),
    };
    [&[family, 0, 0, 0, failures, 0, 0, 0][..], &when.to_le_bytes(), &[0; 4], &address].concat()
}

fn write(place: &Path, records: &[Vec<u8>]) {
    let mut octets = records.concat();
    octets.resize(1024, 0);
    fs::write(place, octets).unwrap();
}

/// Whom the file names, and how often; the time of a record must be that of this test, or that which was written.
fn read(place: &Path, written: &[u32]) -> Vec<(String, u8)> {
    let octets = fs::read(place).unwrap();
    assert_eq!(octets.len(), 1024);
    let mut found = Vec::new();
    for octets in octets.chunks(32).filter(|octets| octets.iter().any(|&octet| octet != 0)) {
        let when = u32::from_le_bytes(octets[8..12].try_into().unwrap());
        assert!(now().wrapping_sub(when) < 300 || written.contains(&when), "{when}");
        let address = match octets[0] {
            2 => IpAddr::from(<[u8; 4]>::try_from(&octets[16..20]).unwrap()),
            _ => IpAddr::from(<[u8; 16]>::try_from(&octets[16..32]).unwrap()),
        };
        // Nothing but what s/qmail writes stands in it.
        assert_eq!(octets, record(&address.to_string(), octets[4], when));
        found.push((address.to_string(), octets[4]));
    }
    found
}

fn named(address: &str, failures: u8) -> (String, u8) {
    (address.to_owned(), failures)
}

#[test]
fn refusals_count_once_in_two_minutes_and_a_connection_clears_them() {
    in_world(|world| {
        let place = world.tcpto();
        route_to_held(world);
        delivery().run().assert_reports(&[SMTP]);
        assert_eq!(read(&place, &[]), [named("192.0.2.10", 1)]);
        let first = fs::read(&place).unwrap();
        delivery().run().assert_reports(&[SMTP]);
        assert_eq!(fs::read(&place).unwrap(), first, "too soon to count");
        for (before, after) in [(1, 2), (9, 10), (10, 10)] {
            // Long enough ago that it counts, and that the address is tried again.
            write(&place, &[record("192.0.2.10", before, now() - 100 * 64)]);
            delivery().run().assert_reports(&[SMTP]);
            assert_eq!(read(&place, &[]), [named("192.0.2.10", after)]);
        }
        let long_ago = now() - 100 * 64;
        let others = [record("192.0.2.77", 5, long_ago), record("192.0.2.10", 7, long_ago)];
        write(&place, &others);
        let held = Held::at(Stage::EndOfData);
        held.go_on();
        delivery().run().assert_reports(&ACCEPTED);
        assert_eq!(read(&place, &[long_ago]), [named("192.0.2.77", 5), named("192.0.2.10", 0)]);
    });
}

#[test]
fn an_ipv4_address_in_the_form_of_ipv6_is_the_same_address() {
    in_world(|world| {
        let place = world.tcpto();
        world.control("me", "client.example.test\n");
        let deliver = || {
            let delivery = Delivery::new(held::PROGRAM).identity(Identity::Qmailr);
            delivery.host("[IPv6:::ffff:192.0.2.10]").sender("a@b.test").recipient("c@d.test").run()
        };
        deliver().assert_reports(&[SMTP]);
        assert_eq!(read(&place, &[]), [named("192.0.2.10", 1)]);
        write(&place, &[record("192.0.2.10", 2, now())]);
        let listener = TcpListener::bind("192.0.2.10:25").unwrap();
        listener.set_nonblocking(true).unwrap();
        deliver().assert_reports(&[SMTP]);
        assert!(listener.accept().is_err(), "it was to be left alone");
    });
}

#[test]
fn an_attempt_that_times_out_counts() {
    in_world(|world| {
        let place = world.tcpto();
        route_to_held(world);
        world.control("timeoutconnect", "1\n");
        let _silent = Silent::listen("192.0.2.10:25".parse().unwrap()).unwrap();
        delivery().run().assert_reports(&[SMTP]);
        assert_eq!(read(&place, &[]), [named("192.0.2.10", 1)]);
    });
}

/// The manual page: the kernel may give up first.
#[test]
fn an_attempt_that_the_kernel_gives_up_counts() {
    in_world(|world| {
        let place = world.tcpto();
        route_to_held(world);
        // Waiting for that would take longer than any test may.
        world.control("timeoutconnect", "1200\n");
        fs::write("/proc/sys/net/ipv4/tcp_syn_retries", "1").unwrap();
        let _silent = Silent::listen("192.0.2.10:25".parse().unwrap()).unwrap();
        delivery().run().assert_reports(&[SMTP]);
        assert_eq!(read(&place, &[]), [named("192.0.2.10", 1)]);
    });
}

#[test]
fn an_attempt_that_was_overtaken_does_not_count() {
    in_world(|world| {
        world.require(Needs::Ipv6);
        let place = world.tcpto();
        world.control("me", "client.example.test\n");
        let zone = "@ MX 10 mx1\nmx1 AAAA 2001:db8::10\nmx1 A 192.0.2.10\n";
        let _dns = world.dns(&Zones::new().insecure("example.test", zone));
        let _silent = Silent::listen("[2001:db8::10]:25".parse().unwrap()).unwrap();
        let held = Held::at(Stage::EndOfData);
        held.go_on();
        delivery().run().assert_reports(&ACCEPTED);
        assert_eq!(read(&place, &[]), []);
    });
}

#[test]
fn who_failed_twice_is_left_alone_and_the_next_exchanger_is_tried() {
    in_world(|world| {
        let place = world.tcpto();
        world.control("me", "client.example.test\n");
        let zone = "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.9\nmx2 A 192.0.2.10\n";
        let _dns = world.dns(&Zones::new().insecure("example.test", zone));
        let best = TcpListener::bind("192.0.2.9:25").unwrap();
        best.set_nonblocking(true).unwrap();
        let nobody_came = || best.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        write(&place, &[record("192.0.2.9", 2, now())]);
        let held = Held::at(Stage::EndOfData);
        held.go_on();
        delivery().run().assert_reports(&ACCEPTED);
        assert!(nobody_came());
        // All of them, by MX and by a route, for both protocols.
        let both = [record("192.0.2.9", 10, now()), record("192.0.2.10", 2, now())];
        write(&place, &both);
        delivery().run().assert_reports(&[SMTP]);
        world.control("smtproutes", ":192.0.2.9\n");
        delivery().run().assert_reports(&[SMTP]);
        fs::remove_file(world.control_directory().join("smtproutes")).unwrap();
        world.control("qmtproutes", ":192.0.2.9;25\n");
        delivery().run().assert_reports(&[QMTP]);
        assert!(nobody_came());
        assert_eq!(read(&place, &[]), [named("192.0.2.9", 10), named("192.0.2.10", 2)], "nothing was tried");
    });
}

#[test]
fn one_failure_or_an_old_one_or_one_in_the_future_keeps_nobody_away() {
    in_world(|world| {
        let place = world.tcpto();
        route_to_held(world);
        for (failures, when) in [(1, now()), (10, now() - 91 * 64 - 1), (10, now() + 1000), (0, now())] {
            write(&place, &[record("192.0.2.10", failures, when)]);
            let held = Held::at(Stage::EndOfData);
            held.go_on();
            delivery().run().assert_reports(&ACCEPTED);
            assert_eq!(read(&place, &[when]), [named("192.0.2.10", 0)]);
        }
    });
}

#[test]
fn a_file_that_is_no_table_is_left_as_it_is() {
    in_world(|world| {
        let place = world.tcpto();
        route_to_held(world);
        let both = |is_kept: &dyn Fn()| {
            let held = Held::at(Stage::EndOfData);
            held.go_on();
            delivery().run().assert_reports(&ACCEPTED);
            is_kept();
            delivery().run().assert_reports(&[SMTP]);
            is_kept();
        };
        let left_alone = record("192.0.2.10", 2, now());
        for size in [0, 1, 32, 1023, 1025, 2048] {
            let mut content = left_alone.repeat(64);
            content.truncate(size);
            fs::write(&place, &content).unwrap();
            both(&|| assert_eq!(fs::read(&place).unwrap(), content));
        }
        if world.can(Needs::ManyUids) {
            write(&place, std::slice::from_ref(&left_alone));
            fs::set_permissions(&place, fs::Permissions::from_mode(0o444)).unwrap();
            both(&|| assert_eq!(fs::read(&place).unwrap()[..32], left_alone));
        }
        fs::remove_file(&place).unwrap();
        both(&|| assert!(!place.exists()));
        fs::create_dir(&place).unwrap();
        both(&|| assert!(place.is_dir()));
    });
}

#[test]
fn a_link_to_a_table_is_no_table() {
    in_world(|world| {
        let place = world.tcpto();
        route_to_held(world);
        let elsewhere = place.with_file_name("elsewhere");
        let left_alone = [record("192.0.2.10", 2, now())];
        write(&place, &left_alone);
        // What is moved away keeps its owner: it would be a table in its place.
        fs::rename(&place, &elsewhere).unwrap();
        symlink(&elsewhere, &place).unwrap();
        let held = Held::at(Stage::EndOfData);
        held.go_on();
        delivery().run().assert_reports(&ACCEPTED);
        assert_eq!(read(&elsewhere, &[]), [named("192.0.2.10", 2)]);
        delivery().run().assert_reports(&[SMTP]);
        assert_eq!(read(&elsewhere, &[]), [named("192.0.2.10", 2)]);
        fs::remove_file(&place).unwrap();
        fs::rename(&elsewhere, &place).unwrap();
        let _nobody_comes = TcpListener::bind("192.0.2.10:25").unwrap();
        delivery().run().assert_reports(&[SMTP]);
    });
}

#[test]
fn a_pipe_in_the_place_of_the_table_is_neither_waited_for_nor_read() {
    in_world(|world| {
        let place = world.tcpto();
        route_to_held(world);
        fs::remove_file(&place).unwrap();
        nix::unistd::mkfifo(&place, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o666)).unwrap();
        let deliver = || {
            let held = Held::at(Stage::EndOfData);
            held.go_on();
            delivery().run().assert_reports(&ACCEPTED);
        };
        // With nobody at the other end, and with a whole table in it.
        deliver();
        let mut feed = fs::File::options().read(true).write(true).open(&place).unwrap();
        let mut table = record("192.0.2.10", 2, now());
        table.resize(1024, 0);
        feed.write_all(&table).unwrap();
        deliver();
        let mut rest = vec![0; 1024];
        feed.read_exact(&mut rest).unwrap();
        assert_eq!(rest, table);
    });
}

/// Who holds a lease (fcntl(2)) is asked to give it up before another may open the file, which waits as long as that
/// takes: unless it was opened not to wait.
const HOLDS_A_LEASE: &str = r#"
    $SIG{IO} = "IGNORE";
    open(my $file, "<", $ARGV[0]) or die "open: $!";
    # F_SETLEASE, F_RDLCK.
    fcntl($file, 1024, 0) or die "lease: $!";
    $| = 1;
    print "held\n";
    <STDIN>;
"#;

#[test]
fn a_table_that_somebody_has_a_lease_on_is_not_waited_for() {
    in_world(|world| {
        world.require(Needs::Program("perl"));
        let place = world.tcpto();
        route_to_held(world);
        // Only the owner of a file gets a lease.
        fs::remove_file(&place).unwrap();
        write(&place, &[record("192.0.2.10", 2, now())]);
        fs::set_permissions(&place, fs::Permissions::from_mode(0o666)).unwrap();
        let mut perl = programs::command("perl");
        perl.args(["-e", HOLDS_A_LEASE]).arg(&place).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = perl.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "held\n");
        // No table: the address is tried. Whoever waits for the lease to be broken by force finds it left alone.
        let held = Held::at(Stage::EndOfData);
        held.go_on();
        delivery().run().assert_reports(&ACCEPTED);
        drop(holder.stdin.take());
        assert!(holder.wait().unwrap().success());
        assert_eq!(read(&place, &[]), [named("192.0.2.10", 2)]);
        delivery().run().assert_reports(&[SMTP]);
    });
}

#[test]
fn junk_stops_no_delivery() {
    in_world(|world| {
        let place = world.tcpto();
        route_to_held(world);
        for pattern in [0xff, 0x02, 0x0a, 0x2e] {
            fs::write(&place, [pattern; 1024]).unwrap();
            let held = Held::at(Stage::EndOfData);
            held.go_on();
            delivery().run().assert_reports(&ACCEPTED);
            delivery().run().assert_reports(&[SMTP]);
            let content = fs::read(&place).unwrap();
            let changed = content.chunks(32).filter(|record| **record != [pattern; 32]).count();
            assert_eq!((content.len(), changed), (1024, 1));
        }
    });
}

#[test]
fn parallel_deliveries_lose_no_record() {
    in_world(|world| {
        let place = world.tcpto();
        world.control("me", "client.example.test\n");
        let running: Vec<Running> = (1..=12)
            .map(|octet| {
                let delivery = Delivery::new(held::PROGRAM).identity(Identity::Qmailr);
                delivery.host(format!("[192.0.2.{octet}]")).sender("a@b.test").recipient("c@d.test").start()
            })
            .collect();
        for running in running {
            running.wait().assert_reports(&[SMTP]);
        }
        let mut found = read(&place, &[]);
        found.sort();
        let mut expected: Vec<_> = (1..=12).map(|octet| named(&format!("192.0.2.{octet}"), 1)).collect();
        expected.sort();
        assert_eq!(found, expected);
    });
}

#[test]
fn a_lock_that_somebody_keeps_stops_no_delivery() {
    in_world(|world| {
        let place = world.tcpto();
        route_to_held(world);
        write(&place, &[record("192.0.2.10", 2, now())]);
        let before = fs::read(&place).unwrap();
        let keeper = fs::File::open(&place).unwrap();
        keeper.lock().unwrap();
        let held = Held::at(Stage::EndOfData);
        held.go_on();
        delivery().run().assert_reports(&ACCEPTED);
        delivery().run().assert_reports(&[SMTP]);
        assert_eq!(fs::read(&place).unwrap(), before);
        keeper.unlock().unwrap();
        let best = TcpListener::bind("192.0.2.10:25").unwrap();
        best.set_nonblocking(true).unwrap();
        delivery().run().assert_reports(&[SMTP]);
        assert!(best.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    });
}

#[test]
fn one_delivery_writes_half_of_the_table_at_most() {
    in_world(|world| {
        let place = world.tcpto();
        world.control("me", "client.example.test\n");
        let mut zone = String::new();
        for number in 1..=20 {
            zone += &format!("@ MX {number} mx{number}\nmx{number} A 192.0.2.{number}\n");
        }
        let _dns = world.dns(&Zones::new().insecure("example.test", &zone));
        delivery().run().assert_reports(&[SMTP]);
        let expected: Vec<_> = (1..=16).map(|octet| named(&format!("192.0.2.{octet}"), 1)).collect();
        assert_eq!(read(&place, &[]), expected);
    });
}

#[test]
fn the_monitor_alone_has_the_file() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        let place = world.tcpto();
        route_to_held(world);
        for identity in [Identity::Root, Identity::Qmailr] {
            let held = Held::at(Stage::Ehlo);
            let running = delivery().identity(identity).start();
            held.wait_until_reached();
            let has_it = |process: nix::unistd::Pid| {
                let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
                let targets = descriptors.map(|entry| fs::read_link(entry.unwrap().path()).unwrap());
                targets.filter(|target| *target == place).count()
            };
            assert_eq!([running.pid(), running.child_pid()].map(has_it), [1, 0], "{identity:?}");
            held.go_on();
            running.wait().assert_reports(&ACCEPTED);
        }
    });
}

#[test]
fn a_probe_neither_asks_nor_tells() {
    in_world(|world| {
        let place = world.tcpto();
        route_to_held(world);
        let _dns = world.dns(&Zones::new().insecure("example.test", "@ A 192.0.2.10\n"));
        write(&place, &[record("192.0.2.10", 2, now())]);
        let before = fs::read(&place).unwrap();
        let held = Held::at(Stage::Ehlo);
        let tool = env!("CARGO_BIN_EXE_qmail-remote-check");
        let mut probe = std::process::Command::new(tool).args(["probe", "example.test"]).spawn().unwrap();
        held.wait_until_reached();
        held.go_on();
        probe.wait().unwrap();
        assert_eq!(fs::read(&place).unwrap(), before);
    });
}
