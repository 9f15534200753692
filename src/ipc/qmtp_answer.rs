//! A server's answer for one recipient, by QMTP, as both processes know it.
//!
//! The network child builds it from the wire, the monitor checks it again when it decodes a claim: construction is the
//! validation.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// What an answer's first octet says (QMTP, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// `K`: the server has taken responsibility.
    Accepted,
    /// `Z`: not now.
    Deferred,
    /// `D`: never.
    Rejected,
}

/// One of the three letters and a text of at most [`QmtpAnswer::MAX`] octets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct QmtpAnswer {
    decision: Decision,
    text: Vec<u8>,
}

/// The octets are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAnswer;

impl QmtpAnswer {
    /// The most that is kept of a text, in octets.
    pub const MAX: usize = 5000;

    /// What the server decided.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// Why, in its words: any octets.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

impl TryFrom<Vec<u8>> for QmtpAnswer {
    type Error = NotAnAnswer;

    fn try_from(octets: Vec<u8>) -> Result<QmtpAnswer, NotAnAnswer> {
        let (letter, text) = octets.split_first().ok_or(NotAnAnswer)?;
        let decision = match letter {
            b'K' => Decision::Accepted,
            b'Z' => Decision::Deferred,
            b'D' => Decision::Rejected,
            _ => return Err(NotAnAnswer),
        };
        if text.len() > QmtpAnswer::MAX {
            Err(NotAnAnswer)
        } else {
            Ok(QmtpAnswer { decision, text: text.to_vec() })
        }
    }
}

impl From<QmtpAnswer> for Vec<u8> {
    fn from(QmtpAnswer { decision, mut text }: QmtpAnswer) -> Vec<u8> {
        let letter = match decision {
            Decision::Accepted => b'K',
            Decision::Deferred => b'Z',
            Decision::Rejected => b'D',
        };
        text.insert(0, letter);
        text
    }
}

impl std::fmt::Display for NotAnAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not an answer of QMTP")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_of_three_letters_and_a_bounded_text() {
        for (octets, decision, text) in [
            (&b"Kok 1 qp 2"[..], Decision::Accepted, &b"ok 1 qp 2"[..]),
            (b"Zlater", Decision::Deferred, b"later"),
            (b"D\0\xff", Decision::Rejected, b"\0\xff"),
            (b"K", Decision::Accepted, b""),
        ] {
            let answer = QmtpAnswer::try_from(octets.to_vec()).unwrap();
            assert_eq!((answer.decision(), answer.text()), (decision, text));
            assert_eq!(Vec::from(answer), octets);
        }
        let of_length = |length: usize| QmtpAnswer::try_from([&b"K"[..], &vec![b'x'; length]].concat());
        assert!(of_length(5000).is_ok());
        assert_eq!(of_length(5001), Err(NotAnAnswer));
        for bad in [&b""[..], b"k", b"r", b"h", b"s", b" K", b"\0", b"250 ok"] {
            assert_eq!(QmtpAnswer::try_from(bad.to_vec()), Err(NotAnAnswer), "{}", bad.escape_ascii());
        }
    }
}
