//! The manual pages against the program: report texts in both directions, control files, the twenty TLS rules, and
//! mandoc's opinion. A text that the program can print and the page does not have fails here, and the other way round.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use world::{Needs, in_world};

const TOOL: &str = env!("CARGO_BIN_EXE_qmail-remote-check");

/// Strings in the sources of report texts that are none.
const NO_REPORTS: &[&str] = &["qmailr", "sender", "recipient", "{}/control/{}, line {}", "{}/control/{}.cdb"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("packaging/man/qmail-remote.8")).unwrap()
}

fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let start =
        page.split_once(&format!("\n.Sh {title}\n")).unwrap_or_else(|| panic!("no section {title}")).1;
    start.split("\n.Sh ").next().unwrap()
}

/// What is read where the page has a text in roff: italics are what varies.
fn plain(text: &str) -> String {
    let text = text.replace("\\(aq", "'").replace("\\&", "");
    let mut parts = text.split("\\fI");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |plain, part| plain + "{}" + part.split_once("\\fR").unwrap().1)
}

/// The report texts of the page.
fn documented() -> Vec<String> {
    let page = page();
    let items = section(&page, "REPORT TEXTS").lines().filter_map(|line| line.strip_prefix(".It \""));
    items.map(|item| plain(item.strip_suffix('"').unwrap())).collect()
}

/// The files with the texts of reports.
fn text_sources() -> Vec<PathBuf> {
    let monitor = root().join("src/monitor");
    let mut files = vec![
        monitor.join("refusal.rs"),
        monitor.join("outcome.rs"),
        root().join("src/report.rs"),
        root().join("src/authentication.rs"),
    ];
    files.extend(fs::read_dir(monitor.join("outcome")).unwrap().map(|entry| entry.unwrap().path()));
    files.retain(|file| !file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests")));
    files
}

/// The string literals of a source outside of its tests, comments and attributes; what varies is `{}`.
fn literals(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: String = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//") && !line.trim_start().starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    let code = code.replace("\\\"", "\u{1}").replace("'\"'", "");
    let quoted = code.split('"').skip(1).step_by(2);
    quoted.map(|text| without_names(&unfolded(&text.replace('\u{1}', "\"").replace("\\0", "")))).collect()
}

/// A literal over several lines as the compiler joins it.
fn unfolded(text: &str) -> String {
    let mut pieces = text.split("\\\n");
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |joined, piece| joined + piece.trim_start()).replace("\\n", "\n")
}

/// `{name}` as `{}`.
fn without_names(text: &str) -> String {
    let mut parts = text.split('{');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |plain, part| match part.split_once('}') {
        Some((_, rest)) => plain + "{}" + rest,
        None => plain + part,
    })
}

/// Every text that the program can put into a report, whole or in part.
fn printable_texts() -> BTreeSet<String> {
    let sources = text_sources();
    let texts = sources.iter().flat_map(|file| literals(&fs::read_to_string(file).unwrap()));
    texts.collect()
}

/// Whether the pieces of `text` stand in `item`, in their order.
fn is_in(text: &str, item: &str) -> bool {
    let mut rest = item;
    text.split("{}").all(|piece| match rest.split_once(piece) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// Whether `text` is made of `pieces` and nothing else.
fn is_made_of(text: &str, pieces: &BTreeSet<&str>) -> bool {
    let mut reached = BTreeSet::from([0]);
    while let Some(at) = reached.pop_first() {
        if at == text.len() {
            return true;
        }
        let fitting = pieces.iter().filter(|piece| !piece.is_empty() && text[at..].starts_with(**piece));
        reached.extend(fitting.map(|piece| at + piece.len()));
    }
    false
}

#[test]
fn every_report_text_is_in_the_page() {
    // Of a text of two lines the page has the second in running text.
    let page = documented().join("\n") + &plain(section(&page(), "REPORT TEXTS")).replace('\n', " ");
    let known = |text: &String| NO_REPORTS.contains(&text.as_str());
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let texts =
        printable_texts().into_iter().filter(|text| text.contains(char::is_alphabetic) && !known(text));
    let texts = texts.flat_map(lines);
    let missing: Vec<_> = texts
        .filter(|text| !documented().iter().any(|item| is_in(text, item)) && !page.contains(text.as_str()))
        .collect();
    assert!(missing.is_empty(), "add to REPORT TEXTS of qmail-remote.8: {missing:#?}");
}

#[test]
fn the_page_has_no_report_text_that_cannot_be_printed() {
    let texts = printable_texts();
    let pieces: BTreeSet<_> =
        texts.iter().flat_map(|text| text.split("{}")).flat_map(|text| text.split_inclusive('\n')).collect();
    let pieces: BTreeSet<_> = pieces.into_iter().map(|piece| piece.trim_end_matches('\n')).collect();
    let is_printed = |item: &str| {
        let made = |text: &str| text.split("{}").all(|piece| is_made_of(piece, &pieces));
        made(item) || made(&item[1..])
    };
    for item in documented() {
        assert!("KZDsh".contains(&item[..1]), "{item}");
        assert!(is_printed(&item), "nothing prints what the page says: {item}");
    }
}

/// The first lines of all reports that the dialogues expect, but `r` and what a QMTP server says of recipients.
fn expected_reports() -> BTreeSet<String> {
    let mut reports = BTreeSet::new();
    for entry in fs::read_dir(root().join("tests/dialogues")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|ending| ending != "txt") {
            continue;
        }
        let text = fs::read_to_string(file).unwrap();
        let expected = text.split_once("\nexpect\n").map_or("", |(_, rest)| rest);
        let output: String = expected.lines().map_while(|line| line.strip_prefix("    ")).collect();
        let first_lines = output.split("\\0").filter_map(|report| report.split("\\n").next());
        reports.extend(
            first_lines.filter(|line| line.len() > 1 && !line[1..].starts_with("qmtp")).map(str::to_owned),
        );
    }
    reports
}

/// Whether `report` is what `item` says, with something in place of each `{}`. At the end that has no full stop, which would
/// be the item's.
fn is_of(report: &str, item: &str) -> bool {
    let Some((before, after)) = item.split_once("{}") else { return report == item };
    let Some(rest) = report.strip_prefix(before) else { return false };
    if after.is_empty() {
        return !rest.is_empty() && !rest.ends_with('.');
    }
    (1..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| is_of(rest, after))
}

#[test]
fn the_texts_of_the_page_have_their_letters() {
    let (reports, items) = (expected_reports(), documented());
    assert!(reports.len() > 60, "{}", reports.len());
    let unknown: Vec<_> =
        reports.iter().filter(|report| !items.iter().any(|item| is_of(report, item))).collect();
    assert!(unknown.is_empty(), "printed, and with this letter not in qmail-remote.8: {unknown:#?}");
    // What only other tests see is put off, or a success by what a certificate has proved.
    let elsewhere = |item: &String| item.starts_with('Z') || item.starts_with("K{} TLS (");
    let unseen = items.iter().filter(|item| !reports.iter().any(|report| is_of(report, item)));
    assert_eq!(unseen.filter(|item| !elsewhere(item)).collect::<Vec<_>>(), [""; 0]);
    assert!(is_of("Zto a, b.", "Zto {}, {}.") && !is_of("Zto , b.", "Zto {}, {}."));
    assert!(!is_of("Da.", "Z{}.") && !is_of("Da.", "D{}"));
}

/// What a source says of control files: constants that are a name, and names that are read.
fn files_read() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for directory in ["src/monitor", "src/monitor/control"] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            let Ok(source) = fs::read_to_string(entry.unwrap().path()) else { continue };
            let code = source.split("#[cfg(test)]").next().unwrap();
            for before in [
                "ROUTES: &str = ",
                "FILE: &str = ",
                "AUTHPLAINTEXT: &str = ",
                "value(",
                "seconds(control, ",
                "for file in [",
            ] {
                let listed = code.split(before).skip(1).filter_map(|rest| rest.split([')', ']', ';']).next());
                let names = listed.flat_map(|list| list.split('"').skip(1).step_by(2));
                found.extend(names.filter(|name| !name.contains('/')).map(str::to_owned));
            }
        }
    }
    found
}

#[test]
fn every_control_file_has_its_entry() {
    let page = page();
    let items = section(&page, "CONTROL FILES").lines().filter_map(|line| line.strip_prefix(".It Pa "));
    let documented: Vec<_> = items.collect();
    assert!(documented.is_sorted(), "{documented:?}");
    let read = files_read();
    let documented: BTreeSet<_> = documented.into_iter().collect();
    let missing: Vec<_> = read.iter().filter(|file| !documented.contains(file.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?} are read and not in qmail-remote.8");
    let unread: Vec<_> = documented.into_iter().filter(|file| !read.contains(*file)).collect();
    assert_eq!(unread, [""; 0], "in qmail-remote.8, and not read");
}

#[test]
fn the_twenty_rules_are_what_the_check_tool_says_of_them() {
    let page = page();
    let mut rules = section(&page, "TLS RULES").split("\n.It \"(").skip(1);
    assert_eq!(section(&page, "TLS RULES").matches("\n.It \"(").count(), 21);
    in_world(|world| {
        world.control("me", "client.example.test\n");
        for number in 0..=20 {
            let item = rules.next().unwrap_or_else(|| panic!("no rule ({number})"));
            let mut lines = item.lines();
            let line = plain(lines.next().unwrap().strip_suffix('"').unwrap());
            let line =
                line.strip_prefix(&format!("{number}) ")).unwrap_or_else(|| panic!("{number}: {line}"));
            let words: Vec<_> = lines.take_while(|line| !line.starts_with('.')).collect();
            world.control("tlsdestinations", format!("{line}\n"));
            let key =
                line.split(':').next().unwrap().trim_start_matches(['!', '%', '=', '~', '-', '?', '/', '+']);
            let host = if key.contains('.') { key } else { "example.test" };
            let output = Command::new(TOOL).args(["explain", host, "a@sender.test"]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let said =
                text.lines().find_map(|row| row.strip_prefix("TLS ")).unwrap_or_else(|| panic!("{text}"));
            let said = said.split_once(":1: ").unwrap_or_else(|| panic!("{line} does not decide: {said}")).1;
            // The fingerprint, and the ciphers of the example for anonymous suites, stand in the line already.
            let said =
                said.replace(" 0123456789ABCDEF0123456789ABCDEF01234567", "").replace(", ciphers aNULL", "");
            assert_eq!(said, words.join(" "), "rule ({number})");
        }
    });
}

#[test]
fn every_control_file_has_an_example_that_is_as_it_should_be() {
    let page = page();
    in_world(|world| {
        for item in section(&page, "CONTROL FILES").split("\n.It Pa ").skip(1) {
            let (file, text) = item.split_once('\n').unwrap();
            let example = text.split_once(".Bd -literal -offset indent\n");
            let (_, example) = example.unwrap_or_else(|| panic!("no example of {file}"));
            world.control(file, plain(example.split_once(".Ed").unwrap().0));
        }
        let output = Command::new(TOOL).arg("lint").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // Not of the form: what is on this machine, who may read the file, and that the examples stand together.
        let of_this_machine = [
            "cannot be read: ",
            "no interface of this machine has",
            "every user can read it",
            "routes: warning: is never asked: the empty key in line 3 of authsenders",
        ];
        let is_known = |line: &&str| of_this_machine.iter().any(|what| line.contains(what));
        assert_eq!(text.lines().filter(|line| !is_known(line)).collect::<Vec<_>>(), [""; 0]);
    });
}

/// What the check tool prints with `arguments`.
fn help(arguments: &[&str]) -> String {
    String::from_utf8(Command::new(TOOL).args(arguments).arg("--help").output().unwrap().stdout).unwrap()
}

/// The verbs of the check tool with their options, by the tool itself.
fn verbs() -> BTreeMap<String, BTreeSet<String>> {
    let text = help(&[]);
    let verbs = text.split("\nCommands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let verbs = verbs.lines().map(|line| line.split_whitespace().next().unwrap());
    let options = |verb: &str| {
        let help = help(&[verb]);
        let options = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        options.filter(|option| *option != "help").map(str::to_owned).collect()
    };
    verbs.filter(|verb| *verb != "help").map(|verb| (verb.to_owned(), options(verb))).collect()
}

#[test]
fn the_page_of_the_check_tool_has_all_verbs_and_options_and_no_others() {
    let page = fs::read_to_string(root().join("packaging/man/qmail-remote-check.8")).unwrap();
    let synopsis = section(&page, "SYNOPSIS").split(".Cm ").skip(1).map(|item| {
        let mut lines = item.lines();
        let verb = lines.next().unwrap().to_owned();
        let options = lines.filter_map(|line| line.strip_prefix(".Op Fl -")?.split_whitespace().next());
        (verb, options.map(str::to_owned).collect())
    });
    let synopsis: BTreeMap<String, BTreeSet<String>> = synopsis.collect();
    assert_eq!(synopsis, verbs());
    let explained = section(&page, "DESCRIPTION").lines().filter_map(|line| line.strip_prefix(".It Cm "));
    assert_eq!(explained.map(str::to_owned).collect::<BTreeSet<_>>(), synopsis.into_keys().collect());
}

#[test]
fn mandoc_has_nothing_to_say() {
    in_world(|world| {
        world.require(Needs::Program("mandoc"));
        for entry in fs::read_dir(root().join("packaging/man")).unwrap() {
            let output =
                Command::new("mandoc").args(["-T", "lint"]).arg(entry.unwrap().path()).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            // The pages of qmail, and ours before they are installed, are not on this machine.
            let remarks = text.lines().filter(|line| !line.contains("referenced manual not found"));
            assert_eq!(remarks.collect::<Vec<_>>(), [""; 0]);
        }
    });
}

#[test]
fn texts_are_found_however_they_are_written() {
    let source = "#[expect(x, reason = \"no\")]\n// \"nor\"\nformat!(\"a {b} \\\n      c\\nd {}\", '\"', \"e \\\" f\")\n";
    assert_eq!(literals(source), ["a {} c\nd {}", "e \" f"]);
    assert!(is_in("a {} c", "Za {} c.") && !is_in("c {} a", "Za {} c."));
    let pieces = BTreeSet::from(["ab", "c", "b"]);
    assert!(is_made_of("abc", &pieces) && !is_made_of("abd", &pieces) && is_made_of("", &pieces));
    assert_eq!(plain("it\\(aqs \\fIip\\fR.\\&"), "it's {}.");
}
