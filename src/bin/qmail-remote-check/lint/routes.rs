//! The values of `smtproutes`, `qmtproutes` and `authsenders`.
//!
//! They hold passwords: nothing of a value is printed but its local address.
#![forbid(unsafe_code)]

use std::net::Ipv6Addr;

use qmail_remote::host::Host;
use qmail_remote::monitor::control::local_address::LocalAddress;
use qmail_remote::monitor::control::routes::{Fields, Origin, Route, cut, parse_port};
use qmail_remote::monitor::control::tlsdestinations::TlsRule;
use qmail_remote::monitor::control::{authsenders, smtproutes};
use qmail_remote::monitor::selection::Selection;
use qmail_remote::plan::{Protocol, QMTPS, TlsStart};

use super::addresses::Machine;
use super::lists::Remarks;
use super::reach::List;

/// Checks the value of a line with `key`. Whether it holds a password; none when it cannot be read.
pub(super) fn check(
    list: List,
    key: &[u8],
    origin: Origin,
    value: &[u8],
    machine: &Machine,
    remarks: &mut Remarks,
) -> Option<bool> {
    let parsed = match list {
        List::Authsenders => authsenders::parse(origin, value),
        _ => smtproutes::parse(origin, value),
    };
    let route = match parsed {
        Ok(route) => route,
        Err(error) => {
            remarks.refused(&error, instead(list, value));
            return None;
        }
    };
    let credentials = route.credentials.is_some();
    if let Some(slip) = misplaced(list, value, &route) {
        remarks.warning(slip);
    } else if !credentials {
        check_halves(value, &route, remarks);
    }
    if credentials {
        check_use(list, key, &route, remarks);
    }
    check_port(list, &route, remarks);
    if let Some(local) = &route.local_address {
        machine.check(local, remarks);
    }
    Some(credentials)
}

/// What to write instead of a value that is refused.
fn instead(list: List, value: &[u8]) -> &'static str {
    let (target, rest) = cut(value, b'|');
    let (relay, _) = cut(target, b';');
    let is_v6 = std::str::from_utf8(relay).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    if target.contains(&b'#') {
        "a comment needs a line of its own"
    } else if target.iter().any(|octet| b" \t".contains(octet)) {
        "write the value without blanks"
    } else if is_v6 {
        "write an IPv6 address in brackets"
    } else if !target.is_ascii() {
        "write the A-label, xn--..."
    } else if rest.is_some_and(|rest| rest.starts_with(b"|") && rest.contains(&b'[')) {
        "write the local address without brackets"
    } else if list != List::Authsenders && rest.is_some_and(|rest| rest.starts_with(b"|")) {
        "write a user before a password, or relay||192.0.2.1 without both"
    } else if list == List::Authsenders {
        "write sender:relay;port|user|password"
    } else {
        "write domain:relay;port|user|password|localip"
    }
}

/// A port, or an address, in a field where it belongs to user or password.
fn misplaced(list: List, value: &[u8], route: &Route<Fields>) -> Option<&'static str> {
    if route.local_address.is_some() {
        return None;
    }
    let is_port = |text: &[u8]| text != b"s" && parse_port(text).is_some();
    let is_address = |text: &[u8]| {
        let inside = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
        LocalAddress::parse(inside).is_some()
    };
    let fields: Vec<&[u8]> = value.split(|&octet| octet == b'|').skip(1).collect();
    let [user, .., last] = fields.as_slice() else {
        return None;
    };
    let after_semicolon =
        last.iter().rposition(|&octet| octet == b';').and_then(|at| last.get(at.saturating_add(1)..));
    if is_port(user) && fields.len() > 2 {
        Some("the user is a port: write relay;port|user|password")
    } else if after_semicolon.is_some_and(is_port) || (is_port(last) && fields.len() > 2) {
        Some("the password ends in a port: write relay;port|user|password")
    } else if fields.len() > 2 && list == List::Authsenders && is_address(last) {
        Some("the password ends in an address, as there is no such field here: write it to domainips")
    } else if fields.len() > 2 && last.starts_with(b"[") && is_address(last) {
        Some("the password ends in an address: write a local address without brackets")
    } else if fields.len() > 2 && list != List::Authsenders && is_like_an_address(last) {
        Some(
            "the last field is no address and counts as a part of the password: write 192.0.2.1 or 2001:db8::1",
        )
    } else {
        None
    }
}

/// Whether nothing but a mistake keeps it from being a local address.
fn is_like_an_address(text: &[u8]) -> bool {
    let (address, _) = cut(text, b'%');
    address.iter().any(|octet| b".:".contains(octet))
        && address.iter().all(|octet| octet.is_ascii_hexdigit() || b".:".contains(octet))
}

/// One of user and password without the other.
fn check_halves(value: &[u8], route: &Route<Fields>, remarks: &mut Remarks) {
    let (_, rest) = cut(value, b'|');
    let (user, rest) = cut(rest.unwrap_or_default(), b'|');
    if !user.is_empty() {
        remarks.warning(
            "there is a user and no password, so there is no authentication: write relay;port|user|password",
        );
    } else if route.local_address.is_none() && rest.is_some_and(|rest| !rest.is_empty()) {
        remarks.warning(
            "there is a password and no user, so there is no authentication: write relay;port|user|password",
        );
    }
}

/// What becomes of a password.
fn check_use(list: List, key: &[u8], route: &Route<Fields>, remarks: &mut Remarks) {
    if protocol_of(list, route) == Protocol::Qmtp {
        remarks.error(match list {
            List::Qmtproutes => {
                "QMTP has no authentication, and deliveries are put off: write the route to smtproutes".to_owned()
            }
            _ => format!(
                "port {QMTPS} speaks QMTP, which has no authentication, and deliveries are put off: write a port of SMTP"
            ),
        });
    } else if route.relay.is_none() {
        // The key of a route may name the one host that it is for.
        let chosen = match Host::parse(key).ok().filter(|_| list != List::Authsenders) {
            Some(Host::Address(_)) => return,
            Some(Host::Name(_)) => "",
            None => ", which whoever writes the envelope chooses,",
        };
        remarks.warning(format!(
            "there is no relay, and the password goes to every server that proves its own name and that the \
             recipient's domain{chosen} names as exchanger: write relay;port|user|password"
        ));
    }
}

/// What deliveries speak by this route, where no rule of `tlsdestinations` has a port for it.
fn protocol_of(list: List, route: &Route<Fields>) -> Protocol {
    let protocol = if list == List::Qmtproutes { Protocol::Qmtp } else { Protocol::Smtp };
    let Route { origin, port, tls_start, .. } = *route;
    let route = Route { origin, relay: None, port, tls_start, credentials: None, local_address: None };
    let tls = TlsRule::default_rule();
    Selection { route: Some((protocol, route)), tls, certificate: None, domain_ips: None }.protocol()
}

/// Ports that mean another protocol than the list.
fn check_port(list: List, route: &Route<Fields>, remarks: &mut Remarks) {
    match (list, route.port, route.tls_start) {
        (List::Qmtproutes, Some(port @ (25 | 465 | 587)), _) => {
            remarks.warning(format!("port {port} speaks SMTP: write the route to smtproutes"));
        }
        (List::Authsenders | List::Smtproutes, Some(209), _) => {
            remarks.warning("port 209 speaks QMTP: write the route to qmtproutes");
        }
        (List::Authsenders | List::Smtproutes, Some(465), TlsStart::StartTls) => {
            remarks.warning("port 465 starts with TLS: write relay;s465");
        }
        _ => {}
    }
}
