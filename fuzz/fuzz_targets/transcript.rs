//! The monitor's side of a conversation: any messages in any order, decoded as they would be and handed to the transcript.
//! It never panics, its reports are always well-formed, there is no `K` but along all the steps, and no bounce that nobody
//! claimed a reason for. Credentials are opened, and a key is used, once for a connection, and never where there are none.
//! A case is two octets for the plan, and messages without the lengths of frames.
#![no_main]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use libfuzzer_sys::fuzz_target;
use qmail_remote::ipc::Message;
use qmail_remote::monitor::outcome::{Broken, Task, Transcript};
use qmail_remote_fuzz::delivery::{Steps, plan};
use qmail_remote_fuzz::rspawn::{Letter, belief};

fuzz_target!(|data: &[u8]| {
    let Some((bits, mut rest)) = data.split_first_chunk() else { return };
    let plan = plan(u16::from_le_bytes(*bits));
    let mut transcript = Transcript::new(b"example.test", &plan);
    let mut steps = Steps::default();
    let mut broken = None;
    while !transcript.is_over() {
        let Ok((message, after)) = postcard::take_from_bytes::<Message>(rest) else {
            broken = Some(if rest.is_empty() { Broken::Died } else { Broken::Lied });
            break;
        };
        rest = after;
        match transcript.accept(message.clone()) {
            Ok(Some(Task::RaisePolicy(_))) => {
                transcript.raise_policy(None);
            }
            Ok(_) => {}
            Err(why) => {
                broken = Some(why);
                break;
            }
        }
        steps.note(&message);
        assert!(steps.opened <= usize::from(plan.authentication.is_some()), "{steps:?}");
        assert!(steps.signed <= usize::from(plan.client_certificate.is_some()), "{steps:?}");
    }
    let reports = match broken {
        Some(why) => transcript.broken(why),
        None => transcript.conclude(),
    };
    let (output, status) = (reports.encode(), ExitStatus::from_raw(i32::from(reports.exit_status()) << 8));

    assert_eq!(output.last(), Some(&0));
    let reports: Vec<&[u8]> = output[..output.len() - 1].split(|&octet| octet == 0).collect();
    let (message, recipients) = reports.split_last().expect("a message report");
    assert!(recipients.len() <= plan.recipients.len());
    assert!(recipients.iter().all(|report| matches!(report.first(), Some(b'r' | b's' | b'h'))));
    assert!(
        message.ends_with(b"\n") && broken.is_none_or(|_| message.starts_with(b"Z")),
        "{}",
        output.escape_ascii()
    );
    match message.first() {
        Some(b'K') => assert!(steps.allow_success(&plan), "{steps:?}"),
        Some(b'D') => assert!(steps.may_bounce, "{steps:?}"),
        Some(b'Z') => {}
        _ => panic!("{}", output.escape_ascii()),
    }
    let believed = belief(status, &output).letter;
    assert!(believed != Letter::K || message.starts_with(b"K"));
});
