//! `authsenders`: routes and credentials by sender, `sender:relay;[s]port|user|password`.
//!
//! Asked before all other routes; what is found here ends the search.
#![forbid(unsafe_code)]

use super::keys::{self, Keys};
use super::lines::Entry;
use super::routes::{self, Fields, LocalField, Origin, Route};
use super::{ControlDirectory, ControlError};
use crate::sealed::Sealed;

/// The file's name.
pub const FILE: &str = "authsenders";

/// The route for this sender, when there is one: for the whole sender, each suffix that starts at `@` or a
/// dot, or the empty key.
pub fn look_up(control: &ControlDirectory, sender: &[u8]) -> Result<Option<Route>, ControlError> {
    let Some(Entry { line, value, .. }) = control.find::<Sealed>(FILE, &keys_for(sender), |_| true)? else {
        return Ok(None);
    };
    let value = value?;
    Ok(Some(parse(Origin { file: FILE, line }, &value)?.with(value)))
}

/// The keys that are asked for, best first.
pub fn keys_for(sender: &[u8]) -> Keys {
    Keys::new(keys::of_sender(sender).into_iter().chain([Vec::new()]))
}

/// Reads the value of a line.
pub fn parse(origin: Origin, value: &[u8]) -> Result<Route<Fields>, ControlError> {
    routes::parse(origin, value, LocalField::Absent)
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestHome;
    use super::*;

    const PAGE: &str = "@example.com:relay.example.com|user|passwd\n\
                        info@example.com:relay.example.com;26|infouser|infopasswd\n\
                        :mailrelay.example.com|e=mc2|testpass\n";

    /// Port, and user and password.
    type Found = Option<(Option<u16>, Option<(String, String)>)>;

    fn found(text: &str, sender: &str) -> Found {
        let home = TestHome::new(&[(FILE, text.as_bytes())]);
        let route = look_up(&home.control(), sender.as_bytes()).unwrap()?;
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        Some((route.port, route.credentials.map(|given| (text(given.user()), text(given.password())))))
    }

    fn with(port: Option<u16>, user: &str, password: &str) -> Found {
        Some((port, Some((user.to_owned(), password.to_owned()))))
    }

    #[test]
    fn the_examples_of_the_manual_page() {
        assert_eq!(found(PAGE, "info@example.com"), with(Some(26), "infouser", "infopasswd"));
        assert_eq!(found(PAGE, "Other@Example.Com"), with(None, "user", "passwd"));
        assert_eq!(found(PAGE, "x@sub.example.com"), with(None, "e=mc2", "testpass"));
        assert_eq!(found(PAGE, ""), with(None, "e=mc2", "testpass"), "bounces, too");
        assert_eq!(found("@example.com:relay.test|u|p\n", "a@b.test"), None);
        assert_eq!(found(".test:relay.test|u|p\n", "a@b.test"), with(None, "u", "p"));
    }

    #[test]
    fn without_both_user_and_password_there_are_no_credentials() {
        assert_eq!(found(":relay.test\n", "a@b.test"), Some((None, None)));
        assert_eq!(found(":relay.test|user\n", "a@b.test"), Some((None, None)));
    }
}
