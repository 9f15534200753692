//! The instructions of a delivery's two processes, by valgrind's callgrind.
//!
//! The program is the one that is measured, unchanged; a small library takes the place of the calls that would close the
//! sandbox around valgrind itself (`unconfined.c`). Counted is what runs outside the kernel.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::Anything;
use crate::compiler::compile;
use crate::process::Job;

const LIBRARY: &str = include_str!("unconfined.c");

/// What counts instructions.
pub(crate) struct Counter {
    library: PathBuf,
    /// What each process writes its counts into.
    counts: PathBuf,
}

impl Counter {
    /// Builds the library in `scratch`.
    pub(crate) fn build(scratch: &Path) -> Anything<Counter> {
        let library = scratch.join("unconfined.so");
        compile(LIBRARY, &["-shared", "-fPIC"], &library)?;
        let counts = scratch.join("instructions");
        fs::create_dir(&counts)?;
        // Deliveries run as a user of their own.
        fs::set_permissions(&counts, Permissions::from_mode(0o777))?;
        Ok(Counter { library, counts })
    }

    /// The instructions of all processes of a job that prints what `is_good` likes.
    pub(crate) fn of(&self, job: &Job, is_good: impl Fn(&[u8]) -> Anything<()>) -> Anything<u64> {
        for file in fs::read_dir(&self.counts)? {
            fs::remove_file(file?.path())?;
        }
        let out = format!("--callgrind-out-file={}/%p", self.counts.display());
        let job = job.clone().under(Path::new("/usr/bin/valgrind"), &["--tool=callgrind", "--quiet", &out]);
        let output = job.command()?.env("LD_PRELOAD", &self.library).output()?;
        is_good(&output.stdout)?;
        let mut sum = 0;
        let mut processes = 0;
        for file in fs::read_dir(&self.counts)? {
            sum += total(&fs::read_to_string(file?.path())?).ok_or("no total")?;
            processes += 1;
        }
        if processes == 2 { Ok(sum) } else { Err(format!("{processes} processes instead of two").into()) }
    }
}

/// The total of what callgrind wrote.
fn total(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        assert_eq!(total("version: 1\nfn=(1)\n+3 4\ntotals: 4711\n"), Some(4711));
        assert_eq!(total("summary: 4711\n"), None);
    }
}
