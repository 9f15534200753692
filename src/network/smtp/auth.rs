//! AUTH (RFC 4954): shows the server the delivery's credentials, which the monitor keeps until then. Network child.
//!
//! Mechanisms are tried in our order, of those that the EHLO reply in force offers and the plan allows here; each in lock
//! step, without an initial response. User and password are here from the challenge to their last use and wiped then,
//! with what OpenSSL and the C library may have left of them on the stack. What a server repeats of them is not told.
#![forbid(unsafe_code)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::dialogue::{Dialogue, Next};
use super::extensions::Extensions;
use crate::authentication::Mechanism;
use crate::ipc::secret::Secret;
use crate::ipc::server_reply::{ReplyClass, ReplyText};
use crate::ipc::{Claim, Step, Unused};
use crate::sys;

/// The mechanisms that an EHLO reply offers, also in the form `AUTH=` of before RFC 2554.
pub(super) fn offered(extensions: &Extensions) -> Vec<Mechanism> {
    let lines = extensions.texts().filter(|line| {
        let keyword = line.get(..4).unwrap_or_default();
        keyword.eq_ignore_ascii_case(b"AUTH") && matches!(line.get(4), Some(b' ' | b'\t' | b'='))
    });
    let words = lines.flat_map(|line| {
        line.get(5..).unwrap_or_default().split(|octet| octet.is_ascii_whitespace() || *octet == b'=')
    });
    let words: Vec<_> = words.collect();
    let is_offered =
        |way: &Mechanism| words.iter().any(|word| word.eq_ignore_ascii_case(way.name().as_bytes()));
    Mechanism::ALL.into_iter().filter(is_offered).collect()
}

/// Authenticates where the plan has credentials. Comes back when MAIL is next.
pub(super) fn authenticate(mut dialogue: Dialogue<'_>) -> Result<Dialogue<'_>, Next> {
    let Some(authentication) = dialogue.plan.authentication else { return Ok(dialogue) };
    let (address, tls) = (dialogue.peer.server.address, dialogue.tls);
    // Decided already; asked again, because from here on the server learns something.
    let may_be = dialogue.peer.allows(tls);
    let mut is_refused = false;
    let offered = offered(&dialogue.extensions);
    for &mechanism in &offered {
        if !may_be || !authentication.allows(mechanism, address, tls) {
            continue;
        }
        let command = format!("AUTH {}\r\n", mechanism.name());
        dialogue.write(command.as_bytes(), Step::Auth(mechanism))?;
        let reply = dialogue.answer(Step::Auth(mechanism))?;
        if reply.text.code().value() == 334 {
            let is_accepted = respond(&mut dialogue, mechanism);
            sys::wipe_stack();
            dialogue.is_authenticated = is_accepted?;
            return if dialogue.is_authenticated { Ok(dialogue) } else { Err(dialogue.quit(Next::Verdict)) };
        }
        if reply.text.class() != ReplyClass::Permanent {
            return Err(dialogue.quit(Next::Verdict));
        }
        is_refused = true;
    }
    // What it offers may be more under TLS. An exchanger that the DNS names is not the server that they are for.
    let could_be_more = tls.is_none() && dialogue.extensions.offer(b"STARTTLS");
    let is_withheld = !authentication.verified_only && (!offered.is_empty() || could_be_more);
    let unused = if is_withheld { Unused::Withheld } else { Unused::NotOffered };
    dialogue.monitor.claim(Claim::NotAuthenticated(unused));
    if is_refused { Err(dialogue.quit(Next::Verdict)) } else { Ok(dialogue) }
}

/// Answers the challenge; whether the server knows us now.
fn respond(dialogue: &mut Dialogue<'_>, mechanism: Mechanism) -> Result<bool, Next> {
    let last = match mechanism {
        Mechanism::CramMd5 => {
            let response = dialogue.monitor.ask_for_digest();
            say(dialogue, Step::AuthResponse, Line::new(response.as_bytes()), &[])?
        }
        Mechanism::Login => {
            let (user, password) = dialogue.monitor.ask_for_credentials();
            let reply = say(dialogue, Step::AuthUser, Line::encoded(&[user.as_bytes()]), &[])?;
            if reply.code().value() != 334 {
                return Ok(false);
            }
            let line = Line::encoded(&[password.as_bytes()]);
            say(dialogue, Step::AuthResponse, line, &[&password])?
        }
        Mechanism::Plain => {
            let (user, password) = dialogue.monitor.ask_for_credentials();
            // No authorization identity: the one that the user has.
            let line = Line::encoded(&[b"\0", user.as_bytes(), b"\0", password.as_bytes()]);
            say(dialogue, Step::AuthResponse, line, &[&password])?
        }
    };
    Ok(last.code().value() == 235)
}

/// Says a line and claims the answer, without what it repeats of the line or of `secrets`.
fn say(dialogue: &mut Dialogue<'_>, step: Step, line: Line, secrets: &[&Secret]) -> Result<ReplyText, Next> {
    dialogue.write_unkept(&line.0, step)?;
    let reply = dialogue.read(step)?.text;
    let said = secrets.iter().map(|secret| secret.as_bytes()).chain([line.0.trim_ascii_end()]);
    let text = said.fold(reply, without);
    dialogue.monitor.claim(Claim::Replied(step, text.clone()));
    Ok(text)
}

/// The reply; a line that has `secret` in it keeps nothing but its code.
fn without(reply: ReplyText, secret: &[u8]) -> ReplyText {
    let holds = |text: &[u8]| !secret.is_empty() && text.windows(secret.len()).any(|part| part == secret);
    let text_of = |line: &[u8]| line.get(4..).is_some_and(holds);
    if !reply.as_bytes().split(|&octet| octet == b'\n').any(text_of) {
        return reply;
    }
    let lines = reply.as_bytes().split_inclusive(|&octet| octet == b'\n');
    let kept = lines.flat_map(|line| match line.get(..4) {
        Some(code) if text_of(line) => [code, b"(not shown)\n"].concat(),
        _ => line.to_vec(),
    });
    ReplyText::truncated(&kept.collect::<Vec<_>>()).unwrap_or(reply)
}

/// A line to say, wiped when it is said. It is made in one place: a vector that grows leaves its content behind.
struct Line(Zeroizing<Vec<u8>>);

impl Line {
    fn new(text: &[u8]) -> Line {
        let mut line = Zeroizing::new(Vec::with_capacity(text.len().saturating_add(2)));
        line.extend_from_slice(text);
        line.extend_from_slice(b"\r\n");
        Line(line)
    }

    /// These octets together, in base64.
    fn encoded(parts: &[&[u8]]) -> Line {
        let length = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        let mut raw = Zeroizing::new(Vec::with_capacity(length));
        for part in parts {
            raw.extend_from_slice(part);
        }
        let room = base64::encoded_len(length, true).unwrap_or_default();
        let mut line = Zeroizing::new(vec![0; room.saturating_add(2)]);
        // It fits: the room is what it needs.
        let end = STANDARD.encode_slice(&*raw, &mut line).unwrap_or_default();
        line.truncate(end);
        line.extend_from_slice(b"\r\n");
        Line(line)
    }
}

#[cfg(test)]
mod tests {
    use super::super::extensions::tests::extensions;
    use super::*;

    #[test]
    fn mechanisms_are_read_from_the_lines_of_auth_alone() {
        use Mechanism::{CramMd5, Login, Plain};
        for (lines, found) in [
            ("250 AUTH PLAIN LOGIN CRAM-MD5", vec![CramMd5, Login, Plain]),
            ("250 auth=login plain", vec![Login, Plain]),
            ("250-AUTH=LOGIN\n250 AUTH CRAM-MD5", vec![CramMd5, Login]),
            ("250 AUTH DIGEST-MD5 PLAINER XLOGIN SCRAM-SHA-256", vec![]),
            ("250 AUTH", vec![]),
            ("250-AUTHENTICATE PLAIN\n250-X-AUTH LOGIN\n250-PLAIN\n250-HELP PLAIN\n250 LOGIN", vec![]),
        ] {
            let lines = format!("250-mx.test AUTH PLAIN\n{lines}\n");
            assert_eq!(offered(&extensions(lines.as_bytes())), found, "{lines}");
        }
    }

    #[test]
    fn responses_are_whole_and_never_moved() {
        for length in 0..100 {
            let octets = vec![b'x'; length];
            let line = Line::encoded(&[b"\0", &octets]);
            let text = line.0.strip_suffix(b"\r\n").unwrap();
            assert_eq!(STANDARD.decode(text).unwrap(), [b"\0", &*octets].concat());
            assert_eq!(line.0.len(), line.0.capacity());
        }
    }

    #[test]
    fn what_a_server_repeats_is_not_told() {
        let text = |lines: &str| ReplyText::try_from(lines.as_bytes().to_vec()).unwrap();
        let said = text("535-no such\n535-password: secret!\n535 5.7.8 secret\n");
        let told = "535-no such\n535-(not shown)\n535 (not shown)\n";
        assert_eq!(without(said.clone(), b"secret"), text(told));
        assert_eq!(without(said.clone(), b""), said);
        // A code is no secret, and a line feed part of none.
        assert_eq!(without(said.clone(), b"535"), said);
        assert_eq!(without(text("535\n"), b"x"), text("535\n"));
    }
}
