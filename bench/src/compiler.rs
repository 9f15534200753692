//! Builds the bench's own C sources.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Anything;

/// Builds `source` into `to`, which every user may run or load; `words` say what it is and what it is linked with.
pub(crate) fn compile(source: &str, words: &[&str], to: &Path) -> Anything<()> {
    let mut compiler = Command::new("cc")
        .args(["-O2", "-Wall", "-Werror", "-x", "c", "-", "-o"])
        .arg(to)
        .args(words)
        .stdin(Stdio::piped())
        .spawn()?;
    compiler.stdin.take().ok_or("no way to the compiler")?.write_all(source.as_bytes())?;
    if !compiler.wait()?.success() {
        return Err(format!("{} does not compile", to.display()).into());
    }
    Ok(fs::set_permissions(to, Permissions::from_mode(0o755))?)
}
