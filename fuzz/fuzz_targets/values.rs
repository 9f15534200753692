//! The files of one value: `helohost`, `me`, `timeoutconnect`, `timeoutremote`. What is not a name or a number is an
//! error, and so is more than 4096 octets; nothing but the first line counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::host::HeloName;
use qmail_remote::monitor::control::ControlError;
use qmail_remote::monitor::control::{names, timeouts};
use qmail_remote_fuzz::Home;

fuzz_target!(|data: &[u8]| {
    // Few cases are long by themselves: a unit separator stands for 4090 blanks.
    let data: Vec<u8> =
        data.iter().flat_map(|&octet| if octet == 0x1f { vec![b' '; 4090] } else { vec![octet] }).collect();
    let home = Home::new(&[("me", data.clone()), ("timeoutconnect", data.clone())]);
    let control = home.control();
    let line = data.split(|&octet| octet == b'\n').next().unwrap_or_default();
    let end = line.iter().rposition(|octet| !b" \t\r".contains(octet)).map_or(0, |last| last + 1);
    let value = &line[..end];

    // The line feed is one of them.
    let is_too_long =
        data.split_inclusive(|&octet| octet == b'\n').next().is_some_and(|line| line.len() > 4096);

    let name = HeloName::parse(value).map_err(|_| ControlError::Unreadable);
    let name = if is_too_long { Err(ControlError::Unreadable) } else { name };
    assert_eq!(names::helo(&control).map(|(name, _)| name), name);
    home.write("helohost", &data);
    home.write("me", b"me.test\n");
    let expected = if value.is_empty() && !is_too_long {
        HeloName::parse(b"me.test").map_err(|_| ControlError::Home)
    } else {
        name
    };
    assert_eq!(names::helo(&control).map(|(name, _)| name), expected);

    let digits = value.iter().all(u8::is_ascii_digit);
    let number = value.iter().fold(0u128, |sum, digit| (sum * 10 + u128::from(*digit & 15)).min(1 << 64));
    let seconds = match (value.is_empty(), digits && (1..=u128::from(u32::MAX)).contains(&number)) {
        _ if is_too_long => Err(ControlError::Unreadable),
        (true, _) => Ok(60),
        (false, true) => Ok(number),
        (false, false) => Err(ControlError::Unreadable),
    };
    assert_eq!(timeouts::timeouts(&control).map(|in_force| u128::from(in_force.connect.as_secs())), seconds);
    home.write("timeoutremote", &data);
    home.write("timeoutconnect", b"");
    let remote = if value.is_empty() && !is_too_long { Ok(1200) } else { seconds };
    assert_eq!(timeouts::timeouts(&control).map(|in_force| u128::from(in_force.remote.as_secs())), remote);
});
