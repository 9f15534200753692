//! Documents that say what the code says: tables that are made from it, and names of tests and files that must be there.
//!
//! After a change, `WRITE_DOCUMENTS=1 cargo test --test documents -- --test-threads=1` writes the tables anew; the words
//! around them are people's.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "test support: a failed step must stop the test with its cause"
)]

mod administrators;
mod conversation;
mod dependencies;
mod figures;
mod protections;
mod references;
mod syscalls;
mod unsafe_blocks;

use std::fs;
use std::path::{Path, PathBuf};

/// The workspace.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below these directories whose names end so, relative to the root, sorted.
fn files(directories: &[&str], end: &str) -> Vec<String> {
    let mut waiting: Vec<PathBuf> = directories.iter().map(|directory| root().join(directory)).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_str().unwrap().ends_with(end) {
            found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing in {directories:?}");
    found
}

/// The part of a document between `<!-- NAME -->` and `<!-- end -->`.
fn marked<'a>(document: &'a str, name: &str) -> (&'a str, &'a str, &'a str) {
    let start = format!("<!-- {name} -->\n");
    let (before, rest) = document.split_once(&start).unwrap_or_else(|| panic!("no mark {start}"));
    let (table, _) = rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("no end of {name}"));
    let begin = before.len() + start.len();
    (&document[..begin], table, &document[begin + table.len()..])
}

/// Stops the test unless the document has exactly this table at its mark; or writes it there, when told to.
fn assert_table(path: &str, name: &str, expected: &str) {
    let document = read(path);
    let (before, _, after) = marked(&document, name);
    assert_written(path, &[before, expected, after].concat());
}

/// Stops the test unless the document is exactly this; or writes it, when told to.
fn assert_written(path: &str, expected: &str) {
    let document = read(path);
    if document == expected {
        return;
    }
    if std::env::var_os("WRITE_DOCUMENTS").is_some() {
        return fs::write(root().join(path), expected).unwrap();
    }
    let missing = |of: &str, among: &str, sign: &str| {
        let lines = of.lines().filter(|line| !among.lines().any(|other| other == *line));
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    let differences = missing(expected, &document, "+") + &missing(&document, expected, "-");
    panic!("{path}: not as the code has it. WRITE_DOCUMENTS=1 writes it.\n{differences}");
}
