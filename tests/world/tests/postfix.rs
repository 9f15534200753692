//! Postfix, spoken to by a few lines of SMTP: what it takes, what it refuses, and what ends up in its mailbox.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step must stop the test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use world::patience::LONG_ENOUGH;
use world::{Needs, Postfix, in_world, programs};

/// A dialogue with a server; every command waits for its reply.
struct Client {
    stream: BufReader<TcpStream>,
    /// What was said, for the test that fails.
    transcript: String,
}

impl Client {
    fn connect(address: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG_ENOUGH)).unwrap();
        stream.set_write_timeout(Some(LONG_ENOUGH)).unwrap();
        let mut client = Client { stream: BufReader::new(stream), transcript: format!("{address}\n") };
        assert!(client.reply().starts_with("220 "));
        assert!(client.say("EHLO sender.test").contains("8BITMIME"));
        client
    }

    fn say(&mut self, command: &str) -> String {
        self.write(&format!("{command}\r\n"));
        self.transcript.push_str(&format!("C: {command}\n"));
        self.reply()
    }

    fn write(&mut self, text: &str) {
        let written = self.stream.get_mut().write_all(text.as_bytes());
        written.unwrap_or_else(|error| panic!("{error} after\n{}", self.transcript));
    }

    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let result = self.stream.read_line(&mut reply);
            let count = result.unwrap_or_else(|error| panic!("{error} after\n{}{reply}", self.transcript));
            assert_ne!(count, 0, "connection closed after\n{}{reply}", self.transcript);
            if reply.lines().last().unwrap().as_bytes().get(3) != Some(&b'-') {
                self.transcript.push_str(&format!("S: {reply}"));
                return reply;
            }
        }
    }

    /// Sends lines that need no dot-stuffing, and returns the final reply.
    fn send(&mut self, recipient: &str, lines: &str) -> String {
        assert!(self.say("MAIL FROM:<me@sender.test>").starts_with("250"));
        let accepted = self.say(&format!("RCPT TO:<{recipient}>"));
        assert!(accepted.starts_with("250"), "{accepted}");
        assert!(self.say("DATA").starts_with("354"));
        let message = lines.replace('\n', "\r\n");
        self.write(&message);
        self.say(".")
    }
}

#[test]
fn mail_ends_up_in_the_mailbox_unchanged() {
    in_world(|world| {
        let server = world.postfix(Postfix::on("192.0.2.10").domain("other.test"));
        let first = "Received: from elsewhere\n\tby here\nSubject: hello\n\nHello, \u{e9}.\n";
        let second = "No header at all.\n";
        let mut client = Client::connect("192.0.2.10:25");
        let accepted = client.send("you@example.test", first);
        assert!(accepted.starts_with("250 2.0.0"), "{accepted}");
        let message = server.wait_for_message();
        assert_eq!(String::from_utf8(server.message_body(&message)).unwrap(), first);
        client.send("you@other.test", second);
        let message = server.wait_for_message();
        // Postfix separates a body from the header that it began itself.
        assert_eq!(String::from_utf8(server.message_body(&message)).unwrap(), format!("\n{second}"));
        assert_eq!(server.messages().len(), 2);
        server.assert_logs("status=sent");
    });
}

#[test]
fn some_recipients_are_refused() {
    in_world(|world| {
        let server = world.postfix(Postfix::on("192.0.2.10"));
        let mut client = Client::connect("192.0.2.10:25");
        assert!(client.say("MAIL FROM:<>").starts_with("250"));
        assert!(client.say("RCPT TO:<reject@example.test>").starts_with("550 5.1.1"));
        assert!(client.say("RCPT TO:<defer@example.test>").starts_with("451 4.7.1"));
        assert!(client.say("RCPT TO:<you@elsewhere.test>").starts_with("554 5.7.1"));
        assert!(server.messages().is_empty());
    });
}

#[test]
fn servers_live_side_by_side() {
    in_world(|world| {
        world.require(Needs::Ipv6);
        let servers = [
            world.postfix(Postfix::on("192.0.2.10")),
            world.postfix(Postfix::on("192.0.2.11").hostname("mx2.example.test")),
            world.postfix(Postfix::on("2001:db8::10").hostname("mx3.example.test")),
        ];
        for (server, address) in servers.iter().zip(["192.0.2.10:25", "192.0.2.11:25", "[2001:db8::10]:25"]) {
            Client::connect(address).send("you@example.test", &format!("To: {address}\n\nx\n"));
            let body = server.message_body(&server.wait_for_message());
            assert_eq!(String::from_utf8(body).unwrap(), format!("To: {address}\n\nx\n"));
        }
        drop(servers);
        assert!(TcpStream::connect("192.0.2.10:25").is_err());
    });
}

#[test]
fn tls_is_offered_with_the_certificate_given() {
    in_world(|world| {
        world.require(Needs::Program("openssl"));
        let (key, certificate) = (world.scratch().join("key.pem"), world.scratch().join("certificate.pem"));
        let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
                       -subj /CN=mx1.example.test";
        programs::run(
            programs::command("openssl")
                .args(request.split_whitespace())
                .arg("-keyout")
                .arg(&key)
                .arg("-out")
                .arg(&certificate),
        );
        let postfix = Postfix::on("192.0.2.10").tls(&certificate, &key).implicit_tls_on(465);
        let server = world.postfix(postfix);
        for how in ["-starttls smtp -connect 192.0.2.10:25", "-connect 192.0.2.10:465"] {
            let mut client = programs::command("openssl");
            client
                .arg("s_client")
                .args(how.split(' '))
                .arg("-verify_return_error")
                .arg("-CAfile")
                .arg(&certificate);
            let seen = programs::run_with_input(&mut client, b"QUIT\r\n");
            assert!(String::from_utf8_lossy(&seen).contains("CN = mx1.example.test"));
        }
        server.assert_logs("TLS connection established");
    });
}

#[test]
fn long_messages_fit() {
    in_world(|world| {
        let server = world.postfix(Postfix::on("192.0.2.10"));
        let line = "x".repeat(99) + "\n";
        let message = "Subject: long\n\n".to_owned() + &line.repeat(2_000_000);
        let accepted = Client::connect("192.0.2.10:25").send("you@example.test", &message);
        assert!(accepted.starts_with("250"), "{accepted}");
        assert!(server.message_body(&server.wait_for_message()) == message.as_bytes());
    });
}
