//! `qmail-remote-check probe`: what an administrator reads about good and broken hosts, and that no mail is sent.
#![expect(clippy::expect_used, reason = "test support: a failed step must stop the test with its cause")]

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use nix::unistd::Pid;
use openssl::hash::{MessageDigest, hash};
use openssl::x509::X509;
use world::certificates;
use world::patience::accept;
use world::running::children_of;
use world::smtp_sink::{Options, SmtpSink};
use world::{Needs, World, Zones, in_world};

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
             until     {}\n    SHA-256   {}\n    as TLSA   3 1 1 {}\n",
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
        .signed("named.test", "@ MX 10 mx\nmx A 192.0.2.10\n")
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
const NO_DANE: &str =
    "TLSA          not asked for: DNSSEC does not vouch for its name, so there is no DANE\n";
const RULE: &str = "TLS           no line of tlsdestinations: when offered\nport          25\n\n";

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
                 exchanger     mx.good.test (DNSSEC vouches for its name)\n\
                 addresses     192.0.2.10\n\
                 TLSA          _25._tcp.mx.good.test 3 1 1 {digest}\n\
                 connection    192.0.2.10\n  \
                   session     TLSv1.3, TLS_AES_256_GCM_SHA384\n\
                 {rows}  \
                   matched     TLSA 3 1 1\n  \
                   verdict     a message could be sent, and reported as: TLS (TLSA validated) transmitted message accepted\n\n\
                 result        mail would go to mx.good.test\n"
            )
        );
        assert_eq!(good.status.code(), Some(0));
        let broken = probe(&["broken.test"]);
        assert_eq!(
            text(&broken),
            format!(
                "{RESOLVER}{RULE}\
                 exchanger     mx.broken.test (DNSSEC vouches for its name)\n\
                 addresses     192.0.2.10\n\
                 TLSA          _25._tcp.mx.broken.test 3 1 1 {}\n\
                 connection    192.0.2.10\n  \
                   session     TLSv1.3, TLS_AES_256_GCM_SHA384\n\
                 {rows}  \
                   matched     no TLSA record: the server's certificate was changed and its records were not, or this is another server\n  \
                   verdict     not used: TLSA X.509 cert required but missing from: mx.broken.test for broken.test: no \
                 matching DANE TLSA records. (#4.4.1)\n\n\
                 result        no server can be used now: mail would wait in the queue\n",
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
fn each_certificate_is_shown_with_the_record_that_would_match_it() {
    in_world(|world| {
        let root = certificates::Authority::new("Root").expect("root");
        let middle = root.authority("Middle").expect("middle");
        let leaf = middle.issue(&["mx.chain.test"]).expect("leaf");
        let mut options = Options::named("mx.chain.test");
        options.acceptor = Some(leaf.acceptor_below(&[&middle]).expect("acceptor"));
        let _server = SmtpSink::start(&["192.0.2.10:25".parse().expect("address")], options).expect("server");
        let digest = key_digest(&middle.identity().certificate);
        let zone = format!("@ MX 10 mx\nmx A 192.0.2.10\n_25._tcp.mx TLSA 2 1 1 {digest}\n");
        let _dns = world.dns(&Zones::new().signed("chain.test", &zone));
        world.control("me", "client.test\n");
        let output = text(&probe(&["chain.test"]));
        let own = key_digest(&leaf.certificate);
        assert!(
            output.contains(&format!("    as TLSA   3 1 1 {own}\n  certificate CN=Middle\n")),
            "{output}"
        );
        assert!(
            output.contains(&format!("    as TLSA   2 1 1 {digest}\n  matched     TLSA 2 1 1\n")),
            "{output}"
        );
    });
}

#[test]
fn a_zone_that_does_not_validate_is_told_from_one_that_is_not_signed() {
    in_world(|world| {
        let text_of = "@ MX 10 mx\n@ A 192.0.2.10\nmx A 192.0.2.10\n";
        let records = format!("{text_of}_25._tcp.mx TLSA 3 1 1 {}\n", "ab".repeat(32));
        let zones = Zones::new().bogus("bogus.test", text_of);
        let zones = zones.bogus_at("half.test", &records, &[("_25._tcp.mx", "TLSA")]);
        let _dns = world.dns(&zones);
        world.control("me", "client.test\n");
        let bogus = probe(&["bogus.test"]);
        let advice = "the resolver gave no answer that can be trusted: it or the name servers of the domain are down, or \
                      the domain's DNSSEC signatures are bogus";
        let verdict =
            "verdict       put off: Sorry, I couldn't find any host by that name. (#4.1.2)\n              ";
        assert_eq!(
            text(&bogus),
            format!("{RESOLVER}{}{verdict}{advice}\n", RULE.trim_end().to_owned() + "\n")
        );
        assert_eq!(bogus.status.code(), Some(1));
        let half = probe(&["half.test"]);
        assert_eq!(
            text(&half),
            format!(
                "{RESOLVER}{RULE}\
                 exchanger     mx.half.test (DNSSEC vouches for its name)\n\
                 addresses     192.0.2.10\n\
                 TLSA          no answer that can be trusted: its name servers are down, or its DNSSEC signatures are \
                 bogus; the exchanger is not used\n  \
                   verdict     not used: TLSA lookup failed temporarily for: mx.half.test. (#4.4.3)\n\n\
                 verdict       put off: TLSA lookup failed temporarily for: mx.half.test. (#4.4.3)\n"
            )
        );
        assert_eq!(half.status.code(), Some(1));
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
                 exchanger     mx.plain.test (DNSSEC does not vouch for its name)\n\
                 addresses     192.0.2.11\n\
                 {NO_DANE}\
                 connection    192.0.2.11\n  \
                   verdict     a message could be sent, and reported as: accepted message\n\
                 \n\
                 exchanger     dead.plain.test (DNSSEC does not vouch for its name)\n\
                 addresses     192.0.2.12\n\
                 {NO_DANE}  \
                   verdict     not used: no connection to any of its addresses\n\n\
                 result        mail would go to mx.plain.test\n"
            )
        );
        assert_eq!(plain.status.code(), Some(0));
        let stripped = text(&probe(&["stripped.test"]));
        assert!(
            stripped.contains("a message could be sent, and reported as: TLS (TLSA validated)"),
            "{stripped}"
        );
        assert!(
            stripped.contains("TLSA          _25._tcp.mx.stripped.test 1 1 1 00\n              none of them can be used for mail: TLS is required, and proves \
                 nothing\n")
        );
        assert!(stripped.ends_with(
            "verdict     not used: I wasn't able to negotiate a StartTLS connection with: mx.stripped.test for \
             stripped.test. (#4.4.1)\n\nresult        mail would go to mx.good.test\n"
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
        assert!(raised.contains(
            "verdict     not used: I wasn't able to negotiate a StartTLS connection with: mx.plain.test"
        ));
        assert!(!text(&probe(&["plain.test"])).contains("raised by"));
        let named = text(&probe(&["good.test"]));
        assert!(named.contains("tlsdestinations:2: required, chain and exact name verified\n"), "{named}");
        world.control("tlsdestinations", "mx.plain.test:=AB\n");
        let stopped = text(&probe(&["plain.test"]));
        let verdict = "  verdict     not used: Unable to use /var/qmail/control/tlsdestinations, line 1: a fingerprint needs a key \
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
fn a_rule_for_a_name_shows_the_certificate_that_does_not_have_it() {
    in_world(|world| {
        let (servers, _dns) = start(world);
        world.control("me", "client.test\n");
        let ca = world.file("ca.pem", servers.certificate.to_pem().expect("certificate"));
        let rows = certificate_rows(&servers.certificate);
        let rules = |line: &str| world.control("tlsdestinations", format!("{line}:{}\n", ca.display()));
        for (key, demands) in
            [("=", "chain and exact name verified"), ("~", "chain and name verified, wildcards accepted")]
        {
            rules(&format!("{key}named.test"));
            let other = probe(&["named.test"]);
            assert_eq!(
                text(&other),
                format!(
                    "{RESOLVER}\
                     TLS           /var/qmail/control/tlsdestinations:1: required, {demands}, CA in {}\n\
                     port          25\n\n\
                     exchanger     mx.named.test (DNSSEC vouches for its name)\n\
                     addresses     192.0.2.10\n\
                     TLSA          none, so there is no DANE: TLS goes by the rule\n\
                     connection    192.0.2.10\n  \
                       session     TLSv1.3, TLS_AES_256_GCM_SHA384\n\
                     {rows}  \
                       verdict     not used: Unable to validate X.500 certificate Subject for: named.test at \
                     mx.named.test. (#4.4.1)\n\n\
                     result        no server can be used now: mail would wait in the queue\n",
                    ca.display()
                )
            );
            assert_eq!(other.status.code(), Some(1));
        }
    });
}

/// What an administrator types next, and shows, is none of its business.
#[test]
fn the_network_process_of_a_probe_has_no_terminal() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        world.control("me", "client.example.test\n");
        world.control("smtproutes", ":192.0.2.10\n");
        let listener = TcpListener::bind("192.0.2.10:25").expect("port");
        let mut tool = Command::new(TOOL);
        tool.args(["probe", "good.test"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let tool = tool.spawn().expect("the tool runs");
        let held = accept(&listener);
        let monitor = Pid::from_raw(tool.id().try_into().expect("number"));
        let processes = [vec![monitor], children_of(monitor)].concat();
        assert_eq!(processes.len(), 2);
        for process in processes {
            let message = fs::read_link(format!("/proc/{process}/fd/0")).expect("link");
            assert_eq!(message.to_str(), Some("/dev/null"), "process {process}");
        }
        drop(held);
        assert_eq!(tool.wait_with_output().expect("output").status.code(), Some(1));
    });
}

/// What the first line of a probe says of the resolver.
fn resolver_row() -> String {
    let text = text(&probe(&["[192.0.2.10]"]));
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn whether_the_resolver_validates_is_found_by_asking_it() {
    in_world(|world| {
        let zones = Zones::new().signed("good.test", "");
        let remote = zones.unbound_option("interface: 192.0.2.53");
        let _dns = world.dns(&remote.unbound_option("access-control: 192.0.2.0/24 allow"));
        world.control("me", "client.test\n");
        for (resolv_conf, row) in [
            ("nameserver 127.0.0.1\n", "127.0.0.1 validates DNSSEC, and is trusted to"),
            (
                "nameserver 192.0.2.53\n",
                "192.0.2.53 validates DNSSEC, but is not trusted to: it is neither on this machine nor under `options \
                 trust-ad` in /etc/resolv.conf, so there is no DANE",
            ),
            ("nameserver 192.0.2.53\noptions trust-ad\n", "192.0.2.53 validates DNSSEC, and is trusted to"),
            ("nameserver 127.0.0.9\n", "127.0.0.9 does not answer"),
        ] {
            world.resolv_conf(resolv_conf);
            assert_eq!(resolver_row(), format!("resolver      {row}"));
        }
    });
}

#[test]
fn a_resolver_that_does_not_validate_is_called_so() {
    in_world(|world| {
        let zones = Zones::new().signed("good.test", "");
        let _dns = world.dns(&zones.unbound_option("module-config: \"iterator\""));
        world.control("me", "client.test\n");
        assert_eq!(resolver_row(), "resolver      127.0.0.1 does not validate DNSSEC, so there is no DANE");
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
        let broken = probe(&["broken.test", "--format", "json", "--port", "25", "--sender", "x@a.test"]);
        let json: serde_json::Value = serde_json::from_str(&text(&broken)).expect("JSON");
        assert_eq!((json["well"].as_bool(), broken.status.code()), (Some(false), Some(1)));
        let attempt = &json["exchangers"][0]["attempts"][0];
        assert_eq!((&attempt["well"], &attempt["session"]["matched"]), (&false.into(), &().into()));
        let verdict = "not used: TLSA X.509 cert required but missing from: mx.broken.test for broken.test: no matching \
                       DANE TLSA records. (#4.4.1)";
        assert_eq!(attempt["verdict"], verdict);
    });
}
