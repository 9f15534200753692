//! `domainips`: where to connect from, and the name to say, by the sender's domain:
//! `domain:localip(%ifname)|helohost`. Two addresses, one of each family, may be given with a comma between.
#![forbid(unsafe_code)]

use super::keys::{self, Keys};
use super::lines::Plain;
use super::local_address::LocalAddress;
use super::routes::{Origin, cut};
use super::{ControlDirectory, ControlError};
use crate::host::HeloName;

/// The file's name.
pub const FILE: &str = "domainips";

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainIps {
    /// Where it stands.
    pub origin: Origin,
    /// None, one, or one of each family.
    pub addresses: Vec<LocalAddress>,
    /// The name for EHLO and HELO.
    pub helo: Option<HeloName>,
}

/// What is asked for this sender: by its domain, each suffix of it that starts at a dot, the empty key, or `*`.
pub fn look_up(control: &ControlDirectory, sender: &[u8]) -> Result<Option<DomainIps>, ControlError> {
    let entry = control.find::<Plain>(FILE, &keys_for(sender), |_| true)?;
    entry.map(|entry| parse(Origin { file: FILE, line: entry.line }, &entry.value?)).transpose()
}

/// The keys that are asked for, best first.
pub fn keys_for(sender: &[u8]) -> Keys {
    let generic = [Vec::new(), b"*".to_vec()];
    Keys::new(keys::of_sender_domain(sender).into_iter().chain(generic))
}

/// Reads the value of a line.
pub fn parse(origin: Origin, value: &[u8]) -> Result<DomainIps, ControlError> {
    let (addresses, helo) = cut(value, b'|');
    let addresses = match addresses {
        b"" => Vec::new(),
        list => list
            .split(|&octet| octet == b',')
            .map(LocalAddress::parse)
            .collect::<Option<Vec<_>>>()
            .ok_or(ControlError::BadAddress)?,
    };
    match addresses.as_slice() {
        [] | [_] => {}
        [one, other] if one.address.is_ipv4() != other.address.is_ipv4() => {}
        _ => return Err(origin.bad("two addresses must be one of each family")),
    }
    let helo = match helo {
        None | Some(b"") => None,
        Some(name) => {
            Some(HeloName::parse(name).map_err(|_| origin.bad("the HELO name is not a host name"))?)
        }
    };
    Ok(DomainIps { origin, addresses, helo })
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestHome;
    use super::*;

    fn found(text: &str, sender: &str) -> Result<Option<(String, Option<String>)>, ControlError> {
        let home = TestHome::new(&[(FILE, text.as_bytes())]);
        let found = look_up(&home.control(), sender.as_bytes())?;
        Ok(found.map(|found| {
            let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
            (addresses.join(","), found.helo.map(|helo| helo.to_string()))
        }))
    }

    #[test]
    fn the_senders_domain_decides() {
        let text = "a.test:192.0.2.1|helo.a.test\n.test:192.0.2.2\n:192.0.2.3\n*:192.0.2.4\n";
        let address = |address: &str| Ok(Some((address.to_owned(), None)));
        assert_eq!(found(text, "x@A.test"), Ok(Some(("192.0.2.1".into(), Some("helo.a.test".into())))));
        assert_eq!(found(text, "x@b.test"), address("192.0.2.2"));
        assert_eq!(found(text, "x@b.example"), address("192.0.2.3"));
        assert_eq!(found(text, ""), address("192.0.2.3"));
        assert_eq!(found("*:192.0.2.4\n", ""), address("192.0.2.4"));
        assert_eq!(found("a.test:192.0.2.1\n", "x@b.test"), Ok(None));
    }

    #[test]
    fn the_forms_of_a_line() {
        let first = |value: &str| found(&format!("*:{value}\n"), "x@a.test");
        let is = |addresses: &str, helo: Option<&str>| Ok(Some((addresses.to_owned(), helo.map(Into::into))));
        assert_eq!(first("fe80::1%eth0|h.test"), is("fe80::1%eth0", Some("h.test")));
        assert_eq!(first("192.0.2.1,2001:db8::1|h.test"), is("192.0.2.1,2001:db8::1", Some("h.test")));
        assert_eq!(first("|h.test"), is("", Some("h.test")));
        assert_eq!(first("192.0.2.1|"), is("192.0.2.1", None));
        for bad in ["x", "192.0.2", "192.0.2.1,", "192.0.2.1 ,2001:db8::1", "192.0.2.1,x"] {
            assert_eq!(first(bad), Err(ControlError::BadAddress), "{bad}");
        }
        let origin = Origin { file: FILE, line: 1 };
        assert_eq!(first("192.0.2.1,192.0.2.2"), Err(origin.bad("two addresses must be one of each family")));
        assert_eq!(first("192.0.2.1|a b"), Err(origin.bad("the HELO name is not a host name")));
    }
}
