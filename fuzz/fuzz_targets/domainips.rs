//! `domainips`: by the sender's domain, each suffix from a dot, the empty key, `*`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::monitor::control::domainips;
use qmail_remote_fuzz::{Case, check, compare, reference, values};

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let sender = &case.invocation.sender_argument;
    let keys = [reference::of_domain(sender), vec![Vec::new(), b"*".to_vec()]].concat();
    let chosen = reference::choose("domainips", &case.text, &keys, |_| true);
    let lists = [("domainips", &case.text[..])];
    let found = check(&lists, chosen, case.shift, |control| domainips::look_up(control, sender));
    compare(found, chosen, |ips| (ips.addresses.clone(), ips.helo.clone()), values::domain_ips);
});
