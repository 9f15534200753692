//! On which line a key stands, for all lists at once: what duplicates and unreachable lines are found by.
//!
//! Kept of each line is a hash of its key and its line number: with the free space of a table that grows, 55 MB at the
//! most for a million lines. Two keys with one hash are not told apart; among a million keys there is such a pair with
//! a chance of one in thirty million.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use qmail_remote::host::HostName;
use qmail_remote::monitor::control::keys::{and_those_above, key_and_value};
use qmail_remote::monitor::control::lines::{self, Line};
use qmail_remote::monitor::control::{ControlDirectory, tlsdestinations, without_trailing_blanks};

use super::reach::{List, Step};

/// The last line with each key.
#[derive(Default)]
pub(super) struct Places {
    /// By list, key in lower case, and the sender's domain that the line is bound to (empty: none).
    last: HashMap<u64, u64>,
    hasher: RandomState,
}

impl Places {
    /// Reads all lists. What cannot be read is said elsewhere.
    pub(super) fn read(control: &ControlDirectory) -> Places {
        let mut places = Places::default();
        for list in List::ALL {
            let Ok(Some(text)) = control.file(list.name()) else {
                continue;
            };
            let _ = lines::each(text, |number, line| {
                if let Line::Whole(line) = line
                    && let Some((key, value)) = key_and_value(line)
                {
                    let bound = bound(list, value);
                    let hash = places.hash(list, key, bound.as_ref().map_or("", HostName::as_str).as_bytes());
                    places.last.insert(hash, number);
                }
                Ok(())
            });
        }
        places
    }

    /// The last line with the key of `step` that counts for every sender for whom a line of `value` counts.
    pub(super) fn line(&self, step: &Step, value: &[u8]) -> Option<u64> {
        let bound = bound(step.list, value);
        let domains = bound.iter().flat_map(|bound| and_those_above(bound.as_str().as_bytes()));
        let scopes = std::iter::once(&b""[..]).chain(domains);
        scopes.filter_map(|scope| self.last.get(&self.hash(step.list, &step.key, scope))).max().copied()
    }

    fn hash(&self, list: List, key: &[u8], bound: &[u8]) -> u64 {
        self.hasher.hash_one((list, in_lower_case(key), bound))
    }
}

/// Copied only where that is needed: this is done for every line, many times.
fn in_lower_case(text: &[u8]) -> Cow<'_, [u8]> {
    if text.iter().any(u8::is_ascii_uppercase) { text.to_ascii_lowercase().into() } else { text.into() }
}

/// The sender's domain that a line is bound to.
fn bound(list: List, value: &[u8]) -> Option<HostName> {
    match list {
        List::Tlsdestinations => tlsdestinations::bound_to(without_trailing_blanks(value)),
        _ => None,
    }
}
