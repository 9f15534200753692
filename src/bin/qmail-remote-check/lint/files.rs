//! A control file as a whole: whether it can be read, who else can, and its index.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Group, User};
use qmail_remote::monitor::control::{ControlDirectory, HOME, indexed, is_no_older};
use qmail_remote::monitor::refusal::ACCOUNT;

use super::findings::{Listing, Place};

/// Where the control file `name` is.
pub(super) fn path(name: &str) -> PathBuf {
    Path::new(HOME).join("control").join(name)
}

/// A file cannot be used, and that has been said.
pub(super) struct Said;

/// The control file `name` as a delivery opens it; none when it is missing.
pub(super) fn open(
    control: &ControlDirectory,
    name: &str,
    listing: &mut Listing<'_>,
) -> Result<Option<File>, Said> {
    let place = Place::whole(name);
    let file = control.file(name).map_err(|_| {
        listing.error(place, &reason(&path(name)));
        Said
    })?;
    if file.is_some() {
        let problems = [unreadable_for_deliveries(&path(name)), writable_for_all(&path(name))];
        problems.iter().flatten().for_each(|problem| listing.error(place, problem));
    }
    Ok(file)
}

/// Why a file cannot be used, in words that follow its name.
pub(super) fn reason(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => "is a directory: a file is needed".to_owned(),
        Ok(found) if !found.is_file() => "is not a regular file".to_owned(),
        Ok(_) => match File::open(path) {
            Ok(_) => "cannot be read".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        },
        Err(error) if error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_ok() => {
            "is a link to nothing: remove it, or make its target".to_owned()
        }
        Err(error) => format!("cannot be read: {error}"),
    }
}

/// Whether every user of this machine may read the file.
pub(super) fn is_world_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

/// What to do about a file or directory that every user of this machine may change.
pub(super) fn writable_for_all(path: &Path) -> Option<String> {
    let found = fs::metadata(path).ok()?;
    (found.mode() & 0o002 != 0).then(|| format!("every user can change it: chmod o-w {}", path.display()))
}

/// What to do about a file that the account of deliveries cannot read. Asked of root alone, who can read everything and
/// would not notice; none where there is no such account.
pub(super) fn unreadable_for_deliveries(path: &Path) -> Option<String> {
    let account = account().filter(|_| nix::unistd::geteuid().is_root())?;
    let found = fs::metadata(path).ok()?;
    let right = match (found.uid() == account.uid.as_raw(), found.gid() == account.gid.as_raw()) {
        (true, _) => 0o400,
        (false, true) => 0o040,
        (false, false) => 0o004,
    };
    let private = private_for_deliveries(path);
    (found.mode() & right == 0).then(|| format!("{ACCOUNT} cannot read it, and runs deliveries: {private}"))
}

/// How a file is closed to all but the deliveries.
pub(super) fn private_for_deliveries(path: &Path) -> String {
    let group = account().and_then(|account| Group::from_gid(account.gid).ok()?).map(|group| group.name);
    let group = group.unwrap_or_else(|| format!("GROUP-OF-{ACCOUNT}"));
    let path = path.display();
    format!("chgrp {group} {path}; chmod 640 {path}")
}

fn account() -> Option<User> {
    User::from_name(ACCOUNT).ok().flatten()
}

/// A list that holds passwords, or its index, should not be readable for all.
pub(super) fn check_secrecy(name: &str, listing: &mut Listing<'_>) {
    for name in [name.to_owned(), format!("{name}.cdb")] {
        let path = path(&name);
        if is_world_readable(&path) {
            let text =
                format!("holds passwords and every user can read it: {}", private_for_deliveries(&path));
            listing.error(Place::whole(&name), &text);
        }
    }
}

/// Names in the control directory that are nearly those of our files, and what an interrupted `cdb` left.
pub(super) fn check_names(ours: &[&str], listing: &mut Listing<'_>) {
    let entries = fs::read_dir(path("")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    let near = |name: &str| name.to_ascii_lowercase().trim_end_matches('s').to_owned();
    for name in names {
        if let Some(meant) = ours.iter().find(|ours| **ours != name && near(ours) == near(&name)) {
            listing.warning(Place::whole(&name), &format!("is not read: its name would be {meant}"));
        } else if SECRET.iter().any(|list| is_copy_of(list, &name)) && is_world_readable(&path(&name)) {
            let text =
                "is a copy that may hold passwords, and every user can read it: remove it, or chmod o-r";
            listing.error(Place::whole(&name), text);
        } else if ours.iter().any(|ours| name.starts_with(&format!("{ours}.cdb.tmp."))) {
            let text = "is left of an interrupted qmail-remote-check cdb and may hold passwords: remove it";
            listing.warning(Place::whole(&name), text);
        }
    }
}

/// The lists that may hold passwords.
const SECRET: [&str; 4] = ["authsenders", "domaincerts", "qmtproutes", "smtproutes"];

/// Whether `name` is what editors and package managers call a copy of `list`.
fn is_copy_of(list: &str, name: &str) -> bool {
    let inside = name.trim_start_matches(['.', '#']);
    inside.strip_prefix(list).is_some_and(|rest| {
        (rest.starts_with(['~', '.', '-', '#', '_']) || (rest.is_empty() && inside != name))
            && !rest.starts_with(".cdb")
    })
}

/// The index of the list `name`, if there is one.
pub(super) fn check_index(control: &ControlDirectory, name: &str, listing: &mut Listing<'_>) {
    let index_name = format!("{name}.cdb");
    let place = Place::whole(&index_name);
    let Ok(Some(index)) = open(control, &index_name, listing) else {
        return;
    };
    let text = match control.file(name) {
        Ok(Some(text)) => text,
        // Said before, of the text.
        Err(_) => return,
        Ok(None) => {
            let text = format!("is not used without {name} beside it: write {name}, or remove the index");
            return listing.warning(place, &text);
        }
    };
    if let (Ok(index), Ok(text)) = (index.metadata(), text.metadata())
        && !is_no_older(&index, &text)
    {
        let text = format!(
            "is older than the last change of {name} and not used: run qmail-remote-check cdb {name}"
        );
        return listing.warning(place, &text);
    }
    if indexed::check(&index).is_err() {
        listing.error(place, &format!("is damaged: run qmail-remote-check cdb {name}"));
    }
}
