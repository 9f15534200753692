//! `authsenders`: by the whole sender, each suffix from `@` or a dot, the empty key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::monitor::control::authsenders;
use qmail_remote_fuzz::{Case, check, reference};

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let sender = &case.invocation.sender_argument;
    let keys =
        [reference::suffixes(sender.strip_suffix(b".").unwrap_or(sender), b"@."), vec![Vec::new()]].concat();
    let line = reference::choose(case.text, &keys, |_| true).map(|(line, _)| ("authsenders", line));
    check(&[("authsenders", case.text)], line, case.shift, |control| authsenders::look_up(control, sender));
});
