//! Runs a program once and says what it cost: wall time, and the processor time of it and of what it waited for.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// The user and the group that the queue starts deliveries as.
const QMAILR: u32 = 7996;

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// From the start to the end.
    pub(crate) wall: Duration,
    /// User and system time of the process and all that it reaped.
    pub(crate) cpu: Duration,
}

/// A command line with a message, to be run many times.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    program: PathBuf,
    arguments: Vec<String>,
    message: PathBuf,
}

impl Job {
    /// A program without arguments or message.
    pub(crate) fn bare(program: &Path) -> Job {
        Job { program: program.to_owned(), arguments: Vec::new(), message: "/dev/null".into() }
    }

    /// The same with these arguments.
    pub(crate) fn arguments<T: ToString>(mut self, arguments: impl IntoIterator<Item = T>) -> Job {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.to_string()));
        self
    }

    /// The same with a file on descriptor 0.
    pub(crate) fn message(mut self, message: &Path) -> Job {
        message.clone_into(&mut self.message);
        self
    }

    /// The same, run by a tool with these words of its own.
    pub(crate) fn under(self, tool: &Path, words: &[&str]) -> Job {
        let program = self.program.display().to_string();
        let words = words.iter().map(|word| (*word).to_owned()).chain([program]);
        Job { program: tool.to_owned(), arguments: words.chain(self.arguments).collect(), ..self }
    }

    /// As `qmail-rspawn` would run it.
    pub(crate) fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().current_dir("/").uid(QMAILR).gid(QMAILR);
        command.stdin(File::open(&self.message)?).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(command)
    }

    /// Runs it to its end. Nothing else that this process started may end meanwhile: its time would count.
    pub(crate) fn run(&self) -> io::Result<(Cost, Output)> {
        let mut command = self.command()?;
        let (before, start) = (children_time()?, Instant::now());
        let output = command.output()?;
        let wall = start.elapsed();
        let cpu = children_time()?.saturating_sub(before);
        Ok((Cost { wall, cpu }, output))
    }
}

fn children_time() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok(duration(usage.user_time()).saturating_add(duration(usage.system_time())))
}

fn duration(time: TimeVal) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    let microseconds = u64::try_from(time.tv_usec()).unwrap_or_default();
    Duration::from_secs(seconds).saturating_add(Duration::from_micros(microseconds))
}
