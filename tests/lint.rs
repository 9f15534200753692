//! `qmail-remote-check lint`: what it finds in `tests/lint/mistakes`, and that it finds nothing in `tests/lint/clean`.
//!
//! The files name certificates below `/etc/ssl/`; here these are made in a directory of the test's own.
#![expect(clippy::expect_used, reason = "test support: a failed step must stop the test with its cause")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::symm::Cipher;
use world::certificates::{Content, Files, Identity};
use world::{Needs, QMAIL_GID, World, in_world};

#[path = "lint/judged.rs"]
mod judged;

const TOOL: &str = env!("CARGO_BIN_EXE_qmail-remote-check");

fn lint(arguments: &[&str]) -> Output {
    Command::new(TOOL).arg("lint").args(arguments).output().expect("the tool runs")
}

/// Exit status and findings; the places of this test read as those of the fixtures.
fn found(world: &World) -> (i32, String) {
    let output = lint(&[]);
    assert!(output.stderr.is_empty(), "{}", output.stderr.escape_ascii());
    let text = String::from_utf8(output.stdout).expect("text");
    let control = format!("{}/", world.control_directory().display());
    let scratch = format!("{}/", world.scratch().display());
    let text = text.replace(&control, "").replace(&scratch, "/etc/ssl/");
    (output.status.code().expect("status"), text)
}

/// The findings for these control files, which are all there are.
fn found_in(world: &World, files: &[(&str, &[u8])]) -> (i32, String) {
    start_over(world);
    world.control("me", "me.example.test\n");
    for (name, text) in files {
        install(world, name, text);
    }
    found(world)
}

fn start_over(world: &World) {
    let directory = world.control_directory();
    fs::remove_dir_all(&directory).expect("removal");
    fs::create_dir(&directory).expect("control directory");
}

fn install(world: &World, name: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text).into_owned();
    world.control(name, text.replace("/etc/ssl/", &format!("{}/", world.scratch().display())));
}

/// Installs the fixture in `tests/lint/NAME`, with a mode for each file.
fn install_fixture(world: &World, name: &str, mode: fn(&str) -> u32) {
    start_over(world);
    for entry in fs::read_dir(fixture(name)).expect("fixture") {
        let path = entry.expect("entry").path();
        let file = path.file_name().and_then(|file| file.to_str()).expect("name").to_owned();
        if file != "expected" {
            install(world, &file, &fs::read(&path).expect("fixture"));
            set_mode(&world.control_directory().join(&file), mode(&file));
        }
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint").join(name)
}

/// What is closed to all belongs to the group of `qmailr`, who runs deliveries.
fn set_mode(path: &Path, mode: u32) {
    if mode & 0o004 == 0 {
        std::os::unix::fs::chown(path, None, Some(QMAIL_GID)).expect("the group of deliveries");
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}

/// Valid from yesterday on, for so many days.
fn identity(days: u32) -> Identity {
    let start = Asn1Time::days_from_now(0).expect("time");
    let end = Asn1Time::days_from_now(days).expect("time");
    identity_within(&start, &end)
}

fn identity_within(start: &Asn1TimeRef, end: &Asn1TimeRef) -> Identity {
    let content = Content { names: &["client.example"], valid: Some((start, end)), ..Content::default() };
    Identity::self_signed_with(&content).expect("certificate")
}

fn written(world: &World, identity: &Identity, name: &str) -> Files {
    world.require(Needs::ManyUids);
    let files = identity.write(&world.scratch(), name).expect("files");
    set_mode(&files.key, 0o640);
    files
}

/// Everything that the fixtures name below `/etc/ssl/`.
fn furnish(world: &World) {
    let good = identity(365);
    let Files { certificate, key } = written(world, &good, "good");
    let (certificate, key_text) = (fs::read(certificate).expect("PEM"), fs::read(&key).expect("PEM"));
    set_mode(&world.file("both", [key_text.clone(), certificate.clone()].concat()), 0o640);
    written(world, &identity(365), "other");
    let open = written(world, &identity(365), "open");
    set_mode(&open.key, 0o644);
    for (name, start, end) in [("expired", 946_684_800, 978_307_200), ("early", 4_070_908_800, 4_102_444_800)]
    {
        let [start, end] = [start, end].map(|seconds| Asn1Time::from_unix(seconds).expect("time"));
        written(world, &identity_within(&start, &end), name);
    }
    world.file("locked.pem", &certificate);
    let encrypted = good.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"key-secret");
    set_mode(&world.file("encrypted.key", encrypted.expect("PEM")), 0o640);
    for name in ["cacert", "cafile", "partnerca"] {
        world.file(name, &certificate);
    }
    world.file("empty", "");
    world.file("junk", "-----BEGIN JUNK-----\n");
    for directory in ["unhashed", "hashed", "certdir"] {
        fs::create_dir(world.scratch().join(directory)).expect("directory");
    }
    world.file("unhashed/ca.pem", &certificate);
    world.file("hashed/0123abcd.0", &certificate);
    world.file("certdir/89abcdef.0", &certificate);
}

#[test]
fn every_seeded_mistake_is_found_and_nothing_else() {
    in_world(|world| {
        furnish(world);
        install_fixture(world, "mistakes", |file| match file {
            "smtproutes" | "qmtproutes" => 0o640,
            _ => 0o644,
        });
        let (status, text) = found(world);
        let expected = fs::read_to_string(fixture("mistakes/expected")).expect("fixture");
        for (found, expected) in text.lines().zip(expected.lines()) {
            assert_eq!(found, expected);
        }
        assert_eq!(text.lines().count(), expected.lines().count());
        assert!(text == expected, "line ends differ");
        assert_eq!(status, 2);
        assert!(!text.contains("secret"), "a password is shown");
    });
}

#[test]
fn nothing_is_found_in_clean_files_and_in_the_examples_of_the_manual_page() {
    in_world(|world| {
        world.require(Needs::Ipv6);
        furnish(world);
        for address in ["10.1.1.0/32", "2001::fefe/128"] {
            let added =
                world::programs::command("ip").args(["address", "add", address, "dev", "lo"]).status();
            assert!(added.expect("ip").success(), "{address}");
        }
        let mut cases = 0;
        for entry in fs::read_dir(fixture("clean")).expect("fixtures") {
            let case = entry.expect("entry").file_name().into_string().expect("name");
            install_fixture(world, &format!("clean/{case}"), |_| 0o640);
            assert_eq!(found(world), (0, String::new()), "{case}");
            cases += 1;
        }
        assert_eq!(cases, 7);
        // Of the generic rules most make others unreachable.
        for key in ["*", "?", "-", "/", "-*", "+*", "~*", "=*", "/*"] {
            let rule = format!("{key}:\n");
            assert_eq!(found_in(world, &[("tlsdestinations", rule.as_bytes())]), (0, String::new()), "{key}");
        }
    });
}

/// Control files, and the findings about them.
type Row<'a> = (&'a [(&'a str, &'a [u8])], &'a [&'a str]);

#[test]
fn mistakes_in_the_form_of_files_and_lines_are_found() {
    let long_value = [b"x".repeat(4097), b"\n".to_vec()].concat();
    let long_line = [b":".to_vec(), b"x".repeat(32768), b"\na.example:relay;0\n".to_vec()].concat();
    let long_comment = [b"#".to_vec(), b"x".repeat(70000), b"\n".to_vec()].concat();
    let rows: &[Row<'_>] = &[
        (
            &[("helohost", b"\n")],
            &["helohost: warning: is empty and counts as missing: write a value, or remove the file"],
        ),
        (
            &[("helohost", b"\n\nhelo.test\n")],
            &["helohost:1: warning: only the first line counts, and it is blank: write line 3 there"],
        ),
        (
            &[("helohost", b"bad name\n")],
            &["helohost:1: error: is not a host name: write one such as mail.example.com"],
        ),
        (
            &[("me", b"")],
            &[
                "me: warning: is empty and counts as missing: write a value, or remove the file",
                "me: error: neither me nor helohost has a name, and every delivery is put off: write this machine's name here",
            ],
        ),
        (&[("me", b"bad name\n")], &["me:1: error: is not a host name: write one such as mail.example.com"]),
        (&[("me", &long_value)], &["me:1: error: the value is longer than 4096 octets"]),
        (
            &[("timeoutremote", b"60\n\n70\n")],
            &["timeoutremote:3: warning: only the first line counts: remove this one"],
        ),
        (
            &[("timeoutremote", b"-1")],
            &["timeoutremote:1: error: is not a number of seconds from 1 on: write 1200, or remove the file"],
        ),
        (
            &[("smtproutes", &long_line)],
            &[
                "smtproutes:1: error: the line is too long: 32767 octets are the most",
                "smtproutes:2: error: the port is not a number from 1 to 65535: write domain:relay;port|user|password|localip",
            ],
        ),
        (&[("smtproutes", &long_comment)], &[]),
        (
            &[("smtproutes", b"#\r\na.example:relay.test\r\nb.example:relay.test\r\n")],
            &[
                "smtproutes:1: warning: the line ends in a carriage return, and more may: write the file with plain line feeds",
            ],
        ),
        (
            &[("smtproutes", b"a.example:relay\0.test\nb\x1b.example:relay.test")],
            &[
                "smtproutes:1: error: there is a control octet, 0x00, in the line: remove it",
                "smtproutes:2: error: there is a control octet, 0x1b, in the line: remove it",
            ],
        ),
        (
            &[("smtproutes", b"\xef\xbb\xbfa.example:relay.test\n")],
            &[
                "smtproutes:1: warning: the key begins with a byte order mark and is never asked for: write the file without",
            ],
        ),
        (
            &[("smtproute", b""), ("TLSdestinations", b""), ("smtproutes.cdb.tmp.7", b"")],
            &[
                "TLSdestinations: warning: is not read: its name would be tlsdestinations",
                "smtproute: warning: is not read: its name would be smtproutes",
                "smtproutes.cdb.tmp.7: warning: is left of an interrupted qmail-remote-check cdb and may hold passwords: remove it",
            ],
        ),
        (
            &[("smtproutes.cdb", b"xx")],
            &[
                "smtproutes.cdb: warning: is not used without smtproutes beside it: write smtproutes, or remove the index",
            ],
        ),
    ];
    in_world(|world| {
        for (files, findings) in rows {
            let worst = if findings.iter().any(|finding| finding.contains(": error: ")) { 2 } else { 1 };
            let status = if findings.is_empty() { 0 } else { worst };
            let text: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
            let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
            assert_eq!(found_in(world, files), (status, text), "{names:?}");
        }
    });
}

#[test]
fn what_is_no_file_and_what_cannot_be_read_is_an_error() {
    in_world(|world| {
        found_in(world, &[]);
        let control = world.control_directory();
        fs::create_dir(control.join("smtproutes")).expect("directory");
        fs::create_dir(control.join("helohost")).expect("directory");
        nix::unistd::mkfifo(&control.join("qmtproutes"), nix::sys::stat::Mode::S_IRWXU).expect("fifo");
        std::os::unix::fs::symlink("domainips", control.join("domainips")).expect("link");
        std::os::unix::fs::symlink("nothing", control.join("authsenders")).expect("link");
        let expected = "helohost: error: is a directory: a file is needed\n\
            authsenders: error: is a link to nothing: remove it, or make its target\n\
            domainips: error: cannot be read: Too many levels of symbolic links (os error 40)\n\
            qmtproutes: error: is not a regular file\n\
            smtproutes: error: is a directory: a file is needed\n";
        assert_eq!(found(world), (2, expected.to_owned()));
        fs::remove_dir_all(&control).expect("removal");
        let (status, text) = found(world);
        assert_eq!(
            (status, text.contains("control: error: cannot be opened: No such file")),
            (2, true),
            "{text}"
        );
    });
}

#[test]
fn an_index_is_to_be_as_new_and_as_secret_as_its_text() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        start_over(world);
        world.control("me", "me.example.test\n");
        world.control("smtproutes", ":relay.example.com|user|secret\n");
        let text = world.control_directory().join("smtproutes");
        set_mode(&text, 0o640);
        let written = Command::new(TOOL).args(["cdb", "smtproutes"]).status().expect("the tool runs");
        assert!(written.success());
        assert_eq!(found(world), (0, String::new()));
        let index = world.control_directory().join("smtproutes.cdb");
        set_mode(&index, 0o644);
        let open = "smtproutes.cdb: error: holds passwords and every user can read it: chgrp qmail smtproutes.cdb; chmod 640 smtproutes.cdb\n";
        assert_eq!(found(world), (2, open.to_owned()));
        set_mode(&index, 0o640);
        fs::File::options().write(true).open(&index).and_then(|file| file.set_len(100)).expect("damage");
        let damaged = "smtproutes.cdb: error: is damaged: run qmail-remote-check cdb smtproutes\n";
        assert_eq!(found(world), (2, damaged.to_owned()));
        world.control("smtproutes", ":relay.example.com\n");
        let older = "smtproutes.cdb: warning: is older than the last change of smtproutes and not used: run qmail-remote-check cdb smtproutes\n";
        assert_eq!(found(world), (1, older.to_owned()));
    });
}

#[test]
fn what_deliveries_cannot_read_is_an_error_for_root_who_can() {
    in_world(|world| {
        furnish(world);
        world.require(Needs::ManyUids);
        let closed = |path: &Path| {
            std::os::unix::fs::chown(path, Some(0), Some(0)).expect("owner");
            fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("mode");
        };
        start_over(world);
        world.control("me", "me.example.test\n");
        install(world, "authsenders", b"@a.example:relay.example|user|secret\n");
        install(world, "tlsdestinations", b"b.example:/etc/ssl/cacert\n");
        for name in ["me", "authsenders"] {
            closed(&world.control_directory().join(name));
        }
        closed(&world.scratch().join("cacert"));
        let advice = |name: &str| {
            format!("qmailr cannot read it, and runs deliveries: chgrp qmail {name}; chmod 640 {name}\n")
        };
        let expected = format!(
            "me: error: {}authsenders: error: {}tlsdestinations:1: error: the CA file /etc/ssl/cacert is closed: {}",
            advice("me"),
            advice("authsenders"),
            advice("/etc/ssl/cacert")
        );
        assert_eq!(found(world), (2, expected));
        for path in ["me", "authsenders"].map(|name| world.control_directory().join(name)) {
            set_mode(&path, 0o640);
        }
        set_mode(&world.scratch().join("cacert"), 0o640);
        assert_eq!(found(world), (0, String::new()));
    });
}

#[test]
fn a_certificate_that_soon_expires_is_a_warning() {
    in_world(|world| {
        for (days, status) in [(13, 1), (15, 0)] {
            written(world, &identity(days), "soon");
            let line = b"*:/etc/ssl/soon.pem|/etc/ssl/soon.key\n";
            let (found, text) = found_in(world, &[("domaincerts", line)]);
            assert_eq!(found, status, "{text}");
            assert_eq!(
                text.starts_with("domaincerts:1: warning: the certificate expires on "),
                status == 1,
                "{text}"
            );
        }
    });
}

#[test]
fn as_json_findings_are_one_array_and_the_status_is_the_same() {
    in_world(|world| {
        let of = |files: &[(&str, &[u8])]| {
            found_in(world, files);
            let output = lint(&["--format", "json"]);
            let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            (output.status.code(), value)
        };
        assert_eq!(of(&[]), (Some(0), serde_json::json!([])));
        let here = world.control_directory().display().to_string();
        let line = serde_json::json!({
            "file": format!("{here}/smtproutes"), "line": 1, "severity": "warning",
            "text": "no look-up asks for the key `a\"b`: write a host, a .suffix, `!@`, or nothing",
        });
        let whole = serde_json::json!({
            "file": format!("{here}/helohost"), "severity": "warning",
            "text": "is empty and counts as missing: write a value, or remove the file",
        });
        assert_eq!(of(&[("smtproutes", b"a\"b:relay.test\n")]), (Some(1), serde_json::json!([line])));
        assert_eq!(
            of(&[("helohost", b""), ("smtproutes", b"a\"b:relay.test\n")]),
            (Some(1), serde_json::json!([whole, line]))
        );
        assert_eq!(lint(&["--format", "xml"]).status.code(), Some(64));
    });
}

#[test]
fn who_else_may_change_files_and_read_their_copies_is_found() {
    in_world(|world| {
        furnish(world);
        found_in(world, &[]);
        install(world, "tlsdestinations", b"*:/etc/ssl/cacert\n");
        for name in ["smtproutes~", ".authsenders.swp", "#domaincerts#", "qmtproutes.bak", "domainips.bak"] {
            world.control(name, "a.example:relay.example|user|secret\n");
        }
        for (name, mode) in [("tlsdestinations", 0o646), ("qmtproutes.bak", 0o640)] {
            let path = world.control_directory().join(name);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
        }
        let cacert = world.scratch().join("cacert");
        fs::set_permissions(cacert, fs::Permissions::from_mode(0o666)).expect("mode");
        fs::set_permissions(world.control_directory(), fs::Permissions::from_mode(0o777)).expect("mode");
        let copy = "is a copy that may hold passwords, and every user can read it: remove it, or chmod o-r";
        let control = world.control_directory().display().to_string();
        let expected = format!(
            "{control}: error: every user can change it: chmod o-w \n\
             #domaincerts#: error: {copy}\n.authsenders.swp: error: {copy}\nsmtproutes~: error: {copy}\n\
             tlsdestinations: error: every user can change it: chmod o-w tlsdestinations\n\
             tlsdestinations:1: error: the CA file /etc/ssl/cacert is open: every user can change it: chmod o-w /etc/ssl/cacert\n"
        );
        assert_eq!(found(world), (2, expected));
    });
}

#[test]
fn trust_anchors_that_are_of_no_use_are_found() {
    in_world(|world| {
        furnish(world);
        let (expired, good) =
            (fs::read(world.scratch().join("expired.pem")), fs::read(world.scratch().join("good.pem")));
        let (expired, good) = (expired.expect("PEM"), good.expect("PEM"));
        world.file("mixed", [good, expired.clone()].concat());
        let huge = fs::File::create(world.scratch().join("huge")).expect("file");
        huge.set_len(8 * 1024 * 1024 + 1).expect("length");
        fs::create_dir(world.scratch().join("second")).expect("directory");
        world.file("second/0123abcd.1", expired);
        let lines = b"a.example:/etc/ssl/expired.pem\nb.example:/etc/ssl/mixed\nc.example:/etc/ssl/huge\nd.example:/etc/ssl/second/\n";
        let expected = "tlsdestinations:1: error: the CA file /etc/ssl/expired.pem holds expired certificates alone: replace it\n\
            tlsdestinations:2: warning: the CA file /etc/ssl/mixed: 1 of its 2 certificates have expired\n\
            tlsdestinations:3: error: the CA file /etc/ssl/huge is longer than 8388608 octets, which no delivery reads\n\
            tlsdestinations:4: error: the CA directory /etc/ssl/second/ has no hashed names, HASH.0: run openssl rehash /etc/ssl/second/\n";
        assert_eq!(found_in(world, &[("tlsdestinations", lines)]), (2, expected.to_owned()));
    });
}

#[test]
fn an_index_that_is_damaged_anywhere_is_found() {
    in_world(|world| {
        let written = |text: &[u8]| {
            found_in(world, &[("tlsdestinations", text)]);
            let status = Command::new(TOOL).args(["cdb", "tlsdestinations"]).status().expect("the tool runs");
            assert!(status.success());
            fs::read(world.control_directory().join("tlsdestinations.cdb")).expect("index")
        };
        let good = written(b"a.example:\nb.example:\n");
        assert_eq!(found(world), (0, String::new()));
        let damaged = "tlsdestinations.cdb: error: is damaged: run qmail-remote-check cdb tlsdestinations\n";
        // Lengths, keys and slots; a changed octet of a value, which is a blank where the text has none, is a value.
        let record = 8 + "a.example".len() + 1;
        let values = [2048 + record - 1, 2048 + 2 * record - 1];
        for place in (2048..good.len()).filter(|place| !values.contains(place)) {
            let mut bad = good.clone();
            bad[place] ^= 0x55;
            world.index("tlsdestinations", &bad);
            assert_eq!(found(world), (2, damaged.to_owned()), "octet {place}");
        }
    });
}

#[test]
fn nothing_that_may_be_a_password_is_printed() {
    in_world(|world| {
        let rows: &[(&str, &[u8])] = &[
            ("authsenders", b"SECRET here:relay.example\n"),
            ("authsenders", b"user;SECRET:relay.example\n"),
            ("domaincerts", b"a.example SECRET:/cert.pem\n"),
            ("domaincerts", b"a.example:/cert.pem;/key.pem;SECRET\n"),
            ("domainips", b"a.example:::1%SECRET\n"),
            ("qmtproutes", b"a.example SECRET:relay.example\n"),
            ("smtproutes", b"a.example;SECRET:relay.example\n"),
            ("smtproutes", b"a.example:relay.example|user|::1%SECRET\n"),
            ("smtproutes", b"a.example:relay.example||::1%SECRET\n"),
            ("smtproutes", b"a.example:relay.example;SECRET\n"),
            ("smtproutes", b"a.example:relay.example SECRET\n"),
            ("smtproutes", b"a.example|user|SECRET\n"),
            ("smtproutes", b"a.example relay.example user SECRET\n"),
            ("tlsdestinations", b"a.example:|SECRET\n"),
            ("tlsdestinations", b"a.example:|aSECRET\n"),
            ("tlsdestinations", b"a.example:|/SECRET\n"),
            ("authplaintext", b"SECRET\n"),
        ];
        for (file, line) in rows {
            let (status, text) = found_in(world, &[(file, line)]);
            assert!(!text.contains("SECRET"), "{}: {text}", line.escape_ascii());
            assert_ne!(status, 0, "{}", line.escape_ascii());
            let explain = Command::new(TOOL).args(["explain", "a.example", "x@a.example"]).output();
            let text = String::from_utf8(explain.expect("the tool runs").stdout).expect("text");
            assert!(!text.contains("SECRET"), "{}: {text}", line.escape_ascii());
        }
    });
}
