//! The files of one value: `me`, `helohost`, `timeoutconnect`, `timeoutremote`, `authplaintext`.
#![forbid(unsafe_code)]

use qmail_remote::host::HeloName;
use qmail_remote::monitor::control::lines::{self, Line};
use qmail_remote::monitor::control::{ControlDirectory, LONGEST_VALUE, timeouts, without_trailing_blanks};

use super::files::{self, Said};
use super::findings::{Listing, Place, Severity};

/// The files' names.
pub(super) const NAMES: [&str; 5] = ["me", "helohost", "timeoutconnect", "timeoutremote", "authplaintext"];

/// Checks all of them.
pub(super) fn check(control: &ControlDirectory, listing: &mut Listing<'_>) {
    let [me_file, helohost_file, connect_file, remote_file, plaintext_file] = NAMES;
    let helohost = value(control, helohost_file, listing, |name| Some((Severity::Error, not_a_name(name)?)));
    // Without a helohost it is me that counts.
    let in_use = if helohost { Severity::Warning } else { Severity::Error };
    let me = value(control, me_file, listing, |name| Some((in_use, not_a_name(name)?)));
    if !helohost && !me {
        let text = "neither me nor helohost has a name, and every delivery is put off: write this machine's name here";
        listing.error(Place::whole(me_file), text);
    }
    for (file, default) in [(connect_file, 60), (remote_file, 1200)] {
        let refused = format!("is not a number of seconds from 1 on: write {default}, or remove the file");
        value(control, file, listing, |text| match timeouts::number(text) {
            Some(_) => None,
            None => Some((Severity::Error, refused)),
        });
    }
    value(control, plaintext_file, listing, |text| {
        let refused =
            "means nothing, and passwords go under TLS alone: write 1 for anywhere, or remove the file";
        (text != b"1").then(|| (Severity::Error, refused.to_owned()))
    });
}

/// What is wrong with a name for EHLO.
fn not_a_name(name: &[u8]) -> Option<String> {
    if HeloName::parse(name).is_ok() {
        return None;
    }
    let bracketed = [b"[", name, b"]"].concat();
    Some(match HeloName::parse(&bracketed) {
        Ok(address) => format!("an address needs brackets here: write {address}"),
        Err(_) => "is not a host name: write one such as mail.example.com".to_owned(),
    })
}

/// Says what is wrong with the file, and what `judge` finds wrong with its value. Whether the file counts: it has a
/// value, or cannot be read.
fn value(
    control: &ControlDirectory,
    file: &str,
    listing: &mut Listing<'_>,
    judge: impl FnOnce(&[u8]) -> Option<(Severity, String)>,
) -> bool {
    let text = match files::open(control, file, listing) {
        Ok(Some(text)) => text,
        Ok(None) => return false,
        Err(Said) => return true,
    };
    let Ok(value) = control.value(file) else {
        let text = format!("the value is longer than {LONGEST_VALUE} octets");
        listing.error(Place { file, line: Some(1) }, &text);
        return true;
    };
    let mut second = None;
    // A file that cannot be read to its end has been read as far as it counts.
    let _ = lines::each(text, |number, line| {
        let blank = matches!(line, Line::Whole(line) if without_trailing_blanks(line).is_empty());
        if number > 1 && !blank && second.is_none() {
            second = Some(number);
        }
        Ok(())
    });
    match (value, second) {
        (None, Some(line)) => {
            let text = format!("only the first line counts, and it is blank: write line {line} there");
            listing.warning(Place { file, line: Some(1) }, &text);
            false
        }
        (None, None) => {
            listing.warning(
                Place::whole(file),
                "is empty and counts as missing: write a value, or remove the file",
            );
            false
        }
        (Some(value), second) => {
            if let Some((severity, text)) = judge(&value) {
                listing.add(Place { file, line: Some(1) }, severity, &text);
            }
            if let Some(line) = second {
                let place = Place { file, line: Some(line) };
                listing.warning(place, "only the first line counts: remove this one");
            }
            true
        }
    }
}
