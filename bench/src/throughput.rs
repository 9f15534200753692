//! 64 MiB in clear and under TLS, beside bare copies into the same server.

use std::sync::Arc;

use world::certificates::Authority;

use crate::Anything;
use crate::contest::{Contest, Turn};
use crate::floors::{COPY, COPY_TLS};
use crate::process::Job;
use crate::results::Row;
use crate::sink::{Manner, Sink};

const OCTETS: usize = 64 * 1024 * 1024;
const SERVER: &str = "192.0.2.10";

pub(crate) fn rows(contest: &Contest<'_>) -> Anything<Vec<Row>> {
    let acceptor = Arc::new(Authority::new("Bench")?.issue(&["sink.test"])?.acceptor()?);
    let message = contest.message(OCTETS);
    let own = contest.world.scratch().join("bench");
    std::fs::copy(std::env::current_exe()?, &own)?;
    let mut rows = Vec::new();
    for (name, floor, floor_name, port, acceptor) in [
        ("64 MiB, plaintext", COPY, "a bare copy, 16 KiB at a time", 2511, None),
        ("64 MiB, TLS 1.3", COPY_TLS, "bare SSL_write, 16 KiB at a time", 2512, Some(acceptor)),
    ] {
        let address = format!("{SERVER}:{port}");
        let manner = Manner { extensions: &["PIPELINING", "SIZE"], acceptor, holds: None };
        let sink = Sink::start(address.parse()?, manner)?;
        let bare = Job::bare(&own).arguments(["floor", floor, &address, &OCTETS.to_string()]);
        let deliveries = contest.contestants.iter().map(|contestant| {
            Turn::delivers(contestant.delivery("example.test", 1, &message)).by(contestant, SERVER, port)
        });
        let turns: Vec<_> = [Turn::new(bare, b"")].into_iter().chain(deliveries).collect();
        let costs = contest.take_turns(&turns, 15)?;
        let whole = u64::try_from(OCTETS * (contest.runs(15) + 1) * turns.len())?;
        if sink.octets() < whole / 100 * 99 {
            return Err(format!("{} octets arrived instead of {whole}", sink.octets()).into());
        }
        let mut row = Row::new(name, "MB/s");
        let names = [floor_name].into_iter().chain(contest.contestants.iter().map(|one| one.name.as_str()));
        for (who, costs) in names.zip(&costs) {
            row.add(who, costs.wall()?.map(|wall| OCTETS as f64 / 1000.0 / wall));
        }
        rows.push(row);
    }
    Ok(rows)
}
