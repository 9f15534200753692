//! Who starts the program, and who may read the key: the monitor alone.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use nix::unistd::Pid;
use openssl::nid::Nid;
use world::world::{COURIER, KEYS_GID};
use world::{Identity, Needs, World, in_world};

use crate::held::{ACCEPTED, Held, Stage, delivery, route_to_held};
use crate::keys::{certified, ec, installed};
use crate::postfix::{assert_relayed, deliver_by, server};

/// The key belongs to this user and group alone, and deliveries by `identity` have it used.
fn only_for(world: &World, owner: u32, group: u32, mode: u32, identity: Identity) {
    world.require(Needs::ManyUids);
    let client = certified(&ec(Nid::X9_62_PRIME256V1));
    let server = server(world, &[&client], &[]);
    let (_, key) = installed(world, &client);
    let only = |mode| {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        chown(&key, Some(owner), Some(group)).unwrap();
    };
    only(mode);
    for port in ["2512", "2513"] {
        assert_relayed(&server, &deliver_by(world, port, identity));
    }
    // Nobody else could: it was the one permission that opened it.
    let report = format!("ZCan't load X.509 private key: {}. (#4.4.1)\n", key.display());
    if identity != Identity::Root {
        only(0);
        deliver_by(world, "2513", identity).assert_reports(&[report]);
    }
}

#[test]
fn root_reads_a_key_of_its_own() {
    in_world(|world| only_for(world, 0, 0, 0o600, Identity::Root));
}

#[test]
fn an_ordinary_user_reads_a_key_of_its_own() {
    in_world(|world| only_for(world, COURIER, 0, 0o600, Identity::Courier));
}

#[test]
fn a_set_group_id_program_reads_a_key_of_its_group() {
    in_world(|world| only_for(world, 0, KEYS_GID, 0o040, Identity::SetgidKeys));
}

fn groups(process: Pid) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    status.lines().filter(|line| line.starts_with("Gid:") || line.starts_with("Groups:")).collect()
}

/// While the key is in use, a process with the ids of the child cannot open it, and the child has no file open but the
/// message.
#[test]
fn the_child_of_a_set_group_id_program_can_read_no_key() {
    in_world(|world| {
        world.require(Needs::ManyUids);
        let client = certified(&ec(Nid::X9_62_PRIME256V1));
        let (_, key) = installed(world, &client);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        chown(&key, Some(0), Some(KEYS_GID)).unwrap();
        route_to_held(world);
        let held = Held::that_demands_a_certificate_at(Stage::Ehlo);
        let running = delivery().identity(Identity::SetgidKeys).start();
        held.wait_until_reached();
        let keys = KEYS_GID.to_string();
        assert!(groups(running.pid()).contains(&keys), "the monitor has the group");
        let child = running.child_pid();
        assert!(!groups(child).contains(&keys), "{}", groups(child));
        // By the child's ids, from the outside: the kernel asks nothing else of whoever opens a file.
        let ids = [format!("--reuid={COURIER}"), format!("--regid={COURIER}"), "--clear-groups".to_owned()];
        let mut cat = world::programs::command("setpriv");
        assert!(!cat.args(&ids).arg("cat").arg(&key).output().unwrap().status.success());
        let mut cat = world::programs::command("setpriv");
        let certificate = world.scratch().join("client.pem");
        assert!(cat.args(&ids).arg("cat").arg(certificate).output().unwrap().status.success());
        let open = fs::read_dir(format!("/proc/{child}/fd")).unwrap();
        let open: Vec<_> = open.map(|entry| fs::read_link(entry.unwrap().path()).unwrap()).collect();
        assert!(!open.contains(&key), "{open:?}");
        held.go_on();
        let accepted =
            ACCEPTED.map(|report| report.replace("192.0.2.10 acc", "192.0.2.10 TLS transmitted message acc"));
        let accepted = accepted.map(|report| report.replace("accepted message.", "accepted."));
        running.wait().assert_reports(&accepted);
    });
}
