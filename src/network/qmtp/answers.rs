//! Reads the answers of a QMTP server (QMTP, section 5). Network child.
//!
//! Every octet is the server's: lengths are checked before anything is kept, and no text beyond its limit is.
#![forbid(unsafe_code)]

use crate::ipc::qmtp_answer::QmtpAnswer;

/// No server has more to say about a recipient.
const LONGEST_ANSWER: usize = 1_000_000;

/// What came is not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotQmtp;

/// One answer in the making.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// How many octets of text are still to come; none before the length has.
    left: Option<usize>,
    kept: Vec<u8>,
}

impl Parser {
    /// Takes octets off `received` until the answer is complete.
    pub(super) fn feed(&mut self, received: &mut Vec<u8>) -> Result<Option<QmtpAnswer>, NotQmtp> {
        let left = match self.left {
            Some(left) => left,
            None => match parse_length(received)? {
                Some((length, taken)) => {
                    received.drain(..taken);
                    length
                }
                None => return Ok(None),
            },
        };
        let taken = left.min(received.len());
        // The letter and as much of the text as is kept: the rest changes nothing.
        let room = QmtpAnswer::MAX.saturating_add(1).saturating_sub(self.kept.len());
        self.kept.extend(received.drain(..taken).take(room));
        let left = left.saturating_sub(taken);
        self.left = Some(left);
        match received.first() {
            _ if left > 0 => Ok(None),
            None => Ok(None),
            Some(b',') => {
                received.drain(..1);
                QmtpAnswer::try_from(std::mem::take(&mut self.kept)).map(Some).map_err(|_| NotQmtp)
            }
            Some(_) => Err(NotQmtp),
        }
    }
}

/// The length at the start of a netstring, and how many octets it takes with its colon; none when more must come.
/// Decimal, without needless zeros, not empty, at most [`LONGEST_ANSWER`].
fn parse_length(octets: &[u8]) -> Result<Option<(usize, usize)>, NotQmtp> {
    let digits = octets.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let number = octets.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
    let length = match number {
        "" => None,
        number if number.starts_with('0') => return Err(NotQmtp),
        number => Some(number.parse().ok().filter(|&length| length <= LONGEST_ANSWER).ok_or(NotQmtp)?),
    };
    match (octets.get(digits), length) {
        (None, _) => Ok(None),
        (Some(b':'), Some(length)) => Ok(Some((length, digits.saturating_add(1)))),
        (Some(_), _) => Err(NotQmtp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_decimal_and_bounded_without_needless_zeros() {
        for (octets, length) in [
            (&b"1:K,"[..], Ok(Some((1, 2)))),
            (b"1000000:", Ok(Some((1_000_000, 8)))),
            (b"", Ok(None)),
            (b"1", Ok(None)),
            (b"999999", Ok(None)),
            (b"1000001", Err(NotQmtp)),
            (b"99999999999999999999999", Err(NotQmtp)),
            (b"0:,", Err(NotQmtp)),
            (b"0", Err(NotQmtp)),
            (b"01:K,", Err(NotQmtp)),
            (b":K,", Err(NotQmtp)),
            (b"-1:K,", Err(NotQmtp)),
            (b"+1:K,", Err(NotQmtp)),
            (b" 1:K,", Err(NotQmtp)),
            (b"1 :K,", Err(NotQmtp)),
            (b"1,K,", Err(NotQmtp)),
            (b"0x1:K,", Err(NotQmtp)),
            (b"220 mx ESMTP\r\n", Err(NotQmtp)),
        ] {
            assert_eq!(parse_length(octets), length, "{}", octets.escape_ascii());
        }
    }

    #[test]
    fn answers_are_read_however_they_are_cut() {
        let wire = b"6:Kok, 1,1:Z,5:Dno\n\0,3:K";
        for size in 1..wire.len() {
            let (mut parser, mut received, mut seen) = (Parser::default(), Vec::new(), Vec::new());
            for piece in wire.chunks(size) {
                received.extend_from_slice(piece);
                while let Some(answer) = parser.feed(&mut received).unwrap() {
                    seen.push(Vec::from(answer));
                    parser = Parser::default();
                }
            }
            assert_eq!(seen, [&b"Kok, 1"[..], b"Z", b"Dno\n\0"]);
        }
        for bad in [&b"1:K;"[..], b"1:X,", b"1:K\n"] {
            assert_eq!(Parser::default().feed(&mut bad.to_vec()), Err(NotQmtp), "{}", bad.escape_ascii());
        }
    }
}
