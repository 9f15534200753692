//! `NAME.cdb`: a list in indexed form, for files of a million lines.
//!
//! djb's constant database. Keys are those of the text in lower case, values the rest of the line; of several
//! records with one key the last counts, as for lines. Whether it is used instead of the text is decided by
//! [`super::ControlDirectory`]. The file is the administrator's; one that is damaged is an error.
#![forbid(unsafe_code)]

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use cdb2::{CDB, CDBMake};
use zeroize::Zeroizing;

use super::keys::{Keys, key_and_value};
use super::lines::{self, Entry, Line};
use super::{ControlError, without_trailing_blanks};

/// What an entry from an index has for a line number: none.
pub(super) const NO_LINE: u64 = 0;

/// Searches for the best of `keys`, like [`super::lines::find`].
pub(super) fn find(
    file: &File,
    keys: &Keys,
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<Option<Entry>, ControlError> {
    // The library opens by name; this one leads to the file that was checked.
    let index = CDB::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    for (level, key) in keys.iter() {
        let mut last = None;
        for value in index.find(key) {
            let value = Zeroizing::new(value?);
            let trimmed = without_trailing_blanks(&value);
            if wanted(trimmed) {
                last = Some(Entry { level, line: NO_LINE, value: Zeroizing::new(trimmed.to_vec()) });
            }
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// Why an index was not written.
#[derive(Debug)]
pub enum IndexError {
    /// The list cannot be read, or the index not written.
    Io(io::Error),
    /// A line is too long.
    BadLine(ControlError),
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
    let text = File::open(directory.join(name))?;
    let before = text.metadata()?;
    let index = directory.join(format!("{name}.cdb"));
    let unfinished = directory.join(format!("{name}.cdb.tmp"));
    // Nobody else may read it before it has the text's mode.
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    let mut records = CDBMake::new(file)?;
    let mut count = 0usize;
    let mut failed = None;
    lines::each(&text, |number, line| match line {
        Line::Whole(line) => {
            if let Some((key, value)) = key_and_value(line) {
                if let Err(error) = records.add(&key.to_ascii_lowercase(), without_trailing_blanks(value)) {
                    failed = Some(error);
                }
                count = count.saturating_add(1);
            }
            Ok(())
        }
        Line::TooLong(start) if start.starts_with(b"#") => Ok(()),
        Line::TooLong(_) => Err(lines::too_long(name, number)),
    })
    .map_err(IndexError::BadLine)?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    records.finish()?;
    let file = File::options().write(true).open(&unfinished)?;
    std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
    file.set_permissions(before.permissions())?;
    file.set_modified(before.modified()?)?;
    file.sync_all()?;
    let after = std::fs::metadata(directory.join(name))?;
    if (after.ino(), after.len(), after.modified()?) != (before.ino(), before.len(), before.modified()?) {
        return Err(IndexError::Changed);
    }
    std::fs::rename(&unfinished, &index)?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestHome;
    use super::super::{ControlDirectory, ControlError};
    use super::*;

    const TEXT: &str = "smtproutes";
    const INDEX: &str = "smtproutes.cdb";

    fn write_index(home: &TestHome, records: &[(&str, &str)]) {
        let mut index = cdb2::CDBWriter::create(home.path().join(INDEX)).unwrap();
        for (key, value) in records {
            index.add(key.as_bytes(), value.as_bytes()).unwrap();
        }
        index.finish().unwrap();
    }

    fn look_up(control: &ControlDirectory, keys: &[&str]) -> Result<Option<(usize, String)>, ControlError> {
        let keys = Keys::new(keys.iter().map(|key| key.as_bytes().to_vec()));
        let found = control.find(TEXT, &keys, |value| value != b"unwanted")?;
        Ok(found.map(|entry| (entry.level, String::from_utf8(entry.value.to_vec()).unwrap())))
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
        write_index(&home, &[("", "index")]);
        let written = |name: &str| File::options().append(true).open(home.path().join(name)).unwrap();
        let index_time = written(INDEX).metadata().unwrap().modified().unwrap();
        let moment = std::time::Duration::from_nanos(1);
        for (text_time, found) in [
            (index_time - moment, Some((0, "index".to_owned()))),
            (index_time, Some((0, "index".to_owned()))),
            (index_time + moment, Some((0, "text".to_owned()))),
        ] {
            written(TEXT).set_modified(text_time).unwrap();
            assert_eq!(look_up(&home.control(), &[""]), Ok(found));
        }
        std::fs::remove_file(home.path().join(TEXT)).unwrap();
        assert_eq!(look_up(&home.control(), &[""]), Ok(None));
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
        let index = std::fs::metadata(home.path().join(INDEX)).unwrap();
        assert_eq!(index.permissions().mode() & 0o7777, 0o640);
        // Other content under the text's time shows that the index is asked.
        let time = index.modified().unwrap();
        std::fs::write(home.path().join(TEXT), ":changed\n").unwrap();
        File::options().append(true).open(home.path().join(TEXT)).unwrap().set_modified(time).unwrap();
        assert_eq!(keys.map(|keys| look_up(&home.control(), keys).unwrap()), by_text);
        std::fs::write(home.path().join(TEXT), ":changed\n").unwrap();
        assert_eq!(
            look_up(&home.control(), &[""]),
            Ok(Some((0, "changed".into()))),
            "a changed text is younger"
        );
    }

    #[test]
    fn a_damaged_index_is_an_error() {
        let home = TestHome::new(&[(TEXT, b":text\n")]);
        for junk in [vec![], vec![b'x'; 100], vec![0xff; 4096]] {
            std::fs::write(home.path().join(INDEX), &junk).unwrap();
            assert_eq!(look_up(&home.control(), &[""]), Err(ControlError::Unreadable));
        }
    }
}
