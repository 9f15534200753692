//! The same deliveries to Postfix, Exim and OpenSMTPD, in clear, by STARTTLS and by TLS from the first byte: reports and
//! stored messages to the byte.
//!
//! Postfix and Exim do PIPELINING, CHUNKING and SMTPUTF8, OpenSMTPD none of them. Exim refuses a client that speaks
//! before its turn.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

use std::fs;

use world::{
    Delivery, Exim, Identity, Mailbox, Message, OpenSmtpd, Outcome, Postfix, World, certificates, in_world,
};

const ADDRESS: &str = "192.0.2.10";
const HEADER: &str = "Subject: x\n\n";
/// In an expected report: the name that the server's queue has for the message, which its log must tell, too.
const QUEUE_ID: &str = "QUEUE-ID";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Postfix,
    Exim,
    OpenSmtpd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Clear,
    Starttls,
    Implicit,
}

impl Server {
    /// Starts it, ready for all ways, for messages of so many octets at most.
    fn start(self, world: &World, largest: u64) -> Mailbox {
        let files = certificate(world);
        match self {
            Server::Postfix => {
                let postfix = Postfix::on(ADDRESS).tls(files.certificate, files.key).implicit_tls_on(465);
                world.postfix(postfix.setting("message_size_limit", &largest.to_string()))
            }
            Server::Exim => world.exim(&Exim::on(ADDRESS).tls(files).largest(largest)),
            Server::OpenSmtpd => world.opensmtpd(&OpenSmtpd::on(ADDRESS).largest(largest)),
        }
    }

    /// Its last answer, to a message of so many octets in a chunk, or by DATA.
    fn answer(self, chunk: Option<usize>) -> String {
        match (self, chunk) {
            (Server::Postfix, Some(octets)) => format!("250 2.0.0 Ok: {octets} bytes queued as {QUEUE_ID}"),
            (Server::Postfix, None) => format!("250 2.0.0 Ok: queued as {QUEUE_ID}"),
            // The total counts the empty line that Exim adds where there is no header.
            (Server::Exim, Some(0)) => format!("250- 0 byte chunk, total 2\n250 OK id={QUEUE_ID}"),
            (Server::Exim, Some(octets)) => {
                format!("250- {octets} byte chunk, total {octets}\n250 OK id={QUEUE_ID}")
            }
            (Server::Exim, None) => format!("250 OK id={QUEUE_ID}"),
            (Server::OpenSmtpd, _) => format!("250 2.0.0 {QUEUE_ID} Message accepted for delivery"),
        }
    }

    /// What it says to this recipient, as reported.
    fn recipient_report(self, name: &str) -> String {
        let relaying = format!("554 5.7.1 <{name}>: Relay access denied");
        let other = format!("550 Invalid recipient: <{name}>");
        let (letter, reply) = match name {
            "reject@example.test" => (
                'h',
                self.own([
                    "550 5.1.1 <reject@example.test>: Recipient address rejected: No such mailbox here",
                    "550 5.1.1 No such mailbox here",
                    "550 5.1.1 No such mailbox here",
                ]),
            ),
            "defer@example.test" => (
                's',
                self.own([
                    "451 4.7.1 <defer@example.test>: Recipient address rejected: Come back later",
                    "451 4.7.1 Come back later",
                    "451 4.7.1 Come back later",
                ]),
            ),
            _ if name.ends_with("@example.test") => return "r".to_owned(),
            _ => ('h', self.own([relaying.as_str(), "550 relay not permitted", other.as_str()])),
        };
        format!("{letter}{ADDRESS} does not like recipient.\nRemote host said: {reply}\n")
    }

    fn ways(self) -> &'static [Way] {
        match self {
            Server::Postfix | Server::Exim => &[Way::Clear, Way::Starttls, Way::Implicit],
            // `world::opensmtpd` says why.
            Server::OpenSmtpd => &[Way::Clear],
        }
    }

    /// The one of three that is this server's.
    fn own<T: Copy>(self, [postfix, exim, opensmtpd]: [T; 3]) -> T {
        match self {
            Server::Postfix => postfix,
            Server::Exim => exim,
            Server::OpenSmtpd => opensmtpd,
        }
    }
}

fn certificate(world: &World) -> certificates::Files {
    let certificate = certificates::Identity::self_signed(&["mx1.example.test"]).unwrap();
    certificate.write(&world.scratch(), "mx1").unwrap()
}

impl Way {
    /// The control files for it, and how a report calls it.
    fn configure(self, world: &World) -> &'static str {
        let (route, rule, how) = match self {
            Way::Clear => ("", "!192.0.2.10:\n", "accepted message"),
            Way::Starttls => ("", "192.0.2.10:\n", "TLS transmitted message accepted"),
            Way::Implicit => (";s465", "192.0.2.10:\n", "TLS transmitted message accepted"),
        };
        world.control("me", "client.example.test\n");
        world.control("smtproutes", format!(":{ADDRESS}{route}\n"));
        world.control("tlsdestinations", rule);
        how
    }
}

/// Stops the test unless the reports are these.
#[track_caller]
fn assert_reports(outcome: &Outcome, expected: &[String], server: &Mailbox) {
    let id = expected.concat().split_once(QUEUE_ID).and_then(|(before, after)| {
        let got = String::from_utf8(outcome.reports().concat()).ok()?;
        Some(got.strip_prefix(before)?.strip_suffix(after)?.to_owned())
    });
    let id = id.unwrap_or_default();
    let expected: Vec<String> = expected.iter().map(|report| report.replace(QUEUE_ID, &id)).collect();
    outcome.assert_reports(&expected);
    server.assert_logs(&id);
}

fn deliver(recipients: &[&str], message: Message) -> Outcome {
    let delivery = Delivery::new(env!("CARGO_BIN_EXE_qmail-remote")).identity(Identity::Qmailr);
    let delivery = delivery.host("example.test").sender("alice@sender.test");
    recipients.iter().fold(delivery, Delivery::recipient).message(message).run()
}

/// A message, whether a server that can takes it as a chunk, and what is stored of it.
struct Row {
    what: &'static str,
    message: Message,
    chunk: bool,
    stored: Vec<u8>,
}

fn rows() -> Vec<Row> {
    let row = |what, sent: &[u8], stored: &[u8]| Row {
        what,
        message: Message::bytes(sent),
        chunk: true,
        stored: stored.to_vec(),
    };
    let same = |what, body: &[u8]| {
        let message = [HEADER.as_bytes(), body].concat();
        row(what, &message, &message)
    };
    let large = [HEADER.as_bytes(), &b".0123456789 abcdefghij\n..\n".repeat(120_000)].concat();
    vec![
        same("plain", b"Hello.\n"),
        same("dots", b".\n..\n...\n.x\n\n.\n.\n\n"),
        same("8 bits", "Gr\u{fc}\u{df}e\n".as_bytes()),
        same("8 bits in no code", b"\xff\xfe\x80\n"),
        same("a header alone", b""),
        row("CRLF", b"Subject: x\r\n\r\none\r\n", b"Subject: x\n\none\n"),
        row("bare CR", b"Subject: x\n\none\rtwo\r\rthree\n", b"Subject: x\n\none\ntwo\n\nthree\n"),
        row(
            "smuggled",
            b"Subject: x\n\none\n\r.\r\nMAIL FROM:<eve@sender.test>\n.\rQUIT\n",
            b"Subject: x\n\none\n\n.\nMAIL FROM:<eve@sender.test>\n.\nQUIT\n",
        ),
        Row { chunk: false, ..row("large", &large, &large) },
        Row { chunk: false, message: Message::Pipe(large.clone()), ..row("through a pipe", b"", &large) },
    ]
}

/// The octets on the wire of a message with LF line ends.
fn wire(message: &[u8]) -> usize {
    message.len() + message.iter().filter(|octet| **octet == b'\n').count()
}

fn stores_what_was_sent(server: Server) {
    in_world(|world| {
        let mailbox = server.start(world, 10 << 20);
        for way in server.ways() {
            let how = way.configure(world);
            for row in rows() {
                println!("{way:?}, {}", row.what);
                let answer = server.answer(row.chunk.then(|| wire(&row.stored)));
                let success = format!("K{ADDRESS} {how}.\nRemote host said: {answer}\n");
                let outcome = deliver(&["you@example.test"], row.message);
                assert_reports(&outcome, &["r".to_owned(), success], &mailbox);
                let stored = mailbox.message_body(&mailbox.wait_for_message());
                let first = stored.iter().zip(&row.stored).position(|(one, other)| one != other);
                assert_eq!((first, stored.len()), (None, row.stored.len()));
            }
        }
    });
}

/// An empty message has no header: what each server makes of that is its own affair.
fn takes_an_empty_message(server: Server) {
    in_world(|world| {
        let mailbox = server.start(world, 10 << 20);
        let how = Way::Clear.configure(world);
        let success = format!("K{ADDRESS} {how}.\nRemote host said: {}\n", server.answer(Some(0)));
        assert_reports(
            &deliver(&["you@example.test"], Message::bytes("")),
            &["r".to_owned(), success],
            &mailbox,
        );
        let stored = mailbox.message_body(&mailbox.wait_for_message());
        assert_eq!(stored, server.own([b"".as_slice(), b"\n", b""]));
    });
}

/// All recipients of one message, one of them now and then refused.
fn reports_each_recipient(server: Server) {
    in_world(|world| {
        let mailbox = server.start(world, 10 << 20);
        let how = Way::Clear.configure(world);
        let names: Vec<String> = (0..100)
            .map(|number| match number % 20 {
                3 => "reject@example.test".to_owned(),
                7 => "defer@example.test".to_owned(),
                9 => "you@other.test".to_owned(),
                _ => format!("r{number}@example.test"),
            })
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = format!("{HEADER}Hello.\n");
        let outcome = deliver(&names, Message::bytes(&message));
        let mut expected: Vec<String> = names.iter().map(|name| server.recipient_report(name)).collect();
        let answer = server.answer(Some(wire(message.as_bytes())));
        expected.push(format!("K{ADDRESS} {how}.\nRemote host said: {answer}\n"));
        assert_reports(&outcome, &expected, &mailbox);
        assert_eq!(mailbox.message_body(&mailbox.wait_for_message()), message.as_bytes());
    });
}

/// What makes servers refuse, and the reports of it.
fn reports_refusals(server: Server) {
    in_world(|world| {
        let mailbox = server.start(world, 10_000);
        let small = || Message::bytes(format!("{HEADER}Hello.\n"));
        let large = "0123456789\n".repeat(1000);
        for way in server.ways() {
            way.configure(world);
            for (name, letter) in
                [("reject@example.test", 'D'), ("defer@example.test", 'Z'), ("you@other.test", 'D')]
            {
                let refused = server.recipient_report(name);
                let (_, reply) = refused.split_once('\n').unwrap();
                let giving_up = format!("{letter}Giving up on {ADDRESS}.\n{reply}");
                deliver(&[name], small()).assert_reports(&[refused, giving_up]);
            }
            let [of_size, of_message] = match server {
                Server::Postfix => {
                    ["552 5.3.4 Message size exceeds fixed limit", "552 5.3.4 Error: message file too big"]
                }
                Server::Exim => ["552 Message size exceeds maximum permitted"; 2],
                // It names its limit, and does not look at what it is told.
                Server::OpenSmtpd => {
                    ["", "554 5.3.4 Message too big for system: Transaction failed, message too big"]
                }
            };
            let at_the_end =
                format!("D{ADDRESS} failed after I sent the message.\nRemote host said: {of_message}\n");
            let at_the_end = ["r".to_owned(), at_the_end];
            let outcome = deliver(&["you@example.test"], Message::bytes(&large));
            if of_size.is_empty() {
                outcome.assert_reports(&at_the_end);
            } else {
                let refused = format!(
                    "DConnected to {ADDRESS} but sender was rejected.\nRemote host said: {of_size}\n"
                );
                outcome.assert_reports(&[refused]);
            }
            let outcome = deliver(&["you@example.test"], Message::Pipe(large.clone().into_bytes()));
            outcome.assert_reports(&at_the_end);
        }
        assert!(mailbox.messages().is_empty());
    });
}

/// An address in other letters.
fn takes_other_letters(server: Server) {
    in_world(|world| {
        let mailbox = server.start(world, 10 << 20);
        let how = Way::Clear.configure(world);
        let message = format!("{HEADER}Hello.\n");
        let outcome = deliver(&["j\u{fc}rgen@example.test"], Message::bytes(&message));
        if server == Server::OpenSmtpd {
            let refused = "but it does not offer SMTPUTF8, which an address of this message needs. (#5.6.7)";
            outcome.assert_reports(&[format!("DConnected to {ADDRESS} {refused}\n")]);
            assert!(mailbox.messages().is_empty());
            return;
        }
        let answer = server.answer(Some(wire(message.as_bytes())));
        let success = format!("K{ADDRESS} {how}.\nRemote host said: {answer}\n");
        assert_reports(&outcome, &["r".to_owned(), success], &mailbox);
        let stored = fs::read_to_string(mailbox.wait_for_message()).unwrap();
        assert!(
            stored.contains("for <j\u{fc}rgen@example.test>;")
                || stored.contains("for j\u{fc}rgen@example.test;"),
            "{stored}"
        );
    });
}

macro_rules! against_each_server {
    ($($test:ident)*) => { $(
        mod $test {
            use super::Server;

            #[test]
            fn postfix() {
                super::$test(Server::Postfix);
            }

            #[test]
            fn exim() {
                super::$test(Server::Exim);
            }

            #[test]
            fn opensmtpd() {
                super::$test(Server::OpenSmtpd);
            }
        }
    )* };
}

against_each_server! {
    stores_what_was_sent
    takes_an_empty_message
    reports_each_recipient
    reports_refusals
    takes_other_letters
}

/// As `tests/auth.rs` does with Postfix.
#[test]
fn exim_takes_the_right_password_alone() {
    in_world(|world| {
        let (user, password) = ("alice", "pass word");
        for (mechanism, what) in [("CRAM-MD5", "username+digest"), ("LOGIN", "login"), ("PLAIN", "plain")] {
            println!("{mechanism}");
            let exim = Exim::on(ADDRESS).tls(certificate(world)).user(mechanism, user, password);
            let mailbox = world.exim(&exim);
            let how = Way::Starttls.configure(world);
            let message = || Message::bytes(format!("{HEADER}Hello.\n"));
            let route = |password: &str| {
                world.control("authsenders", format!("alice@sender.test:{ADDRESS}|{user}|{password}\n"));
            };
            route(password);
            let answer = Server::Exim.answer(Some(wire(format!("{HEADER}Hello.\n").as_bytes())));
            let success = format!("K{ADDRESS} {how}.\nRemote host said: {answer}\n");
            let outcome = deliver(&["you@example.test"], message());
            assert_reports(&outcome, &["r".to_owned(), success], &mailbox);
            mailbox.assert_logs(" A=one:alice ");
            route("another");
            let refused = format!("ZConnected to {ADDRESS} but authentication was rejected ({what}).");
            let refused = format!("{refused}\nRemote host said: 535 Incorrect authentication data\n");
            deliver(&["you@example.test"], message()).assert_reports(&[refused]);
        }
    });
}
