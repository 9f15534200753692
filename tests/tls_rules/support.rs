//! One delivery to `example.test` by one rule, to a server that keeps a record, and what must be left of it.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use openssl::ssl::SslAcceptor;
use openssl::x509::X509;
use world::certificates::{Authority, Content, Identity};
use world::dns_stub::{DnsStub, Zone};
use world::programs::{command, run};
use world::smtp_sink::{Options, SmtpSink};
use world::{Delivery, Outcome, World};

use crate::held::{PROGRAM, delivery};

/// The one exchanger of the example, at the one address.
pub(crate) const EXCHANGER: &str = "mx1.example.test";
const ADDRESS: &str = "192.0.2.10";

/// A server whose every message and word is accounted for.
pub(crate) struct Server {
    sink: SmtpSink,
    /// Messages that it was meant to get.
    meant: Cell<usize>,
}

impl Server {
    /// A server on port 25.
    pub(crate) fn start(options: Options) -> Server {
        Server::on_port(25, options)
    }

    /// A server on another port.
    pub(crate) fn on_port(port: u16, options: Options) -> Server {
        let address = format!("{ADDRESS}:{port}").parse().unwrap();
        Server { sink: SmtpSink::start(&[address], options).unwrap(), meant: Cell::new(0) }
    }

    /// A server that offers STARTTLS.
    pub(crate) fn with_tls(acceptor: SslAcceptor) -> Server {
        Server::start(Options { acceptor: Some(acceptor), ..Options::named(EXCHANGER) })
    }

    /// A server with this certificate.
    pub(crate) fn with(identity: &Identity) -> Server {
        Server::with_tls(identity.acceptor().unwrap())
    }

    /// Stops the test unless the message was accepted, `how` it says, and came by TLS where that says so.
    #[track_caller]
    pub(crate) fn assert_accepted(&self, outcome: &Outcome, how: &str) {
        let success = format!("K{ADDRESS} {how}.\nRemote host said: 250 2.0.0 accepted\n");
        outcome.assert_reports(&["r", &success]);
        self.meant.set(self.meant.get() + 1);
        let messages = self.sink.messages();
        assert_eq!(messages.len(), self.meant.get());
        assert_eq!(messages.last().unwrap().tls, how.starts_with("TLS"));
    }

    /// Stops the test unless the delivery is put off with this text, and this server has not been told the sender.
    #[track_caller]
    pub(crate) fn assert_put_off(&self, outcome: &Outcome, text: &str) {
        outcome.assert_reports(&[format!("Z{text}. (#4.4.1)\n")]);
        self.assert_told_nothing();
    }

    /// Stops the test unless the sender was named for messages alone that were meant to come.
    #[track_caller]
    pub(crate) fn assert_told_nothing(&self) {
        let transcript = self.sink.transcript();
        let told = transcript.iter().filter(|line| line.starts_with("C: MAIL")).count();
        assert_eq!(told, self.meant.get(), "{transcript:#?}");
    }

    /// The conversations so far.
    pub(crate) fn transcript(&self) -> Vec<String> {
        self.sink.transcript()
    }
}

/// The name server of the example; its answers are secure.
pub(crate) fn secure_dns() -> DnsStub {
    dns("example.test MX 10 mx1.example.test\nmx1.example.test A 192.0.2.10\n")
}

/// So, but nobody vouches for its answers.
pub(crate) fn insecure_dns() -> DnsStub {
    dns("insecure example.test MX 10 mx1.example.test\ninsecure mx1.example.test A 192.0.2.10\n")
}

/// A name server with this zone.
pub(crate) fn dns(zone: &str) -> DnsStub {
    DnsStub::start(Zone::parse(zone).unwrap()).unwrap()
}

/// Delivers by these lines of `tlsdestinations`.
pub(crate) fn deliver_by(world: &World, rules: &str) -> Outcome {
    deliver_with(world, rules, delivery())
}

/// So, a delivery of the caller's own.
pub(crate) fn deliver_with(world: &World, rules: &str, delivery: Delivery) -> Outcome {
    println!("rules {rules:?}");
    world.control("me", "client.example.test\n");
    world.control("tlsdestinations", format!("{rules}\n"));
    delivery.run()
}

/// A delivery to another host, or from another sender.
pub(crate) fn delivery_to(host: &str, sender: &str) -> Delivery {
    let delivery = Delivery::new(PROGRAM).identity(world::Identity::Qmailr);
    delivery.host(host).sender(sender).recipient("bob@example.test")
}

/// A server certificate of `authority` for these names.
pub(crate) fn issue(authority: &Authority, names: &[&str]) -> Identity {
    authority.issue(names).unwrap()
}

/// A certificate whose only name is the common one.
pub(crate) fn issue_common_name(authority: &Authority, name: &str) -> Identity {
    authority.issue_with(&Content { common_name: Some(name), ..Content::default() }).unwrap()
}

/// Writes certificates into one file, and returns its path as a rule gives it.
pub(crate) fn ca_file(world: &World, name: &str, certificates: &[&X509]) -> String {
    let pem: Vec<u8> = certificates.iter().flat_map(|certificate| certificate.to_pem().unwrap()).collect();
    world.file(name, pem).display().to_string()
}

/// Writes certificates into a directory under the hashes of their subjects, and returns its path with a final slash.
pub(crate) fn ca_directory(world: &World, name: &str, certificates: &[&X509]) -> String {
    let directory = world.scratch().join(name);
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    for certificate in certificates {
        let hash = format!("{:08x}", certificate.subject_name_hash());
        let path = (0..).map(|number| directory.join(format!("{hash}.{number}")));
        fs::write(path.into_iter().find(|path| !path.exists()).unwrap(), certificate.to_pem().unwrap())
            .unwrap();
    }
    format!("{}/", directory.display())
}

/// The directory of OpenSSL's `cert.pem` and `certs`, for all programs of this world, with nothing in it but its
/// configuration.
pub(crate) fn empty_system_store(world: &World) -> PathBuf {
    let said = String::from_utf8(run(command("openssl").args(["version", "-d"]))).unwrap();
    let place = PathBuf::from(said.split('"').nth(1).unwrap());
    let configuration = fs::read(place.join("openssl.cnf")).unwrap();
    let store = Path::new(&ca_directory(world, "openssl", &[])).to_owned();
    fs::write(store.join("openssl.cnf"), configuration).unwrap();
    mount(Some(&store), &place, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    place
}

/// The system trusts these certificates, as Debian keeps them: a hashed directory.
pub(crate) fn trusted_system_directory(world: &World, certificates: &[&X509]) -> PathBuf {
    let place = empty_system_store(world);
    ca_directory(world, "openssl/certs", certificates);
    place
}

/// After `TLS connection/protocol error`: the server refused what the client offered.
pub(crate) const NO_HANDSHAKE: &str = "TLS connection/protocol error with host: mx1.example.test for example.test: sslv3 alert handshake failure";
/// So: the server knows only protocols before those that the client offered.
pub(crate) const TOO_OLD: &str = "TLS connection/protocol error with host: mx1.example.test for example.test: tlsv1 alert protocol version";
/// OpenSSL's configuration cannot be used.
pub(crate) const NO_CONTEXT: &str =
    "I wasn't able to create TLS context for: example.test at mx1.example.test";
/// TLS was demanded, and not offered or refused.
pub(crate) const NOT_OFFERED: &str =
    "I wasn't able to negotiate a StartTLS connection with: mx1.example.test for example.test";
/// The certificate is for somebody else.
pub(crate) const WRONG_NAME: &str =
    "Unable to validate X.500 certificate Subject for: example.test at mx1.example.test";
/// Nobody who is trusted has issued the certificate.
pub(crate) const UNKNOWN_ISSUER: &str = "unable to get local issuer certificate";

/// The text for a chain that does not verify.
pub(crate) fn unverified(reason: &str) -> String {
    format!("Unable to verify X.500 certificate from: mx1.example.test for example.test: {reason}")
}

/// The texts of success.
pub(crate) const CLEAR: &str = "accepted message";
pub(crate) const TLS: &str = "TLS transmitted message accepted";
pub(crate) const CHAIN: &str = "TLS (verified CA) transmitted message accepted";
pub(crate) const NAME: &str = "TLS (verified CA+DN*) transmitted message accepted";
pub(crate) const EXACT_NAME: &str = "TLS (verified CA+DN) transmitted message accepted";
pub(crate) const PINNED: &str = "TLS (CERT pinning) transmitted message accepted";
