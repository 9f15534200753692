//! Which files are opened during the dialogue: by the monitor those that the rules need, by the network child none.

use std::fs;

use world::certificates::Authority;
use world::{Delivery, Identity, Letter, Needs, World, in_world, programs};

use crate::held::{PROGRAM, addressed};
use crate::support::*;
use crate::trace::{GAINS, after_the_filter, calls, names};

/// Delivers under strace, and gives what that wrote.
fn traced(world: &World, rules: Option<&str>) -> String {
    let place = world.scratch().join("trace");
    let strace = Delivery::new(programs::find("strace").unwrap()).argument("-f").argument("-o");
    let traced = addressed(strace.argument(&place).argument(PROGRAM)).identity(Identity::Root);
    let outcome = match rules {
        Some(rules) => deliver_with(world, rules, traced),
        None => traced.run(),
    };
    assert_eq!(outcome.belief().letter, Letter::K, "{outcome:?}");
    fs::read_to_string(place).unwrap()
}

/// Delivers, and gives what the confined monitor opened, in order.
fn opened_by_the_monitor(world: &World, rules: Option<&str>) -> Vec<String> {
    let trace = traced(world, rules);
    let calls = calls(&trace);
    let [monitor, child] = calls.values().map(|calls| after_the_filter(calls)).collect::<Vec<_>>()[..] else {
        panic!("{} processes", calls.len());
    };
    assert!(
        names(monitor).contains(&"write") && names(child).contains(&"connect"),
        "the trace ends too early"
    );
    for name in GAINS {
        assert!(!names(child).contains(&name), "the child called {name}");
        assert!(
            ["openat", "kill"].contains(&name) || !names(monitor).contains(&name),
            "the monitor called {name}"
        );
    }
    let opened = monitor.iter().filter(|call| call.name == "openat").map(|call| call.arguments);
    let path = |arguments: &str| {
        let (path, flags) = arguments.split_once("\", ").expect("a path and flags");
        assert!(flags.starts_with("O_RDONLY"), "{arguments}");
        path.split_once('"').expect("a path").1.to_owned()
    };
    opened.map(path).collect()
}

#[test]
fn the_monitor_opens_what_the_rules_need_and_the_child_nothing() {
    in_world(|world| {
        world.require(Needs::Program("strace"));
        world.require(Needs::ManyUids);
        let _dns = dns(
            "example.test MX 10 mx1.example.test\nmx1.example.test A 192.0.2.10\nrelay.test A 192.0.2.10\n",
        );
        let authority = Authority::new("Partner authority").unwrap();
        let certificate = &authority.identity().certificate;
        let _server = Server::with(&issue(&authority, &[EXCHANGER]));
        let file = ca_file(world, "ca.pem", &[certificate]);
        let directory = ca_directory(world, "ca", &[certificate]);
        let hash = |number| format!("{directory}{:08x}.{number}", certificate.subject_name_hash());
        let nothing: [&str; 0] = [];
        // Without the file no name of an exchanger can have a rule.
        world.control("me", "client.example.test\n");
        assert_eq!(opened_by_the_monitor(world, None), nothing);
        let opened = |rules: &str| opened_by_the_monitor(world, Some(rules));
        let [list, index] = ["tlsdestinations", "tlsdestinations.cdb"];
        assert_eq!(opened("*:"), [list, index]);
        assert_eq!(opened(&format!("=example.test:{file}")), [list, index, &file]);
        let by_hash = opened(&format!("example.test:{directory}"));
        assert_eq!(by_hash, [list.to_owned(), index.to_owned(), hash(0), hash(1)]);
        world.control("smtproutes", ":relay.test\n");
        assert_eq!(opened("relay.test:"), nothing);
        assert_eq!(opened(&format!("relay.test:{file}")), [file.as_str()]);
    });
}

#[test]
fn of_the_systems_store_only_what_the_chain_names_is_opened() {
    in_world(|world| {
        world.require(Needs::Program("strace"));
        world.require(Needs::ManyUids);
        let _dns = dns("relay.test A 192.0.2.10\n");
        world.control("me", "client.example.test\n");
        world.control("smtproutes", ":relay.test\n");
        let authorities = ["Ours", "Other", "Another"].map(|name| Authority::new(name).unwrap());
        let [ours, ..] = &authorities;
        let certificates = authorities.each_ref().map(|authority| &authority.identity().certificate);
        let _server = Server::with(&issue(ours, &["relay.test"]));
        let opened = |rules: &str| opened_by_the_monitor(world, Some(rules));
        let nothing: [&str; 0] = [];
        // As Debian has it: one file for each authority, by hash.
        let place = trusted_system_directory(world, &certificates);
        let hash = |number| {
            let hash = ours.identity().certificate.subject_name_hash();
            place.join(format!("certs/{hash:08x}.{number}")).display().to_string()
        };
        assert_eq!(opened("+*:"), [hash(0), hash(1)]);
        assert_eq!(opened("=*:"), [hash(0), hash(1)]);
        // As Fedora has it: one file for all.
        fs::remove_dir_all(place.join("certs")).unwrap();
        ca_file(world, "openssl/cert.pem", &certificates);
        let bundle = place.join("cert.pem").display().to_string();
        assert_eq!(opened("+*:"), [hash(0), bundle]);
        for rule in ["*:", "?:", "-*:", "/*:", "relay.test:", "!relay.test:"] {
            assert_eq!(opened(rule), nothing, "{rule}");
        }
    });
}

#[test]
fn the_set_up_of_tls_happens_while_the_answer_to_starttls_is_awaited() {
    in_world(|world| {
        world.require(Needs::Program("strace"));
        world.require(Needs::ManyUids);
        let _dns = dns("example.test MX 10 mx1.example.test\nmx1.example.test A 192.0.2.10\n");
        let _server = Server::with(&issue(&Authority::new("Authority").unwrap(), &[EXCHANGER]));
        let trace = traced(world, Some("-*:"));
        let calls = calls(&trace);
        let child = calls.values().nth(1).expect("a network child");
        let said = child.iter().position(|call| call.arguments.contains("STARTTLS\\r\\n"));
        let after = &child[said.expect("STARTTLS is said") + 1..];
        let read = after.iter().position(|call| call.name == "recvfrom").expect("the answer is read");
        let meanwhile = names(&after[..read]);
        // A context has random keys.
        assert!(meanwhile.contains(&"getrandom"), "{meanwhile:?}");
    });
}
