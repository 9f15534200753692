//! A small name server on 127.0.0.1:53, UDP and TCP, for tests and the demonstration.
//!
//! It answers like a validating resolver: recursion available, chains of aliases in one answer, AD set
//! for what its zone does not call `insecure` when the question had AD or DO. It never validates
//! anything. Zone lines, one fact each:
//!
//! ```text
//! example.test MX 10 mx1.example.test        any type with RFC 1035's text for its data
//! mx1.example.test TLSA \# 2 0301           one octet or more as they are (RFC 3597 section 5)
//! example.test MX 10 mail\032server.test      a blank in a label, also of a record's name; no other escape is known
//! insecure mx1.example.test A 192.0.2.10     answered without AD
//! gone.test NXDOMAIN                         the default for names that nothing is said about
//! soft.test SERVFAIL                         so too REFUSED, NODATA, SILENCE, and RCODE12 for any code up to 15
//! mx1.example.test AAAA SERVFAIL             the same for one type only
//! ```
//!
//! Bad input is dropped: a datagram that does not parse gets no answer.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{MX, NULL, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// The one address it listens on.
pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

const TIME_TO_LIVE: u32 = 300;
/// How often a waiting thread looks whether it is to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// A blank within a label.
const BLANK: &str = "\\032";
/// Longer chains of aliases are a loop.
const CHAIN: usize = 16;

/// What a zone says about a name, or about one type of a name.
#[derive(Debug, Clone, PartialEq)]
enum Fact {
    Data(RData),
    Code(ResponseCode),
    NoData,
    Silence,
}

#[derive(Debug, Clone)]
struct Entry {
    name: Name,
    /// `None`: all types.
    kind: Option<RecordType>,
    fact: Fact,
    secure: bool,
}

/// A zone line that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zone line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for ZoneError {}

/// All that the server knows.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    entries: Vec<Entry>,
}

/// An answer before it is a message.
#[derive(Debug, PartialEq)]
struct Answer {
    code: ResponseCode,
    records: Vec<Record>,
    secure: bool,
}

impl Zone {
    /// Reads zone lines; empty lines and lines that begin with `#` say nothing.
    ///
    /// # Errors
    /// The first line that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        let mut entries = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if !text.is_empty() && !text.starts_with('#') {
                entries.push(Entry::parse(text).map_err(|what| ZoneError { line, what })?);
            }
        }
        Ok(Self { entries })
    }

    /// The same zone with nothing secure in it: no answer has AD.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        for entry in &mut self.entries {
            entry.secure = false;
        }
        self
    }

    /// `None` stands for silence.
    fn answer(&self, name: &Name, kind: RecordType) -> Option<Answer> {
        let mut answer = Answer { code: ResponseCode::NoError, records: Vec::new(), secure: true };
        let mut name = name.clone();
        for _ in 0..CHAIN {
            let known: Vec<_> = self.entries.iter().filter(|entry| entry.name == name).collect();
            let about = |wanted: RecordType| {
                let mut found =
                    known.iter().filter(move |entry| entry.kind.is_none_or(|kind| kind == wanted)).peekable();
                found.peek().is_some().then_some(found)
            };
            let exists = !known.is_empty() || self.entries.iter().any(|entry| name.zone_of(&entry.name));
            let alias = |wanted| (wanted != RecordType::CNAME).then(|| about(RecordType::CNAME)).flatten();
            let Some(found) = about(kind).or_else(|| alias(kind)) else {
                if !exists {
                    answer.code = ResponseCode::NXDomain;
                }
                answer.secure &= known.iter().all(|entry| entry.secure);
                return Some(answer);
            };
            let mut target = None;
            for entry in found {
                answer.secure &= entry.secure;
                match &entry.fact {
                    Fact::Silence => return None,
                    Fact::NoData => {}
                    Fact::Code(code) => answer.code = *code,
                    Fact::Data(data) => {
                        if let (RData::CNAME(alias), true) = (data, kind != RecordType::CNAME) {
                            let mut alias = alias.0.clone();
                            // Names in data are absolute whether or not the line ends them in a dot.
                            alias.set_fqdn(true);
                            target = Some(alias);
                        }
                        answer.records.push(Record::from_rdata(name.clone(), TIME_TO_LIVE, data.clone()));
                    }
                }
            }
            match target {
                Some(target) => name = target,
                None => return Some(answer),
            }
        }
        Some(Answer { code: ResponseCode::ServFail, records: Vec::new(), secure: false })
    }

    /// The reply to a query as it came, encoded; `None` for silence.
    pub(crate) fn reply(&self, query: &[u8], limit: Limit) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        if query.metadata.message_type != MessageType::Query {
            return None;
        }
        let [question] = query.queries.as_slice() else { return None };
        let answer = self.answer(question.name(), question.query_type())?;

        let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
        reply.metadata.recursion_desired = query.metadata.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.metadata.checking_disabled = query.metadata.checking_disabled;
        reply.metadata.response_code = answer.code;
        let dnssec_ok = query.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        let asked = query.metadata.authentic_data || dnssec_ok;
        let failed = !matches!(answer.code, ResponseCode::NoError | ResponseCode::NXDomain);
        // A resolver that fails half-way along a chain of aliases keeps the first half to itself.
        let records = if failed { Vec::new() } else { answer.records };
        reply.metadata.authentic_data = asked && answer.secure && !failed;
        reply.add_query(question.clone());
        let negative = !failed && !records.iter().any(|record| record.record_type() == question.query_type());
        if negative {
            reply.add_authority(start_of_authority(question.name()));
        }
        reply.add_answers(records);
        if query.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(1232).set_version(0).set_dnssec_ok(dnssec_ok);
            reply.set_edns(edns);
        }

        let encoded = reply.to_vec().ok()?;
        let room = match limit {
            Limit::Datagram => usize::from(query.max_payload().max(512)),
            Limit::Stream => usize::from(u16::MAX),
        };
        if encoded.len() > room { reply.truncate().to_vec().ok() } else { Some(encoded) }
    }
}

/// What a negative answer carries, for the caches: the zone is the name's last label.
fn start_of_authority(name: &Name) -> Record {
    let zone = name.trim_to(1);
    let data = SOA::new(zone.clone(), zone.clone(), 1, 3600, 600, 86400, 5);
    Record::from_rdata(zone, TIME_TO_LIVE, RData::SOA(data))
}

/// What carries a reply, and so bounds it.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    Datagram,
    Stream,
}

impl Entry {
    /// `[insecure] NAME TYPE DATA`, `[insecure] NAME [TYPE] WORD`
    fn parse(text: &str) -> Result<Self, String> {
        let (secure, text) = match text.strip_prefix("insecure ") {
            Some(rest) => (false, rest.trim_start()),
            None => (true, text),
        };
        let split = |text: &'_ str| match text.split_once(char::is_whitespace) {
            Some((first, rest)) => (first.to_owned(), rest.trim_start().to_owned()),
            None => (text.to_owned(), String::new()),
        };
        let (name, rest) = split(text);
        let is_odd = name.contains(BLANK) || name.starts_with('-');
        let parsed = if is_odd { of_labels(&name) } else { Name::from_ascii(&name) };
        let mut name = parsed.map_err(|error| format!("name `{name}`: {error}"))?.to_lowercase();
        name.set_fqdn(true);
        if let Some(fact) = Fact::word(&rest) {
            return Ok(Self { name, kind: None, fact, secure });
        }
        let (kind, data) = split(&rest);
        let kind: RecordType = kind.parse().map_err(|_| format!("`{kind}` is not a record type"))?;
        let fact = match Fact::word(&data) {
            Some(fact) => fact,
            None => Fact::Data(
                record_data(kind, &data).map_err(|error| format!("{kind} data `{data}`: {error}"))?,
            ),
        };
        Ok(Self { name, kind: Some(kind), fact, secure })
    }
}

/// A name that the library's parser, which takes host names alone, does not take.
fn of_labels(name: &str) -> Result<Name, ProtoError> {
    let labels = name.split_terminator('.').map(|label| label.replace(BLANK, " ").into_bytes());
    let labels: Vec<_> = labels.collect();
    Name::from_labels(labels.iter().map(Vec::as_slice))
}

fn record_data(kind: RecordType, data: &str) -> Result<RData, String> {
    if let Some(octets) = data.strip_prefix("\\# ") {
        let (length, digits) = octets.split_once(' ').unwrap_or((octets, ""));
        let octets: Result<Vec<u8>, _> = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16))
            .collect();
        let octets = octets.map_err(|error| error.to_string())?;
        if octets.is_empty() || length.parse() != Ok(octets.len()) {
            return Err(format!("these are {} octets", octets.len()));
        }
        return Ok(RData::Unknown { code: kind, rdata: NULL::with(octets) });
    }
    match data.split_once(' ') {
        Some((preference, name)) if kind == RecordType::MX && name.contains(BLANK) => {
            let preference = preference.parse().map_err(|_| format!("no preference: `{preference}`"))?;
            let name = of_labels(name).map_err(|error| error.to_string())?;
            Ok(RData::MX(MX::new(preference, name)))
        }
        _ => RData::try_from_str(kind, data).map_err(|error| error.to_string()),
    }
}

impl Fact {
    fn word(text: &str) -> Option<Self> {
        Some(match text {
            "NXDOMAIN" => Self::Code(ResponseCode::NXDomain),
            "SERVFAIL" => Self::Code(ResponseCode::ServFail),
            "REFUSED" => Self::Code(ResponseCode::Refused),
            "NODATA" => Self::NoData,
            "SILENCE" => Self::Silence,
            _ => return text.strip_prefix("RCODE")?.parse().ok().filter(|code| *code < 16).map(Self::code),
        })
    }

    fn code(low: u8) -> Self {
        Self::Code(ResponseCode::from(0, low))
    }
}

/// A running name server; it stops when dropped.
pub struct DnsStub {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl DnsStub {
    /// Binds [`ADDRESS`] and answers from `zone` from now on.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(zone: Zone) -> io::Result<Self> {
        Self::start_at(zone, ADDRESS)
    }

    /// Like [`start`](Self::start), on another address.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start_at(zone: Zone, address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(GLANCE))?;
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let zone = Arc::new(zone);
        let over = Arc::new(AtomicBool::new(false));
        let (zone_too, over_too, over_three) = (zone.clone(), over.clone(), over.clone());
        let threads = vec![
            std::thread::spawn(move || serve_datagrams(&zone, &socket, &over_too)),
            std::thread::spawn(move || serve_streams(&zone_too, &listener, &over_three)),
        ];
        Ok(Self { over, threads })
    }
}

impl Drop for DnsStub {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_datagrams(zone: &Zone, socket: &UdpSocket, over: &AtomicBool) {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    while !over.load(Ordering::SeqCst) {
        // Time-outs are the rule; an ICMP error about an earlier answer is nothing to us.
        let Ok((size, peer)) = socket.recv_from(&mut buffer) else { continue };
        let query = buffer.get(..size).unwrap_or_default();
        if let Some(reply) = zone.reply(query, Limit::Datagram) {
            let _ = socket.send_to(&reply, peer);
        }
    }
}

fn serve_streams(zone: &Arc<Zone>, listener: &TcpListener, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                let zone = zone.clone();
                // Ends by itself, by its read time-out at the latest.
                std::thread::spawn(move || serve_stream(&zone, stream));
            }
            Err(_) => std::thread::sleep(GLANCE),
        }
    }
}

fn serve_stream(zone: &Zone, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    loop {
        let mut size = [0; 2];
        stream.read_exact(&mut size)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(size))];
        stream.read_exact(&mut query)?;
        if let Some(reply) = zone.reply(&query, Limit::Stream) {
            let size = u16::try_from(reply.len()).map_err(io::Error::other)?;
            stream.write_all(&[&size.to_be_bytes(), reply.as_slice()].concat())?;
        }
    }
}

impl fmt::Debug for DnsStub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsStub").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::{OpCode, Query};

    const ZONE: &str = "example.test MX 10 mx1.example.test\n\
        mx1.example.test A 192.0.2.10\nmx1.example.test AAAA SERVFAIL\n\
        alias.test CNAME other.test\ninsecure other.test A 192.0.2.11\n\
        loop.test CNAME loop.test\nsoft.test SERVFAIL\nodd.test RCODE12\nquiet.test SILENCE\nnull.test MX 0 .\n";

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> Option<(ResponseCode, usize, bool)> {
        let answer = zone.answer(&Name::from_ascii(name).unwrap(), kind)?;
        Some((answer.code, answer.records.len(), answer.secure))
    }

    #[test]
    fn answers_follow_the_zone() {
        let zone = Zone::parse(ZONE).unwrap();
        for (name, kind, expected) in [
            ("Example.Test.", RecordType::MX, Some((ResponseCode::NoError, 1, true))),
            ("example.test.", RecordType::A, Some((ResponseCode::NoError, 0, true))),
            ("mx1.example.test.", RecordType::A, Some((ResponseCode::NoError, 1, true))),
            ("mx1.example.test.", RecordType::AAAA, Some((ResponseCode::ServFail, 0, true))),
            ("alias.test.", RecordType::A, Some((ResponseCode::NoError, 2, false))),
            ("alias.test.", RecordType::CNAME, Some((ResponseCode::NoError, 1, true))),
            ("alias.test.", RecordType::MX, Some((ResponseCode::NoError, 1, false))),
            ("loop.test.", RecordType::A, Some((ResponseCode::ServFail, 0, false))),
            ("soft.test.", RecordType::MX, Some((ResponseCode::ServFail, 0, true))),
            ("odd.test.", RecordType::MX, Some((ResponseCode::Unknown(12), 0, true))),
            ("null.test.", RecordType::MX, Some((ResponseCode::NoError, 1, true))),
            ("nowhere.test.", RecordType::MX, Some((ResponseCode::NXDomain, 0, true))),
            // Exists, because something below it does.
            ("test.", RecordType::MX, Some((ResponseCode::NoError, 0, true))),
            ("quiet.test.", RecordType::MX, None),
        ] {
            assert_eq!(ask(&zone, name, kind), expected, "{name} {kind}");
        }
    }

    fn query(name: &str, authentic_data: bool) -> Vec<u8> {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.metadata.authentic_data = authentic_data;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        message.to_vec().unwrap()
    }

    #[test]
    fn authentic_data_is_said_when_asked_for() {
        let zone = Zone::parse(ZONE).unwrap();
        let flag = |zone: &Zone, name, asked| {
            let reply = zone.reply(&query(name, asked), Limit::Datagram).unwrap();
            Message::from_vec(&reply).unwrap().metadata.authentic_data
        };
        assert!(flag(&zone, "mx1.example.test.", true));
        assert!(!flag(&zone, "mx1.example.test.", false));
        assert!(!flag(&zone, "other.test.", true));
        assert!(!flag(&zone, "soft.test.", true));
        assert!(!flag(&zone.insecure(), "mx1.example.test.", true));
    }

    #[test]
    fn large_answers_come_whole_by_tcp_only() {
        crate::in_world(|_| {
            let lines: String = (1..100).map(|n| format!("big.test A 192.0.2.{n}\n")).collect();
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5380));
            let _stub = DnsStub::start_at(Zone::parse(&lines).unwrap(), address).unwrap();
            let query = query("big.test.", false);

            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket.send_to(&query, address).unwrap();
            let mut buffer = [0; 2048];
            let (size, _) = socket.recv_from(&mut buffer).unwrap();
            let reply = Message::from_vec(&buffer[..size]).unwrap();
            assert!(reply.metadata.truncation && reply.answers.is_empty());

            let mut stream = TcpStream::connect(address).unwrap();
            stream
                .write_all(&[&u16::try_from(query.len()).unwrap().to_be_bytes(), query.as_slice()].concat())
                .unwrap();
            let mut size = [0; 2];
            stream.read_exact(&mut size).unwrap();
            let mut reply = vec![0; usize::from(u16::from_be_bytes(size))];
            stream.read_exact(&mut reply).unwrap();
            assert_eq!(Message::from_vec(&reply).unwrap().answers.len(), 99);
        });
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(Zone::parse("a.test A 192.0.2.1\nb.test Q x\n").unwrap_err().line, 2);
        assert_eq!(Zone::parse("a.test A here\n").unwrap_err().line, 1);
        assert_eq!(Zone::parse("a.test TLSA \\# 2 03\n").unwrap_err().line, 1);
        assert!(Zone::parse("a.test TLSA \\# 2 0301\n").is_ok());
        assert_eq!(Zone::parse("a.test\n").unwrap_err().line, 1);
    }
}
