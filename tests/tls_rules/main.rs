//! The rules of `tlsdestinations` in real deliveries: what each does with every kind of server and certificate, whom it
//! trusts, which names it takes, and that nothing is told to a server that has not proved what it must. Report texts are
//! those of OpenSSL 3.0.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../held/mod.rs"]
mod held;
#[path = "../trace/mod.rs"]
mod trace;

mod clear;
mod confined;
mod cut;
mod exchangers;
mod names;
mod parameters;
mod ports;
mod postfix;
mod protocols;
mod renegotiation;
mod rules;
mod support;
mod trust;
