//! The control files, `HOME/control/*`. Monitor only, before the fork.
//!
//! Written by the administrator, and trusted as far as that: a file that is not there is empty, a file
//! that cannot be read or understood stops this delivery with a temporary failure, never a guess. One
//! file here for each control file; each turns text into a typed value and nothing else.
#![forbid(unsafe_code)]

pub mod authsenders;
mod constant_database;
pub mod domaincerts;
pub mod domainips;
pub mod indexed;
pub mod keys;
pub mod lines;
pub mod local_address;
pub mod names;
pub mod routes;
pub mod smtproutes;
pub mod timeouts;
pub mod tlsdestinations;

use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};

use keys::Keys;
use lines::{Entry, Memory};

/// The home of qmail: `QMAIL_HOME` when the program was built, else `/var/qmail`.
pub const HOME: &str = match option_env!("QMAIL_HOME") {
    Some(home) => home,
    None => "/var/qmail",
};

/// No value of a one-value file is longer, in octets.
pub const LONGEST_VALUE: u64 = 4096;

/// Why the control files cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlError {
    /// The home directory cannot be opened.
    Home,
    /// A file cannot be read, or holds no usable value.
    Unreadable,
    /// What `domainips` gives as an address is none.
    BadAddress,
    /// A line that this delivery would have used is malformed.
    BadLine {
        /// The file's name.
        file: &'static str,
        /// The line's number, from 1; 0 when the value comes from `FILE.cdb`.
        line: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl From<std::io::Error> for ControlError {
    fn from(_: std::io::Error) -> ControlError {
        ControlError::Unreadable
    }
}

/// Only to open files in it, which must be named: who may search a directory need not be able to list it.
const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_PATH).union(OFlag::O_CLOEXEC);

/// The control directory, opened once.
#[derive(Debug)]
pub struct ControlDirectory(OwnedFd);

impl ControlDirectory {
    /// Opens `HOME/control`.
    pub fn open() -> Result<ControlDirectory, ControlError> {
        // With the dot it must be one that can be searched.
        let home =
            open(&Path::new(HOME).join("."), DIRECTORY, Mode::empty()).map_err(|_| ControlError::Home)?;
        ControlDirectory::in_home(home)
    }

    /// Opens `control` in an open home: what [`ControlDirectory::open`] does with [`HOME`].
    pub fn in_home(home: OwnedFd) -> Result<ControlDirectory, ControlError> {
        let control =
            openat(home, "control", DIRECTORY, Mode::empty()).map_err(|_| ControlError::Unreadable)?;
        Ok(ControlDirectory(control))
    }

    /// The file `name`, or none when there is no such file. Only regular files are read: a fifo in its
    /// place would hold every delivery up.
    pub fn file(&self, name: &str) -> Result<Option<File>, ControlError> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = match openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::ENOENT) => {
                return self.is_missing(name).then_some(None).ok_or(ControlError::Unreadable);
            }
            Err(_) => return Err(ControlError::Unreadable),
        };
        let mode = fstat(&file).map_err(|_| ControlError::Unreadable)?.st_mode;
        if SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
            return Err(ControlError::Unreadable);
        }
        Ok(Some(File::from(file)))
    }

    /// Whether nothing has this name. A link that leads nowhere is there: a file was meant, and its rules must not
    /// silently go.
    fn is_missing(&self, name: &str) -> bool {
        fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW) == Err(Errno::ENOENT)
    }

    /// The best entry of the list `name`; see [`lines::find`]. `NAME.cdb` is used instead of the text when the text is
    /// there and has not been changed or put in place since.
    fn find<M: Memory>(
        &self,
        name: &'static str,
        keys: &Keys,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Entry<M>>, ControlError> {
        let Some(text) = self.file(name)? else {
            return Ok(None);
        };
        match self.file(&format!("{name}.cdb"))? {
            Some(index) if is_no_older(&index.metadata()?, &text.metadata()?) => {
                steadily(&index, |index| indexed::find(index, keys, wanted))
            }
            Some(_) | None => steadily(&text, |text| lines::find(text, name, keys, wanted)),
        }
    }

    /// The value of a one-value file: its first line without trailing blanks. None when there is no such
    /// file or the line is blank.
    pub fn value(&self, name: &str) -> Result<Option<Vec<u8>>, ControlError> {
        let Some(file) = self.file(name)? else {
            return Ok(None);
        };
        let mut line = Vec::new();
        // One octet more than the longest value tells "longest" from "longer".
        steadily(&file, |file| {
            let start = file.take(LONGEST_VALUE.saturating_add(1));
            Ok(BufReader::with_capacity(512, start).read_until(b'\n', &mut line)?)
        })?;
        if u64::try_from(line.len()).is_ok_and(|length| length > LONGEST_VALUE) {
            return Err(ControlError::Unreadable);
        }
        let value = without_trailing_blanks(&line);
        Ok(if value.is_empty() { None } else { Some(value.to_vec()) })
    }
}

/// Reads `file` with `read`. When it is written to or cut meanwhile, what was read may be neither its old nor its new
/// content, and is an error.
fn steadily<T>(file: &File, read: impl FnOnce(&File) -> Result<T, ControlError>) -> Result<T, ControlError> {
    let content = |file: Metadata| (file.len(), file.mtime(), file.mtime_nsec());
    let before = content(file.metadata()?);
    let found = read(file);
    if content(file.metadata()?) == before { found } else { Err(ControlError::Unreadable) }
}

/// Whether an index is no older than its text, by the time of the content and by that of the file: a text that is
/// renamed into place or restored with an old time of its own is a changed text. In the same tick of the kernel's clock
/// it is not known which came first, and then the text counts.
pub fn is_no_older(index: &Metadata, text: &Metadata) -> bool {
    let content = |file: &Metadata| (file.mtime(), file.mtime_nsec());
    let change = |file: &Metadata| (file.ctime(), file.ctime_nsec());
    content(index) >= content(text) && change(index) > change(text)
}

/// A line as its reader takes it: without blanks, carriage returns and line feeds at its end.
pub fn without_trailing_blanks(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|octet| !matches!(octet, b' ' | b'\t' | b'\r' | b'\n'));
    end.and_then(|end| line.get(..=end)).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod test_directory {
    use super::*;

    /// A home with the given control files, gone when dropped.
    pub(crate) struct TestHome(tempfile::TempDir);

    impl TestHome {
        pub(crate) fn new(files: &[(&str, &[u8])]) -> TestHome {
            let home = tempfile::tempdir().unwrap();
            std::fs::create_dir(home.path().join("control")).unwrap();
            for (name, content) in files {
                std::fs::write(home.path().join("control").join(name), content).unwrap();
            }
            TestHome(home)
        }

        pub(crate) fn path(&self) -> std::path::PathBuf {
            self.0.path().join("control")
        }

        pub(crate) fn control(&self) -> ControlDirectory {
            ControlDirectory::in_home(OwnedFd::from(File::open(self.0.path()).unwrap())).unwrap()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::test_directory::TestHome;
    use super::*;
    use crate::sealed::Sealed;

    #[test]
    fn a_value_is_the_first_line_without_trailing_blanks() {
        let longest = vec![b'x'; 4096];
        let longer = vec![b'x'; 4097];
        let home = TestHome::new(&[
            ("plain", b"a b \t\r\nsecond\n"),
            ("unended", b"a"),
            ("blank", b" \nsecond\n"),
            ("empty", b""),
            ("longest", &longest),
            ("longer", &longer),
        ]);
        let value = |name| home.control().value(name);
        assert_eq!(value("plain"), Ok(Some(b"a b".to_vec())));
        assert_eq!(value("unended"), Ok(Some(b"a".to_vec())));
        assert_eq!(value("blank"), Ok(None));
        assert_eq!(value("empty"), Ok(None));
        assert_eq!(value("missing"), Ok(None));
        assert_eq!(value("longest"), Ok(Some(longest.clone())));
        assert_eq!(value("longer"), Err(ControlError::Unreadable));
    }

    #[test]
    fn what_is_not_a_file_is_an_error_and_does_not_block() {
        let home = TestHome::new(&[]);
        std::fs::create_dir(home.path().join("directory")).unwrap();
        nix::unistd::mkfifo(&home.path().join("fifo"), Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("loop", home.path().join("loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", home.path().join("dangling")).unwrap();
        for name in ["directory", "fifo", "loop", "dangling"] {
            assert_eq!(home.control().value(name), Err(ControlError::Unreadable), "{name}");
        }
    }

    #[test]
    fn a_list_that_is_written_to_while_it_is_read_is_an_error_and_one_that_is_replaced_is_not() {
        let old = b"a.test:old\nother.test:x\n".repeat(10_000);
        let home = TestHome::new(&[("smtproutes", &old), ("new", b"a.test:new\n")]);
        let path = home.path().join("smtproutes");
        let keys = Keys::new([b"a.test".to_vec()]);
        // Asked about each value that is found: in the midst of the reading.
        let find = |meanwhile: &dyn Fn()| {
            let found = home.control().find::<Sealed>("smtproutes", &keys, |_| {
                meanwhile();
                true
            });
            found.map(|entry| entry.map(|entry| String::from_utf8(entry.value.unwrap().to_vec()).unwrap()))
        };
        let cut = || File::options().write(true).open(&path).unwrap().set_len(100_000).unwrap();
        let append = || File::options().append(true).open(&path).unwrap().write_all(b"#").unwrap();
        assert_eq!(find(&cut), Err(ControlError::Unreadable));
        assert_eq!(find(&append), Err(ControlError::Unreadable));
        let replace = || drop(std::fs::rename(home.path().join("new"), &path));
        assert_eq!(find(&replace), Ok(Some("old".to_owned())));
        assert_eq!(find(&|| ()), Ok(Some("new".to_owned())));
    }
}
