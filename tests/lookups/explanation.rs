//! What `qmail-remote-check explain` says, taken apart.

use std::collections::BTreeMap;
use std::process::Command;

const TOOL: &str = env!("CARGO_BIN_EXE_qmail-remote-check");
const CONTROL: &str = "/var/qmail/control/";

/// The width of the first column.
const LABEL: usize = 12;

/// An explanation.
#[derive(Debug)]
pub(crate) struct Explanation {
    /// The line that decides, as `FILE:LINE`, by the first column; what no line decides is not here.
    pub(crate) lines: BTreeMap<String, String>,
    /// What is so, by the first column.
    values: BTreeMap<String, String>,
    /// Whether the tool says by its status that all is well.
    pub(crate) well: bool,
}

impl Explanation {
    /// Asks the tool.
    pub(crate) fn of(host: &str, sender: &str) -> Explanation {
        let output = Command::new(TOOL).args(["explain", host, sender]).output().expect("the tool runs");
        assert!(output.stderr.is_empty(), "{}", output.stderr.escape_ascii());
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(!text.contains("secret"), "{text}");
        let mut explanation =
            Explanation { lines: BTreeMap::new(), values: BTreeMap::new(), well: output.status.success() };
        for row in text.lines() {
            let (label, rest) = row.split_at(LABEL);
            explanation.add(label.trim_end(), rest.trim_start());
        }
        explanation
    }

    fn add(&mut self, label: &str, rest: &str) {
        let (line, value) = match rest.strip_prefix(CONTROL).and_then(|rest| rest.split_once(": ")) {
            Some((line, value)) => (Some(line), value),
            None => (None, rest.strip_prefix("no line: ").unwrap_or(rest)),
        };
        if let Some(line) = line {
            self.lines.insert(label.to_owned(), line.to_owned());
        }
        self.values.insert(label.to_owned(), value.to_owned());
    }

    /// What is so.
    pub(crate) fn value(&self, label: &str) -> &str {
        self.values.get(label).map_or("", String::as_str)
    }

    /// Whether a user and a password would be used.
    pub(crate) fn has_credentials(&self) -> bool {
        match self.value("credentials") {
            "user and password (not shown)" => true,
            "none" | "" => false,
            other => panic!("{other}"),
        }
    }
}
