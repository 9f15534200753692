//! One small message to one recipient: in clear, under TLS 1.3, with DANE.

use std::path::Path;
use std::sync::Arc;

use openssl::hash::{MessageDigest, hash};
use world::Zones;
use world::certificates::Authority;

use crate::Anything;
use crate::contest::{Contest, Contestant, Costs, Turn};
use crate::process::Job;
use crate::results::Row;
use crate::sink::{Manner, Sink};

const SERVER: &str = "192.0.2.10";
const PLAIN: u16 = 2501;
const SECURE: u16 = 2502;
const HOST: &str = "secure.test";

pub(crate) fn rows(contest: &Contest<'_>) -> Anything<Vec<Row>> {
    let identity = Authority::new("Bench")?.issue(&["mx.secure.test"])?;
    let acceptor = Some(Arc::new(identity.acceptor()?));
    let manner = Manner { extensions: &["PIPELINING"], acceptor, holds: None };
    let _plain =
        Sink::start(format!("{SERVER}:{PLAIN}").parse()?, Manner { acceptor: None, ..manner.clone() })?;
    let _secure = Sink::start(format!("{SERVER}:{SECURE}").parse()?, manner.clone())?;
    let _exchanger = Sink::start(format!("{SERVER}:25").parse()?, manner)?;
    let message = contest.message(1000);
    let empty = || Turn::new(Job::bare(Path::new("/bin/true")), b"");
    let mut rows = Vec::new();
    for (name, port) in [("small, plaintext", PLAIN), ("small, TLS 1.3", SECURE)] {
        let deliveries = contest.contestants.iter().map(|contestant| {
            Turn::delivers(contestant.delivery("example.test", 1, &message)).by(contestant, SERVER, port)
        });
        let turns: Vec<_> = [empty()].into_iter().chain(deliveries).collect();
        rows.extend(both(name, &contest.contestants, &contest.take_turns(&turns, 60)?)?);
    }
    let key = hash(MessageDigest::sha256(), &identity.certificate.public_key()?.public_key_to_der()?)?;
    let key: String = key.iter().map(|octet| format!("{octet:02x}")).collect();
    let zone = format!("@ MX 10 mx\nmx A {SERVER}\n_25._tcp.mx TLSA 3 1 1 {key}\n");
    let _dns = contest.world.dns(&Zones::new().signed(HOST, &zone));
    contest.world.control("smtproutes", "");
    let resolving: Vec<_> = contest.contestants.iter().filter(|one| one.resolves).cloned().collect();
    let deliveries =
        resolving.iter().map(|contestant| Turn::delivers(contestant.delivery(HOST, 1, &message)));
    let turns: Vec<_> = [empty()].into_iter().chain(deliveries).collect();
    rows.extend(both("small, TLS 1.3, DANE", &resolving, &contest.take_turns(&turns, 60)?)?);
    Ok(rows)
}

/// Wall and processor time beside those of an empty process, which came first.
fn both(name: &str, contestants: &[Contestant], costs: &[Costs]) -> Anything<[Row; 2]> {
    let mut wall = Row::new(format!("{name}: wall"), "ms");
    let mut cpu = Row::new(format!("{name}: processor"), "ms");
    let names = ["an empty process"].into_iter().chain(contestants.iter().map(|one| one.name.as_str()));
    for (who, costs) in names.zip(costs) {
        wall.add(who, costs.wall()?);
        cpu.add(who, costs.cpu()?);
    }
    Ok([wall, cpu])
}
