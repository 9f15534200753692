//! The plan: all that the network child is told, as plain data.
//!
//! Made by the monitor from arguments and control files before the fork, inherited by the child, changed
//! by nobody. Holds no secret.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::authentication::Authentication;
use crate::envelope::Path;
use crate::host::{HeloName, Host, HostName};
use crate::ipc::Family;
use crate::tls_policy::TlsPolicy;

/// One delivery, decided as far as it can be without the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What all of it is for.
    pub purpose: Purpose,
    /// Where to connect.
    pub destination: Destination,
    /// What is spoken there.
    pub protocol: Protocol,
    /// The TCP port.
    pub port: u16,
    /// Whether TLS starts with the connection, before the greeting, or by STARTTLS.
    pub tls_start: TlsStart,
    /// What TLS must be and prove, as far as the destination decides it.
    pub tls: TlsPolicy,
    /// Whether the names of exchangers may have rules of their own: to be asked for after each connection.
    pub exchanger_rules: bool,
    /// Where the credentials may go that the monitor keeps; none: there are none.
    pub authentication: Option<Authentication>,
    /// Addresses that did not answer lately: not to be connected to.
    pub skip: Vec<IpAddr>,
    /// What to present to a server that asks for a certificate.
    pub client_certificate: Option<ClientCertificate>,
    /// Where to connect from.
    pub local: LocalAddresses,
    /// What EHLO and HELO say (`helohost` or `me`).
    pub helo: HeloName,
    /// The envelope sender.
    pub sender: Path,
    /// The envelope recipients, in argument order, at least one.
    pub recipients: Vec<Path>,
    /// How many octets of message descriptor 0 holds, if it is a regular file. A message that ends before is
    /// not sent to its end.
    pub message_octets: Option<u64>,
    /// Where in that file the message begins.
    pub message_offset: u64,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Whom to ask for names.
    pub resolvers: Resolvers,
}

/// A client certificate: the public half. Its key stays in the monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The file, as `domaincerts` writes it.
    pub file: PathBuf,
    /// PEM: the certificate, then those of its issuers.
    pub chain: Vec<u8>,
}

/// What the network child is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To deliver the message.
    Deliver,
    /// To go as far as the envelope with every exchanger, and to tell what it sees; there is no message.
    Probe,
}

/// What carries the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// SMTP (RFC 5321), and SMTPS where TLS starts with the connection.
    Smtp,
    /// QMTP, and QMTPS where TLS starts with the connection. There is no STARTTLS in it.
    Qmtp,
}

impl Protocol {
    /// The port where no line says one.
    pub fn port(self) -> u16 {
        match self {
            Protocol::Smtp => 25,
            Protocol::Qmtp => 209,
        }
    }
}

/// The port that means SMTPS where a TLS rule gives it.
pub const SMTPS: u16 = 465;
/// The port that means QMTPS, whatever leads to it.
pub const QMTPS: u16 = 6209;

/// How the server is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The mail exchangers of the host argument. Those that are this machine, and those that are no better,
    /// are left out.
    Exchangers(HostName, OwnAddresses),
    /// The host argument is an address: no look-up at all. It may not be one of ours.
    Literal(IpAddr, OwnAddresses),
    /// The one host that a control file names: no MX look-up, and no question whether it is this machine.
    Relay(Relay),
}

/// A relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// What to connect to.
    pub host: Host,
    /// How the file writes it: what reports call it, and what `tlsdestinations` is asked for.
    pub as_written: Vec<u8>,
}

/// The addresses of this machine's interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnAddresses(Vec<IpAddr>);

impl OwnAddresses {
    /// From the interfaces' addresses.
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> OwnAddresses {
        OwnAddresses(addresses.into_iter().map(|address| address.to_canonical()).collect())
    }

    /// Whether a connection to `address` would reach this machine: an interface's address, loopback, the
    /// unspecified address, and the IPv4-mapped forms of these.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || address.is_unspecified() || self.0.contains(&address)
    }
}

/// When TLS starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsStart {
    /// By STARTTLS, as the policy demands.
    StartTls,
    /// With the first byte (RFC 8314 section 3: implicit TLS).
    Implicit,
}

/// The addresses to connect from, at most one of each family. When there is one, addresses of the other family
/// are not connected to: never from a wrong source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalAddresses {
    /// For IPv4.
    pub v4: Option<Ipv4Addr>,
    /// For IPv6, with the number of the interface that a link-local address belongs to, else 0.
    pub v6: Option<(Ipv6Addr, u32)>,
}

impl LocalAddresses {
    /// Whether any address will do.
    pub fn is_any(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }

    /// The address of `family`.
    pub fn of(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(|(address, _)| IpAddr::V6(address)),
        }
    }
}

/// The deadlines of each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// One connection attempt (`timeoutconnect`).
    pub connect: Duration,
    /// One whole reply of the server, or the sending of one buffer (`timeoutremote`).
    pub remote: Duration,
    /// All DNS look-ups together.
    pub dns: Duration,
}

impl Timeouts {
    /// The longest that any one step may take.
    pub fn longest(&self) -> Duration {
        self.connect.max(self.remote).max(self.dns)
    }
}

/// The recursive resolvers, in order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolvers {
    /// At most three.
    pub addresses: Vec<IpAddr>,
    /// Whether the AD bit of their answers counts: every one of them is on a loopback address, or the
    /// administrator vouches for them (`options trust-ad`, resolv.conf(5)).
    pub trust_ad: bool,
}

/// The port that resolvers listen on.
pub const DNS_PORT: u16 = 53;

impl Plan {
    /// Whether an address can be sent with SMTPUTF8 only.
    pub fn needs_smtputf8(&self) -> bool {
        self.sender.needs_smtputf8() || self.recipients.iter().any(Path::needs_smtputf8)
    }

    /// The TCP ports that the child has reason to connect to: the server's, and the DNS's for answers
    /// that do not fit a datagram.
    pub fn connect_ports(&self) -> Vec<u16> {
        vec![self.port, DNS_PORT]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A plan for a message from nobody to so many recipients.
    pub(crate) fn plan(recipients: usize) -> Plan {
        let domain = HostName::parse(b"example.test").unwrap();
        let recipient = Path::forward(b"bob@example.test").unwrap();
        let second = Duration::from_secs(1);
        Plan {
            purpose: Purpose::Deliver,
            destination: Destination::Exchangers(domain, OwnAddresses::default()),
            protocol: Protocol::Smtp,
            port: 25,
            tls_start: TlsStart::StartTls,
            tls: TlsPolicy::OPPORTUNISTIC,
            exchanger_rules: false,
            authentication: None,
            skip: Vec::new(),
            client_certificate: None,
            local: LocalAddresses { v4: Some(Ipv4Addr::new(192, 0, 2, 99)), v6: None },
            helo: HeloName::parse(b"client.example.test").unwrap(),
            sender: Path::reverse(b"").unwrap(),
            recipients: vec![recipient; recipients],
            message_octets: None,
            message_offset: 0,
            timeouts: Timeouts { connect: second, remote: second, dns: second },
            resolvers: Resolvers { addresses: Vec::new(), trust_ad: false },
        }
    }

    #[test]
    fn this_machine_is_known_in_every_form() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let own = OwnAddresses::new(["192.0.2.1", "2001:db8::1"].map(parse));
        for ours in [
            "192.0.2.1",
            "::ffff:192.0.2.1",
            "2001:db8::1",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "::",
        ] {
            assert!(own.contain(parse(ours)), "{ours}");
        }
        for other in ["192.0.2.2", "2001:db8::2", "::2"] {
            assert!(!own.contain(parse(other)), "{other}");
        }
    }
}
