//! `timeoutconnect` and `timeoutremote`, in decimal seconds.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::{ControlDirectory, ControlError};
use crate::plan::Timeouts;

/// All look-ups of one delivery together. No control file changes it: a resolver that needs longer than
/// this answers the queue's next try from its cache.
const DNS: Duration = Duration::from_secs(30);

/// The timeouts in force. Not a number, or 0, is an error, not the default.
pub fn timeouts(control: &ControlDirectory) -> Result<Timeouts, ControlError> {
    Ok(Timeouts {
        connect: seconds(control, "timeoutconnect", 60)?,
        remote: seconds(control, "timeoutremote", 1200)?,
        dns: DNS,
    })
}

fn seconds(control: &ControlDirectory, file: &str, default: u32) -> Result<Duration, ControlError> {
    let seconds = match control.value(file)? {
        None => default,
        Some(text) => number(&text).ok_or(ControlError::Unreadable)?,
    };
    Ok(Duration::from_secs(u64::from(seconds)))
}

/// A number of seconds, 1 or more.
pub fn number(text: &[u8]) -> Option<u32> {
    let digits =
        std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))?;
    digits.parse().ok().filter(|&seconds| seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestHome;
    use super::*;

    #[test]
    fn defaults_are_those_of_the_manual_page() {
        let in_force = timeouts(&TestHome::new(&[]).control()).unwrap();
        assert_eq!((in_force.connect.as_secs(), in_force.remote.as_secs()), (60, 1200));
    }

    #[test]
    fn a_number_of_seconds_or_an_error() {
        let connect =
            |text: &[u8]| timeouts(&TestHome::new(&[("timeoutconnect", text)]).control()).map(|t| t.connect);
        assert_eq!(connect(b"5 \nrest\n"), Ok(Duration::from_secs(5)));
        for bad in [&b"0\n"[..], b"00", b"-1\n", b"+5\n", b"5s\n", b"1.5\n", b"99999999999\n", b"\xff\n"] {
            assert_eq!(connect(bad), Err(ControlError::Unreadable), "{}", bad.escape_ascii());
        }
    }
}
