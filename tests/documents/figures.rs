//! Figures that documents give are those of the code.

use crate::read;

/// A document; words of it, with `#` for a figure; the source with that figure, what stands in front of it there, and how much
/// of what is counted there is one of the document's.
type Figure = (&'static str, &'static str, &'static str, &'static str, u64);

const SECURITY: &str = "SECURITY.md";
const THREATS: &str = "docs/threat-model.md";
const HOLES: &str = "docs/past-vulnerabilities.md";
const IPC: &str = "docs/ipc.md";

const LIMITS: &str = "sandbox/src/limits.rs";
const CLAIMS: &str = "src/ipc/mod.rs";
const OUTCOME: &str = "src/monitor/outcome.rs";
const SIGNING: &str = "src/monitor/outcome/signing.rs";
const EXCHANGERS: &str = "src/network/exchangers.rs";
const REPLIES: &str = "src/network/smtp/replies.rs";

const FIGURES: &[Figure] = &[
    (SECURITY, "Hold up to # MiB of memory", LIMITS, "Resource::RLIMIT_AS, ", 1024 * 1024),
    (SECURITY, "if it likes, and # sockets", LIMITS, "Resource::RLIMIT_NOFILE, ", 1),
    (SECURITY, "Claim that up to # addresses did not answer", CLAIMS, "MOST_UNANSWERED: usize = ", 1),
    (SECURITY, "of names that it makes up, # at most", CLAIMS, "MOST_CONNECTIONS: usize = ", 1),
    (
        SECURITY,
        "for each connection that it claims, at most # in a delivery",
        SIGNING,
        "MOST_SIGNATURES: u8 = ",
        1,
    ),
    (THREATS, "a domain with # exchangers", EXCHANGERS, "MOST_EXCHANGERS: usize = ", 1),
    (THREATS, "exchangers of # addresses, all silent", EXCHANGERS, "MOST_ADDRESSES: usize = ", 1),
    (THREATS, "with up to # sockets at a time", LIMITS, "Resource::RLIMIT_NOFILE, ", 1),
    (THREATS, "| # of them; a rule has no secret in it", CLAIMS, "MOST_CONNECTIONS: usize = ", 1),
    (THREATS, "an end at # things that are told", OUTCOME, "MOST_SEEN: usize = ", 1),
    (THREATS, "with no more than # parts", "src/ipc/observation.rs", "MAX: usize = ", 1),
    (HOLES, "| # octets a line, ", REPLIES, "LONGEST_LINE: usize = ", 1),
    (HOLES, " octets a line, # lines", REPLIES, "MOST_LINES: usize = ", 1),
    (HOLES, " lines, # KiB, one deadline", REPLIES, "MOST_OCTETS: usize = ", 1024),
    (IPC, "records or names; # for one probe", OUTCOME, "MOST_SEEN: usize = ", 1),
    (IPC, "one signature for a connection, # for a delivery", SIGNING, "MOST_SIGNATURES: u8 = ", 1),
    (IPC, "| # octets of the administrator's files", "src/monitor/serve.rs", "PIECE: usize = ", 1),
];

/// The product that follows `before` in a source.
fn figure(text: &str, before: &str) -> Option<u64> {
    let (_, rest) = text.split_once(before)?;
    let product = rest.split([';', ')', ',']).next()?;
    product.split('*').map(|factor| factor.trim().replace('_', "").parse::<u64>().ok()).product()
}

/// Whether a document has these words, with the figure.
fn says(text: &str, words: &str, figure: u64) -> bool {
    let text: Vec<_> = text.split_whitespace().collect();
    text.join(" ").contains(&words.replace('#', &figure.to_string()))
}

#[test]
fn figures_are_those_of_the_code() {
    let wrong = |&&(document, words, source, before, unit): &&Figure| {
        !figure(&read(source), before).is_some_and(|counted| says(&read(document), words, counted / unit))
    };
    let wrong: Vec<_> = FIGURES.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn another_figure_is_seen() {
    let source = "const MOST: usize = 2 * 1_024;\n    (Resource::RLIMIT_NOFILE, 256),\n";
    assert_eq!(figure(source, "MOST: usize = "), Some(2048));
    assert_eq!(figure(source, "Resource::RLIMIT_NOFILE, "), Some(256));
    assert_eq!(figure(source, "LEAST: usize = "), None);
    assert!(says("at most 16\nof them", "at most # of them", 16));
    assert!(!says("at most 16\nof them", "at most # of them", 17));
}
