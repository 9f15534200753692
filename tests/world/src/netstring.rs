//! A QMTP package, taken apart by the definition of netstrings: digits without needless zeros, a colon, that many octets, a
//! comma. Knows nothing of the product's code.

/// What a package holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// The message with the octet in front that says how its lines end.
    pub message: Vec<u8>,
    /// The envelope sender.
    pub sender: Vec<u8>,
    /// The envelope recipients.
    pub recipients: Vec<Vec<u8>>,
}

/// Why octets are no package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// More must come.
    Short,
    /// No netstring begins so.
    Wrong,
}

/// The first netstring of `octets`, and what follows it.
///
/// # Errors
/// See [`Cut`].
pub fn first(octets: &[u8]) -> Result<(&[u8], &[u8]), Cut> {
    let colon = octets.iter().position(|octet| !octet.is_ascii_digit()).ok_or(Cut::Short)?;
    let (digits, rest) = octets.split_at(colon);
    let needless = digits.len() > 1 && digits.starts_with(b"0");
    let rest = rest.strip_prefix(b":").filter(|_| !digits.is_empty() && !needless).ok_or(Cut::Wrong)?;
    let length: usize = String::from_utf8_lossy(digits).parse().map_err(|_| Cut::Wrong)?;
    let content = rest.get(..length).ok_or(Cut::Short)?;
    match rest.get(length..).and_then(<[u8]>::split_first) {
        Some((b',', rest)) => Ok((content, rest)),
        Some(_) => Err(Cut::Wrong),
        None => Err(Cut::Short),
    }
}

impl Package {
    /// The package at the start of `octets`, and how long it is.
    ///
    /// # Errors
    /// See [`Cut`].
    pub fn parse(octets: &[u8]) -> Result<(Package, usize), Cut> {
        let (message, rest) = first(octets)?;
        let (sender, rest) = first(rest)?;
        let (mut list, rest) = first(rest)?;
        let mut recipients = Vec::new();
        while !list.is_empty() {
            let (recipient, others) = first(list).map_err(|_| Cut::Wrong)?;
            recipients.push(recipient.to_vec());
            list = others;
        }
        let package = Package { message: message.to_vec(), sender: sender.to_vec(), recipients };
        Ok((package, octets.len() - rest.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_three_netstrings() {
        let octets = b"4:\nab\n,3:a@b,14:3:c@d,5:e@f.g,,rest";
        let package = Package {
            message: b"\nab\n".to_vec(),
            sender: b"a@b".to_vec(),
            recipients: vec![b"c@d".to_vec(), b"e@f.g".to_vec()],
        };
        assert_eq!(Package::parse(octets), Ok((package, octets.len() - 4)));
        let whole = &octets[..octets.len() - 4];
        for end in 0..whole.len() {
            assert_eq!(Package::parse(&whole[..end]), Err(Cut::Short), "{end}");
        }
    }

    #[test]
    fn what_is_no_netstring_is_seen() {
        for octets in [&b"01:a,"[..], b":a,", b"-1:a,", b"1;a,", b"1:ab", b"x", b"00:,", b" 1:a,"] {
            assert_eq!(first(octets), Err(Cut::Wrong), "{}", octets.escape_ascii());
        }
        assert_eq!(first(b"0:,x"), Ok((&b""[..], &b"x"[..])));
        assert_eq!(Package::parse(b"0:,0:,2:1:,"), Err(Cut::Wrong), "a recipient that is cut");
    }
}
