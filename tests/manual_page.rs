//! `docs/manual-page.md`: every test that it names exists, and every sentence has one.

use std::fs;
use std::path::Path;

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

#[test]
fn every_test_that_the_table_names_exists() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/manual-page.md")).unwrap();
    let is_row = |line: &&str| {
        line.starts_with("| ") && !line.starts_with("| what the page says") && !line.starts_with("|---")
    };
    let rows: Vec<&str> = text.lines().filter(is_row).collect();
    assert!(rows.len() > 50, "{} rows", rows.len());
    let faults: Vec<String> = rows.into_iter().flat_map(faults).collect();
    assert_eq!(faults, [""; 0]);
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
