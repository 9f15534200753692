//! `qmail-remote-check`: says what a delivery would do and why, and prepares what it reads. Run by people; touches
//! no network.
#![forbid(unsafe_code)]

mod explain;
mod index;
mod kernel;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks the control files of qmail-remote.
#[derive(Parser)]
#[command(version, about, after_help = "The exit status is 0 when all is well, 1 when not.")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Says what a delivery would do, and which line of which file decides. Asks no network.
    Explain {
        /// The recipient's domain, or an address in brackets.
        host: OsString,
        /// The envelope sender; empty for bounces.
        sender: OsString,
        /// The envelope recipient.
        recipient: Option<OsString>,
    },
    /// Writes the indexed form of a list, NAME.cdb beside NAME.
    Cdb {
        /// The control file.
        #[arg(value_parser = index::LISTS)]
        name: String,
    },
    /// Says what this kernel offers for confinement, and whom the network process would run as.
    Sandbox,
}

fn main() -> ExitCode {
    let findings = match Arguments::parse().verb {
        Verb::Explain { host, sender, recipient } => explain::explain(host, sender, recipient),
        Verb::Cdb { name } => index::write(&name),
        Verb::Sandbox => kernel::describe(),
    };
    // A closed pipe is the reader's choice.
    let _ = std::io::stdout().write_all(findings.text.as_bytes());
    if findings.well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a verb has to say.
struct Findings {
    text: String,
    /// Whether all is well.
    well: bool,
}

/// A line of two columns.
fn row(what: &str, is: impl std::fmt::Display) -> String {
    format!("{what:<12} {is}\n")
}
