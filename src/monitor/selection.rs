//! Which lines of which control files decide about a delivery. Monitor only, before the fork.
//!
//! A function of host, sender and files: what is selected here, `planning` carries out.
#![forbid(unsafe_code)]

use super::control::domaincerts::{self, DomainCert};
use super::control::domainips::{self, DomainIps};
use super::control::local_address::LocalAddress;
use super::control::routes::{Origin, Route};
use super::control::smtproutes;
use super::control::tlsdestinations::{self, TlsRule};
use super::control::{ControlDirectory, ControlError, authsenders, names};
use crate::args::Invocation;
use crate::host::HeloName;
use crate::plan::{Protocol, QMTPS, SMTPS, TlsStart};

/// What the control files say about one delivery.
#[derive(Debug, PartialEq, Eq)]
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

/// A value, and the line that decides it; none: there is no such line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<T> {
    /// The value.
    pub value: T,
    /// The line.
    pub origin: Option<Origin>,
}

impl Selection {
    /// How TLS starts by the port's own line, and the port: the rule's, else the route's, else the protocol's. QMTPS is
    /// QMTPS wherever its port is written.
    pub fn port(&self) -> Decided<(TlsStart, u16)> {
        let TlsRule { origin, port, .. } = &self.tls;
        let (start, port, origin) = match (*port, &self.route) {
            (Some((start, port)), _) => (start, port, *origin),
            (None, Some((_, Route { port: Some(port), tls_start, origin, .. }))) => {
                (*tls_start, *port, Some(*origin))
            }
            (None, route) => {
                let protocol = route.as_ref().map_or(Protocol::Smtp, |(protocol, _)| *protocol);
                (TlsStart::StartTls, protocol.port(), None)
            }
        };
        Decided { value: (if port == QMTPS { TlsStart::Implicit } else { start }, port), origin }
    }

    /// The protocol: that of the route's file, but where the port means another: 6209 is QMTPS, and the 465 of a TLS
    /// rule, which overrules the route, is SMTPS.
    pub fn protocol(&self) -> Protocol {
        match (self.port().value, self.tls.port, &self.route) {
            ((_, QMTPS), ..) => Protocol::Qmtp,
            (_, Some((_, SMTPS)), _) | (.., None) => Protocol::Smtp,
            (.., Some((protocol, _))) => *protocol,
        }
    }

    /// The addresses to connect from, the route's before those of `domainips`; empty: any.
    pub fn local_addresses(&self) -> Decided<Vec<LocalAddress>> {
        match (&self.route, &self.domain_ips) {
            (Some((_, Route { local_address: Some(address), origin, .. })), _) => {
                Decided { value: vec![address.clone()], origin: Some(*origin) }
            }
            (_, Some(DomainIps { addresses, origin, .. })) if !addresses.is_empty() => {
                Decided { value: addresses.clone(), origin: Some(*origin) }
            }
            (_, _) => Decided { value: Vec::new(), origin: None },
        }
    }

    /// The name to say: that of `domainips`, else this machine's, without which nothing is sent.
    pub fn helo(&self, control: &ControlDirectory) -> Result<Decided<HeloName>, ControlError> {
        let (own, file) = names::helo(control)?;
        let (value, origin) = match &self.domain_ips {
            Some(DomainIps { helo: Some(name), origin, .. }) => (name.clone(), *origin),
            Some(_) | None => (own, file),
        };
        Ok(Decided { value, origin: Some(origin) })
    }
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

    fn select_from(files: &[(&str, &str)], sender: &str) -> (Selection, TestHome) {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let arguments = ["example.test", sender, "bob@example.test"].map(Into::into);
        let home = TestHome::new(&files);
        (select(&home.control(), &Invocation::parse(arguments).unwrap()).unwrap(), home)
    }

    fn selected(files: &[(&str, &str)], sender: &str) -> (Option<(Protocol, u64)>, Option<u64>) {
        let (selection, _) = select_from(files, sender);
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

    fn decided<T>(decided: Decided<T>) -> (T, Option<(&'static str, u64)>) {
        (decided.value, decided.origin.map(|origin| (origin.file, origin.line)))
    }

    #[test]
    fn the_port_is_the_rules_then_the_routes_then_the_protocols() {
        use TlsStart::{Implicit, StartTls};
        let port = |files: &[(&str, &str)]| decided(select_from(files, "").0.port());
        let (route, rule) = (("smtproutes", ":r.test;s26\n"), ("tlsdestinations", "\n*:;27\n"));
        assert_eq!(port(&[route, rule]), ((StartTls, 27), Some(("tlsdestinations", 2))));
        assert_eq!(port(&[route, ("tlsdestinations", "*:\n")]), ((Implicit, 26), Some(("smtproutes", 1))));
        assert_eq!(port(&[("smtproutes", ":r.test\n")]), ((StartTls, 25), None));
        assert_eq!(port(&[("qmtproutes", ":r.test\n")]), ((StartTls, 209), None));
        assert_eq!(port(&[]), ((StartTls, 25), None));
    }

    #[test]
    fn the_address_is_the_routes_and_the_name_that_of_domainips() {
        let of = |files: &[(&str, &str)]| {
            let (selection, _) = select_from(files, "");
            let (addresses, origin) = decided(selection.local_addresses());
            (addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(","), origin)
        };
        let route = ("smtproutes", ":r.test||192.0.2.1\n");
        let ips = |text| ("domainips", text);
        assert_eq!(of(&[route, ips("*:192.0.2.2\n")]), ("192.0.2.1".into(), Some(("smtproutes", 1))));
        let two = ("192.0.2.2,fe80::1%lo".into(), Some(("domainips", 1)));
        assert_eq!(of(&[ips("*:192.0.2.2,fe80::1%lo\n")]), two);
        assert_eq!(of(&[ips("*:|helo.test\n")]), (String::new(), None));

        let name = |files: &[(&str, &str)]| {
            let (selection, home) = select_from(files, "");
            let (name, origin) = decided(selection.helo(&home.control())?);
            Ok((name.to_string(), origin))
        };
        let (me, helo) = (("me", "me.test\n"), ips("*:|helo.test\n"));
        assert_eq!(name(&[me, helo]), Ok(("helo.test".into(), Some(("domainips", 1)))));
        assert_eq!(name(&[me, ips("*:192.0.2.2\n")]), Ok(("me.test".into(), Some(("me", 1)))));
        assert_eq!(name(&[helo]), Err(ControlError::Unreadable), "no excuse for having none");
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
