//! `lint`: reads all control files and says what is wrong with them, and what to write instead.
//!
//! Run by people, on what the administrator wrote. Every rule is asked of the library; here are only words, and what
//! a delivery cannot know: that a line is of no use. A value that holds a password is never printed.
#![forbid(unsafe_code)]

mod addresses;
mod certificates;
mod files;
mod findings;
mod keys;
mod lists;
mod places;
mod reach;
mod routes;
mod tls;
mod values;

use std::fs;
use std::io::{self, Write};

use qmail_remote::monitor::control::ControlDirectory;

use addresses::Machine;
use findings::{Listing, Place};
use lists::Checker;
use places::Places;
use reach::List;
use tls::Tls;

pub(crate) use findings::{Format, Severity};

/// Prints all findings to `out`; the worst severity, none when there was no finding, and whether all could be written.
pub(crate) fn lint(format: Format, out: &mut dyn Write) -> (Option<Severity>, io::Result<()>) {
    let mut listing = Listing::new(out, format);
    match ControlDirectory::open() {
        Ok(control) => {
            let ours: Vec<_> = values::NAMES.into_iter().chain(List::ALL.map(List::name)).collect();
            if let Some(problem) = files::writable_for_all(&files::path("")) {
                listing.error(Place::whole(""), &problem);
            }
            files::check_names(&ours, &mut listing);
            values::check(&control, &mut listing);
            let places = Places::read(&control);
            let mut checker =
                Checker { control: &control, places, machine: Machine::look(), tls: Tls::new() };
            for list in List::ALL {
                lists::check(&mut checker, list, &mut listing);
            }
        }
        Err(_) => {
            let reason =
                fs::read_dir(files::path("")).err().map_or_else(String::new, |error| format!(": {error}"));
            listing.error(Place::whole(""), &format!("cannot be opened{reason}"));
        }
    }
    listing.finish()
}
