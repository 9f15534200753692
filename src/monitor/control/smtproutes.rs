//! `smtproutes`: artificial routes, `domain:relay;[s]port`.
//!
//! The fields after the first `|` (user, password, local address) are recognised and refused: a delivery
//! that was to be authenticated, or sent from a certain address, must not go out without that.
#![forbid(unsafe_code)]

use super::lines::{self, Entry};
use super::{ControlDirectory, ControlError};
use crate::args::Invocation;
use crate::host::Host;
use crate::plan::TlsStart;

const FILE: &str = "smtproutes";

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The host to connect to; none: the recipient domain's exchangers as usual.
    pub relay: Option<Host>,
    /// The port, when not the protocol's own.
    pub port: Option<u16>,
    /// Whether the connection starts with TLS.
    pub tls_start: TlsStart,
}

/// The route for this delivery, when there is one.
pub fn route(control: &ControlDirectory, invocation: &Invocation) -> Result<Option<Route>, ControlError> {
    let Some(file) = control.file(FILE)? else {
        return Ok(None);
    };
    let keys = keys(&invocation.host_argument, &invocation.host, invocation.sender.is_null());
    lines::find(file, FILE, &keys)?.map(|entry| parse(&entry)).transpose()
}

/// The keys to ask for, best first: `!@` for bounces, the whole host, each suffix that starts at a dot,
/// the empty key. An address has no suffixes.
fn keys(argument: &[u8], host: &Host, is_bounce: bool) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    if is_bounce {
        keys.push(b"!@".to_vec());
    }
    keys.push(argument.to_vec());
    if let Host::Name(_) = host {
        let dots = argument.iter().enumerate().filter(|&(at, &octet)| at > 0 && octet == b'.');
        keys.extend(dots.filter_map(|(at, _)| argument.get(at..)).map(<[u8]>::to_vec));
    }
    keys.push(Vec::new());
    keys
}

fn parse(entry: &Entry) -> Result<Route, ControlError> {
    let bad = |problem| ControlError::BadLine { file: FILE, line: entry.line, problem };
    let mut fields = entry.value.split(|&octet| octet == b'|');
    let target = fields.next().unwrap_or_default();
    if fields.any(|field| !field.is_empty()) {
        return Err(bad("user, password and local address are not supported by this version"));
    }
    let (relay, port) = split_target(target);
    let (tls_start, port) = match port {
        None => (TlsStart::StartTls, None),
        Some(b"s") => (TlsStart::Implicit, Some(465)),
        Some(text) => {
            let (start, digits) = match text.strip_prefix(b"s") {
                Some(digits) => (TlsStart::Implicit, digits),
                None => (TlsStart::StartTls, text),
            };
            (start, Some(port_number(digits).ok_or_else(|| bad("the port is not a number from 1 to 65535"))?))
        }
    };
    let relay = match relay {
        b"" => None,
        name => Some(Host::parse(name).map_err(|_| bad("the relay is neither a host name nor an address"))?),
    };
    Ok(Route { relay, port, tls_start })
}

/// Splits `relay;port`, and the older `relay:port` where the relay cannot be an IPv6 address.
fn split_target(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    let split_at = |at: usize| {
        let (relay, port) = target.split_at(at);
        (relay, port.get(1..))
    };
    if let Some(at) = target.iter().position(|&octet| octet == b';') {
        return split_at(at);
    }
    let colons = target.iter().filter(|&&octet| octet == b':').count();
    let after_bracket = target.first() == Some(&b'[') && target.windows(2).any(|pair| pair == b"]:");
    match target.iter().rposition(|&octet| octet == b':') {
        Some(at) if colons == 1 || after_bracket => split_at(at),
        _ => (target, None),
    }
}

fn port_number(digits: &[u8]) -> Option<u16> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()))?;
    digits.parse().ok().filter(|&port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestHome;
    use super::*;

    fn look_up(routes: &str, host: &str, sender: &str) -> Result<Option<Route>, ControlError> {
        let home = TestHome::new(&[(FILE, routes.as_bytes())]);
        let arguments = [host, sender, "bob@example.test"].map(Into::into);
        route(&home.control(), &Invocation::parse(arguments).unwrap())
    }

    fn to(relay: &str, port: Option<u16>, tls_start: TlsStart) -> Result<Option<Route>, ControlError> {
        let relay = (!relay.is_empty()).then(|| Host::parse(relay.as_bytes()).unwrap());
        Ok(Some(Route { relay, port, tls_start }))
    }

    const PAGE: &str =
        "inside.af.mil:firewall.af.mil;26\n.af.mil:\n:heaven.af.mil\n!@:bouncehost.af.mil;27\n";

    #[test]
    fn the_examples_of_the_manual_page() {
        use TlsStart::StartTls;
        let sender = "a@b.test";
        assert_eq!(look_up(PAGE, "inside.af.mil", sender), to("firewall.af.mil", Some(26), StartTls));
        assert_eq!(look_up(PAGE, "INSIDE.AF.MIL", sender), to("firewall.af.mil", Some(26), StartTls));
        assert_eq!(look_up(PAGE, "x.inside.af.mil", sender), to("", None, StartTls));
        assert_eq!(look_up(PAGE, "af.mil", sender), to("heaven.af.mil", None, StartTls));
        assert_eq!(look_up(PAGE, "example.test", sender), to("heaven.af.mil", None, StartTls));
        assert_eq!(look_up(PAGE, "inside.af.mil", ""), to("bouncehost.af.mil", Some(27), StartTls));
        assert_eq!(look_up("a.test:b.test\n", "example.test", sender), Ok(None));
    }

    #[test]
    fn the_forms_of_relay_and_port() {
        use TlsStart::{Implicit, StartTls};
        for (value, relay, port, start) in [
            ("relay.test", "relay.test", None, StartTls),
            ("relay.test;587", "relay.test", Some(587), StartTls),
            ("relay.test;s587", "relay.test", Some(587), Implicit),
            ("relay.test;s", "relay.test", Some(465), Implicit),
            ("relay.test:26", "relay.test", Some(26), StartTls),
            ("192.0.2.1;26", "192.0.2.1", Some(26), StartTls),
            ("[2001:db8::1]", "[2001:db8::1]", None, StartTls),
            ("[2001:db8::1];26", "[2001:db8::1]", Some(26), StartTls),
            ("[2001:db8::1]:26", "[2001:db8::1]", Some(26), StartTls),
            (";26", "", Some(26), StartTls),
            ("relay.test||", "relay.test", None, StartTls),
        ] {
            assert_eq!(
                look_up(&format!(":{value}\n"), "x.test", "a@b.test"),
                to(relay, port, start),
                "{value}"
            );
        }
    }

    #[test]
    fn literal_hosts_match_their_key_and_the_empty_one() {
        let routes = "[192.0.2.9]:a.test\n192.0.2.9:b.test\n.9:c.test\n";
        assert_eq!(look_up(routes, "[192.0.2.9]", "a@b.test"), to("a.test", None, TlsStart::StartTls));
        assert_eq!(look_up(routes, "192.0.2.9", "a@b.test"), to("b.test", None, TlsStart::StartTls));
        assert_eq!(look_up(routes, "192.0.3.9", "a@b.test"), Ok(None));
    }

    #[test]
    fn a_malformed_line_in_use_names_file_and_line() {
        for (value, problem) in [
            ("relay.test;0", "the port is not a number from 1 to 65535"),
            ("relay.test;65536", "the port is not a number from 1 to 65535"),
            ("relay.test;", "the port is not a number from 1 to 65535"),
            ("relay.test;smtp", "the port is not a number from 1 to 65535"),
            ("relay.test:", "the port is not a number from 1 to 65535"),
            ("bad relay", "the relay is neither a host name nor an address"),
            ("2001:db8::1", "the relay is neither a host name nor an address"),
            ("[2001:db8::1", "the relay is neither a host name nor an address"),
            (
                "relay.test|user|password",
                "user, password and local address are not supported by this version",
            ),
            ("relay.test||192.0.2.1", "user, password and local address are not supported by this version"),
        ] {
            let expected = Err(ControlError::BadLine { file: FILE, line: 2, problem });
            assert_eq!(look_up(&format!("#\nx.test:{value}\n"), "x.test", "a@b.test"), expected, "{value}");
            assert_eq!(look_up(&format!("#\nx.test:{value}\n"), "y.test", "a@b.test"), Ok(None), "{value}");
        }
    }
}
