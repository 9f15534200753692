//! `demo PATH-OF-QMAIL-REMOTE`: one delivery by the real program, in a private network, for people.
//!
//! Makes the namespaces, a name server for `example.test`, a mail server that offers STARTTLS, and the
//! control files; runs the program on a sample message; prints the conversation, the reports and what
//! arrived. Nothing outside the namespaces is touched. Root and ordinary users can run it. The status
//! is 0 only when the message arrived and the program reported success.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a demonstration does")]

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use world::certificates::Authority;
use world::dialogue::wire_form;
use world::dns_stub::{DnsStub, Zone};
use world::smtp_sink::{Arrived, Content, Options, SmtpSink};
use world::{Delivery, Identity, Letter, Message, Needs, Outcome, World, namespace};

const HOST: &str = "example.test";
const EXCHANGER: &str = "mx1.example.test";
const SENDER: &str = "alice@sender.test";
const RECIPIENT: &str = "bob@example.test";

const SAMPLE: &str = "\
From: Alice <alice@sender.test>
To: Bob <bob@example.test>
Subject: A message in a private network
Date: Thu, 01 Jan 2026 00:00:00 +0000
Message-ID: <demonstration@sender.test>

Dear Bob,

this line is followed by one that holds a single dot:
.
which does not end the message.

Alice
";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [program] = arguments.as_slice() else {
        eprintln!("usage: demo PATH-OF-QMAIL-REMOTE");
        return ExitCode::from(2);
    };
    if !namespace::is_inside() && std::env::var_os("CI").is_none() {
        // With CI set, a machine that allows no namespaces is a failure, and not a test to skip.
        return again(program);
    }
    // A failed step stops with its cause, without the noise of a crash.
    std::panic::set_hook(Box::new(|failure| {
        let payload = failure.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        eprintln!("demo: {}", text.or_else(|| payload.downcast_ref().copied()).unwrap_or("failed"));
        std::process::exit(1)
    }));
    let mut good = true;
    namespace::enter([program], |world| {
        good = demonstrate(Path::new(program), world).unwrap_or_else(|error| {
            println!("The demonstration failed: {error}");
            false
        });
    });
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn again(program: &OsStr) -> ExitCode {
    let status =
        std::env::current_exe().and_then(|own| Command::new(own).arg(program).env("CI", "1").status());
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate(program: &Path, world: &World) -> Result<bool, Box<dyn Error>> {
    // Where only one user exists, a mapped root could not become `qmailr`: start as an ordinary user.
    let identity = if world.can(Needs::ManyUids) { Identity::Root } else { Identity::Qmailr };
    let mut zone = format!("{HOST} MX 10 {EXCHANGER}\n{EXCHANGER} A 192.0.2.10\n");
    let mut addresses = vec![SocketAddr::from(([192, 0, 2, 10], 25))];
    if world.can(Needs::Ipv6) {
        zone.push_str(&format!("{EXCHANGER} AAAA 2001:db8::10\n"));
        addresses.push("[2001:db8::10]:25".parse()?);
    }
    let mut options = Options::named(EXCHANGER);
    options.acceptor = Some(Authority::new("Demonstration authority")?.issue(&[EXCHANGER])?.acceptor()?);

    world.control("me", "client.sender.test\n");
    let _names = DnsStub::start(Zone::parse(&zone)?)?;
    let server = SmtpSink::start(&addresses, options)?;

    title("The delivery");
    println!("  name server on 127.0.0.1 says:");
    zone.lines().for_each(|line| println!("    {line}"));
    println!("  control/me says:\n    client.sender.test");
    println!("  qmail-rspawn would run:\n    qmail-remote {HOST} {SENDER} {RECIPIENT}");
    let outcome = Delivery::new(program)
        .identity(identity)
        .host(HOST)
        .sender(SENDER)
        .recipient(RECIPIENT)
        .message(Message::bytes(SAMPLE))
        .run();
    let arrived = server.messages();
    let parting = Duration::from_millis(200);
    server.wait_for(parting, |transcript| transcript.iter().any(|line| line == "C: QUIT"));

    title("The conversation (C: qmail-remote, S: the server)");
    server.transcript().iter().for_each(|line| println!("  {line}"));
    show_reports(&outcome);
    show_arrived(&arrived);

    let delivered = outcome.belief().letter == Letter::K;
    let expected = wire_form(SAMPLE.as_bytes());
    let whole = arrived.iter().any(|message| {
        let Content::Memory(wire) = &message.content else { return false };
        expected.strip_suffix(b".\r\n") == Some(wire)
    });
    println!();
    match (delivered, whole) {
        (true, true) => println!("The message arrived, byte for byte, and the queue knows it."),
        (true, false) => println!("WRONG: reported as delivered, but the message is not there."),
        (false, true) => println!("WRONG: the message arrived, but was not reported as delivered."),
        (false, false) => println!("The message was not delivered."),
    }
    Ok(delivered && whole)
}

fn title(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}

fn show_reports(outcome: &Outcome) {
    title("The reports (a line each, NUL shown as <end>)");
    let text = String::from_utf8_lossy(&outcome.stdout);
    for report in text.split_inclusive('\0') {
        let shown = report.replace('\n', "\n    ");
        println!("  {}", shown.replace("    \0", "  <end>").replace('\0', " <end>"));
    }
    if text.is_empty() {
        println!("  (none)");
    }
    if !outcome.stderr.is_empty() {
        println!("  on fd 2, where nothing belongs: {}", String::from_utf8_lossy(&outcome.stderr));
    }
    println!("\n  {}", outcome.status);
    let belief = match outcome.belief().letter {
        Letter::K => "K: delivered, the message leaves the queue",
        Letter::Z => "Z: failed for now, tried again later",
        Letter::D => "D: failed for good, a bounce",
    };
    println!("  qmail-rspawn believes {belief}");
}

fn show_arrived(messages: &[Arrived]) {
    title("What arrived");
    for message in messages {
        println!("  from {}", message.sender);
        message.recipients.iter().for_each(|recipient| println!("  to   {recipient}"));
        let how = if message.tls { "through TLS" } else { "in clear" };
        println!("  {} octets {how}:", message.octets);
        message.text().lines().for_each(|line| println!("    | {line}"));
    }
    if messages.is_empty() {
        println!("  nothing");
    }
}
