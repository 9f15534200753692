//! tests/audit/protections/: every attempt of docs/threat-model.md has an entry there, and what the entry takes out is in the
//! sources. That the tests notice is seen by `make protections`.

use std::collections::{BTreeMap, BTreeSet};

use crate::references::{rows_with_proofs, tests};
use crate::{files, read, root};

/// The attempts of the document: the first columns of its tables of proofs.
fn attempts(document: &str) -> BTreeSet<&str> {
    rows_with_proofs(document).filter_map(|row| row.split('|').nth(1)).map(str::trim).collect()
}

/// Whether this place has a test of this name; a dialogue is a place without one.
fn is_proof(proof: &str, tests: &BTreeMap<String, Vec<String>>) -> bool {
    match proof.split_once(' ') {
        Some((place, name)) => tests.get(name).is_some_and(|places| places.iter().any(|it| it == place)),
        None => proof.starts_with("tests/dialogues/") && root().join(proof).is_file(),
    }
}

fn content(file: &str) -> String {
    if root().join(file).is_file() { read(file) } else { String::new() }
}

/// What is wrong with an entry's lines.
fn problems_of(entry: &str, tests: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let (mut file, mut proofs, mut taken_out, mut waits) = (String::new(), 0, 0, false);
    let mut problems = Vec::new();
    let mut problem = |line: &str, what: &str| problems.push(format!("{what}: {line}"));
    for line in entry.lines() {
        let (word, text) = line.split_once(' ').unwrap_or((line, ""));
        if waits != (word == "+") {
            problem(line, "not one line of + for each of -");
        }
        waits = word == "-";
        match word {
            "attempt" => {}
            "none" if text.len() > 10 => (proofs, taken_out) = (1, 1),
            "proof" if is_proof(text, tests) => proofs += 1,
            "proof" => problem(line, "no such test"),
            "in" => file = content(text),
            "-" if file.matches(text).count() == 1 => taken_out += 1,
            "-" => problem(line, "not there once"),
            "+" => {}
            _ => problem(line, "no such word"),
        }
    }
    if proofs != 1 || taken_out == 0 || waits {
        problem(entry.lines().next().unwrap_or_default(), "not one proof, and something that is taken out");
    }
    problems
}

/// What is wrong with the entries for these attempts.
fn problems(data: &str, attempts: &BTreeSet<&str>) -> Vec<String> {
    let entries: Vec<&str> =
        data.split("\n\n").map(str::trim_end).filter(|entry| !entry.starts_with('#')).collect();
    let tests = tests();
    let of = |entry: &str| entry.lines().find_map(|line| line.strip_prefix("attempt ")).map(str::to_owned);
    let seen: BTreeSet<String> = entries.iter().filter_map(|entry| of(entry)).collect();
    let missing = attempts.iter().filter(|attempt| !seen.contains(**attempt));
    let unknown = entries.iter().filter(|entry| of(entry).is_none_or(|it| !attempts.contains(&*it)));
    let of_rows =
        missing.map(|it| format!("no entry: {it}")).chain(unknown.map(|it| format!("no row: {it}")));
    of_rows.chain(entries.iter().flat_map(|entry| problems_of(entry, &tests))).collect()
}

#[test]
fn every_attempt_says_how_its_protection_is_taken_out() {
    let document = read("docs/threat-model.md");
    let attempts = attempts(&document);
    assert!(attempts.len() > 50, "only {} attempts were found", attempts.len());
    let data = files(&["tests/audit/protections"], ".txt").iter().map(|file| read(file)).collect::<Vec<_>>();
    assert_eq!(problems(&data.join("\n"), &attempts), [""; 0]);
}

#[test]
fn an_entry_that_takes_nothing_out_is_seen() {
    let good = "attempt a\nproof tests/documents/protections.rs an_entry_that_takes_nothing_out_is_seen\n\
                in src/main.rs\n- qmail_remote::run(\n+\n\nattempt b\nnone because of the test\n";
    let attempts = BTreeSet::from(["a", "b"]);
    assert_eq!(problems(good, &attempts), [""; 0]);
    for (from, to) in [
        ("attempt b", "attempt c"),
        ("attempt a", "attempt b"),
        ("is_seen", "is_not_seen"),
        ("proof tests/documents/protections.rs", "proof tests/documents/main.rs"),
        ("protections.rs an_entry_that_takes_nothing_out_is_seen", "protections.rs"),
        ("proof ", "proofs "),
        ("src/main.rs", "src/no-such-file.rs"),
        ("run(", "run)"),
        ("qmail_remote::run(", "!"),
        ("+\n", ""),
        ("in src/main.rs\n- qmail_remote::run(\n+\n", ""),
        ("none because of the test\n", ""),
    ] {
        assert_ne!(problems(&good.replacen(from, to, 1), &attempts), [""; 0], "{from} to {to}");
    }
}
