//! A dialogue as it goes with servers that offer PIPELINING: the client's envelope comes in one flight, before the
//! first answer to it, and everything else stays: the reports must be the same.

use super::case::{Connection, Dialogue, Ending, Placed, Step};

impl Dialogue {
    /// The pipelined form. None where that is the same: no server gets as far as the envelope after a plain answer to
    /// EHLO, or PIPELINING or CHUNKING is offered already.
    pub fn pipelined(&self) -> Option<Dialogue> {
        let recipients = self.arguments.len().saturating_sub(2);
        self.with(|connection| connection.pipeline(recipients))
    }

    /// The dialogue with other servers. None where `change` has changed no connection, or a server offers an extension of
    /// this kind itself.
    pub(super) fn with(&self, change: impl Fn(&mut Connection) -> bool) -> Option<Dialogue> {
        let mut servers = self.servers.clone();
        let mut any = false;
        for connection in servers.iter_mut().flat_map(|server| &mut server.connections) {
            let has_its_own = |step: &Placed<Step>| sends(step, b"PIPELINING") || sends(step, b"CHUNKING");
            if connection.steps.iter().any(has_its_own) {
                return None;
            }
            any |= change(connection);
        }
        any.then(|| Dialogue { servers, ..self.clone() })
    }
}

impl Connection {
    /// Whether anything has changed.
    fn pipeline(&mut self, recipients: usize) -> bool {
        let Some((answer, mail)) = place_of_envelope(&self.steps) else { return false };
        let Some(answer) = self.steps.get_mut(answer) else { return false };
        let line = answer.line;
        if !offer(answer, &["PIPELINING"]) {
            return false;
        }

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

/// Where the last EHLO before the envelope is answered, and where the envelope begins; none after HELO.
pub(super) fn place_of_envelope(steps: &[Placed<Step>]) -> Option<(usize, usize)> {
    let mail = steps.iter().position(|step| says(step, b"MAIL FROM"))?;
    let hello = |step: &Placed<Step>| says(step, b"EHLO") || says(step, b"HELO");
    let hello = steps.iter().take(mail).rposition(hello)?;
    says(steps.get(hello)?, b"EHLO").then_some((hello.saturating_add(1), mail))
}

/// Adds extensions to an answer to EHLO; false when it is none of one line.
pub(super) fn offer(answer: &mut Placed<Step>, keywords: &[&str]) -> bool {
    let Step::Send(text) = &mut answer.what else { return false };
    let is_one_line = text.iter().filter(|&&byte| byte == b'\n').count() == 1 && text.ends_with(b"\r\n");
    if !(is_one_line && text.starts_with(b"250")) {
        return false;
    }
    // Whether more lines of the answer follow, as steps of their own.
    let last = text.get(3).copied();
    for (index, keyword) in keywords.iter().enumerate() {
        let is_last = index.saturating_add(1) == keywords.len() && last != Some(b'-');
        text.extend(format!("250{}{keyword}\r\n", if is_last { ' ' } else { '-' }).bytes());
    }
    text.splice(3..4, *b"-");
    true
}

pub(super) fn says(step: &Placed<Step>, verb: &[u8]) -> bool {
    matches!(&step.what, Step::Line(text) | Step::LinePrefix(text) if text.starts_with(verb))
}

pub(super) fn sends(step: &Placed<Step>, word: &[u8]) -> bool {
    matches!(&step.what, Step::Send(text) if word.is_empty() || text.windows(word.len()).any(|window| window == word))
}
