//! Runs the program under test as `qmail-rspawn` would: the message on fd 0, reports on fd 1, `/` as
//! working directory, a short environment, and any of the users it may be started by.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::message::Message;
use crate::namespace::mapped_uids;
use crate::outcome::Outcome;
use crate::programs;
use crate::running::Running;
use crate::world::{COURIER, KEYS_GID, QMAIL_GID, QMAILR_UID, bind, set_mode};

/// Names the file that an instrumented program counts in.
const COUNTERS: &str = "LLVM_PROFILE_FILE";

/// Who starts the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The user that the test runs as: root, at least of its namespace.
    Root,
    /// `qmailr`, as the queue does.
    Qmailr,
    /// An ordinary user.
    Courier,
    /// An ordinary user, with the program set-group-id `keys`.
    SetgidKeys,
}

/// What the program gets as fd 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stdout {
    Captured,
    Closed,
    Full,
    Unread,
}

/// A delivery to be.
#[derive(Clone, Debug)]
pub struct Delivery {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    message: Message,
    identity: Identity,
    stdout: Stdout,
}

impl Delivery {
    /// A delivery by this program, of a small message, by [`Identity::Root`], without arguments yet.
    pub fn new(program: impl AsRef<Path>) -> Delivery {
        Delivery {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            message: Message::bytes("From: me@sender.test\nSubject: hello\n\nHello.\n"),
            identity: Identity::Root,
            stdout: Stdout::Captured,
        }
    }

    /// The first argument. Arguments keep the order of the calls: host, sender, recipients.
    #[must_use]
    pub fn host(self, host: impl AsRef<OsStr>) -> Delivery {
        self.argument(host)
    }

    /// The second argument.
    #[must_use]
    pub fn sender(self, sender: impl AsRef<OsStr>) -> Delivery {
        self.argument(sender)
    }

    /// One more recipient.
    #[must_use]
    pub fn recipient(self, recipient: impl AsRef<OsStr>) -> Delivery {
        self.argument(recipient)
    }

    /// One more argument, for improper calls.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Delivery {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// What comes on fd 0.
    #[must_use]
    pub fn message(mut self, message: Message) -> Delivery {
        self.message = message;
        self
    }

    /// Who runs it.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Delivery {
        self.identity = identity;
        self
    }

    /// Sets a variable; at first there is only `PATH`.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Delivery {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Closes fd 1.
    #[must_use]
    pub fn stdout_closed(mut self) -> Delivery {
        self.stdout = Stdout::Closed;
        self
    }

    /// Makes fd 1 `/dev/full`, where every write fails.
    #[must_use]
    pub fn stdout_full(mut self) -> Delivery {
        self.stdout = Stdout::Full;
        self
    }

    /// Makes fd 1 a pipe whose reader is gone.
    #[must_use]
    pub fn stdout_unread(mut self) -> Delivery {
        self.stdout = Stdout::Unread;
        self
    }

    /// Delivers, and waits for the end.
    #[must_use]
    pub fn run(self) -> Outcome {
        self.start().wait()
    }

    /// Begins to deliver.
    #[must_use]
    pub fn start(self) -> Running {
        let mut command = self.command();
        command.current_dir("/").env_clear().envs(self.environment);
        // Where `make coverage` counts; not set otherwise.
        command.envs(std::env::var_os(COUNTERS).map(|file| (COUNTERS, file)));
        command.stdout(self.stdout.open()).stderr(Stdio::piped());
        let (stdin, feed) = self.message.open();
        command.stdin(stdin);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        // The command holds our copies of the descriptors until here.
        drop(command);
        if let Some((mut pipe, bytes)) = feed {
            // Ends by itself: at the last byte, or when the program goes away without reading.
            std::thread::spawn(move || pipe.write_all(&bytes));
        }
        Running::of(child)
    }

    /// The program and what leads to it. Every step replaces itself by the next, so that the process
    /// started is the program.
    fn command(&self) -> Command {
        let mut words: Vec<OsString> = self.identity.steps().into_iter().map(OsString::from).collect();
        let closes = match (&self.message, self.stdout) {
            (Message::Closed, Stdout::Closed) => Some("<&- >&-"),
            (Message::Closed, _) => Some("<&-"),
            (_, Stdout::Closed) => Some(">&-"),
            _ => None,
        };
        if let Some(redirections) = closes {
            words.extend(["/bin/sh", "-c", &format!("exec \"$@\" {redirections}"), "sh"].map(OsString::from));
        }
        words.push(install(&self.program, self.identity).into_os_string());
        words.extend(self.arguments.iter().cloned());
        let (first, rest) = words.split_first().expect("the program is a word");
        let mut command = Command::new(first);
        command.args(rest);
        command
    }
}

impl Identity {
    fn steps(self) -> Vec<String> {
        let (uid, gid) = match self {
            Identity::Root => return Vec::new(),
            Identity::Qmailr => (QMAILR_UID, QMAIL_GID),
            Identity::Courier | Identity::SetgidKeys => (COURIER, COURIER),
        };
        let ids =
            |user: &str, group: &str| [format!("{user}={uid}"), format!("{group}={gid}"), "--".to_owned()];
        if mapped_uids() > 1 {
            let setpriv = [program("setpriv"), "--clear-groups".to_owned()];
            return setpriv.into_iter().chain(ids("--reuid", "--regid")).collect();
        }
        // There is only one user: give it another name. It stays the owner of all files, and has no
        // power over the network any more.
        assert!(self != Identity::SetgidKeys, "set-group-id needs Needs::ManyUids; ask world.require first");
        let unshare = [program("unshare"), "--user".to_owned()];
        unshare.into_iter().chain(ids("--map-user", "--map-group")).collect()
    }
}

/// The path of a program of the system, which does not depend on the delivery's environment.
fn program(name: &str) -> String {
    programs::find(name).unwrap_or_else(|| panic!("no program `{name}`")).display().to_string()
}

impl Stdout {
    fn open(self) -> Stdio {
        match self {
            Stdout::Captured => Stdio::piped(),
            Stdout::Closed => Stdio::null(),
            Stdout::Full => File::options().write(true).open("/dev/full").expect("/dev/full").into(),
            Stdout::Unread => std::io::pipe().expect("pipe without a reader").1.into(),
        }
    }
}

pub(crate) fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Puts the program where every user reaches it: `/var/qmail/bin`, under its own name if that is free.
fn install(program: &Path, identity: Identity) -> PathBuf {
    let original = fs::metadata(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let name = program.file_name().expect("a program has a name");
    let directory = Path::new("/var/qmail/bin");
    if identity == Identity::SetgidKeys {
        let target = directory.join(format!("setgid-{}", serial())).join(name);
        crate::world::make_directory(target.parent().expect("directory of the copy"), 0o755);
        fs::copy(program, &target).expect("copy of the program");
        chown(&target, None, Some(KEYS_GID)).expect("group of the copy");
        set_mode(&target, 0o2755);
        return target;
    }
    let mut target = directory.join(name);
    loop {
        match fs::metadata(&target) {
            Ok(there) if (there.dev(), there.ino()) == (original.dev(), original.ino()) => return target,
            Ok(_) => target = directory.join(format!("{}-{}", name.display(), serial())),
            Err(_) => break,
        }
    }
    assert!(original.mode() & 0o5 == 0o5, "{} must be executable for all users", program.display());
    File::create(&target).expect("place for the program; deliveries run inside a world");
    bind(program, &target);
    target
}
