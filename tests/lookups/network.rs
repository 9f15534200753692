//! Servers at all addresses and ports that rows name, and the names of the rows.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use world::certificates;
use world::smtp_sink::{Options, SmtpSink};
use world::{Dns, Identity, Needs, World, Zones, programs};

use crate::outcome::Outcome;
use crate::row::{Seen, Servers};

/// At these addresses servers offer STARTTLS, or begin with TLS, by their port.
const ADDRESSES: [&str; 9] = [
    "192.0.2.10",
    "192.0.2.11",
    "192.0.2.12",
    "192.0.2.13",
    "192.0.2.14",
    "192.0.2.15",
    "192.0.2.16",
    "192.0.2.17",
    "127.0.0.5",
];
/// So too, where there is IPv6.
const IPV6_ADDRESSES: [&str; 4] = ["2001:db8::10", "2001:db8::11", "::1", "fe80::10"];
/// At this address TLS is not spoken.
const WITHOUT_TLS: &str = "192.0.2.19";
/// 209 and 6209 are those of QMTP: no message may come there from one who speaks SMTP.
const PORTS: [u16; 7] = [25, 26, 27, 35, 42, 209, 6209];
/// TLS from the first byte.
pub(crate) const IMPLICIT_TLS: [u16; 3] = [465, 587, 2465];

/// Names of the manual page's examples, and ours.
const ZONES: [(&str, &str); 16] = [
    (
        "af.mil",
        "x MX 10 mx\nmx A 192.0.2.14\nfirewall A 192.0.2.11\nheaven A 192.0.2.12\nbouncehost A 192.0.2.13\n",
    ),
    ("myrelay.com", "submission A 192.0.2.15\n"),
    ("bouncehost.org", "@ A 192.0.2.16\n"),
    ("partnermx.net", "@ AAAA 2001:db8::11\n"),
    (
        "example.com",
        "@ MX 10 mx\nmx A 192.0.2.10\nnosslhost A 192.0.2.10\nrelay A 192.0.2.11\nmailrelay A 192.0.2.12\n",
    ),
    ("securityfirst.com", "@ A 192.0.2.10\n"),
    ("remote.com", "@ A 192.0.2.10\n"),
    ("partner.com", "mx A 192.0.2.10\npeer A 192.0.2.10\n"),
    ("myfriend.com", "mx A 192.0.2.10\n"),
    ("wildneighbor.net", "@ A 192.0.2.10\n"),
    ("adhonlydomain.com", "@ A 192.0.2.10\n"),
    ("hiddenpartner.org", "@ A 192.0.2.10\n"),
    ("tlsold.net", "@ A 192.0.2.10\n"),
    ("nodane.org", "@ A 192.0.2.10\n"),
    (
        "example.test",
        "@ MX 20 mx2\n@ MX 10 mx1\nmx1 A 192.0.2.10\nmx2 A 192.0.2.11\nrelay A 192.0.2.12\n\
         mx.sub A 192.0.2.10\nfamilies MX 10 six\nfamilies MX 20 relay\nboth A 192.0.2.13\nboth AAAA 2001:db8::11\nsix AAAA 2001:db8::10\n",
    ),
    ("other.test", "@ A 192.0.2.17\n"),
];

/// The names in the servers' certificate: those that rules check.
const NAMES: [&str; 4] = ["mx1.example.test", "mx.sub.example.test", "mx.myfriend.com", "wildneighbor.net"];

/// The servers and what they have seen.
pub(crate) struct Network {
    sinks: [SmtpSink; 3],
    /// How many messages of each were looked at, and how many connections there were.
    looked_at: [(usize, usize); 3],
    /// What the servers show; it vouches for itself.
    pub(crate) certificate: certificates::Identity,
    _dns: Dns,
}

impl Network {
    /// Starts all servers, and the name servers.
    pub(crate) fn start(world: &World) -> Network {
        let zones = ZONES.iter().fold(Zones::new(), |zones, (name, text)| zones.insecure(name, text));
        let dns = world.dns(&zones);
        let certificate = certificates::Identity::self_signed(&NAMES).expect("certificate");
        let addresses = addresses(world);
        let start = |addresses: &[IpAddr], ports: &[u16], tls: bool, implicit_tls: bool| {
            let mut options = Options::named("server.test");
            options.acceptor = tls.then(|| certificate.acceptor().expect("acceptor"));
            options.implicit_tls = implicit_tls;
            let sockets = addresses.iter().flat_map(|&ip| ports.iter().map(move |&port| socket(ip, port)));
            SmtpSink::start(&sockets.collect::<Vec<_>>(), options).expect("servers")
        };
        let sinks = [
            start(&addresses, &PORTS, true, false),
            start(&addresses, &IMPLICIT_TLS, true, true),
            start(&[WITHOUT_TLS.parse().expect("address")], &PORTS, false, false),
        ];
        Network { sinks, looked_at: [(0, 0); 3], certificate, _dns: dns }
    }
}

fn addresses(world: &World) -> Vec<IpAddr> {
    let mut addresses = ADDRESSES.to_vec();
    if world.can(Needs::Ipv6) {
        // The two ends of a link-local connection.
        for address in ["fe80::90/64", "fe80::10/64"] {
            programs::run(programs::command("ip").args(["address", "add", address, "dev", "lo", "nodad"]));
        }
        addresses.extend(IPV6_ADDRESSES);
    }
    addresses.iter().map(|address| address.parse().expect("address")).collect()
}

fn socket(ip: IpAddr, port: u16) -> SocketAddr {
    /// The number of the one interface.
    const LOOPBACK: u32 = 1;
    match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => SocketAddrV6::new(ip, port, 0, LOOPBACK).into(),
        ip => SocketAddr::new(ip, port),
    }
}

impl Servers for Network {
    fn arrived(&mut self, expected: &Outcome) -> Vec<Seen> {
        let mut all = Vec::new();
        for (sink, (messages, connections)) in self.sinks.iter().zip(&mut self.looked_at) {
            let arrived = sink.messages().split_off(*messages);
            *messages += arrived.len();
            // A connection that brought no message is one too many.
            let before = std::mem::replace(connections, sink.connections());
            let too_many = *connections - before - arrived.len();
            assert!(too_many == 0 || matches!(expected, Outcome::Unproved(_)), "{:?}", sink.transcript());
            all.extend(arrived.into_iter().map(|message| Seen {
                server: SocketAddr::new(message.server.ip(), message.server.port()).to_string(),
                client: message.client.ip().to_string(),
                hello: message.hello,
                tls: message.tls,
            }));
        }
        all
    }

    fn is_implicit_tls(&self, port: u16) -> bool {
        IMPLICIT_TLS.contains(&port)
    }

    fn reply(&self) -> &str {
        "250 2.0.0 accepted"
    }

    fn client(&self) -> Identity {
        Identity::Qmailr
    }
}
