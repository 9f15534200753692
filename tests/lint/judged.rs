//! That `lint` judges a line as a delivery does which uses it: each is explained, too.

use std::fs;
use std::process::Command;

use openssl::asn1::Asn1Time;
use openssl::pkey::{PKey, Private};
use world::certificates::{Content, Identity};
use world::{Needs, World, in_world};

use super::{TOOL, found, found_in, set_mode};

/// What `explain` says of a delivery to `b.example` from `x@a.example`.
fn explained() -> String {
    let output = Command::new(TOOL).args(["explain", "b.example", "x@a.example"]).output();
    String::from_utf8(output.expect("the tool runs").stdout).expect("text")
}

/// A list, its one line, the finding about it (empty: none), and how the explanation of a delivery that uses it ends.
type Judged<'a> = (&'a str, &'a str, &'a str, &'a str);

/// That lint and explain say this. Nobody but deliveries can read the lists.
fn assert_judged(world: &World, rows: &[Judged<'_>]) {
    world.require(Needs::ManyUids);
    let mut wrong = String::new();
    for (list, line, finding, end) in rows {
        found_in(world, &[(list, line.as_bytes())]);
        set_mode(&world.control_directory().join(list), 0o640);
        let expected = if finding.is_empty() { String::new() } else { format!("{list}:1: {finding}\n") };
        let (_, found) = found(world);
        let explanation = explained().replace(&format!("{}/", world.scratch().display()), "/etc/ssl/");
        if found != expected || !explanation.ends_with(end) {
            wrong += &format!("{list}: {line}\n{found}{explanation}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

const TRIED: &str = "would be tried\n";

#[test]
fn what_a_rule_does_not_use_is_told_from_what_it_uses() {
    let nothing = "warning: a rule with `-` verifies nothing: remove its CA, or write a rule that verifies";
    let never = "warning: a rule with `!` has TLS only on a port that begins with it: write such a port, or a port alone";
    let missing =
        "error: the CA file /etc/ssl/missing cannot be read: No such file or directory (os error 2)";
    let put_off = "put off: I wasn't able to setup CAFILE: /etc/ssl/missing or CADIR: - for TLS. (#4.4.1)\n";
    let unknown =
        "error: OpenSSL knows none of the ciphers: write a list as openssl ciphers takes it, such as HIGH";
    in_world(|world| {
        let ca = Identity::self_signed(&["ca.test"]).expect("certificate").certificate;
        world.file("ca", ca.to_pem().expect("PEM"));
        assert_judged(
            world,
            &[
                ("tlsdestinations", "-b.example:/etc/ssl/ca", nothing, TRIED),
                ("tlsdestinations", "-.example:/etc/ssl/missing", nothing, TRIED),
                ("tlsdestinations", "-*:/etc/ssl/ca", nothing, TRIED),
                ("tlsdestinations", "-:/etc/ssl/ca", nothing, TRIED),
                ("tlsdestinations", "!b.example:/etc/ssl/ca;465", "", TRIED),
                ("tlsdestinations", "!b.example:/etc/ssl/ca;s587", "", TRIED),
                ("tlsdestinations", "!b.example:/etc/ssl/ca;6209", "", TRIED),
                ("tlsdestinations", "!b.example:/etc/ssl/missing;465", missing, put_off),
                ("tlsdestinations", "!b.example:|NONSENSE;465", unknown, TRIED),
                ("tlsdestinations", "!b.example:/etc/ssl/ca", never, TRIED),
                ("tlsdestinations", "!b.example:|HIGH;26", never, TRIED),
                ("tlsdestinations", "b.example:|NULL-SHA256", unknown, TRIED),
                ("tlsdestinations", "-b.example:|NULL-SHA256:aNULL", "", TRIED),
            ],
        );
        let rule = || explained().lines().find(|row| row.starts_with("TLS ")).map(str::to_owned);
        for (line, demands) in [
            ("-b.example:/etc/ssl/ca||2", "required, at least anonymous, depth 2"),
            ("-*:/etc/ssl/ca", "required, at least anonymous"),
            ("-:/etc/ssl/ca", "when offered, anonymous suites too"),
            ("*:|NULL-SHA256", "when offered, ciphers that OpenSSL does not know (not shown)"),
        ] {
            found_in(world, &[("tlsdestinations", line.as_bytes())]);
            let file = world.control_directory().join("tlsdestinations");
            assert_eq!(rule(), Some(format!("TLS           {}:1: {demands}", file.display())));
        }
        found_in(world, &[("tlsdestinations", b"!b.example:/etc/ssl/missing")]);
        let expected = format!("tlsdestinations:1: {missing}\ntlsdestinations:1: {never}\n");
        assert_eq!(found(world), (2, expected));
        assert!(explained().replace(&*world.scratch().to_string_lossy(), "/etc/ssl").ends_with(put_off));
    });
}

#[test]
fn certificates_are_found_and_judged_as_deliveries_do() {
    let missing = "error: the certificate's file cannot be read: No such file or directory (os error 2), and a relative \
        name begins at /var/qmail";
    let kind = "error: the key is of a kind that is not used: make one of RSA, ECDSA or Ed25519";
    in_world(|world| {
        world.require(Needs::ManyUids);
        let home = world.control_directory().parent().expect("home").to_owned();
        let [now, later] = [0, 365].map(|days| Asn1Time::days_from_now(days).expect("time"));
        let install = |name: &str, key: Option<PKey<Private>>| {
            let valid = Some((&*now, &*later));
            let content =
                Content { names: &["client.example"], key: key.as_ref(), valid, ..Content::default() };
            let identity = Identity::self_signed_with(&content).expect("certificate");
            let pem = [identity.certificate.to_pem(), identity.key.private_key_to_pem_pkcs8()];
            set_mode(&world.file(name, pem.map(|pem| pem.expect("PEM")).concat()), 0o640);
        };
        install("used", None);
        install("ed448", Some(PKey::generate_ed448().expect("key")));
        fs::create_dir(home.join("certs")).expect("directory");
        std::os::unix::fs::symlink(world.scratch().join("used"), home.join("certs/own.pem")).expect("link");
        let key = "put off: Can't load X.509 private key: /etc/ssl/ed448. (#4.4.1)\n";
        let no_file = "put off: Can't load X.509 certificate: (not a path). (#4.4.1)\n";
        assert_judged(
            world,
            &[
                ("domaincerts", "*:/etc/ssl/used", "", TRIED),
                ("domaincerts", "*:certs/own.pem", "", TRIED),
                ("domaincerts", "*:/etc/ssl/used|certs/own.pem", "", TRIED),
                ("domaincerts", "*:certs/other.pem", missing, no_file),
                ("domaincerts", "*:/etc/ssl/ed448", kind, key),
            ],
        );
    });
}

#[test]
fn user_and_password_that_qmtp_cannot_carry_are_found_in_every_list() {
    let qmtp = "error: QMTP has no authentication, and deliveries are put off: write the route to smtproutes";
    let port = "error: port 6209 speaks QMTP, which has no authentication, and deliveries are put off: write a port of SMTP";
    let refused = |list: &str| {
        format!(
            "put off: Unable to use /var/qmail/control/{list}, line 1: QMTP has no authentication. (#4.3.0)\n"
        )
    };
    in_world(|world| {
        let [smtp, senders, qmtproutes] = ["smtproutes", "authsenders", "qmtproutes"].map(refused);
        assert_judged(
            world,
            &[
                ("smtproutes", ":192.0.2.10;6209|user|secret", port, &smtp),
                ("smtproutes", ":192.0.2.10;s6209|user|secret", port, &smtp),
                ("authsenders", ":192.0.2.10;6209|user|secret", port, &senders),
                ("qmtproutes", ":192.0.2.10|user|secret", qmtp, &qmtproutes),
                ("smtproutes", ":192.0.2.10;6209", "", TRIED),
                ("smtproutes", ":192.0.2.10;587|user|secret", "", TRIED),
            ],
        );
    });
}

#[test]
fn a_password_without_a_relay_is_said_to_go_to_whom_the_recipients_domain_names() {
    let to_any = "warning: there is no relay, and the password goes to every server that proves its own name and \
        that the recipient's domain, which whoever writes the envelope chooses, names as exchanger: write \
        relay;port|user|password";
    let of_one = "warning: there is no relay, and the password goes to every server that proves its own name and \
        that the recipient's domain names as exchanger: write relay;port|user|password";
    in_world(|world| {
        assert_judged(
            world,
            &[
                ("authsenders", "@a.example:|user|secret", to_any, TRIED),
                ("smtproutes", ":;587|user|secret", to_any, TRIED),
                ("smtproutes", ".example:|user|secret", to_any, TRIED),
                ("smtproutes", "!@:|user|secret", to_any, TRIED),
                ("smtproutes", "b.example:|user|secret", of_one, TRIED),
                ("smtproutes", "[192.0.2.10]:|user|secret", "", TRIED),
            ],
        );
    });
}

#[test]
fn an_address_that_not_every_look_up_finds_is_found() {
    let other = |key: &str, own: &str| {
        format!("warning: not every look-up for the address asks for the key `{key}`: write `{own}`")
    };
    in_world(|world| {
        for list in ["smtproutes", "qmtproutes"] {
            assert_judged(
                world,
                &[
                    (list, "[2001:DB8:0::10]:192.0.2.10", &other("[2001:DB8:0::10]", "[2001:db8::10]"), ""),
                    (
                        list,
                        "[IPv6:2001:db8:0::10]:192.0.2.10",
                        &other("[IPv6:2001:db8:0::10]", "[2001:db8::10]"),
                        "",
                    ),
                    (list, "[2001:DB8::10]:192.0.2.10", "", ""),
                    (list, "[IPv6:2001:db8::10]:192.0.2.10", "", ""),
                    (list, "192.0.2.10:192.0.2.10", "", ""),
                    (list, "[192.0.2.10]:192.0.2.10", "", ""),
                ],
            );
        }
        let judged = "warning: no interface of this machine has the local address 192.0.2.1";
        for key in ["[IPv6:2001:db8::10]", "[IPv6:2001:DB8:0::10]"] {
            assert_judged(world, &[("domainips", &format!("{key}:192.0.2.1"), judged, "")]);
        }
        for mapped in ["[::ffff:192.0.2.10]", "[IPv6:::ffff:192.0.2.10]"] {
            assert_judged(world, &[("smtproutes", &format!("{mapped}:192.0.2.10"), "", "")]);
        }
        for sign in ["!", "=", "~", "", "-", "?", "/"] {
            let (key, own) = (format!("{sign}[2001:DB8:0::10]"), format!("{sign}[2001:db8::10]"));
            let rows = [(format!("{key}:"), other(&key, &own)), (format!("{own}:"), String::new())];
            let rows = rows.each_ref().map(|(line, finding)| ("tlsdestinations", &**line, &**finding, ""));
            assert_judged(world, &rows);
        }
    });
}
