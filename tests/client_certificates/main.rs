//! Client certificates in real deliveries: Postfix that asks for one and relays by its fingerprint, every kind of key and
//! of file, those that cannot be used, and who may read them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../held/mod.rs"]
mod held;

mod bad_files;
mod forms;
mod keys;
mod others;
mod postfix;
mod readers;
