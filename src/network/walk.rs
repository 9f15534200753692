//! Tries the exchangers in order until one gives a verdict. Network child.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use super::connect::{NoConnection, connect_any};
use super::dane::Dane;
use super::exchangers::Exchanger;
use super::qmtp;
use super::smtp::dialogue::{self, Next, StartTls};
use super::tls::Peer;
use crate::ipc::child_end::ChildEnd;
use crate::ipc::{Claim, MOST_UNANSWERED, Server};
use crate::plan::{Plan, Protocol, Purpose};

/// Whether a verdict has been claimed.
enum Verdict {
    Claimed,
    Open,
}

/// The addresses that were claimed to be unanswered.
#[derive(Default)]
struct Unanswered(Vec<IpAddr>);

impl Unanswered {
    /// Each once, and as many as the monitor listens to.
    fn claim(&mut self, addresses: Vec<IpAddr>, monitor: &mut ChildEnd) {
        for address in addresses {
            if self.0.len() < MOST_UNANSWERED && !self.0.contains(&address) {
                self.0.push(address);
                monitor.claim(Claim::Unanswered(address));
            }
        }
    }
}

/// Walks over `exchangers`. Addresses that are to be left alone count as unreachable.
pub(super) fn walk(plan: &Plan, exchangers: impl Iterator<Item = Exchanger>, monitor: &mut ChildEnd) {
    let mut unanswered = Unanswered::default();
    for mut exchanger in exchangers {
        exchanger.addresses.retain(|address| !plan.skip.contains(address));
        match (&exchanger.name, &exchanger.dane) {
            _ if exchanger.addresses.is_empty() => monitor.claim(Claim::Unreachable),
            (Some(name), Dane::Unknown) => monitor.claim(Claim::TlsaUnknown(name.clone())),
            _ => {
                let has_more = exchanger.has_more && plan.purpose == Purpose::Deliver;
                match try_addresses(plan, exchanger, &mut unanswered, monitor) {
                    Verdict::Open if has_more => monitor.claim(Claim::Unreachable),
                    Verdict::Open => {}
                    Verdict::Claimed => return,
                }
            }
        }
    }
    monitor.claim(Claim::Exhausted);
}

/// Walks over the addresses of one exchanger that have not been talked to yet.
fn try_addresses(
    plan: &Plan,
    exchanger: Exchanger,
    unanswered: &mut Unanswered,
    monitor: &mut ChildEnd,
) -> Verdict {
    let Exchanger { name, found_by, mut addresses, has_more: _, status, dane } = exchanger;
    let mut has_answered = false;
    // Where a handshake has failed and the message may go in clear: there alone, and once.
    let mut in_clear: Option<IpAddr> = None;
    loop {
        let (candidates, start_tls) = match in_clear.take() {
            Some(address) => (vec![address], StartTls::No),
            None if addresses.is_empty() => break,
            None => (addresses.clone(), StartTls::AsThePolicySays),
        };
        let mut failed = Vec::new();
        // Before it names may have been looked up, and after it they may be again: each may take as long as it may.
        monitor.progress();
        let connected = connect_any(&candidates, plan, &mut failed);
        monitor.progress();
        unanswered.claim(failed, monitor);
        let (stream, address) = match connected {
            Ok(connection) => connection,
            Err(NoConnection::Unreachable) if start_tls == StartTls::No => continue,
            // One that has answered was reached, whatever its other addresses are.
            Err(NoConnection::Unreachable) if has_answered => break,
            Err(NoConnection::Unreachable) => {
                monitor.claim(Claim::Unreachable);
                break;
            }
            // The next exchanger would find the same.
            Err(NoConnection::CannotBind(family)) => {
                monitor.claim(Claim::CannotBind(family));
                return Verdict::Claimed;
            }
            Err(NoConnection::NoSocket) => {
                monitor.claim(Claim::NoSocket);
                return Verdict::Claimed;
            }
        };
        has_answered = true;
        addresses.retain(|&other| other != address);
        let server = Server { name: name.clone(), address };
        monitor.claim(Claim::Connected(server.clone()));
        let policy = match plan.exchanger_rules && name.is_some() {
            true => monitor.ask_for_policy(),
            false => plan.tls.clone(),
        };
        let peer = Peer {
            server: &server,
            found_by: &found_by,
            status,
            policy: &policy,
            dane: &dane,
            client_certificate: plan.client_certificate.as_ref(),
            is_probed: plan.purpose == Purpose::Probe,
        };
        let next = match plan.protocol {
            Protocol::Smtp => dialogue::speak(plan, peer, start_tls, stream, monitor),
            Protocol::Qmtp => qmtp::speak(plan, peer, stream, monitor),
        };
        match next {
            Next::Verdict => return Verdict::Claimed,
            Next::Exchanger => {}
            Next::AgainInClear => in_clear = Some(address),
        }
    }
    Verdict::Open
}
