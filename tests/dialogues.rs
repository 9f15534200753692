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
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let dialogue = fs::read_to_string(&path)?;
            let dialogue =
                Dialogue::parse(&dialogue).map_err(|error| format!("{}: {error}", path.display()))?;
            let is_lock_step_only = LOCK_STEP_ONLY.contains(&name.as_str());
            let forms = [("pipelined", dialogue.pipelined()), ("chunked", dialogue.chunked())];
            for (form, dialogue) in forms {
                let Some(dialogue) = dialogue.filter(|_| !is_lock_step_only) else { continue };
                let (name, path) = (format!("{name}-{form}"), path.clone());
                trials.push(Trial::test(name.clone(), move || play(&name, &path, &dialogue)));
            }
            trials.push(Trial::test(name.clone(), move || play(&name, &path, &dialogue)));
        }
    }
    // The order of a directory is nobody's order.
    trials.sort_by(|one, other| one.name().cmp(other.name()));
    libtest_mimic::run(&arguments, trials).exit()
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
