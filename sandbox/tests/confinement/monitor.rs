//! What a confined monitor can and cannot do, tried by real pairs of processes.

use crate::support::{CLOCK, Ended, attempt, command, hold, starts};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::Read;
use std::os::fd::AsFd;

#[test]
fn the_monitors_own_work_is_permitted() {
    for how in starts() {
        for action in ["nothing", "memory", "kill-child"] {
            assert_eq!(attempt(&["monitor", how, action]), Ended::Done, "{action} as {how}");
        }
    }
}

#[test]
fn a_monitor_that_reads_files_reads_them_and_does_its_own_work() {
    for how in starts() {
        for action in ["nothing", "memory", "kill-child", "read-file"] {
            assert_eq!(attempt(&["reader", how, action]), Ended::Done, "{action} as {how}");
        }
        assert_eq!(attempt(&["monitor", how, "read-file"]), Ended::Filtered, "as {how}");
    }
}

#[test]
fn a_monitor_that_updates_a_file_locks_it_and_writes_in_place() {
    for how in starts() {
        for action in ["nothing", "memory", "kill-child", "update-file"] {
            assert_eq!(attempt(&["updater", how, action]), Ended::Done, "{action} as {how}");
        }
        assert_eq!(attempt(&["monitor", how, "update-file"]), Ended::Filtered, "as {how}");
        assert_eq!(attempt(&["reader", how, "update-file"]), Ended::Filtered, "as {how}");
    }
}

#[test]
fn a_monitor_that_signs_has_random_numbers() {
    for how in starts() {
        for action in ["nothing", "memory", "kill-child", "getrandom", CLOCK] {
            assert_eq!(attempt(&["signer", how, action]), Ended::Done, "{action} as {how}");
        }
        assert_eq!(attempt(&["monitor", how, "getrandom"]), Ended::Filtered, "as {how}");
    }
}

#[test]
fn every_call_outside_the_table_kills() {
    for who in ["monitor", "reader", "updater", "signer", "all"] {
        let sweep = command(&["sweep", who]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&sweep.stdout), "", "{who}");
        assert_eq!(Ended::from(sweep.status), Ended::Done, "{who}");
    }
}

#[test]
fn a_killed_monitor_takes_the_child_with_it() {
    for how in starts() {
        let (mut monitor, mut output) = hold(&["monitor", how, "hold"]);
        monitor.kill().unwrap();
        monitor.wait().unwrap();
        // Both held the pipe, so its end is the end of both. The limit only keeps a failure from hanging.
        let mut ends = [PollFd::new(output.get_ref().as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::from(10_000_u16);
        assert_eq!(poll(&mut ends, limit), Ok(1), "the child of {how} outlives its monitor");
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}
