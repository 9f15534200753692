//! `qmtproutes` and `smtproutes` together: a line `%` ends the first and begins the second. By `!@` for bounces, the
//! host and each suffix from a dot, the empty key; at one level `qmtproutes` first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::monitor::control::smtproutes;
use qmail_remote_fuzz::{Case, check, reference};

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let delivery = &case.invocation;
    let at = case.text.windows(3).position(|octets| octets == b"\n%\n");
    let (qmtp, smtp) = at.map_or((&b""[..], case.text), |at| (&case.text[..at], &case.text[at + 3..]));
    let bounce = if delivery.sender_argument.is_empty() { vec![b"!@".to_vec()] } else { Vec::new() };
    let host = reference::of_host(&delivery.host_argument, &delivery.host);
    let keys = [bounce, host, vec![Vec::new()]].concat();
    let lists = [("qmtproutes", qmtp), ("smtproutes", smtp)];
    let entries = lists.iter().filter_map(|(name, text)| {
        reference::choose(text, &keys, |_| true).map(|(line, level)| (level, (*name, line)))
    });
    let line = entries.min_by_key(|(level, _)| *level).map(|(_, line)| line);
    check(&lists, line, case.shift, |control| smtproutes::look_up(control, delivery));
});
