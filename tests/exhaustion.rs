//! A machine, or a caller's limits, with too little of everything: whatever is missing, and at whatever moment, the message
//! is delivered or tried again, and never lost.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::path::PathBuf;

use openssl::ssl::SslAcceptor;

use held::{PROGRAM, addressed, delivery_after, route_to_held};
use world::smtp_sink::{Keep, Options, SmtpSink};
use world::{Delivery, Letter, Needs, Outcome, World, Zones, certificates, in_world, programs};

/// What became of a delivery that ran out of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    /// It was delivered, and says so.
    Delivered,
    /// It says that it is to be tried again.
    Deferred,
    /// It could not even say that; qmail-rspawn tries again, too.
    Crashed,
}

fn certificate() -> certificates::Identity {
    certificates::Identity::self_signed(&["mx1.example.test"]).unwrap()
}

/// A server that takes everything, and has taken so many messages.
struct Server {
    sink: SmtpSink,
    taken: usize,
}

impl Server {
    fn start(world: &World, acceptor: Option<SslAcceptor>) -> Server {
        route_to_held(world);
        let options = Options { acceptor, keep: Keep::Digest, ..Options::named("mx1.example.test") };
        let sink = SmtpSink::start(&["192.0.2.10:25".parse().unwrap()], options).unwrap();
        Server { sink, taken: 0 }
    }

    /// Stops the test unless what the delivery left is one well-formed success of a message that has arrived, one well-formed
    /// temporary failure, or the end by a signal.
    fn judge(&mut self, outcome: &Outcome) -> Became {
        let arrived = std::mem::replace(&mut self.taken, self.sink.messages().len()) < self.taken;
        match outcome.belief().letter {
            Letter::K => assert!(arrived, "nothing has arrived: {outcome:?}"),
            Letter::Z => {}
            Letter::D => panic!("the message is lost: {outcome:?}"),
        }
        if outcome.status.code().is_none() {
            assert_eq!(outcome.reports(), [b""; 0], "{outcome:?}");
            return Became::Crashed;
        }
        outcome.assert_reports(&outcome.reports());
        match outcome.reports().as_slice() {
            [recipient, message] if recipient == b"r" && message.starts_with(b"K") => Became::Delivered,
            [message] if message.starts_with(b"Z") => Became::Deferred,
            reports => panic!("{reports:?}"),
        }
    }
}

/// An allocator that has nothing to give from a certain request on, to whoever asks: Rust's, OpenSSL's and the C library's
/// own allocations are all of it.
const ALLOCATOR: &str = r#"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static long left = 1000000000;

__attribute__((constructor)) static void begin(void)
{
    left = atol(getenv("ALLOCATIONS"));
}

static int none_is_left(void)
{
    if (left > 0) {
        left--;
        return 0;
    }
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return none_is_left() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return none_is_left() ? NULL : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return none_is_left() ? NULL : __libc_realloc(old, size); }
void *memalign(size_t to, size_t size) { return none_is_left() ? NULL : __libc_memalign(to, size); }
void *aligned_alloc(size_t to, size_t size) { return memalign(to, size); }
int posix_memalign(void **place, size_t to, size_t size)
{
    void *new = memalign(to, size);
    if (!new)
        return ENOMEM;
    *place = new;
    return 0;
}
"#;

fn failing_allocator(world: &World) -> PathBuf {
    let source = world.file("allocator.c", ALLOCATOR);
    let library = world.scratch().join("allocator.so");
    let mut compiler = programs::command("cc");
    programs::run(compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source));
    library
}

/// Delivers with memory for `step` allocations more each time, until there is enough.
fn sweep_allocations(world: &World, mut server: Server, step: usize) {
    world.require(Needs::ManyUids);
    world.require(Needs::Program("cc"));
    let allocator = failing_allocator(world);
    let mut seen = Vec::new();
    for allocations in (0..).step_by(step) {
        // By root: nothing but the program itself has the variables.
        let delivery = addressed(Delivery::new(PROGRAM)).env("LD_PRELOAD", &allocator);
        seen.push(server.judge(&delivery.env("ALLOCATIONS", allocations.to_string()).run()));
        if seen.last() == Some(&Became::Delivered) {
            break;
        }
    }
    println!("{} deliveries", seen.len());
    // Neither process can have done without.
    assert!(seen.contains(&Became::Crashed) && seen.contains(&Became::Deferred), "{seen:?}");
}

/// The steps are for the time that it takes: with 1, it was seen for all of them.
#[test]
fn memory_that_ends_at_any_allocation_is_a_retry() {
    in_world(|world| sweep_allocations(world, Server::start(world, None), 11));
}

#[test]
fn memory_that_ends_at_any_allocation_under_tls_is_a_retry() {
    in_world(|world| {
        let acceptor = certificate().acceptor().unwrap();
        sweep_allocations(world, Server::start(world, Some(acceptor)), 113);
    });
}

#[test]
fn memory_that_ends_in_a_look_up_or_at_a_signature_is_a_retry() {
    in_world(|world| {
        let certificate = certificate();
        let server = Server::start(world, Some(certificate.acceptor_that_demands_one().unwrap()));
        let _dns = world.dns(&Zones::new().signed("example.test", "@ MX 10 mx1\nmx1 A 192.0.2.10\n"));
        world.control("smtproutes", "");
        let files = certificate.write(&world.scratch(), "client").unwrap();
        let line = format!("*:{}|{}\n", files.certificate.display(), files.key.display());
        world.control("domaincerts", line);
        sweep_allocations(world, server, 101);
    });
}

/// Delivers with less and less of what `ulimit` calls `option`, until not even the C library's loader has enough: what it
/// does then is out of the program's hands.
fn sweep_limit(world: &World, option: &str, most: usize, step: usize) {
    let mut server = Server::start(world, Some(certificate().acceptor().unwrap()));
    let mut seen = Vec::new();
    for limit in (0..most).rev().step_by(step) {
        let outcome = delivery_after(world, &format!("ulimit {option} {limit}; ")).run();
        if matches!(outcome.status.code(), Some(126 | 127)) {
            assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{outcome:?}");
            break;
        }
        seen.push(server.judge(&outcome));
    }
    println!("{seen:?}");
    assert_eq!(seen.first(), Some(&Became::Delivered));
}

#[test]
fn a_limit_of_memory_is_a_retry_or_enough() {
    in_world(|world| {
        sweep_limit(world, "-v", 24_000, 100);
        sweep_limit(world, "-d", 2000, 25);
        sweep_limit(world, "-s", 400, 4);
    });
}

#[test]
fn no_other_limit_is_in_the_way() {
    in_world(|world| {
        world.require(Needs::Program("prlimit"));
        let mut server = Server::start(world, Some(certificate().acceptor().unwrap()));
        // With a password to lock in memory, and a table to write to: the first failure of this server, long ago.
        let table = world.tcpto();
        let mut record = [0; 1024];
        record[..5].copy_from_slice(&[2, 0, 0, 0, 1]);
        record[16..32].copy_from_slice(b"\xc0\x00\x02\x0a............");
        world.control("smtproutes", ":192.0.2.10|user|password\n");
        for limit in [
            "core",
            "cpu",
            "fsize",
            "locks",
            "memlock",
            "msgqueue",
            "nice",
            "rss",
            "rtprio",
            "rttime",
            "sigpending",
        ] {
            println!("{limit}");
            std::fs::write(&table, record).unwrap();
            let script = format!("exec prlimit --{limit}=0 \"$0\" \"$@\"; ");
            let outcome = delivery_after(world, &script).run();
            let became = server.judge(&outcome);
            // No processor time at all: the kernel says when.
            assert!(became == Became::Delivered || limit == "cpu", "{limit}: {outcome:?}");
        }
    });
}
