//! A link with a delay, for real TCP ends on both sides.
//!
//! A TUN device leads to [`PEER`]. Each packet that goes there comes back half a round trip later with its two addresses
//! exchanged, which leaves every checksum right: a connection to `PEER` ends at the listener on [`OWN`], and both ends
//! are this kernel's.
#![expect(unsafe_code, reason = "TUNSETIFF has no safe wrapper")]

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use world::programs;

/// Where servers listen.
pub(crate) const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// Where clients connect to: the same servers, behind the link.
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

/// Large enough that a flight of a thousand recipients is one window: the link delays, and does nothing else.
const MTU: usize = 65_000;
const NAME: &str = "slow0";

nix::ioctl_write_ptr_bad!(
    tun_set_iff,
    nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()),
    libc::ifreq
);

/// Makes the link, for as long as the process lives.
pub(crate) fn start(round_trip: Duration) -> io::Result<()> {
    let device = open_device()?;
    for arguments in
        [format!("addr add {OWN}/24 dev {NAME}"), format!("link set {NAME} mtu {MTU} txqueuelen 10000 up")]
    {
        programs::run(programs::command("ip").args(arguments.split(' ')));
    }
    thread::spawn(move || relay(device, round_trip.checked_div(2).unwrap_or_default()));
    Ok(())
}

fn open_device() -> io::Result<File> {
    let device = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: ifreq is plain old data, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, octet) in request.ifr_name.iter_mut().zip(NAME.bytes()) {
        *place = libc::c_char::try_from(octet).unwrap_or_default();
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).unwrap_or_default();
    // SAFETY: TUNSETIFF reads an ifreq, which lives through the call.
    unsafe { tun_set_iff(device.as_raw_fd(), &raw const request) }?;
    Ok(device)
}

fn relay(mut device: File, delay: Duration) -> io::Result<()> {
    let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut packet = vec![0; MTU];
    loop {
        let timeout = match waiting.front() {
            Some((due, _)) => due.saturating_duration_since(Instant::now()),
            None => Duration::from_secs(3600),
        };
        // Half a millisecond early and then at once: poll(2) counts in milliseconds.
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut [PollFd::new(device.as_fd(), PollFlags::POLLIN)], timeout)?;
        if ready > 0 {
            let length = device.read(&mut packet)?;
            let mut received = packet.get(..length).unwrap_or_default().to_vec();
            exchange_addresses(&mut received);
            let due = Instant::now().checked_add(delay).unwrap_or_else(Instant::now);
            waiting.push_back((due, received));
        }
        while let Some((due, _)) = waiting.front() {
            if *due > Instant::now() {
                break;
            }
            if let Some((_, packet)) = waiting.pop_front() {
                device.write_all(&packet)?;
            }
        }
    }
}

/// Of an IPv4 packet: source and destination at octets 12 and 16.
fn exchange_addresses(packet: &mut [u8]) {
    if packet.first().is_some_and(|first| first >> 4 == 4)
        && let Some((source, destination)) =
            packet.get_mut(12..20).and_then(|both| both.split_at_mut_checked(4))
    {
        source.swap_with_slice(destination);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_comes_back_to_the_other_address() {
        let mut packet = vec![0x45; 20];
        packet[12..].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        exchange_addresses(&mut packet);
        assert_eq!(packet[..12], [0x45; 12]);
        assert_eq!(packet[12..], [10, 0, 0, 2, 10, 0, 0, 1]);
        let other = [0x60; 40];
        let mut packet = other;
        exchange_addresses(&mut packet);
        assert_eq!(packet, other);
        exchange_addresses(&mut [0x45; 19]);
    }
}
