//! The system's programs the world is built with: finds them, runs them, and stops the test with
//! their output when a step fails.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Searched after `PATH`: an ordinary user's `PATH` often lacks the directories of the daemons.
const DAEMON_DIRECTORIES: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/postfix/sbin";

/// Where `packaging/dependencies.sh` unpacks what cannot be installed beside Postfix, by package.
const UNPACKED: &str = "/opt/qmail-remote-tests";

/// The path of a file that was unpacked, such as `opensmtpd/usr/sbin/smtpd`.
pub(crate) fn unpacked(file: &str) -> PathBuf {
    Path::new(UNPACKED).join(file)
}

/// Where the program `name` is, if this machine has it.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
    path.split(':')
        .chain(DAEMON_DIRECTORIES.split(':'))
        .map(|directory| Path::new(directory).join(name))
        .find(|file| file.is_file())
}

/// A command of the program `name`; the test stops when the machine lacks it.
#[must_use]
pub fn command(name: &str) -> Command {
    Command::new(find(name).unwrap_or_else(|| panic!("this machine has no program `{name}`")))
}

/// Runs a command to its end and returns what it wrote to stdout; any status but 0 stops the test.
pub fn run(command: &mut Command) -> Vec<u8> {
    run_with_input(command, b"")
}

/// Like [`run`], with `input` on the command's stdin. The input is to be small: it is written before
/// any output is read.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    // A command that ends without reading its input speaks through its status.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("lost {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
