//! Which line of which control file decides, row by row: every row is a real delivery to real servers in a private
//! network, and `qmail-remote-check explain` must say of it what the servers saw.
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test support: a failed step must stop the test with its cause"
)]

mod answer;
mod authsenders;
mod domaincerts;
mod domainips;
mod explanation;
mod identifiers;
mod literals;
mod malformed_answers;
mod network;
mod outcome;
mod postfix;
mod route_forms;
mod routes;
mod row;
mod tls_rules;
mod tlsdestinations;
