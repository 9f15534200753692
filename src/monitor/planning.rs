//! From arguments and control files to the plan. Monitor only.
//!
//! What cannot be had stops the delivery that needs it: nothing is sent without the certificate or the protocol that a
//! selected line asks for. The plan holds no secret; those of the delivery come beside it.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use super::control::local_address::LocalAddress;
use super::control::routes::Route;
use super::control::tlsdestinations;
use super::control::{ControlDirectory, ControlError, timeouts};
use super::message::FilePart;
use super::refusal::Refusal;
use super::secrets::Secrets;
use super::selection::{Selection, select};
use super::{client_key, interfaces, resolvers, trust_store};
use crate::args::Invocation;
use crate::authentication::Authentication;
use crate::host::Host;
use crate::plan::{Destination, LocalAddresses, Plan, Protocol, Purpose, TlsStart};
use crate::startup::Environment;

/// Lets passwords go in clear, when its first line is `1`.
pub const AUTHPLAINTEXT: &str = "authplaintext";

/// Reads the control files and decides. `message` is the part of a regular file. `port` takes the place of all that they
/// write.
pub fn plan(
    invocation: Invocation,
    message: Option<FilePart>,
    port: Option<u16>,
    environment: &Environment,
) -> Result<(Plan, Secrets), Refusal> {
    let control = ControlDirectory::open()?;
    let mut selection = select(&control, &invocation)?;
    if let Some(port) = port {
        // A rule's port goes before that of the route.
        selection.tls.port = Some((tlsdestinations::start_at(port, TlsStart::StartTls), port));
    }
    let helo = selection.helo(&control)?.value;
    let timeouts = timeouts::timeouts(&control)?;
    let protocol = selection.protocol();
    refuse_credentials_by_qmtp(&selection, protocol)?;
    let (tls_start, port) = selection.port().value;
    let tls = selection.tls.policy();
    if let Some(anchors) = tls.certificate.anchors() {
        trust_store::check(anchors)?;
    }
    let (client_certificate, client_key) = match selection.certificate.take() {
        Some(line) => client_key::read(line).map(|(certificate, key)| (Some(certificate), Some(key)))?,
        None => (None, None),
    };
    let local = local_addresses(selection.local_addresses().value)?;
    let (relay, credentials) =
        selection.route.map_or((None, None), |(_, route)| (route.relay, route.credentials));
    let authentication = match &credentials {
        Some(_) => Some(Authentication {
            in_clear: control.value(AUTHPLAINTEXT)?.is_some_and(|value| value == b"1"),
            // The DNS chooses the server.
            verified_only: relay.is_none(),
        }),
        None => None,
    };
    let destination = match (relay, invocation.host) {
        (Some(relay), _) => Destination::Relay(relay),
        (None, Host::Name(domain)) => Destination::Exchangers(domain, interfaces::own_addresses()?),
        (None, Host::Address(address)) => Destination::Literal(address, interfaces::own_addresses()?),
    };
    let exchanger_rules =
        matches!(destination, Destination::Exchangers(..)) && tlsdestinations::exists(&control)?;
    let plan = Plan {
        purpose: Purpose::Deliver,
        destination,
        protocol,
        port,
        tls_start,
        tls,
        exchanger_rules,
        authentication,
        skip: Vec::new(),
        client_certificate,
        local,
        helo,
        sender: invocation.sender,
        recipients: invocation.recipients,
        message_octets: message.map(|part| part.octets),
        message_offset: message.map_or(0, |part| part.offset),
        timeouts,
        resolvers: resolvers::resolvers(environment.dns_cache_ip.as_deref())?,
    };
    Ok((plan, Secrets { credentials, client_key }))
}

/// A message that is to be sent in somebody's name is not sent in nobody's.
fn refuse_credentials_by_qmtp(selection: &Selection, protocol: Protocol) -> Result<(), ControlError> {
    match (&selection.route, protocol) {
        (Some((_, Route { origin, credentials: Some(_), .. })), Protocol::Qmtp) => {
            Err(origin.bad("QMTP has no authentication"))
        }
        (_, Protocol::Qmtp | Protocol::Smtp) => Ok(()),
    }
}

fn local_addresses(given: Vec<LocalAddress>) -> Result<LocalAddresses, Refusal> {
    let mut local = LocalAddresses::default();
    for LocalAddress { address, interface } in given {
        match address {
            IpAddr::V4(address) => local.v4 = Some(address),
            IpAddr::V6(address) => {
                let scope = interface.map_or(Ok(0), |name| interfaces::index(&name));
                local.v6 = Some((address, scope.map_err(|_| Refusal::CannotBind(address.into()))?));
            }
        }
    }
    Ok(local)
}
