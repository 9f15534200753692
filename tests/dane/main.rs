//! DANE for SMTP (RFC 7672) as a whole: signed zones of nsd behind a validating unbound, Postfix at the other end, and
//! Postfix's own probe for a second opinion.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

mod aliases;
mod combinations;
mod differences;
mod families;
mod handshake;
mod hostile;
mod lookups;
mod matching;
mod records;
mod rules;
mod scene;
mod servers;
mod trust;
