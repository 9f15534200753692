//! The rules of the manual page with real servers: one Postfix with a listener for each kind, and a signed zone of nsd
//! behind a validating unbound.

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::X509;
use world::certificates::{Authority, Content, Identity};
use world::{Dns, Mailbox, Postfix, World, Zones, in_world};

use crate::support::*;

/// The servers, in the order of the letters of a row: by their domains below `rules.test`, where each is the one exchanger
/// `mx` of its domain. `cipher` and those before it have no TLS to go by; `anonymous` has no certificate; `middle`
/// presents the intermediate authority's, `alone` does not; `old` speaks TLS 1.2 with an RSA key; `match` and `wrong`
/// have TLSA records, and the certificates of `old` and `middle`.
const SERVERS: [&str; 13] = [
    "clear",
    "broken",
    "cipher",
    "anonymous",
    "middle",
    "alone",
    "expired",
    "old",
    "other-name",
    "wildcard",
    "above",
    "match",
    "wrong",
];

/// The certificate that `%` is tried with.
const PINNED_ONE: &str = "wrong";

fn domain(name: &str) -> String {
    format!("{name}.rules.test")
}

fn address(index: usize) -> String {
    format!("192.0.2.{}", 20 + index)
}

/// Postfix, name servers and certificates, ready for deliveries.
struct Bench<'a> {
    world: &'a World,
    pin: String,
    file: String,
    directory: String,
    _mailbox: Mailbox,
    _dns: Dns,
}

impl<'a> Bench<'a> {
    fn start(world: &'a World) -> Bench<'a> {
        let root = Authority::new("Test root").unwrap();
        let middle = root.authority("Test intermediate").unwrap();
        let of = |authority: &Authority| authority.identity().certificate.clone();
        let mut zone = String::new();
        let mut pin = String::new();
        let mut postfix = Postfix::on(&address(0));
        let mut matched = None;
        for (index, name) in SERVERS.into_iter().enumerate() {
            zone += &format!("{name} MX 10 mx.{name}\nmx.{name} A {}\n", address(index));
            let identity = identity(name, &root, &middle);
            let following = match name {
                "alone" | "old" | "match" => vec![],
                "expired" => vec![of(&root)],
                _ => vec![of(&middle), of(&root)],
            };
            let chain = identity.write_chain(&world.scratch(), name, &following).unwrap();
            let [chain, certificate] =
                ["chain_files", "cert_file"].map(|name| format!("smtpd_tls_{name}={}", chain.display()));
            // What is mandatory holds for port 465.
            let settings: &[&str] = match name {
                "clear" => continue,
                "broken" => &[&certificate, "smtpd_tls_key_file=/missing"],
                "cipher" => &[
                    "smtpd_tls_protocols=<=TLSv1.2",
                    "smtpd_tls_mandatory_protocols=<=TLSv1.2",
                    "smtpd_tls_ciphers=high",
                    "smtpd_tls_mandatory_ciphers=high",
                    "tls_high_cipherlist=ECDHE-RSA-AES128-GCM-SHA256",
                    &chain,
                ],
                "anonymous" => &[
                    "smtpd_tls_cert_file=none",
                    "smtpd_tls_key_file=none",
                    "smtpd_tls_protocols=!TLSv1.3,>=TLSv1.2",
                    "smtpd_tls_mandatory_protocols=!TLSv1.3,>=TLSv1.2",
                ],
                "old" => {
                    &["smtpd_tls_protocols=<=TLSv1.2", "smtpd_tls_mandatory_protocols=<=TLSv1.2", &chain]
                }
                _ => &[&chain],
            };
            let settings = [&["smtpd_tls_security_level=may"], settings].concat();
            for (port, more) in [(25, None), (35, None), (465, Some("smtpd_tls_wrappermode=yes"))] {
                let settings: Vec<&str> = settings.iter().copied().chain(more).collect();
                postfix = postfix.socket(format!("{}:{port}", address(index)).parse().unwrap(), &settings);
            }
            let sha256 = |certificate: &X509| hex(&certificate.digest(MessageDigest::sha256()).unwrap());
            match name {
                "match" => matched = Some(sha256(&identity.certificate)),
                PINNED_ONE => pin = sha256(&identity.certificate),
                _ => {}
            }
        }
        let record = |name, digest: &str| {
            ["25", "35", "465"].map(|port| format!("_{port}._tcp.mx.{name} TLSA 3 0 1 {digest}\n")).concat()
        };
        zone += &record("match", &matched.unwrap());
        zone += &record("wrong", &"ab".repeat(32));
        let root = of(&root);
        world.control("me", "client.example.test\n");
        trusted_system_directory(world, &[&root]);
        Bench {
            world,
            pin,
            file: ca_file(world, "root.pem", &[&root]),
            directory: ca_directory(world, "root", &[&root]),
            _mailbox: world.postfix(postfix),
            _dns: world.dns(&Zones::new().signed("rules.test", &zone)),
        }
    }

    /// Delivers by each rule to each server. In a rule HOST is the server's domain, FILE and DIR have the root's
    /// certificate, and HEX is the fingerprint of one server's.
    fn check(&self, table: &[(&[&str], &str)]) {
        for (rules, letters) in table {
            assert_eq!(letters.len(), SERVERS.len(), "{rules:?}");
            for rule in *rules {
                for (index, letter) in letters.chars().enumerate() {
                    self.deliver(rule, index, letter);
                }
            }
        }
    }

    /// Delivers to one server, with the result that this letter stands for.
    fn deliver(&self, rule: &str, index: usize, letter: char) {
        let host = domain(SERVERS.get(index).unwrap());
        let remote = format!("mx.{host}");
        let rule = rule.replace("HOST", &host).replace("FILE", &self.file).replace("DIR/", &self.directory);
        let rule = rule.replace("HEX", &self.pin);
        let outcome = deliver_with(self.world, &rule, delivery_to(&host, "alice@sender.test"));
        let queued = |how: &str| outcome.assert_queued(&["r"], &format!("{} {how}", address(index)));
        let put_off = |text: String| outcome.assert_reports(&[format!("Z{text}. (#4.4.1)\n")]);
        let unverified = |reason: &str| {
            put_off(format!("Unable to verify X.500 certificate from: {remote} for {host}: {reason}"));
        };
        match letter {
            '-' => queued(CLEAR),
            't' => queued(TLS),
            'c' => queued(CHAIN),
            'n' => queued(NAME),
            'x' => queued(EXACT_NAME),
            'p' => queued(PINNED),
            'v' => queued("TLS (TLSA validated) transmitted message accepted"),
            'O' => {
                put_off(format!("I wasn't able to negotiate a StartTLS connection with: {remote} for {host}"))
            }
            'H' => put_off(format!(
                "TLS connection/protocol error with host: {remote} for {host}: sslv3 alert handshake failure"
            )),
            'S' => unverified("self-signed certificate"),
            'I' => unverified(UNKNOWN_ISSUER),
            'E' => unverified("certificate has expired"),
            'L' => unverified("certificate chain too long"),
            'N' => {
                put_off(format!("Unable to validate X.500 certificate Subject for: {host} at {remote}"));
            }
            'F' => put_off(format!(
                "Received X.500 certificate from: {remote} for {host} does not match provided fingerprint: {}",
                self.pin
            )),
            'M' => put_off(format!(
                "TLSA X.509 cert required but missing from: {remote} for {host}: no matching DANE TLSA records"
            )),
            other => panic!("no letter {other}"),
        }
    }
}

/// The certificate of the server.
fn identity(name: &str, root: &Authority, middle: &Authority) -> Identity {
    let exchanger = format!("mx.{}", domain(name));
    match name {
        "expired" => {
            let [start, end] =
                ["20200101000000Z", "20200201000000Z"].map(|text| Asn1Time::from_str(text).unwrap());
            let valid = Some((&*start, &*end));
            root.issue_with(&Content { names: &[&exchanger], valid, ..Content::default() }).unwrap()
        }
        "old" | "match" => {
            let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
            let content = Content { names: &[&exchanger], key: Some(&key), ..Content::default() };
            Identity::self_signed_with(&content).unwrap()
        }
        "other-name" => middle.issue(&["mx.elsewhere.test"]).unwrap(),
        "wildcard" => middle.issue(&[&format!("*.{}", domain(name))]).unwrap(),
        "above" => middle.issue(&["rules.test"]).unwrap(),
        _ => middle.issue(&[&exchanger]).unwrap(),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

#[test]
fn rules_that_let_mail_go_in_clear() {
    in_world(|world| {
        Bench::start(world).check(&[
            // (0), and (12) for another sender.
            (&["", "*:", "HOST:FILE|||other.test"], "--HHtttttttvM"),
            // (1), (19)
            (&["?:", "?HOST:"], "----tttttttvM"),
            // (2)
            (&["-:"], "--HttttttttvM"),
            // (3), (20)
            (&["/:", "/HOST:"], "--HHttttttttt"),
            // (17)
            (&["!HOST:", "!.rules.test:"], "-------------"),
        ]);
    });
}

#[test]
fn rules_that_demand_tls() {
    in_world(|world| {
        Bench::start(world).check(&[
            // (4), (15)
            (&["-*:", "-HOST:", "-.rules.test:"], "OOHttttttttvM"),
            // (8)
            (&["/*:"], "OOHHttttttttt"),
            // (9)
            (&["HOST:", ".rules.test:"], "OOHHtttttttvM"),
        ]);
    });
}

#[test]
fn rules_that_demand_a_certificate() {
    in_world(|world| {
        Bench::start(world).check(&[
            // (5)
            (&["+*:"], "OOHHcIEScccvM"),
            // (6), (14)
            (&["~*:"], "OOHHnIESNnnvM"),
            (&["~HOST:FILE", "~.rules.test:FILE"], "OOHHnIESNnnSM"),
            // (7), (13)
            (&["=*:"], "OOHHxIESNNNvM"),
            (&["=HOST:FILE"], "OOHHxIESNNNSM"),
            // (10), and (12) for its sender.
            (&["HOST:FILE|HIGH", "HOST:FILE|||sender.test"], "OOHHcIEScccSM"),
            // (16)
            (&["%HOST:=HEX"], "OOHHFFFFFFFFp"),
        ]);
    });
}

#[test]
fn rules_with_a_port() {
    in_world(|world| {
        let bench = Bench::start(world);
        // From the first server with TLS on.
        let with_tls = |rule: &str, letters: &str| {
            for (index, letter) in letters.chars().enumerate() {
                bench.deliver(rule, index + 2, letter);
            }
        };
        // (11)
        with_tls("HOST:DIR/||3;465", "HHcIEScccSM");
        with_tls("HOST:DIR/||0;465", "HHLIESLLLSM");
        // (18)
        with_tls("HOST:;35", "HHtttttttvM");
        with_tls("HOST:;s465", "HHtttttttvM");
        // There is nobody without TLS.
        let outcome = deliver_with(world, "clear.rules.test:;35", delivery_to(&domain("clear"), ""));
        outcome.assert_reports(&["ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n"]);
    });
}
