//! A mail server on 192.0.2.10 that goes as far as it is told and then waits, so that a delivery can be
//! looked at, or hurt, at that point.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use nix::sys::stat::Mode;
use openssl::ssl::SslAcceptor;
use world::certificates;
use world::patience::{LONG_ENOUGH, accept};
use world::peer::Peer;
use world::{Delivery, Identity, Message, World};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_qmail-remote");

/// What a delivery reports when a held server is let go on.
pub(crate) const ACCEPTED: [&str; 2] =
    ["r", "K192.0.2.10 accepted message.\nRemote host said: 250 accepted\n"];

/// Where the server can be told to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Connected, without a greeting.
    Greeting,
    /// EHLO came, and is not answered; under TLS the second one.
    Ehlo,
    /// So with MAIL.
    Mail,
    /// So with RCPT.
    Rcpt,
    /// So with DATA.
    Data,
    /// Some of the message came; nothing more of it is read.
    Body,
    /// The whole message came, and is not answered.
    EndOfData,
}

/// The stages at which no part of the end of the message has been sent.
pub(crate) const BEFORE_THE_END: [Stage; 6] =
    [Stage::Greeting, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Body];

/// What became of the message.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Octets on the wire, but for the last few of an unfinished message.
    pub(crate) octets: usize,
    /// The end-of-data mark came.
    pub(crate) whole: bool,
}

/// A server that serves one connection.
pub(crate) struct Held {
    reached: Receiver<()>,
    go_on: Sender<()>,
    thread: JoinHandle<Seen>,
}

impl Held {
    /// A server without TLS.
    pub(crate) fn at(stage: Stage) -> Held {
        Held::start(stage, None)
    }

    /// A server that is told everything after EHLO under TLS.
    pub(crate) fn under_tls_at(stage: Stage) -> Held {
        let certificate = certificates::Identity::self_signed(&["mx1.example.test"]).unwrap();
        Held::under_this_tls_at(stage, certificate.acceptor().unwrap())
    }

    /// The same with TLS of the caller's own.
    pub(crate) fn under_this_tls_at(stage: Stage, acceptor: SslAcceptor) -> Held {
        Held::start(stage, Some(acceptor))
    }

    /// The same, and a client without a certificate gets no connection.
    pub(crate) fn that_demands_a_certificate_at(stage: Stage) -> Held {
        let certificate = certificates::Identity::self_signed(&["mx1.example.test"]).unwrap();
        Held::start(stage, Some(certificate.acceptor_that_demands_one().unwrap()))
    }

    fn start(stage: Stage, acceptor: Option<SslAcceptor>) -> Held {
        let listener = TcpListener::bind("192.0.2.10:25").unwrap();
        let (tell_reached, reached) = channel();
        let (go_on, told_to_go_on) = channel();
        let thread = std::thread::spawn(move || {
            let stream = accept(&listener);
            // From here on the next server may have the port.
            drop(listener);
            let peer = Peer::new(stream, LONG_ENOUGH).unwrap();
            let mut seen = Seen::default();
            let pause = Pause { stage, tell_reached, told_to_go_on };
            // The delivery may end at any point: what has been seen until then is all there is.
            let _ = converse(peer, &pause, acceptor.as_ref(), &mut seen);
            seen
        });
        Held { reached, go_on, thread }
    }

    /// Returns once the server waits.
    pub(crate) fn wait_until_reached(&self) {
        self.reached.recv_timeout(LONG_ENOUGH).expect("the delivery comes to this stage");
    }

    /// Lets the server go on.
    pub(crate) fn go_on(&self) {
        self.go_on.send(()).unwrap();
    }

    /// What the server saw, once the connection has ended.
    pub(crate) fn seen(self) -> Seen {
        drop(self.go_on);
        self.thread.join().unwrap()
    }
}

/// Where to wait, and for whom.
struct Pause {
    stage: Stage,
    tell_reached: Sender<()>,
    told_to_go_on: Receiver<()>,
}

impl Pause {
    fn at(&self, stage: Stage) {
        if stage == self.stage {
            let _ = self.tell_reached.send(());
            // Nobody waits for us any more: the test is over, or asks what was seen.
            let _ = self.told_to_go_on.recv();
        }
    }
}

fn converse(
    mut peer: Peer,
    pause: &Pause,
    acceptor: Option<&SslAcceptor>,
    seen: &mut Seen,
) -> Result<(), String> {
    let command = |peer: &mut Peer, verb: &str| {
        let line = peer.line().map_err(|gone| gone.to_string())?;
        assert!(line.starts_with(verb.as_bytes()), "{verb} expected: {}", line.escape_ascii());
        Ok::<(), String>(())
    };
    let say = |peer: &mut Peer, reply: &str| {
        peer.send(format!("{reply}\r\n").as_bytes()).map_err(|error| error.to_string())
    };
    pause.at(Stage::Greeting);
    say(&mut peer, "220 mx1.example.test")?;
    command(&mut peer, "EHLO ")?;
    if let Some(acceptor) = acceptor {
        say(&mut peer, "250-mx1.example.test\r\n250 STARTTLS")?;
        command(&mut peer, "STARTTLS")?;
        say(&mut peer, "220 go ahead")?;
        peer = peer.start_tls(acceptor)?;
        command(&mut peer, "EHLO ")?;
    }
    let replies = [
        ("MAIL FROM:", Stage::Ehlo, "250 mx1.example.test"),
        ("RCPT TO:", Stage::Mail, "250 sender ok"),
        ("DATA", Stage::Rcpt, "250 recipient ok"),
    ];
    for (next, stage, reply) in replies {
        pause.at(stage);
        say(&mut peer, reply)?;
        command(&mut peer, next)?;
    }
    pause.at(Stage::Data);
    say(&mut peer, "354 go on")?;
    if pause.stage == Stage::Body {
        peer.receive().map_err(|gone| gone.to_string())?;
        pause.at(Stage::Body);
    }
    peer.message(|bytes| seen.octets += bytes.len()).map_err(|gone| gone.to_string())?;
    seen.whole = true;
    pause.at(Stage::EndOfData);
    say(&mut peer, "250 accepted")?;
    peer.drain(LONG_ENOUGH).map_err(|gone| gone.to_string()).map(drop)
}

/// Everything goes to the held server; nothing is looked up.
pub(crate) fn route_to_held(world: &World) {
    world.control("me", "client.example.test\n");
    world.control("smtproutes", ":192.0.2.10\n");
}

/// A delivery of a small message to one recipient.
pub(crate) fn delivery() -> Delivery {
    addressed(Delivery::new(PROGRAM)).identity(Identity::Qmailr)
}

/// The usual arguments.
pub(crate) fn addressed(delivery: Delivery) -> Delivery {
    delivery.host("example.test").sender("alice@sender.test").recipient("bob@example.test")
}

/// A delivery by a shell that runs `script` first and then becomes the program.
pub(crate) fn delivery_after(world: &World, script: &str) -> Delivery {
    let shell = Delivery::new("/bin/sh").argument("-c").argument(format!("{script}exec \"$0\" \"$@\""));
    addressed(shell.argument(reachable_copy(world))).identity(Identity::Qmailr)
}

/// The program where every user reaches it.
pub(crate) fn reachable_copy(world: &World) -> PathBuf {
    let copy = world.scratch().join("qmail-remote");
    if !copy.exists() {
        std::fs::copy(Path::new(PROGRAM), &copy).unwrap();
    }
    copy
}

/// A message that begins and does not end while the file that comes with it is held open.
pub(crate) fn endless_message(world: &World) -> (Message, File) {
    let path = world.scratch().join("endless");
    if !path.exists() {
        nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o644)).unwrap();
    }
    // Open for both, a fifo waits for nobody.
    let mut feed = File::options().read(true).write(true).open(&path).unwrap();
    feed.write_all("All work and no play.\n".repeat(2000).as_bytes()).unwrap();
    (Message::File(path), feed)
}
