//! `me` and `helohost`: the name that EHLO and HELO say.
#![forbid(unsafe_code)]

use super::routes::Origin;
use super::{ControlDirectory, ControlError};
use crate::host::HeloName;

/// `helohost`, else `me`, and which of them it is; else an error: without a name of its own the program refuses
/// to run.
pub fn helo(control: &ControlDirectory) -> Result<(HeloName, Origin), ControlError> {
    for file in ["helohost", "me"] {
        if let Some(name) = control.value(file)? {
            let name = HeloName::parse(&name).map_err(|_| ControlError::Unreadable)?;
            return Ok((name, Origin { file, line: 1 }));
        }
    }
    Err(ControlError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestHome;
    use super::*;

    #[test]
    fn helohost_comes_before_me_and_one_is_needed() {
        let helo = |files: &[(&str, &[u8])]| helo(&TestHome::new(files).control());
        let name = |file, text: &[u8]| Ok((HeloName::parse(text).unwrap(), Origin { file, line: 1 }));
        assert_eq!(
            helo(&[("me", b"me.test\n"), ("helohost", b"helo.test\n")]),
            name("helohost", b"helo.test")
        );
        assert_eq!(helo(&[("me", b"me.test\n"), ("helohost", b"\n")]), name("me", b"me.test"));
        assert_eq!(helo(&[("me", b"me.test\n")]), name("me", b"me.test"));
        assert_eq!(helo(&[]), Err(ControlError::Unreadable));
        assert_eq!(helo(&[("me", b"not a name\n")]), Err(ControlError::Unreadable));
    }
}
