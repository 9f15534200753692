//! What documents refer to is there: files, and tests by their names.

use std::collections::BTreeMap;

use crate::{assert_written, files, read, root};

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

/// All tests, and the files they are in: functions behind `#[test]`, and those that a test program of its own lists.
pub(crate) fn tests() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let texts: Vec<_> =
        files(&["src", "sandbox", "tests"], ".rs").into_iter().map(|it| (read(&it), it)).collect();
    // A program may list what another of its files has.
    let home_of = |name: &str, list: &str| {
        let program = list.rsplit_once('/').map_or("", |(directory, _)| directory);
        let has = |(text, path): &&(String, String)| {
            path.starts_with(program) && text.contains(&format!("fn {name}("))
        };
        texts.iter().find(has).map_or(list, |(_, path)| path).to_owned()
    };
    for (text, path) in &texts {
        let (mut after_test, mut line_before) = (false, "");
        for line in text.lines().map(str::trim) {
            let function =
                line.strip_prefix("fn ").filter(|_| after_test).and_then(|rest| rest.split_once('('));
            after_test = line == "#[test]" || after_test && line.starts_with("#[");
            // ("name", name), on one line or on two.
            let in_two = line_before.strip_prefix('"').and_then(|name| name.strip_suffix("\","));
            let in_one = line.strip_prefix("(\"").and_then(|rest| rest.split_once("\", "));
            let listed = in_one.or(in_two.map(|name| (name, line)));
            line_before = line;
            let listed = listed.filter(|(name, rest)| name.contains('_') && rest.starts_with(name));
            let here = function.map(|(name, _)| (name, path.clone()));
            let elsewhere = listed.map(|(name, _)| (name, home_of(name, path)));
            for (name, place) in here.into_iter().chain(elsewhere) {
                found.entry(name.to_owned()).or_default().push(place);
            }
        }
    }
    assert!(found.len() > 300, "only {} tests were found", found.len());
    found
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
fn leads_nowhere(span: &str, tests: &BTreeMap<String, Vec<String>>) -> bool {
    let (place, test) = match span.split_once("::") {
        Some((place, test)) if is_place(place) => (place, Some(test)),
        _ => (span, None),
    };
    is_sentence(span) && !tests.contains_key(span)
        || is_place(place) && !root().join(place).exists()
        || test.is_some_and(|test| !read(place).contains(&format!("fn {test}()")))
}

/// References of a text that lead nowhere.
fn dangling(text: &str, tests: &BTreeMap<String, Vec<String>>) -> Vec<String> {
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

/// The documents that an auditor reads: a test that they name is one click away.
const LINKED: [&str; 7] = [
    "SECURITY.md",
    "docs/assurance.md",
    "docs/ipc.md",
    "docs/past-vulnerabilities.md",
    "docs/syscalls.md",
    "docs/threat-model.md",
    "docs/unsafe.md",
];

/// Where a name in backquotes leads, seen from the root; `old` is where it has led so far. Of a test that several files have,
/// that must be one of them.
fn target<'a>(span: &'a str, old: Option<&str>, tests: &'a BTreeMap<String, Vec<String>>) -> Option<&'a str> {
    match tests.get(span).map(Vec::as_slice) {
        Some([only]) => Some(only),
        Some(several) => {
            let chosen = several.iter().find(|path| old.is_some_and(|old| old.ends_with(*path)));
            Some(chosen.unwrap_or_else(|| panic!("link `{span}` to one of {several:?}")))
        }
        None => Some(span).filter(|span| is_place(span)),
    }
}

/// A document with each test and each place that it names linked to where it is; `up` leads from there to the root.
fn with_links(text: &str, up: &str, tests: &BTreeMap<String, Vec<String>>) -> String {
    let (mut rest, mut linked) = (text, String::new());
    while let Some((before, after)) = rest.split_once('`') {
        let (span, after) = after.split_once('`').unwrap_or_else(|| panic!("one backquote: {after}"));
        let old = after.strip_prefix("](").and_then(|link| link.split_once(')'));
        let old = old.filter(|_| before.ends_with('['));
        match target(span, old.map(|(old, _)| old), tests) {
            Some(target) => {
                let before = before.strip_suffix('[').filter(|_| old.is_some()).unwrap_or(before);
                linked += &format!("{before}[`{span}`]({up}{target})");
                rest = old.map_or(after, |(_, after)| after);
            }
            None => {
                linked += &format!("{before}`{span}`");
                rest = after;
            }
        }
    }
    linked + rest
}

#[test]
fn every_proof_is_linked_to_where_it_is() {
    let tests = tests();
    for document in LINKED {
        let up = if document.contains('/') { "../" } else { "" };
        assert_written(document, &with_links(&read(document), up, &tests));
    }
}

#[test]
fn a_link_to_another_place_is_mended() {
    let tests = tests();
    let (name, place) = ("every_proof_is_linked_to_where_it_is", "tests/documents/references.rs");
    let right = format!("see [`{name}`](../{place}), `a_b`");
    for text in
        [format!("see `{name}`, `a_b`"), format!("see [`{name}`](../tests/x.rs), `a_b`"), right.clone()]
    {
        assert_eq!(with_links(&text, "../", &tests), right);
    }
    let several = "[`the_examples_of_the_manual_page`](src/monitor/control/authsenders.rs)";
    assert_eq!(with_links(several, "", &tests), several);
    assert_eq!(with_links("`docs/ipc.md`", "", &tests), "[`docs/ipc.md`](docs/ipc.md)");
}

/// The rows of a document's tables whose last column is the proof.
pub(crate) fn rows_with_proofs(text: &str) -> impl Iterator<Item = &str> {
    let mut has_proofs = false;
    text.lines().filter(move |line| {
        has_proofs = line.starts_with('|') && (has_proofs || line.ends_with("| proof |"));
        has_proofs && !line.ends_with("| proof |") && !line.starts_with("|-")
    })
}

/// What a fallen child can still do names, for each, a test of where that ends.
#[test]
fn every_power_of_a_fallen_child_names_a_test() {
    let (tests, document) = (tests(), read("SECURITY.md"));
    let (_, section) = document.split_once("\n## What a fallen child can still do\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let powers: Vec<_> = section.split("\n- ").skip(1).collect();
    assert!(powers.len() >= 9, "{powers:?}");
    for power in powers {
        assert!(spans(power).any(|span| tests.contains_key(span)), "no test: {power}");
    }
}

/// Every row of these documents' tables names a proof, and nothing that is none.
#[test]
fn every_claim_names_its_proof() {
    let tests = tests();
    for document in ["SECURITY.md", "docs/past-vulnerabilities.md", "docs/threat-model.md"] {
        let text = read(document);
        let mut count = 0;
        for row in rows_with_proofs(&text) {
            let proof = row.rsplit('|').nth(1).unwrap_or_default();
            let is_proof =
                |span: &str| tests.contains_key(span) || is_place(span) && root().join(span).exists();
            assert!(spans(proof).any(is_proof), "{document}: no proof: {row}");
            let has_file = |(start, end): (&str, &str)| {
                let (place, start) = start.rsplit_once('/').unwrap_or(("", start));
                let mut all =
                    std::fs::read_dir(root().join(place)).unwrap().map(|file| file.unwrap().file_name());
                all.any(|name| {
                    name.to_str().is_some_and(|name| name.starts_with(start) && name.ends_with(end))
                })
            };
            let is_none = |span: &&str| !is_proof(span) && !span.split_once('*').is_some_and(has_file);
            assert_eq!(spans(proof).find(is_none), None, "{document}: {row}");
            count += 1;
        }
        assert!(count > 10, "{document} has {count} rows");
    }
}
