//! `cdb`: writes the indexed form of a list.
#![forbid(unsafe_code)]

use std::path::Path;

use qmail_remote::monitor::control::indexed::{self, IndexError};
use qmail_remote::monitor::control::{ControlError, HOME};

use crate::Findings;

/// The lists that may have an index.
pub(crate) const LISTS: [&str; 6] =
    ["authsenders", "domaincerts", "domainips", "qmtproutes", "smtproutes", "tlsdestinations"];

/// Writes the index of the list `name`.
pub(crate) fn write(name: &str) -> Findings {
    let Some(name) = LISTS.into_iter().find(|list| *list == name) else {
        return Findings { text: format!("{name} is not a list\n"), well: false };
    };
    let directory = Path::new(HOME).join("control");
    let place = directory.join(name);
    let place = place.display();
    let (text, well) = match indexed::write(&directory, name) {
        Ok(count) => (format!("{place}.cdb: {count} records"), true),
        Err(IndexError::Io(error)) => (format!("{place}: {error}"), false),
        Err(IndexError::BadLine(ControlError::BadLine { line, problem, .. })) => {
            (format!("{place}:{line}: error: {problem}"), false)
        }
        Err(IndexError::Zero(line)) => {
            (format!("{place}:{line}: error: an octet 0 in a value has no place in an index"), false)
        }
        Err(IndexError::BadLine(_)) => (format!("{place}: cannot be read"), false),
        Err(IndexError::Changed) => (format!("{place}: was changed meanwhile; try again"), false),
    };
    Findings { text: text + "\n", well }
}
