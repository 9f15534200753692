//! A delivery under way: its processes, signals to it, and its end.

use std::fs;
use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::outcome::Outcome;
use crate::patience;

/// No delivery takes longer: those to name servers or children that are silent take most of a minute.
const LONGEST: Duration = Duration::from_secs(120);

/// A delivery under way; killed when dropped.
#[derive(Debug)]
pub struct Running {
    /// Taken by `wait` alone.
    child: Option<Child>,
}

impl Running {
    pub(crate) fn of(child: Child) -> Running {
        Running { child: Some(child) }
    }

    /// The process started: the monitor.
    #[must_use]
    pub fn pid(&self) -> Pid {
        let child = self.child.as_ref().expect("present until waited for");
        Pid::from_raw(i32::try_from(child.id()).expect("process id"))
    }

    /// The monitor's first child, once there is one: the network process. A delivery that ends without stops the test.
    #[must_use]
    pub fn child_pid(&self) -> Pid {
        let parent = self.pid();
        let child = patience::until(|| match children_of(parent).first() {
            None if has_ended(parent) => Some(None),
            None => None,
            child => Some(child.copied()),
        });
        child.flatten().unwrap_or_else(|| {
            let mut said = [0; 4096];
            let ended = self.child.as_ref().filter(|_| has_ended(parent));
            let stdout = ended.and_then(|child| child.stdout.as_ref());
            let count = stdout.and_then(|pipe| nix::unistd::read(pipe, &mut said).ok()).unwrap_or_default();
            panic!(
                "process {parent} has no child, and wrote {}\n{}",
                said.get(..count).unwrap_or_default().escape_ascii(),
                waits()
            )
        })
    }

    /// Sends the monitor a signal.
    pub fn kill(&self, signal: Signal) {
        kill(self.pid(), signal).expect("signal to the delivery");
    }

    /// Waits for the end. A pipe that another process still holds open counts as not ended. A delivery that hangs stops
    /// the test.
    #[must_use]
    pub fn wait(self) -> Outcome {
        let (outcome, hung) = self.wait_within(LONGEST);
        assert!(
            !hung,
            "the delivery did not end; until it was killed it wrote {}",
            outcome.stdout.escape_ascii()
        );
        outcome
    }

    /// Waits for the end, and kills a delivery that has not come to it after `limit`: whether that was necessary.
    pub(crate) fn wait_within(mut self, limit: Duration) -> (Outcome, bool) {
        let pid = self.pid();
        let (ended, watch) = mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            let hung = watch.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if hung {
                println!("a delivery does not end; what each process waits in:\n{}", waits());
            }
            // Not waited for yet, so the id is still that of the delivery.
            hung && kill(pid, Signal::SIGKILL).is_ok()
        });
        let child = self.child.take().expect("present until waited for");
        let output = child.wait_with_output().expect("end of the delivery");
        drop(ended);
        let outcome = Outcome { stdout: output.stdout, stderr: output.stderr, status: output.status };
        (outcome, watchdog.join().unwrap_or(true))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A line for each process that this one sees: id, parent, name, the function of the kernel that it waits in, the system
/// call and its arguments.
fn waits() -> String {
    let about = |id: i32| {
        let read = |name| fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default();
        let [name, place, call] = ["comm", "wchan", "syscall"].map(read);
        format!("{id} {:?} {} {place} {}", parent_of(id), name.trim_end(), call.trim_end())
    };
    processes().map(about).collect::<Vec<_>>().join("\n")
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The processes whose parent is `parent`, lowest id first.
#[must_use]
pub fn children_of(parent: Pid) -> Vec<Pid> {
    let mut children: Vec<Pid> =
        processes().filter(|id| parent_of(*id) == Some(parent.as_raw())).map(Pid::from_raw).collect();
    children.sort();
    children
}

/// Field 4 of `/proc/ID/stat`.
fn parent_of(id: i32) -> Option<i32> {
    field_behind_name(id, 2)?.parse().ok()
}

/// Whether a process has only to be waited for: field 3 of `/proc/ID/stat`.
fn has_ended(id: Pid) -> bool {
    field_behind_name(id.as_raw(), 1).is_some_and(|state| state == "Z")
}

/// The field of `/proc/ID/stat` that comes so far after the command's name in parentheses.
fn field_behind_name(id: i32, distance: usize) -> Option<String> {
    let stat = fs::read(format!("/proc/{id}/stat")).ok()?;
    let after_name = stat.get(stat.iter().rposition(|byte| *byte == b')')?..)?;
    std::str::from_utf8(after_name).ok()?.split(' ').nth(distance).map(str::to_owned)
}
