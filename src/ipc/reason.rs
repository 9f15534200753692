//! A short explanation, as OpenSSL words it. Both processes; hostile until decoded.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// Printable ASCII on one line; may be empty. Construction makes it so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// The text is too long, or has other characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAReason;

impl Reason {
    /// The longest reason, in octets.
    pub const MAX: usize = 120;

    /// As much of `text` as a reason may hold.
    pub fn new(text: &str) -> Reason {
        Reason(text.chars().filter(is_allowed).take(Self::MAX).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_allowed(character: &char) -> bool {
    matches!(character, ' '..='~')
}

impl TryFrom<String> for Reason {
    type Error = NotAReason;

    fn try_from(text: String) -> Result<Reason, NotAReason> {
        let fits = text.len() <= Self::MAX && text.chars().all(|character| is_allowed(&character));
        if fits { Ok(Reason(text)) } else { Err(NotAReason) }
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> String {
        reason.0
    }
}

impl std::fmt::Display for NotAReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a reason")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_short_and_printable() {
        assert_eq!(Reason::new("wrong\nversion\u{e9} number\0").as_str(), "wrongversion number");
        assert_eq!(Reason::new(&"x".repeat(500)).as_str(), "x".repeat(120));
        assert!(Reason::try_from("x".repeat(120)).is_ok());
        for bad in ["x".repeat(121), "a\nb".into(), "\u{e9}".into(), "\0".into()] {
            assert_eq!(Reason::try_from(bad), Err(NotAReason));
        }
    }
}
