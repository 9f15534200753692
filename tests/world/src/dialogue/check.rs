//! Runs the program against a dialogue's servers and compares everything that can be seen.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::case::{Dialogue, Feed};
use super::escapes::escape;
use super::servers::Mismatch;
use crate::delivery::{Delivery, Identity};
use crate::message::Message;
use crate::outcome::Outcome;
use crate::patience::LONG_ENOUGH;
use crate::world::{Needs, World};

impl Dialogue {
    /// Plays the dialogue in `world` with the program `binary`.
    ///
    /// # Errors
    /// All differences, in words, with the file's lines where there are such.
    pub fn check(&self, binary: &Path, world: &mut World) -> Result<(), String> {
        if self.uses_ipv6() {
            world.require(Needs::Ipv6);
        }
        for (name, text) in &self.controls {
            world.control(name, text);
        }
        let servers = self.serve().map_err(|error| format!("the servers do not start: {error}"))?;
        let authority = servers.authority().identity().certificate.to_pem();
        world.control("ca.pem", authority.map_err(|error| error.to_string())?);

        let message = match self.feed {
            Feed::File => Message::Bytes(self.message.clone()),
            Feed::Pipe => Message::Pipe(self.message.clone()),
        };
        let delivery = Delivery::new(binary).identity(Identity::Qmailr).message(message);
        let delivery = self.arguments.iter().fold(delivery, Delivery::argument);
        let (outcome, hung) = delivery.start().wait_within(LONG_ENOUGH);

        let mut differences = self.compare(&outcome);
        if hung {
            differences.push(format!("killed: it had not ended after {} s", LONG_ENOUGH.as_secs()));
        }
        differences.extend(servers.finish().iter().map(Mismatch::to_string));
        if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
    }

    fn uses_ipv6(&self) -> bool {
        let servers = self.servers.iter().map(|server| &server.address);
        servers.chain(&self.silent).any(SocketAddr::is_ipv6)
    }

    fn compare(&self, outcome: &Outcome) -> Vec<String> {
        let mut differences = Vec::new();
        if outcome.stdout != self.expected {
            differences.push(format!(
                "the reports differ\n  expected:{}\n  seen:    {}",
                reports(&self.expected),
                reports(&outcome.stdout)
            ));
        }
        if !outcome.stderr.is_empty() {
            differences.push(format!("fd 2 is not empty: {}", escape(&outcome.stderr)));
        }
        if outcome.status.code() != Some(self.exit) {
            differences.push(format!("it ended with {}, expected is {}", outcome.status, self.exit));
        }
        let belief = outcome.belief();
        if belief.letter != self.belief {
            differences
                .push(format!("the queue believes {:?}, expected is {:?}", belief.letter, self.belief));
        }
        differences
    }
}

/// Output with each report on a line of its own.
fn reports(output: &[u8]) -> String {
    if output.is_empty() {
        return " (nothing)".to_owned();
    }
    output.split_inclusive(|byte| *byte == 0).fold(String::new(), |mut text, report| {
        let _ = write!(text, "\n    {}", escape(report));
        text
    })
}
