//! `domaincerts`: by the sender's domain, each suffix from a dot, `*`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::monitor::control::domaincerts;
use qmail_remote_fuzz::{Case, check, reference};

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let sender = &case.invocation.sender_argument;
    let keys = [reference::of_domain(sender), vec![b"*".to_vec()]].concat();
    let line = reference::choose(case.text, &keys, |_| true).map(|(line, _)| ("domaincerts", line));
    check(&[("domaincerts", case.text)], line, case.shift, |control| domaincerts::look_up(control, sender));
});
