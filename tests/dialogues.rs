//! Every file of `tests/dialogues/` is a test of its own, named after the file: the program against
//! servers that say and expect what the file says. `tests/dialogues/README.md` describes the format.

#![expect(clippy::panic, reason = "a dialogue that went otherwise must stop its trial with the differences")]

use std::error::Error;
use std::fs;
use std::path::Path;

use libtest_mimic::{Arguments, Failed, Trial};
use world::dialogue::Dialogue;

/// A reply that comes before its command is the answer to that command, when both are in one flight:
/// `pipelining-one-reply-too-many` is about that.
const LOCK_STEP_ONLY: &[&str] = &["early-reply-to-a-recipient"];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "txt") && may_be_wanted(&arguments, &name) {
            trials.extend(trials_of(&name, &path)?);
        }
    }
    // The order of a directory is nobody's order.
    trials.sort_by(|one, other| one.name().cmp(other.name()));
    libtest_mimic::run(&arguments, trials).exit()
}

/// Whether a trial of this file can be the one that is asked for: each runs in processes of its own, and to read all files
/// takes longer than to play one.
fn may_be_wanted(arguments: &Arguments, name: &str) -> bool {
    match &arguments.filter {
        Some(filter) if arguments.exact => filter.starts_with(name),
        _ => true,
    }
}

/// The file as it is, and its other forms.
fn trials_of(name: &str, path: &Path) -> Result<Vec<Trial>, Box<dyn Error>> {
    let dialogue = Dialogue::parse(&fs::read_to_string(path)?)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let is_lock_step_only = LOCK_STEP_ONLY.contains(&name);
    let forms = [("-pipelined", dialogue.pipelined()), ("-chunked", dialogue.chunked())];
    let forms = forms.into_iter().filter(|_| !is_lock_step_only);
    let all = forms.filter_map(|(form, dialogue)| Some((form, dialogue?))).chain([("", dialogue)]);
    Ok(all
        .map(|(form, dialogue)| {
            let (name, path) = (format!("{name}{form}"), path.to_owned());
            Trial::test(name.clone(), move || play(&name, &path, &dialogue))
        })
        .collect())
}

fn play(name: &str, path: &Path, dialogue: &Dialogue) -> Result<(), Failed> {
    world::in_world_named(name, |world| {
        let binary = Path::new(env!("CARGO_BIN_EXE_qmail-remote"));
        if let Err(differences) = dialogue.check(binary, world) {
            panic!("{}\n{differences}", path.display());
        }
    });
    Ok(())
}
