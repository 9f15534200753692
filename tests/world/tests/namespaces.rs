//! The namespaces: what is private inside, and what the outside learns.

use std::net::{TcpListener, TcpStream};
use std::process::Command;

use world::{Needs, in_world};

#[test]
fn privileged_ports_of_the_test_networks_are_ours() {
    in_world(|_| {
        let listener = TcpListener::bind("192.0.2.10:25").unwrap();
        let client = TcpStream::connect("192.0.2.10:25").unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(client.local_addr().unwrap(), peer);
    });
}

#[test]
fn ipv6_addresses_that_no_interface_lists_can_be_served() {
    in_world(|world| {
        world.require(Needs::Ipv6);
        let listener = TcpListener::bind("[2001:db8::10]:25").unwrap();
        world.forbid_foreign_ipv6_binds();
        TcpStream::connect("[2001:db8::10]:25").unwrap();
        listener.accept().unwrap();
        assert!(TcpListener::bind("[2001:db8::11]:25").is_err());
    });
}

#[test]
fn no_interface_lists_the_exchangers_addresses() {
    in_world(|_| {
        let listed = world::programs::run(world::programs::command("ip").args(["-o", "address"]));
        let listed = String::from_utf8(listed).unwrap();
        assert!(listed.contains("127.0.0.1"), "{listed}");
        assert!(!listed.contains("192.0.2") && !listed.contains("2001:db8"), "{listed}");
    });
}

#[test]
fn var_and_its_control_files_are_private() {
    in_world(|world| {
        world.control("me", "sender.test\n");
        assert_eq!(std::fs::read("/var/qmail/control/me").unwrap(), b"sender.test\n");
        assert!(!std::path::Path::new("/var/lib/dpkg").exists());
        assert!(world.scratch().is_dir());
        assert_eq!(std::fs::metadata(world.tcpto()).unwrap().len(), 1024);
    });
}

#[test]
fn users_and_resolver_are_private() {
    in_world(|_| {
        let lookup = |database: &str, name: &str| {
            let found = world::programs::run(Command::new("getent").args([database, name]));
            String::from_utf8(found).unwrap()
        };
        assert!(lookup("passwd", "qmailr").starts_with("qmailr:x:7996:7990:"));
        assert!(lookup("passwd", "courier").starts_with("courier:x:7001:7001:"));
        assert!(lookup("group", "keys").starts_with("keys:x:7997:"));
        assert!(lookup("passwd", "root").starts_with("root:"));
        let resolver = std::fs::read_to_string("/etc/resolv.conf").unwrap();
        assert_eq!(resolver, "nameserver 127.0.0.1\noptions trust-ad\n");
    });
}

#[test]
#[should_panic(expected = "inside its world the test failed")]
fn a_failure_inside_is_a_failure_outside() {
    in_world(|_| panic!("to be seen outside"));
}

#[test]
#[ignore = "shows that ignored tests reach their body when asked for"]
fn ignored_tests_run_when_asked_for() {
    in_world(|_| {});
}

#[test]
#[should_panic(expected = "did not come to this test")]
fn a_name_that_selects_no_test_is_a_failure() {
    world::in_world_named("no_such_test", |_| {});
}

#[test]
fn what_the_machine_lacks_is_skipped_or_fails_in_ci() {
    if !world::namespace::is_inside() && std::env::var_os("CI").is_some() {
        return;
    }
    in_world(|world| {
        assert!(!world.can(Needs::Program("no-such-program")));
        world.require(Needs::Program("no-such-program"));
        panic!("not to be reached");
    });
}

#[test]
fn orphans_are_reaped() {
    in_world(|_| {
        // The shell leaves a child behind, which then has no parent but the namespace's first process.
        let run = world::programs::run(Command::new("sh").args(["-c", "sh -c 'exec >&-; :' & echo $!"]));
        let orphan: i32 = String::from_utf8(run).unwrap().trim().parse().unwrap();
        let gone = || std::fs::metadata(format!("/proc/{orphan}")).is_err().then_some(());
        world::patience::until(gone).expect("the orphan to be reaped");
    });
}
