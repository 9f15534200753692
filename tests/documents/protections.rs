//! tests/audit/protections/: every attempt of docs/threat-model.md has an entry there, its first proof is one's, and no entry
//! has a proof that its row does not name; what it takes out is in the sources. Of each row of SECURITY.md and of
//! docs/past-vulnerabilities.md the first proof is some entry's. That tests notice is seen by `make protections`.

use std::collections::BTreeMap;

use crate::references::{rows_with_proofs, spans, tests};
use crate::{files, read, root};

/// What the document's tables of proofs have in their first column, with the proofs in their last one.
type Attempts<'a> = BTreeMap<&'a str, Vec<&'a str>>;

fn attempts(document: &str) -> Attempts<'_> {
    let columns = rows_with_proofs(document).map(|row| row.trim_matches('|').split('|').map(str::trim));
    let mut rows = Attempts::new();
    for (row, proofs) in columns.filter_map(|mut it| Some((it.next()?, spans(it.next_back()?).collect()))) {
        assert!(rows.insert(row, proofs).is_none(), "twice: {row}");
    }
    rows
}

/// What stands behind this word on the first line of an entry that begins with it.
fn of<'a>(entry: &'a str, word: &str) -> Option<&'a str> {
    entry.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
}

/// The name of an entry's proof.
fn proof(entry: &str) -> Option<&str> {
    of(entry, "proof")?.split(' ').next_back()
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

/// Whether a row that names `span` has this proof of an entry: the test or the place itself, or a place among several.
fn names(span: &str, proof: &str) -> bool {
    let (place, test) = proof.split_once(' ').unwrap_or((proof, proof));
    match span.split_once('*') {
        Some((start, end)) => place.starts_with(start) && place.ends_with(end),
        None => span == test || span == place || span.ends_with('/') && place.starts_with(span),
    }
}

/// What is wrong with the entries for these attempts; of each of the `claims` an entry, of whatever attempt, has a proof.
fn problems(data: &str, attempts: &Attempts<'_>, claims: &Attempts<'_>) -> Vec<String> {
    let is_comment = |entry: &str| entry.lines().all(|line| line.starts_with('#'));
    let entries: Vec<&str> =
        data.split("\n\n").map(str::trim_end).filter(|entry| !is_comment(entry)).collect();
    let tests = tests();
    let mut problems = Vec::new();
    for (&attempt, proofs) in attempts {
        let mut here = entries.iter().filter(|entry| of(entry, "attempt") == Some(attempt));
        if !here.any(|entry| of(entry, "none").is_some() || proof(entry) == proofs.first().copied()) {
            problems.push(format!("no entry with the first proof: {attempt}"));
        }
    }
    for (claim, proofs) in claims {
        let mut all = entries.iter().filter_map(|entry| of(entry, "proof"));
        if !all.any(|proof| proofs.first().is_some_and(|span| names(span, proof))) {
            problems.push(format!("no entry has its first proof: {claim}"));
        }
    }
    for entry in entries {
        match of(entry, "attempt").and_then(|attempt| attempts.get(attempt).or_else(|| claims.get(attempt))) {
            None => problems.push(format!("no row: {entry}")),
            Some(proofs)
                if of(entry, "proof").is_some_and(|it| !proofs.iter().any(|span| names(span, it))) =>
            {
                problems.push(format!("the row does not name the proof: {entry}"));
            }
            Some(_) => {}
        }
        problems.extend(problems_of(entry, &tests));
    }
    problems
}

#[test]
fn every_attempt_says_how_its_protection_is_taken_out() {
    let document = read("docs/threat-model.md");
    let attempts = attempts(&document);
    assert!(attempts.len() > 50, "only {} attempts were found", attempts.len());
    let others = [read("SECURITY.md"), read("docs/past-vulnerabilities.md")];
    let mut claims = BTreeMap::new();
    for other in &others {
        let rows = self::attempts(other);
        assert!(rows.len() > 15, "only {} claims were found", rows.len());
        claims.extend(rows);
    }
    let data = files(&["tests/audit/protections"], ".txt").iter().map(|file| read(file)).collect::<Vec<_>>();
    let data = data.join("\n");
    assert_eq!(problems(&data, &attempts, &claims), [""; 0]);
    let count = data.lines().filter(|line| line.starts_with("proof ")).count();
    let told = format!("There are {count} now;");
    assert!(read("docs/assurance.md").contains(&told), "docs/assurance.md: {told}");
    let has_proof = |attempt: &str| data.contains(&format!("attempt {attempt}\nproof "));
    let unstopped = attempts.keys().filter(|attempt| !has_proof(attempt)).count();
    let unstopped = ["none", "one", "two", "three", "four", "five", "six"].get(unstopped).unwrap();
    for (document, attempts) in [
        ("docs/assurance.md", "Each attempt in [threat-model.md](threat-model.md)"),
        ("docs/assurance.md", "a test of each attempt"),
        ("docs/threat-model.md", "a test of each attempt"),
        ("SECURITY.md", "a test of each attempt"),
    ] {
        let told = format!("{attempts} but {unstopped}");
        assert!(read(document).contains(&told), "{document}: {told}");
    }
}

#[test]
fn an_entry_that_takes_nothing_out_is_seen() {
    let good = "# of\n# a file\n\nattempt a\nproof tests/documents/protections.rs an_entry_that_takes_nothing_out_is_seen\n\
                in src/main.rs\n- qmail_remote::run(\n+\n\nattempt b\nnone because of the test\n";
    let document = "| if | then | proof |\n|-|-|-|\n| a | x | [`an_entry_that_takes_nothing_out_is_seen`](x), `y` |\n\
                    | b | x | `z` |\n";
    let claim = "| if | then | proof |\n|-|-|-|\n| c | x | `tests/documents/`, `z` |\n";
    let found =
        |data: &str, document: &str, claim: &str| problems(data, &attempts(document), &attempts(claim));
    assert_eq!(found(good, document, claim), [""; 0]);
    assert_eq!(found(good, document, &claim.replace("documents/", "*tions.rs")), [""; 0]);
    for (from, to) in [
        ("# a file\n\nattempt a", "# a file\nattempt a"),
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
        assert_ne!(found(&good.replacen(from, to, 1), document, claim), [""; 0], "{from} to {to}");
    }
    for (from, to) in [("[`an_entry", "`y`, [`an_entry"), ("`an_entry", "`no_entry")] {
        assert_ne!(found(good, &document.replacen(from, to, 1), claim), [""; 0], "{from} to {to}");
    }
    for to in ["tests/no", "tests/*.txt"] {
        assert_ne!(found(good, document, &claim.replace("tests/documents/", to)), [""; 0], "{to}");
    }
}
