//! The files of one value: `helohost`, `me`, `timeoutconnect`, `timeoutremote`. What is not a name or a number is an
//! error, and nothing but the first line counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::host::HeloName;
use qmail_remote::monitor::control::ControlError;
use qmail_remote::monitor::control::{names, timeouts};
use qmail_remote_fuzz::Home;

fuzz_target!(|data: &[u8]| {
    let home = Home::new(&[("me", data.to_vec()), ("timeoutconnect", data.to_vec())]);
    let control = home.control();
    let line = data.split(|&octet| octet == b'\n').next().unwrap_or_default();
    let end = line.iter().rposition(|octet| !b" \t\r".contains(octet)).map_or(0, |last| last + 1);
    let value = &line[..end];

    let name = HeloName::parse(value).map_err(|_| ControlError::Unreadable);
    assert_eq!(names::helo(&control).map(|(name, _)| name), name);
    home.write("helohost", data);
    home.write("me", b"me.test\n");
    let expected =
        if value.is_empty() { HeloName::parse(b"me.test").map_err(|_| ControlError::Home) } else { name };
    assert_eq!(names::helo(&control).map(|(name, _)| name), expected);

    let digits = value.iter().all(u8::is_ascii_digit);
    let number = value.iter().fold(0u128, |sum, digit| (sum * 10 + u128::from(*digit & 15)).min(1 << 64));
    let seconds = match (value.is_empty(), digits && (1..=u128::from(u32::MAX)).contains(&number)) {
        (true, _) => Ok(60),
        (false, true) => Ok(number),
        (false, false) => Err(ControlError::Unreadable),
    };
    assert_eq!(timeouts::timeouts(&control).map(|in_force| u128::from(in_force.connect.as_secs())), seconds);
    home.write("timeoutremote", data);
    home.write("timeoutconnect", b"");
    let remote = if value.is_empty() { Ok(1200) } else { seconds };
    assert_eq!(timeouts::timeouts(&control).map(|in_force| u128::from(in_force.remote.as_secs())), remote);
});
