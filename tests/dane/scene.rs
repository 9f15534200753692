//! Servers and zones, deliveries to them, and Postfix's opinion of the same.

use world::{Delivery, Dns, Identity, ProbeVerdict, World, Zones};

use crate::differences::DIFFERENCES;
use crate::servers::Servers;

/// What is said when no exchanger could be looked up.
pub(crate) const NOT_FOUND_NOW: &str = "Sorry, I couldn't find any host by that name. (#4.1.2)";
/// What is said when none could be connected to.
pub(crate) const NOT_REACHED: &str = "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)";

/// What a delivery comes to, as the reports say it.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// Sent to this address over TLS that a TLSA record vouches for.
    Validated(&'static str),
    /// Sent to this address over TLS, without proof.
    Encrypted(&'static str),
    /// Sent to this address without TLS.
    Clear(&'static str),
    /// Put off because the certificate matches no TLSA record.
    Mismatch(String),
    /// Put off because the server does not offer TLS.
    NoTls(String),
    /// Put off for lack of a server that may be used.
    NoServer(String),
}

impl Expected {
    /// The exchanger `NAME.mx` of the domain `NAME` presents no certificate that matches, by OpenSSL for this reason.
    pub(crate) fn mismatch(name: &str, reason: &str) -> Expected {
        Expected::mismatch_of(&format!("{name}.mx.dane.test"), &format!("{name}.dane.test"), reason)
    }

    /// So with a server and a host of any name.
    pub(crate) fn mismatch_of(server: &str, host: &str, reason: &str) -> Expected {
        Expected::Mismatch(format!(
            "TLSA X.509 cert required but missing from: {server} for {host}: {reason}. (#4.4.1)"
        ))
    }

    /// The exchanger `NAME.mx` of the domain `NAME` offers no TLS.
    pub(crate) fn no_tls(name: &str) -> Expected {
        Expected::NoTls(format!(
            "I wasn't able to negotiate a StartTLS connection with: {name}.mx.dane.test for {name}.dane.test. (#4.4.1)"
        ))
    }

    /// Nobody can say whether there are records for this server.
    pub(crate) fn unknown(server: &str) -> Expected {
        Expected::NoServer(format!("TLSA lookup failed temporarily for: {server}. (#4.4.3)"))
    }

    /// What Postfix would say.
    fn probed(&self) -> ProbeVerdict {
        match self {
            Expected::Validated(_) => ProbeVerdict::Verified,
            Expected::Encrypted(_) => ProbeVerdict::Unproved,
            Expected::Clear(_) | Expected::NoTls(_) => ProbeVerdict::NoTls,
            Expected::Mismatch(_) => ProbeVerdict::Mismatch,
            Expected::NoServer(_) => ProbeVerdict::NoServer,
        }
    }
}

/// One domain of `dane.test`, what is in the zone for it, and what a delivery to it comes to.
pub(crate) type Row = (&'static str, String, Expected);

/// Servers and zones, ready for deliveries.
pub(crate) struct Scene<'a> {
    pub(crate) world: &'a World,
    pub(crate) servers: Servers,
    pub(crate) dns: Dns,
}

impl<'a> Scene<'a> {
    /// Starts the servers, and name servers with the zones that are made for them.
    pub(crate) fn start(world: &'a World, zones: impl FnOnce(&Servers) -> Zones) -> Scene<'a> {
        world.control("me", "client.example.test\n");
        let servers = Servers::start(world);
        let dns = world.dns(&zones(&servers));
        Scene { world, servers, dns }
    }

    /// Delivers to `host`, and stops the test unless it comes to this.
    #[track_caller]
    pub(crate) fn deliver(&self, host: &str, expected: &Expected) {
        println!("{host}: {expected:?}");
        let outcome = delivery(host).run();
        let queued = |address: &str, how: &str| outcome.assert_queued(&["r"], &format!("{address} {how}"));
        match expected {
            Expected::Validated(address) => {
                queued(address, "TLS (TLSA validated) transmitted message accepted");
            }
            Expected::Encrypted(address) => queued(address, "TLS transmitted message accepted"),
            Expected::Clear(address) => queued(address, "accepted message"),
            Expected::Mismatch(text) | Expected::NoTls(text) | Expected::NoServer(text) => {
                outcome.assert_reports(&[format!("Z{text}\n")]);
            }
        }
    }

    /// Delivers to `host` and lets Postfix probe it, which comes to the same; or differs as it is known to.
    #[track_caller]
    pub(crate) fn compare(&self, host: &str, expected: &Expected) {
        self.deliver(host, expected);
        let probe = self.world.posttls_finger(host);
        let known = DIFFERENCES.iter().find(|difference| difference.host == host);
        let verdict = known.map_or_else(|| expected.probed(), |difference| difference.verdict);
        assert_eq!(probe.verdict(), verdict, "{host}\n{}", probe.output);
    }
}

/// A delivery of a small message to one recipient, by way of `host`.
pub(crate) fn delivery(host: &str) -> Delivery {
    let delivery = Delivery::new(env!("CARGO_BIN_EXE_qmail-remote")).host(host);
    delivery.sender("alice@sender.test").recipient("bob@example.test").identity(Identity::Qmailr)
}

/// Delivers to each row's domain in a signed zone `dane.test`, beside Postfix.
pub(crate) fn check(world: &World, rows: impl FnOnce(&Servers) -> Vec<Row>) {
    let mut checked = Vec::new();
    let scene = Scene::start(world, |servers| {
        checked = rows(servers);
        Zones::new().signed("dane.test", &zone(&checked))
    });
    compare_all(&scene, &checked);
}

/// The text of a zone with these rows.
pub(crate) fn zone(rows: &[Row]) -> String {
    rows.iter().map(|(_, text, _)| text.as_str()).collect()
}

/// Delivers to each row's domain, beside Postfix.
pub(crate) fn compare_all(scene: &Scene<'_>, rows: &[Row]) {
    for (name, _, expected) in rows {
        scene.compare(&format!("{name}.dane.test"), expected);
    }
}
