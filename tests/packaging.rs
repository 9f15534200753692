//! What `make install` puts where, that it can be taken back, and where the version stands.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test support: a failed step must stop the test with its cause"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use world::programs::run;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// `make VERB` for the programs of this build, with `destination` as DESTDIR and further settings.
fn run_make(verb: &str, destination: &Path, settings: &[&str]) -> Output {
    let release = Path::new(env!("CARGO_BIN_EXE_qmail-remote")).parent().unwrap();
    let setting = |name: &str, value: &Path| format!("{name}={}", value.display());
    Command::new("make")
        .args([verb, &setting("DESTDIR", destination), &setting("RELEASE", release), "PREFIX=/usr"])
        .args(settings)
        .current_dir(root())
        .env_remove("MAKEFLAGS")
        .output()
        .unwrap()
}

fn make(verb: &str, destination: &Path) {
    let output = run_make(verb, destination, &["QMAILHOME=/var/qmail", "KEYGROUP="]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// All files below `directory`, with their modes.
fn files(directory: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = Path::new("/").join(path.strip_prefix(directory).unwrap());
            found.insert(name, kind.permissions().mode() & 0o7777);
        }
    }
    found
}

/// `directory`, and all below it.
fn directories(directory: &Path) -> BTreeSet<PathBuf> {
    let found = run(Command::new("find").arg(directory).args(["-type", "d"]));
    String::from_utf8(found).unwrap().lines().map(|line| line.trim_end_matches('/').into()).collect()
}

fn layout() -> BTreeMap<PathBuf, u32> {
    let list = read("packaging/install-layout.txt");
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut fields = line.split_whitespace();
            let mode = u32::from_str_radix(fields.next().unwrap(), 8).unwrap();
            assert_eq!(fields.next(), Some("root:root"), "{line}");
            let path =
                fields.next().unwrap().replace("BINDIR/", "/var/qmail/bin/").replace("PREFIX/", "/usr/");
            (path.into(), mode)
        })
        .collect()
}

#[test]
fn make_install_puts_what_the_layout_lists_and_uninstall_takes_all_of_it() {
    let place = tempfile::tempdir().unwrap();
    make("install", place.path());
    assert_eq!(files(place.path()), layout());
    // Ours over ours is no program to keep.
    make("install", place.path());
    assert_eq!(files(place.path()), layout());
    for _ in 0..2 {
        make("uninstall", place.path());
        assert_eq!(files(place.path()), BTreeMap::new());
        // Of the directories those that every system has.
        let left =
            ["", "usr", "usr/sbin", "usr/share", "usr/share/man", "var"].map(|name| place.path().join(name));
        assert_eq!(directories(place.path()), left.into_iter().collect());
    }
}

#[test]
fn the_program_that_was_there_is_kept_and_comes_back() {
    let place = tempfile::tempdir().unwrap();
    let bin = place.path().join("var/qmail/bin");
    fs::create_dir_all(&bin).unwrap();
    let program = bin.join("qmail-remote");
    fs::write(&program, "another").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o711)).unwrap();
    let kept = || fs::read_to_string(bin.join("qmail-remote.orig")).ok();
    for _ in 0..2 {
        make("install", place.path());
        assert_eq!(kept().as_deref(), Some("another"));
        assert!(fs::read(&program).unwrap() != b"another");
    }
    // qmail was installed anew over ours: that is the one to go back to.
    fs::write(bin.join("new"), "newer").unwrap();
    fs::rename(bin.join("new"), &program).unwrap();
    make("install", place.path());
    assert_eq!(kept().as_deref(), Some("newer"));
    make("uninstall", place.path());
    assert_eq!((fs::read_to_string(&program).unwrap(), kept()), ("newer".to_owned(), None));
    // Not ours: left alone.
    make("uninstall", place.path());
    assert_eq!(fs::read_to_string(&program).unwrap(), "newer");
}

#[test]
fn no_program_beside_it_is_lost() {
    let place = tempfile::tempdir().unwrap();
    let bin = place.path().join("var/qmail/bin");
    fs::create_dir_all(&bin).unwrap();
    // As docs/migrating.md has it: a script that runs one or the other, and an original of an earlier time.
    for (name, text) in [("", "script"), (".orig", "older"), (".old", "old"), (".new", "trial")] {
        fs::write(bin.join(format!("qmail-remote{name}")), text).unwrap();
    }
    let is = |name: &str, text: &str| fs::read(bin.join(name)).is_ok_and(|found| found == text.as_bytes());
    for _ in 0..2 {
        make("install", place.path());
        assert!(is("qmail-remote.orig", "script") && is("qmail-remote.orig.~1~", "older"));
        assert!(is("qmail-remote.old", "old") && is("qmail-remote.new", "trial"));
        assert_eq!(fs::read_dir(&bin).unwrap().count(), 5);
    }
    make("uninstall", place.path());
    assert!(is("qmail-remote", "script") && is("qmail-remote.orig.~1~", "older"));
    assert!(is("qmail-remote.old", "old") && is("qmail-remote.new", "trial"));
}

#[test]
fn what_is_written_through_a_packages_link_does_not_keep_the_link() {
    let place = tempfile::tempdir().unwrap();
    // A package has the script beside the program.
    let [script, program] = ["put-in-place", "qmail-remote"].map(|name| place.path().join(name));
    fs::write(&script, read("packaging/put-in-place.sh")).unwrap();
    let ours = "The network process broke its protocol and was stopped";
    let target = place.path().join("bin/qmail-remote");
    fs::create_dir(place.path().join("bin")).unwrap();
    for (written, kept, left) in [
        (Some("qmail's"), Some("older"), Some("older")),
        (None, Some("older"), Some("older")),
        (Some("qmail's"), None, Some("qmail's")),
        (Some(ours), None, None),
    ] {
        std::os::unix::fs::symlink(&program, &target).unwrap();
        let orig = target.with_extension("orig");
        for (path, text) in [(&program, written), (&orig, kept)] {
            if let Some(text) = text {
                fs::write(path, text).unwrap();
            }
        }
        run(Command::new("sh").arg(&script).arg("back").arg(&target));
        assert_eq!(fs::read_to_string(&target).ok().as_deref(), left);
        assert!(!target.is_symlink() && !orig.exists());
        for path in [&program, &target] {
            let _ = fs::remove_file(path);
        }
    }
}

#[test]
fn an_installation_that_failed_leaves_what_qmail_runs_and_the_next_one_succeeds() {
    let place = tempfile::tempdir().unwrap();
    let bin = place.path().join("var/qmail/bin");
    fs::create_dir_all(&bin).unwrap();
    let program = bin.join("qmail-remote");
    fs::write(&program, "another").unwrap();
    let left = || {
        let names = fs::read_dir(&bin).unwrap().map(|entry| entry.unwrap().file_name());
        (fs::read_to_string(&program).ok(), names.collect::<Vec<_>>())
    };
    let untouched = (Some("another".to_owned()), vec!["qmail-remote".into()]);
    let output = run_make("install", place.path(), &["KEYGROUP=no-such-group"]);
    assert!(!output.status.success());
    assert_eq!(left(), untouched);
    // A directory that cannot be made, for the manual pages.
    make("uninstall", place.path());
    fs::write(place.path().join("usr/share/man/man8"), "").unwrap();
    assert!(!run_make("install", place.path(), &["KEYGROUP="]).status.success());
    assert_eq!(left(), untouched);
    // Cut short between its two steps.
    fs::remove_file(place.path().join("usr/share/man/man8")).unwrap();
    fs::hard_link(&program, bin.join("qmail-remote.orig")).unwrap();
    make("install", place.path());
    assert_eq!(fs::read_dir(&bin).unwrap().count(), 2);
    make("uninstall", place.path());
    assert_eq!(left(), untouched);
}

#[test]
fn programs_are_not_installed_for_a_home_that_they_do_not_know() {
    let place = tempfile::tempdir().unwrap();
    let output = run_make("install", place.path(), &["QMAILHOME=/usr/qmail"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("were built for /var/qmail: run make QMAILHOME=/usr/qmail\n"), "{said}");
    assert!(!output.status.success());
    assert_eq!(files(place.path()), BTreeMap::new());
    // Where the program lies is another question.
    let output = run_make("install", place.path(), &["BINDIR=/usr/lib/qmail-remote"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(place.path().join("usr/lib/qmail-remote/qmail-remote").exists());
}

#[test]
fn a_group_for_keys_makes_the_program_set_group_id() {
    let place = tempfile::tempdir().unwrap();
    // The own group: the one that everybody may give a file to.
    let group = fs::metadata(place.path()).unwrap().gid();
    let output = run_make("install", place.path(), &[&format!("KEYGROUP={group}")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let program = fs::metadata(place.path().join("var/qmail/bin/qmail-remote")).unwrap();
    assert_eq!((program.mode() & 0o7777, program.gid()), (0o2755, group));
}

#[test]
fn the_version_is_that_of_the_changelog_and_stands_nowhere_else() {
    let version = env!("CARGO_PKG_VERSION");
    let printed = run(Command::new("packaging/version.sh").current_dir(root()));
    assert_eq!(String::from_utf8_lossy(&printed), format!("{version}\n"));
    let packaging = root().join("packaging");
    let with_version = |name: &PathBuf| {
        let text = fs::read_to_string(packaging.join(name.strip_prefix("/").unwrap())).unwrap();
        text.contains(version)
    };
    let names: Vec<_> = files(&packaging).into_keys().filter(with_version).collect();
    assert_eq!(names, [""; 0].map(PathBuf::from));
}
