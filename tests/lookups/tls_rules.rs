//! `tlsdestinations`: the kinds of rules, what becomes of a delivery under each, and which one wins.

use openssl::hash::MessageDigest;
use world::{World, in_world};

use crate::network::Network;
use crate::outcome::{Outcome, at};
use crate::row::{SENDER, check, check_row};

/// What a key asks for; numbers are those of the manual page.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// (0)
    Optional,
    /// (1), (19)
    OptionalOrClear,
    /// (2)
    OptionalAnonymous,
    /// (3), (20)
    OptionalWithoutTlsa,
    /// (4), (15)
    Anonymous,
    /// (5)
    Chain,
    /// (6), (14)
    Name,
    /// (7), (13)
    ExactName,
    /// (8)
    WithoutTlsa,
    /// (9) to (12), (18)
    Required,
    /// (16)
    Pinned,
    /// (17)
    Never,
}

use Kind::{
    Anonymous, Chain, ExactName, Name, Never, Optional, OptionalAnonymous, OptionalOrClear,
    OptionalWithoutTlsa, Pinned, Required, WithoutTlsa,
};

/// What becomes of a delivery for `host` to `server` under a rule of this kind; `verifies`: the rule names a CA, which is
/// that of the servers' certificate. The system's trust store does not have it.
fn under(kind: Kind, verifies: bool, host: &str, server: &str) -> Outcome {
    // The last one of the host's exchangers.
    let remote = if host == "example.test" { "mx2.example.test" } else { host };
    match kind {
        Never if !server.ends_with(":465") => at(server).in_clear(),
        Chain | Name | ExactName if !verifies => Outcome::Unproved(format!(
            "ZUnable to verify X.500 certificate from: {remote} for {host}: self-signed certificate. (#4.4.1)\n"
        )),
        Name => at(server).by("TLS (verified CA+DN*)"),
        ExactName => at(server).by("TLS (verified CA+DN)"),
        Pinned => at(server).by("TLS (CERT pinning)"),
        _ if verifies => at(server).by("TLS (verified CA)"),
        _ => at(server),
    }
}

/// How an explanation begins to say it.
fn words(kind: Kind) -> &'static str {
    match kind {
        Optional => "when offered",
        OptionalOrClear => "when offered, in clear when its handshake fails",
        OptionalAnonymous => "when offered, anonymous suites too",
        OptionalWithoutTlsa => "when offered, without TLSA",
        Anonymous => "required, at least anonymous",
        Chain => "required, the chain verified",
        Name => "required, chain and name verified, wildcards accepted",
        ExactName => "required, chain and exact name verified",
        WithoutTlsa => "required, without TLSA",
        Required => "required",
        Pinned => "required, with this fingerprint",
        Never => "never by STARTTLS",
    }
}

/// Checks a delivery under a rule: `rule` is the kind, the line's number, and what the explanation adds.
fn check_rule(
    world: &World,
    network: &mut Network,
    text: &str,
    (host, sender): (&str, &str),
    (kind, line, addition): (Kind, usize, &str),
    server: &str,
) {
    let line = format!("tlsdestinations:{line}");
    let verifies = addition.contains(", CA in ");
    let columns = if server.ends_with(":25") { "TLS" } else { "TLS,port" };
    let row = (host, sender, under(kind, verifies, host, server), &*format!("{columns} {line}"));
    let explanation = check_row(world, network, &[("tlsdestinations", text)], &row);
    assert_eq!(explanation.value("TLS"), format!("{}{addition}", words(kind)));
    assert_eq!(explanation.value("port").split(',').next(), server.rsplit(':').next());
}

fn fingerprint(network: &Network) -> String {
    let digest = network.certificate.certificate.digest(MessageDigest::sha1()).expect("digest");
    digest.iter().map(|octet| format!("{octet:02X}")).collect()
}

#[test]
fn the_rules_by_host_of_the_manual_page() {
    in_world(|world| {
        let mut network = Network::start(world);
        let pem = network.certificate.certificate.to_pem().expect("certificate");
        let ca = world.file("cafile", &pem).display().to_string();
        // The name by which OpenSSL finds it in a directory.
        world.file(&format!("{:08x}.0", network.certificate.certificate.subject_name_hash()), &pem);
        let directory = format!("{}/", world.scratch().display());
        let fingerprint = fingerprint(&network);
        let text = format!(
            "example.com:\n\
             securityfirst.com:{ca}|!SSLv2:HIGH\n\
             remote.com:{directory}||3;465\n\
             mx.partner.com:{ca}||2|mydomain.net\n\
             =mx.myfriend.com:{ca}||4\n\
             ~wildneighbor.net:\n\
             -adhonlydomain.com:||aNULL:!kRSA\n\
             %peer.partner.com:={fingerprint}\n\
             !nosslhost.example.com:\n\
             hiddenpartner.org:;35\n\
             ?tlsold.net:\n\
             /nodane.org:\n"
        );
        let directory = format!(", CA in {directory}, depth 3");
        let [first, partner, friend] =
            [", ciphers !SSLv2:HIGH", ", depth 2", ", depth 4"].map(|rest| format!(", CA in {ca}{rest}"));
        let (server, bound) = ("192.0.2.10:25", "a@mydomain.net");
        for (host, sender, kind, line, addition, server) in [
            ("example.com", SENDER, Required, 1, "", server),
            ("securityfirst.com", SENDER, Required, 2, first.as_str(), server),
            ("remote.com", SENDER, Required, 3, &directory, "192.0.2.10:465"),
            ("mx.partner.com", bound, Required, 4, &partner, server),
            ("mx.partner.com", "a@mx.MyDomain.net", Required, 4, &partner, server),
            ("mx.myfriend.com", SENDER, ExactName, 5, &friend, server),
            ("wildneighbor.net", SENDER, Name, 6, "", server),
            ("adhonlydomain.com", SENDER, Anonymous, 7, ", ciphers aNULL:!kRSA", server),
            ("peer.partner.com", SENDER, Pinned, 8, &format!(" {fingerprint}"), server),
            ("nosslhost.example.com", SENDER, Never, 9, "", server),
            ("hiddenpartner.org", SENDER, Required, 10, "", "192.0.2.10:35"),
            ("tlsold.net", SENDER, OptionalOrClear, 11, "", server),
            ("nodane.org", SENDER, OptionalWithoutTlsa, 12, "", server),
        ] {
            check_rule(world, &mut network, &text, (host, sender), (kind, line, addition), server);
        }
        let unruled = |host, sender, server| (host, sender, at(server), "");
        let rows = [
            unruled("mx.partner.com", SENDER, server),
            unruled("mx.partner.com", "a@notmydomain.net", server),
            unruled("mx.partner.com", "", server),
            unruled("other.test", SENDER, "192.0.2.17:25"),
        ];
        check(world, &mut network, &[("tlsdestinations", &text)], &rows);
    });
}

const GENERIC: [(&str, Kind); 9] = [
    ("*", Optional),
    ("?", OptionalOrClear),
    ("-", OptionalAnonymous),
    ("/", OptionalWithoutTlsa),
    ("-*", Anonymous),
    ("+*", Chain),
    ("~*", Name),
    ("=*", ExactName),
    ("/*", WithoutTlsa),
];

#[test]
fn the_generic_rules_of_the_manual_page() {
    in_world(|world| {
        let mut network = Network::start(world);
        let who = ("example.test", SENDER);
        for (key, kind) in GENERIC {
            for (value, addition, server) in [
                ("", "", "192.0.2.10:25"),
                (";26", "", "192.0.2.10:26"),
                (";s", "", "192.0.2.10:465"),
                ("|HIGH|2;465", ", ciphers HIGH, depth 2", "192.0.2.10:465"),
            ] {
                let text = format!("#\n{key}:{value}\n");
                check_rule(world, &mut network, &text, who, (kind, 2, addition), server);
            }
        }
    });
}

/// All keys for `mx.sub.example.test`, best first.
const ORDER: [(&str, Kind); 35] = [
    ("!mx.sub.example.test", Never),
    ("!.sub.example.test", Never),
    ("!.example.test", Never),
    ("!.test", Never),
    ("%mx.sub.example.test", Pinned),
    ("=mx.sub.example.test", ExactName),
    ("~mx.sub.example.test", Name),
    ("~.sub.example.test", Name),
    ("~.example.test", Name),
    ("~.test", Name),
    ("mx.sub.example.test", Required),
    (".sub.example.test", Required),
    (".example.test", Required),
    (".test", Required),
    ("-mx.sub.example.test", Anonymous),
    ("-.sub.example.test", Anonymous),
    ("-.example.test", Anonymous),
    ("-.test", Anonymous),
    ("?mx.sub.example.test", OptionalOrClear),
    ("?.sub.example.test", OptionalOrClear),
    ("?.example.test", OptionalOrClear),
    ("?.test", OptionalOrClear),
    ("/mx.sub.example.test", OptionalWithoutTlsa),
    ("/.sub.example.test", OptionalWithoutTlsa),
    ("/.example.test", OptionalWithoutTlsa),
    ("/.test", OptionalWithoutTlsa),
    ("=*", ExactName),
    ("~*", Name),
    ("+*", Chain),
    ("-*", Anonymous),
    ("/*", WithoutTlsa),
    ("*", Optional),
    ("?", OptionalOrClear),
    ("-", OptionalAnonymous),
    ("/", OptionalWithoutTlsa),
];

#[test]
fn of_two_rules_the_better_one_wins_wherever_it_stands() {
    in_world(|world| {
        let mut network = Network::start(world);
        let fingerprint = fingerprint(&network);
        let who = ("mx.sub.example.test", SENDER);
        for pair in ORDER.windows(2) {
            let (better, kind) = pair[0];
            // Each has a port of its own.
            let [better, worse] = [(better, 26), (pair[1].0, 27)].map(|(key, port)| {
                let value = if key.starts_with('%') { format!("={fingerprint}") } else { String::new() };
                format!("{key}:{value};{port}\n")
            });
            let addition = if better.starts_with('%') { format!(" {fingerprint}") } else { String::new() };
            for (line, text) in [(1, format!("{better}{worse}")), (2, format!("{worse}{better}"))] {
                let rule = (kind, line, addition.as_str());
                check_rule(world, &mut network, &text, who, rule, "192.0.2.10:26");
            }
        }
    });
}
