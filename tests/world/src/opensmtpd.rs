//! A real OpenSMTPD, unpacked beside Postfix by `packaging/dependencies.sh`, with one mailbox that takes everything. One in
//! a world: the places of its queue and its control socket are part of the program.
//!
//! It has no TLS here, and so no AUTH: linked with OpenSSL 3, as in Debian 12, version 6.8 fails every handshake with
//! `missing private key`, whatever the key (its issues 1171 and 1239).
//!
//! `reject@` and `defer@` its domain are refused as by [`Postfix`](crate::Postfix); other domains are refused as relaying.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};

use crate::daemon::Daemon;
use crate::mailbox::{Mailbox, make_box};
use crate::programs;
use crate::world::{COURIER, Needs, World, bind, make_directory, set_mode};

/// What `packaging/dependencies.sh` unpacked.
pub(crate) const PROGRAM: &str = "opensmtpd/usr/sbin/smtpd";
/// Where it looks for its helpers.
const HELPERS: &str = "/usr/libexec";

/// A mail server to be: `mx1.example.test`, for the domain `example.test`.
#[derive(Clone, Debug)]
pub struct OpenSmtpd {
    address: IpAddr,
    largest: Option<u64>,
}

impl OpenSmtpd {
    /// A server on port 25 of this address.
    #[must_use]
    pub fn on(address: &str) -> OpenSmtpd {
        let address = address.parse().expect("address of the mail server");
        OpenSmtpd { address, largest: None }
    }

    /// Takes no message of more octets than these, at first 35 MiB.
    #[must_use]
    pub fn largest(mut self, octets: u64) -> OpenSmtpd {
        self.largest = Some(octets);
        self
    }

    fn configuration(&self, home: &Path) -> String {
        let (home, address) = (home.display(), self.address);
        let mut text =
            self.largest.map_or_else(String::new, |octets| format!("smtp max-message-size {octets}\n"));
        text.push_str(
            "filter rejected phase rcpt-to match rcpt-to { \"reject@example.test\" } \
             reject \"550 5.1.1 No such mailbox here\"\n\
             filter deferred phase rcpt-to match rcpt-to { \"defer@example.test\" } \
             reject \"451 4.7.1 Come back later\"\n\
             filter refused chain { rejected, deferred }\n",
        );
        let _ = write!(
            text,
            "listen on {address} port 25 hostname mx1.example.test filter refused\n\
             table box {{ \"@\" = courier }}\n\
             action take maildir \"{home}/mail/box\" virtual <box>\n\
             match from any for domain \"example.test\" action take\n"
        );
        text
    }
}

impl World {
    /// Starts the OpenSMTPD, and returns once it listens.
    #[must_use]
    pub fn opensmtpd(&self, opensmtpd: &OpenSmtpd) -> Mailbox {
        self.require(Needs::OpenSmtpd);
        let home = self.scratch().join("opensmtpd");
        for directory in ["", "etc", "log"] {
            make_directory(home.join(directory), 0o755);
        }
        make_directory("/var/lib/opensmtpd/empty", 0o755);
        make_box(&home, COURIER);
        show_helpers();
        let configuration = home.join("etc/smtpd.conf");
        fs::write(&configuration, opensmtpd.configuration(&home)).expect("configuration of OpenSMTPD");
        set_mode(&configuration, 0o644);
        let mut command = Command::new(programs::unpacked(PROGRAM));
        command.args(["-d", "-v", "-f"]).arg(&configuration);
        let daemon = Daemon::start("opensmtpd", &command, &home.join("log/log"))
            .once_it_listens_on(SocketAddr::new(opensmtpd.address, 25));
        Mailbox::new(daemon, &home, "log")
    }
}

/// Shows the unpacked helpers, those that write mailboxes among them, where the program looks for them.
fn show_helpers() {
    mount(Some("tmpfs"), HELPERS, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .expect("tmpfs for helpers");
    let place = Path::new(HELPERS).join("opensmtpd");
    make_directory(&place, 0o755);
    bind(&programs::unpacked("opensmtpd/usr/libexec/opensmtpd"), &place);
}
