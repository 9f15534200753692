//! The client side of SMTP (RFC 5321). Network child.

mod auth;
mod body;
mod dialogue;
mod replies;
pub(super) mod walk;
mod wire;
