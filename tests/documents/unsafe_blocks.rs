//! docs/unsafe.md: every unsafe block, the function it is in, and the tests that run it. The first three columns are made
//! from the sources; the tests are named by people: a new block must be decided.

use std::collections::HashMap;

use crate::references::{spans, tests};
use crate::{assert_table, files, marked, read};

const DOCUMENT: &str = "docs/unsafe.md";

/// What a line begins: the type of an `impl` with its closing brace to come, what is declared of others, or a function.
enum Begins<'a> {
    Type(&'a str),
    Function(&'a str),
}

/// A block of declarations of what is not Rust's: its signatures are trusted.
const FOREIGN: &str = "unsafe extern \"C\" {";

fn begins(line: &str) -> Option<Begins<'_>> {
    if let Some(head) = line.strip_prefix("impl").or_else(|| line.strip_prefix("unsafe impl")) {
        let head = head.trim_end_matches([' ', '{', '}']);
        let (_, kind) = head.rsplit_once(" for ").or_else(|| head.rsplit_once(' '))?;
        return Some(Begins::Type(kind.split('<').next().unwrap_or_default()));
    }
    if line.starts_with(FOREIGN) {
        return Some(Begins::Type("declarations"));
    }
    let (before, after) = line.trim_start().split_once("fn ")?;
    let known = ["const", "unsafe", "extern", "\"C\""];
    let is_head = before.split_whitespace().all(|word| word.starts_with("pub") || known.contains(&word));
    let is_head = is_head || before.starts_with("pub(in");
    is_head.then(|| Begins::Function(after.split(['(', '<']).next().unwrap_or_default()))
}

/// File, function, and how many unsafe blocks, in the order of the sources. Tests are left out: each file with such blocks
/// ends with them, or has them elsewhere.
fn inventory<'a>(sources: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String, usize)> {
    let mut found: Vec<(String, String, usize)> = Vec::new();
    for (path, text) in sources {
        let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
        let (mut kind, mut current) = ("", String::new());
        for line in code.lines().map(|line| line.split("//").next().unwrap_or_default()) {
            match begins(line) {
                Some(Begins::Type(name)) => (kind, current) = (name, name.to_owned()),
                Some(Begins::Function(name)) if line.starts_with(' ') && !kind.is_empty() => {
                    current = format!("{kind}::{name}");
                }
                Some(Begins::Function(name)) => current = name.to_owned(),
                None => {}
            }
            let blocks =
                ["unsafe {", "unsafe impl", FOREIGN].iter().map(|it| line.matches(it).count()).sum::<usize>();
            match found.last_mut() {
                Some((file, name, count)) if *file == path && *name == current => *count += blocks,
                _ if blocks > 0 => found.push((path.to_owned(), current.clone(), blocks)),
                _ => {}
            }
            // Where nothing is indented an `impl` ends.
            if line.ends_with('}') && !line.starts_with(' ') {
                kind = "";
            }
        }
    }
    found
}

#[test]
fn every_unsafe_block_is_listed_with_its_test() {
    let document = read(DOCUMENT);
    let (_, table, _) = marked(&document, "blocks");
    let named: HashMap<&str, &str> = table
        .lines()
        .filter_map(|line| line.strip_suffix(" |")?.rsplit_once(" | "))
        .filter_map(|(row, proof)| Some((row.rsplit_once(" | ")?.0, proof)))
        .collect();
    let tests = tests();
    let sources: Vec<_> =
        files(&["src", "sandbox/src"], ".rs").into_iter().map(|path| (read(&path), path)).collect();
    let mut rows = "\n| file | function | blocks | tests |\n|---|---|---|---|\n".to_owned();
    let mut undecided = Vec::new();
    for (path, name, count) in inventory(sources.iter().map(|(text, path)| (path.as_str(), text.as_str()))) {
        let row = format!("| [`{path}`](../{path}) | {name}");
        let proof = named.get(row.as_str()).copied().unwrap_or_default();
        if !spans(proof).any(|span| tests.contains_key(span)) {
            undecided.push(row.clone());
        }
        rows += &format!("{row} | {count} | {proof} |\n");
    }
    assert_table(DOCUMENT, "blocks", &(rows + "\n"));
    assert_eq!(undecided, [""; 0], "{DOCUMENT}: name a test that runs it");
}

#[test]
fn an_unsafe_block_is_seen_wherever_it_is() {
    let text = "\
fn a() {
    unsafe { x() };
    unsafe { y() }
}
impl<T> Drop for B<T> {
    fn drop(&mut self) {
        let none = \"// unsafe { } in a comment\";
        unsafe { z() }
    }
}
unsafe impl Sync for C {}
unsafe extern \"C\" {
    fn e() -> u8;
    safe fn f();
}
pub(in crate::x) fn d<T>() {
    unsafe fn inner() {
        unsafe { w() }
    }
    fn another() {
        unsafe extern \"C\" {
            safe fn g();
        }
    }
}
#[cfg(test)]
mod tests { fn e() { unsafe { v() } } }
";
    let found = inventory([("x.rs", text)].into_iter());
    let found: Vec<_> = found.iter().map(|(_, name, count)| (name.as_str(), *count)).collect();
    assert_eq!(
        found,
        [("a", 2), ("B::drop", 1), ("C", 1), ("declarations", 1), ("inner", 1), ("another", 1)]
    );
}
