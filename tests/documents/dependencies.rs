//! Every dependency has its reason beside it, and no build of the program has what is there for the fuzz targets.

use crate::read;

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
