//! One row: delivers, explains, and compares the two with each other and with what the row says.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use world::{Delivery, Identity, World};

use crate::explanation::Explanation;
use crate::outcome::{Arrival, ME, Outcome};

/// Host, sender, what a delivery must do, and the lines that decide it.
///
/// Lines are `COLUMNS FILE:LINE`, with `; ` between them; columns are the first words of the explanation's rows, with
/// commas between them. What is not named is decided by no line, but `says` by `me:1`. `credentials given` is written
/// where there are some, and `nothing` where the explanation has a verdict alone.
pub(crate) type Row<'a> = (&'a str, &'a str, Outcome, &'a str);

/// The sender where any will do.
pub(crate) const SENDER: &str = "a@sender.test";

/// A control file: its name and its text.
pub(crate) type File<'a> = (&'a str, &'a str);

/// What a server saw of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Address and port of the server.
    pub(crate) server: String,
    /// The address of the client.
    pub(crate) client: String,
    /// What the client called itself.
    pub(crate) hello: String,
    /// Whether it came through TLS.
    pub(crate) tls: bool,
}

/// All servers that a delivery might reach.
pub(crate) trait Servers {
    /// What arrived since the last call, anywhere, where this is expected.
    fn arrived(&mut self, expected: &Outcome) -> Vec<Seen>;

    /// Whether a server's connections begin with TLS at this port.
    fn is_implicit_tls(&self, port: u16) -> bool;

    /// How the reply to the message begins.
    fn reply(&self) -> &str;

    /// Who starts the deliveries.
    fn client(&self) -> Identity;
}

/// Checks every row with these control files.
pub(crate) fn check(world: &World, servers: &mut impl Servers, files: &[File<'_>], rows: &[Row<'_>]) {
    for row in rows {
        check_row(world, servers, files, row);
    }
}

/// Checks one row, and returns the explanation.
pub(crate) fn check_row(
    world: &World,
    servers: &mut impl Servers,
    files: &[File<'_>],
    row: &Row<'_>,
) -> Explanation {
    let (host, sender, outcome, lines) = row;
    // Printed where a row fails.
    println!("{files:?} {row:?}");
    start_over(world, files);
    let explanation = Explanation::of(host, sender);
    let delivery = Delivery::new(env!("CARGO_BIN_EXE_qmail-remote")).identity(servers.client());
    let left = delivery.host(host).sender(sender).recipient("bob@example.test").run();
    println!("{left:?}");
    let seen = servers.arrived(outcome);
    println!("{explanation:?}\n{seen:?}");

    assert_eq!(decided(&explanation), expected_lines(lines));
    if let Some(line) = explanation.lines.get("route") {
        let is_qmtp = line.starts_with("qmtproutes") || explanation.value("port").starts_with("6209");
        let protocol = if is_qmtp { "QMTP" } else { "SMTP" };
        assert!(explanation.value("route").ends_with(&format!(", by {protocol}")));
    }
    let verdict = explanation.value("verdict");
    match outcome {
        Outcome::Arrives(arrival) => {
            let [seen] = seen.as_slice() else { panic!("{} messages, {left:?}", seen.len()) };
            assert_seen(seen, arrival);
            assert_explained(&explanation, arrival, servers);
            let how = match arrival.tls {
                Some(tls) => format!("{tls} transmitted message accepted"),
                None => "accepted message".to_owned(),
            };
            let server: SocketAddr = arrival.server.parse().expect("address and port");
            let auth = match arrival.unauthenticated {
                true => "no supported AUTH method found, continuing without authentication.\n",
                false => "",
            };
            let said = format!("{auth}Remote host said: {}", servers.reply());
            let success = format!("K{} {how}.\n{said}", server.ip());
            let reports = left.reports();
            assert!(reports.len() == 2 && reports[0] == b"r", "{left:?}");
            assert!(reports[1].starts_with(success.as_bytes()), "{left:?}");
            left.assert_reports(&reports);
            assert_eq!((verdict, explanation.well), ("would be tried", true));
        }
        Outcome::Tried(report) | Outcome::Unproved(report) => {
            left.assert_reports(&[report]);
            assert_eq!((verdict, explanation.well), ("would be tried", true));
        }
        Outcome::Foreseen(report) => {
            left.assert_reports(&[report]);
            let said = match report.split_at(1) {
                ("Z", said) => format!("put off: {}", said.trim_end()),
                (_, said) => format!("bounced: {}", said.trim_end()),
            };
            assert_eq!((verdict, explanation.well), (said.as_str(), false));
        }
    }
    if !matches!(outcome, Outcome::Arrives(_)) {
        assert_eq!(seen, []);
    }
    explanation
}

/// Removes all control files and writes these.
fn start_over(world: &World, files: &[File<'_>]) {
    for entry in std::fs::read_dir(world.control_directory()).expect("control directory") {
        std::fs::remove_file(entry.expect("entry").path()).expect("removal");
    }
    world.control("me", format!("{ME}\n"));
    for (name, text) in files {
        world.control(name, text);
    }
}

fn expected_lines(lines: &str) -> BTreeMap<String, String> {
    let mut expected = BTreeMap::new();
    if lines == "nothing" {
        return expected;
    }
    expected.insert("says".to_owned(), "me:1".to_owned());
    for part in lines.split("; ").filter(|part| !part.is_empty()) {
        let (columns, line) = part.split_once(' ').expect("COLUMNS FILE:LINE");
        expected.extend(columns.split(',').map(|column| (column.to_owned(), line.to_owned())));
    }
    expected.retain(|_, line| line != "nothing");
    expected
}

fn decided(explanation: &Explanation) -> BTreeMap<String, String> {
    let mut lines = explanation.lines.clone();
    if explanation.has_credentials() {
        lines.insert("credentials".to_owned(), "given".to_owned());
    }
    lines
}

/// Sources that rows give end in a number that starts with 9; the system takes none of those by itself.
fn assert_seen(seen: &Seen, arrival: &Arrival) {
    let number = seen.client.rsplit(['.', ':']).next().unwrap_or_default();
    assert!(arrival.source.is_some() || !number.starts_with('9'), "from {}", seen.client);
    let expected = Seen {
        server: arrival.server.clone(),
        client: arrival.source.map_or_else(|| seen.client.clone(), str::to_owned),
        hello: arrival.hello.to_owned(),
        tls: arrival.tls.is_some(),
    };
    assert_eq!(*seen, expected);
}

/// The explanation says what the server saw.
fn assert_explained(explanation: &Explanation, arrival: &Arrival, servers: &impl Servers) {
    let server: SocketAddr = arrival.server.parse().expect("address and port");
    let target = explanation.value("connects to").trim_start_matches("[IPv6:").trim_matches(['[', ']']);
    assert!(
        target.parse().map_or(!target.is_empty(), |ip: IpAddr| ip.to_canonical() == server.ip()),
        "{target}"
    );
    let first = if servers.is_implicit_tls(server.port()) { ", TLS from the first byte" } else { "" };
    assert_eq!(explanation.value("port"), format!("{}{first}", server.port()));
    let sources: Vec<_> = explanation.value("from").split(" and ").collect();
    match arrival.source {
        None => assert_eq!(sources, ["any address"]),
        Some(source) => {
            let without_interface = |text: &&str| text.split('%').next() == Some(source);
            assert!(sources.iter().any(without_interface), "{sources:?}");
        }
    }
    assert_eq!(explanation.value("says"), format!("EHLO {}", arrival.hello));
}
