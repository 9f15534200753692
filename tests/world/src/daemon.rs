//! Servers in the foreground, each leading a process group of its own: started, awaited, and gone with
//! all their helpers when dropped. Their logs are printed when the test fails.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::{patience, programs};

/// A server under way.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    logs: Vec<PathBuf>,
}

impl Daemon {
    /// Starts a command that stays in the foreground; its stdout and stderr go to the file `log`.
    pub fn start(name: &str, command: &Command, log: &Path) -> Daemon {
        let stdout = File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let stderr = stdout.try_clone().expect("descriptor of the log");
        let mut leader = programs::command("setsid");
        leader.arg("--").arg(command.get_program()).args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => leader.env(variable, value),
                None => leader.env_remove(variable),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            leader.current_dir(directory);
        }
        let child = leader
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        Daemon { name: name.to_owned(), child, logs: vec![log.to_owned()] }
    }

    /// Adds a file to be printed when the test fails.
    #[must_use]
    pub fn with_log(mut self, log: &Path) -> Daemon {
        self.logs.push(log.to_owned());
        self
    }

    /// Waits until `address` takes connections; stops the test when the daemon ends instead.
    #[must_use]
    pub fn once_it_listens_on(self, address: SocketAddr) -> Daemon {
        self.once(&format!("listen on {address}"), || TcpStream::connect(address).is_ok())
    }

    /// Waits until `ready`; stops the test when the daemon ends instead. `deed` is for the message.
    #[must_use]
    pub fn once(mut self, deed: &str, mut ready: impl FnMut() -> bool) -> Daemon {
        let ended = patience::until(|| {
            if let Some(status) = self.child.try_wait().expect("status of a daemon") {
                return Some(Some(status));
            }
            ready().then_some(None)
        });
        let name = &self.name;
        match ended {
            Some(None) => self,
            Some(Some(status)) => panic!("{name} ended with {status}, and did not {deed}"),
            None => panic!("{name} did not {deed}"),
        }
    }

    /// The server's process, and its process group.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("process id"))
    }

    /// Sends the whole group a signal, as `SIGSTOP` to make a server go silent.
    pub fn signal(&self, signal: Signal) {
        killpg(self.pid(), signal).unwrap_or_else(|error| panic!("signal to {}: {error}", self.name));
    }

    fn print_logs(&self) {
        for log in &self.logs {
            let text = std::fs::read(log).unwrap_or_default();
            eprintln!("--- {}, {}\n{}", self.name, log.display(), String::from_utf8_lossy(&text));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        // Nothing of the world outlives the test: no need for an orderly end.
        let group = self.pid();
        let _ = killpg(group, Signal::SIGKILL);
        // One that leads no group yet, too.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A helper may hold a listening socket until it is gone as well.
        let gone = patience::until(|| killpg(group, None).is_err().then_some(()));
        if gone.is_none() {
            eprintln!("{} left processes behind", self.name);
        }
    }
}
