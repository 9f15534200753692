//! Real Postfix servers, several at a time, each with its own queue and one mailbox that takes
//! everything: what a delivery sends can be compared with what came out of the box.
//!
//! `reject@` any of its domains is refused with `550 5.1.1`, `defer@` with `451 4.7.1`; other domains
//! are refused as relaying.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use nix::unistd::{Group, User};

use crate::daemon::Daemon;
use crate::mailbox::{Mailbox, make_box, make_owned};
use crate::programs::{command, run};
use crate::world::{COURIER, Needs, World, make_directory};

const RECIPIENTS: &str = "reject@ 550 5.1.1 No such mailbox here\ndefer@ 451 4.7.1 Come back later\n";

/// Services that answer on the private sockets of one instance.
const MASTER_CF: &str = "\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";

/// A mail server to be.
#[derive(Clone, Debug)]
pub struct Postfix {
    address: IpAddr,
    services: Vec<(SocketAddr, Vec<String>)>,
    hostname: String,
    domains: Vec<String>,
    settings: Vec<(String, String)>,
    sasl: Option<String>,
}

impl Postfix {
    /// A server on port 25 of this address, without TLS, for the domain `example.test`.
    #[must_use]
    pub fn on(address: &str) -> Postfix {
        let address: IpAddr = address.parse().expect("address of the mail server");
        Postfix {
            address,
            services: vec![(SocketAddr::new(address, 25), Vec::new())],
            hostname: "mx1.example.test".to_owned(),
            domains: vec!["example.test".to_owned()],
            settings: Vec::new(),
            sasl: None,
        }
    }

    /// Offers STARTTLS with this certificate chain and key, PEM files.
    #[must_use]
    pub fn tls(self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Postfix {
        self.setting("smtpd_tls_security_level", "may")
            .setting("smtpd_tls_cert_file", &chain.as_ref().display().to_string())
            .setting("smtpd_tls_key_file", &key.as_ref().display().to_string())
    }

    /// Takes mail on one more port as well, with TLS from the first byte.
    #[must_use]
    pub fn implicit_tls_on(self, port: u16) -> Postfix {
        self.port(port, &["smtpd_tls_wrappermode=yes"])
    }

    /// Takes mail on one more port of its address, with these settings in effect there only.
    #[must_use]
    pub fn port(self, port: u16, settings: &[&str]) -> Postfix {
        let socket = SocketAddr::new(self.address, port);
        self.socket(socket, settings)
    }

    /// Takes mail on one more address and port, with these settings in effect there only.
    #[must_use]
    pub fn socket(mut self, socket: SocketAddr, settings: &[&str]) -> Postfix {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        self.services.push((socket, settings));
        self
    }

    /// The name it gives itself; at first `mx1.example.test`.
    #[must_use]
    pub fn hostname(mut self, name: &str) -> Postfix {
        name.clone_into(&mut self.hostname);
        self
    }

    /// Takes mail for one more domain.
    #[must_use]
    pub fn domain(mut self, name: &str) -> Postfix {
        self.domains.push(name.to_owned());
        self
    }

    /// A setting of `main.cf`; wins over those made here.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Postfix {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Offers AUTH by Cyrus SASL, with these lines for its own configuration.
    #[must_use]
    pub fn sasl(mut self, configuration: &str) -> Postfix {
        self.sasl = Some(configuration.to_owned());
        self.setting("smtpd_sasl_auth_enable", "yes")
            .setting("smtpd_sasl_type", "cyrus")
            .setting("smtpd_sasl_path", "smtpd")
    }

    fn main_cf(&self, home: &Path) -> String {
        let home = home.display();
        let mut settings = format!(
            "compatibility_level = 3.7\n\
             queue_directory = {home}/queue\n\
             data_directory = {home}/data\n\
             maillog_file = {home}/log/maillog\n\
             myhostname = {hostname}\n\
             inet_interfaces = 127.0.0.1\n\
             inet_protocols = all\n\
             mydestination =\n\
             mynetworks = 127.0.0.0/8\n\
             alias_maps =\n\
             alias_database =\n\
             local_header_rewrite_clients =\n\
             append_dot_mydomain = no\n\
             disable_dns_lookups = yes\n\
             smtpd_peername_lookup = no\n\
             smtpd_relay_restrictions = reject_unauth_destination\n\
             smtpd_recipient_restrictions = check_recipient_access texthash:{home}/etc/recipients\n\
             smtpd_error_sleep_time = 0\n\
             smtpd_client_connection_count_limit = 0\n\
             smtpd_tls_loglevel = 1\n\
             smtpd_tls_received_header = yes\n\
             in_flow_delay = 0\n\
             biff = no\n\
             message_size_limit = 0\n\
             mailbox_size_limit = 0\n\
             virtual_mailbox_limit = 0\n\
             queue_minfree = 0\n\
             virtual_mailbox_domains = {domains}\n\
             virtual_mailbox_base = {home}/mail\n\
             virtual_mailbox_maps = static:box/\n\
             virtual_uid_maps = static:{COURIER}\n\
             virtual_gid_maps = static:{COURIER}\n",
            hostname = self.hostname,
            domains = self.domains.join(" "),
        );
        for (name, value) in &self.settings {
            let _ = writeln!(settings, "{name} = {value}");
        }
        settings
    }

    fn master_cf(&self) -> String {
        let mut services = String::new();
        for (socket, settings) in &self.services {
            let _ = write!(services, "{socket} inet n - n - - smtpd");
            for setting in settings {
                let _ = write!(services, " -o {setting}");
            }
            services.push('\n');
        }
        services + MASTER_CF
    }
}

impl World {
    /// Starts a Postfix, and returns once it listens.
    #[must_use]
    pub fn postfix(&self, postfix: Postfix) -> Mailbox {
        self.require(Needs::Postfix);
        // Postfix listens in the order of the services.
        let (last, _) = postfix.services.last().expect("a service");
        let home = self.scratch().join(format!("postfix-{}", postfix.address));
        make_home(&home);
        let etc = home.join("etc");
        write_old(&etc.join("main.cf"), &postfix.main_cf(&home));
        write_old(&etc.join("master.cf"), &postfix.master_cf());
        write_old(&etc.join("recipients"), RECIPIENTS);
        if let Some(configuration) = &postfix.sasl {
            // Where Debian's Postfix looks, below the directory of main.cf.
            make_directory(etc.join("sasl"), 0o755);
            write_old(&etc.join("sasl/smtpd.conf"), configuration);
        }
        let mut master = Command::new(daemon_directory().join("master"));
        master.arg("-d").arg("-c").arg(&etc);
        let daemon =
            Daemon::start(&format!("postfix on {}", postfix.address), &master, &home.join("log/master"))
                .with_log(&home.join("log/maillog"))
                .once_it_listens_on(*last);
        Mailbox::new(daemon, &home, "maillog")
    }
}

/// Writes a file as if a while ago: Postfix waits before it trusts a file that was just changed.
pub(crate) fn write_old(path: &Path, text: &str) {
    let mut file = File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.write_all(text.as_bytes()).expect("file of Postfix");
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("time of a file");
}

/// Where Postfix's own programs are, `master` among them.
fn daemon_directory() -> PathBuf {
    let directory = run(command("postconf").args(["-d", "-h", "daemon_directory"]));
    PathBuf::from(String::from_utf8(directory).expect("daemon_directory").trim())
}

/// The directories that `postfix start` would make, without the time it takes to check them.
fn make_home(home: &Path) {
    let owner = User::from_name("postfix").expect("user table").expect("user `postfix`").uid.as_raw();
    let postdrop = Group::from_name("postdrop").expect("group table").expect("group `postdrop`").gid.as_raw();
    for directory in ["etc", "queue", "queue/pid", "log"] {
        make_directory(home.join(directory), 0o755);
    }
    for queue in [
        "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved",
        "trace",
    ] {
        make_owned(&home.join("queue").join(queue), 0o700, owner, None);
    }
    make_owned(&home.join("queue/public"), 0o710, owner, Some(postdrop));
    make_owned(&home.join("queue/maildrop"), 0o730, owner, Some(postdrop));
    make_owned(&home.join("data"), 0o700, owner, None);
    make_box(home, COURIER);
}
