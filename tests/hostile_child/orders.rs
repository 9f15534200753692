//! Scripts that are made by rule: a delivery cut off at every octet, with each of its steps left out, said twice and said
//! too early, and every way to end.

use std::io::Write;
use std::process::exit;

use nix::sys::signal::{Signal, raise};
use qmail_remote::ipc::{Message, Step};
use world::World;

use crate::program::{frames, message_pipe, replied, up_to_end_of_data};
use crate::{DIED, DUPLICATE, LIED, SUCCESS, all_print, deliver};

/// A whole delivery to one recipient.
fn whole() -> Vec<Message> {
    [up_to_end_of_data(), vec![replied(Step::EndOfData, "250 ok")]].concat()
}

/// Which of its steps are the last two, and the answer to DATA before them.
const DATA: usize = 6;
const END_OF_DATA: usize = 7;
const LAST: usize = 8;

/// Plays the script if it is one of these.
pub(crate) fn attack(script: &str) {
    let Some((name, number)) = script.rsplit_once('-') else { return };
    let Ok(number) = number.parse::<usize>() else { return };
    let mut steps = whole();
    match name {
        "cut-at" => {
            message_pipe().write_all(&frames(&steps)[..number]).unwrap();
            exit(0);
        }
        "exit" => exit(i32::try_from(number).unwrap()),
        "signal" => {
            let signal = Signal::try_from(i32::try_from(number).unwrap()).unwrap();
            // Rust's library survives the first SIGSEGV and the first SIGBUS that no memory access made.
            raise(signal).and_then(|()| raise(signal)).unwrap();
            steps.clear();
        }
        "without" => drop(steps.remove(number)),
        "twice" => steps.insert(number, steps[number].clone()),
        "too-early" => steps.swap(number, number + 1),
        "alone" => steps = vec![steps[0].clone(), steps[number].clone()],
        _ => return,
    }
    // What follows a lie is not read, and the pipe may be gone by then.
    let _ = message_pipe().write_all(&frames(&steps));
    if name == "without" && number == LAST {
        exit(0);
    }
    loop {
        std::thread::park();
    }
}

fn succeeds(world: &World, script: &str) {
    deliver(world, script).assert_reports(&["r", SUCCESS]);
}

pub(crate) fn a_delivery_cut_off_anywhere_is_no_success(world: &World) {
    let steps = whole();
    let length = |steps: &[Message]| frames(steps).len();
    let (sent, whole) = (length(&steps[..=END_OF_DATA]), length(&steps));
    for octets in 0..whole {
        let report = if octets < sent { DIED } else { DUPLICATE };
        all_print(world, &[&format!("cut-at-{octets}")], report);
    }
    succeeds(world, &format!("cut-at-{whole}"));
}

pub(crate) fn a_success_takes_every_step_once_and_in_its_order(world: &World) {
    for step in 0..LAST {
        let (without, alone) = (format!("without-{step}"), format!("alone-{step}"));
        match step {
            // A chunk has no answer to DATA before it.
            DATA => succeeds(world, &without),
            _ => all_print(world, &[&without], LIED),
        }
        match step {
            // What comes after the beginning indeed.
            1 => {}
            _ => all_print(world, &[&alone], LIED),
        }
        let report = if step == END_OF_DATA { DUPLICATE } else { LIED };
        all_print(world, &[&format!("twice-{step}")], report);
        let report = if step == DATA { DUPLICATE } else { LIED };
        all_print(world, &[&format!("too-early-{step}")], report);
    }
    all_print(world, &[&format!("without-{LAST}")], DUPLICATE);
    all_print(world, &[&format!("alone-{LAST}")], LIED);
    // The verdict was known before.
    succeeds(world, &format!("twice-{LAST}"));
}

pub(crate) fn every_exit_code_and_every_deadly_signal_is_a_temporary_failure(world: &World) {
    for code in 0..256 {
        all_print(world, &[&format!("exit-{code}")], DIED);
    }
    use Signal::{SIGCHLD, SIGCONT, SIGPIPE, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH, SIGXFSZ};
    // By themselves, or because the program ignores them.
    let harmless = [SIGCHLD, SIGCONT, SIGPIPE, SIGURG, SIGWINCH, SIGXFSZ];
    let stopping = [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU];
    let deadly = Signal::iterator().filter(|signal| !harmless.contains(signal) && !stopping.contains(signal));
    let mut count = 0;
    for signal in deadly {
        all_print(world, &[&format!("signal-{}", signal as i32)], DIED);
        count += 1;
    }
    assert_eq!(count, 21);
}
