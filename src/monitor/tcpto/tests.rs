use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Barrier};

use super::*;

const NOW: u32 = 1_800_000_000;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn empty() -> Table {
    Table([0; SIZE])
}

/// A record as s/qmail writes it, octet by octet.
fn record(family: u8, failures: u8, when: u32, address: &[u8; 16]) -> Vec<u8> {
    [&[family, 0, 0, 0, failures, 0, 0, 0][..], &when.to_le_bytes(), &[0; 4], address].concat()
}

fn table_of(records: &[Vec<u8>]) -> Table {
    let mut octets = records.concat();
    octets.resize(SIZE, 0);
    Table(octets.try_into().unwrap())
}

#[test]
fn records_are_those_of_s_qmail_to_the_octet() {
    let mut table = empty();
    assert_eq!(table.count(ip("192.0.2.10"), 0x0403_0201), Some(0));
    assert_eq!(table.count(ip("2001:db8::10"), 0x6947_0000), Some(1));
    assert_eq!(table.count(ip("192.0.2.10"), 0x0403_0201 + 120), Some(0));
    let v6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
    let v4 = *b"\xc0\x00\x02\x0a............";
    assert_eq!(v6, "2001:db8::10".parse::<Ipv6Addr>().unwrap().octets());
    let expected = table_of(&[record(2, 2, 0x0403_0201 + 120, &v4), record(10, 1, 0x6947_0000, &v6)]);
    assert_eq!(table.0.escape_ascii().to_string(), expected.0.escape_ascii().to_string());
}

#[test]
fn an_address_is_left_alone_after_two_failures_for_a_time_that_depends_on_the_process() {
    let v4 = *b"\xc0\x00\x02\x0a............";
    let skipped = |failures, age: u32, process| {
        let table = table_of(&[record(2, failures, NOW.wrapping_sub(age), &v4)]);
        table.to_skip(NOW, process) == [ip("192.0.2.10")]
    };
    for (failures, age, process, expected) in [
        (1, 0, 0, false),
        (2, 0, 0, true),
        (2, 60 * 64 - 1, 0, true),
        (2, 60 * 64, 0, false),
        (2, 60 * 64, 32, false),
        (2, 91 * 64 - 1, 31, true),
        (2, 91 * 64, 31, false),
        (10, 91 * 64 - 1, 63, true),
        (255, 0, 0, true),
    ] {
        assert_eq!(skipped(failures, age, process), expected, "{failures} {age} {process}");
    }
    for future in [1, 120, 1_000_000, u32::MAX / 2] {
        assert!(!skipped(10, 0u32.wrapping_sub(future), 31), "{future} seconds from now");
    }
}

#[test]
fn failures_count_once_in_120_seconds_up_to_ten_and_a_success_clears_them() {
    let mut table = empty();
    let address = ip("192.0.2.10");
    let failures = |table: &Table| table.records().next().map(|(_, record)| (record.failures, record.when));
    assert_eq!(table.clear(address), None, "nothing to clear, and no record made");
    assert_eq!(table, empty());
    let mut now = NOW;
    for count in 1..=12u8 {
        assert_eq!(table.count(address, now), Some(0));
        assert_eq!(failures(&table), Some((count.min(10), now)));
        assert_eq!(table.count(address, now + 119), None, "too soon");
        assert_eq!(failures(&table), Some((count.min(10), now)));
        now += 120;
    }
    assert_eq!(table.clear(address), Some(0));
    assert_eq!(failures(&table), Some((0, now - 120)), "the rest stays");
    assert_eq!(table.clear(address), None, "cleared already");
    // A cleared record counts at once.
    assert_eq!(table.count(address, now - 119), Some(0));
    assert_eq!(failures(&table), Some((1, now - 119)));
    // A time in the future is one long ago.
    assert_eq!(table.count(address, now - 1000), Some(0));
    assert_eq!(failures(&table), Some((2, now - 1000)));
}

#[test]
fn the_least_and_oldest_failure_makes_room() {
    let address = |octet: u8| IpAddr::V4(Ipv4Addr::new(192, 0, 2, octet));
    let mut table = empty();
    for octet in 0..32u8 {
        assert_eq!(table.count(address(octet), NOW + u32::from(octet)), Some(octet.into()));
    }
    // The first weighs more now: the second goes.
    assert_eq!(table.count(address(0), NOW + 200), Some(0));
    assert_eq!(table.count(address(100), NOW + 300), Some(1));
    assert!(table.find(key(address(1))).is_none() && table.find(key(address(0))).is_some());
    // One more failure weighs as much as 1024 seconds.
    let mut table = empty();
    for octet in 0..32u8 {
        table.count(address(octet), NOW);
    }
    table.count(address(7), NOW + 120);
    for octet in (0..32u8).filter(|&octet| octet != 7) {
        table.count(address(octet), NOW);
        let index = table.find(key(address(octet))).unwrap().0;
        table.set(index, key(address(octet)), Record { failures: 1, when: NOW + 120 + 1023 });
    }
    assert_eq!(table.count(address(200), NOW + 2000), Some(0), "2 at 120 weigh more than 1 at 1143");
    // A record without failures weighs its time alone.
    table.clear(address(7));
    assert_eq!(table.count(address(201), NOW + 2000), Some(7));
    table.clear(address(9));
    table.set(3, key(address(3)), Record { failures: 1, when: NOW });
    assert_eq!(table.count(address(202), NOW + 2000), Some(3), "1 at 0 weighs less than 0 at 1143");
    assert_eq!(table.count(address(203), NOW + 2000), Some(9));
}

#[test]
fn junk_names_no_address_and_breaks_nothing() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..2000 {
        let mut octets = [0; SIZE];
        for octet in &mut octets {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *octet = state.to_le_bytes()[3];
        }
        let mut table = Table(octets);
        assert!(table.to_skip(NOW, 31).len() <= 32);
        let address = ip("192.0.2.10");
        let changed = table.count(address, NOW).unwrap();
        let before: Vec<_> = octets.chunks(RECORD).collect();
        for (index, record) in table.0.chunks(RECORD).enumerate() {
            assert_eq!(record == before[index], index != changed, "record {index}");
        }
        assert_eq!(table.clear(address), Some(changed));
    }
    let skipped = |family, address: &[u8; 16]| table_of(&[record(family, 9, NOW, address)]).to_skip(NOW, 0);
    assert_eq!(skipped(2, b"\xc0\x00\x02\x0a\0\0\0\0\0\0\0\0\0\0\0\0"), [] as [IpAddr; 0], "no dots");
    assert_eq!(skipped(2, b"\xc0\x00\x02\x0a............"), [ip("192.0.2.10")]);
    for family in [0, 1, 3, 11, 255] {
        assert_eq!(skipped(family, b"\xc0\x00\x02\x0a............"), [] as [IpAddr; 0], "{family}");
    }
    assert_eq!(skipped(10, &[0xff; 16]), [IpAddr::V6(Ipv6Addr::from([0xff; 16]))]);
}

struct Home(tempfile::TempDir);

impl Home {
    fn with(content: &[u8]) -> Home {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("queue/lock")).unwrap();
        std::fs::write(home.path().join(PLACE), content).unwrap();
        Home(home)
    }

    fn open(&self) -> Option<Tcpto> {
        Tcpto::open(self.0.path())
    }

    fn table(&self) -> Table {
        Table(std::fs::read(self.0.path().join(PLACE)).unwrap().try_into().unwrap())
    }
}

fn evidence(unanswered: &[&str], answered: &[&str]) -> Evidence {
    let parse = |list: &[&str]| list.iter().map(|text| ip(text)).collect();
    Evidence { unanswered: parse(unanswered), answered: parse(answered) }
}

#[test]
fn one_delivery_is_believed_of_half_the_table_of_either_kind() {
    let mut evidence = Evidence::default();
    let addresses: Vec<_> = (1..=17).map(|number| ip(&format!("192.0.2.{number}"))).collect();
    for &address in &addresses {
        evidence.answered(address);
        evidence.answered(address);
    }
    assert_eq!(evidence.answered, addresses[..16]);
    let said: Vec<_> = addresses.iter().map(|&address| evidence.unanswered(address)).collect();
    assert_eq!(said.iter().position(|said| *said == Err(Broken::Lied)), Some(16));
    assert_eq!(evidence.unanswered, addresses[..16]);
    let mut evidence = Evidence::default();
    assert_eq!(evidence.unanswered(addresses[0]), Ok(()));
    assert_eq!(evidence.unanswered(addresses[0]), Err(Broken::Lied));
}

#[test]
fn a_file_of_another_size_or_kind_is_no_table() {
    for size in [0, 1, 1023, 1025, 2048] {
        assert!(Home::with(&vec![0; size]).open().is_none(), "{size}");
    }
    let home = Home::with(&[0; SIZE]);
    assert!(home.open().is_some());
    let place = home.0.path().join(PLACE);
    std::fs::rename(&place, home.0.path().join("elsewhere")).unwrap();
    assert!(home.open().is_none(), "missing");
    std::os::unix::fs::symlink(home.0.path().join("elsewhere"), &place).unwrap();
    assert!(home.open().is_none(), "a link");
    std::fs::remove_file(&place).unwrap();
    nix::unistd::mkfifo(&place, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(home.open().is_none(), "a fifo");
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    assert!(home.open().is_none(), "a directory");
    let home = Home::with(&[0; SIZE]);
    let read_only = std::fs::Permissions::from_mode(0o444);
    std::fs::set_permissions(home.0.path().join(PLACE), read_only).unwrap();
    // Root may write to it all the same.
    assert_eq!(home.open().is_some(), nix::unistd::Uid::effective().is_root());
}

#[test]
fn evidence_is_written_down_and_read_again() {
    let home = Home::with(&[0; SIZE]);
    let table = home.open().unwrap();
    table.update(&evidence(&["192.0.2.1", "2001:db8::1"], &[]));
    assert_eq!(table.to_skip(), [] as [IpAddr; 0], "once is nothing");
    table.update_at(&evidence(&["192.0.2.1", "2001:db8::1"], &[]), now() + 120);
    // Counted in the future: as long ago.
    assert_eq!(table.to_skip(), [] as [IpAddr; 0]);
    let home = Home::with(&[0; SIZE]);
    let table = home.open().unwrap();
    table.update_at(&evidence(&["192.0.2.1", "2001:db8::1"], &[]), now() - 200);
    table.update_at(&evidence(&["192.0.2.1", "2001:db8::1"], &[]), now() - 80);
    assert_eq!(table.to_skip(), [ip("192.0.2.1"), ip("2001:db8::1")]);
    table.update(&evidence(&[], &["192.0.2.1", "192.0.2.2"]));
    assert_eq!(table.to_skip(), [ip("2001:db8::1")]);
    assert_eq!(home.table().records().filter(|(_, record)| record.failures > 0).count(), 1);
}

#[test]
fn a_file_that_is_cut_meanwhile_is_left_as_it_is() {
    let home = Home::with(&[0; SIZE]);
    let table = home.open().unwrap();
    File::options().write(true).open(home.0.path().join(PLACE)).unwrap().set_len(1000).unwrap();
    table.update(&evidence(&["192.0.2.1"], &[]));
    assert_eq!(std::fs::read(home.0.path().join(PLACE)).unwrap(), [0; 1000]);
    assert_eq!(table.to_skip(), [] as [IpAddr; 0]);
}

#[test]
fn who_holds_the_lock_for_ever_holds_nobody_up() {
    let home = Home::with(&[0; SIZE]);
    let holder = File::open(home.0.path().join(PLACE)).unwrap();
    holder.lock().unwrap();
    let table = home.open().unwrap();
    table.update(&evidence(&["192.0.2.1"], &[]));
    assert_eq!(home.table(), empty());
    let tries = Cell::new(0);
    let count = |_: &File| {
        tries.set(tries.get() + 1);
        false
    };
    assert_eq!(locked(&holder, count, || Some(())), None);
    assert_eq!(tries.get(), 25);
    holder.unlock().unwrap();
    table.update(&evidence(&["192.0.2.1"], &[]));
    assert_ne!(home.table(), empty());
}

#[test]
fn parallel_writers_lose_nothing() {
    const WRITERS: u8 = 4;
    const EACH: u8 = 8;
    // One look at an empty table by two writers at a time would be enough, and is a matter of chance.
    for _ in 0..20 {
        let home = Home::with(&[0; SIZE]);
        let barrier = Arc::new(Barrier::new(WRITERS.into()));
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (barrier, table) = (barrier.clone(), home.open().unwrap());
                scope.spawn(move || {
                    barrier.wait();
                    for each in 0..EACH {
                        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, writer * EACH + each));
                        let evidence = Evidence { unanswered: vec![address], answered: Vec::new() };
                        // The lock is waited for only so long: as often as it takes.
                        while table.read().unwrap().find(key(address)).is_none() {
                            table.update(&evidence);
                        }
                    }
                });
            }
        });
        let mut seen: Vec<_> = home.table().records().map(|(key, record)| (key, record.failures)).collect();
        seen.sort();
        let all = (0..WRITERS * EACH).map(|octet| (key(IpAddr::V4(Ipv4Addr::new(192, 0, 2, octet))), 1));
        assert_eq!(seen, all.collect::<Vec<_>>());
    }
}
