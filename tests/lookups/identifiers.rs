//! By what an answer is known: the id of the question and the port that it came from, which nobody can foresee.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use world::dns_script::{Asked, DnsScript, truly};
use world::dns_stub::Zone;
use world::smtp_sink::{Options, SmtpSink};
use world::{Delivery, Identity, in_world};

const ZONE: &str = "insecure example.test MX 10 mx1.example.test\n\
    insecure example.test MX 20 mx2.example.test\n\
    insecure example.test MX 30 mx3.example.test\n\
    insecure example.test MX 40 mx4.example.test\n\
    mx1.example.test A 192.0.2.10\n\
    mx2.example.test A 192.0.2.11\n\
    mx3.example.test A 192.0.2.12\n\
    mx4.example.test A 192.0.2.13\n";

const DELIVERIES: usize = 8;
/// MX, and both kinds of address of four exchangers.
const QUESTIONS: usize = 9;
/// How many values may be there already when they come.
const REPEATED: usize = 5;

const IDS: RangeInclusive<u16> = 0..=u16::MAX;
/// All but those that only a privileged process may have.
const PORTS: RangeInclusive<u16> = 1024..=u16::MAX;

/// What came with a question: its id, and the port that it came from.
type Seen = Arc<Mutex<Vec<(String, u16, u16)>>>;

/// Of 72 values, by chance out of 64512 or more, six or more have been there before less than once in 10^11 times: at most
/// (0 + 1 + ... + 71)^6 / 64512^6 / 6!. So it is with the steps from each to the next, which are as independent of each other
/// as the values are. Where all are the same, or are counted up or down, be it in each process anew or over all of them, more
/// than 40 values or steps have been there before. That all of 72 lie below 32768, or none, comes about once in 10^21 times.
/// With ids and ports, values and steps, this test fails by accident less than once in 10^10 times.
fn assert_unforeseeable(what: &str, range: &RangeInclusive<u16>, values: &[u16]) {
    assert_eq!(values.len(), DELIVERIES * QUESTIONS);
    assert!(values.iter().all(|value| range.contains(value)), "{what}: {values:?}");
    let count = u32::from(range.end() - range.start()) + 1;
    let places: Vec<_> = values.iter().map(|value| u32::from(value - range.start())).collect();
    let steps: Vec<_> = places.windows(2).map(|pair| (count + pair[1] - pair[0]) % count).collect();
    for (name, numbers) in [("values", &places), ("steps", &steps)] {
        let different: BTreeSet<_> = numbers.iter().collect();
        assert!(numbers.len() - different.len() <= REPEATED, "{name} of the {what}: {numbers:?}");
    }
    let low = values.iter().filter(|value| **value < 1 << 15).count();
    assert!((1..values.len()).contains(&low), "half of the {what}: {values:?}");
}

#[test]
fn ids_and_source_ports_of_questions_cannot_be_foreseen() {
    in_world(|world| {
        world.control("me", "client.example.test\n");
        let dns = DnsScript::start(Zone::parse(ZONE).expect("zone")).expect("name server");
        let address = "192.0.2.10:25".parse().expect("address");
        let _server = SmtpSink::start(&[address], Options::named("mx.test")).expect("server");
        let (mut ids, mut ports, mut earlier) = (Vec::new(), Vec::new(), BTreeSet::new());
        for _ in 0..DELIVERIES {
            let seen = Seen::default();
            let (shared, late) = (seen.clone(), earlier.clone());
            dns.play(move |asked: Asked<'_>| {
                let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let id = u16::from_be_bytes([asked.query[0], asked.query[1]]);
                // On a busy machine a question is sent again with its id, and from another port, and may be read only when the
                // next delivery has begun.
                let is_late = late.contains(&(asked.question.to_owned(), id));
                if !is_late && seen.iter().all(|(question, ..)| question != asked.question) {
                    seen.push((asked.question.to_owned(), id, asked.peer.port()));
                }
                truly(asked)
            });
            let delivery = Delivery::new(env!("CARGO_BIN_EXE_qmail-remote")).identity(Identity::Qmailr);
            let left =
                delivery.host("example.test").sender("a@sender.test").recipient("bob@example.test").run();
            left.assert_reports(&[
                "r",
                "K192.0.2.10 accepted message.\nRemote host said: 250 2.0.0 accepted\n",
            ]);
            for (question, id, port) in seen.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                earlier.insert((question, id));
                ids.push(id);
                ports.push(port);
            }
        }
        assert_unforeseeable("ids", &IDS, &ids);
        assert_unforeseeable("ports", &PORTS, &ports);
    });
}
