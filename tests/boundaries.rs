//! Rules about the sources that no compiler checks: who may import whom, who may speak to qmail-rspawn,
//! where unsafe code can be, and how long a file may grow. Each rule is also shown a breach of itself.
#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

use std::fs;
use std::path::Path;

/// A source file: its path from the workspace's root, and its text.
struct Source {
    path: String,
    text: String,
}

/// The sources below these directories.
fn sources(directories: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut waiting: Vec<_> = directories.iter().map(|directory| root.join(directory)).collect();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
        }
    }
    assert!(!found.is_empty(), "no sources in {directories:?}");
    found
}

fn made_up(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

/// The code without comment lines and without what follows `//` in a line. A `//` in a string cuts the
/// line short, which hides nothing that a rule here looks for.
fn code(text: &str) -> String {
    text.lines().flat_map(|line| [line.split("//").next().unwrap_or_default(), "\n"]).collect()
}

fn is_part_of_a_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Whether `word` stands in the code by itself, not as a part of a longer name.
fn mentions(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_part_of_a_name) && !after.is_some_and(is_part_of_a_name)
    })
}

/// The code with no more blanks than it needs to keep names apart.
fn without_blanks(code: &str) -> String {
    code.split_whitespace().fold(String::new(), |joined, word| {
        let apart = joined.ends_with(is_part_of_a_name) && word.starts_with(is_part_of_a_name);
        joined + if apart { " " } else { "" } + word
    })
}

/// Whether the code has a path to the top-level module `module`: from the root, from above, or in a group.
fn imports(code: &str, module: &str) -> bool {
    let code = without_blanks(code);
    ["crate::", "super::", "qmail_remote::"].iter().any(|parent| {
        let is_member = |group: &str| members(group).iter().any(|member| mentions(member, module));
        mentions(&code, &format!("{parent}{module}"))
            || code.split(&format!("{parent}{{")).skip(1).any(is_member)
    })
}

/// The members of a group of imports, each without what it imports from below itself.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0_u32, 0, Vec::new());
    for (at, character) in group.char_indices() {
        if depth == 0 && matches!(character, '}' | ',') {
            members.push(group[start..at].split("::").next().unwrap_or_default());
            start = at + 1;
        }
        match character {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    members
}

/// What may not be imported from where.
const FORBIDDEN_IMPORTS: [(&str, &[&str]); 14] = [
    ("src/network/", &["monitor", "report", "startup", "args", "sealed"]),
    ("src/monitor/", &["network"]),
    ("src/ipc/", &["monitor", "network", "report", "startup", "args", "sealed"]),
    ("src/plan.rs", &["monitor", "network"]),
    ("src/authentication.rs", &["monitor", "network"]),
    ("src/host.rs", &["monitor", "network"]),
    ("src/envelope.rs", &["monitor", "network"]),
    ("src/tls_policy.rs", &["monitor", "network"]),
    ("src/args.rs", &["monitor", "network"]),
    ("src/idn.rs", &["monitor", "network"]),
    ("src/sealed.rs", &["monitor", "network"]),
    ("src/sys.rs", &["monitor", "network"]),
    ("src/startup.rs", &["monitor", "network"]),
    ("src/report.rs", &["monitor", "network"]),
];

fn forbidden_imports(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let code = code(&source.text);
        for (place, modules) in FORBIDDEN_IMPORTS {
            let here = source.path.starts_with(place);
            let imported = modules.iter().filter(|module| here && imports(&code, module));
            found.extend(imported.map(|module| format!("{} imports {module}", source.path)));
        }
    }
    found
}

#[test]
fn monitor_and_network_do_not_import_each_other() {
    let sources = sources(&["src"]);
    for (place, _) in FORBIDDEN_IMPORTS {
        assert!(sources.iter().any(|source| source.path.starts_with(place)), "there is no {place}");
    }
    assert_eq!(forbidden_imports(&sources), [""; 0]);
}

#[test]
fn a_forbidden_import_is_seen_in_every_form() {
    for text in [
        "use crate::monitor::outcome::Broken;",
        "use crate::monitor;",
        "use crate::{ipc, monitor};",
        "use crate::{\n    ipc::{self, Claim},\n    monitor::{serve, child},\n    plan,\n};",
        "use super::{monitor, plan};",
        "use super::super::monitor::child;",
        "fn f() { crate::monitor::serve::serve() }",
        "fn f() { crate :: monitor :: serve() }",
        "pub use qmail_remote::monitor;",
    ] {
        assert_eq!(forbidden_imports(&[made_up("src/network/x.rs", text)]).len(), 1, "{text}");
    }
    for text in [
        "/// See [`crate::monitor`].\nfn f() {}",
        "//! `use crate::monitor::outcome`",
        "fn f(monitor: &mut ChildEnd) { monitor.claim(Claim::Lost); }",
        "use crate::ipc::{Claim, monitor_like};",
        "use crate::{ipc::{self, Claim}, plan::Plan};\nfn f(monitor: u8) {}",
        "use crate::monitoring;",
    ] {
        assert_eq!(forbidden_imports(&[made_up("src/network/x.rs", text)]), [""; 0], "{text}");
    }
    assert_eq!(forbidden_imports(&[made_up("src/monitor/x.rs", "use crate::network::tls;")]).len(), 1);
    assert_eq!(forbidden_imports(&[made_up("src/ipc/frame.rs", "use crate::{network, monitor};")]).len(), 2);
    assert_eq!(forbidden_imports(&[made_up("src/plan.rs", "use crate::monitor::control;")]).len(), 1);
}

/// Who may name descriptor 1: the reports are written there, in the network child it is where the monitor's
/// replies are read, and the check tool is another program.
const NAME_STDOUT: [&str; 3] =
    ["src/report.rs", "src/ipc/child_end.rs", "src/bin/qmail-remote-check/main.rs"];

fn names_of_stdout(sources: &[Source]) -> Vec<&str> {
    let ways =
        ["stdout", "Stdout", "StdoutLock", "STDOUT_FILENO", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    let names = |source: &&Source| {
        let code = code(&source.text);
        ways.iter().any(|way| mentions(&code, way))
    };
    let mut found: Vec<_> = sources.iter().filter(names).map(|source| &*source.path).collect();
    found.sort_unstable();
    found
}

#[test]
fn only_the_reports_are_written_to_stdout() {
    let sources = sources(&["src"]);
    let mut expected = NAME_STDOUT;
    expected.sort_unstable();
    assert_eq!(names_of_stdout(&sources), expected);
    let child_end = sources.iter().find(|source| source.path == "src/ipc/child_end.rs").unwrap();
    let reads = code(&child_end.text).matches("stdout").count();
    assert_eq!(reads, code(&child_end.text).matches("fill(std::io::stdout())").count(), "more than a read");
}

#[test]
fn a_new_name_of_stdout_is_seen() {
    for text in [
        "std::io::stdout().write_all(b\"x\");",
        "use std::io::stdout;\nlet mut out = stdout();",
        "write(libc::STDOUT_FILENO, b\"x\");",
        "File::create(\"/dev/stdout\");",
    ] {
        assert_eq!(names_of_stdout(&[made_up("src/x.rs", text)]), ["src/x.rs"], "{text}");
    }
    // What puts the reply pipe in its place in the child.
    assert_eq!(names_of_stdout(&[made_up("src/x.rs", "dup2_stdout(&replies)")]), [""; 0]);
}

const PRINTING: [&str; 6] = ["print!", "println!", "eprint!", "eprintln!", "dbg!", "stderr()"];

fn printing(sources: &[Source]) -> Vec<String> {
    let prints = |source: &Source| {
        let code = code(&source.text);
        let ways = PRINTING.into_iter().filter(|way| mentions(&code, way));
        ways.map(|way| format!("{}: {way}", source.path)).collect::<Vec<_>>()
    };
    sources.iter().flat_map(prints).collect()
}

#[test]
fn nothing_prints() {
    // The check tool, which people run, says so when it cannot write what it found.
    let allowed = ["src/bin/qmail-remote-check/main.rs: stderr()"];
    assert_eq!(printing(&sources(&["src", "sandbox/src"])), allowed);
}

#[test]
fn a_print_is_seen() {
    for way in PRINTING {
        let text = format!("fn f() {{\n    {way}(\"x\");\n}}");
        assert_eq!(printing(&[made_up("src/x.rs", &text)]), [format!("src/x.rs: {way}")]);
    }
    assert_eq!(
        printing(&[made_up("src/x.rs", "// never println!\nfn f() { writeln!(f, \"x\"); }")]),
        [""; 0]
    );
}

/// The files with unsafe code, each of which says so.
const UNSAFE: [&str; 6] = [
    "sandbox/src/sys.rs",
    "src/sys.rs",
    "src/sealed.rs",
    "src/network/tls/ffi.rs",
    "src/network/tls/provider/callbacks.rs",
    "src/network/tls/provider/ffi.rs",
];

/// Files that cannot forbid it: those above a file with unsafe code, as an inner file cannot take back
/// what an outer one forbids; and those that declare modules and do next to nothing. Those of the sandbox
/// leave it to the workspace, which denies it.
const WITHOUT_A_WORD: [&str; 6] = [
    "src/lib.rs",
    "src/main.rs",
    "src/network/mod.rs",
    "src/network/tls/mod.rs",
    "src/network/tls/provider.rs",
    "src/network/smtp/mod.rs",
];

fn forbids_unsafe(text: &str) -> bool {
    text.lines().any(|line| line == "#![forbid(unsafe_code)]")
}

/// What breaks the rule, in words.
fn unsafe_places(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for Source { path, text } in sources {
        let code = code(text);
        let says_so = text.lines().any(|line| line.starts_with("#![expect(") && line.contains("unsafe_code"))
            || text.contains("#![expect(\n    unsafe_code,");
        if UNSAFE.contains(&path.as_str()) {
            if !says_so {
                found.push(format!("{path} does not say that it is unsafe"));
            }
        } else if mentions(&code, "unsafe") || code.contains("(unsafe_code") && !forbids_unsafe(text) {
            found.push(format!("{path} has unsafe code"));
        } else if path.starts_with("src/")
            && !forbids_unsafe(text)
            && !WITHOUT_A_WORD.contains(&path.as_str())
            && !path.ends_with("/tests.rs")
        {
            found.push(format!("{path} does not forbid unsafe code"));
        }
    }
    found
}

#[test]
fn unsafe_code_is_forbidden_but_in_named_files() {
    let sources = sources(&["src", "sandbox/src"]);
    for place in UNSAFE {
        assert!(sources.iter().any(|source| source.path == place), "there is no {place}");
    }
    assert_eq!(unsafe_places(&sources), [""; 0]);
}

#[test]
fn new_unsafe_code_is_seen() {
    for (path, text) in [
        ("src/x.rs", "fn f() {}\n"),
        ("src/x.rs", "// #![forbid(unsafe_code)]\nfn f() {}\n"),
        ("src/x.rs", "#![expect(unsafe_code, reason = \"x\")]\nfn f() {}\n"),
        ("src/x.rs", "#![forbid(unsafe_code)]\nfn f() { unsafe { g() } }\n"),
        ("src/lib.rs", "fn f() { unsafe { g() } }\n"),
        ("src/lib.rs", "#[allow(unsafe_code)]\nfn f() {}\n"),
        ("src/sys.rs", "fn f() { unsafe { g() } }\n"),
        ("sandbox/src/x.rs", "fn f() { unsafe { g() } }\n"),
        ("sandbox/src/x.rs", "#[allow(unsafe_code)]\nfn f() {}\n"),
    ] {
        assert_eq!(unsafe_places(&[made_up(path, text)]).len(), 1, "{path}: {text}");
    }
    let good = [
        made_up("sandbox/src/x.rs", "//! Not unsafe.\nfn f() {}\n"),
        made_up("src/x.rs", "//! Never unsafe.\n#![forbid(unsafe_code)]\nfn f() {}\n"),
        made_up("src/sys.rs", "#![expect(unsafe_code, reason = \"x\")]\nfn f() { unsafe { g() } }\n"),
    ];
    assert_eq!(unsafe_places(&good), [""; 0]);
}

/// Who names what runs in the network child: the two programs hand it to the monitor, which takes whatever it gets. Tests
/// that put another in its place are programs of their own.
const NAME_THE_CHILD: [(&str, &str); 5] = [
    ("src/bin/qmail-remote-check/probe/mod.rs", "network::enter"),
    ("src/lib.rs", "NetworkEntry"),
    ("src/main.rs", "network::enter"),
    ("src/monitor/child.rs", "NetworkEntry"),
    ("src/monitor/mod.rs", "NetworkEntry"),
];

fn names_of_the_child(sources: &[Source]) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for source in sources {
        let code = code(&source.text);
        let named = ["network::enter", "NetworkEntry"].into_iter().filter(|name| mentions(&code, name));
        found.extend(named.map(|name| (&*source.path, name)));
    }
    found.sort_unstable();
    found
}

/// Conditions on the build, but those on the architecture, and those that leave out tests or what the fuzz targets call.
fn builds_that_differ(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let code = without_blanks(&code(&source.text));
        for (at, _) in code.match_indices("cfg") {
            let rest = &code[at..];
            let is_whole = !code[..at].chars().next_back().is_some_and(is_part_of_a_name);
            let is_condition = ["cfg(", "cfg!(", "cfg_attr("].iter().any(|form| rest.starts_with(form));
            let leaves_out_tests = ["mod ", "pub(super)mod ", "pub(crate)mod "]
                .iter()
                .any(|module| rest.starts_with(&format!("cfg(test)]{module}")));
            let is_of_the_machine = ["cfg(target_arch=", "cfg!(target_arch=", "cfg(not(all(target_os="]
                .iter()
                .any(|condition| rest.starts_with(condition));
            let leaves_out_fuzzing = ["pub mod ", "pub(super)mod "]
                .iter()
                .any(|module| rest.starts_with(&format!("cfg(feature=\"fuzzing\")]{module}fuzzing")));
            let is_known = leaves_out_tests || leaves_out_fuzzing || is_of_the_machine;
            if is_whole && is_condition && !is_known {
                found.push(format!("{}: {}", source.path, rest.chars().take(40).collect::<String>()));
            }
        }
        if mentions(&code, "debug_assertions") {
            found.push(format!("{} asks how it was built", source.path));
        }
    }
    found
}

#[test]
fn the_network_child_is_the_same_in_every_build() {
    assert_eq!(names_of_the_child(&sources(&["src"])), NAME_THE_CHILD);
    assert_eq!(builds_that_differ(&sources(&["src", "sandbox/src"])), [""; 0]);
}

#[test]
fn a_build_that_differs_is_seen() {
    for text in [
        "#[cfg(feature = \"hostile\")]\nfn f() {}",
        "#[cfg(feature = \"fuzzing\")]\nfn f() {}",
        "#[cfg(feature = \"fuzzing\")]\npub mod other;",
        "#[cfg(debug_assertions)]\nfn f() {}",
        "fn f() { if cfg!(debug_assertions) { g() } }",
        "#[cfg(test)]\nfn f() {}",
        "#[cfg(not(test))]\nmod x;",
        "#[cfg_attr(test, path = \"other.rs\")]\nmod x;",
    ] {
        assert!(!builds_that_differ(&[made_up("src/x.rs", text)]).is_empty(), "{text}");
    }
    for text in ["#[cfg(test)]\nmod tests;", "#[cfg(target_arch = \"aarch64\")]\nfn f() {}"] {
        assert_eq!(builds_that_differ(&[made_up("src/x.rs", text)]), [""; 0], "{text}");
    }
    let other = made_up("src/x.rs", "fn f() -> ! { run(crate::network::enter) }");
    assert_eq!(names_of_the_child(&[other]), [("src/x.rs", "network::enter")]);
}

const LONGEST: usize = 600;

fn too_long(sources: &[Source]) -> Vec<&str> {
    sources.iter().filter(|it| it.text.lines().count() > LONGEST).map(|it| &*it.path).collect()
}

#[test]
fn no_file_is_too_long() {
    assert_eq!(too_long(&sources(&["bench", "src", "sandbox", "tests"])), [""; 0]);
    let texts = [LONGEST, LONGEST + 1].map(|lines| made_up(&lines.to_string(), &"x\n".repeat(lines)));
    assert_eq!(too_long(&texts), ["601"]);
}
