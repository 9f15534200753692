//! The programs that take turns, and their turns.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use world::World;

use crate::compiler::compile;
use crate::process::{Cost, Job};
use crate::statistics::{Spread, milliseconds};
use crate::{Anything, Options};

/// How a program's control files write a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// `relay;port`: s/qmail and this one.
    Semicolon,
    /// `relay:port`: qmail and notqmail.
    Colon,
}

/// The client that stands in for other programs where none is named.
const CLIENT: &str = include_str!("client.c");

/// A program of the contest.
#[derive(Clone, Debug)]
pub(crate) struct Contestant {
    /// What the table calls it.
    pub(crate) name: String,
    program: PathBuf,
    dialect: Dialect,
    /// False: it goes where a route sends it, and knows no DNS.
    pub(crate) resolves: bool,
}

/// The programs, and where they run.
pub(crate) struct Contest<'a> {
    /// The private machine.
    pub(crate) world: &'a World,
    /// The first one is the subject.
    pub(crate) contestants: Vec<Contestant>,
    /// The `qmail-remote-check` that writes the indexed form of lists.
    pub(crate) checker: Option<String>,
    runs: Option<usize>,
}

/// `PATH` or `NAME=PATH`, with `:colon` behind them.
fn named(word: &str) -> (&str, &str, Dialect) {
    let (word, dialect) = match word.strip_suffix(":colon") {
        Some(word) => (word, Dialect::Colon),
        None => (word, Dialect::Semicolon),
    };
    let (name, path) = word.split_once('=').unwrap_or(("qmail-remote", word));
    (name, path, dialect)
}

/// In whose name deliveries are made.
const SENDER: &str = "alice@sender.test";

impl<'a> Contest<'a> {
    /// `programs` are `PATH` or `NAME=PATH`, with `:colon` behind them for the older way to write ports. They are copied
    /// to where every user may run them.
    pub(crate) fn prepare(world: &'a World, options: &Options) -> Anything<Contest<'a>> {
        world.control("me", "client.sender.test\n");
        let mut contestants = Vec::new();
        for word in &options.programs {
            let (name, path, dialect) = named(word);
            let program = world.scratch().join(name);
            fs::copy(path, &program).map_err(|error| format!("{path}: {error}"))?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
            contestants.push(Contestant { name: name.to_owned(), program, dialect, resolves: true });
        }
        Ok(Contest { world, contestants, checker: options.checker.clone(), runs: options.runs })
    }

    /// Lets the client in C take turns with a program that is alone.
    pub(crate) fn add_client(&mut self) -> Anything<()> {
        if self.contestants.len() == 1 {
            let program = self.world.scratch().join("client");
            let control = format!("-DCONTROL=\"{}\"", self.world.control_directory().display());
            compile(CLIENT, &[&control, "-lssl", "-lcrypto"], &program)?;
            let name = "a bare client in C".to_owned();
            self.contestants.push(Contestant { name, program, dialect: Dialect::Semicolon, resolves: false });
        }
        Ok(())
    }

    /// How often each is run where this many times are usual.
    pub(crate) fn runs(&self, usual: usize) -> usize {
        self.runs.unwrap_or(usual)
    }

    /// A file with this message.
    pub(crate) fn message(&self, octets: usize) -> PathBuf {
        let line = [vec![b'x'; 75], b"\n".to_vec()].concat();
        let lines = octets / line.len();
        let text = [b"Subject: bench\n\n".to_vec(), line.repeat(lines)].concat();
        self.world.file(&format!("message-{octets}"), text)
    }

    /// Runs the jobs in turn, after one round that does not count, and gives the costs of each. `good` judges the output.
    pub(crate) fn take_turns(&self, jobs: &[Turn], usual: usize) -> Anything<Vec<Costs>> {
        let mut costs = vec![Costs::default(); jobs.len()];
        for round in 0..=self.runs(usual) {
            for (turn, costs) in jobs.iter().zip(&mut costs) {
                if let Some((contestant, address, port)) = &turn.route {
                    self.set_route(contestant, address, *port);
                }
                let (Cost { wall, cpu }, output) = turn.job.run()?;
                if !output.stdout.starts_with(turn.begins_with) {
                    return Err(format!("unexpected result: {}", output.stdout.escape_ascii()).into());
                }
                if round > 0 {
                    costs.wall.push(milliseconds(wall));
                    costs.cpu.push(milliseconds(cpu));
                }
            }
        }
        Ok(costs)
    }

    /// Everything goes to this server.
    pub(crate) fn set_route(&self, contestant: &Contestant, address: &str, port: u16) {
        self.world.control("smtproutes", contestant.route(address, port));
    }
}

impl Contestant {
    /// The route of everything to one server.
    fn route(&self, address: &str, port: u16) -> String {
        match self.dialect {
            Dialect::Semicolon => format!(":{address};{port}\n"),
            Dialect::Colon => format!(":{address}:{port}\n"),
        }
    }

    /// A delivery to so many recipients at `host`.
    pub(crate) fn delivery(&self, host: &str, recipients: usize, message: &Path) -> Job {
        let recipients = (0..recipients).map(|number| format!("bob{number}@{host}"));
        let words = [host.to_owned(), SENDER.to_owned()].into_iter().chain(recipients);
        Job::bare(&self.program).arguments(words).message(message)
    }

    /// The program with these words.
    pub(crate) fn with(&self, words: &[&str], message: &Path) -> Job {
        Job::bare(&self.program).arguments(words).message(message)
    }
}

/// What is run, and what it must print.
pub(crate) struct Turn {
    job: Job,
    begins_with: &'static [u8],
    /// Written before each run: whose route, to where.
    route: Option<(Contestant, String, u16)>,
}

impl Turn {
    /// A job that prints this first.
    pub(crate) fn new(job: Job, begins_with: &'static [u8]) -> Turn {
        Turn { job, begins_with, route: None }
    }

    /// A job that delivers.
    pub(crate) fn delivers(job: Job) -> Turn {
        Turn::new(job, b"r\0")
    }

    /// The same, by a route to this server.
    pub(crate) fn by(mut self, contestant: &Contestant, address: impl ToString, port: u16) -> Turn {
        self.route = Some((contestant.clone(), address.to_string(), port));
        self
    }
}

/// Milliseconds of every run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costs {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Costs {
    /// From start to end.
    pub(crate) fn wall(&self) -> Anything<Spread> {
        Spread::of(self.wall.clone()).ok_or("no runs".into())
    }

    /// Processor time.
    pub(crate) fn cpu(&self) -> Anything<Spread> {
        Spread::of(self.cpu.clone()).ok_or("no runs".into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use world::Needs;
    use world::certificates::Authority;

    use super::*;
    use crate::sink::{Manner, Sink};

    #[test]
    fn the_client_delivers_in_clear_and_under_tls() {
        world::in_world(|world| {
            world.require(Needs::ManyUids);
            let mut contest = Contest::prepare(world, &Options::default()).unwrap();
            contest.contestants.push(Contestant {
                name: "subject".into(),
                program: "/bin/false".into(),
                dialect: Dialect::Semicolon,
                resolves: true,
            });
            contest.add_client().unwrap();
            let client = contest.contestants.last().unwrap();
            let identity = Authority::new("Bench").unwrap().issue(&["sink.test"]).unwrap();
            let message = contest.message(1000);
            for (port, acceptor) in [(2501, None), (2502, Some(Arc::new(identity.acceptor().unwrap())))] {
                let manner = Manner { extensions: &[], acceptor, holds: None };
                let sink = Sink::start(format!("192.0.2.10:{port}").parse().unwrap(), manner).unwrap();
                contest.set_route(client, "192.0.2.10", port);
                let (_, output) = client.delivery("example.test", 2, &message).run().unwrap();
                assert_eq!(output.stdout, b"r\0r\0K192.0.2.10 accepted message.\n\0", "port {port}");
                assert!(sink.octets() > 1000, "port {port}: {}", sink.octets());
            }
        });
    }

    #[test]
    fn a_program_has_a_name_and_a_dialect() {
        assert_eq!(named("a/b"), ("qmail-remote", "a/b", Dialect::Semicolon));
        assert_eq!(named("c=a/b"), ("c", "a/b", Dialect::Semicolon));
        assert_eq!(named("c=a/b:colon"), ("c", "a/b", Dialect::Colon));
    }

    #[test]
    fn each_dialect_writes_its_routes() {
        let contestant = |dialect| {
            Contestant { name: String::new(), program: PathBuf::new(), dialect, resolves: true }
                .route("192.0.2.1", 26)
        };
        assert_eq!(contestant(Dialect::Semicolon), ":192.0.2.1;26\n");
        assert_eq!(contestant(Dialect::Colon), ":192.0.2.1:26\n");
    }
}
