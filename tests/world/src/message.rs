//! The message as a delivery finds it on fd 0: a file, a pipe, or something that is neither.

use std::fs::{self, File};
use std::io::PipeWriter;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::delivery::serial;

/// What the program gets as fd 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A regular file of these bytes, without a name, at offset 0.
    Bytes(Vec<u8>),
    /// This file.
    File(PathBuf),
    /// This file, open for writing, too.
    Writable(PathBuf),
    /// A pipe through which these bytes come.
    Pipe(Vec<u8>),
    /// `/`, which cannot be read.
    Directory,
    /// Nothing: the descriptor is closed.
    Closed,
}

impl Message {
    /// A regular file of these bytes.
    pub fn bytes(content: impl AsRef<[u8]>) -> Message {
        Message::Bytes(content.as_ref().to_vec())
    }

    /// The descriptor, and what is to be fed into it while the program runs.
    pub(crate) fn open(self) -> (Stdio, Option<(PipeWriter, Vec<u8>)>) {
        match self {
            Message::Bytes(bytes) => (nameless_file(&bytes).into(), None),
            Message::File(path) => {
                let file = File::open(&path);
                (file.unwrap_or_else(|error| panic!("{}: {error}", path.display())).into(), None)
            }
            Message::Writable(path) => {
                let file = File::options().read(true).write(true).open(&path);
                (file.unwrap_or_else(|error| panic!("{}: {error}", path.display())).into(), None)
            }
            Message::Pipe(bytes) => {
                let (reader, writer) = std::io::pipe().expect("pipe for the message");
                (reader.into(), Some((writer, bytes)))
            }
            Message::Directory => (File::open("/").expect("/").into(), None),
            Message::Closed => (Stdio::null(), None),
        }
    }
}

/// A regular file, open for reading, whose name is gone already.
fn nameless_file(bytes: &[u8]) -> File {
    let path = Path::new("/var/qmail/queue").join(format!("message-{}", serial()));
    fs::write(&path, bytes).expect("file of the message; deliveries run inside a world");
    let file = File::open(&path).expect("file of the message");
    fs::remove_file(&path).expect("removal of the message's name");
    file
}
