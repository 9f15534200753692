//! `qmail-remote-check`: says what a delivery would do and why, and prepares what it reads. Run by people; only `probe`
//! touches the network, through the network child of a delivery.
#![forbid(unsafe_code)]

mod explain;
mod index;
mod kernel;
mod lint;
mod probe;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks the control files of qmail-remote.
#[derive(Parser)]
#[command(
    version,
    about = "Checks what qmail-remote reads and would do, and never sends mail",
    after_help = "The exit status is 0 when all is well, 1 when not; of lint 1 for warnings, 2 for errors. \
                  A mistake in the command line is 64, an output that cannot be written 74."
)]
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
    /// Reads all control files and says what is wrong with them, and what to write instead. Asks no network.
    Lint {
        /// How findings are printed.
        #[arg(long, value_enum, default_value_t = lint::Format::Text)]
        format: lint::Format,
    },
    /// Writes the indexed form of a list, NAME.cdb beside NAME.
    Cdb {
        /// The control file.
        #[arg(value_parser = index::LISTS)]
        name: String,
    },
    /// Goes as far as the envelope with every exchanger, sends no mail, and shows what it meets: DNSSEC, TLSA records,
    /// certificates, and whether a message would go there.
    Probe {
        /// The recipient's domain, or an address in brackets.
        host: OsString,
        /// The envelope sender; some rules are for certain senders.
        #[arg(long, default_value = "")]
        sender: OsString,
        /// The port, instead of that of the control files.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
        /// How it is printed.
        #[arg(long, value_enum, default_value_t = lint::Format::Text)]
        format: lint::Format,
    },
    /// Says what this kernel offers for confinement, and whom the network process would run as.
    Sandbox,
}

/// EX_USAGE of sysexits.h.
const USAGE: u8 = 64;
/// EX_IOERR of sysexits.h.
const IO_ERROR: u8 = 74;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(other) => {
            let status = if other.use_stderr() { USAGE } else { 0 };
            return ExitCode::from(unwritten(other.print()).unwrap_or(status));
        }
    };
    let findings = match arguments.verb {
        Verb::Explain { host, sender, recipient } => explain::explain(host, sender, recipient),
        Verb::Lint { format } => return lint(format),
        Verb::Probe { host, sender, port, format } => {
            let findings = probe::probe(host, sender, port, format);
            let status = if findings.well { 0 } else { 1 };
            sandbox::leave(print(&findings.text).unwrap_or(status))
        }
        Verb::Cdb { name } => index::write(&name),
        Verb::Sandbox => kernel::describe(),
    };
    let status = if findings.well { 0 } else { 1 };
    ExitCode::from(print(&findings.text).unwrap_or(status))
}

fn lint(format: lint::Format) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let (worst, written) = lint::lint(format, &mut out);
    let status = match worst {
        None => 0,
        Some(lint::Severity::Warning) => 1,
        Some(lint::Severity::Error) => 2,
    };
    ExitCode::from(unwritten(written.and_then(|()| out.flush())).unwrap_or(status))
}

/// The exit status when the text could not be printed.
fn print(text: &str) -> Option<u8> {
    let mut out = io::stdout();
    unwritten(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// The exit status when there was nowhere to write to, which is said. A closed pipe is the reader's choice.
fn unwritten(result: io::Result<()>) -> Option<u8> {
    match result {
        Ok(()) => None,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
        Err(error) => {
            let _ = writeln!(io::stderr(), "qmail-remote-check: what was found cannot be written: {error}");
            Some(IO_ERROR)
        }
    }
}

/// What a verb has to say.
struct Findings {
    text: String,
    /// Whether all is well.
    well: bool,
}

/// A line of two columns. What control files and servers say cannot drive a terminal.
fn row(what: &str, is: impl std::fmt::Display) -> String {
    let shown = is.to_string().replace(|character: char| character.is_control() && character != '\n', "?");
    format!("{what:<13} {shown}\n")
}
