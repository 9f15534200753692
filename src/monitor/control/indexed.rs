//! `NAME.cdb`: a list in indexed form, for files of a million lines.
//!
//! djb's constant database. Keys are those of the text in lower case, values the rest of the line; of several
//! records with one key the last counts, as for lines. Whether it is used instead of the text is decided by
//! [`super::ControlDirectory`]. The file is the administrator's; one that is damaged is an error.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::AsRawFd;

use cdb2::CDB;
use zeroize::Zeroizing;

use super::keys::Keys;
use super::lines::Entry;
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
    fn a_damaged_index_is_an_error() {
        let home = TestHome::new(&[(TEXT, b":text\n")]);
        for junk in [vec![], vec![b'x'; 100], vec![0xff; 4096]] {
            std::fs::write(home.path().join(INDEX), &junk).unwrap();
            assert_eq!(look_up(&home.control(), &[""]), Err(ControlError::Unreadable));
        }
    }
}
