//! The tables of `docs/`: every test that they name exists, no row is without one, and no sentence of the manual page and
//! no rule of `tlsdestinations` is without a row.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// How many sentences the page has, as the table numbers them.
const SENTENCES: usize = 194;

/// The rows of all tables of `docs/NAME`: what stands below a line of dashes.
fn rows(name: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let mut is_below = false;
    let mut rows = Vec::new();
    for line in fs::read_to_string(file).unwrap_or_default().lines() {
        if line.starts_with('|') && is_below {
            rows.push(line.to_owned());
        }
        is_below = line.starts_with("|-") || (is_below && line.starts_with('|'));
    }
    rows
}

/// What a row names that is not there, or that it names nothing.
fn faults(row: &str) -> Vec<String> {
    let tests: Vec<&str> = row.rsplit('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2).collect();
    if tests.is_empty() {
        return vec![format!("no test: {row}")];
    }
    tests.into_iter().filter(|test| !exists(test)).map(|test| format!("no such test: {test}")).collect()
}

/// Whether `dialogues/NAME`, or `FILE::FUNCTION`, is a test.
fn exists(test: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match test.split_once("::") {
        None => test.starts_with("dialogues/") && root.join(format!("tests/{test}.txt")).is_file(),
        Some((file, function)) => {
            let place =
                if file.starts_with("src/") { root.join(file) } else { root.join("tests").join(file) };
            let text = fs::read_to_string(place).unwrap_or_default();
            let declared = format!("fn {function}()");
            text.split("#[test]\n").skip(1).any(|rest| rest.trim_start().starts_with(&declared))
        }
    }
}

/// The sentences of a row, such as `3, 5–7`; none when its first cell says no such thing.
fn sentences(row: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in row.split('|').nth(1)?.trim().split(", ") {
        let (first, last) = part.split_once('–').unwrap_or((part, part));
        let number = |text: &str| text.parse::<usize>().ok();
        numbers.extend(number(first)?..=number(last)?);
    }
    Some(numbers)
}

/// What is wrong with the numbers of all rows.
fn unnumbered(rows: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for row in rows {
        match sentences(row) {
            Some(numbers) => seen.extend(numbers),
            None => wrong.push(format!("no sentence: {row}")),
        }
    }
    let expected: BTreeSet<usize> = (1..=SENTENCES).collect();
    wrong.extend(expected.symmetric_difference(&seen).map(|number| format!("sentence {number}")));
    wrong
}

#[test]
fn every_test_that_the_tables_name_exists() {
    for (table, least) in [("manual-page.md", 100), ("bad-input.md", 50), ("tls.md", 35), ("dane.md", 10)] {
        let rows = rows(table);
        assert!(rows.len() > least, "{} rows in {table}", rows.len());
        let faults: Vec<String> = rows.iter().flat_map(|row| faults(row)).collect();
        assert_eq!(faults, [""; 0], "{table}");
    }
}

#[test]
fn every_sentence_of_the_page_has_a_row() {
    assert_eq!(unnumbered(&rows("manual-page.md")), [""; 0]);
}

#[test]
fn a_missing_sentence_is_seen() {
    let numbers = |text: &str| format!("| {text} | words | `dialogues/accepted` |");
    let all = [numbers("1–61"), numbers("62–94, 97"), numbers("95, 96, 98–194, 1")];
    assert_eq!(unnumbered(&all), [""; 0]);
    assert_eq!(unnumbered(&all[1..]).len(), 60);
    for (more, wrong) in [("195", "sentence 195"), ("0", "sentence 0")] {
        assert_eq!(unnumbered(&[all.as_slice(), &[numbers(more)]].concat()), [wrong]);
    }
    for no_numbers in ["", "words", "1-3", "3–", "1,2"] {
        assert_eq!(unnumbered(&[all.as_slice(), &[numbers(no_numbers)]].concat()).len(), 1, "{no_numbers}");
    }
}

#[test]
fn each_of_the_twenty_rules_has_a_row() {
    let rows = rows("tls.md");
    let named = |number: &u8| rows.iter().any(|row| row.contains(&format!("({number})")));
    let missing: Vec<u8> = (0..=20).filter(|number| !named(number)).collect();
    assert_eq!(missing, [0; 0]);
}

#[test]
fn a_missing_test_is_seen() {
    let good =
        "| a | `dialogues/accepted`, `delivery.rs::root_delivers`, `src/args.rs::there_are_no_options` |";
    assert_eq!(faults(good), [""; 0]);
    for bad in [
        "| a | |",
        "| a | later |",
        "| `dialogues/accepted` | |",
        "| a | `dialogues/nothing` |",
        "| a | `delivery.rs` |",
        "| a | `delivery.rs::root_delivers_nothing` |",
        "| a | `delivery.rs::usual_dns` |",
        "| a | `nothing.rs::root_delivers` |",
    ] {
        assert_eq!(faults(bad).len(), 1, "{bad}");
    }
}
