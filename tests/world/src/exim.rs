//! A real Exim, unpacked beside Postfix by `packaging/dependencies.sh`, with one mailbox that takes everything. All of it
//! runs as its own user, its local deliveries too.
//!
//! `reject@` and `defer@` its domain are refused as by [`Postfix`](crate::Postfix); other domains are refused as relaying.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use crate::certificates::Files;
use crate::daemon::Daemon;
use crate::mailbox::{Mailbox, make_box, make_owned};
use crate::programs;
use crate::world::{EXIM, Needs, World, make_directory, set_mode};

/// What `packaging/dependencies.sh` unpacked.
pub(crate) const PROGRAM: &str = "exim4-daemon-light/usr/sbin/exim4";

/// Lines that no test changes, from the end of the main part on.
const REST: &str = "
begin acl
recipient:
  deny local_parts = reject
       message = 5.1.1 No such mailbox here
  defer local_parts = defer
       message = 4.7.1 Come back later
  accept domains = example.test
  deny message = relay not permitted
authenticated:
  accept authenticated = *
  deny message = authentication required

begin routers
all:
  driver = accept
  transport = box

begin transports
box:
  driver = appendfile
  maildir_format
  directory = HOME/mail/box
";

/// How each mechanism of AUTH asks for the one user and password of the macros.
const MECHANISMS: [(&str, &str); 3] = [
    (
        "PLAIN",
        "driver = plaintext
         server_prompts = :
         server_condition = ${if and {{eq{$auth2}{USER}}{eq{$auth3}{PASSWORD}}}}
         server_set_id = $auth2",
    ),
    (
        "LOGIN",
        "driver = plaintext
         server_prompts = <| Username: | Password:
         server_condition = ${if and {{eq{$auth1}{USER}}{eq{$auth2}{PASSWORD}}}}
         server_set_id = $auth1",
    ),
    (
        "CRAM-MD5",
        "driver = cram_md5
         server_secret = ${if eq{$auth1}{USER}{PASSWORD}fail}
         server_set_id = $auth1",
    ),
];

/// A mail server to be: `mx1.example.test`, for the domain `example.test`.
#[derive(Clone, Debug)]
pub struct Exim {
    address: IpAddr,
    certificate: Option<Files>,
    largest: u64,
    user: Option<[String; 3]>,
}

impl Exim {
    /// A server on port 25 of this address, without TLS.
    #[must_use]
    pub fn on(address: &str) -> Exim {
        let address = address.parse().expect("address of the mail server");
        Exim { address, certificate: None, largest: 0, user: None }
    }

    /// Offers STARTTLS on port 25, and TLS from the first byte on port 465.
    #[must_use]
    pub fn tls(mut self, files: Files) -> Exim {
        self.certificate = Some(files);
        self
    }

    /// Takes no message of more octets than these, at first of any number.
    #[must_use]
    pub fn largest(mut self, octets: u64) -> Exim {
        self.largest = octets;
        self
    }

    /// Takes mail only of those who give this name and password by this mechanism, which it offers under TLS alone.
    #[must_use]
    pub fn user(mut self, mechanism: &str, name: &str, password: &str) -> Exim {
        self.user = Some([mechanism, name, password].map(str::to_owned));
        self
    }

    fn configuration(&self, home: &Path) -> String {
        let address = self.address;
        let mut text = format!(
            "HOME = {home}\n\
             primary_hostname = mx1.example.test\n\
             exim_path = {program}\n\
             spool_directory = HOME/spool\n\
             log_file_path = HOME/log/%slog\n\
             pid_file_path = HOME/pid\n\
             deliver_drop_privilege\n\
             local_interfaces = <; {address}\n\
             smtputf8_advertise_hosts = *\n\
             message_size_limit = {largest}\n\
             recipients_max = 0\n\
             keep_environment =\n\
             host_lookup =\n\
             acl_smtp_rcpt = recipient\n\
             acl_smtp_data = accept\n",
            home = home.display(),
            program = programs::unpacked(PROGRAM).display(),
            largest = self.largest,
        );
        match self.certificate {
            Some(_) => text.push_str(
                "daemon_smtp_ports = 25 : 465\n\
                 tls_on_connect_ports = 465\n\
                 tls_advertise_hosts = *\n\
                 tls_certificate = HOME/etc/certificate\n\
                 tls_privatekey = HOME/etc/key\n",
            ),
            None => text.push_str("daemon_smtp_ports = 25\ntls_advertise_hosts =\n"),
        }
        let Some([mechanism, user, password]) = &self.user else { return text + REST };
        let (_, how) = MECHANISMS.iter().find(|(name, _)| name == mechanism).expect("a mechanism of AUTH");
        text.push_str(
            "acl_smtp_mail = authenticated\nauth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}\n",
        );
        format!(
            "USER = {user}\nPASSWORD = {password}\n{text}{REST}\n\
             begin authenticators\none:\n  public_name = {mechanism}\n  {how}\n"
        )
    }
}

impl World {
    /// Starts an Exim, and returns once it listens.
    #[must_use]
    pub fn exim(&self, exim: &Exim) -> Mailbox {
        self.require(Needs::Exim);
        let home = self.scratch().join(format!("exim-{}", exim.address));
        for directory in ["", "etc"] {
            make_directory(home.join(directory), 0o755);
        }
        for directory in ["spool", "log"] {
            make_owned(&home.join(directory), 0o750, EXIM, Some(EXIM));
        }
        make_owned(&home, 0o755, EXIM, Some(EXIM));
        make_box(&home, EXIM);
        if let Some(files) = &exim.certificate {
            for (from, name) in [(&files.certificate, "certificate"), (&files.key, "key")] {
                let copy = home.join("etc").join(name);
                fs::copy(from, &copy).expect("file of the certificate");
                set_mode(&copy, 0o400);
                chown(&copy, Some(EXIM), None).expect("owner of the certificate's file");
            }
        }
        let configuration = home.join("etc/exim.conf");
        fs::write(&configuration, exim.configuration(&home)).expect("configuration of Exim");
        set_mode(&configuration, 0o644);
        let mut command = Command::new(programs::unpacked(PROGRAM));
        command.arg("-bdf").arg("-C").arg(&configuration);
        let name = format!("exim on {}", exim.address);
        let port = if exim.certificate.is_some() { 465 } else { 25 };
        let daemon = Daemon::start(&name, &command, &home.join("log/stderr"))
            .with_log(&home.join("log/mainlog"))
            .once_it_listens_on(SocketAddr::new(exim.address, port));
        Mailbox::new(daemon, &home, "mainlog")
    }
}
