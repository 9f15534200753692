//! What the fuzz targets share: a control directory made of hostile text, a reference look-up that reads all lines the
//! plain way, and what every list must hold true.
//!
//! Nothing here is part of the program; a panic is a finding.
#![forbid(unsafe_code)]

pub mod delivery;
mod placed;
pub mod reference;
/// What qmail-rspawn believes: the same port that the tests of the program use.
#[path = "../../tests/world/src/rspawn.rs"]
pub mod rspawn;
pub mod values;

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use qmail_remote::args::Invocation;
use qmail_remote::monitor::control::indexed::{self, IndexError};
use qmail_remote::monitor::control::{ControlDirectory, ControlError};
use tempfile::TempDir;

pub use placed::Placed;
use placed::place;
use reference::{Chosen, TOO_LONG, with_zero};
use values::Refusal;

/// More than one read of a list takes, and of such reads a whole number.
const READ: usize = 64 * 1024;

/// Stands in a case for a row of letters that a line has room for, if only just.
const LONG: u8 = 0x1f;
/// How many letters those are.
const LETTERS: usize = TOO_LONG - 18;
/// How often it may stand for them in one case.
const MOST_LONG: usize = 4;

/// The control directory of one case.
pub struct Home(TempDir);

impl Home {
    /// With these files.
    pub fn new(files: &[(&'static str, Vec<u8>)]) -> Home {
        let home = Home(tempfile::tempdir_in("/dev/shm").expect("directory"));
        std::fs::create_dir(home.directory()).expect("control directory");
        for (name, text) in files {
            home.write(name, text);
        }
        home
    }

    /// Where the files are.
    pub fn directory(&self) -> PathBuf {
        self.0.path().join("control")
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.directory().join(name), content).expect("control file");
    }

    /// As the program sees it.
    pub fn control(&self) -> ControlDirectory {
        ControlDirectory::in_home(OwnedFd::from(File::open(self.0.path()).expect("home"))).expect("control")
    }
}

/// A case of a list: what the delivery asks for, and the list's text.
pub struct Case {
    /// Host and sender.
    pub invocation: Invocation,
    /// The text of the list.
    pub text: Vec<u8>,
    /// How far from the end of a read the text begins.
    pub shift: u8,
}

impl Case {
    /// Host and sender are the first two lines, and the last octet is the shift. What cannot be an argument gives way to
    /// one that can. None: a part is missing.
    pub fn new(data: &[u8]) -> Option<Case> {
        let (shift, data) = data.split_last()?;
        let mut parts = data.splitn(3, |&octet| octet == b'\n');
        let (host, sender, text) = (parts.next()?, parts.next()?, parts.next()?);
        let (other_host, other_sender) = (&b"mx.example.test"[..], &b"me@mail.example.com"[..]);
        let tries = [(host, sender), (host, other_sender), (other_host, sender), (other_host, other_sender)];
        let invocation = tries.into_iter().find_map(|(host, sender)| {
            let arguments = [host, sender, b"bob@example.test"];
            Invocation::parse(arguments.map(|argument| OsString::from_vec(argument.to_vec()))).ok()
        });
        let pieces: Vec<_> = text.splitn(MOST_LONG + 1, |&octet| octet == LONG).collect();
        let text = pieces.join(&[b'x'; LETTERS][..]);
        Some(Case { invocation: invocation?, text, shift: *shift })
    }
}

/// Checks a look-up in lists against the line that the reference has chosen, and gives what is found:
///
/// - what is found, or the error, names that line of that file; the error that it is too long just where it is;
/// - a file with that line alone, in its place, gives the same, and no line at all the same as empty files;
/// - wherever the reads cut the text, the same;
/// - from the lists' indices the same, without a line; none is written of a list with a line that is too long, or with an
///   octet 0 in a value.
pub fn check<T: Placed + PartialEq + Debug>(
    lists: &[(&'static str, &[u8])],
    chosen: Option<Chosen<'_>>,
    shift: u8,
    look_up: impl Fn(&ControlDirectory) -> Result<T, ControlError>,
) -> Result<T, ControlError> {
    // A comment comes first: its length moves the rest, and no number changes.
    let after_comment = |text: &[u8], comment: usize| [&vec![b'#'; comment][..], b"\n", text].concat();
    let files =
        |comment| lists.iter().map(|(name, text)| (*name, after_comment(text, comment))).collect::<Vec<_>>();
    let home = Home::new(&files(1));
    let mut found = look_up(&home.control());
    let in_file = chosen.map(|chosen| (chosen.file, u64::try_from(chosen.line + 1).expect("few lines")));
    // The one error that the page has without a line.
    if found.as_ref().err() == Some(&ControlError::BadAddress) {
        assert!(chosen.is_some(), "no line has this address");
    } else {
        assert_eq!(place(&mut found).map(|(file, line)| (file, *line)), in_file, "{found:?}");
    }
    let says_too_long =
        matches!(found, Err(ControlError::BadLine { problem, .. }) if problem == "the line is too long");
    assert_eq!(says_too_long, chosen.is_some_and(|chosen| chosen.value.is_none()));

    let alone = lists.iter().map(|(name, text)| {
        let line = chosen.filter(|chosen| chosen.file == *name).map_or(0, |chosen| chosen.line);
        let lines = text.split(|&octet| octet == b'\n').take(line).enumerate();
        let kept = lines.map(|(number, text)| if number + 1 == line { text } else { b"" });
        (*name, after_comment(&kept.collect::<Vec<_>>().join(&b'\n'), 1))
    });
    assert_eq!(look_up(&Home::new(&alone.collect::<Vec<_>>()).control()), found, "the line alone");
    assert_eq!(look_up(&Home::new(&files(READ - usize::from(shift))).control()), found, "cut elsewhere");

    let mut written = true;
    for (name, text) in lists {
        let mut lines = text.split(|&octet| octet == b'\n');
        let is_too_long = lines.any(|line| line.len() >= TOO_LONG && line[0] != b'#');
        match indexed::write(&home.directory(), name) {
            Ok(_) => assert!(!is_too_long && with_zero(text).is_none(), "an index of what has none"),
            Err(IndexError::BadLine(_)) if is_too_long => written = false,
            Err(IndexError::Zero(line)) => {
                assert_eq!(Some(line), with_zero(text).map(|line| line as u64 + 1), "no octet 0 there");
                written = false;
            }
            Err(error) => panic!("index: {error:?}"),
        }
    }
    if written {
        if let Some((_, line)) = place(&mut found) {
            *line = 0;
        }
        assert_eq!(look_up(&home.control()), found, "from the index");
    }
    found
}

/// Checks what was made of the chosen line against what the page makes of its value: `made` gives the one, `expected` the
/// other.
pub fn compare<T: Debug, V: PartialEq + Debug>(
    found: Result<Option<T>, ControlError>,
    chosen: Option<Chosen<'_>>,
    made: impl Fn(&T) -> V,
    expected: impl Fn(&[u8]) -> Result<V, Refusal>,
) {
    let expected = chosen.map(|chosen| chosen.value.ok_or(Refusal::Line).and_then(expected));
    let made = match &found {
        Ok(found) => found.as_ref().map(|found| Ok(made(found))),
        Err(ControlError::BadLine { .. }) => Some(Err(Refusal::Line)),
        Err(ControlError::BadAddress) => Some(Err(Refusal::Address)),
        Err(error) => panic!("{error:?}"),
    };
    assert_eq!(made, expected, "{found:?} of {chosen:?}");
}
