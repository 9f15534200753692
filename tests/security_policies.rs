//! The AppArmor profile and the SELinux module: compilers know the languages everywhere, and where the kernel has
//! AppArmor a delivery runs under the profile.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::fs;
use std::path::{Path, PathBuf};

use held::{ACCEPTED, Held, PROGRAM, Stage, addressed, route_to_held};
use world::programs::{command, run};
use world::{Delivery, Identity, Needs, in_world};

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

#[test]
fn the_apparmor_profile_is_well_formed_and_denies_nothing() {
    in_world(|world| {
        world.require(Needs::Program("apparmor_parser"));
        let profile = source("apparmor/qmail-remote");
        run(command("apparmor_parser").args(["-Q", "-K", "-T"]).arg(&profile));
        // What is installed may complain only: operations.md says why.
        let text = fs::read_to_string(profile).unwrap();
        let heads = text.lines().filter(|line| line.starts_with("profile "));
        assert_eq!(heads.map(|head| head.ends_with(" flags=(complain) {")).collect::<Vec<_>>(), [true]);
    });
}

#[test]
fn the_selinux_module_is_well_formed() {
    in_world(|world| {
        world.require(Needs::Program("checkmodule"));
        world.require(Needs::Program("semodule_package"));
        let (module, package) =
            (world.scratch().join("qmail_remote.mod"), world.scratch().join("qmail_remote.pp"));
        run(command("checkmodule")
            .args(["-M", "-m", "-o"])
            .arg(&module)
            .arg(source("selinux/qmail_remote.te")));
        let contexts = source("selinux/qmail_remote.fc");
        run(command("semodule_package")
            .arg("-o")
            .arg(&package)
            .arg("-m")
            .arg(&module)
            .arg("-f")
            .arg(contexts));
        assert!(fs::metadata(package).unwrap().len() > 0);
    });
}

/// The profile, loaded for one program alone, and unloaded afterwards.
struct Enforced(PathBuf);

impl Enforced {
    fn profile(profile: PathBuf) -> Enforced {
        run(command("apparmor_parser").args(["-a", "-K"]).arg(&profile));
        Enforced(profile)
    }
}

impl Drop for Enforced {
    fn drop(&mut self) {
        run(command("apparmor_parser").arg("-R").arg(&self.0));
    }
}

/// Whether profiles can be loaded: not by kernels without AppArmor, and not in a user namespace.
fn has_apparmor() -> bool {
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    let mapped = fs::read_to_string("/proc/self/uid_map").unwrap();
    enabled.is_ok_and(|text| text == "Y\n") && mapped.contains("4294967295")
}

#[test]
fn where_the_kernel_has_apparmor_a_delivery_goes_through_under_the_profile_and_nothing_else_is_read() {
    in_world(|world| {
        // No machine can be given another kernel: this is skipped in CI, too.
        if !has_apparmor() {
            println!("skipped: this kernel has no AppArmor, or not for this user");
            return;
        }
        world.require(Needs::ManyUids);
        let program = world.scratch().join("qmail-remote-under-apparmor");
        fs::copy(PROGRAM, &program).unwrap();
        let text = fs::read_to_string(source("apparmor/qmail-remote")).unwrap();
        let text = text.replace(
            "/{var/qmail/bin,usr/lib/qmail-remote}/qmail-remote flags=(complain)",
            "/var/qmail/bin/\
             qmail-remote-under-apparmor",
        );
        let text = text.replace("profile qmail-remote ", "profile qmail-remote-under-apparmor ");
        let text = text.replace("peer=qmail-remote,", "peer=qmail-remote-under-apparmor,");
        let _profile = Enforced::profile(world.file("profile", text));
        let deliver = |identity| addressed(Delivery::new(&program)).identity(identity).run();
        route_to_held(world);
        world.tcpto();
        for identity in [Identity::Root, Identity::Qmailr] {
            let held = Held::under_tls_at(Stage::EndOfData);
            held.go_on();
            deliver(identity).assert_reports(&[
                ACCEPTED[0].to_owned(),
                ACCEPTED[1].replace("accepted message", "TLS transmitted message accepted"),
            ]);
            assert!(held.seen().whole, "{identity:?}");
        }
        // Readable for everybody, and of no name that the profile has.
        let elsewhere = world.file("certificate.pem", "").display().to_string();
        world.control("domaincerts", format!("*:{elsewhere}\n"));
        let unreadable = format!("ZCan't load X.509 certificate: {elsewhere}. (#4.4.1)\n");
        deliver(Identity::Qmailr).assert_reports(&[unreadable]);
    });
}
