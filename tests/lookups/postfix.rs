//! A row or more of every kind of file against a real Postfix, which writes down whom it talked to.

use std::fs;

use world::{Identity, Mailbox, Postfix, World, certificates, in_world};

use crate::outcome::{Outcome, at, put_off};
use crate::row::{SENDER, Seen, Servers, check};

/// Postfix on 192.0.2.10: 25 and 26 with STARTTLS, 465 with TLS from the first byte, each with a name of its own.
struct RealServer(Mailbox);

impl RealServer {
    fn start(world: &World) -> RealServer {
        let certificate = certificates::Identity::self_signed(&["mx1.example.test"]).expect("certificate");
        let files = certificate.write(&world.scratch(), "mx1").expect("files of the certificate");
        let postfix = Postfix::on("192.0.2.10").hostname("port25.test").tls(files.certificate, files.key);
        let postfix = postfix.port(26, &["myhostname=port26.test"]);
        let implicit = ["myhostname=port465.test", "smtpd_tls_wrappermode=yes"];
        RealServer(world.postfix(postfix.port(465, &implicit)))
    }
}

impl Servers for RealServer {
    fn arrived(&mut self, expected: &Outcome) -> Vec<Seen> {
        let new = if matches!(expected, Outcome::Arrives(_)) {
            vec![self.0.wait_for_message()]
        } else {
            self.0.messages()
        };
        let seen = new.iter().map(|message| seen(&fs::read_to_string(message).expect("message"))).collect();
        for message in new {
            fs::remove_file(message).expect("removal");
        }
        seen
    }

    fn is_implicit_tls(&self, port: u16) -> bool {
        port == 465
    }

    fn reply(&self) -> &str {
        "250 2.0.0 Ok: "
    }

    fn client(&self) -> Identity {
        Identity::Root
    }
}

/// From the field that Postfix puts first: `Received: from HELLO (unknown [CLIENT])`, `(using TLS...)`, `by NAME`.
fn seen(message: &str) -> Seen {
    let (_, received) = message.split_once("Received: from ").expect("field");
    let (received, _) = received.split_once("\nFrom: ").expect("message");
    let between = |start: &str, end: &str| {
        let (_, rest) = received.split_once(start).expect("start");
        rest.split_once(end).expect("end").0.to_owned()
    };
    Seen {
        server: format!("192.0.2.10:{}", between("by port", ".test")),
        client: between("[", "]"),
        hello: received.split_once(' ').expect("name").0.to_owned(),
        tls: received.contains("(using TLS"),
    }
}

#[test]
fn a_real_server_sees_what_is_explained() {
    in_world(|world| {
        let mut server = RealServer::start(world);
        const ROUTE: (&str, &str) = ("smtproutes", ":192.0.2.10\n");
        let by_route = || at("192.0.2.10:25");
        for (file, outcome, lines) in [
            (("smtproutes", ":192.0.2.10;26\n"), at("192.0.2.10:26"), "route,port smtproutes:1"),
            (("smtproutes", ":192.0.2.10;s\n"), at("192.0.2.10:465"), "route,port smtproutes:1"),
            (
                ("smtproutes", ":192.0.2.10||192.0.2.90\n"),
                by_route().from("192.0.2.90"),
                "route,from smtproutes:1",
            ),
            (
                ("qmtproutes", "example.test:192.0.2.10\n"),
                Outcome::Tried("ZSorry, I wasn't able to establish an QMTP connection. (#4.4.1)\n".into()),
                "route qmtproutes:1",
            ),
            (
                ("authsenders", "@sender.test:192.0.2.10;26\n"),
                at("192.0.2.10:26"),
                "route,port authsenders:1",
            ),
            (
                ("domainips", "sender.test:192.0.2.91|helo.test\n"),
                by_route().from("192.0.2.91").named("helo.test"),
                "route smtproutes:1; from,says domainips:1",
            ),
            (
                ("domaincerts", "sender.test:/certificate\n"),
                put_off("Can't load X.509 certificate: /certificate. (#4.4.1)"),
                "route smtproutes:1; certificate domaincerts:1",
            ),
            (
                ("tlsdestinations", "!192.0.2.10:;26\n"),
                at("192.0.2.10:26").in_clear(),
                "route smtproutes:1; TLS,port tlsdestinations:1",
            ),
            (
                ("tlsdestinations", "*:;465\n"),
                at("192.0.2.10:465"),
                "route smtproutes:1; TLS,port tlsdestinations:1",
            ),
            (
                ("helohost", "helo.test\n"),
                by_route().named("helo.test"),
                "route smtproutes:1; says helohost:1",
            ),
            (("me", "other.test\n"), by_route().named("other.test"), "route smtproutes:1"),
        ] {
            check(world, &mut server, &[ROUTE, file], &[("example.test", SENDER, outcome, lines)]);
        }
        let rows = [("[192.0.2.10]", SENDER, at("192.0.2.10:25"), "")];
        check(world, &mut server, &[], &rows);
    });
}
