//! djb's constant database, as far as a look-up reads it. Monitor only.
//!
//! The file is the administrator's, and may be damaged, cut or replaced while it is read: every read is bounded and by
//! place, nothing is mapped, and whatever lies outside the file is an error. What was read is wiped.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memchr;
use zeroize::Zeroizing;

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
        let mut last_place = 0;
        for probe in 0..slots {
            let slot = first.saturating_add(probe).checked_rem(slots).unwrap_or_default();
            let (found, record) = self.pair(after(place, slot))?;
            if record == 0 {
                return self.check_empty(after(place, slot), place, slots);
            }
            if found == u64::from(hash) {
                // Records are put into their table as they were written: one that comes again has lost a part of its place.
                if record <= last_place {
                    return Err(damaged());
                }
                last_place = record;
                if let Some(value) = self.value(record, key, found)? {
                    visit(value);
                }
            } else if sectors(after(place, slot)).count() > 1 {
                // Half of it may have been wiped: the hash, or a part of the place as well.
                if found == 0 && self.may_be_wiped(after(place, slot))? {
                    return Err(damaged());
                }
                self.key(record, found)?;
            }
        }
        Ok(())
    }

    /// Whoever finds a key's slot empty must be able to believe it: octets that a crash or a bad disk has wiped are no empty
    /// slots. A sector of a large table has hardly ever zeros alone, because half of a table's slots lead to records; where
    /// it has, by many records of one key that stand side by side elsewhere, and in small tables, those are counted.
    fn check_empty(&self, slot: u64, table: u64, slots: u64) -> io::Result<()> {
        let is_large = slots > SLOTS as u64;
        let is_whole =
            is_large && !self.may_be_wiped(slot)? || self.used(table, slots)?.saturating_mul(2) == slots;
        if is_whole { Ok(()) } else { Err(damaged()) }
    }

    /// Whether a sector in which the pair at `place` lies is all zeros.
    fn may_be_wiped(&self, place: u64) -> io::Result<bool> {
        for place in sectors(place) {
            let mut sector = Zeroizing::new([0; SECTOR]);
            self.file.read_at(sector.as_mut(), place)?;
            if *sector == [0; SECTOR] {
                return Ok(true);
            }
        }
        Ok(false)
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
    fn value<M: Memory>(&self, place: u64, key: &[u8], hash_of_slot: u64) -> io::Result<Option<M>> {
        let (found, value, length) = self.key(place, hash_of_slot)?;
        if **found == *key { self.octets(value, length).map(Some) } else { Ok(None) }
    }

    /// The key of the record at `place`, of which its slot says the hash; place and length of the value.
    fn key(&self, place: u64, hash_of_slot: u64) -> io::Result<(Plain, u64, u64)> {
        let (key_length, value_length) = self.pair(place)?;
        // Zeros are a record of the empty key, whose hash then tells nothing.
        if key_length == 0 && self.may_be_wiped(place)? {
            return Err(damaged());
        }
        let place = after(place, 1);
        let key: Plain = self.octets(place, key_length)?;
        if u64::from(hash(&key)) != hash_of_slot {
            return Err(damaged());
        }
        Ok((key, place.saturating_add(key_length), value_length))
    }

    /// Walks over everything: records fill the space from the header to the first table, to each leads one slot, with its
    /// hash, and half of a table's slots are in use.
    pub(super) fn check(&self) -> io::Result<()> {
        let (mut records, mut led_to) = (Vec::new(), Vec::new());
        let tables = self.tables.iter().map(|table| numbers(*table).0).min().unwrap_or_default();
        let mut place = HEADER;
        while place < tables {
            records.push(place);
            let (key_length, value_length) = self.pair(place)?;
            place = after(place, 1).saturating_add(key_length).saturating_add(value_length);
        }
        if place != tables {
            return Err(damaged());
        }
        for (number, table) in self.tables.iter().enumerate() {
            let (place, slots) = numbers(*table);
            let before = led_to.len();
            for slot in 0..slots {
                let (hash, record) = self.pair(after(place, slot))?;
                if (hash, record) != (0, 0) {
                    let [own, ..] = hash.to_le_bytes();
                    if usize::from(own) != number {
                        return Err(damaged());
                    }
                    let (_, value, length) = self.key(record, hash)?;
                    self.octets::<Plain>(value, length)?;
                    led_to.push(record);
                }
            }
            let used = led_to.len().saturating_sub(before);
            if u64::try_from(used.saturating_mul(2)) != Ok(slots) {
                return Err(damaged());
            }
        }
        led_to.sort_unstable();
        if led_to == records { Ok(()) } else { Err(damaged()) }
    }

    fn pair(&self, place: u64) -> io::Result<(u64, u64)> {
        let mut pair = [0; 8];
        self.file.read_exact_at(&mut pair, place)?;
        Ok(numbers(pair))
    }

    /// A key or a value. Nothing in a list is longer than a line, and an octet 0 was wiped: [`super::indexed::write`] has none,
    /// and nobody asks for a key with one.
    fn octets<M: Memory>(&self, place: u64, length: u64) -> io::Result<M> {
        let length = usize::try_from(length).ok().filter(|&length| length <= LONGEST_LINE);
        let mut octets = M::zeroed(length.ok_or_else(damaged)?)?;
        self.file.read_exact_at(octets.as_mut(), place)?;
        if memchr(0, octets.as_ref()).is_some() { Err(damaged()) } else { Ok(octets) }
    }
}

fn numbers([a, b, c, d, e, f, g, h]: Pair) -> (u64, u64) {
    let number = |octets| u64::from(u32::from_le_bytes(octets));
    (number([a, b, c, d]), number([e, f, g, h]))
}

/// The places of the sectors in which the pair at `place` lies: one or two.
fn sectors(place: u64) -> impl Iterator<Item = u64> {
    let first = place.saturating_sub(place.checked_rem(SECTOR as u64).unwrap_or_default());
    (first..after(place, 1)).step_by(SECTOR)
}

/// The place behind `count` pairs from `place`.
fn after(place: u64, count: u64) -> u64 {
    count.saturating_mul(8).saturating_add(place)
}

/// What places a key: the last octet its table, the others its first slot.
fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, octet| hash.wrapping_mul(33) ^ u32::from(*octet))
}

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

#[cfg(test)]
mod tests {
    use super::super::indexed;
    use super::super::test_directory::TestHome;
    use super::*;

    const LIST: &str = "smtproutes";

    /// The index that is written for a list.
    struct Index {
        _home: TestHome,
        file: File,
        octets: Vec<u8>,
    }

    impl Index {
        fn of(text: &str) -> Index {
            let home = TestHome::new(&[(LIST, text.as_bytes())]);
            indexed::write(&home.path(), LIST).unwrap();
            let path = home.path().join("smtproutes.cdb");
            let file = File::options().read(true).write(true).open(&path).unwrap();
            Index { _home: home, file, octets: std::fs::read(path).unwrap() }
        }

        /// Place and slots of its largest table.
        fn largest_table(&self) -> (u64, u64) {
            let tables = self.octets[..2048].as_chunks().0.iter().map(|table| numbers(*table));
            tables.max_by_key(|(_, slots)| *slots).unwrap()
        }

        /// Place and slots of a key's table.
        fn table_of(&self, key: &str) -> (u64, u64) {
            let [table, ..] = hash(key.as_bytes()).to_le_bytes();
            numbers(self.octets[..2048].as_chunks().0[usize::from(table)])
        }

        fn values(&self, key: &str) -> io::Result<Vec<Vec<u8>>> {
            let mut values = Vec::new();
            Database::new(&self.file)?.each(key.as_bytes(), |value: Plain| values.push(value.to_vec()))?;
            Ok(values)
        }

        /// Wipes each sector, and each two of them, as a crash may leave them: the values of each key, or that there are
        /// none, are what they were, or an error. How many errors there were.
        fn wipe(&self, keys: &[String]) -> usize {
            let before: Vec<_> = keys.iter().map(|key| self.values(key).unwrap()).collect();
            let sectors: Vec<_> = (0..self.octets.len()).step_by(SECTOR).collect();
            let mut errors = 0;
            for (number, &first) in sectors.iter().enumerate() {
                for &second in sectors.iter().skip(number) {
                    for place in [first, second] {
                        let sector = self.octets[place..].chunks(SECTOR).next().unwrap();
                        self.file.write_all_at(&vec![0; sector.len()], place as u64).unwrap();
                    }
                    for (key, before) in keys.iter().zip(&before) {
                        match self.values(key) {
                            Ok(values) => assert_eq!(values, *before, "{key:?} without {first} and {second}"),
                            Err(_) => errors = usize::saturating_add(errors, 1),
                        }
                    }
                    self.file.write_all_at(&self.octets, 0).unwrap();
                }
            }
            Database::new(&self.file).unwrap().check().unwrap();
            errors
        }
    }

    /// Keys of this table, or of any.
    fn keys(table: Option<u32>, count: usize) -> Vec<String> {
        let all = (0..100_000).map(|number| format!("{number}.test"));
        all.filter(|key| table.is_none_or(|table| hash(key.as_bytes()) % 256 == table)).take(count).collect()
    }

    /// How many octets more have what lies at `place` begin at `cut` of a sector.
    fn way(place: u64, cut: usize) -> usize {
        cut.wrapping_sub(usize::try_from(place).unwrap()) % SECTOR
    }

    /// How many slots lie in two sectors.
    fn straddling((place, slots): (u64, u64)) -> usize {
        (0..slots).filter(|&slot| sectors(after(place, slot)).count() > 1).count()
    }

    #[test]
    fn wiped_slots_hide_nothing_wherever_they_lie() {
        // Many small tables; one large one; the first one, whose hashes end in zeros, small and large.
        let sets =
            [(keys(None, 60), 1), (keys(Some(5), 80), 80), (keys(Some(0), 40), 40), (keys(Some(0), 80), 80)];
        let mut straddle = [0; 4];
        for (set, (keys, slots)) in sets.iter().enumerate() {
            for padding in 1..=8 {
                // Every second one is in the list.
                let lines: String = keys.iter().step_by(2).map(|key| format!("{key}:r\n")).collect();
                let index = Index::of(&format!("{lines}z:{}\n", "x".repeat(padding)));
                let largest = index.largest_table();
                assert!(largest.1 >= *slots, "{largest:?}");
                straddle[set] += straddling(largest);
                assert!(index.wipe(keys) > 0);
            }
        }
        assert!(straddle[1..].iter().all(|count| *count > 0), "{straddle:?}");
    }

    #[test]
    fn wiped_records_are_no_records_of_the_empty_key() {
        for value in [0, 1, 256, 300, 600] {
            let value = "x".repeat(value);
            for padding in 480..=520 {
                let index = Index::of(&format!("z:{}\n:{value}\na:last\n", "x".repeat(padding)));
                assert!(index.wipe(&[String::new(), "z".to_owned(), "a".to_owned()]) > 0);
            }
        }
    }

    /// In one sector are the last octet of a key, which is the last one of its hash, and the first octet of its slot.
    #[test]
    fn a_key_and_its_slot_that_have_lost_the_same_are_no_other_key() {
        let key = "mx114.example.com";
        assert_eq!(hash(key.as_bytes()) & 0xff, u32::from(b'm'));
        let index =
            Index::of(&format!("z:{}\n{key}:relay.example.net\ny:{}\n", "x".repeat(479), "w".repeat(476)));
        let (place, _) = index.table_of(key);
        assert!((0..2).any(|slot| after(place, slot) % 512 == 511), "{place}");
        assert!(index.wipe(&[key.to_owned()]) > 0);
    }

    /// The hash of this key is 0, as what is left of the slot of the other one says, with a place that has lost its lowest
    /// octets.
    #[test]
    fn a_slot_of_which_half_is_wiped_leads_to_no_key_with_the_hash_zero() {
        let (zero, other) = ("pny9adlj.test", "host4.example.com");
        assert_eq!(hash(zero.as_bytes()), 0);
        let of = |padding: usize| {
            // The first record begins at a multiple of 256.
            let filler = "x".repeat(231);
            Index::of(&format!(
                ":fallback\nz:{filler}\n{zero}:relay0\n{other}:right.example.net\ny:{}\n",
                "w".repeat(padding)
            ))
        };
        let unmoved = of(1000).table_of(other).0;
        for cut in 505..SECTOR {
            let index = of(1000 + way(unmoved, cut));
            assert_eq!(index.table_of(other).0 % SECTOR as u64, cut as u64);
            assert!(index.wipe(&[other.to_owned()]) > 0);
        }
    }

    /// What is left of the place of the second record is that of the first, and is the place of a record of the key.
    #[test]
    fn a_slot_that_has_lost_a_part_of_its_place_leads_to_no_record_again() {
        let filler = format!("z:{}\n", "x".repeat(32_000));
        // The rest of 64 KiB, with the heads and keys of the records.
        let rest = 65536 - (8 + "a.test".len() + "first".len()) - 2 * (9 + 32_000) - 9;
        let of = |padding: usize| {
            let rest = "y".repeat(rest);
            let index = Index::of(&format!(
                "a.test:first\n{filler}{filler}z:{rest}\na.test:second\nz:{}\n",
                "x".repeat(padding)
            ));
            let (place, slots) = index.table_of("a.test");
            let leads_there = |place: &u64| {
                let (_, record) = Database::new(&index.file).unwrap().pair(*place).unwrap();
                record == 2048 + 65536
            };
            let slot = (0..slots).map(|slot| after(place, slot)).find(leads_there).unwrap();
            (index, slot)
        };
        let (_, unmoved) = of(1);
        let (index, slot) = of(1 + way(unmoved, 506));
        assert_eq!(slot % SECTOR as u64, 506);
        assert_eq!(index.values("a.test").unwrap(), [b"first".to_vec(), b"second".to_vec()]);
        index.file.write_all_at(&[0; 2], slot + 6).unwrap();
        assert!(index.values("a.test").is_err());
        assert!(Database::new(&index.file).unwrap().check().is_err());
    }
}
