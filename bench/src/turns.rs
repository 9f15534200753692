//! Round trips over a slow link: the time of a delivery in units of the link's round trip.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use world::certificates::Authority;

use crate::Anything;
use crate::contest::{Contest, Turn};
use crate::link;
use crate::results::Row;
use crate::sink::{Manner, Sink};
use crate::statistics::{Spread, milliseconds};

const ROUND_TRIP: Duration = Duration::from_millis(50);

/// A kind of server.
struct Kind {
    name: &'static str,
    extensions: &'static [&'static str],
    tls: bool,
    /// The fewest round trips that this allows a delivery to so many recipients: the connection, the greeting, EHLO, TLS
    /// with an EHLO of its own, and then each command, or each flight.
    least: fn(usize) -> usize,
}

const KINDS: [Kind; 4] = [
    Kind { name: "lock-step", extensions: &[], tls: false, least: |recipients| 6 + recipients },
    Kind { name: "PIPELINING", extensions: &["PIPELINING"], tls: false, least: |_| 5 },
    Kind { name: "and CHUNKING", extensions: &["PIPELINING", "CHUNKING"], tls: false, least: |_| 4 },
    Kind { name: "and TLS 1.3", extensions: &["PIPELINING", "CHUNKING"], tls: true, least: |_| 7 },
];

pub(crate) fn rows(contest: &Contest<'_>) -> Anything<Vec<Row>> {
    link::start(ROUND_TRIP)?;
    let acceptor = Arc::new(Authority::new("Bench")?.issue(&["sink.test"])?.acceptor()?);
    let message = contest.message(1000);
    let mut rows = Vec::new();
    for (Kind { name, extensions, tls, least }, port) in KINDS.into_iter().zip(2531u16..) {
        let acceptor = tls.then(|| acceptor.clone());
        let _sink =
            Sink::start(SocketAddr::from((link::OWN, port)), Manner { extensions, acceptor, holds: None })?;
        for recipients in [1, 50, 1000] {
            // A thousand recipients in lock-step take a minute, and show nothing new: neither such servers nor such clients.
            let contestants = match (recipients, contest.contestants.as_slice()) {
                (1000, _) if extensions.is_empty() => continue,
                (1000, [subject, ..]) => std::slice::from_ref(subject),
                (_, all) => all,
            };
            let turns: Vec<_> = contestants
                .iter()
                .map(|contestant| {
                    let job = contestant.delivery("example.test", recipients, &message);
                    Turn::delivers(job).by(contestant, link::PEER, port)
                })
                .collect();
            let costs = contest.take_turns(&turns, 3)?;
            let mut row = Row::new(format!("{recipients} recipients, {name}"), "round trips");
            let least = least(recipients) as f64;
            row.add("arithmetic", Spread { least, median: least, most: least });
            for (contestant, costs) in contestants.iter().zip(&costs) {
                row.add(&contestant.name, costs.wall()?.map(|wall| wall / milliseconds(ROUND_TRIP)));
            }
            rows.push(row);
        }
    }
    Ok(rows)
}
