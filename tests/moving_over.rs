//! The scripts that docs/migrating.md and packaging/services/ show, run as they stand there.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use held::{ACCEPTED, Held, Stage, reachable_copy, route_to_held};
use world::{Delivery, Identity, Needs, World, in_world};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shell scripts of docs/migrating.md, in their order.
fn scripts() -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/migrating.md")).unwrap();
    let mut scripts: Vec<String> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let code = line.strip_prefix("    ");
        if code == Some("#!/bin/sh") {
            scripts.push(String::new());
            inside = true;
        }
        inside &= code.is_some();
        if let (true, Some(code), Some(script)) = (inside, code, scripts.last_mut()) {
            script.push_str(&format!("{code}\n"));
        }
    }
    scripts
}

fn program(path: &Path, text: &str) -> PathBuf {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// What is said to be in qmail's `bin`: the new program as `new`, and the old one, which delivers without saying how.
fn installed(world: &World, new: &str) {
    route_to_held(world);
    symlink(reachable_copy(world), Path::new("/var/qmail/bin").join(new)).unwrap();
    program(Path::new("/var/qmail/bin/qmail-remote.old"), "#!/bin/sh\nprintf 'r\\0Kby the old one\\n\\0'\n");
}

#[test]
fn the_script_for_some_domains_alone_lets_each_program_have_its_own() {
    in_world(|world| {
        let [choice, _] = scripts().try_into().unwrap_or_else(|found| panic!("two scripts: {found:?}"));
        installed(world, "qmail-remote.new");
        let script = program(&world.scratch().join("choice"), &choice);
        let held = Held::at(Stage::EndOfData);
        held.go_on();
        let deliver = |host: &str| {
            let delivery = Delivery::new(&script).identity(Identity::Qmailr).host(host);
            delivery.sender("alice@sender.test").recipient("bob@example.test").run()
        };
        deliver("example.com").assert_reports(&ACCEPTED);
        assert!(held.seen().whole);
        deliver("example.org").assert_reports(&["r", "Kby the old one\n"]);
    });
}

#[test]
fn the_script_for_indimail_drops_the_arguments_that_this_program_does_not_know() {
    in_world(|world| {
        let [_, indimail] = scripts().try_into().unwrap_or_else(|found| panic!("two scripts: {found:?}"));
        installed(world, "qmail-remote");
        let script = program(&world.scratch().join("indimail"), &indimail);
        let held = Held::at(Stage::EndOfData);
        held.go_on();
        let delivery = Delivery::new(script).identity(Identity::Qmailr).host("example.test");
        let delivery =
            delivery.sender("alice@sender.test").argument("").argument("1234").recipient("bob@example.test");
        delivery.run().assert_reports(&ACCEPTED);
        assert!(held.seen().whole);
    });
}

#[test]
fn under_the_run_script_for_daemontools_and_s6_qmailr_delivers() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        installed(world, "qmail-remote");
        // In qmail-start's place: what qmail-rspawn comes to, once it has become qmailr; and what is left for set-user-id
        // programs, which is what the script limits.
        let start = "#!/bin/sh\n\
             grep CapBnd /proc/self/status >/var/world/scratch/bounds\n\
             exec setpriv --reuid=qmailr --regid=qmail --init-groups qmail-remote example.test alice@sender.test \
             bob@example.test\n";
        program(Path::new("/var/qmail/bin/qmail-start"), start);
        let held = Held::at(Stage::EndOfData);
        held.go_on();
        let run = root().join("packaging/services/run");
        Delivery::new(run).run().assert_reports(&ACCEPTED);
        assert!(held.seen().whole);
        // chown 0, dac_override 1, kill 5, setgid 6, setuid 7.
        let bounds = fs::read_to_string(world.scratch().join("bounds")).unwrap();
        assert_eq!(bounds, "CapBnd:\t00000000000000e3\n");
    });
}

#[test]
fn systemd_run_gets_every_setting_of_the_unit_and_then_the_command() {
    in_world(|world| {
        let bin = world.scratch().join("bin");
        fs::create_dir(&bin).unwrap();
        program(&bin.join("systemd-run"), "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
        let shown = |arguments: &[&str]| {
            let path = format!("{}:/usr/bin:/bin", bin.display());
            let script = root().join("packaging/services/systemd-run.sh");
            let output = Command::new(script).args(arguments).env("PATH", path).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let settings = fs::read_to_string(root().join("packaging/services/qmail.conf")).unwrap();
        let settings = settings.lines().filter(|line| line.contains('=') && !line.starts_with('#'));
        let mut expected: Vec<String> = settings.map(|line| format!("--property={line}")).collect();
        assert!(expected.len() > 15, "{expected:?}");
        expected.sort();
        let text = shown(&["--pipe", "id", "-u"]);
        let (properties, rest): (Vec<_>, Vec<_>) =
            text.lines().map(str::to_owned).partition(|word| word.starts_with("--property="));
        let mut properties = properties;
        properties.sort();
        assert_eq!(properties, expected);
        let path = "--setenv=PATH=/var/qmail/bin:/usr/local/bin:/usr/bin:/bin";
        assert_eq!(rest, ["--collect", path, "--pipe", "id", "-u"]);
        assert!(shown(&[]).ends_with("--unit=qmail\n/var/qmail/bin/qmail-start\n./Maildir/\n"));
    });
}
