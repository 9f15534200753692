//! Routes of many lines, as text and as an index, beside a loop that reads lines.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use crate::Anything;
use crate::contest::{Contest, Turn};
use crate::floors::LINES;
use crate::process::Job;
use crate::results::Row;
use crate::sink::{Manner, Sink};

const SERVER: &str = "192.0.2.10";
const PORT: u16 = 2521;

pub(crate) fn rows(contest: &Contest<'_>) -> Anything<Vec<Row>> {
    let _sink = Sink::start(format!("{SERVER}:{PORT}").parse()?, Manner::default())?;
    let message = contest.message(1000);
    let own = contest.world.scratch().join("bench");
    std::fs::copy(std::env::current_exe()?, &own)?;
    let file = contest.world.control_directory().join("smtproutes");
    let mut rows = Vec::new();
    for lines in [0, 100_000, 1_000_000] {
        contest.world.control("smtproutes", text(lines)?);
        for indexed in [false, true] {
            let how = if indexed { "index" } else { "text" };
            // Only the subject's own tool writes one, and only the subject is asked.
            if indexed && !write_index(contest)? {
                continue;
            }
            let subjects = if indexed { 1 } else { contest.contestants.len() };
            let deliveries = contest.contestants.iter().take(subjects);
            let deliveries =
                deliveries.map(|contestant| Turn::delivers(contestant.delivery("example.test", 1, &message)));
            let bare = Job::bare(&own).arguments(["floor", LINES, &file.display().to_string()]);
            let turns: Vec<_> = [Turn::new(bare, b"")].into_iter().chain(deliveries).collect();
            let costs = contest.take_turns(&turns, 15)?;
            let mut row = Row::new(format!("{lines} routes, {how}"), "ms");
            let names = ["a loop over the lines"].into_iter();
            for (who, costs) in
                names.chain(contest.contestants.iter().map(|one| one.name.as_str())).zip(&costs)
            {
                row.add(who, costs.wall()?);
            }
            rows.push(row);
        }
        let _ = std::fs::remove_file(contest.world.control_directory().join("smtproutes.cdb"));
    }
    contest.world.control("smtproutes", "");
    Ok(rows)
}

/// Routes of other hosts, and the one for everything, in both dialects at once: an address with a port of its own.
fn text(lines: usize) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for number in 0..lines {
        writeln!(text, "host{number}.example{}.test:relay{number}.test", number % 1000)?;
    }
    writeln!(text, ":{SERVER}:{PORT}")?;
    Ok(text)
}

/// False: nobody was named who can write one.
fn write_index(contest: &Contest<'_>) -> Anything<bool> {
    let Some(checker) = &contest.checker else { return Ok(false) };
    let status = Command::new(checker).args(["cdb", "smtproutes"]).stdout(Stdio::null()).status()?;
    if status.success() { Ok(true) } else { Err("the index could not be written".into()) }
}
