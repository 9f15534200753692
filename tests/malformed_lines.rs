//! Malformed lines that a delivery needs: the report names file, line and problem, from the text as from its index.
#![expect(clippy::unwrap_used, reason = "test support: a failed step must stop the test with its cause")]

use std::collections::BTreeSet;
use std::path::Path;

use qmail_remote::monitor::control::indexed::{self, IndexError};
use world::{Delivery, Identity, Outcome, in_world};

fn deliver() -> Outcome {
    let delivery = Delivery::new(env!("CARGO_BIN_EXE_qmail-remote")).identity(Identity::Qmailr);
    delivery.host("example.test").sender("alice@sender.test").recipient("bob@example.test").run()
}

const PORT: &str = "the port is not a number from 1 to 65535";
const RELAY: &str = "the relay is neither a host name nor an address";
const LOCAL: &str = "the local address is not an address";
const FAMILIES: &str = "two addresses must be one of each family";
const HELO: &str = "the HELO name is not a host name";
const CERTIFICATE: &str = "there is no certificate";
const DOMAIN: &str = "the sender's domain is not a domain";
const NO_FINGERPRINT: &str = "there is no fingerprint: write %host:=DIGITS";
const NOT_HEXADECIMAL: &str = "the fingerprint is not hexadecimal";
const CREDENTIALS: &str = "user or password is longer than 1536 octets or holds a zero octet";
const NOT_PINNED: &str = "a fingerprint needs a key that starts with %";
const CIPHERS: &str = "the ciphers are not text";
const DEPTH: &str = "the verify depth is not a number";
const CIPHERS_TOO_LONG: &str = "the ciphers have more than 4096 octets";
const FINGERPRINT_TOO_LONG: &str = "the fingerprint has more than 256 digits";
const CA_TOO_LONG: &str = "the name of the CA file or directory has more than 1024 octets";
const CA_NOT_TEXT: &str = "the name of the CA file or directory is not text";
const TOO_LONG: &str = "the line is too long";

/// A line of 5000 octets.
const fn long<const N: usize>(start: &[u8; N], rest: u8) -> [u8; 5000] {
    let mut line = [rest; 5000];
    let (begin, _) = line.split_at_mut(N);
    begin.copy_from_slice(start);
    line
}

/// File, line, and what is wrong with it.
const ROWS: &[(&str, &[u8], &str)] = &[
    ("smtproutes", b"example.test:192.0.2.10;smtp", PORT),
    ("smtproutes", b".test:192.0.2.10;0", PORT),
    ("smtproutes", b":192.0.2.10;65536", PORT),
    ("smtproutes", b":bad relay", RELAY),
    ("smtproutes", b":\0\xff", RELAY),
    ("smtproutes", b":[192.0.2.10", RELAY),
    ("smtproutes", b":192.0.2.10||192.0.2", LOCAL),
    ("qmtproutes", b":[192.0.2.10]:x", PORT),
    ("qmtproutes", b"example.test:192.0.2.10|||relay", LOCAL),
    ("authsenders", b"alice@sender.test:;s0", PORT),
    ("authsenders", b"@sender.test:[relay.test]|user|password", RELAY),
    ("authsenders", b"@sender.test:relay.test|user|pass\0word", CREDENTIALS),
    ("domainips", b"sender.test:192.0.2.98,192.0.2.99", FAMILIES),
    ("domainips", b"*:2001:db8::1,192.0.2.99,192.0.2.98", FAMILIES),
    ("domainips", b"*:|helo name", HELO),
    ("domainips", b"*:|\0", HELO),
    ("domaincerts", b"sender.test:|/etc/key|password", CERTIFICATE),
    ("domaincerts", b"*:", CERTIFICATE),
    ("tlsdestinations", b"example.test:;", PORT),
    ("tlsdestinations", b"*:/etc/ssl/ca|HIGH|2;+25", PORT),
    ("tlsdestinations", b"~example.test:|||.sender.test", DOMAIN),
    ("tlsdestinations", b"%example.test:/etc/ssl/ca", NO_FINGERPRINT),
    ("tlsdestinations", b"%example.test:=\xff", NOT_HEXADECIMAL),
    ("tlsdestinations", b"=example.test:=ABCD", NOT_PINNED),
    ("tlsdestinations", b"?:|\xff", CIPHERS),
    ("tlsdestinations", b"-*:|HIGH|-1", DEPTH),
    ("tlsdestinations", &long(b"%example.test:=", b'A'), FINGERPRINT_TOO_LONG),
    ("tlsdestinations", &long(b"*:/", b'x'), CA_TOO_LONG),
    ("tlsdestinations", &long(b"?:|", b'H'), CIPHERS_TOO_LONG),
    ("tlsdestinations", b"+*:/etc/ssl/\xff.pem", CA_NOT_TEXT),
];

/// A line as these is refused by its length alone.
const ANYWHERE: [(&str, &str); 6] = [
    ("authsenders", ":"),
    ("domaincerts", "*:"),
    ("domainips", "*:"),
    ("qmtproutes", ":"),
    ("smtproutes", ":"),
    ("tlsdestinations", "*:"),
];

#[test]
fn every_problem_is_reported_with_its_place() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        let directory = world.control_directory();
        for (file, line, problem) in ROWS {
            let place = directory.join(file);
            let report = |place: &Path, line| {
                format!("ZUnable to use {}{line}: {problem}. (#4.3.0)\n", place.display())
            };
            world.control(file, [b"other.test:\n\n", *line, b" \t\r\n"].concat());
            deliver().assert_reports(&[report(&place, ", line 3")]);
            match indexed::write(&directory, file) {
                Err(IndexError::Zero(3)) => assert!(line.contains(&0)),
                written => {
                    written.unwrap();
                    deliver().assert_reports(&[report(&place.with_extension("cdb"), "")]);
                    std::fs::remove_file(place.with_extension("cdb")).unwrap();
                }
            }
            std::fs::remove_file(place).unwrap();
        }
        for (file, key) in ANYWHERE {
            let place = directory.join(file);
            world.control(file, format!("#\n{key}{}\n", "x".repeat(64 * 1024)));
            let report = format!("ZUnable to use {}, line 2: {TOO_LONG}. (#4.3.0)\n", place.display());
            deliver().assert_reports(&[report]);
            assert!(indexed::write(&directory, file).is_err());
            std::fs::remove_file(place).unwrap();
        }
    });
}

/// The problems that a source file can report: the texts in quotes after `bad(` and `problem:`, and `None` for what is
/// there and not in quotes.
fn problems(source: &str) -> Vec<Option<&str>> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let behind = |word| code.split(word).skip(1).map(|rest| rest.trim_start().strip_prefix('"'));
    let texts = behind(".bad(").chain(behind("problem: ").filter(Option::is_some));
    texts.map(|text| text.and_then(|text| text.split('"').next())).collect()
}

#[test]
fn no_problem_is_without_a_row() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/monitor/control");
    let sources: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let sources = sources.iter().filter(|path| path.is_file());
    let sources: Vec<_> = sources.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let found: BTreeSet<_> = sources.iter().flat_map(|source| problems(source)).collect();
    let rows: BTreeSet<_> = ROWS.iter().map(|row| Some(row.2)).chain([Some(TOO_LONG)]).collect();
    assert_eq!(found, rows);
}

#[test]
fn a_problem_is_seen_in_every_form() {
    let text = "origin.bad(\"a\")\nx.bad(\n    \"b\",\n)\nBadLine { file, line, problem: \"c\" }\nproblem: &str\n\
                x.bad(text)\n#[cfg(test)]\nx.bad(\"d\")";
    assert_eq!(problems(text), [Some("a"), Some("b"), None, Some("c")]);
}
