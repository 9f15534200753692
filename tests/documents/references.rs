//! What documents refer to is there: files, and tests by their names.

use std::collections::BTreeSet;

use crate::{files, read, root};

/// The documents that name proofs.
fn documents() -> Vec<String> {
    [files(&["docs"], ".md"), vec!["SECURITY.md".into(), "CONTRIBUTING.md".into(), "fuzz/README.md".into()]]
        .concat()
}

/// What stands between single backquotes on a line.
pub(crate) fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Parameters of other programs that look like sentences.
const NO_TESTS: [&str; 1] = ["smtp_tls_dane_insecure_mx_policy"];

/// Whether a span can only be the name of a test: a sentence of four words or more.
fn is_sentence(span: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|o| o.is_ascii_lowercase() || o.is_ascii_digit());
    span.split('_').count() >= 4 && span.split('_').all(is_word) && !NO_TESTS.contains(&span)
}

/// The names of all tests: functions behind `#[test]`, and those that a test program of its own lists.
pub(crate) fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files(&["src", "sandbox", "tests"], ".rs") {
        let text = read(&path);
        let mut after_test = false;
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("fn ").filter(|_| after_test) {
                names.insert(rest.split('(').next().unwrap_or_default().to_owned());
            }
            after_test = line == "#[test]" || after_test && line.starts_with("#[");
            // ("name", name),
            let listed = line.strip_prefix("(\"").and_then(|rest| rest.split_once("\", "));
            names.extend(
                listed.filter(|(name, rest)| rest.starts_with(name)).map(|(name, _)| name.to_owned()),
            );
        }
    }
    assert!(names.len() > 300, "only {} tests were found", names.len());
    names
}

/// Whether a span can only be a place in the tree.
fn is_place(span: &str) -> bool {
    let first = span.split('/').next().unwrap_or_default();
    span.contains('/')
        && ["src", "sandbox", "tests", "docs", "fuzz", "packaging", ".ci"].contains(&first)
        && !span.contains(['*', ' '])
        && !span.contains("NAME")
}

/// Whether what a span names is there: a test, a place, or a test in a place. Other spans name nothing.
fn leads_nowhere(span: &str, tests: &BTreeSet<String>) -> bool {
    let (place, test) = match span.split_once("::") {
        Some((place, test)) if is_place(place) => (place, Some(test)),
        _ => (span, None),
    };
    is_sentence(span) && !tests.contains(span)
        || is_place(place) && !root().join(place).exists()
        || test.is_some_and(|test| !read(place).contains(&format!("fn {test}()")))
}

/// References of a text that lead nowhere.
fn dangling(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    spans(text).filter(|span| leads_nowhere(span, tests)).map(str::to_owned).collect()
}

#[test]
fn what_documents_name_is_there() {
    let tests = tests();
    for document in documents() {
        assert_eq!(dangling(&read(&document), &tests), [""; 0], "{document}");
    }
}

#[test]
fn a_reference_that_leads_nowhere_is_seen() {
    let tests = tests();
    assert_eq!(
        dangling("| `what_documents_name_is_there` | `src/lib.rs`, `tests/world/` |", &tests),
        [""; 0]
    );
    assert_eq!(dangling("`no_test_has_this_name`", &tests), ["no_test_has_this_name"]);
    assert_eq!(dangling("`tests/documents/references.rs::what_documents_name_is_there`", &tests), [""; 0]);
    assert_eq!(
        dangling("`tests/documents/main.rs::no_such_test` `std::fs`", &tests),
        ["tests/documents/main.rs::no_such_test"]
    );
    assert_eq!(dangling("`tests/no-such-file.txt` `a_b`", &tests), ["tests/no-such-file.txt"]);
}

/// Every row of these documents' tables names a proof.
#[test]
fn every_claim_names_its_proof() {
    let tests = tests();
    for document in ["docs/past-vulnerabilities.md"] {
        let text = read(document);
        let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| -"));
        let mut count = 0;
        for row in rows.filter(|row| !row.ends_with("| proof |")) {
            let proof = row.rsplit('|').nth(1).unwrap_or_default();
            let is_proof = |span: &str| tests.contains(span) || is_place(span) && root().join(span).exists();
            assert!(spans(proof).any(is_proof), "{document}: no proof: {row}");
            count += 1;
        }
        assert!(count > 10, "{document} has {count} rows");
    }
}
