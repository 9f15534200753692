//! `domaincerts`: by the sender's domain, each suffix from a dot, `*`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::monitor::control::domaincerts::{self, DomainCert};
use qmail_remote_fuzz::{Case, check, compare, reference, values};

fn files(found: &DomainCert) -> values::Files {
    let password = found.password.as_ref().map(|password| password.to_vec());
    (found.certificate.clone(), found.key.clone(), password)
}

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::new(data) else { return };
    let sender = &case.invocation.sender_argument;
    let keys = [reference::of_domain(sender), vec![b"*".to_vec()]].concat();
    let chosen = reference::choose("domaincerts", &case.text, &keys, |_| true);
    let lists = [("domaincerts", &case.text[..])];
    let found = check(&lists, chosen, case.shift, |control| domaincerts::look_up(control, sender));
    compare(found, chosen, files, values::domain_cert);
});
