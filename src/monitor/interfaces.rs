//! The addresses of this machine. Monitor only, before the fork: the child may ask no such thing.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};

use crate::plan::OwnAddresses;

/// Asks the kernel for the addresses of all interfaces.
pub fn own_addresses() -> Result<OwnAddresses, Errno> {
    Ok(OwnAddresses::new(getifaddrs()?.filter_map(address)))
}

/// The number of the interface `name`.
pub fn index(name: &str) -> Result<u32, Errno> {
    nix::net::if_::if_nametoindex(name)
}

fn address(interface: InterfaceAddress) -> Option<IpAddr> {
    let address = interface.address?;
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers() {
        assert!(own_addresses().is_ok());
    }
}
