//! A dialogue as it goes with servers that offer PIPELINING and CHUNKING: the envelope and the message come in one flight,
//! before the first answer to it, and everything else stays: the reports must be the same.

use super::case::{Body, Connection, Dialogue, Feed, Placed, Step};
use super::pipelined::{offer, place_of_envelope, says, sends};

/// The largest message that goes with the envelope.
const WITH_THE_ENVELOPE: usize = 32 * 1024;

impl Dialogue {
    /// The form with chunks. None where that is the same: no server gets as far as the end of a small message after a
    /// plain answer to EHLO, or PIPELINING or CHUNKING is offered already.
    pub fn chunked(&self) -> Option<Dialogue> {
        // Line ends make it twice as large at most.
        if self.feed == Feed::Pipe || self.message.len() > WITH_THE_ENVELOPE / 2 {
            return None;
        }
        let recipients = self.arguments.len().saturating_sub(2);
        self.with(|connection| connection.chunk(recipients))
    }
}

impl Connection {
    /// Whether anything has changed.
    fn chunk(&mut self, recipients: usize) -> bool {
        let Some((answer, mail)) = place_of_envelope(&self.steps) else { return false };
        let Some(data) = self.steps.iter().position(|step| says(step, b"DATA")) else { return false };
        // Who may refuse MAIL for want of TLS gets no message with it.
        let is_put_off = |pair: &[Placed<Step>]| match pair {
            [asked, answer] => says(asked, b"STARTTLS") && sends(answer, b"454 "),
            _ => false,
        };
        if self.steps.windows(2).any(is_put_off) {
            return false;
        }
        let mut envelope = self.steps.split_off(mail);
        let mut end = envelope.split_off(data.saturating_sub(mail));
        let is_plain = |step: &Placed<Step>| {
            says(step, b"MAIL") || says(step, b"RCPT") || matches!(step.what, Step::Send(_))
        };
        let has_all = envelope.iter().filter(|step| says(step, b"RCPT")).count() == recipients;
        if let [_, go_on, body, last, ..] = end.as_mut_slice()
            && let Step::Body(form) = &body.what
            && !matches!(form, Body::Is(_))
            && sends(go_on, b"354")
            && matches!(last.what, Step::Send(_))
            && envelope.iter().all(is_plain)
            && has_all
            && let Some(answer) = self.steps.get_mut(answer)
            && offer(answer, &["PIPELINING", "CHUNKING"])
        {
            body.what = Step::Chunk(form.clone());
            let mut rest = end.split_off(2);
            let after_the_chunk = rest.split_off(1);
            let (answers, commands): (Vec<_>, Vec<_>) =
                envelope.into_iter().partition(|step| matches!(step.what, Step::Send(_)));
            self.steps.extend([commands, rest, answers, after_the_chunk].concat());
            return true;
        }
        self.steps.extend([envelope, end].concat());
        false
    }
}
