//! Real DNS for a test: nsd serves all zones, unbound validates them from the private root down, on
//! `127.0.0.1:53` where the private `/etc/resolv.conf` points.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::daemon::Daemon;
use crate::programs::command;
use crate::world::{Needs, World, make_directory};
use crate::zones::{NAME_SERVER, Published, SILENT_SERVER, Zones};

/// Running name servers; they end when this is dropped, and port 53 is free again.
#[derive(Debug)]
pub struct Dns {
    /// unbound, on `127.0.0.1:53`.
    pub resolver: Daemon,
    /// nsd, which answers for all zones.
    pub authority: Daemon,
    log: PathBuf,
    /// What is sent there waits for ever.
    _silence: UdpSocket,
}

impl Dns {
    /// Whether the resolver was asked for this name, without a dot at its end, and type. What a delivery that has ended
    /// asked for is known.
    #[must_use]
    pub fn was_asked(&self, name: &str, kind: &str) -> bool {
        let log = fs::read_to_string(&self.log).expect("log of unbound");
        let question = format!("{name}. {kind} IN").to_lowercase();
        log.lines().any(|line| line.to_lowercase().ends_with(&format!(" {question}")))
    }

    /// Stops both servers: nothing is on port 53 any more.
    pub fn stop(self) {}
}

impl World {
    /// Serves these zones. Without this call, port 53 is closed.
    #[must_use]
    pub fn dns(&self, zones: &Zones) -> Dns {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        self.require(Needs::NameServers);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let directory = self.scratch().join(format!("dns-{serial}"));
        make_directory(&directory, 0o755);
        let published = zones.publish(&directory);

        let configuration = directory.join("nsd.conf");
        fs::write(&configuration, nsd_conf(&directory, &published)).expect("nsd.conf");
        let mut nsd = command("nsd");
        nsd.arg("-d").arg("-c").arg(&configuration);
        let authority = Daemon::start("nsd", &nsd, &directory.join("nsd.log"));

        let configuration = directory.join("unbound.conf");
        fs::write(&configuration, unbound_conf(&directory, &published, zones)).expect("unbound.conf");
        fs::write(directory.join("root.hints"), format!(". 3600 NS ns.\nns. 3600 A {NAME_SERVER}\n"))
            .expect("root.hints");
        let mut unbound = command("unbound");
        unbound.arg("-d").arg("-c").arg(&configuration);
        let log = directory.join("unbound.log");
        let resolver = Daemon::start("unbound", &unbound, &log);

        Dns {
            log,
            _silence: UdpSocket::bind(port_53(SILENT_SERVER)).expect("port of the silent name server"),
            authority: authority.once_it_listens_on(port_53(NAME_SERVER)),
            resolver: resolver.once_it_listens_on(port_53("127.0.0.1")),
        }
    }
}

fn port_53(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().expect("address"), 53)
}

fn nsd_conf(directory: &Path, published: &Published) -> String {
    let directory = directory.display();
    let server = format!(
        "server:\n ip-address: {NAME_SERVER}\n server-count: 1\n username: \"\"\n chroot: \"\"\n\
         \x20database: \"\"\n pidfile: \"\"\n zonesdir: \"{directory}\"\n xfrdir: \"{directory}\"\n\
         \x20zonelistfile: \"{directory}/zone.list\"\n xfrdfile: \"\"\n rrl-ratelimit: 0\n\
         remote-control:\n control-enable: no\n"
    );
    let zone = |(name, file): &(String, PathBuf)| {
        format!("zone:\n name: \"{name}\"\n zonefile: \"{}\"\n", file.display())
    };
    server + &published.files.iter().map(zone).collect::<String>()
}

fn unbound_conf(directory: &Path, published: &Published, zones: &Zones) -> String {
    let directory = directory.display();
    let trust_anchor = published.trust_anchor.display();
    // Some names, `test` among them, are answered by unbound itself unless told otherwise.
    let mut conf = format!(
        "server:\n interface: 127.0.0.1\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n\
         \x20directory: \"{directory}\"\n pidfile: \"\"\n use-syslog: no\n verbosity: 1\n\
         \x20num-threads: 1\n module-config: \"validator iterator\"\n root-hints: \"{directory}/root.hints\"\n\
         \x20trust-anchor-file: \"{trust_anchor}\"\n do-not-query-localhost: no\n\
         \x20local-zone: \"test.\" nodefault\n qname-minimisation: no\n target-fetch-policy: \"0 0 0 0 0\"\n\
         \x20log-servfail: yes\n log-queries: yes\n val-log-level: 2\n"
    );
    for option in &zones.unbound_options {
        conf.push_str(&format!(" {option}\n"));
    }
    conf + "remote-control:\n control-enable: no\n"
}
