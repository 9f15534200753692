//! The private network that the tests and the demonstration run in: users, control files, name servers
//! and mail servers of their own for each test, on the usual ports, without a hook in the product.
//!
//! ```no_run
//! use world::{Delivery, Identity, Message, Zones};
//!
//! world::in_world(|world| {
//!     world.control("me", "sender.test\n");
//!     let _dns = world.dns(&Zones::new().signed("example.test", "@ MX 10 mx1\nmx1 A 192.0.2.10\n"));
//!     let peer = world.postfix(world::Postfix::on("192.0.2.10"));
//!     let outcome = Delivery::new("target/debug/qmail-remote")
//!         .host("example.test")
//!         .sender("me@sender.test")
//!         .recipient("you@example.test")
//!         .message(Message::bytes("Subject: hello\n\nHello.\n"))
//!         .identity(Identity::Qmailr)
//!         .run();
//!     assert_eq!(outcome.belief().letter, world::Letter::K);
//!     assert!(peer.message_body(&peer.wait_for_message()).ends_with(b"\nHello.\n"));
//! });
//! ```

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

pub mod certificates;
pub mod daemon;
pub mod delivery;
pub mod dialogue;
pub mod dns;
pub mod dns_flights;
pub mod dns_script;
pub mod dns_stub;
pub mod exim;
pub mod mailbox;
pub mod message;
pub mod namespace;
pub mod netstring;
pub mod opensmtpd;
pub mod outcome;
pub mod patience;
pub mod peer;
pub mod postfix;
pub mod posttls_finger;
pub mod programs;
pub mod rspawn;
pub mod running;
mod signing;
pub mod smtp_sink;
pub mod world;
pub mod zones;

pub use daemon::Daemon;
pub use delivery::{Delivery, Identity};
pub use dns::Dns;
pub use exim::Exim;
pub use mailbox::Mailbox;
pub use message::Message;
pub use namespace::{in_world, in_world_named};
pub use opensmtpd::OpenSmtpd;
pub use outcome::Outcome;
pub use postfix::Postfix;
pub use posttls_finger::{Probe, ProbeVerdict};
pub use rspawn::{Belief, Letter};
pub use running::Running;
pub use world::{Needs, QMAIL_GID, World};
pub use zones::Zones;
