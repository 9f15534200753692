//! Local addresses, which this machine has or has not, and `domainips`, which is made of them.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use qmail_remote::monitor::control::domainips;
use qmail_remote::monitor::control::local_address::LocalAddress;
use qmail_remote::monitor::control::routes::Origin;
use qmail_remote::monitor::interfaces;
use qmail_remote::plan::OwnAddresses;

use super::lists::Remarks;

/// The addresses of this machine; none when the kernel does not say.
pub(super) struct Machine(Option<OwnAddresses>);

impl Machine {
    /// Asks the kernel.
    pub(super) fn look() -> Machine {
        Machine(interfaces::own_addresses().ok())
    }

    /// Whether mail can be sent from `local` here. An interface's name is not printed: in a route it may be a password that
    /// begins as an address does.
    pub(super) fn check(&self, local: &LocalAddress, remarks: &mut Remarks) {
        let LocalAddress { address, interface } = local;
        match (address, interface) {
            (IpAddr::V6(v6), None) if v6.is_unicast_link_local() => {
                remarks.error(format!(
                    "the link-local address needs its interface: write {address}%eth0 or the like"
                ));
            }
            (IpAddr::V4(_), Some(_)) => {
                remarks.warning(format!("an IPv4 address has no interface: write {address} alone"));
            }
            (IpAddr::V6(_), Some(name)) if interfaces::index(name).is_err() => {
                remarks.warning(format!("this machine has no interface of the name behind {address}%"));
            }
            (_, None | Some(_)) => {}
        }
        if self.0.as_ref().is_some_and(|own| !own.contain(*address)) {
            remarks.warning(format!("no interface of this machine has the local address {address}"));
        }
    }
}

/// Checks a line of `domainips`.
pub(super) fn check_line(origin: Origin, value: &[u8], machine: &Machine, remarks: &mut Remarks) {
    match domainips::parse(origin, value) {
        Ok(ips) => ips.addresses.iter().for_each(|local| machine.check(local, remarks)),
        Err(error) => remarks.refused(&error, instead(value)),
    }
}

fn instead(value: &[u8]) -> &'static str {
    if value.contains(&b'#') {
        "a comment needs a line of its own"
    } else if value.iter().any(|octet| b" \t".contains(octet)) {
        "write the line without blanks"
    } else if value.contains(&b'[') && !value.contains(&b'|') {
        "write an address here without brackets"
    } else {
        "write domain:192.0.2.1|helo.example.com, or one address of each family with a comma between"
    }
}
