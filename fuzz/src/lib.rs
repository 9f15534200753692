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

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use qmail_remote::args::Invocation;
use qmail_remote::monitor::control::{ControlDirectory, ControlError, indexed};
use tempfile::TempDir;

pub use placed::Placed;
use placed::place;

/// As much as one read of a list takes.
const READ: usize = 64 * 1024;

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
pub struct Case<'a> {
    /// Host and sender.
    pub invocation: Invocation,
    /// The text of the list.
    pub text: &'a [u8],
    /// How far from the end of a read the text begins.
    pub shift: u8,
}

impl Case<'_> {
    /// Host and sender are the first two lines, and the last octet is the shift. None: no delivery has these arguments.
    pub fn new(data: &[u8]) -> Option<Case<'_>> {
        let (shift, data) = data.split_last()?;
        let mut parts = data.splitn(3, |&octet| octet == b'\n');
        let (host, sender, text) = (parts.next()?, parts.next()?, parts.next()?);
        let arguments =
            [host, sender, b"bob@example.test"].map(|argument| OsString::from_vec(argument.to_vec()));
        Some(Case { invocation: Invocation::parse(arguments).ok()?, text, shift: *shift })
    }
}

/// Checks a look-up in lists against the line that the reference has chosen:
///
/// - what is found, or the error, names that line of that file;
/// - a file with that line alone, in its place, gives the same, and no line at all the same as empty files;
/// - wherever the reads cut the text, the same;
/// - from the lists' indices the same, without a line.
pub fn check<T: Placed + PartialEq + Debug>(
    lists: &[(&'static str, &[u8])],
    chosen: Option<(&'static str, usize)>,
    shift: u8,
    look_up: impl Fn(&ControlDirectory) -> Result<T, ControlError>,
) {
    // A comment comes first: its length moves the rest, and no number changes.
    let after_comment = |text: &[u8], comment: usize| [&vec![b'#'; comment][..], b"\n", text].concat();
    let files =
        |comment| lists.iter().map(|(name, text)| (*name, after_comment(text, comment))).collect::<Vec<_>>();
    let home = Home::new(&files(1));
    let mut found = look_up(&home.control());
    let in_file = chosen.map(|(file, line)| (file, u64::try_from(line + 1).expect("few lines")));
    // The one error that the page has without a line.
    if found.as_ref().err() != Some(&ControlError::BadAddress) {
        assert_eq!(place(&mut found).map(|(file, line)| (file, *line)), in_file, "{found:?}");
    }

    let alone = lists.iter().map(|(name, text)| {
        let line = chosen.filter(|(file, _)| file == name).map_or(0, |(_, line)| line);
        let lines = text.split(|&octet| octet == b'\n').take(line).enumerate();
        let kept = lines.map(|(number, text)| if number + 1 == line { text } else { b"" });
        (*name, after_comment(&kept.collect::<Vec<_>>().join(&b'\n'), 1))
    });
    assert_eq!(look_up(&Home::new(&alone.collect::<Vec<_>>()).control()), found, "the line alone");
    assert_eq!(look_up(&Home::new(&files(READ - usize::from(shift))).control()), found, "cut elsewhere");

    for (name, _) in lists {
        indexed::write(&home.directory(), name).expect("index");
    }
    if let Some((_, line)) = place(&mut found) {
        *line = 0;
    }
    assert_eq!(look_up(&home.control()), found, "from the index");
}
