//! `NAME.cdb`: a list in indexed form, for files of a million lines.
//!
//! A constant database: keys are those of the text in lower case, values the rest of the line; of several
//! records with one key the last counts, as for lines. Whether it is used instead of the text is decided by
//! [`super::ControlDirectory`]. The file is the administrator's; one that is damaged is an error.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use cdb2::CDBMake;
use memchr::memchr;

use super::constant_database::Database;
use super::keys::{Keys, key_and_value};
use super::lines::{self, Entry, Line, Memory};
use super::{ControlError, without_trailing_blanks};

/// What an entry from an index has for a line number: none.
pub(super) const NO_LINE: u64 = 0;

/// Searches for the best of `keys`, like [`super::lines::find`].
pub(super) fn find<M: Memory>(
    file: &File,
    keys: &Keys,
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<Option<Entry<M>>, ControlError> {
    let index = Database::new(file)?;
    for (level, key) in keys.iter() {
        let mut last = None;
        index.each(key, |mut value: M| {
            value.truncate(without_trailing_blanks(value.as_ref()).len());
            if wanted(value.as_ref()) {
                last = Some(Entry { level, line: NO_LINE, value: Ok(value) });
            }
        })?;
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// Whether the whole file is an index, of whatever.
pub fn check(file: &File) -> Result<(), ControlError> {
    Ok(Database::new(file)?.check()?)
}

/// How often the time of a new index is set at the most: longer than a tick of any clock.
const MOST_TICKS: u32 = 1_000_000;

/// Why an index was not written.
#[derive(Debug)]
pub enum IndexError {
    /// The list cannot be read, or the index not written.
    Io(io::Error),
    /// A line is too long.
    BadLine(ControlError),
    /// The value of this line, from 1, holds an octet 0: in an index that is damage.
    Zero(u64),
    /// The list was changed meanwhile.
    Changed,
}

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> IndexError {
        IndexError::Io(error)
    }
}

/// Writes `NAME.cdb` beside the list `name` in `directory`, and gives the number of its records. The index appears at
/// once and whole, with owner, mode and time of the text: a text that is changed later is younger.
pub fn write(directory: &Path, name: &'static str) -> Result<usize, IndexError> {
    // A name of its own, so that two runs do not write into one file.
    let unfinished = directory.join(format!("{name}.cdb.tmp.{}", std::process::id()));
    let result = write_as(directory, name, &unfinished);
    if result.is_err() {
        // It may hold passwords.
        let _ = std::fs::remove_file(&unfinished);
    }
    result
}

fn write_as(directory: &Path, name: &'static str, unfinished: &Path) -> Result<usize, IndexError> {
    // Nothing else may hold this up, as it may not hold a delivery up.
    let text = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(directory.join(name))?;
    let before = text.metadata()?;
    if !before.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file").into());
    }
    // Nobody else may read it before it has the text's mode.
    let file = File::options().write(true).create_new(true).mode(0o600).open(unfinished)?;
    let mut records = CDBMake::new(file)?;
    let mut count = 0usize;
    let mut failed = None;
    lines::each(&text, |number, line| match line {
        Line::Whole(line) => {
            // Nobody asks for a key with an octet 0, and in an index that is damage.
            if let Some((key, value)) = key_and_value(line).filter(|(key, _)| memchr(0, key).is_none()) {
                // Its reader takes the blank away. So a record is never zeros alone, as a crash leaves them.
                let value = match without_trailing_blanks(value) {
                    b"" => b" ",
                    value => value,
                };
                let failure = match memchr(0, value) {
                    Some(_) => Some(IndexError::Zero(number)),
                    None => records.add(&key.to_ascii_lowercase(), value).map_err(IndexError::Io).err(),
                };
                failed = failed.take().or(failure);
                count = count.saturating_add(1);
            }
            Ok(())
        }
        Line::TooLong(start) if start.starts_with(b"#") => Ok(()),
        Line::TooLong(_) => Err(lines::too_long(name, number)),
    })
    .map_err(IndexError::BadLine)?;
    if let Some(error) = failed {
        return Err(error);
    }
    records.finish()?;
    let file = File::options().write(true).open(unfinished)?;
    std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
    file.set_permissions(before.permissions())?;
    file.sync_all()?;
    // Until the kernel's clock has ticked, the index would not count as younger.
    for _ in 0..MOST_TICKS {
        file.set_modified(before.modified()?)?;
        if super::is_no_older(&file.metadata()?, &before) {
            break;
        }
    }
    let after = std::fs::metadata(directory.join(name))?;
    if (after.ino(), after.len(), after.modified()?) != (before.ino(), before.len(), before.modified()?) {
        return Err(IndexError::Changed);
    }
    std::fs::rename(unfinished, directory.join(format!("{name}.cdb")))?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::super::test_directory::TestHome;
    use super::super::{ControlDirectory, ControlError};
    use super::*;
    use crate::sealed::Sealed;

    const TEXT: &str = "smtproutes";
    const INDEX: &str = "smtproutes.cdb";

    fn write_index(home: &TestHome, records: &[(&str, &str)]) {
        let mut index = cdb2::CDBWriter::create(home.path().join(INDEX)).unwrap();
        for (key, value) in records {
            index.add(key.as_bytes(), value.as_bytes()).unwrap();
        }
        index.finish().unwrap();
        make_younger(home);
    }

    /// Waits for the kernel's clock to tick.
    fn make_younger(home: &TestHome) {
        let (index, text) = (home.path().join(INDEX), home.path().join(TEXT));
        let (index, text) =
            (File::options().append(true).open(index).unwrap(), std::fs::metadata(text).unwrap());
        let time = text.modified().unwrap();
        while !super::super::is_no_older(&index.metadata().unwrap(), &text) {
            index.set_modified(time).unwrap();
        }
    }

    fn look_up(control: &ControlDirectory, keys: &[&str]) -> Result<Option<(usize, String)>, ControlError> {
        let keys = Keys::new(keys.iter().map(|key| key.as_bytes().to_vec()));
        let found = control.find::<Sealed>(TEXT, &keys, |value| value != b"unwanted")?;
        Ok(found.map(|entry| (entry.level, String::from_utf8(entry.value.unwrap().to_vec()).unwrap())))
    }

    #[test]
    fn the_best_key_and_the_last_record_win() {
        let home = TestHome::new(&[(TEXT, b"")]);
        let records = [
            (".test", "suffix"),
            ("a.test", "first"),
            ("a.test", "second "),
            ("a.test", "unwanted"),
            ("", "all"),
        ];
        write_index(&home, &records);
        let control = home.control();
        assert_eq!(look_up(&control, &["A.test", ".test", ""]), Ok(Some((0, "second".into()))));
        assert_eq!(look_up(&control, &["b.test", ".test", ""]), Ok(Some((1, "suffix".into()))));
        assert_eq!(look_up(&control, &["b.example", ".example", ""]), Ok(Some((2, "all".into()))));
        assert_eq!(look_up(&control, &["b.example"]), Ok(None));
    }

    #[test]
    fn a_text_that_was_changed_or_removed_is_not_shadowed() {
        let home = TestHome::new(&[(TEXT, b":text\n")]);
        let (from_text, from_index) = (Ok(Some((0, "text".to_owned()))), Ok(Some((0, "index".to_owned()))));
        write_index(&home, &[("", "index")]);
        assert_eq!(look_up(&home.control(), &[""]), from_index);
        // Written anew, with an old time: as cp -p, a restored backup or a renamed file has it.
        let text = home.path().join(TEXT);
        let old = std::fs::metadata(&text).unwrap().modified().unwrap();
        std::fs::write(&text, ":text\n").unwrap();
        File::options().append(true).open(&text).unwrap().set_modified(old).unwrap();
        assert_eq!(look_up(&home.control(), &[""]), from_text);
        write_index(&home, &[("", "index")]);
        assert_eq!(look_up(&home.control(), &[""]), from_index);
        std::fs::rename(&text, home.path().join("other")).unwrap();
        assert_eq!(look_up(&home.control(), &[""]), Ok(None));
        std::fs::rename(home.path().join("other"), &text).unwrap();
        assert_eq!(look_up(&home.control(), &[""]), from_text);
    }

    #[test]
    fn an_index_that_is_written_answers_as_its_text_does() {
        let text = b"# comment\n\n:all\nA.Test:first\n.test:suffix \t\na.test:second\nno key\n[2001:db8::1]:literal\nlast:end";
        let home = TestHome::new(&[(TEXT, text)]);
        std::fs::set_permissions(home.path().join(TEXT), Permissions::from_mode(0o640)).unwrap();
        let keys: [&[&str]; 6] = [
            &["a.test", ""],
            &["b.test", ".test"],
            &["x"],
            &["[2001:db8::1]"],
            &["last"],
            &["# comment", "no key"],
        ];
        let by_text = keys.map(|keys| look_up(&home.control(), keys).unwrap());
        assert_eq!(write(&home.path(), TEXT).unwrap(), 6);
        let mode = std::fs::metadata(home.path().join(INDEX)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        assert_eq!(keys.map(|keys| look_up(&home.control(), keys).unwrap()), by_text);
        let asked =
            home.control().find::<Sealed>(TEXT, &Keys::new([b"last".to_vec()]), |_| true).unwrap().unwrap();
        assert_eq!(asked.line, NO_LINE, "the index was asked");
        let files: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
        assert_eq!(files.len(), 2, "nothing is left over");
    }

    /// They stand side by side in their table, and leave whole sectors of it empty.
    #[test]
    fn many_records_of_one_key_hide_nothing_and_are_no_damage() {
        let home = TestHome::new(&[(TEXT, b"")]);
        let records: Vec<_> = (0..200).map(|number| ("a.test", format!("value {number}"))).collect();
        write_index(&home, &records.iter().map(|(key, value)| (*key, value.as_str())).collect::<Vec<_>>());
        let last = Ok(Some((0, "value 199".to_owned())));
        assert_eq!(look_up(&home.control(), &["a.test"]), last);
        // A few of these have a slot in the same table, where there is nothing but zeros around it.
        for number in 0..2000 {
            assert_eq!(look_up(&home.control(), &[&format!("{number}.test")]), Ok(None), "{number}");
        }
        let index = std::fs::read(home.path().join(INDEX)).unwrap();
        let of_table = |pair: &[u8; 8]| u32::from_le_bytes(*pair.first_chunk().unwrap());
        let tables = index[..2048].as_chunks().0.iter().map(of_table).min().unwrap();
        let first_sector = usize::try_from(tables).unwrap().next_multiple_of(512);
        for sector in (first_sector..index.len()).step_by(512) {
            let mut damaged = index.clone();
            let end = damaged.len().min(sector + 512);
            damaged[sector..end].fill(0);
            std::fs::write(home.path().join(INDEX), &damaged).unwrap();
            make_younger(&home);
            let is_damaged = damaged != index;
            let expected = if is_damaged { Err(ControlError::Unreadable) } else { last.clone() };
            assert_eq!(look_up(&home.control(), &["a.test"]), expected, "{sector}");
        }
    }

    #[test]
    fn many_empty_records_are_no_damage() {
        let text = ":\n".repeat(1000);
        let home = TestHome::new(&[(TEXT, text.as_bytes())]);
        assert_eq!(write(&home.path(), TEXT).unwrap(), 1000);
        assert_eq!(look_up(&home.control(), &[""]), Ok(Some((0, String::new()))));
        assert_eq!(check(&File::open(home.path().join(INDEX)).unwrap()), Ok(()));
        // As others write it: an empty value, and no blank.
        write_index(&home, &[("", ""), ("a.test", "relay")]);
        assert_eq!(look_up(&home.control(), &[""]), Ok(Some((0, String::new()))));
    }

    #[test]
    fn an_octet_zero_in_a_value_is_damage_and_has_no_index() {
        let home = TestHome::new(&[(TEXT, b"a.test:re\0lay\n#:\0\n\0:b\n\0\n")]);
        assert!(matches!(write(&home.path(), TEXT), Err(IndexError::Zero(1))));
        write_index(&home, &[("a.test", "re\0lay"), ("b.test", "relay")]);
        assert_eq!(look_up(&home.control(), &["a.test"]), Err(ControlError::Unreadable));
        assert_eq!(look_up(&home.control(), &["b.test"]), Ok(Some((0, "relay".to_owned()))));
        let index = File::open(home.path().join(INDEX)).unwrap();
        assert_eq!(check(&index), Err(ControlError::Unreadable));
        std::fs::write(home.path().join(TEXT), "#:\0\n\0:\0\na\0:b\n\0\n").unwrap();
        assert_eq!(write(&home.path(), TEXT).unwrap(), 0);
    }

    #[test]
    fn an_index_that_is_cut_while_it_is_read_is_an_error() {
        let home = TestHome::new(&[(TEXT, b"")]);
        write_index(&home, &[("a.test", "first"), ("a.test", "second")]);
        let index = File::options().write(true).open(home.path().join(INDEX)).unwrap();
        let found = home.control().find::<Sealed>(TEXT, &Keys::new([b"a.test".to_vec()]), |_| {
            index.set_len(0).unwrap();
            true
        });
        assert_eq!(found, Err(ControlError::Unreadable));
    }

    #[test]
    fn a_damaged_index_is_an_error() {
        let home = TestHome::new(&[(TEXT, b":text\n")]);
        for junk in [vec![], vec![b'x'; 100], vec![0xff; 4096], vec![0; 4096]] {
            std::fs::write(home.path().join(INDEX), &junk).unwrap();
            make_younger(&home);
            assert_eq!(look_up(&home.control(), &[""]), Err(ControlError::Unreadable));
        }
    }
}
