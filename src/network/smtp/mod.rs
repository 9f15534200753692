//! The client side of SMTP (RFC 5321). Network child.

mod body;
pub(super) mod dialogue;
mod replies;
mod wire;
