//! docs/ipc.md: every message between the two processes, what it says, when it is permitted, what it carries and how that is
//! bounded. Made from the types in `src/ipc` and the table in `src/monitor/permits.rs`.

use std::collections::BTreeMap;

use crate::{assert_table, marked, read};

const DOCUMENT: &str = "docs/ipc.md";

/// A variant of an enum: its name, what it carries as written, and the first sentence of its documentation.
struct Variant {
    name: String,
    carries: String,
    says: String,
}

/// The variants of the enum `name` in a source, as rustfmt writes them.
fn variants(source: &str, name: &str) -> Vec<Variant> {
    let (_, rest) =
        source.split_once(&format!("pub enum {name} {{\n")).unwrap_or_else(|| panic!("no enum {name}"));
    let (body, _) = rest.split_once("\n}").unwrap();
    let (mut variants, mut says, mut fields) = (Vec::<Variant>::new(), String::new(), 0);
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            says = says + text;
        } else if let Some(variant) = line.strip_suffix(" {") {
            variants.push(Variant {
                name: variant.to_owned(),
                carries: String::new(),
                says: says.trim().to_owned(),
            });
            fields = variants.len();
        } else if line == "}," {
            (fields, says) = (0, String::new());
        } else if let Some((_, kind)) = line.trim_end_matches(',').split_once(": ").filter(|_| fields > 0) {
            let carries = &mut variants[fields - 1].carries;
            *carries = if carries.is_empty() { kind.to_owned() } else { format!("{carries}, {kind}") };
        } else if let Some(variant) = line.strip_suffix(',') {
            let (name, carries) = variant.split_once('(').unwrap_or((variant, ""));
            let carries = carries.strip_suffix(')').unwrap_or(carries).to_owned();
            variants.push(Variant { name: name.to_owned(), carries, says: says.trim().to_owned() });
            says = String::new();
        } else {
            panic!("{name}: cannot read `{line}`: keep a variant of a message on one line");
        }
    }
    variants
}

/// In which stages each message may come, by `Claim::Name`, `Request::Name` or `Claim::Replied(Step::Name)`.
fn permits() -> BTreeMap<String, Vec<String>> {
    let source = read("src/monitor/permits.rs");
    let (_, table) = source.split_once("const PERMITS").unwrap();
    let (table, _) = table.split_once("\n];").unwrap();
    let mut permits: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in table.split("permit!(").skip(1) {
        let row: String = row.split_whitespace().collect::<Vec<_>>().join(" ");
        let (row, _) = row.rsplit_once(')').unwrap();
        let (pattern, stages) = row.trim_end_matches(|c| c == ',' || c == ' ').rsplit_once("), ").unwrap();
        let stages = stages.split(" | ").map(str::to_owned);
        let (_, inner) = pattern.split_once('(').unwrap();
        for message in messages_of(inner) {
            permits.entry(message).or_default().extend(stages.clone());
        }
    }
    permits
}

/// The messages that a pattern names, each by its kind, or by its step where it is the answer of a server.
fn messages_of(pattern: &str) -> Vec<String> {
    let (mut found, mut kind) = (Vec::new(), "");
    for alternative in pattern.split(" | ") {
        let name = alternative.trim_end_matches(['_', ')', ' ', ',', '(']);
        match name.split_once('(') {
            Some(("Claim::Replied", step)) => {
                kind = "Claim::Replied";
                found.push(format!("{kind}({})", step.split('(').next().unwrap_or_default()));
            }
            // Another step of the answer that the last alternative began.
            None if name.starts_with("Step::") => found.push(format!("{kind}({name})")),
            Some((outer, _)) => found.push(outer.to_owned()),
            None => found.push(name.to_owned()),
        }
    }
    found
}

fn cell(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|")) }
}

/// One row for each message of `kind`, with its stages.
fn messages(kind: &str, permits: &mut BTreeMap<String, Vec<String>>) -> String {
    let source = read("src/ipc/mod.rs");
    let mut rows = "\n| message | says | carries | permitted in |\n|---|---|---|---|\n".to_owned();
    for variant in variants(&source, kind) {
        let name = format!("{kind}::{}", variant.name);
        // The answers of a server have a row of the table for each step.
        let names: Vec<String> = match variant.carries.strip_prefix("Step, ") {
            Some(_) => {
                variants(&source, "Step").iter().map(|step| format!("{name}(Step::{})", step.name)).collect()
            }
            None => vec![name],
        };
        for name in names {
            let stages =
                permits.remove(&name).unwrap_or_else(|| panic!("{name} is never permitted")).join(", ");
            rows +=
                &format!("| {} | {} | {} | {stages} |\n", cell(&name), variant.says, cell(&variant.carries));
        }
    }
    rows + "\n"
}

#[test]
fn every_message_of_the_child_is_documented_with_its_stages() {
    let mut permits = permits();
    let requests = messages("Request", &mut permits);
    let claims = messages("Claim", &mut permits);
    assert!(permits.is_empty(), "permitted, and no message: {permits:?}");
    assert_table(DOCUMENT, "requests", &requests);
    assert_table(DOCUMENT, "claims", &claims);
}

#[test]
fn every_reply_and_every_stage_is_documented() {
    let list = |source: &str, name: &str, heads: &str| {
        let variants = variants(&read(source), name);
        let rows = variants
            .iter()
            .map(|it| format!("| {} | {} | {} |\n", cell(&it.name), it.says, cell(&it.carries)));
        heads.to_owned() + &rows.collect::<String>() + "\n"
    };
    let replies = list("src/ipc/mod.rs", "Reply", "\n| reply | says | carries |\n|---|---|---|\n");
    assert_table(DOCUMENT, "replies", &replies);
    let stages = list("src/monitor/permits.rs", "Stage", "\n| stage | meaning | |\n|---|---|---|\n");
    assert_table(DOCUMENT, "stages", &stages);
}

#[test]
fn everything_that_a_message_carries_has_its_bound() {
    let document = read(DOCUMENT);
    let (_, bounds, _) = marked(&document, "bounds");
    let source = read("src/ipc/mod.rs");
    let all = ["Request", "Claim", "Reply"].map(|name| variants(&source, name));
    for carries in all.iter().flatten().map(|variant| &variant.carries).filter(|carries| !carries.is_empty())
    {
        for kind in carries.split(", ") {
            let kind = kind.trim_start_matches("Box<").trim_end_matches('>').replace("Vec<u8", "Vec<u8>");
            assert!(
                bounds.contains(&format!("| `{kind}` |")),
                "{DOCUMENT} does not say how `{kind}` is bounded"
            );
        }
    }
}
