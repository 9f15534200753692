//! Complete deliveries as text files: control files, arguments, message, the servers' lines, the
//! reports expected. `tests/dialogues/README.md` describes the format; a new case needs no code.
//!
//! A file becomes a [`Dialogue`] ([`parse`](Dialogue::parse)); its servers run as threads
//! ([`serve`](Dialogue::serve)); [`check`](Dialogue::check) runs the program against them and compares
//! everything that both sides saw.

mod case;
mod check;
mod chunked;
mod connection;
mod escapes;
mod outline;
mod parse;
mod pipelined;
mod servers;
mod steps;
mod wire_form;

pub use case::{Body, Connection, Dialogue, Ending, Feed, Placed, Server, Step, Times};
pub use escapes::{escape, unescape};
pub use outline::ParseError;
pub use servers::{Mismatch, Servers, Silent};
pub use wire_form::{chunk_form, wire_form};

#[cfg(test)]
mod tests;
