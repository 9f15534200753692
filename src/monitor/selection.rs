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
}
