//! The monitor's side of a conversation: any messages in any order, decoded as they would be and handed to the transcript.
//! It never panics, its reports are always well-formed, and no server begins a line of them in words of its own. There is
//! no `K` but along all the steps, and by what an accepted message says, the last one, every other letter is what a plain
//! reading of the contract makes of it; `Possible duplicate!` stands where there may be one. Credentials are opened once,
//! for whom they are; a key signs what was sent for it, once for a connection.
//! A case is two octets for the plan, and messages without the lengths of frames.
#![no_main]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use libfuzzer_sys::fuzz_target;
use qmail_remote::ipc::Message;
use qmail_remote::monitor::outcome::{Broken, Task, Transcript};
use qmail_remote::plan::Protocol;
use qmail_remote_fuzz::delivery::{Steps, exchanger_rule, plan};
use qmail_remote_fuzz::rspawn::{Letter, belief};

/// Lines behind the first that are the program's own.
const OURS: [&str; 2] = [
    "no supported AUTH method found, continuing without authentication.",
    "it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)",
];

/// Whether a later line of a report is one that it may have: ours, or of a reply and with its code.
fn may_follow(line: &str, protocol: Protocol) -> bool {
    let reply = line.strip_prefix("Remote host said: ").unwrap_or(line).as_bytes();
    let has_code = reply.first_chunk::<3>().is_some_and(|code| code.iter().all(u8::is_ascii_digit));
    OURS.contains(&line) || (protocol == Protocol::Smtp && has_code)
}

fn check_text(report: &[u8], protocol: Protocol) {
    let text = str::from_utf8(report).expect("UTF-8");
    assert!(text == "r" || text.ends_with('\n'), "{text:?}");
    assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
    assert!(text.lines().skip(1).all(|line| may_follow(line, protocol)), "{text:?}");
}

fuzz_target!(|data: &[u8]| {
    let Some((bits, mut rest)) = data.split_first_chunk() else { return };
    let bits = u16::from_le_bytes(*bits);
    let (plan, rule) = (plan(bits), exchanger_rule(bits));
    let mut transcript = Transcript::new(b"example.test", &plan);
    let mut steps = Steps::new(&plan);
    let mut broken = None;
    while !transcript.is_over() {
        let Ok((message, after)) = postcard::take_from_bytes::<Message>(rest) else {
            broken = Some(if rest.is_empty() { Broken::Died } else { Broken::Lied });
            break;
        };
        rest = after;
        let task = match transcript.accept(message.clone()) {
            Ok(task) => task,
            Err(why) => {
                broken = Some(why);
                break;
            }
        };
        steps.note(&message);
        if let Some(task) = task {
            if let Task::RaisePolicy(_) = task {
                transcript.raise_policy(rule.clone());
            }
            steps.obey(&task, rule.as_ref());
        }
    }
    let reports = match broken {
        Some(why) => transcript.broken(why),
        None => transcript.conclude(),
    };
    let (output, status) = (reports.encode(), ExitStatus::from_raw(i32::from(reports.exit_status()) << 8));

    assert_eq!(output.last(), Some(&0));
    let reports: Vec<&[u8]> = output[..output.len() - 1].split(|&octet| octet == 0).collect();
    reports.iter().for_each(|report| check_text(report, plan.protocol));
    let (message, recipients) = reports.split_last().expect("a message report");
    let letters: Vec<u8> = recipients.iter().filter_map(|report| report.first().copied()).collect();
    let shown = output.escape_ascii();
    if broken.is_some() {
        assert!(message.starts_with(b"Z") && recipients.is_empty(), "{shown}");
    } else {
        assert_eq!((message[0], &letters), (steps.verdict, &steps.letters), "{shown}: {steps:?}");
    }
    assert!(letters.len() == recipients.len() && letters.len() <= plan.recipients.len(), "{shown}");
    if broken.is_some() || steps.is_lost {
        let warns = str::from_utf8(message).is_ok_and(|text| text.contains("Possible duplicate!"));
        assert_eq!(warns, steps.may_be_there, "{shown}: {steps:?}");
    }
    if message.starts_with(b"K") {
        assert!(steps.allow_success(), "{shown}: {steps:?}");
    }
    let believed = belief(status, &output).letter;
    assert!(believed != Letter::K || message.starts_with(b"K"));
});
