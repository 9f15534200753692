//! `queue/lock/tcpto`: addresses that did not answer lately, in the form that s/qmail's programs share. Monitor only.
//!
//! 32 records of 32 octets: 0 the address family, 4 how often in a row nothing answered, 8 to 11 when that was counted last
//! (seconds, little endian), 16 to 31 the address, that of IPv4 with twelve dots after it. The content is untrusted: whatever
//! stands there, it makes a delivery leave addresses alone for a while at most. A file that is not there, cannot be
//! opened for writing or has another size is no table, and nothing is left alone.
#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::poll::{PollTimeout, poll};
use nix::unistd::getpid;

use super::outcome::Broken;

/// The file's place in qmail's home.
const PLACE: &str = "queue/lock/tcpto";

/// Octets of the file, and of a record.
const SIZE: usize = 1024;
const RECORD: usize = 32;

/// From so many failures on an address is left alone.
const PATIENCE: u8 = 2;
/// No more failures are counted.
const MOST_FAILURES: u8 = 10;
/// Seconds in which a failure counts once, however many deliveries meet it.
const ONCE: u32 = 120;
/// When all records are taken, a failure weighs this many seconds against being forgotten.
const WEIGHT: u64 = 1024;

/// What the attempts of one delivery showed: no address more than once, and no more of either than this.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    unanswered: Vec<IpAddr>,
    answered: Vec<IpAddr>,
}

impl Evidence {
    /// The most that one delivery can say: half of the table.
    pub const MOST: usize = crate::ipc::MOST_UNANSWERED;

    /// Nothing answered at `address`. One time too many, or the same again, is a lie.
    pub(super) fn unanswered(&mut self, address: IpAddr) -> Result<(), Broken> {
        if self.unanswered.len() >= Self::MOST || self.unanswered.contains(&address) {
            return Err(Broken::Lied);
        }
        self.unanswered.push(address);
        Ok(())
    }

    /// A connection stands. A delivery may make many; what does not fit is not told.
    pub(super) fn answered(&mut self, address: IpAddr) {
        if self.answered.len() < Self::MOST && !self.answered.contains(&address) {
            self.answered.push(address);
        }
    }
}

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table([u8; SIZE]);

/// One record, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    failures: u8,
    when: u32,
}

impl Record {
    /// Seconds from the last count to `now`. A time in the future is one long ago: nobody's clock stops mail.
    fn age(self, now: u32) -> u32 {
        now.wrapping_sub(self.when)
    }
}

/// How a record names an address.
type Key = (u8, [u8; 16]);

fn key(address: IpAddr) -> Key {
    let family = |number: libc::c_int| u8::try_from(number).unwrap_or_default();
    match address {
        IpAddr::V4(address) => {
            let mut octets = [b'.'; 16];
            for (place, octet) in octets.iter_mut().zip(address.octets()) {
                *place = octet;
            }
            (family(libc::AF_INET), octets)
        }
        IpAddr::V6(address) => (family(libc::AF_INET6), address.octets()),
    }
}

fn address(key: Key) -> Option<IpAddr> {
    let (_, octets) = key;
    let v4 = octets.first_chunk::<4>().map(|&octets| IpAddr::V4(Ipv4Addr::from(octets)));
    let v6 = IpAddr::V6(Ipv6Addr::from(octets));
    v4.into_iter().chain([v6]).find(|&address| self::key(address) == key)
}

impl Table {
    fn records(&self) -> impl Iterator<Item = (Key, Record)> {
        self.0.chunks_exact(RECORD).filter_map(|record| {
            let when = record.get(8..12)?.first_chunk::<4>()?;
            let octets = record.get(16..)?.first_chunk::<16>()?;
            let key = (*record.first()?, *octets);
            Some((key, Record { failures: *record.get(4)?, when: u32::from_le_bytes(*when) }))
        })
    }

    /// The addresses to leave alone: those that have failed more than once, and not long ago. How long that is differs
    /// from process to process, so that not all of them come back at once.
    fn to_skip(&self, now: u32, process: u32) -> Vec<IpAddr> {
        let long = (process & 31).saturating_add(60).saturating_mul(64);
        let fresh =
            self.records().filter(|(_, record)| record.failures >= PATIENCE && record.age(now) < long);
        fresh.filter_map(|(key, _)| address(key)).collect()
    }

    /// Counts a failure of `address`, and gives the number of the record that has changed.
    fn count(&mut self, address: IpAddr, now: u32) -> Option<usize> {
        let key = key(address);
        let (index, failures) = match self.find(key) {
            Some((_, Record { failures: 1.., when })) if now.wrapping_sub(when) < ONCE => return None,
            Some((index, record)) => (index, record.failures.saturating_add(1).min(MOST_FAILURES)),
            None => (self.place_for_another()?, 1),
        };
        self.set(index, key, Record { failures, when: now })
    }

    /// Forgets the failures of `address`, if there are any, and gives the number of the record that has changed.
    fn clear(&mut self, address: IpAddr) -> Option<usize> {
        let key = key(address);
        let (index, record) = self.find(key).filter(|(_, record)| record.failures > 0)?;
        self.set(index, key, Record { failures: 0, ..record })
    }

    fn find(&self, key: Key) -> Option<(usize, Record)> {
        let mut records = self.records().enumerate();
        records.find_map(|(index, (other, record))| (other == key).then_some((index, record)))
    }

    /// The first free record, which has no time, else the one that failed least and longest ago.
    fn place_for_another(&self) -> Option<usize> {
        let worth = |record: Record| {
            u64::from(record.when).saturating_add(u64::from(record.failures).saturating_mul(WEIGHT))
        };
        self.records().enumerate().min_by_key(|&(_, (_, record))| worth(record)).map(|(index, _)| index)
    }

    fn set(&mut self, index: usize, (family, octets): Key, record: Record) -> Option<usize> {
        let place = self.0.chunks_exact_mut(RECORD).nth(index)?;
        *place.first_mut()? = family;
        *place.get_mut(4)? = record.failures;
        place.get_mut(8..12)?.copy_from_slice(&record.when.to_le_bytes());
        place.get_mut(16..)?.copy_from_slice(&octets);
        Some(index)
    }
}

/// The open file.
#[derive(Debug)]
pub struct Tcpto(File);

impl Tcpto {
    /// The file in qmail's `home`, or none when there is no table to keep.
    pub fn open(home: &Path) -> Option<Tcpto> {
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(flags).open(home.join(PLACE)).ok()?;
        let metadata = file.metadata().ok()?;
        let is_table = metadata.is_file() && metadata.len() == u64::try_from(SIZE).ok()?;
        is_table.then_some(Tcpto(file))
    }

    /// The addresses to leave alone now.
    pub fn to_skip(&self) -> Vec<IpAddr> {
        let table = locked(&self.0, |file| file.try_lock_shared().is_ok(), || self.read());
        let process = u32::try_from(getpid().as_raw()).unwrap_or_default();
        table.map_or(Vec::new(), |table| table.to_skip(now(), process))
    }

    /// Writes down what a delivery showed. When that cannot be done nothing is lost but a hint.
    pub fn update(&self, evidence: &Evidence) {
        self.update_at(evidence, now());
    }

    fn update_at(&self, evidence: &Evidence, now: u32) {
        if *evidence == Evidence::default() {
            return;
        }
        locked(
            &self.0,
            |file| file.try_lock().is_ok(),
            || {
                let mut table = self.read()?;
                for &address in &evidence.unanswered {
                    let changed = table.count(address, now);
                    self.write(&table, changed);
                }
                for &address in &evidence.answered {
                    let changed = table.clear(address);
                    self.write(&table, changed);
                }
                Some(())
            },
        );
    }

    fn read(&self) -> Option<Table> {
        let mut octets = [0; SIZE];
        self.0.read_exact_at(&mut octets, 0).ok()?;
        Some(Table(octets))
    }

    /// Only what has changed: the rest is none of this delivery's business.
    fn write(&self, table: &Table, changed: Option<usize>) {
        let place = changed.and_then(|index| {
            let octets = table.0.chunks_exact(RECORD).nth(index)?;
            Some((octets, u64::try_from(index.checked_mul(RECORD)?).ok()?))
        });
        if let Some((octets, at)) = place {
            let _ = self.0.write_all_at(octets, at);
        }
    }
}

/// Does `work` while `file` is locked (flock(2)); none when the lock is not to be had soon: a stopped process must not stop
/// all deliveries.
fn locked<T>(file: &File, try_lock: impl Fn(&File) -> bool, work: impl FnOnce() -> Option<T>) -> Option<T> {
    const TIMES: usize = 25;
    const PAUSE_MILLISECONDS: u16 = 10;
    for _ in 0..TIMES {
        if try_lock(file) {
            let done = work();
            let _ = file.unlock();
            return done;
        }
        let _ = poll(&mut [], PollTimeout::from(PAUSE_MILLISECONDS));
    }
    None
}

/// Seconds since 1970, as far as they fit a record.
fn now() -> u32 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
