//! docs/unsafe.md: every unsafe block, the function it is in, and the test that runs it. A new one must be decided.

use crate::{assert_table, files, read};

/// The name of a function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let begins =
        before.split_whitespace().all(|word| word.starts_with("pub") || word == "unsafe" || word == "const");
    begins.then(|| after.split(['(', '<']).next().unwrap_or_default())
}

/// File, function, and how many unsafe blocks, in the order of the sources. Tests are left out: each file with such blocks
/// ends with them, or has them elsewhere.
fn inventory() -> Vec<(String, String, usize)> {
    let mut found: Vec<(String, String, usize)> = Vec::new();
    for path in files(&["src", "sandbox/src"], ".rs") {
        let text = read(&path);
        let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
        let mut current = String::new();
        for line in code.lines().map(|line| line.split("//").next().unwrap_or_default()) {
            if let Some(name) = function(line) {
                current = name.to_owned();
            }
            let blocks = line.matches("unsafe {").count()
                + line.matches("unsafe fn ").count()
                + line.matches("unsafe impl ").count();
            match found.last_mut() {
                Some((file, name, count)) if *file == path && *name == current => *count += blocks,
                _ if blocks > 0 => found.push((path.clone(), current.clone(), blocks)),
                _ => {}
            }
        }
    }
    found
}

/// The tests of the files with unsafe code that mention a function, from the file itself or beside it.
fn tests_of(path: &str, name: &str) -> Vec<String> {
    let beside = format!("{}/tests.rs", path.trim_end_matches(".rs"));
    let mut found = Vec::new();
    for place in files(&["src", "sandbox/src"], ".rs") {
        let text = read(&place);
        let tests = match place == beside || place == path {
            true if place == beside => text.as_str(),
            true => text.split_once("\n#[cfg(test)]").map_or("", |(_, tests)| tests),
            false => continue,
        };
        for test in tests.split("#[test]").skip(1) {
            let called = format!("{name}(");
            let is_called = test
                .match_indices(&called)
                .any(|(at, _)| !test[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
            if is_called {
                let (_, rest) = test.split_once("fn ").unwrap();
                found.push(rest.split('(').next().unwrap_or_default().to_owned());
            }
        }
    }
    found
}

#[test]
fn every_unsafe_block_is_listed_with_its_test() {
    let mut rows = "\n| file | function | blocks | tests |\n|---|---|---|---|\n".to_owned();
    for (path, name, count) in inventory() {
        let tests = tests_of(&path, &name);
        // `_exit` is what the tests of other calls end with, in processes of their own.
        assert!(!tests.is_empty() || name == "leave", "{path}: {name} has unsafe code and no test");
        let tests: Vec<String> = tests.iter().map(|test| format!("`{test}`")).collect();
        rows += &format!("| {path} | {name} | {count} | {} |\n", tests.join(", "));
    }
    assert_table("docs/unsafe.md", "blocks", &(rows + "\n"));
}
