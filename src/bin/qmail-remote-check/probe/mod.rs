//! `probe`: goes the way of a delivery up to the envelope, in the same confined child, and shows what it meets.
//!
//! What is shown comes from servers and the DNS through that child: checked for its form, believed for nothing.
#![forbid(unsafe_code)]

mod in_words;
mod results;

use std::ffi::OsString;

use qmail_remote::args::Invocation;
use qmail_remote::monitor::control::ControlDirectory;
use qmail_remote::monitor::refusal::Refusal;
use qmail_remote::monitor::selection;
use qmail_remote::{monitor, network, startup};

use crate::Findings;
use crate::lint::Format;
use results::Results;

/// What a delivery to `host` from `sender` meets. Well is when a message could be sent. The process is confined
/// afterwards, and must end by [`sandbox::leave`].
pub(crate) fn probe(host: OsString, sender: OsString, port: Option<u16>, format: Format) -> Findings {
    let arguments = [host, sender, "postmaster".into()];
    let results = match run(arguments, port) {
        Ok(results) => results,
        Err(refusal) => Results::stopped(&refusal.report()),
    };
    let text = match format {
        Format::Text => in_words::written(&results),
        Format::Json => serde_json::to_string_pretty(&results).unwrap_or_default() + "\n",
    };
    Findings { text, well: results.well }
}

fn run(arguments: [OsString; 3], port: Option<u16>) -> Result<Results, Refusal> {
    let environment = startup::hygiene()?;
    let invocation = Invocation::parse(arguments.clone())?;
    let rule = selection::select(&ControlDirectory::open()?, &invocation)?.tls;
    let (plan, seen, stopped) = monitor::probe(arguments, port, &environment, network::enter)?;
    Ok(Results::new(&plan, &rule, seen, stopped.as_ref()))
}
