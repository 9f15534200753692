//! `qmail-remote-check probe`: what an administrator reads about good and broken hosts, and that no mail is sent.
#![expect(clippy::expect_used, reason = "test support: a failed step must stop the test with its cause")]

use std::process::{Command, Output};

use openssl::hash::{MessageDigest, hash};
use openssl::x509::X509;
use world::certificates;
use world::smtp_sink::{Options, SmtpSink};
use world::{World, Zones, in_world};

const TOOL: &str = env!("CARGO_BIN_EXE_qmail-remote-check");

fn probe(arguments: &[&str]) -> Output {
    Command::new(TOOL).arg("probe").args(arguments).output().expect("the tool runs")
}

fn text(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", output.stderr.escape_ascii());
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// SHA-256 of the certificate's public key: the data of `3 1 1`.
fn key_digest(certificate: &X509) -> String {
    let key = certificate.public_key().and_then(|key| key.public_key_to_der()).expect("key");
    hex(&hash(MessageDigest::sha256(), &key).expect("digest"))
}

fn certificate_rows(certificate: &X509) -> String {
    format!(
        "  certificate CN=mx.good.test\n    issuer    CN=mx.good.test\n    names     mx.good.test\n    \
             until     {}\n    SHA-256   {}\n    as 3 1 1  {}\n",
        certificate.not_after(),
        hex(&certificate.digest(MessageDigest::sha256()).expect("digest")),
        key_digest(certificate),
    )
}

struct Servers {
    certificate: X509,
    sinks: [SmtpSink; 2],
}

/// Servers with STARTTLS at 192.0.2.10, without at 192.0.2.11, and domains that lead there.
fn start(world: &World) -> (Servers, world::Dns) {
    let identity = certificates::Identity::self_signed(&["mx.good.test"]).expect("certificate");
    let good = format!(
        "@ MX 10 mx\nmx A 192.0.2.10\n_25._tcp.mx TLSA 3 1 1 {}\n",
        key_digest(&identity.certificate)
    );
    let broken = format!("@ MX 10 mx\nmx A 192.0.2.10\n_25._tcp.mx TLSA 3 1 1 {}\n", "ab".repeat(32));
    let zones = Zones::new()
        .signed("good.test", &good)
        .signed("broken.test", &broken)
        .signed(
            "stripped.test",
            "@ MX 10 mx.good.test.\n@ MX 20 mx\nmx A 192.0.2.11\n_25._tcp.mx TLSA 1 1 1 00\n",
        )
        .insecure("plain.test", "@ MX 10 mx\n@ MX 20 dead\nmx A 192.0.2.11\ndead A 192.0.2.12\n");
    let dns = world.dns(&zones);
    let sink = |address: &str, tls: bool| {
        let mut options = Options::named("server.test");
        options.acceptor = tls.then(|| identity.acceptor().expect("acceptor"));
        SmtpSink::start(&[address.parse().expect("address")], options).expect("server")
    };
    let sinks = [sink("192.0.2.10:25", true), sink("192.0.2.11:25", false)];
    (Servers { certificate: identity.certificate.clone(), sinks }, dns)
}

const RESOLVER: &str = "resolver      127.0.0.1 validates DNSSEC, and is trusted to\n";
const RULE: &str = "TLS           no line: when offered\nport          25\n\n";

#[test]
fn a_good_and_a_broken_dane_host_are_told_apart() {
    in_world(|world| {
        let (servers, _dns) = start(world);
        world.control("me", "client.test\n");
        let rows = certificate_rows(&servers.certificate);
        let digest = key_digest(&servers.certificate);
        let good = probe(&["good.test"]);
        assert_eq!(
            text(&good),
            format!(
                "{RESOLVER}{RULE}\
                 exchanger     mx.good.test (its name is secure)\n\
                 addresses     192.0.2.10\n\
                 TLSA          _25._tcp.mx.good.test 3 1 1 {digest}\n\
                 connection    192.0.2.10\n  \
                   session     TLSv1.3, TLS_AES_256_GCM_SHA384\n\
                 {rows}  \
                   matched     TLSA 3 1 1\n  \
                   verdict     a message could be sent: TLS (TLSA validated) transmitted message accepted\n"
            )
        );
        assert_eq!(good.status.code(), Some(0));
        let broken = probe(&["broken.test"]);
        assert_eq!(
            text(&broken),
            format!(
                "{RESOLVER}{RULE}\
                 exchanger     mx.broken.test (its name is secure)\n\
                 addresses     192.0.2.10\n\
                 TLSA          _25._tcp.mx.broken.test 3 1 1 {}\n\
                 connection    192.0.2.10\n  \
                   session     TLSv1.3, TLS_AES_256_GCM_SHA384\n\
                 {rows}  \
                   verdict     TLSA X.509 cert required but missing from: mx.broken.test for broken.test: no matching \
                 DANE TLSA records. (#4.4.1)\n",
                "ab".repeat(32)
            )
        );
        assert_eq!(broken.status.code(), Some(1));
        assert!(servers.sinks.iter().all(|sink| sink.messages().is_empty()));
        let said = servers.sinks[0].transcript().join("\n");
        assert!(said.contains("C: QUIT") && !said.contains("C: MAIL"), "{said}");
    });
}

#[test]
fn every_exchanger_is_tried() {
    in_world(|world| {
        let (_servers, _dns) = start(world);
        world.control("me", "client.test\n");
        let plain = probe(&["plain.test"]);
        assert_eq!(
            text(&plain),
            format!(
                "{RESOLVER}{RULE}\
                 exchanger     mx.plain.test (its name is not secure: unsigned DNS)\n\
                 addresses     192.0.2.11\n\
                 TLSA          not asked for: name or addresses are not signed\n\
                 connection    192.0.2.11\n  \
                   verdict     a message could be sent: accepted message\n\
                 \n\
                 exchanger     dead.plain.test (its name is not secure: unsigned DNS)\n\
                 addresses     192.0.2.12\n\
                 TLSA          not asked for: name or addresses are not signed\n  \
                   verdict     no connection to any of its addresses\n"
            )
        );
        assert_eq!(plain.status.code(), Some(0));
        let stripped = text(&probe(&["stripped.test"]));
        assert!(stripped.contains("a message could be sent: TLS (TLSA validated)"), "{stripped}");
        assert!(
            stripped.contains("TLSA          none that is usable: TLS is required, and proves nothing\n")
        );
        assert!(stripped.ends_with(
            "verdict     I wasn't able to negotiate a StartTLS connection with: mx.stripped.test for stripped.test. \
             (#4.4.1)\n"
        ));
    });
}

#[test]
fn rules_port_and_sender_are_those_of_a_delivery() {
    in_world(|world| {
        let (servers, _dns) = start(world);
        world.control("me", "client.test\n");
        let ca = world.file("ca.pem", servers.certificate.to_pem().expect("certificate"));
        world.control("tlsdestinations", format!("mx.plain.test:{}|||a.test\n=good.test:\n", ca.display()));
        let raised = text(&probe(&["plain.test", "--sender", "x@a.test"]));
        let line = format!("tlsdestinations:1: required, CA in {}\n", ca.display());
        assert!(raised.contains("  TLS         raised by ") && raised.contains(&line), "{raised}");
        assert!(
            raised
                .contains("verdict     I wasn't able to negotiate a StartTLS connection with: mx.plain.test")
        );
        assert!(!text(&probe(&["plain.test"])).contains("raised by"));
        let named = text(&probe(&["good.test"]));
        assert!(named.contains("tlsdestinations:2: required, chain and exact name verified\n"), "{named}");
        world.control("tlsdestinations", "mx.plain.test:=AB\n");
        let stopped = text(&probe(&["plain.test"]));
        let verdict = "  verdict     Unable to use /var/qmail/control/tlsdestinations, line 1: a fingerprint needs a key \
                       that starts with %. (#4.3.0)\n";
        assert!(stopped.contains(verdict), "{stopped}");
        let implicit = text(&probe(&["good.test", "--port", "465"]));
        assert!(implicit.contains("port          465\n"), "{implicit}");
        let closed = probe(&["good.test", "--port", "2525"]);
        assert!(text(&closed).contains("port          2525\n") && closed.status.code() == Some(1));
        assert_eq!(probe(&["good.test", "--port", "0"]).status.code(), Some(64));
    });
}

#[test]
fn what_stops_a_delivery_stops_a_probe() {
    in_world(|world| {
        let (_servers, _dns) = start(world);
        let refused = probe(&["good.test"]);
        assert_eq!(text(&refused), "verdict       put off: Unable to read control files. (#4.3.0)\n");
        assert_eq!(refused.status.code(), Some(1));
        world.control("me", "client.test\n");
        let nowhere = probe(&["nowhere.good.test"]);
        let verdict =
            "verdict       bounced: Sorry, I couldn't find any host named nowhere.good.test. (#5.1.2)\n";
        assert!(text(&nowhere).ends_with(verdict), "{}", text(&nowhere));
    });
}

#[test]
fn the_same_as_json() {
    in_world(|world| {
        let (servers, _dns) = start(world);
        world.control("me", "client.test\n");
        let output = text(&probe(&["good.test", "--format", "json"]));
        let json: serde_json::Value = serde_json::from_str(&output).expect("JSON");
        let digest = key_digest(&servers.certificate);
        assert_eq!(json["well"], true);
        assert_eq!(json["resolver"], "Validates");
        assert_eq!(json["exchangers"][0]["name"], "mx.good.test");
        assert_eq!(json["exchangers"][0]["tlsa"]["Match"][1][0]["data"], digest);
        assert_eq!(json["exchangers"][0]["attempts"][0]["session"]["version"], "TLSv1.3");
        assert_eq!(json["exchangers"][0]["attempts"][0]["chain"][0]["key_sha256"], digest);
    });
}
