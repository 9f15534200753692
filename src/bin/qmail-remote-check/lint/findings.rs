//! What `lint` finds, and how it is printed: line by line as it is found, as text or as JSON.
//!
//! Run by people. What was printed is not kept: a file with a million mistakes costs no memory.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use clap::ValueEnum;
use qmail_remote::monitor::control::HOME;
use serde::Serialize;

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// `file:line: severity: text`.
    Text,
    /// One array of objects.
    Json,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Probably not what was meant.
    Warning,
    /// Deliveries are put off, or a secret can be read.
    Error,
}

#[derive(Serialize)]
struct Finding<'a> {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    severity: Severity,
    text: &'a str,
}

/// Where in the control files a finding is.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The file's name; empty for the directory.
    pub(super) file: &'a str,
    /// The line's number, from 1; none for the whole file.
    pub(super) line: Option<u64>,
}

impl<'a> Place<'a> {
    /// The whole of `file`.
    pub(super) fn whole(file: &'a str) -> Place<'a> {
        Place { file, line: None }
    }
}

/// Prints findings and keeps the worst severity.
pub(super) struct Listing<'a> {
    out: &'a mut dyn Write,
    format: Format,
    worst: Option<Severity>,
    written: io::Result<()>,
}

impl<'a> Listing<'a> {
    /// A listing without findings.
    pub(super) fn new(out: &'a mut dyn Write, format: Format) -> Listing<'a> {
        Listing { out, format, worst: None, written: Ok(()) }
    }

    /// A mistake that stops deliveries.
    pub(super) fn error(&mut self, place: Place<'_>, text: &str) {
        self.add(place, Severity::Error, text);
    }

    /// What is probably a mistake.
    pub(super) fn warning(&mut self, place: Place<'_>, text: &str) {
        self.add(place, Severity::Warning, text);
    }

    /// Prints one finding.
    pub(super) fn add(&mut self, place: Place<'_>, severity: Severity, text: &str) {
        let file = format!("{HOME}/control/{}", place.file).trim_end_matches('/').to_owned();
        let finding = Finding { file, line: place.line, severity, text };
        if self.written.is_ok() {
            self.written = match self.format {
                Format::Text => self.as_text(&finding),
                Format::Json => self.as_json(&finding),
            };
        }
        self.worst = self.worst.max(Some(severity));
    }

    fn as_text(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        let severity = match finding.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let Finding { file, text, .. } = finding;
        match finding.line {
            Some(line) => writeln!(self.out, "{file}:{line}: {severity}: {text}"),
            None => writeln!(self.out, "{file}: {severity}: {text}"),
        }
    }

    fn as_json(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        let object = serde_json::to_string(finding)?;
        write!(self.out, "{}\n{object}", if self.worst.is_none() { '[' } else { ',' })
    }

    /// Ends the listing; the worst severity, none when there was no finding, and whether all could be written.
    pub(super) fn finish(self) -> (Option<Severity>, io::Result<()>) {
        let Listing { out, format, worst, written } = self;
        let end = if worst.is_none() { "[]" } else { "\n]" };
        let written = match format {
            Format::Json => written.and_then(|()| writeln!(out, "{end}")),
            Format::Text => written,
        };
        (worst, written)
    }
}

/// A key in a sentence.
pub(super) fn key_in_words(key: &[u8]) -> String {
    if key.is_empty() { "the empty key".to_owned() } else { format!("the key `{}`", shown(key)) }
}

/// A text of the control files as it may be printed: at most 80 octets, those that are not printable ASCII as `?`.
pub(super) fn shown(text: &[u8]) -> String {
    let printable =
        |octet: &u8| if octet.is_ascii_graphic() || *octet == b' ' { char::from(*octet) } else { '?' };
    text.iter().take(80).map(printable).collect()
}
