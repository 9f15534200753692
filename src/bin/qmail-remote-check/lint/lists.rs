//! A list: the form of its lines, and what becomes of each of them.
#![forbid(unsafe_code)]

use qmail_remote::monitor::control::keys::key_and_value;
use qmail_remote::monitor::control::lines::{self, LONGEST_LINE, Line};
use qmail_remote::monitor::control::routes::Origin;
use qmail_remote::monitor::control::{ControlDirectory, ControlError, without_trailing_blanks};

use super::addresses::Machine;
use super::findings::{Listing, Place, Severity, key_in_words};
use super::places::Places;
use super::reach::{List, Reach, Step};
use super::tls::Tls;
use super::{addresses, certificates, files, keys, routes};

/// What is known before a list is read.
pub(super) struct Checker<'a> {
    pub(super) control: &'a ControlDirectory,
    pub(super) places: Places,
    pub(super) machine: Machine,
    pub(super) tls: Tls,
}

/// What is to be said of one line.
#[derive(Default)]
pub(super) struct Remarks(Vec<(Severity, String)>);

impl Remarks {
    pub(super) fn error(&mut self, text: impl Into<String>) {
        self.0.push((Severity::Error, text.into()));
    }

    pub(super) fn warning(&mut self, text: impl Into<String>) {
        self.0.push((Severity::Warning, text.into()));
    }

    /// That the library refuses a value, and what to write instead.
    pub(super) fn refused(&mut self, error: &ControlError, instead: &str) {
        let problem = match error {
            ControlError::BadLine { problem, .. } => problem,
            ControlError::BadAddress => "the local address is not an address",
            ControlError::Home | ControlError::Unreadable => "cannot be used",
        };
        self.error(format!("{problem}: {instead}"));
    }
}

/// Checks a list and its index.
pub(super) fn check(checker: &mut Checker<'_>, list: List, listing: &mut Listing<'_>) {
    let name = list.name();
    if let Ok(Some(text)) = files::open(checker.control, name, listing) {
        let mut state = State::default();
        let read = lines::each(text, |number, line| {
            let mut remarks = Remarks::default();
            checker.line(list, number, &line, &mut state, &mut remarks);
            for (severity, text) in remarks.0 {
                listing.add(Place { file: name, line: Some(number) }, severity, &text);
            }
            Ok(())
        });
        if read.is_err() {
            listing.error(Place::whole(name), "cannot be read to its end");
        }
        if state.keys
            && let Some(line) = checker.shut_out(list)
        {
            let text =
                format!("is never asked: the empty key in line {line} of authsenders is for every sender");
            listing.warning(Place::whole(name), &text);
        }
        if state.secret {
            files::check_secrecy(name, listing);
        }
    }
    files::check_index(checker.control, name, listing);
}

/// What the lines of a list so far have shown.
#[derive(Default)]
struct State {
    /// A line ended in a carriage return, which is said once.
    dos: bool,
    /// A line has a key.
    keys: bool,
    /// A line holds a password.
    secret: bool,
}

impl Checker<'_> {
    /// The line of `authsenders` that keeps all mail from the routes, when `list` is one of them.
    fn shut_out(&self, list: List) -> Option<u64> {
        match list {
            List::Qmtproutes | List::Smtproutes => self.places.line(&Step::of(List::Authsenders, b""), b""),
            List::Authsenders | List::Domaincerts | List::Domainips | List::Tlsdestinations => None,
        }
    }

    /// Checks one line.
    fn line(&mut self, list: List, number: u64, line: &Line<'_>, state: &mut State, remarks: &mut Remarks) {
        let line = match line {
            Line::Whole(line) => *line,
            Line::TooLong(start) if start.starts_with(b"#") => return,
            Line::TooLong(_) => {
                let most = LONGEST_LINE.saturating_sub(1);
                return remarks.error(format!("the line is too long: {most} octets are the most"));
            }
        };
        if line.ends_with(b"\r") && !std::mem::replace(&mut state.dos, true) {
            remarks.warning(
                "the line ends in a carriage return, and more may: write the file with plain line feeds",
            );
        }
        let line = without_trailing_blanks(line);
        if line.is_empty() || line.starts_with(b"#") {
            return;
        }
        if let Some(octet) = line.iter().find(|octet| octet.is_ascii_control() && **octet != b'\t') {
            return remarks.error(format!("there is a control octet, 0x{octet:02x}, in the line: remove it"));
        }
        if number == 1 && line.starts_with(b"\xef\xbb\xbf") {
            return remarks.warning(
                "the key begins with a byte order mark and is never asked for: write the file without",
            );
        }
        let Some((key, value)) = key_and_value(line) else {
            state.secret |= may_hold_password(list, line);
            return remarks.error(keys::missing(line));
        };
        state.keys = true;
        let reach = match keys::check(list, key) {
            Ok(reach) => reach,
            Err(text) => {
                state.secret |= may_hold_password(list, line);
                return remarks.warning(text);
            }
        };
        self.unreachable(&Step::of(list, key), number, value, &reach, remarks);
        let origin = Origin { file: list.name(), line: number };
        state.secret |= match list {
            List::Authsenders | List::Qmtproutes | List::Smtproutes => {
                routes::check(list, key, origin, value, &self.machine, remarks)
                    .unwrap_or_else(|| may_hold_password(list, value))
            }
            List::Domaincerts => {
                certificates::check(origin, value, remarks);
                may_hold_password(list, value)
            }
            List::Domainips => {
                addresses::check_line(origin, value, &self.machine, remarks);
                false
            }
            List::Tlsdestinations => {
                if let Some(kind) = reach.kind {
                    self.tls.check(origin, value, kind, remarks);
                }
                false
            }
        };
    }

    /// Whether another line always comes first, or the line changes nothing.
    fn unreachable(&self, own: &Step, number: u64, value: &[u8], reach: &Reach, remarks: &mut Remarks) {
        if let Some(last) = self.places.line(own, value).filter(|last| *last > number) {
            remarks.warning(format!("unreachable: line {last} has the same key, and the last one counts"));
        } else if let Some((step, line)) =
            reach.before.iter().find_map(|step| Some((step, self.places.line(step, value)?)))
        {
            let file =
                if step.list == own.list { String::new() } else { format!(" of {}", step.list.name()) };
            let key = key_in_words(&step.key);
            remarks.warning(format!("unreachable: {key} in line {line}{file} always comes first"));
        } else if value.is_empty()
            && matches!(own.list, List::Domainips | List::Smtproutes)
            && !reach.after.iter().any(|step| self.places.line(step, value).is_some())
        {
            remarks.warning(
                "the line changes nothing: its value is empty, and no other line is for the same mail",
            );
        }
    }
}

/// Whether a line that cannot be read may hold a password all the same.
fn may_hold_password(list: List, text: &[u8]) -> bool {
    let mut fields = text.splitn(3, |&octet| octet == b'|').skip(1).map(|field| !field.is_empty());
    let (second, third) = (fields.next() == Some(true), fields.next() == Some(true));
    match list {
        List::Authsenders | List::Qmtproutes | List::Smtproutes => second && third,
        List::Domaincerts => third,
        List::Domainips | List::Tlsdestinations => false,
    }
}
