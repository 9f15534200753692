//! Tries the exchangers in order until one gives a verdict. Network child.
#![forbid(unsafe_code)]

use super::dialogue::{self, Next};
use crate::ipc::child_end::ChildEnd;
use crate::ipc::{Claim, Server};
use crate::network::connect::connect_any;
use crate::network::exchangers::Exchanger;
use crate::plan::Plan;

/// Walks over `exchangers`, and over the addresses of each that have not been talked to yet.
pub(in crate::network) fn walk(plan: &Plan, exchangers: Vec<Exchanger>, monitor: &mut ChildEnd) {
    for Exchanger { name, mut addresses } in exchangers {
        while !addresses.is_empty() {
            let Some((stream, address)) = connect_any(&addresses, plan.port, plan.timeouts.connect) else {
                monitor.claim(Claim::Unreachable);
                break;
            };
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
