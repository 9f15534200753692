//! `qmtproutes` and `smtproutes` together: a line `%` ends the first and begins the second. By `!@` for bounces, the
//! host and each suffix from a dot, the empty key; at one level `qmtproutes` first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::monitor::control::smtproutes;
use qmail_remote::plan::Protocol;
use qmail_remote_fuzz::reference::Chosen;
use qmail_remote_fuzz::{Case, check, compare, reference, values};

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let delivery = &case.invocation;
    let at = case.text.windows(3).position(|octets| octets == b"\n%\n");
    let (qmtp, smtp) = at.map_or((&b""[..], &case.text[..]), |at| (&case.text[..at], &case.text[at + 3..]));
    let bounce = if delivery.sender_argument.is_empty() { vec![b"!@".to_vec()] } else { Vec::new() };
    let host = reference::of_host(&delivery.host_argument, &delivery.host);
    let keys = [bounce, host, vec![Vec::new()]].concat();
    let lists = [("qmtproutes", qmtp), ("smtproutes", smtp)];
    let entries = lists.map(|(name, text)| reference::choose(name, text, &keys, |_| true));
    let chosen: Option<Chosen<'_>> = entries.into_iter().flatten().min_by_key(|chosen| chosen.level);
    let found = check(&lists, chosen, case.shift, |control| smtproutes::look_up(control, delivery));
    if let (Ok(Some((protocol, _))), Some(chosen)) = (&found, chosen) {
        let of_file = if chosen.file == "qmtproutes" { Protocol::Qmtp } else { Protocol::Smtp };
        assert_eq!(*protocol, of_file);
    }
    compare(found, chosen, |(_, route)| values::Route::from(route), |value| values::route(value, true));
});
