//! The world as a test sees it: control files, scratch files, users, and what this machine can do.
//!
//! Made by [`in_world`](crate::in_world) alone. `/var` is a private tmpfs; everything in it goes away
//! with the test.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use crate::{exim, namespace, opensmtpd, programs};

/// The user of `qmail-rspawn`'s children.
pub const QMAILR_UID: u32 = 7996;
/// The group of `qmailr`.
pub const QMAIL_GID: u32 = 7990;
/// An ordinary user, and the group of the same name.
pub const COURIER: u32 = 7001;
/// The user and group that Exim runs as: their name is part of the program.
pub(crate) const EXIM: u32 = 7002;
/// The group of the set-group-id installation.
pub const KEYS_GID: u32 = 7997;

const PASSWD: &str = "qmailr:x:7996:7990::/var/qmail:/usr/sbin/nologin\n\
                      courier:x:7001:7001::/var/world:/usr/sbin/nologin\n\
                      Debian-exim:x:7002:7002::/var/tmp:/usr/sbin/nologin\n\
                      opensmtpd:x:7003:7003::/var/tmp:/usr/sbin/nologin\n\
                      opensmtpq:x:7004:7004::/var/tmp:/usr/sbin/nologin\n";
const GROUP: &str = "qmail:x:7990:\ncourier:x:7001:\nDebian-exim:x:7002:\nopensmtpd:x:7003:\nopensmtpq:x:7004:\n\
                     keys:x:7997:\n";
const RESOLV_CONF: &str = "nameserver 127.0.0.1\noptions trust-ad\n";

const CONTROL: &str = "/var/qmail/control";
const SCRATCH: &str = "/var/world/scratch";

/// What a test may need of the machine beyond namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// More than one user id: root outside, or an entry in `/etc/subuid`.
    ManyUids,
    /// IPv6.
    Ipv6,
    /// Postfix, with the user ids it runs under.
    Postfix,
    /// Exim, with the user ids it runs under.
    Exim,
    /// OpenSMTPD, with the user ids it runs under.
    OpenSmtpd,
    /// nsd, unbound, and the signing tools of ldns.
    NameServers,
    /// That a process may trace others of its user: Yama does not forbid it to all.
    Tracing,
    /// A program by its name.
    Program(&'static str),
}

/// A test's private machine.
#[derive(Debug)]
pub struct World {
    has_ipv6: bool,
}

impl World {
    /// Makes the fresh namespaces of this process into a world.
    pub(crate) fn furnish() -> World {
        furnish_var();
        let has_ipv6 = namespace::configure_network();
        World { has_ipv6 }
    }

    /// Writes the control file `name`.
    pub fn control(&self, name: &str, text: impl AsRef<[u8]>) {
        write_readable(&Path::new(CONTROL).join(name), text.as_ref());
    }

    /// Writes `NAME.cdb`, and waits for the tick of the kernel's clock that makes it younger than `NAME`.
    pub fn index(&self, name: &str, content: impl AsRef<[u8]>) {
        let text = fs::metadata(Path::new(CONTROL).join(name)).expect("the text of the index");
        let path = Path::new(CONTROL).join(format!("{name}.cdb"));
        write_readable(&path, content.as_ref());
        let index = fs::File::options().append(true).open(path).expect("index");
        let change = |file: &fs::Metadata| (file.ctime(), file.ctime_nsec());
        while change(&index.metadata().expect("times of the index")) <= change(&text) {
            index.set_modified(text.modified().expect("time of the text")).expect("time of the index");
        }
    }

    /// Where the control files are.
    #[must_use]
    pub fn control_directory(&self) -> PathBuf {
        PathBuf::from(CONTROL)
    }

    /// A directory for the test's own files, readable by all users.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        PathBuf::from(SCRATCH)
    }

    /// Writes a file into [`scratch`](World::scratch), readable by all users, and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.scratch().join(name);
        write_readable(&path, content.as_ref());
        path
    }

    /// Replaces the private `/etc/resolv.conf`, at first `nameserver 127.0.0.1` with `trust-ad`.
    pub fn resolv_conf(&self, text: &str) {
        fs::write("/etc/resolv.conf", text).expect("private /etc/resolv.conf");
    }

    /// Makes an empty `queue/lock/tcpto` that `qmailr` may write, and returns its path. Without it the
    /// product keeps no such table.
    pub fn tcpto(&self) -> PathBuf {
        let path = PathBuf::from("/var/qmail/queue/lock/tcpto");
        write_readable(&path, &[0; 1024]);
        if self.can(Needs::ManyUids) {
            chown(&path, Some(QMAILR_UID), Some(QMAIL_GID)).expect("owner of tcpto");
        }
        path
    }

    /// From now on nothing can bind to an IPv6 address that no interface has, as on a usual machine.
    /// Listeners bound before stay reachable. (IPv4 binds to all of `192.0.2.0/24` whatever this says,
    /// and to nothing else.)
    pub fn forbid_foreign_ipv6_binds(&self) {
        namespace::allow_foreign_ipv6_binds(false);
    }

    /// Whether the machine has what a test needs.
    #[must_use]
    pub fn can(&self, needs: Needs) -> bool {
        self.lacks(needs).is_none()
    }

    /// Ends the test as skipped when the machine lacks what it needs; where `CI` is set, as failed.
    pub fn require(&self, needs: Needs) {
        if let Some(reason) = self.lacks(needs) {
            namespace::skip(&reason);
        }
    }

    fn lacks(&self, needs: Needs) -> Option<String> {
        let lacks_program = |name: &&str| programs::find(name).is_none();
        let missing = |names: &[&str]| {
            names.iter().find(|name| lacks_program(name)).map(|name| format!("no program `{name}`"))
        };
        let not_unpacked = |program: &str| {
            let path = programs::unpacked(program);
            (!path.is_file()).then(|| format!("no program `{}`", path.display()))
        };
        match needs {
            Needs::ManyUids => (namespace::mapped_uids() < 65536)
                .then(|| "one user id only: no usable entry in /etc/subuid and /etc/subgid".to_owned()),
            Needs::Ipv6 => (!self.has_ipv6).then(|| "no IPv6".to_owned()),
            Needs::Postfix => self.lacks(Needs::ManyUids).or_else(|| missing(&["postconf", "postfix"])),
            Needs::Exim => self.lacks(Needs::ManyUids).or_else(|| not_unpacked(exim::PROGRAM)),
            Needs::OpenSmtpd => self.lacks(Needs::ManyUids).or_else(|| not_unpacked(opensmtpd::PROGRAM)),
            Needs::NameServers => missing(&["nsd", "unbound", "ldns-keygen", "ldns-signzone"]),
            Needs::Tracing => forbids_tracing(),
            Needs::Program(name) => missing(&[name]),
        }
    }
}

fn forbids_tracing() -> Option<String> {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?;
    (scope.trim() != "0").then(|| "no tracing: Yama forbids it".to_owned())
}

/// Writes a file of mode 644 whatever the umask says.
fn write_readable(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    set_mode(path, 0o644);
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("mode of {}: {error}", path.display()));
}

/// Makes a directory, and those above it, and sets its mode whatever the umask says.
pub(crate) fn make_directory(path: impl AsRef<Path>, mode: u32) {
    let path = path.as_ref();
    fs::create_dir_all(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    set_mode(path, mode);
}

fn furnish_var() {
    let kept = KeptDirectory::of_the_build();
    mount(Some("tmpfs"), "/var", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).expect("tmpfs on /var");
    for directory in ["qmail", "qmail/bin", "qmail/control", "qmail/queue", "qmail/queue/lock"] {
        make_directory(Path::new("/var").join(directory), 0o755);
    }
    for directory in ["lib", "spool", "log", "run", "cache", "world", "world/etc", "world/scratch"] {
        make_directory(Path::new("/var").join(directory), 0o755);
    }
    make_directory("/var/tmp", 0o1777);
    kept.iter().for_each(KeptDirectory::show_again);
    replace_file("/etc/passwd", &with_system_entries("/etc/passwd", PASSWD));
    replace_file("/etc/group", &with_system_entries("/etc/group", GROUP));
    replace_file("/etc/resolv.conf", RESOLV_CONF);
}

/// Our entries, then the system's of other names.
fn with_system_entries(file: &str, ours: &str) -> String {
    let name = |line: &str| line.split(':').next().map(str::to_owned);
    let taken: Vec<_> = ours.lines().map(name).collect();
    let system = fs::read_to_string(file).unwrap_or_default();
    let others = system.lines().filter(|line| !taken.contains(&name(line)));
    ours.lines().chain(others).flat_map(|line| [line, "\n"]).collect()
}

/// Hides the file `path` behind a private one.
fn replace_file(path: &str, text: &str) {
    let name = Path::new(path).file_name().expect("file name");
    let private = Path::new("/var/world/etc").join(name);
    write_readable(&private, text.as_bytes());
    bind(&private, Path::new(path));
}

/// Shows `source` at `target`, which exists.
pub(crate) fn bind(source: &Path, target: &Path) {
    mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .unwrap_or_else(|error| panic!("bind {} to {}: {error}", source.display(), target.display()));
}

/// A directory under `/var` that must stay visible: the build's own, when it is there.
struct KeptDirectory {
    path: PathBuf,
    handle: fs::File,
}

impl KeptDirectory {
    fn of_the_build() -> Vec<KeptDirectory> {
        let executable = std::env::current_exe().expect("path of this binary");
        // target/debug/deps/test: the binaries under test are one directory up.
        let builds = executable.ancestors().nth(2).map(Path::to_owned);
        [builds, std::env::current_dir().ok()]
            .into_iter()
            .flatten()
            .filter(|path| path.starts_with("/var") && path != Path::new("/var"))
            .map(|path| KeptDirectory {
                handle: fs::OpenOptions::new()
                    .read(true)
                    .custom_flags(nix::libc::O_PATH | nix::libc::O_DIRECTORY)
                    .open(&path)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
                path,
            })
            .collect()
    }

    fn show_again(&self) {
        fs::create_dir_all(&self.path).expect("directory to show the build at");
        bind(&PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_raw_fd())), &self.path);
    }
}
