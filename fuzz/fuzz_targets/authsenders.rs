//! `authsenders`: by the whole sender, each suffix from `@` or a dot, the empty key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::monitor::control::authsenders;
use qmail_remote_fuzz::{Case, check, compare, reference, values};

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let sender = &case.invocation.sender_argument;
    let keys = [reference::of_sender(sender), vec![Vec::new()]].concat();
    let chosen = reference::choose("authsenders", &case.text, &keys, |_| true);
    let lists = [("authsenders", &case.text[..])];
    let found = check(&lists, chosen, case.shift, |control| authsenders::look_up(control, sender));
    compare(found, chosen, |route| values::Route::from(route), |value| values::route(value, false));
});
