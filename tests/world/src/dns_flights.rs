//! A name server that counts round trips: it answers nothing before all questions of a flight have come, so that a client
//! which could have asked them together and asks one after the other gets no answer at all. No clock is read.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::op::Message;

use crate::dns_stub::{ADDRESS, Limit, Zone};

/// How often the waiting thread looks whether it is to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// The running server; ends when dropped.
#[derive(Debug)]
pub struct DnsFlights {
    over: Arc<AtomicBool>,
    left: Arc<Mutex<Left>>,
    thread: Option<JoinHandle<()>>,
}

/// What has not come yet, and what should not have come.
#[derive(Debug, Default)]
struct Left {
    flights: VecDeque<Vec<String>>,
    unexpected: Vec<String>,
}

impl DnsFlights {
    /// Binds [`ADDRESS`] and answers from `zone`, when these flights of questions come in this order: each such as
    /// `example.test MX`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(zone: Zone, flights: &[&[&str]]) -> io::Result<DnsFlights> {
        let socket = UdpSocket::bind(ADDRESS)?;
        socket.set_read_timeout(Some(GLANCE))?;
        let flights =
            flights.iter().map(|flight| flight.iter().map(|question| (*question).to_owned()).collect());
        let left = Arc::new(Mutex::new(Left { flights: flights.collect(), unexpected: Vec::new() }));
        let over = Arc::new(AtomicBool::new(false));
        let (shared, is_over) = (left.clone(), over.clone());
        let thread = std::thread::spawn(move || serve(&zone, &socket, &shared, &is_over));
        Ok(DnsFlights { over, left, thread: Some(thread) })
    }

    /// Stops the test unless all flights have come, and no question that is in none.
    #[track_caller]
    pub fn assert_all_came(&self) {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(left.flights.is_empty() && left.unexpected.is_empty(), "{left:?}");
    }
}

impl Drop for DnsFlights {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(zone: &Zone, socket: &UdpSocket, left: &Mutex<Left>, over: &AtomicBool) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let mut held: Vec<(String, SocketAddr, Vec<u8>)> = Vec::new();
    let mut answered: Vec<String> = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let Ok((size, peer)) = socket.recv_from(&mut buffer) else { continue };
        let query = buffer.get(..size).unwrap_or_default().to_vec();
        let Some(question) = question(&query) else { continue };
        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.contains(&question) || held.iter().any(|(other, ..)| *other == question) {
            // Asked again because no answer came in time.
            continue;
        }
        if !left.flights.front().is_some_and(|flight| flight.contains(&question)) {
            left.unexpected.push(question);
            continue;
        }
        held.push((question, peer, query));
        if left.flights.front().is_some_and(|flight| flight.len() == held.len()) {
            left.flights.pop_front();
            for (question, peer, query) in held.drain(..) {
                if let Some(reply) = zone.reply(&query, Limit::Datagram) {
                    let _ = socket.send_to(&reply, peer);
                }
                answered.push(question);
            }
        }
    }
}

/// What is asked, as `mx1.example.test A`.
pub(crate) fn question(query: &[u8]) -> Option<String> {
    let query = Message::from_vec(query).ok()?;
    let [question] = query.queries.as_slice() else { return None };
    let name = question.name().to_ascii().to_ascii_lowercase();
    Some(format!("{} {}", name.trim_end_matches('.'), question.query_type()))
}
