//! docs/ipc.md: every message between the two processes, what it says, when it is permitted, what it carries and how that is
//! bounded. Made from the types in `src/ipc` and the table in `src/monitor/permits.rs`.

use std::collections::BTreeMap;

use qmail_remote::host::HostName;
use qmail_remote::ipc::frame::MAX_CONTENT;
use qmail_remote::ipc::observation::Few;
use qmail_remote::ipc::qmtp_answer::QmtpAnswer;
use qmail_remote::ipc::reason::Reason;
use qmail_remote::ipc::secret::Secret;
use qmail_remote::ipc::server_reply::ReplyText;
use qmail_remote::ipc::signature::{MOST_OCTETS, Piece, Signature};
use qmail_remote::ipc::{MOST_ANCHOR_QUERIES, MOST_CONNECTIONS, MOST_UNANSWERED};
use qmail_remote::tls_policy::{Fingerprint, TlsPolicy, TrustAnchors};

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
    let (mut variants, mut says, mut in_fields) = (Vec::<Variant>::new(), String::new(), false);
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            says += text;
        } else if let Some(variant) = line.strip_suffix(" {") {
            variants.push(Variant {
                name: variant.to_owned(),
                carries: String::new(),
                says: says.trim().to_owned(),
            });
            in_fields = true;
        } else if line == "}," {
            (in_fields, says) = (false, String::new());
        } else if let Some((_, kind)) = line.trim_end_matches(',').split_once(": ").filter(|_| in_fields) {
            let carries = &mut variants.last_mut().unwrap().carries;
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
        let (pattern, stages) = row.trim_end_matches([',', ' ']).rsplit_once("), ").unwrap();
        for message in messages_of(pattern) {
            let permitted = permits.entry(message).or_default();
            for stage in stages.split(" | ").map(str::to_owned) {
                // One that carries different things may have several rows.
                if !permitted.contains(&stage) {
                    permitted.push(stage);
                }
            }
        }
    }
    permits
}

/// The messages that a pattern names, each by its kind, or by its step where it is the answer of a server.
fn messages_of(pattern: &str) -> Vec<String> {
    let pattern = pattern.replace("Message::Claim(", "").replace("Message::Request(", "");
    let mut found = Vec::new();
    for alternative in pattern.split(" | ") {
        let name = alternative.trim_end_matches(['_', ')', ' ', ',', '(']);
        match name.split_once('(') {
            Some(("Claim::Replied", step)) => {
                found.push(format!("Claim::Replied({})", step.split('(').next().unwrap_or_default()));
            }
            // Another step of the answer that the last alternative began.
            None if name.starts_with("Step::") => found.push(format!("Claim::Replied({name})")),
            Some((outer, _)) => found.push(outer.to_owned()),
            None => found.push(name.to_owned()),
        }
    }
    found
}

fn cell(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|")) }
}

/// One row for each message of `kind`, with its stages. What only holds other kinds is none.
fn messages(kind: &str, permits: &mut BTreeMap<String, Vec<String>>) -> String {
    let source = read("src/ipc/mod.rs");
    let mut rows = "\n| message | says | carries | permitted in |\n|---|---|---|---|\n".to_owned();
    for variant in variants(&source, kind).into_iter().filter(|it| kind != "Message" || it.name != it.carries)
    {
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
    let others = messages("Message", &mut permits);
    let claims = messages("Claim", &mut permits);
    assert!(permits.is_empty(), "permitted, and no message: {permits:?}");
    assert_table(DOCUMENT, "requests", &requests);
    assert_table(DOCUMENT, "others", &others);
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
    let all = ["Message", "Request", "Claim", "Reply"].map(|name| variants(&source, name));
    for carries in all.iter().flatten().map(|variant| &variant.carries).filter(|carries| !carries.is_empty())
    {
        // What holds other kinds of messages.
        for kind in carries.split(", ").filter(|kind| !["Request", "Claim"].contains(kind)) {
            let kind = kind.trim_start_matches("Box<").trim_end_matches('>').replace("Vec<u8", "Vec<u8>");
            assert!(
                bounds.contains(&format!("| `{kind}` |")),
                "{DOCUMENT} does not say how `{kind}` is bounded"
            );
        }
    }
}

#[test]
fn the_bounds_are_those_of_the_types() {
    let document = read(DOCUMENT);
    let (_, bounds, _) = marked(&document, "bounds");
    for (kind, bound) in [
        ("ReplyText", ReplyText::MAX),
        ("HostName", HostName::MAX),
        ("TlsFailure", Reason::MAX),
        ("Server", MOST_CONNECTIONS),
        ("AnchorQuery", MOST_ANCHOR_QUERIES.into()),
        ("IpAddr", MOST_UNANSWERED),
        ("Observation", Few::<()>::MAX),
        ("QmtpAnswer", QmtpAnswer::MAX),
        ("Piece", Piece::MAX),
        ("Piece", MOST_OCTETS),
        ("Signature", Signature::MAX),
        ("Secret", Secret::MAX),
        ("TlsPolicy", TlsPolicy::MAX_CIPHERS),
        ("TlsPolicy", TrustAnchors::MAX),
        ("TlsPolicy", Fingerprint::MAX),
    ] {
        let row = bounds.lines().find(|row| row.starts_with(&format!("| `{kind}` |"))).unwrap();
        let has = |number: &str| row.split(|c: char| !c.is_ascii_digit()).any(|part| part == number);
        assert!(has(&bound.to_string()), "{DOCUMENT}: `{kind}` is bounded by {bound}");
    }
    assert!(document.contains(&format!(" 1 to {MAX_CONTENT};")), "{DOCUMENT}: a frame has {MAX_CONTENT}");
}
