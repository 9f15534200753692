//! Many deliveries at a time, all waiting for their servers: the memory of each.

use std::fs;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use world::certificates::Authority;

use crate::Anything;
use crate::contest::Contest;
use crate::results::Row;
use crate::sink::{Gate, Manner, Sink};
use crate::statistics::Spread;

const SERVER: &str = "192.0.2.10";

pub(crate) fn rows(contest: &Contest<'_>) -> Anything<Vec<Row>> {
    let acceptor = Arc::new(Authority::new("Bench")?.issue(&["sink.test"])?.acceptor()?);
    let mut ports = 2541u16..;
    let mut rows = Vec::new();
    for (name, acceptor) in [("plaintext", None), ("TLS 1.3", Some(acceptor))] {
        for count in [200, 1000] {
            let mut row = Row::new(format!("{count} held, {name}: memory of each"), "KiB");
            for contestant in &contest.contestants {
                let port = ports.next().ok_or("no port left")?;
                let memory = held(contest, contestant, count, port, acceptor.clone())?;
                row.add(&contestant.name, Spread { least: memory, median: memory, most: memory });
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

fn held(
    contest: &Contest<'_>,
    contestant: &crate::contest::Contestant,
    count: usize,
    port: u16,
    acceptor: Option<Arc<openssl::ssl::SslAcceptor>>,
) -> Anything<f64> {
    let gate = Arc::new(Gate::default());
    let manner = Manner { extensions: &["PIPELINING"], acceptor, holds: Some(gate.clone()) };
    let _sink = Sink::start(format!("{SERVER}:{port}").parse()?, manner)?;
    contest.set_route(contestant, SERVER, port);
    let job = contestant.delivery("example.test", 1, &contest.message(1000));
    let mut deliveries: Vec<Child> = Vec::new();
    for _ in 0..count {
        deliveries.push(job.command()?.spawn()?);
    }
    let start = Instant::now();
    while gate.waiting.load(Ordering::SeqCst) < count {
        if start.elapsed() > Duration::from_secs(120) {
            return Err(
                format!("{} of {count} came to the envelope", gate.waiting.load(Ordering::SeqCst)).into()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut kibibytes = 0;
    for delivery in &deliveries {
        let monitor = delivery.id();
        kibibytes += proportional(monitor)?;
        let children = fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children"))?;
        for child in children.split_whitespace() {
            kibibytes += proportional(child.parse()?)?;
        }
    }
    gate.open();
    for delivery in deliveries {
        let output = delivery.wait_with_output()?;
        if !output.stdout.starts_with(b"r\0K") {
            return Err(format!("unexpected result: {}", output.stdout.escape_ascii()).into());
        }
    }
    Ok(f64::from(kibibytes) / f64::from(u32::try_from(count)?))
}

/// The proportional set size of a process: what is shared counts in parts.
fn proportional(process: u32) -> Anything<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    Ok(kibibytes(&text).ok_or("no Pss")?)
}

/// The size in the text of `smaps_rollup`.
fn kibibytes(text: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proportional_size_is_read() {
        let text =
            "0-1 ---p 00000000 00:00 0 [rollup]\nRss:    1204 kB\nPss:     613 kB\nPss_Dirty:   80 kB\n";
        assert_eq!(kibibytes(text), Some(613));
        assert_eq!(kibibytes("Rss:    1204 kB\nPss_Dirty:   80 kB\n"), None);
    }
}
