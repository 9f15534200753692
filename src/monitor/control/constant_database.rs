//! djb's constant database, as far as a look-up reads it. Monitor only.
//!
//! The file is the administrator's, and may be damaged, cut or replaced while it is read: every read is bounded and by
//! place, nothing is mapped, and whatever lies outside the file is an error. What was read is wiped.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::lines::{LONGEST_LINE, Memory, Plain};

/// Two numbers, little endian: place and count of a table, hash and place of a record, lengths of key and value.
type Pair = [u8; 8];

/// The length of the header: a pair for each of 256 tables.
const HEADER: u64 = 2048;

/// What a disk writes at once, in octets; it divides every page.
const SECTOR: usize = 512;

/// How many slots have room in that.
const SLOTS: usize = SECTOR / size_of::<Pair>();

/// An open database.
pub(super) struct Database<'a> {
    file: &'a File,
    tables: [Pair; 256],
}

impl Database<'_> {
    /// Reads the header. A file of zeros, as a crash leaves it, would have no entries; a real one names a place behind
    /// its header for each table, empty ones too.
    pub(super) fn new(file: &File) -> io::Result<Database<'_>> {
        let mut tables = [[0; 8]; 256];
        file.read_exact_at(tables.as_flattened_mut(), 0)?;
        let size = file.metadata()?.len();
        let inside = |table: &Pair| {
            let (place, slots) = numbers(*table);
            place >= HEADER && after(place, slots) <= size
        };
        if tables.iter().all(inside) { Ok(Database { file, tables }) } else { Err(damaged()) }
    }

    /// Calls `visit` with each value of `key`, in the order in which they were written.
    pub(super) fn each<M: Memory>(&self, key: &[u8], mut visit: impl FnMut(M)) -> io::Result<()> {
        let hash = hash(key);
        let [table, ..] = hash.to_le_bytes();
        let (place, slots) =
            self.tables.get(usize::from(table)).map(|table| numbers(*table)).unwrap_or_default();
        let first = u64::from(hash >> 8);
        for probe in 0..slots {
            let slot = first.saturating_add(probe).checked_rem(slots).unwrap_or_default();
            let (found, record) = self.pair(after(place, slot))?;
            if record == 0 {
                return self.check_empty(after(place, slot), place, slots);
            }
            if found == u64::from(hash)
                && let Some(value) = self.value(record, key, hash)?
            {
                visit(value);
            }
        }
        Ok(())
    }

    /// Whoever finds a key's slot empty must be able to believe it: octets that a crash or a bad disk has wiped are no empty
    /// slots. A sector of a large table has hardly ever zeros alone, because half of a table's slots lead to records; where
    /// it has, by many records of one key that stand side by side elsewhere, and in small tables, those are counted.
    fn check_empty(&self, slot: u64, table: u64, slots: u64) -> io::Result<()> {
        let mut sector = [0; SECTOR];
        let is_large = slots > SLOTS as u64;
        if is_large {
            let inside = slot.checked_rem(SECTOR as u64).unwrap_or_default();
            self.file.read_at(&mut sector, slot.saturating_sub(inside))?;
        }
        let is_whole = sector != [0; SECTOR] || self.used(table, slots)?.saturating_mul(2) == slots;
        if is_whole { Ok(()) } else { Err(damaged()) }
    }

    /// How many slots of a table lead to records.
    fn used(&self, table: u64, slots: u64) -> io::Result<u64> {
        let mut used = 0u64;
        for first in (0..slots).step_by(SLOTS) {
            let mut piece = [[0; 8]; SLOTS];
            let count = usize::try_from(slots.saturating_sub(first)).unwrap_or(usize::MAX).min(piece.len());
            let piece = piece.get_mut(..count).unwrap_or_default();
            self.file.read_exact_at(piece.as_flattened_mut(), after(table, first))?;
            let full = piece.iter().filter(|pair| numbers(**pair).1 != 0).count();
            used = used.saturating_add(u64::try_from(full).unwrap_or_default());
        }
        Ok(used)
    }

    /// The value of the record at `place`, when it has this key. Its slot says that it has this hash.
    fn value<M: Memory>(&self, place: u64, key: &[u8], hash_of_slot: u32) -> io::Result<Option<M>> {
        let (key_length, value_length) = self.pair(place)?;
        let place = after(place, 1);
        let found: Plain = self.octets(place, key_length)?;
        if hash(&found) != hash_of_slot {
            return Err(damaged());
        }
        if **found != *key {
            return Ok(None);
        }
        self.octets(place.saturating_add(key_length), value_length).map(Some)
    }

    /// Walks over everything: records fill the space from the header to the first table, as many as slots lead to, every
    /// slot leads to a record with its hash, and half of a table's slots are in use.
    pub(super) fn check(&self) -> io::Result<()> {
        let mut left = 0u64;
        let tables = self.tables.iter().map(|table| numbers(*table).0).min().unwrap_or_default();
        let mut place = HEADER;
        while place < tables {
            let (key_length, value_length) = self.pair(place)?;
            place = after(place, 1).saturating_add(key_length).saturating_add(value_length);
            left = left.saturating_add(1);
        }
        if place != tables {
            return Err(damaged());
        }
        for (number, table) in self.tables.iter().enumerate() {
            let (place, slots) = numbers(*table);
            let mut used = 0u64;
            for slot in 0..slots {
                let (hash, record) = self.pair(after(place, slot))?;
                if (hash, record) != (0, 0) {
                    let hash = u32::try_from(hash).map_err(|_| damaged())?;
                    let [own, ..] = hash.to_le_bytes();
                    if usize::from(own) != number {
                        return Err(damaged());
                    }
                    self.value::<Plain>(record, b"", hash)?;
                    used = used.saturating_add(1);
                }
            }
            if used.saturating_mul(2) != slots {
                return Err(damaged());
            }
            left = left.checked_sub(used).ok_or_else(damaged)?;
        }
        if left == 0 { Ok(()) } else { Err(damaged()) }
    }

    fn pair(&self, place: u64) -> io::Result<(u64, u64)> {
        let mut pair = [0; 8];
        self.file.read_exact_at(&mut pair, place)?;
        Ok(numbers(pair))
    }

    /// Nothing in a list is longer than a line.
    fn octets<M: Memory>(&self, place: u64, length: u64) -> io::Result<M> {
        let length = usize::try_from(length).ok().filter(|&length| length <= LONGEST_LINE);
        let mut octets = M::zeroed(length.ok_or_else(damaged)?)?;
        self.file.read_exact_at(octets.as_mut(), place)?;
        Ok(octets)
    }
}

fn numbers([a, b, c, d, e, f, g, h]: Pair) -> (u64, u64) {
    let number = |octets| u64::from(u32::from_le_bytes(octets));
    (number([a, b, c, d]), number([e, f, g, h]))
}

/// The place behind `count` pairs from `place`.
fn after(place: u64, count: u64) -> u64 {
    count.saturating_mul(8).saturating_add(place)
}

fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, octet| hash.wrapping_mul(33) ^ u32::from(*octet))
}

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
