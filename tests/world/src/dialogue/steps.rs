//! The lines of a `server` block: what the server sends, what it expects, how it ends.

use std::time::Duration;

use super::case::{Body, Connection, Ending, Placed, Step, Times};
use super::escapes::unescape;
use super::outline::{Block, Line, ParseError, blocks};
use crate::netstring::Package;

/// A step or the end of a connection.
enum Word {
    Step(Step),
    Ending(Ending),
}

/// Parses the block of the `server` directive at `line`.
pub(super) fn connections(line: usize, lines: Vec<Line<'_>>) -> Result<Vec<Connection>, ParseError> {
    // A comment may stand between steps: no step starts with `#`.
    let lines = lines.into_iter().filter(|line| !line.text.trim_start().starts_with('#')).collect();
    let found = blocks(lines)?;
    if let [only] = found.as_slice()
        && only.head.text == "never"
    {
        return Ok(Vec::new());
    }

    let mut connections = Vec::new();
    let mut begin = line;
    let mut steps: Vec<Placed<Step>> = Vec::new();
    let mut ending: Option<Placed<Ending>> = None;
    for block in &found {
        let line = block.head.number;
        if block.head.text == "connection" {
            if ending.is_some() || !steps.is_empty() {
                connections.push(connection(begin, std::mem::take(&mut steps), ending.take())?);
            }
            begin = line;
            continue;
        }
        if ending.is_some() {
            return Err(ParseError::new(
                line,
                "the connection has ended above; `connection` begins the next",
            ));
        }
        match word(block)? {
            Word::Step(what) => steps.push(Placed { line, what }),
            Word::Ending(what) => ending = Some(Placed { line, what }),
        }
    }
    connections.push(connection(begin, steps, ending)?);
    Ok(connections)
}

fn connection(
    line: usize,
    steps: Vec<Placed<Step>>,
    ending: Option<Placed<Ending>>,
) -> Result<Connection, ParseError> {
    let ending = ending.ok_or_else(|| {
        ParseError::new(
            line,
            "the connection does not say how it ends: quit, bye, eof, abandoned, hold, stall, close, reset",
        )
    })?;
    Ok(Connection { line, steps, ending })
}

fn word(block: &Block<'_>) -> Result<Word, ParseError> {
    let line = block.head.number;
    let wrong = |what: String| ParseError::new(line, what);
    let (word, rest) = block.split();
    let may_have_lines = matches!((word, rest), ("body" | "chunk", "is")) || word == "package";
    if !(block.lines.is_empty() || may_have_lines) {
        return Err(wrong(format!("`{word}` takes no lines below it")));
    }
    let bare = |ending: Ending| match rest {
        "" => Ok(Word::Ending(ending)),
        more => Err(wrong(format!("`{word}` takes nothing after it, but there is `{more}`"))),
    };
    Ok(Word::Step(match word {
        "s:" => Step::Send([unescape(rest).map_err(wrong)?, b"\r\n".to_vec()].concat()),
        "s+" => Step::Send(unescape(rest).map_err(wrong)?),
        "c:" => Step::Line(unescape(rest).map_err(wrong)?),
        "c~" => Step::LinePrefix(unescape(rest).map_err(wrong)?),
        "tls" => Step::Tls((!rest.is_empty()).then(|| rest.to_owned())),
        "body" => Step::Body(body(block, rest)?),
        "chunk" => Step::Chunk(body(block, rest)?),
        "package" => package(block, rest)?,
        "read" => Step::Read(rest.parse().map_err(|_| wrong(format!("`{rest}` is not a number of bytes")))?),
        "pause" => Step::Pause(duration(rest).map_err(wrong)?),
        "drip" => drip(rest).map_err(wrong)?,
        "quit" => return bare(Ending::Quit),
        "bye" => return bare(Ending::Bye),
        "eof" => return bare(Ending::Eof),
        "abandoned" => return bare(Ending::Abandoned),
        "hold" => return bare(Ending::Hold),
        "stall" => return bare(Ending::Stall),
        "close" => return bare(Ending::Close),
        "reset" => return bare(Ending::Reset),
        other => return Err(wrong(format!("no step is called `{other}`"))),
    }))
}

fn body(block: &Block<'_>, kind: &str) -> Result<Body, ParseError> {
    match kind {
        "" => Ok(Body::Any),
        "converted" => Ok(Body::Converted),
        "is" => Ok(Body::Is(concatenate(&block.lines)?)),
        other => Err(ParseError::new(
            block.head.number,
            format!("nothing, `is` or `converted` follows, not `{other}`"),
        )),
    }
}

/// The message is not known here: the file's, which may stand below.
fn package(block: &Block<'_>, kind: &str) -> Result<Step, ParseError> {
    if kind == "is" {
        return Ok(Step::PackageIs(concatenate(&block.lines)?));
    }
    let wrong = |what: &str| ParseError::new(block.head.number, what);
    if !kind.is_empty() {
        return Err(wrong("`package` or `package is`"));
    }
    let line = |line: &Line<'_>| unescape(line.text).map_err(|what| ParseError::new(line.number, what));
    let mut addresses = block.lines.iter().map(line).collect::<Result<Vec<_>, _>>()?.into_iter();
    let sender = match addresses.next().as_deref() {
        Some(b"<>") => Vec::new(),
        Some(sender) => sender.to_vec(),
        None => return Err(wrong("the lines below `package` are the sender and the recipients")),
    };
    Ok(Step::Package(Package { message: Vec::new(), sender, recipients: addresses.collect() }))
}

/// The bytes of escaped lines, one after the other, with nothing between them.
pub(super) fn concatenate(lines: &[Line<'_>]) -> Result<Vec<u8>, ParseError> {
    let parts: Result<Vec<_>, _> = lines
        .iter()
        .map(|line| unescape(line.text).map_err(|what| ParseError::new(line.number, what)))
        .collect();
    Ok(parts?.concat())
}

/// `"TEXT" forever|N times [every DURATION]`
fn drip(rest: &str) -> Result<Step, String> {
    let (text, rest) = quoted(rest)?;
    let (times, rest) = match rest.strip_prefix("forever") {
        Some(rest) => (Times::Forever, rest),
        None => {
            let (count, rest) = rest.split_once(" times").ok_or("after the text: `forever` or `N times`")?;
            (Times::Count(count.parse().map_err(|_| format!("`{count}` is not a number"))?), rest)
        }
    };
    let pause = match rest.trim_start() {
        "" => Duration::ZERO,
        rest => duration(rest.strip_prefix("every ").ok_or("`every` and a time, or nothing, comes last")?)?,
    };
    Ok(Step::Drip { text, times, pause })
}

/// Text in double quotes with escapes, and what follows it.
pub(super) fn quoted(text: &str) -> Result<(Vec<u8>, &str), String> {
    let inner = text.strip_prefix('"').ok_or("text in double quotes is expected here")?;
    let mut escaped = false;
    for (at, character) in inner.char_indices() {
        match character {
            '"' if !escaped => {
                let (text, rest) = inner.split_at(at);
                return Ok((unescape(text)?, rest.trim_start_matches('"').trim_start()));
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Err("the double quotes are not closed".to_owned())
}

/// `300ms` or `2s`.
fn duration(text: &str) -> Result<Duration, String> {
    let number =
        |digits: &str| digits.parse().map_err(|_| format!("`{text}` is not a time like 300ms or 2s"));
    match text.strip_suffix("ms") {
        Some(digits) => Ok(Duration::from_millis(number(digits)?)),
        None => Ok(Duration::from_secs(number(text.strip_suffix('s').unwrap_or("?"))?)),
    }
}
