//! The directives of a dialogue file. Strict: what is misspelt, missing or said twice is an error with
//! its line, never a test that checks less than it seems to.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt as _;

use super::case::{Dialogue, Feed, Server, Step};
use super::escapes::unescape;
use super::outline::{Block, ParseError, directives};
use super::steps::{concatenate, connections, quoted};
use crate::dns_stub::Zone;
use crate::rspawn::Letter;

/// `control/me` unless the file has its own.
const OWN_NAME: &[u8] = b"client.example.test\n";

/// What was collected so far.
#[derive(Default)]
struct Draft {
    controls: Vec<(String, Vec<u8>)>,
    absent: Vec<String>,
    host: Option<OsString>,
    sender: Option<OsString>,
    recipients: Vec<OsString>,
    message: Option<Vec<u8>>,
    feed: Option<Feed>,
    servers: Vec<Server>,
    silent: Vec<SocketAddr>,
    zone: Option<String>,
    certificate_names: Vec<String>,
    expected: Option<Vec<u8>>,
    exit: Option<i32>,
    belief: Option<Letter>,
}

impl Dialogue {
    /// Reads a dialogue file.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut draft = Draft::default();
        for block in directives(text)? {
            draft.add(block)?;
        }
        draft.finish()
    }
}

impl Draft {
    fn add(&mut self, block: Block<'_>) -> Result<(), ParseError> {
        let line = block.head.number;
        let wrong = |what: String| ParseError::new(line, what);
        let (word, rest) = block.split();
        let takes_block = ["control", "message", "expect", "server", "dns"].contains(&word);
        if !takes_block && !block.lines.is_empty() {
            return Err(wrong(format!("`{word}` takes no lines below it")));
        }
        let argument = || unescape(rest).map(OsString::from_vec).map_err(wrong);
        match word {
            "control" => {
                let mut text = Vec::new();
                for line in &block.lines {
                    text.extend(unescape(line.text).map_err(|what| ParseError::new(line.number, what))?);
                    text.push(b'\n');
                }
                self.controls.push((rest.to_owned(), text));
            }
            "no" => {
                let name =
                    rest.strip_prefix("control ").ok_or_else(|| wrong("`no control NAME`".to_owned()))?;
                self.absent.push(name.to_owned());
            }
            "host" => once(&mut self.host, argument()?, line)?,
            "sender" => once(&mut self.sender, argument()?, line)?,
            "recipient" => self.recipients.push(argument()?),
            "message" => self.add_message(&block, rest)?,
            "server" => {
                let address = address(rest).map_err(wrong)?;
                let connections = connections(line, block.lines)?;
                self.servers.push(Server { line, address, connections });
            }
            "silent" => self.silent.push(address(rest).map_err(wrong)?),
            // Nothing listens where no server is described; saying so helps the reader.
            "refuse" => drop(address(rest).map_err(wrong)?),
            "dns" => {
                let zone = block.lines.iter().flat_map(|line| [line.text, "\n"]).collect();
                for line in &block.lines {
                    Zone::parse(line.text).map_err(|error| ParseError::new(line.number, error.what))?;
                }
                once(&mut self.zone, zone, line)?;
            }
            "certificate" => self.certificate_names.extend(rest.split_whitespace().map(str::to_owned)),
            "expect" => {
                let more = text_block(&block, rest)?;
                self.expected.get_or_insert_default().extend(more);
            }
            "exit" => {
                let status = rest.parse().map_err(|_| wrong(format!("`{rest}` is not an exit status")))?;
                once(&mut self.exit, status, line)?;
            }
            "belief" => once(&mut self.belief, letter(rest).map_err(wrong)?, line)?,
            other => return Err(wrong(format!("no directive is called `{other}`"))),
        }
        Ok(())
    }

    /// `message`, `message pipe`, `message repeat N "TEXT"`; several add up.
    fn add_message(&mut self, block: &Block<'_>, rest: &str) -> Result<(), ParseError> {
        let (feed, rest) = match rest.split_once(' ').unwrap_or((rest, "")) {
            ("pipe", rest) => (Some(Feed::Pipe), rest),
            ("file", rest) => (Some(Feed::File), rest),
            _ => (None, rest),
        };
        if let Some(feed) = feed {
            once(&mut self.feed, feed, block.head.number)?;
        }
        let more = text_block(block, rest)?;
        self.message.get_or_insert_default().extend(more);
        Ok(())
    }

    fn finish(mut self) -> Result<Dialogue, ParseError> {
        let missing = |what: &str| ParseError::new(0, format!("the file has no `{what}`"));
        if !["me"].iter().any(|name| self.mentions(name)) {
            self.controls.push(("me".to_owned(), OWN_NAME.to_vec()));
        }
        if let Some((name, _)) = self.controls.iter().find(|(name, _)| self.absent.contains(name)) {
            return Err(ParseError::new(0, format!("control file `{name}` both described and absent")));
        }
        if self.sender.is_none() && !self.recipients.is_empty() {
            return Err(missing("sender"));
        }
        let arguments = self.host.into_iter().chain(self.sender).chain(self.recipients).collect();
        if self.certificate_names.is_empty() {
            self.certificate_names.push("mx1.example.test".to_owned());
        }
        let message = self.message.ok_or_else(|| missing("message"))?;
        let connections = self.servers.iter_mut().flat_map(|server| &mut server.connections);
        for step in connections.flat_map(|connection| &mut connection.steps) {
            if let Step::Package(package) = &mut step.what {
                package.message = [b"\n", message.as_slice()].concat();
            }
        }
        Ok(Dialogue {
            controls: self.controls,
            arguments,
            message,
            feed: self.feed.unwrap_or(Feed::File),
            servers: self.servers,
            silent: self.silent,
            zone: self.zone,
            certificate_names: self.certificate_names,
            expected: self.expected.ok_or_else(|| missing("expect"))?,
            exit: self.exit.unwrap_or(0),
            belief: self.belief.ok_or_else(|| missing("belief"))?,
        })
    }

    fn mentions(&self, control: &str) -> bool {
        self.absent.iter().any(|name| name == control)
            || self.controls.iter().any(|(name, _)| name == control)
    }
}

fn once<T>(place: &mut Option<T>, value: T, line: usize) -> Result<(), ParseError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ParseError::new(line, "said twice")),
    }
}

/// The block's lines one after the other, or `repeat N "TEXT"`.
fn text_block(block: &Block<'_>, rest: &str) -> Result<Vec<u8>, ParseError> {
    let wrong = |what: String| ParseError::new(block.head.number, what);
    if rest.is_empty() {
        return concatenate(&block.lines);
    }
    let repeat = rest.strip_prefix("repeat ").and_then(|rest| rest.split_once(' '));
    let (count, text) =
        repeat.ok_or_else(|| wrong(format!("`repeat N \"TEXT\"`, or nothing, not `{rest}`")))?;
    let count = count.parse().map_err(|_| wrong(format!("`{count}` is not a number")))?;
    let (text, rest) = quoted(text).map_err(wrong)?;
    if !rest.is_empty() || !block.lines.is_empty() {
        return Err(wrong("`repeat` is alone on its line, with no lines below it".to_owned()));
    }
    Ok(text.repeat(count))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address like 192.0.2.10:25 or [2001:db8::10]:25"))
}

fn letter(text: &str) -> Result<Letter, String> {
    match text {
        "K" => Ok(Letter::K),
        "Z" => Ok(Letter::Z),
        "D" => Ok(Letter::D),
        other => Err(format!("the queue believes K, Z or D, not `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::case::{Body, Ending, Times};
    use super::*;

    const SMALL: &str =
        "host example.test\nsender a@b\nrecipient c@d\nmessage\n    x\\n\nexpect\n    Z\\0\nbelief Z\n";

    #[test]
    fn a_small_file_has_the_defaults() {
        let dialogue = Dialogue::parse(SMALL).unwrap();
        assert_eq!(dialogue.arguments, ["example.test", "a@b", "c@d"]);
        assert_eq!(dialogue.message, b"x\n");
        assert_eq!(dialogue.controls, [("me".to_owned(), b"client.example.test\n".to_vec())]);
        assert_eq!((dialogue.exit, dialogue.feed, dialogue.belief), (0, Feed::File, Letter::Z));
        assert_eq!(dialogue.expected, b"Z\0");
    }

    #[test]
    fn texts_add_up_and_repeat() {
        let text = format!("{SMALL}message repeat 3 \"y\\\"\\n\"\nexpect repeat 2 \"ab\"\n");
        let dialogue = Dialogue::parse(&text).unwrap();
        assert_eq!(dialogue.message, b"x\ny\"\ny\"\ny\"\n");
        assert_eq!(dialogue.expected, b"Z\0abab");
    }

    #[test]
    fn a_server_has_connections_with_steps_and_an_end() {
        let text = format!(
            "{SMALL}server [2001:db8::10]:25\n    s: 220 hi\n    # a comment\n    c~ EHLO\n    body is\n        .\\r\\n\n    \
             drip \"x\" forever every 300ms\n    close\n    connection\n    s+ \\x00\n    quit\nserver 192.0.2.1:25\n    never\n"
        );
        let dialogue = Dialogue::parse(&text).unwrap();
        let [server, unused] = dialogue.servers.as_slice() else { panic!() };
        assert_eq!(server.connections.len(), 2);
        let steps: Vec<_> = server.connections[0].steps.iter().map(|step| &step.what).collect();
        assert_eq!(*steps[0], Step::Send(b"220 hi\r\n".to_vec()));
        assert_eq!(*steps[1], Step::LinePrefix(b"EHLO".to_vec()));
        assert_eq!(*steps[2], Step::Body(Body::Is(b".\r\n".to_vec())));
        let pause = Duration::from_millis(300);
        assert_eq!(*steps[3], Step::Drip { text: b"x".to_vec(), times: Times::Forever, pause });
        assert_eq!(server.connections[0].ending.what, Ending::Close);
        assert_eq!(server.connections[0].ending.line, 16);
        assert!(unused.connections.is_empty());
    }

    #[test]
    fn mistakes_are_errors_with_their_line() {
        for (text, line) in [
            ("", 0),
            ("expec\n", 1),
            ("host a\nhost b\n", 2),
            ("server 192.0.2.1\n    hold\n", 1),
            ("server 192.0.2.1:25\n    s: 220 x\n", 1),
            ("server 192.0.2.1:25\n    say 220 x\n", 2),
            ("server 192.0.2.1:25\n    hold\n    s: 220\n", 3),
            ("server 192.0.2.1:25\n    hold now\n", 2),
            ("server 192.0.2.1:25\n    drip \"x forever\n    hold\n", 2),
            ("server 192.0.2.1:25\n    s: 220\n        250\n    hold\n", 2),
            ("belief X\n", 1),
            ("within 2s\n", 1),
            ("dns\n    a.test A one\n", 2),
            ("message\n    \\q\n", 2),
            ("control me\n    a\nno control me\nmessage\nexpect\nbelief Z\n", 0),
        ] {
            let error = Dialogue::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
        }
    }
}
