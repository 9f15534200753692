//! A dialogue as it goes with servers that offer PIPELINING: the client's envelope comes in one flight, before the
//! first answer to it, and everything else stays: the reports must be the same.

use super::case::{Connection, Dialogue, Ending, Placed, Step};

impl Dialogue {
    /// The pipelined form. None where that is the same: no server gets as far as the envelope after a plain answer to
    /// EHLO, or PIPELINING or CHUNKING is offered already.
    pub fn pipelined(&self) -> Option<Dialogue> {
        let mut dialogue = self.clone();
        let recipients = self.arguments.len().saturating_sub(2);
        let mut any = false;
        for connection in dialogue.servers.iter_mut().flat_map(|server| &mut server.connections) {
            let has_its_own = |step: &Placed<Step>| sends(step, b"PIPELINING") || sends(step, b"CHUNKING");
            if connection.steps.iter().any(has_its_own) {
                return None;
            }
            any |= connection.pipeline(recipients);
        }
        any.then_some(dialogue)
    }
}

impl Connection {
    /// Whether anything has changed.
    fn pipeline(&mut self, recipients: usize) -> bool {
        let Some(mail) = self.steps.iter().position(|step| says(step, b"MAIL FROM")) else { return false };
        // The last EHLO before the envelope; none after HELO.
        let hello = |step: &Placed<Step>| says(step, b"EHLO") || says(step, b"HELO");
        let Some(hello) = self.steps.iter().take(mail).rposition(hello) else { return false };
        let is_ehlo = self.steps.get(hello).is_some_and(|step| says(step, b"EHLO"));
        let Some(answer) = self.steps.get_mut(hello.saturating_add(1)) else { return false };
        let line = answer.line;
        let Step::Send(text) = &mut answer.what else { return false };
        let is_one_line = text.iter().filter(|&&byte| byte == b'\n').count() == 1 && text.ends_with(b"\r\n");
        if !(is_ehlo && is_one_line && text.starts_with(b"250")) {
            return false;
        }
        let mut offer =
            if text.get(3) == Some(&b'-') { b"250-PIPELINING\r\n" } else { b"250 PIPELINING\r\n" }.to_vec();
        text.splice(3..4, *b"-");
        text.append(&mut offer);

        let envelope = self.steps.split_off(mail);
        let last = envelope.iter().rposition(|step| says(step, b"RCPT")).unwrap_or_default();
        let last_is_answered = envelope.get(last.saturating_add(1)).is_some_and(|step| sends(step, b""));
        let (commands, rest): (Vec<_>, Vec<_>) = envelope
            .into_iter()
            .partition(|step| [&b"MAIL"[..], b"RCPT", b"DATA"].iter().any(|verb| says(step, verb)));
        let of = |verb: &[u8]| commands.iter().filter(|step| says(step, verb)).cloned().collect::<Vec<_>>();
        let (mut rcpt, mut data) = (of(b"RCPT"), of(b"DATA"));
        let goes_on = matches!(self.ending.what, Ending::Quit | Ending::Bye | Ending::Eof);
        let is_answered = data.is_empty() && rcpt.len() == recipients && last_is_answered && goes_on;
        // What the client would not have said without PIPELINING.
        let said = |text: &[u8]| Placed { line, what: Step::LinePrefix(text.to_vec()) };
        rcpt.resize(recipients, said(b"RCPT TO:<"));
        data.resize(1, said(b"DATA"));
        self.steps.extend([of(b"MAIL"), rcpt, data, rest].concat());
        if is_answered {
            // All recipients are refused, and so is DATA.
            let refusal = b"503 5.5.1 no recipients\r\n".to_vec();
            self.steps.push(Placed { line, what: Step::Send(refusal) });
        }
        true
    }
}

fn says(step: &Placed<Step>, verb: &[u8]) -> bool {
    matches!(&step.what, Step::Line(text) | Step::LinePrefix(text) if text.starts_with(verb))
}

fn sends(step: &Placed<Step>, word: &[u8]) -> bool {
    matches!(&step.what, Step::Send(text) if word.is_empty() || text.windows(word.len()).any(|window| window == word))
}
