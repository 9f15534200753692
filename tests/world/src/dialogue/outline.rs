//! The outer shape of a dialogue file: directives at the left margin, their blocks indented by four
//! spaces, comments. Says nothing about what a directive means.

use std::fmt;

/// What is wrong with a dialogue file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The line, counted from 1; 0 when the file as a whole lacks something.
    pub line: usize,
    /// What is wrong, in words.
    pub what: String,
}

impl ParseError {
    pub(super) fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}

impl std::error::Error for ParseError {}

/// One line, and where it stood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) text: &'a str,
}

/// A directive, or a step with a block of its own: a head and the lines indented below it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    pub(super) head: Line<'a>,
    /// Without their indentation.
    pub(super) lines: Vec<Line<'a>>,
}

impl<'a> Block<'a> {
    /// The head's first word, and what follows the blanks after it.
    pub(super) fn split(&self) -> (&'a str, &'a str) {
        let (word, rest) = self.head.text.split_once(' ').unwrap_or((self.head.text, ""));
        (word, rest.trim_start())
    }
}

/// The width of one level of indentation.
const INDENTATION: &str = "    ";

/// Splits a file into its directives. Comments (`#` at the margin) and empty lines fall away.
pub(super) fn directives(text: &str) -> Result<Vec<Block<'_>>, ParseError> {
    let mut lines = Vec::new();
    for (number, text) in (1..).zip(text.split('\n')) {
        if text.ends_with([' ', '\t', '\r']) {
            return Err(ParseError::new(number, "ends in a blank, which nobody sees: write it as an escape"));
        }
        if text.starts_with('\t') {
            return Err(ParseError::new(number, "indented by a tab; use four spaces"));
        }
        if !text.is_empty() && !text.starts_with('#') {
            lines.push(Line { number, text });
        }
    }
    blocks(lines)
}

/// Groups lines into heads and what is indented below them.
pub(super) fn blocks(lines: Vec<Line<'_>>) -> Result<Vec<Block<'_>>, ParseError> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for Line { number, text } in lines {
        if let Some(inner) = text.strip_prefix(INDENTATION) {
            let block = blocks
                .last_mut()
                .ok_or_else(|| ParseError::new(number, "indented, but below no line it could belong to"))?;
            block.lines.push(Line { number, text: inner });
        } else if text.starts_with(' ') {
            return Err(ParseError::new(number, "indented by other than four spaces"));
        } else {
            blocks.push(Block { head: Line { number, text }, lines: Vec::new() });
        }
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_keep_line_numbers_and_inner_indentation() {
        let found = directives("# c\nhost a.test\n\nserver x\n    body is\n        .\\r\\n\n").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].split(), ("host", "a.test"));
        assert_eq!(found[1].head.number, 4);
        assert_eq!(found[1].lines[1], Line { number: 6, text: "    .\\r\\n" });
    }

    #[test]
    fn invisible_differences_are_refused() {
        for text in ["host a \n", "\thost a\n", "  host a\n", "    host a\n", "host a\r\n"] {
            assert_eq!(directives(text).unwrap_err().line, 1, "{text:?}");
        }
    }
}
