//! Every dependency has its reason beside it, and no build of the program has what is there for the fuzz targets.

use std::collections::BTreeSet;
use std::process::Command;

use crate::{read, root};

/// The dependencies of a manifest that have no comment in the line above.
fn without_a_reason(manifest: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut in_dependencies, mut before) = (false, "");
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        } else if in_dependencies && line.contains(" = ") && !before.starts_with("# ") {
            found.push(line.split(' ').next().unwrap_or_default());
        }
        before = line;
    }
    found
}

#[test]
fn every_dependency_has_a_reason() {
    let others = ["bench/Cargo.toml", "fuzz/Cargo.toml", "sandbox/Cargo.toml", "tests/world/Cargo.toml"];
    for manifest in ["Cargo.toml"].into_iter().chain(others) {
        assert_eq!(without_a_reason(&read(manifest)), [""; 0], "{manifest}");
    }
    let made_up = "[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\n[dev-dependencies]\nc = { path = \"x\" }\n[lints]\nd = 1\n";
    assert_eq!(without_a_reason(made_up), ["b", "c"]);
}

/// No release goes on after an overflow, as docs/past-vulnerabilities.md says, or a panic.
#[test]
fn overflow_ends_a_release_as_a_panic_does() {
    let manifest = read("Cargo.toml");
    let (_, profile) = manifest.split_once("\n[profile.release]\n").unwrap();
    let profile: Vec<&str> = profile.lines().take_while(|line| !line.starts_with('[')).collect();
    for line in ["overflow-checks = true", "panic = \"abort\""] {
        assert!(profile.contains(&line), "{line}");
    }
}

/// Nothing but `fuzz/` turns on what is there for the fuzz targets alone.
#[test]
fn no_build_of_the_program_has_the_fuzzers_door() {
    let manifest = read("Cargo.toml");
    let (_, features) = manifest.split_once("\n[features]\n").unwrap();
    let (features, _) = features.split_once("\n[").unwrap();
    let names: Vec<&str> = features.lines().filter(|line| line.contains('=')).collect();
    assert_eq!(names, ["fuzzing = []"], "a default, or another feature");
    for manifest in [
        "bench/Cargo.toml",
        "sandbox/Cargo.toml",
        "tests/world/Cargo.toml",
        "Makefile",
        "packaging/build.sh",
        ".ci/checks",
    ] {
        assert!(!read(manifest).contains("fuzzing"), "{manifest}");
    }
    let mentions = crate::files(&["src"], ".rs").into_iter().filter(|path| read(path).contains("feature = "));
    let doors =
        ["src/network/mod.rs", "src/network/qmtp.rs", "src/network/smtp/facts.rs", "src/network/smtp/mod.rs"];
    assert_eq!(mentions.collect::<Vec<_>>(), doors);
}

/// Name and version of all that is in the program's tree of dependencies on the platform of releases, tests left out.
fn linked() -> BTreeSet<String> {
    let arguments =
        "tree --offline --locked --package qmail-remote --edges normal --prefix none --format {p}";
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(arguments.split(' ')).arg("--target=x86_64-unknown-linux-gnu");
    let made = cargo.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let tree = String::from_utf8(made.stdout).unwrap();
    let words = tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    words.map(|package| package.replace(" v", " ")).collect()
}

/// What a release says that the programs are built from: the crates of Cargo.lock by their checksums, all of the
/// program's tree of dependencies, what the manifest names among them, and nothing that tests alone use.
#[test]
fn the_bill_of_materials_is_what_the_programs_are_built_from() {
    let made =
        Command::new(root().join("packaging/sbom.sh")).args(["9.9", "0123abcd", "86400"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bill = String::from_utf8(made.stdout).unwrap();
    assert!(bill.contains("\nDocumentNamespace: urn:qmail-remote:9.9:0123abcd\n"), "{bill}");
    assert!(bill.contains("\nCreated: 1970-01-02T00:00:00Z\n"), "{bill}");

    let lock = read("Cargo.lock");
    let value = |part: &str, key: &str| {
        part.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim_matches('"').to_owned())
    };
    let locked: Vec<_> = lock
        .split("\n\n")
        .map(|part| (value(part, "name = "), value(part, "version = "), value(part, "checksum = ")))
        .collect();
    let (mut names, mut listed) = (Vec::new(), BTreeSet::new());
    for part in bill.split("\n\n").filter(|part| part.starts_with("PackageName: ")) {
        let name = value(part, "PackageName: ").unwrap();
        let version = value(part, "PackageVersion: ");
        let crate_of_lock = (Some(name.clone()), version.clone(), value(part, "PackageChecksum: SHA256: "));
        assert!(name == "OpenSSL" || locked.contains(&crate_of_lock), "{part}");
        listed.insert(format!("{name} {}", version.unwrap_or_default()));
        names.push(name);
    }

    // Made of the same tree: the list that is made of it loses nothing, and has nothing else.
    listed.remove("OpenSSL ");
    assert!(listed.len() > 50, "{listed:?}");
    assert_eq!(listed, linked());

    let manifest = read("Cargo.toml");
    let named = |section: &str| -> Vec<String> {
        let (_, rest) = manifest.split_once(&format!("\n[{section}]\n")).unwrap();
        let lines = rest.lines().take_while(|line| !line.starts_with('['));
        lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned()).collect()
    };
    let needed = named("dependencies");
    assert!(needed.iter().all(|name| names.contains(name)), "{needed:?} {names:?}");
    for for_tests in ["libtest-mimic", "tempfile", "world"] {
        assert!(named("dev-dependencies").contains(&for_tests.to_owned()), "{for_tests}");
        assert!(!names.contains(&for_tests.to_owned()), "{for_tests}");
    }
}
