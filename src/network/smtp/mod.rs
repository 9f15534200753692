//! The client side of SMTP (RFC 5321). Network child.

mod auth;
mod body;
pub(super) mod dialogue;
mod extensions;
mod facts;
mod flight;
#[cfg(feature = "fuzzing")]
pub(super) mod fuzzing;
mod replies;
mod source;
mod transaction;
mod wire;
