//! Which lines of which control files decide about a delivery. Monitor only, before the fork.
//!
//! A function of host, sender and files: what is selected here, `planning` carries out.
#![forbid(unsafe_code)]

use super::control::domaincerts::{self, DomainCert};
use super::control::domainips::{self, DomainIps};
use super::control::routes::Route;
use super::control::smtproutes::{self, Protocol};
use super::control::tlsdestinations::{self, TlsRule};
use super::control::{ControlDirectory, ControlError, authsenders};
use crate::args::Invocation;

/// What the control files say about one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The route and the protocol of its file; none: the recipient domain's exchangers, by SMTP.
    pub route: Option<(Protocol, Route)>,
    /// The TLS rule.
    pub tls: TlsRule,
    /// The client certificate.
    pub certificate: Option<DomainCert>,
    /// Local addresses and HELO name.
    pub domain_ips: Option<DomainIps>,
}

/// Asks `authsenders` before all routes, and for the TLS rule by the relay when there is one.
pub fn select(control: &ControlDirectory, invocation: &Invocation) -> Result<Selection, ControlError> {
    let sender = &invocation.sender_argument;
    let route = match authsenders::look_up(control, sender)? {
        Some(route) => Some((Protocol::Smtp, route)),
        None => smtproutes::look_up(control, invocation)?,
    };
    let relay = route.as_ref().and_then(|(_, route)| route.relay.as_ref());
    let (destination, host) = match relay {
        Some(relay) => (relay.as_written.as_slice(), &relay.host),
        None => (invocation.host_argument.as_slice(), &invocation.host),
    };
    Ok(Selection {
        tls: tlsdestinations::look_up(control, destination, host, sender)?,
        certificate: domaincerts::look_up(control, sender)?,
        domain_ips: domainips::look_up(control, sender)?,
        route,
    })
}

#[cfg(test)]
mod tests {
    use super::super::control::test_directory::TestHome;
    use super::*;

    fn selected(files: &[(&str, &str)], sender: &str) -> (Option<(Protocol, u64)>, Option<u64>) {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let arguments = ["example.test", sender, "bob@example.test"].map(Into::into);
        let invocation = Invocation::parse(arguments).unwrap();
        let selection = select(&TestHome::new(&files).control(), &invocation).unwrap();
        let route = selection.route.map(|(protocol, route)| (protocol, route.origin.line));
        (route, selection.tls.origin.map(|origin| origin.line))
    }

    #[test]
    fn authsenders_comes_before_all_routes() {
        let files = [
            ("authsenders", "@a.test:r.test|u|p\n"),
            ("qmtproutes", "\n:q.test\n"),
            ("smtproutes", ":s.test\n"),
        ];
        assert_eq!(selected(&files, "x@a.test").0, Some((Protocol::Smtp, 1)));
        assert_eq!(selected(&files, "x@b.test").0, Some((Protocol::Qmtp, 2)));
    }

    #[test]
    fn the_relay_is_the_destination_of_the_tls_rule() {
        let rules = "example.test:\nrelay.test:\n[2001:db8::1]:\n";
        let with = |route: &str| selected(&[("smtproutes", route), ("tlsdestinations", rules)], "x@a.test").1;
        assert_eq!(with(""), Some(1));
        assert_eq!(with(":\n"), Some(1), "an empty relay leaves the host");
        assert_eq!(with(":Relay.test;26\n"), Some(2));
        assert_eq!(with(":[2001:db8::1]\n"), Some(3));
        assert_eq!(with(":other.test\n"), None);
    }

    /// Texts made of what the grammars are made of, in every wrong order; the same in every run.
    struct Junk(u64);

    impl Junk {
        const PIECES: [&[u8]; 26] = [
            b":",
            b"|",
            b";",
            b"s",
            b"465",
            b"99999",
            b"example.test",
            b".test",
            b"a@b.test",
            b"@b.test",
            b"[",
            b"]",
            b"%",
            b"=",
            b"~",
            b"*",
            b"!",
            b"-",
            b"?",
            b"/",
            b"\n",
            b"#",
            b"\0\xff",
            b",",
            b"192.0.2.1",
            b"2001:db8::1",
        ];

        fn next(&mut self) -> usize {
            // xorshift64
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap()
        }

        fn text(&mut self) -> Vec<u8> {
            (0..60)
                .flat_map(|_| Self::PIECES[self.next().checked_rem(Self::PIECES.len()).unwrap()].to_vec())
                .collect()
        }
    }

    #[test]
    fn junk_selects_something_or_is_refused_and_never_more() {
        const FILES: [&str; 6] =
            ["authsenders", "domaincerts", "domainips", "qmtproutes", "smtproutes", "tlsdestinations"];
        let mut junk = Junk(0x9e37_79b9_7f4a_7c15);
        let home = TestHome::new(&[]);
        let mut seen = [0, 0];
        for _ in 0..150 {
            for file in FILES {
                std::fs::write(home.path().join(file), junk.text()).unwrap();
            }
            let arguments = ["example.test", "a@b.test", "bob@example.test"].map(Into::into);
            match select(&home.control(), &Invocation::parse(arguments).unwrap()) {
                Ok(_) => seen[0] += 1,
                Err(ControlError::BadLine { line, .. }) if line > 0 => seen[1] += 1,
                Err(ControlError::BadAddress) => seen[1] += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(seen.iter().all(|&count| count > 10), "{seen:?}");
    }
}
