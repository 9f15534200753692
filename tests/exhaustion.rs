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

use held::{PROGRAM, addressed, delivery, delivery_after, route_to_held};
use world::certificates::{Authority, Content, Identity};
use world::dns_stub::{DnsStub, Zone};
use world::smtp_sink::{Keep, Options, SmtpSink};
use world::{Delivery, Letter, Needs, Outcome, World, Zones, in_world, programs};

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

fn certificate() -> Identity {
    Identity::self_signed(&["mx1.example.test"]).unwrap()
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
            // Lost when the recipient was accepted already.
            [recipient, message] if recipient == b"r" && message.starts_with(b"Z") => Became::Deferred,
            reports => panic!("{reports:?}"),
        }
    }
}

/// An allocator that has nothing to give, to whoever asks: Rust's, OpenSSL's and the C library's own allocations are all of
/// it. The file in `ALLOCATIONS` says after how many; with `ONE`, they are counted there, and but one request fails.
const ALLOCATOR: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static long plenty = 1000000000;
static long *left = &plenty;
static int one;

__attribute__((constructor)) static void begin(void)
{
    int file = open(getenv("ALLOCATIONS"), O_RDWR);
    one = getenv("ONE") != NULL;
    left = mmap(NULL, sizeof *left, PROT_READ | PROT_WRITE, one ? MAP_SHARED : MAP_PRIVATE, file, 0);
    close(file);
}

static int none_is_left(void)
{
    long now = __atomic_sub_fetch(left, 1, __ATOMIC_SEQ_CST);
    if (one ? now != -1 : now >= 0)
        return 0;
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

/// More allocations than any delivery makes.
const PLENTY: i64 = 1_000_000_000;
/// A proof that fails, and what is left to do after it, took fewer when this was written.
const PROOF: i64 = 150;

/// Which allocations fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// All that a process makes after so many of its own.
    Rest,
    /// The one after so many of both processes, and no other.
    One,
}

/// [`ALLOCATOR`], compiled, and the file in which it counts.
struct Allocator {
    library: PathBuf,
    count: PathBuf,
}

impl Allocator {
    fn new(world: &World) -> Allocator {
        let source = world.file("allocator.c", ALLOCATOR);
        let (library, count) = (world.scratch().join("allocator.so"), world.scratch().join("allocations"));
        let mut compiler = programs::command("cc");
        programs::run(compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source));
        Allocator { library, count }
    }

    /// Delivers where this is missing after so many allocations.
    fn deliver(&self, missing: Missing, allocations: i64) -> Outcome {
        // Another file: a child that has outlived its monitor may still count in the last one.
        let _ = std::fs::remove_file(&self.count);
        std::fs::write(&self.count, allocations.to_ne_bytes()).unwrap();
        // By root: nothing but the program itself has the variables.
        let delivery = addressed(Delivery::new(PROGRAM)).env("LD_PRELOAD", &self.library);
        let delivery = delivery.env("ALLOCATIONS", &self.count);
        match missing {
            Missing::Rest => delivery.run(),
            Missing::One => delivery.env("ONE", "").run(),
        }
    }

    /// A delivery that lacks nothing, and how many allocations it takes.
    fn count(&self) -> (Outcome, i64) {
        let outcome = self.deliver(Missing::One, PLENTY);
        let left = std::fs::read(&self.count).unwrap().try_into().unwrap();
        (outcome, PLENTY - i64::from_ne_bytes(left))
    }
}

/// Delivers what comes to `end` where nothing is missing, each time with other allocations failing, in steps. What is not
/// delivered then never is, and the server is not told of it.
fn sweep_allocations(world: &World, server: &mut Server, end: Became, missing: Missing, step: usize) {
    world.require(Needs::ManyUids);
    world.require(Needs::Program("cc"));
    let allocator = Allocator::new(world);
    let (outcome, most) = allocator.count();
    assert_eq!(server.judge(&outcome), end, "{outcome:?}");
    let mut seen = Vec::new();
    // Those of the proof fail one after the other, as far as both processes count as they did before.
    let proof = if end == Became::Deferred && missing == Missing::One { most - PROOF } else { most };
    for allocations in (0..proof).step_by(step).chain(proof..most) {
        let outcome = allocator.deliver(missing, allocations);
        let became = server.judge(&outcome);
        if end == Became::Deferred {
            let is_told = server.sink.transcript().iter().any(|line| line.starts_with("C: MAIL"));
            let is_refused = became != Became::Delivered && !is_told;
            assert!(is_refused, "{missing:?} after {allocations}: {outcome:?}");
        }
        seen.push(became);
    }
    println!("{missing:?}: {} deliveries of {most} allocations", seen.len());
    // Neither process can have done without.
    assert!(seen.contains(&Became::Crashed) && seen.contains(&Became::Deferred), "{seen:?}");
}

/// The steps are for the time that it takes. Step by step it was seen once: of these in both ways, of refusals where one
/// allocation fails.
fn sweep_a_delivery(world: &World, mut server: Server, step: usize) {
    for missing in [Missing::Rest, Missing::One] {
        sweep_allocations(world, &mut server, Became::Delivered, missing, step);
    }
}

#[test]
fn memory_that_ends_at_any_allocation_is_a_retry() {
    in_world(|world| sweep_a_delivery(world, Server::start(world, None), 11));
}

#[test]
fn memory_that_ends_at_any_allocation_under_tls_is_a_retry() {
    in_world(|world| {
        let acceptor = certificate().acceptor().unwrap();
        sweep_a_delivery(world, Server::start(world, Some(acceptor)), 113);
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
        sweep_a_delivery(world, server, 101);
    });
}

/// What an exchanger with this certificate cannot prove stays unproved whichever allocation fails. The report is that of a
/// delivery that lacks nothing.
fn sweep_a_refusal(world: &World, certificate: &Identity, rules: &str, tlsa: &str, report: &str) {
    let mut server = Server::start(world, Some(certificate.acceptor().unwrap()));
    let zone = "example.test MX 10 mx1.example.test\nmx1.example.test A 192.0.2.10\n";
    let _dns = DnsStub::start(Zone::parse(&format!("{zone}{tlsa}")).unwrap()).unwrap();
    world.control("smtproutes", "");
    world.control("tlsdestinations", rules);
    delivery().run().assert_reports(&[format!("Z{report}. (#4.4.1)\n")]);
    for (missing, step) in [(Missing::Rest, 499), (Missing::One, 97)] {
        sweep_allocations(world, &mut server, Became::Deferred, missing, step);
    }
}

/// A rule of this kind that trusts this authority alone.
fn rule(world: &World, kind: &str, authority: &Authority) -> String {
    let file = authority.identity().write(&world.scratch(), "authority").unwrap().certificate;
    format!("{kind}:{}\n", file.display())
}

#[test]
fn an_unknown_authority_is_refused_whichever_allocation_fails() {
    in_world(|world| {
        // Another key under the name that is looked for.
        let [trusted, stranger] = ["", ""].map(|_| Authority::new("Partner authority").unwrap());
        let certificate = stranger.issue(&["mx1.example.test"]).unwrap();
        let report = "Unable to verify X.500 certificate from: mx1.example.test for example.test: \
                      unable to get local issuer certificate";
        sweep_a_refusal(world, &certificate, &rule(world, "+*", &trusted), "", report);
    });
}

/// The common name is right, and does not count beside an alternative name.
#[test]
fn a_wrong_name_is_refused_whichever_allocation_fails() {
    in_world(|world| {
        let trusted = Authority::new("Partner authority").unwrap();
        let (names, common_name) = (&["192.0.2.77"][..], Some("mx1.example.test"));
        let certificate = trusted.issue_with(&Content { names, common_name, ..Content::default() }).unwrap();
        let report = "Unable to validate X.500 certificate Subject for: example.test at mx1.example.test";
        sweep_a_refusal(world, &certificate, &rule(world, "=*", &trusted), "", report);
    });
}

#[test]
fn another_certificate_than_the_tlsa_record_is_refused_whichever_allocation_fails() {
    in_world(|world| {
        let whole = certificate().certificate.to_der().unwrap();
        let octets: String = whole.iter().map(|octet| format!("{octet:02x}")).collect();
        let record = format!("_25._tcp.mx1.example.test TLSA 3 0 0 {octets}\n");
        let report = "TLSA X.509 cert required but missing from: mx1.example.test for example.test: no matching \
                      DANE TLSA records";
        sweep_a_refusal(world, &certificate(), "", &record, report);
    });
}

/// Delivers with less and less of what `ulimit` calls `option`, until not even the C library's loader has enough: what it
/// does then is out of the program's hands. What became of each, and of the last one without the loader, `Crashed`.
fn sweep_limit(world: &World, option: &str, most: usize, step: usize) -> Vec<Became> {
    let mut server = Server::start(world, Some(certificate().acceptor().unwrap()));
    let mut seen = Vec::new();
    for limit in (0..most).rev().step_by(step) {
        let outcome = delivery_after(world, &format!("ulimit {option} {limit}; ")).run();
        if matches!(outcome.status.code(), Some(126 | 127)) {
            assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{outcome:?}");
            seen.push(Became::Crashed);
            break;
        }
        seen.push(server.judge(&outcome));
    }
    println!("{option}: {seen:?}");
    assert_eq!(seen.first(), Some(&Became::Delivered));
    seen
}

#[test]
fn a_limit_of_memory_is_a_retry_or_enough() {
    in_world(|world| {
        let address_space = sweep_limit(world, "-v", 24_000, 100);
        assert!(address_space.contains(&Became::Deferred));
        assert_eq!(address_space.last(), Some(&Became::Crashed));
        assert!(sweep_limit(world, "-d", 2000, 25).contains(&Became::Crashed));
        assert!(sweep_limit(world, "-s", 400, 4).contains(&Became::Crashed));
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
