//! How far a delivery comes, and what it has cost until there.

use std::path::Path;

use crate::Anything;
use crate::contest::{Contest, Turn};
use crate::process::Job;
use crate::results::Row;

pub(crate) fn rows(contest: &Contest<'_>) -> Anything<Vec<Row>> {
    let nothing = Path::new("/dev/null");
    let message = contest.message(1000);
    let mut rows = Vec::new();
    let (unreached, port) = ("192.0.2.77", 1);
    for (name, words, begins_with) in [
        ("no arguments: the loader and the first lines", &[][..], &b"D"[..]),
        (
            "no connection: control files, both processes, sandboxes",
            &["example.test", "a@b.test", "c@example.test"],
            b"Z",
        ),
    ] {
        let message = if words.is_empty() { nothing } else { &message };
        let turns: Vec<_> = [Turn::new(Job::bare(Path::new("/bin/true")), b"")]
            .into_iter()
            .chain(contest.contestants.iter().map(|contestant| {
                Turn::new(contestant.with(words, message), begins_with).by(contestant, unreached, port)
            }))
            .collect();
        let costs = contest.take_turns(&turns, 60)?;
        let mut row = Row::new(format!("start, {name}"), "ms");
        let names =
            ["an empty process"].into_iter().chain(contest.contestants.iter().map(|one| one.name.as_str()));
        for (who, costs) in names.zip(&costs) {
            row.add(who, costs.wall()?);
        }
        rows.push(row);
    }
    Ok(rows)
}
