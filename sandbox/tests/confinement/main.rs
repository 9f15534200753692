//! Confinement as real processes meet it. The processes are the example `attempt`.
//!
//! Runs as root and as an ordinary user; what needs root, or a newer kernel, says so and returns.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod child;
mod escapes;
mod monitor;
mod status;
mod support;
