//! `me` and `helohost`: the name that EHLO and HELO say.
#![forbid(unsafe_code)]

use super::{ControlDirectory, ControlError};
use crate::host::HeloName;

/// `helohost`, else `me`, else an error: without a name of its own the program refuses to run.
pub fn helo(control: &ControlDirectory) -> Result<HeloName, ControlError> {
    let name = match control.value("helohost")? {
        Some(name) => Some(name),
        None => control.value("me")?,
    };
    HeloName::parse(&name.ok_or(ControlError::Unreadable)?).map_err(|_| ControlError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestHome;
    use super::*;

    #[test]
    fn helohost_comes_before_me_and_one_is_needed() {
        let helo = |files: &[(&str, &[u8])]| helo(&TestHome::new(files).control());
        let name = |text: &[u8]| Ok(HeloName::parse(text).unwrap());
        assert_eq!(helo(&[("me", b"me.test\n"), ("helohost", b"helo.test\n")]), name(b"helo.test"));
        assert_eq!(helo(&[("me", b"me.test\n"), ("helohost", b"\n")]), name(b"me.test"));
        assert_eq!(helo(&[("me", b"me.test\n")]), name(b"me.test"));
        assert_eq!(helo(&[]), Err(ControlError::Unreadable));
        assert_eq!(helo(&[("me", b"not a name\n")]), Err(ControlError::Unreadable));
    }
}
