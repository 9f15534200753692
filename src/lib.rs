//! qmail-remote: delivers one message for qmail-rspawn, in two processes.
//!
//! ```text
//! startup, args            first: a known process, checked arguments
//! monitor/                 the privileged process: control files, plan, permits, outcome
//! ipc/, plan, host,        the vocabulary of both: they import neither side
//!   envelope, tls_policy,
//!   authentication
//! network/                 the confined process: DNS, TLS, SMTP, QMTP
//! report                   the only writer of descriptor 1
//! sealed                   memory for secrets, of the monitor alone
//! sys                      system calls without a safe wrapper
//! ```
//!
//! Data flows one way: arguments and control files make a [`plan::Plan`]; the network child carries it
//! out and sends claims; the monitor makes an outcome of them and prints the reports. `network` never
//! imports `monitor`, nor the other way round.

pub mod args;
pub mod authentication;
pub mod envelope;
pub mod host;
pub mod idn;
pub mod ipc;
pub mod monitor;
pub mod network;
pub mod plan;
pub mod report;
pub mod sealed;
pub mod startup;
mod sys;
pub mod tls_policy;

use monitor::child::NetworkEntry;
use monitor::refusal::Refusal;
use report::Reports;

/// The program: one delivery, one set of reports, exit status 0. `entry` is what the network child runs.
pub fn run(entry: NetworkEntry) -> ! {
    let reports = startup::hygiene()
        .map_err(Refusal::from)
        .and_then(|environment| monitor::deliver(std::env::args_os().skip(1), &environment, entry));
    match reports {
        Ok(reports) => reports.finish(),
        Err(refusal) => Reports::from(refusal.report()).finish(),
    }
}
