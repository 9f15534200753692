//! The documents for administrators against the manual page, which `manual.rs` compares with the program: every
//! temporary failure has its cause and cure, no link leads nowhere, and the picture is drawn from its text.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::root;

/// `text` with `{}` in place of what stands between each `open` and `close`.
fn without_what_varies(text: &str, open: &str, close: &str) -> String {
    let mut parts = text.split(open);
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |plain, part| plain + "{}" + part.split_once(close).unwrap().1)
}

/// The texts of reports that begin with Z or s, without the letter, of qmail-remote(8).
fn deferrals() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("packaging/man/qmail-remote.8")).unwrap();
    let items = page.lines().filter_map(|line| line.strip_prefix(".It \"")?.strip_suffix('"'));
    let texts = items.filter_map(|item| item.strip_prefix(['Z', 's']));
    texts.map(|text| without_what_varies(&text.replace("\\(aq", "'"), "\\fI", "\\fR")).collect()
}

/// The rows of tables in docs/operations.md whose first column is a text, and the other columns.
fn rows(document: &str) -> Vec<(String, Vec<&str>)> {
    let lines = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = lines.filter_map(|line| line.split_once("` | "));
    rows.map(|(text, rest)| {
        let columns = rest.trim_end_matches(" |").split(" | ").collect();
        (without_what_varies(text, "<", ">"), columns)
    })
    .collect()
}

#[test]
fn every_deferral_has_its_cause_and_cure() {
    let document = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let rows = rows(&document);
    for (text, columns) in &rows {
        let complete = columns.len() == 2 && columns.iter().all(|column| !column.trim().is_empty());
        assert!(complete, "not cause and cure: {text}: {columns:?}");
    }
    let explained: BTreeSet<String> = rows.iter().map(|(text, _)| text.clone()).collect();
    assert_eq!(explained.len(), rows.len(), "a text stands there twice");
    let documented = deferrals();
    assert!(documented.len() > 40, "{}", documented.len());
    let missing: Vec<_> = documented.difference(&explained).collect();
    assert!(missing.is_empty(), "add to docs/operations.md: {missing:#?}");
    let unknown: Vec<_> = explained.difference(&documented).collect();
    assert!(unknown.is_empty(), "in docs/operations.md, and no report says it: {unknown:#?}");
}

/// The anchor that a heading has.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|character| character.is_alphanumeric() || *character == '-').collect()
}

/// The links of a document that lead nowhere.
fn dead_links(place: &Path, text: &str) -> Vec<String> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    let is_dead = |link: &&str| {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() { place.to_owned() } else { place.parent().unwrap().join(file) };
        let Ok(found) = fs::metadata(&target) else { return true };
        let headings = || fs::read_to_string(&target).unwrap();
        let has = |heading: &str| {
            headings().lines().any(|line| {
                line.starts_with('#') && anchor(line.trim_start_matches('#').trim_start()) == heading
            })
        };
        !heading.is_empty() && (found.is_dir() || !has(heading))
    };
    links.filter(|link| !link.contains("://")).filter(is_dead).map(str::to_owned).collect()
}

#[test]
fn no_link_leads_nowhere() {
    let documents = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "fuzz/README.md"];
    let mut places: Vec<_> = documents.map(|name| root().join(name)).into();
    places.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    places.retain(|place| place.extension().is_some_and(|ending| ending == "md"));
    assert!(places.len() > 8, "{places:?}");
    for place in &places {
        assert_eq!(dead_links(place, &fs::read_to_string(place).unwrap()), [""; 0], "{}", place.display());
    }
    let readme = root().join("README.md");
    let dead = "[a](docs/nothing.md) [b](#nothing-at-all) [c](docs/dane.md#nothing) [d](docs#two-commands)";
    assert_eq!(dead_links(&readme, dead).len(), 4);
    assert_eq!(dead_links(&readme, "[a](#two-commands) [b](docs) [c](https://example.com/)"), [""; 0]);
}

#[test]
fn the_picture_is_that_of_its_text() {
    let mut draw = Command::new("awk");
    let drawn =
        draw.args(["-f", "docs/draw.awk", "docs/processes.txt"]).current_dir(root()).output().unwrap();
    assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    let drawn = String::from_utf8(drawn.stdout).unwrap();
    let kept = fs::read_to_string(root().join("docs/processes.svg")).unwrap();
    assert_eq!(drawn, kept, "run `make picture`");
    assert!(drawn.contains(">network child</text>") && drawn.ends_with("</svg>\n"));
}
