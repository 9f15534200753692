//! What `smtproutes`, `qmtproutes` and `authsenders` have in common: the value of a line,
//! `relay;[s]port|user|password|localip`.
//!
//! Turns text into a typed value and nothing else.
#![forbid(unsafe_code)]

use std::ops::Range;

use super::ControlError;
use super::local_address::LocalAddress;
use crate::host::Host;
use crate::plan::{Relay, TlsStart};
use crate::sealed::Sealed;

/// One route. `C` is what is known of its credentials: [`Fields`] as long as it is only a line that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<C = Credentials> {
    /// Where it stands.
    pub origin: Origin,
    /// The host to connect to; none: the recipient domain's exchangers as usual.
    pub relay: Option<Relay>,
    /// The port, when not the protocol's own.
    pub port: Option<u16>,
    /// Whether the connection starts with TLS.
    pub tls_start: TlsStart,
    /// User and password, when both are there.
    pub credentials: Option<C>,
    /// The address to connect from.
    pub local_address: Option<LocalAddress>,
}

/// The line that a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file's name.
    pub file: &'static str,
    /// The line's number, from 1.
    pub line: u64,
}

impl Origin {
    /// The error for a value that cannot be used.
    pub fn bad(self, problem: &'static str) -> ControlError {
        ControlError::BadLine { file: self.file, line: self.line, problem }
    }
}

impl Route<Fields> {
    /// The route with its credentials, which stay where the line's value was read to.
    pub(in crate::monitor) fn with(self, value: Sealed) -> Route {
        let Route { origin, relay, port, tls_start, credentials, local_address } = self;
        let credentials = credentials.map(|fields| Credentials { value, fields });
        Route { origin, relay, port, tls_start, credentials, local_address }
    }
}

/// Where user and password stand in a line's value; neither is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    user: Range<usize>,
    password: Range<usize>,
}

impl Fields {
    /// PLAIN separates them by zero octets (RFC 4616 section 2), and a server need not take a line of any length.
    fn can_be_sent(&self, value: &[u8]) -> bool {
        /// As the error says.
        const LONGEST: usize = 1536;
        [&self.user, &self.password].into_iter().all(|field| {
            let octets = value.get(field.clone()).unwrap_or_default();
            octets.len() <= LONGEST && !octets.contains(&0)
        })
    }
}

/// User and password of a route.
#[derive(PartialEq, Eq)]
pub struct Credentials {
    value: Sealed,
    fields: Fields,
}

impl Credentials {
    /// The user name.
    pub fn user(&self) -> &[u8] {
        self.value.get(self.fields.user.clone()).unwrap_or_default()
    }

    /// The password.
    pub fn password(&self) -> &[u8] {
        self.value.get(self.fields.password.clone()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// Whether the last field is a local address, as in `smtproutes`, or belongs to the password, as in
/// `authsenders`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocalField {
    /// There may be one.
    Allowed,
    /// There is none.
    Absent,
}

/// Reads the value of a line.
pub(super) fn parse(origin: Origin, value: &[u8], local: LocalField) -> Result<Route<Fields>, ControlError> {
    let (target, rest) = cut(value, b'|');
    let (relay, port) = split_target(target);
    let (tls_start, port) = match port {
        None => (TlsStart::StartTls, None),
        Some(text) => {
            parse_port(text).ok_or_else(|| origin.bad("the port is not a number from 1 to 65535"))?
        }
    };
    let relay = match relay {
        b"" => None,
        name => {
            let host = Host::parse(name);
            let host = host.map_err(|_| origin.bad("the relay is neither a host name nor an address"))?;
            Some(Relay { host, as_written: name.to_vec() })
        }
    };
    let (credentials, local_address) = match rest {
        Some(rest) => fields(rest, value.len().saturating_sub(rest.len()), local)
            .ok_or_else(|| origin.bad("the local address is not an address"))?,
        None => (None, None),
    };
    if let Some(fields) = &credentials
        && !fields.can_be_sent(value)
    {
        return Err(origin.bad("user or password is longer than 1536 octets or holds a zero octet"));
    }
    Ok(Route { origin, relay, port, tls_start, credentials, local_address })
}

/// `[s]port`: `s` alone means 465.
pub fn parse_port(text: &[u8]) -> Option<(TlsStart, Option<u16>)> {
    match text.strip_prefix(b"s") {
        Some(b"") => Some((TlsStart::Implicit, Some(465))),
        Some(digits) => Some((TlsStart::Implicit, Some(port_number(digits)?))),
        None => Some((TlsStart::StartTls, Some(port_number(text)?))),
    }
}

/// `user|password`, `user|password|localip` or `|localip`: the manual page shows the last form, one bar short
/// of its own grammar. A password may hold bars: a third field that is no address belongs to it.
/// Without a user there can only be an address, and nothing else may stand for one: none. `rest` begins at `start`.
fn fields(rest: &[u8], start: usize, local: LocalField) -> Option<(Option<Fields>, Option<LocalAddress>)> {
    let (user, rest) = cut(rest, b'|');
    let rest = rest.unwrap_or_default();
    let address = |text: &[u8]| (local == LocalField::Allowed).then(|| LocalAddress::parse(text)).flatten();
    if user.is_empty() && local == LocalField::Allowed {
        let only: Vec<_> = rest.split(|&octet| octet == b'|').filter(|field| !field.is_empty()).collect();
        return match only.as_slice() {
            [] => Some((None, None)),
            [text] => address(text).map(|local| (None, Some(local))),
            _ => None,
        };
    }
    let (password, local_address) = match cut(rest, b'|') {
        (password, Some(b"")) if local == LocalField::Allowed => (password, None),
        (password, Some(last)) => match address(last) {
            Some(local) => (password, Some(local)),
            None => (rest, None),
        },
        (password, None) => (password, None),
    };
    let end = start.saturating_add(user.len());
    // Behind the bar.
    let password_start = end.saturating_add(1);
    let credentials = (!user.is_empty() && !password.is_empty()).then(|| Fields {
        user: start..end,
        password: password_start..password_start.saturating_add(password.len()),
    });
    Some((credentials, local_address))
}

/// What is before and after the first `separator`.
pub fn cut(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&octet| octet == separator) {
        Some(at) => {
            let (before, after) = text.split_at(at);
            (before, after.get(1..))
        }
        None => (text, None),
    }
}

/// Splits `relay;port`, and the older `relay:port` where the relay cannot be an IPv6 address.
fn split_target(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    if let (relay, Some(port)) = cut(target, b';') {
        return (relay, Some(port));
    }
    let colons = target.iter().filter(|&&octet| octet == b':').count();
    let after_bracket = target.first() == Some(&b'[') && target.windows(2).any(|pair| pair == b"]:");
    match target.iter().rposition(|&octet| octet == b':') {
        Some(at) if colons == 1 || after_bracket => {
            let (relay, port) = target.split_at(at);
            (relay, port.get(1..))
        }
        _ => (target, None),
    }
}

fn port_number(digits: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(digits).ok()?;
    let number = digits.parse().ok().filter(|_| digits.bytes().all(|octet| octet.is_ascii_digit()));
    number.filter(|&port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(value: &str, local: LocalField) -> Result<Route, ControlError> {
        let route = parse(Origin { file: "smtproutes", line: 7 }, value.as_bytes(), local)?;
        Ok(route.with(Sealed::copy_of(value.as_bytes()).unwrap()))
    }

    #[test]
    fn the_forms_of_relay_and_port() {
        use TlsStart::{Implicit, StartTls};
        for (value, relay, port, start) in [
            ("", "", None, StartTls),
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
            let route = route(value, LocalField::Allowed).unwrap();
            let relay = (!relay.is_empty()).then(|| Host::parse(relay.as_bytes()).unwrap());
            let found = route.relay.map(|relay| relay.host);
            assert_eq!((found, route.port, route.tls_start), (relay, port, start), "{value}");
            assert_eq!((route.credentials, route.local_address), (None, None), "{value}");
        }
    }

    #[test]
    fn user_password_and_local_address() {
        use LocalField::{Absent, Allowed};
        for (value, local, user, password, address) in [
            ("r|u|p", Allowed, "u", "p", ""),
            ("r|u|p|10.1.1.0", Allowed, "u", "p", "10.1.1.0"),
            ("r|u|p|2001::fefe", Allowed, "u", "p", "2001::fefe"),
            ("r|u|p|", Allowed, "u", "p", ""),
            ("r||10.1.1.0", Allowed, "", "", "10.1.1.0"),
            ("r;42||2001::fefe", Allowed, "", "", "2001::fefe"),
            ("r|||10.1.1.0", Allowed, "", "", "10.1.1.0"),
            ("r|u|p|q", Allowed, "u", "p|q", ""),
            ("r|u|p|q|10.1.1.0", Allowed, "u", "p|q|10.1.1.0", ""),
            ("r|u|10.1.1.0", Allowed, "u", "10.1.1.0", ""),
            ("r|u|p:q;\u{fc}", Allowed, "u", "p:q;\u{fc}", ""),
            ("r|u", Allowed, "", "", ""),
            ("r|u|", Allowed, "", "", ""),
            ("r||10.1.1.0|", Allowed, "", "", "10.1.1.0"),
            ("r|u|p|10.1.1.0", Absent, "u", "p|10.1.1.0", ""),
            ("r||10.1.1.0", Absent, "", "", ""),
        ] {
            let route = route(value, local).unwrap();
            let given = route.credentials.map(|given| (given.user().to_vec(), given.password().to_vec()));
            let wanted = (!user.is_empty()).then(|| (user.into(), password.into()));
            assert_eq!(given, wanted, "{value}");
            assert_eq!(route.local_address, LocalAddress::parse(address.as_bytes()), "{value}");
        }
    }

    #[test]
    fn a_malformed_value_names_file_and_line() {
        let port = "the port is not a number from 1 to 65535";
        let relay = "the relay is neither a host name nor an address";
        let local = "the local address is not an address";
        for (value, problem) in [
            ("relay.test||10.1.1", local),
            ("relay.test||[2001::fefe]", local),
            ("relay.test|||10.1.1.300", local),
            ("relay.test||password", local),
            ("relay.test||10.1.1.0|10.1.1.1", local),
            ("relay.test;0", port),
            ("relay.test;65536", port),
            ("relay.test;", port),
            ("relay.test;smtp", port),
            ("relay.test;+25", port),
            ("relay.test:", port),
            ("bad relay", relay),
            ("2001:db8::1", relay),
            ("[2001:db8::1", relay),
        ] {
            let expected = ControlError::BadLine { file: "smtproutes", line: 7, problem };
            assert_eq!(route(value, LocalField::Allowed), Err(expected), "{value}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let route = route("r|u|secret", LocalField::Allowed).unwrap();
        assert!(!format!("{route:?}").contains("secret"));
    }
}
