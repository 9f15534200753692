//! Control files that this version cannot honour yet.
//!
//! Each of them may demand something that a delivery must not go without: TLS, a route, an address, a
//! certificate. So their content stops the delivery; only a file with nothing in it is passed over.
#![forbid(unsafe_code)]

use std::io::Read;

use super::{ControlDirectory, ControlError};

const FILES: [&str; 5] = ["authsenders", "domaincerts", "domainips", "qmtproutes", "tlsdestinations"];

/// Refuses when one of the files holds anything but blank lines and comments.
pub fn refuse(control: &ControlDirectory) -> Result<(), ControlError> {
    for name in FILES {
        let Some(mut file) = control.file(name)? else {
            continue;
        };
        // More than a page of comments counts as content: the answer is on the safe side.
        let mut start = [0; 4096];
        let count = file.read(&mut start)?;
        let start = start.get(..count).unwrap_or_default();
        let idle =
            |line: &[u8]| line.first().is_none_or(|&first| first == b'#') || line.trim_ascii().is_empty();
        if count == 4096 || !start.split(|&octet| octet == b'\n').all(idle) {
            return Err(ControlError::Unsupported { file: name });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestHome;
    use super::*;

    #[test]
    fn content_stops_the_delivery_and_comments_do_not() {
        assert_eq!(refuse(&TestHome::new(&[]).control()), Ok(()));
        assert_eq!(refuse(&TestHome::new(&[("domainips", b"# none\n\n \n")]).control()), Ok(()));
        for file in FILES {
            let home = TestHome::new(&[(file, b"# one\n*:\n")]);
            assert_eq!(refuse(&home.control()), Err(ControlError::Unsupported { file }));
        }
        let comments = b"# comment\n".repeat(500);
        let home = TestHome::new(&[("tlsdestinations", &comments)]);
        assert_eq!(refuse(&home.control()), Err(ControlError::Unsupported { file: "tlsdestinations" }));
    }
}
