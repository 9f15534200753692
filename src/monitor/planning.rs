//! From arguments and control files to the plan. Monitor only.
#![forbid(unsafe_code)]

use super::control::{ControlDirectory, names, smtproutes, timeouts, unsupported};
use super::refusal::Refusal;
use super::{interfaces, resolvers};
use crate::args::Invocation;
use crate::host::Host;
use crate::plan::{Destination, Plan, TlsStart};
use crate::startup::Environment;

/// The port of SMTP (RFC 5321).
const SMTP: u16 = 25;

/// Reads the control files and decides. `message_octets` is the length of a regular file.
pub fn plan(
    invocation: Invocation,
    message_octets: Option<u64>,
    environment: &Environment,
) -> Result<Plan, Refusal> {
    let control = ControlDirectory::open()?;
    let helo = names::helo(&control)?;
    let timeouts = timeouts::timeouts(&control)?;
    unsupported::refuse(&control)?;
    let route = smtproutes::route(&control, &invocation)?;
    let (relay, port, tls_start) = match route {
        Some(route) => (route.relay, route.port, route.tls_start),
        None => (None, None, TlsStart::StartTls),
    };
    let destination = match (relay, invocation.host) {
        (Some(relay), _) => Destination::Relay(relay),
        (None, Host::Name(domain)) => Destination::Exchangers(domain, interfaces::own_addresses()?),
        (None, Host::Address(address)) => Destination::Literal(address, interfaces::own_addresses()?),
    };
    Ok(Plan {
        destination,
        port: port.unwrap_or(SMTP),
        tls_start,
        helo,
        sender: invocation.sender,
        recipients: invocation.recipients,
        message_octets,
        timeouts,
        resolvers: resolvers::resolvers(environment.dns_cache_ip.as_deref())?,
    })
}
