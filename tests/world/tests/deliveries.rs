//! Deliveries by stand-ins for the product: shell scripts that tell what they were given.

#![expect(clippy::unwrap_used, reason = "a failed step must stop the test")]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use world::{Delivery, Identity, Letter, Message, Needs, World, in_world};

/// A script in the place of the product.
fn script(world: &World, body: &str) -> PathBuf {
    let path = world.file("stand-in", format!("#!/bin/sh\n{body}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn arguments_message_and_environment_arrive() {
    in_world(|world| {
        let told = script(world, r#"printf '%s|' "$@" "$COLOUR" "$HOME" "$PWD" "$(cat)""#);
        let outcome = Delivery::new(told)
            .host("example.test")
            .sender("")
            .recipient("a b@example.test")
            .recipient("c@example.test")
            .message(Message::bytes("hello\n"))
            .env("COLOUR", "green")
            .run();
        assert_eq!(
            outcome.stdout.escape_ascii().to_string(),
            "example.test||a b@example.test|c@example.test|green||/|hello|"
        );
        assert!(outcome.status.success());
    });
}

#[test]
fn messages_come_as_the_asked_for_kind_of_file() {
    in_world(|world| {
        let kind = script(world, "stat -L -c %F /dev/fd/0 2>/dev/null || echo closed");
        let tell = |message: Message| {
            let stdout = Delivery::new(&kind).message(message).run().stdout;
            String::from_utf8(stdout).unwrap().trim().to_owned()
        };
        assert_eq!(tell(Message::bytes("x")), "regular file");
        assert_eq!(tell(Message::File(world.file("message", "x"))), "regular file");
        assert_eq!(tell(Message::Pipe(b"x".to_vec())), "fifo");
        assert_eq!(tell(Message::Directory), "directory");
        assert_eq!(tell(Message::Closed), "closed");
    });
}

#[test]
fn long_messages_come_through_a_pipe() {
    in_world(|world| {
        let count = script(world, "wc -c");
        let outcome = Delivery::new(count).message(Message::Pipe(vec![b'x'; 1_000_000])).run();
        assert_eq!(outcome.stdout, b"1000000\n");
    });
}

#[test]
fn closed_and_failing_outputs_are_as_asked_for() {
    in_world(|world| {
        let write = script(world, "test -e /dev/fd/1 && echo open >&2; echo word || echo failed >&2");
        let said = |delivery: Delivery| String::from_utf8(delivery.run().stderr).unwrap();
        let closed = said(Delivery::new(&write).stdout_closed());
        assert!(!closed.contains("open") && closed.contains("failed"), "{closed}");
        let full = said(Delivery::new(&write).stdout_full());
        assert!(full.contains("open") && full.contains("failed"), "{full}");
        let unread = Delivery::new(&write).stdout_unread().run();
        assert_eq!(unread.status.signal(), Some(13), "{unread:?}");
    });
}

#[test]
fn identities_are_those_of_the_system() {
    in_world(|world| {
        let id = script(world, r#"echo "$(id -u) $(id -g)""#);
        let tell = |identity: Identity| {
            let outcome = Delivery::new(&id).identity(identity).run();
            String::from_utf8(outcome.stdout).unwrap().trim().to_owned()
        };
        assert_eq!(tell(Identity::Root), "0 0");
        assert_eq!(tell(Identity::Qmailr), "7996 7990");
        assert_eq!(tell(Identity::Courier), "7001 7001");
    });
}

#[test]
fn supplementary_groups_and_capabilities_are_gone() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        let status = script(world, "id -G; grep CapEff /proc/self/status");
        let outcome = Delivery::new(status).identity(Identity::Courier).run();
        assert_eq!(outcome.stdout.escape_ascii().to_string(), "7001\\nCapEff:\\t0000000000000000\\n");
    });
}

#[test]
fn set_group_id_takes_effect() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        // Scripts ignore the bit, programs do not.
        let outcome = Delivery::new("/usr/bin/id").argument("-g").identity(Identity::SetgidKeys).run();
        assert_eq!(outcome.stdout, b"7997\n", "{outcome:?}");
    });
}

#[test]
fn a_running_delivery_can_be_looked_at_and_killed() {
    in_world(|world| {
        let waits = script(world, "sleep 1000 & wait");
        let running = Delivery::new(waits).identity(Identity::Courier).start();
        let child = running.child_pid();
        assert!(std::fs::metadata(format!("/proc/{child}")).is_ok());
        running.kill(Signal::SIGKILL);
        // The child still holds the pipes.
        nix::sys::signal::kill(child, Signal::SIGKILL).unwrap();
        let outcome = running.wait();
        assert_eq!(outcome.status.signal(), Some(9));
        assert_eq!(outcome.belief().letter, Letter::Z);
    });
}

#[test]
fn programs_of_one_name_do_not_hide_each_other() {
    in_world(|world| {
        let first = script(world, r"printf 'Kone\0'");
        let directory = world.scratch().join("other");
        std::fs::create_dir(&directory).unwrap();
        let second = directory.join("stand-in");
        std::fs::write(&second, "#!/bin/sh\nprintf 'Ktwo\\0'\n").unwrap();
        std::fs::set_permissions(&second, std::fs::Permissions::from_mode(0o755)).unwrap();
        for _ in 0..2 {
            Delivery::new(&first).run().assert_reports(&["Kone"]);
            Delivery::new(&second).identity(Identity::Qmailr).run().assert_reports(&["Ktwo"]);
        }
    });
}

#[test]
fn words_on_fd_2_come_first_in_what_the_queue_believes() {
    in_world(|world| {
        let warns = script(world, r"echo 'Dreadful warning' >&2; printf 'r\0Kdone\n\0'");
        let outcome = Delivery::new(warns).run();
        assert_eq!(outcome.stderr, b"Dreadful warning\n");
        assert_eq!(outcome.belief().letter, Letter::D);
    });
}
