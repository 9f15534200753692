//! All twenty forms of the manual page, and the order in which the first match wins.

use super::super::test_directory::TestHome;
use super::*;
use crate::ipc::Reply;
use crate::ipc::frame::encode;

fn look_up_for(text: &str, destination: &str, sender: &str) -> Result<TlsRule, ControlError> {
    let home = TestHome::new(&[(FILE, text.as_bytes())]);
    let destination = destination.as_bytes();
    look_up(&home.control(), destination, &Host::parse(destination).unwrap(), sender.as_bytes())
}

fn rule(text: &str, destination: &str) -> TlsRule {
    look_up_for(text, destination, "a@sender.test").unwrap()
}

fn file(path: &str) -> Option<TrustAnchors> {
    Some(TrustAnchors::File(path.into()))
}

const PAGE: &str = "\
example.com:
securityfirst.com:/etc/ssl/cafile|!SSLv2:HIGH
remote.com:/etc/ssl/certdir/||3;465
mx.partner.com:/etc/ssl/partnerca||2|mydomain.net
=mx.myfriend.com:/etc/ssl/cacert||4
~wildneighbor.net:
-adhonlydomain.com:||aNULL:!kRSA
%peer.partner.com:=E4:41:94:c5:6E:F0:00:00:00:00:00:00:00:00:00:00:00:00:00:00
!nosslhost.example.com:
hiddenpartner.org:;35
?tlsold.net:
/nodane.org:
";

#[test]
fn the_examples_of_the_manual_page() {
    let plain =
        |kind, line| TlsRule { origin: Some(Origin { file: FILE, line }), kind, ..TlsRule::default_rule() };
    let required = |line| plain(Kind::Required, line);
    for (destination, expected) in [
        ("elsewhere.test", TlsRule::default_rule()),
        ("example.com", required(1)),
        (
            "securityfirst.com",
            TlsRule {
                trust_anchors: file("/etc/ssl/cafile"),
                ciphers: Some("!SSLv2:HIGH".into()),
                ..required(2)
            },
        ),
        (
            "remote.com",
            TlsRule {
                trust_anchors: Some(TrustAnchors::Directory("/etc/ssl/certdir/".into())),
                verify_depth: Some(3),
                port: Some((TlsStart::Implicit, 465)),
                ..required(3)
            },
        ),
        ("mx.partner.com", TlsRule::default_rule()),
        (
            "mx.myfriend.com",
            TlsRule {
                trust_anchors: file("/etc/ssl/cacert"),
                verify_depth: Some(4),
                ..plain(Kind::ExactName, 5)
            },
        ),
        ("wildneighbor.net", plain(Kind::Name, 6)),
        ("adhonlydomain.com", TlsRule { ciphers: Some("aNULL:!kRSA".into()), ..plain(Kind::Anonymous, 7) }),
        (
            "peer.partner.com",
            TlsRule {
                fingerprint: Some(Fingerprint {
                    hex: format!("E44194C56EF0{}", "0".repeat(28)),
                    digest: Some(Digest::Sha1),
                }),
                ..plain(Kind::Pinned, 8)
            },
        ),
        ("nosslhost.example.com", plain(Kind::Never, 9)),
        ("hiddenpartner.org", TlsRule { port: Some((TlsStart::StartTls, 35)), ..required(10) }),
        ("tlsold.net", plain(Kind::OptionalOrClear, 11)),
        ("nodane.org", plain(Kind::OptionalWithoutTlsa, 12)),
    ] {
        assert_eq!(rule(PAGE, destination), expected, "{destination}");
    }
    let bound = look_up_for(PAGE, "mx.partner.com", "a@mx.mydomain.net").unwrap();
    let expected =
        TlsRule { trust_anchors: file("/etc/ssl/partnerca"), verify_depth: Some(2), ..required(4) };
    assert_eq!(bound, expected);
}

#[test]
fn the_generic_rules_of_the_manual_page() {
    for (key, kind) in [
        ("*", Kind::Optional),
        ("?", Kind::OptionalOrClear),
        ("-", Kind::OptionalAnonymous),
        ("/", Kind::OptionalWithoutTlsa),
        ("-*", Kind::Anonymous),
        ("+*", Kind::Chain),
        ("~*", Kind::Name),
        ("=*", Kind::ExactName),
        ("/*", Kind::WithoutTlsa),
    ] {
        let found = rule(&format!("{key}:/ca|HIGH|2;26\n"), "mx.example.test");
        assert_eq!(found.kind, kind, "{key}");
        assert_eq!((found.trust_anchors, found.ciphers), (file("/ca"), Some("HIGH".into())), "{key}");
        assert_eq!((found.verify_depth, found.port), (Some(2), Some((TlsStart::StartTls, 26))), "{key}");
    }
}

#[test]
fn the_first_match_in_the_contracts_order_wins() {
    let order = [
        "!mx.example.test",
        "!.example.test",
        "!.test",
        "%mx.example.test",
        "=mx.example.test",
        "~mx.example.test",
        "~.example.test",
        "mx.example.test",
        ".example.test",
        ".test",
        "-mx.example.test",
        "-.example.test",
        "?mx.example.test",
        "?.test",
        "/mx.example.test",
        "/.test",
        "=*",
        "~*",
        "+*",
        "-*",
        "/*",
        "*",
        "?",
        "-",
        "/",
    ];
    // Each key stands before all better ones, so that only the order of the levels can decide.
    for best in 0..order.len() {
        let lines = order[best..].iter().rev().map(|key| {
            let value = if key.starts_with('%') { "=00" } else { "" };
            format!("{key}:{value}\n")
        });
        let text: String = lines.collect();
        let line = rule(&text, "mx.example.test").origin.unwrap().line;
        assert_eq!(line, u64::try_from(order.len() - best).unwrap(), "{}", order[best]);
    }
}

#[test]
fn relative_names_begin_at_home() {
    let anchors = |field: &str| rule(&format!("mx.test:{field}\n"), "mx.test").trust_anchors;
    assert_eq!(anchors("control/ca.pem"), file(&format!("{HOME}/control/ca.pem")));
    assert_eq!(anchors("certs/"), Some(TrustAnchors::Directory(format!("{HOME}/certs/").into())));
    assert_eq!(anchors("/etc/ca.pem"), file("/etc/ca.pem"));
}

#[test]
fn a_line_for_another_senders_domain_does_not_exist() {
    let text = "mx.test:|||a.test\nmx.test:/ca|||b.test\nmx.test:\nmx.test:/other|||b.test\n";
    let line = |sender: &str| look_up_for(text, "mx.test", sender).unwrap().origin.unwrap().line;
    assert_eq!(line("x@b.test"), 4, "the last of equals");
    assert_eq!(line("x@sub.B.test"), 4);
    assert_eq!(line("x@notb.test"), 3);
    assert_eq!(line(""), 3);
    let final_dots = "mx.test:\n=mx.test:|||B.test.\n=mx.test:|||b\u{fc}cher.test.\n";
    let line = |sender: &str| look_up_for(final_dots, "mx.test", sender).unwrap().origin.unwrap().line;
    assert_eq!(line("x@b.test"), 2);
    assert_eq!(line("x@sub.b.test."), 2);
    assert_eq!(line("x@xn--bcher-kva.test"), 3);
    assert_eq!(line("x@test"), 1);
}

#[test]
fn ports_and_how_tls_starts_there() {
    let port = |value: &str| rule(&format!("mx.test:{value}\n"), "mx.test").port;
    assert_eq!(port(""), None);
    assert_eq!(port(";26"), Some((TlsStart::StartTls, 26)));
    assert_eq!(port(";465"), Some((TlsStart::Implicit, 465)));
    assert_eq!(port(";s26"), Some((TlsStart::Implicit, 26)));
    assert_eq!(port(";s"), Some((TlsStart::Implicit, 465)));
    assert_eq!(port("/ca;26"), Some((TlsStart::StartTls, 26)));
    assert_eq!(port("/ca|HIGH;26"), Some((TlsStart::StartTls, 26)));
    assert_eq!(port("||;6209"), Some((TlsStart::StartTls, 6209)));
}

#[test]
fn fingerprints_by_their_length() {
    for (length, digest) in [
        (40, Some(Digest::Sha1)),
        (56, Some(Digest::Sha224)),
        (64, Some(Digest::Sha256)),
        (96, Some(Digest::Sha384)),
        (128, Some(Digest::Sha512)),
        (42, None),
    ] {
        let found = rule(&format!("%mx.test:={}\n", "aB".repeat(length / 2)), "mx.test").fingerprint.unwrap();
        assert_eq!(found, Fingerprint { hex: "AB".repeat(length / 2), digest });
    }
}

#[test]
fn whatever_two_lines_come_to_fits_a_frame() {
    let origin = Origin { file: FILE, line: 1 };
    let file = |octets: usize| format!("/{}", "f".repeat(octets - 1));
    let anchors = |octets: usize| format!("{}|{}|4294967295", file(octets), "H".repeat(4096));
    let pin = |digits: usize| format!("={}", "A".repeat(digits));
    let policy = |value: String, kind| parse(value.as_bytes(), origin, kind).map(|rule| rule.policy());
    let (largest, pinned) = (policy(anchors(1024), Kind::ExactName), policy(pin(256), Kind::Pinned));
    let both = largest.unwrap().raised_by(pinned.unwrap());
    assert!(both.pin.is_some() && both.ciphers.is_some() && both.certificate.anchors().is_some());
    assert!(encode(&Reply::TlsPolicy(both)).is_ok());
    // What is relative is as long as it comes to be.
    let relative = "f".repeat(1025 - HOME.len() - 1);
    for (value, kind, problem) in [
        (anchors(1025), Kind::ExactName, "the name of the CA file or directory has more than 1024 octets"),
        (relative, Kind::Chain, "the name of the CA file or directory has more than 1024 octets"),
        (format!("|{}", "H".repeat(4097)), Kind::Optional, "the ciphers have more than 4096 octets"),
        (pin(257), Kind::Pinned, "the fingerprint has more than 256 digits"),
    ] {
        assert_eq!(policy(value, kind), Err(origin.bad(problem)));
    }
    let not_text = parse(b"/\xff", origin, Kind::Chain);
    assert_eq!(not_text, Err(origin.bad("the name of the CA file or directory is not text")));
}

#[test]
fn a_malformed_rule_in_use_names_file_and_line() {
    for (line, problem) in [
        ("mx.test:;0", "the port is not a number from 1 to 65535"),
        ("mx.test:||2;x", "the port is not a number from 1 to 65535"),
        ("mx.test:|HIGH|two", "the verify depth is not a number"),
        ("mx.test:||99999999999", "the verify depth is not a number"),
        ("mx.test:/ca||2|.a.test", "the sender's domain is not a domain"),
        ("mx.test:/ca||2|a.test;465", "the sender's domain is not a domain"),
        ("mx.test:/ca||2|a.test|x", "the sender's domain is not a domain"),
        ("%mx.test:", "there is no fingerprint: write %host:=DIGITS"),
        ("%mx.test:/ca", "there is no fingerprint: write %host:=DIGITS"),
        ("%mx.test:=", "the fingerprint is not hexadecimal"),
        ("%mx.test:=xyz", "the fingerprint is not hexadecimal"),
        ("mx.test:=ABCD", "a fingerprint needs a key that starts with %"),
    ] {
        let error = look_up_for(&format!("#\n{line}\n"), "mx.test", "a@b.test");
        assert_eq!(error, Err(ControlError::BadLine { file: FILE, line: 2, problem }), "{line}");
    }
}

#[test]
fn addresses_have_rules_by_their_whole_text() {
    let text = "[192.0.2.1]:;26\n!.2.1]:\n~[2001:db8::1]:\n";
    assert_eq!(rule(text, "[192.0.2.1]").kind, Kind::Required);
    assert_eq!(rule(text, "192.0.2.1").kind, Kind::Required, "however the recipient's domain writes it");
    assert_eq!(rule(text, "[IPv6:2001:db8:0::1]").kind, Kind::Name);
    assert_eq!(rule(text, "[2001:db8::1]").kind, Kind::Name);
}
