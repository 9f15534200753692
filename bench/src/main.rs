//! `bench PROGRAM [NAME=PROGRAM[:colon] ...]`: what deliveries cost, beside what nothing can be faster than.
//!
//! Everything happens in a private network, which only root can furnish with the slow link. Programs and floors take turns,
//! so that a machine that drifts drifts for all. `--only WORD` takes the groups of rows whose name has the word, `--runs N`
//! sets how often each is run, `--check PATH` names the tool that writes indexes, `--json FILE` and `--plot FILE` write the
//! results once more. Where no other program is named, a client in C stands in for one. `bench count PROGRAM` counts
//! instead. See docs/performance.md.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a benchmark does")]
#![expect(clippy::arithmetic_side_effects, reason = "figures, not lengths")]

mod compiler;
mod contest;
mod count;
mod floors;
mod held;
mod instructions;
mod link;
mod lists;
mod process;
mod results;
mod sink;
mod small;
mod startup;
mod statistics;
mod throughput;
mod turns;

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use contest::Contest;
use results::Row;
use world::{World, namespace};

/// Any failure ends the run: half of a table is no table.
type Anything<T> = Result<T, Box<dyn Error>>;

/// A group of rows: its name, and what measures it.
type Group = (&'static str, fn(&Contest<'_>) -> Anything<Vec<Row>>);

const GROUPS: &[Group] = &[
    ("startup", startup::rows),
    ("small", small::rows),
    ("throughput", throughput::rows),
    ("lists", lists::rows),
    ("turns", turns::rows),
    ("held", held::rows),
];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if let [floor, rest @ ..] = words.as_slice()
        && floor == "floor"
    {
        return status(floors::run(rest));
    }
    let mut result = Ok(());
    namespace::enter(&arguments, |world| {
        result = match words.as_slice() {
            [count, program] if count == "count" => count::run(program, world),
            _ => run(&words, world),
        }
    });
    status(result)
}

fn status(result: Anything<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String], world: &World) -> Anything<()> {
    let options = Options::read(words)?;
    let mut contest = Contest::prepare(world, &options)?;
    contest.add_client()?;
    let mut rows = Vec::new();
    for (name, measure) in GROUPS {
        if options.only.as_ref().is_none_or(|only| name.contains(only.as_str())) {
            let measured = measure(&contest)?;
            results::print(&measured);
            rows.extend(measured);
        }
    }
    if let Some(file) = options.json {
        std::fs::write(file, results::json(&rows)?)?;
    }
    if let Some(file) = options.plot {
        std::fs::write(file, results::plot(&rows))?;
    }
    Ok(())
}

/// What the words ask for.
#[derive(Debug, Default, PartialEq)]
struct Options {
    programs: Vec<String>,
    only: Option<String>,
    runs: Option<usize>,
    checker: Option<String>,
    json: Option<String>,
    plot: Option<String>,
}

impl Options {
    fn read(words: &[String]) -> Anything<Options> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--only" => options.only = Some(value()?),
                "--runs" => options.runs = Some(value()?.parse()?),
                "--check" => options.checker = Some(value()?),
                "--json" => options.json = Some(value()?),
                "--plot" => options.plot = Some(value()?),
                _ => options.programs.push(word.clone()),
            }
        }
        if options.programs.is_empty() {
            return Err("usage: bench PROGRAM [NAME=PROGRAM[:colon] ...] [--only WORD] [--runs N] [--check QMAIL-REMOTE-CHECK] [--json FILE] [--plot FILE]".into());
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Anything<Options> {
        Options::read(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_take_values_and_other_words_are_programs() {
        let options = read("a --only small b=c:colon --runs 7 --json j --plot p --check q").unwrap();
        let expected = Options {
            programs: vec!["a".into(), "b=c:colon".into()],
            only: Some("small".into()),
            runs: Some(7),
            checker: Some("q".into()),
            json: Some("j".into()),
            plot: Some("p".into()),
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn a_bad_line_is_refused() {
        for (line, error) in [
            ("--only small", "usage: "),
            ("a --only", "--only needs a value"),
            ("a --runs x", "invalid digit found in string"),
        ] {
            let found = read(line).unwrap_err().to_string();
            assert!(found.starts_with(error), "{line}: {found}");
        }
    }
}
