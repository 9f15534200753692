//! What /proc says about a confined process.

use crate::support::{Ended, cannot, hold, is_root, say, starts};
use std::collections::HashMap;
use std::fs;

/// The fields of /proc/PID/status.
fn status(pid: u32) -> HashMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

fn four_times(id: u32) -> String {
    [id.to_string().as_str(); 4].join(" ")
}

/// User and group id, and the groups, that a child started in this way must have.
fn expected(how: &str) -> (u32, u32, String) {
    match how {
        "asis" if is_root() => {
            let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
            (nobody.uid.as_raw(), nobody.gid.as_raw(), String::new())
        }
        "keepcaps" | "realroot" => expected("asis"),
        "asis" => {
            let own = status(std::process::id());
            (
                nix::unistd::Uid::current().as_raw(),
                nix::unistd::Gid::current().as_raw(),
                own["Groups"].clone(),
            )
        }
        _ => (12345, 12345, "12345 54321".to_owned()),
    }
}

#[test]
fn the_child_is_who_it_should_be_and_can_do_nothing() {
    for how in starts() {
        let (mut child, _output) = hold(&["child", how, "hold"]);
        let status = status(child.id());
        let (uid, gid, groups) = expected(how);
        assert_eq!(status["Uid"], four_times(uid), "as {how}");
        assert_eq!(status["Gid"], four_times(gid), "as {how}");
        assert_eq!(status["Groups"], groups, "as {how}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status[set], "0000000000000000", "{set} as {how}");
        }
        if is_root() && matches!(*how, "asis" | "keepcaps" | "realroot") {
            assert_eq!(status["CapBnd"], "0000000000000000", "as {how}");
        }
        assert_eq!(status["Seccomp"], "2", "as {how}");
        assert_eq!(status["NoNewPrivs"], "1", "as {how}");
        drop(child.stdin.take());
        assert_eq!(Ended::from(child.wait().unwrap()), Ended::Done, "as {how}");
    }
}

#[test]
fn the_childs_limits_are_low_and_final() {
    for how in starts() {
        let (mut child, _output) = hold(&["child", how, "hold"]);
        // A process that is not dumpable shows its limits to root, and to nobody else of its user.
        match fs::read_to_string(format!("/proc/{}/limits", child.id())) {
            Ok(text) => {
                let limit = |name: &str| {
                    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                    line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
                };
                assert_eq!(limit("Max core file size"), ["0", "0"]);
                assert_eq!(limit("Max processes"), ["0", "0"]);
                assert_eq!(limit("Max file size"), ["0", "0"]);
                assert_eq!(limit("Max open files"), ["256", "256"]);
                assert_eq!(limit("Max address space"), ["536870912", "536870912"]);
            }
            Err(error) => cannot(&format!("cannot read the limits: {error}")),
        }
        drop(child.stdin.take());
        assert_eq!(Ended::from(child.wait().unwrap()), Ended::Done);
    }
}

#[test]
fn nobody_of_the_same_user_can_look_into_the_child() {
    let (mut child, _output) = hold(&["child", "asis", "hold"]);
    let owner =
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(format!("/proc/{}/mem", child.id())).unwrap());
    assert_eq!(owner, 0, "the child is dumpable");
    if !is_root() {
        assert!(fs::File::open(format!("/proc/{}/mem", child.id())).is_err());
    }
    drop(child.stdin.take());
    assert_eq!(Ended::from(child.wait().unwrap()), Ended::Done);
}

#[test]
fn the_child_of_root_has_an_empty_root_directory() {
    if !is_root() {
        return say("not root: there is no chroot");
    }
    let (mut child, _output) = hold(&["child", "asis", "hold"]);
    let pid = child.id();
    for link in ["root", "cwd"] {
        let target = fs::read_link(format!("/proc/{pid}/{link}")).unwrap();
        assert!(target.ends_with(format!("{pid}/fdinfo")), "{link} is {}", target.display());
    }
    drop(child.stdin.take());
    assert_eq!(Ended::from(child.wait().unwrap()), Ended::Done);
}

#[test]
fn the_monitor_keeps_one_capability_at_most() {
    for how in starts() {
        let (mut monitor, _output) = hold(&["monitor", how, "hold"]);
        let status = status(monitor.id());
        // CAP_KILL is number 5.
        let (effective, permitted) = match *how {
            "asis" | "keepcaps" | "realroot" | "usercaps" if is_root() => {
                ("0000000000000020", "0000000000000020")
            }
            _ => ("0000000000000000", "0000000000000000"),
        };
        assert_eq!(status["CapEff"], effective, "as {how}");
        assert_eq!(status["CapPrm"], permitted, "as {how}");
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(status[set], "0000000000000000", "{set} as {how}");
        }
        assert_eq!(status["Seccomp"], "2", "as {how}");
        assert_eq!(status["NoNewPrivs"], "1", "as {how}");
        drop(monitor.stdin.take());
        assert_eq!(Ended::from(monitor.wait().unwrap()), Ended::Done, "as {how}");
    }
}
