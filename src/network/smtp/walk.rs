//! Tries the exchangers in order until one gives a verdict. Network child.
#![forbid(unsafe_code)]

use super::dialogue::{self, Next};
use crate::ipc::child_end::ChildEnd;
use crate::ipc::{Claim, Server};
use crate::network::connect::{NoConnection, connect_any};
use crate::network::exchangers::Exchanger;
use crate::plan::Plan;

/// Walks over `exchangers`, and over the addresses of each that have not been talked to yet.
pub(in crate::network) fn walk(plan: &Plan, exchangers: Vec<Exchanger>, monitor: &mut ChildEnd) {
    for Exchanger { name, mut addresses } in exchangers {
        if addresses.is_empty() {
            monitor.claim(Claim::Unreachable);
        }
        let mut has_answered = false;
        while !addresses.is_empty() {
            let (stream, address) = match connect_any(&addresses, plan) {
                Ok(connection) => connection,
                // One that has answered was reached, whatever its other addresses are.
                Err(NoConnection::Unreachable) if has_answered => break,
                Err(NoConnection::Unreachable) => {
                    monitor.claim(Claim::Unreachable);
                    break;
                }
                // The next exchanger would find the same.
                Err(NoConnection::CannotBind(family)) => return monitor.claim(Claim::CannotBind(family)),
                Err(NoConnection::NoSocket) => return monitor.claim(Claim::NoSocket),
            };
            has_answered = true;
            addresses.retain(|&other| other != address);
            let server = Server { name: name.clone(), address };
            monitor.claim(Claim::Connected(server.clone()));
            match dialogue::speak(plan, &server, stream, monitor) {
                Next::Exchanger => {}
                Next::Nothing => return,
            }
        }
    }
    monitor.claim(Claim::Exhausted);
}
