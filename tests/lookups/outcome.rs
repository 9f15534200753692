//! What a delivery of a row must do.

/// What a delivery must do.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The message arrives at one server, and nothing anywhere else.
    Arrives(Arrival),
    /// Nothing is connected to; this is the one report, and `explain` foresees it.
    Foreseen(String),
    /// No message arrives; this is the one report. `explain`, which asks no network, says that it would be tried.
    Tried(String),
    /// The same, and servers are connected to: their certificates prove too little.
    Unproved(String),
}

/// How the message arrives.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// Address and port of the server.
    pub(crate) server: String,
    /// Where the connection comes from; none: wherever the system likes.
    pub(crate) source: Option<&'static str>,
    /// What the client calls itself.
    pub(crate) hello: &'static str,
    /// How the success report calls the TLS that it comes through; none: in clear.
    pub(crate) tls: Option<&'static str>,
    /// There are user and password, and the server offers no way to use them: the report says so.
    pub(crate) unauthenticated: bool,
}

/// The name in the control file `me`.
pub(crate) const ME: &str = "me.example.test";

/// The message arrives at `server` through TLS, from any address, in the name of `me`.
pub(crate) fn at(server: &str) -> Outcome {
    let (server, tls) = (server.to_owned(), Some("TLS"));
    Outcome::Arrives(Arrival { server, source: None, hello: ME, tls, unauthenticated: false })
}

/// QMTP is spoken to a server here, all of which speak another protocol.
pub(crate) fn by_qmtp(host: &str) -> Outcome {
    Outcome::Unproved(format!("Zrecipient {host} did not talk proper QMTP. (#4.3.0)\n"))
}

/// QMTPS is spoken to `remote`, where no server begins with TLS.
pub(crate) fn by_qmtps(remote: &str) -> Outcome {
    let failure = "TLS connection/protocol error with host";
    Outcome::Unproved(format!("Z{failure}: {remote} for example.test: wrong version number. (#4.4.1)\n"))
}

/// The line `FILE:LINE` is malformed.
pub(crate) fn malformed(line: &str, problem: &str) -> Outcome {
    Outcome::Foreseen(format!("ZUnable to use {}: {problem}. (#4.3.0)\n", place(line)))
}

/// Nothing is tried, and this is the report.
pub(crate) fn put_off(report: &str) -> Outcome {
    Outcome::Foreseen(format!("Z{report}\n"))
}

fn place(line: &str) -> String {
    let (file, number) = line.split_once(':').expect("FILE:LINE");
    format!("/var/qmail/control/{file}, line {number}")
}

impl Outcome {
    /// So, and from this address.
    pub(crate) fn from(self, source: &'static str) -> Outcome {
        self.but(|arrival| arrival.source = Some(source))
    }

    /// So, and in this name.
    pub(crate) fn named(self, hello: &'static str) -> Outcome {
        self.but(|arrival| arrival.hello = hello)
    }

    /// So, and without TLS.
    pub(crate) fn in_clear(self) -> Outcome {
        self.but(|arrival| arrival.tls = None)
    }

    /// So, and the report says this of TLS.
    pub(crate) fn by(self, tls: &'static str) -> Outcome {
        self.but(|arrival| arrival.tls = Some(tls))
    }

    /// So, and user and password are of no use.
    pub(crate) fn without_auth(self) -> Outcome {
        self.but(|arrival| arrival.unauthenticated = true)
    }

    fn but(mut self, change: impl FnOnce(&mut Arrival)) -> Outcome {
        match &mut self {
            Outcome::Arrives(arrival) => change(arrival),
            Outcome::Foreseen(_) | Outcome::Tried(_) | Outcome::Unproved(_) => panic!("no message arrives"),
        }
        self
    }
}
