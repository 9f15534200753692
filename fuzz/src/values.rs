//! What the manual page makes of a line's value, read field by field. Nothing of the program's own parsers of lists is used;
//! hosts are its own, which the target `names` is for.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use qmail_remote::host::{HeloName, Host};
use qmail_remote::monitor::control::local_address::LocalAddress;
use qmail_remote::monitor::control::routes;
use qmail_remote::plan::{Relay, TlsStart};

/// Why a value cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An error that names the line.
    Line,
    /// An error of its own, for `domainips`.
    Address,
}

/// A route.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    relay: Option<Relay>,
    port: Option<u16>,
    tls_start: TlsStart,
    user_and_password: Option<(Vec<u8>, Vec<u8>)>,
    local_address: Option<LocalAddress>,
}

impl From<&routes::Route> for Route {
    fn from(route: &routes::Route) -> Route {
        let credentials = route.credentials.as_ref();
        Route {
            relay: route.relay.clone(),
            port: route.port,
            tls_start: route.tls_start,
            user_and_password: credentials.map(|given| (given.user().to_vec(), given.password().to_vec())),
            local_address: route.local_address.clone(),
        }
    }
}

fn split(text: &[u8], separator: u8) -> Vec<&[u8]> {
    text.split(|&octet| octet == separator).collect()
}

/// `relay;[s]port|user|password|localip`; without `localip`, the password has all the rest.
pub fn route(value: &[u8], has_local_address: bool) -> Result<Route, Refusal> {
    let fields = split(value, b'|');
    let (relay, port) = relay_and_port(fields[0])?;
    let user = fields.get(1).copied().unwrap_or_default();
    let mut rest = fields.get(2..).unwrap_or_default().to_vec();
    let mut local_address = None;
    if has_local_address && user.is_empty() {
        // `relay||localip` is the page's own example: nothing but an address makes sense here.
        rest.retain(|field| !field.is_empty());
        local_address = match rest[..] {
            [] => None,
            [field] => Some(address(field).ok_or(Refusal::Line)?),
            _ => return Err(Refusal::Line),
        };
    } else if has_local_address && let [_, fourth] = rest[..] {
        local_address = address(fourth);
        if local_address.is_some() || fourth.is_empty() {
            rest.pop();
        }
    }
    let password = rest.join(&b'|');
    let credentials = (!user.is_empty() && !password.is_empty()).then(|| (user.to_vec(), password));
    let can_be_sent = |field: &Vec<u8>| field.len() <= 1536 && !field.contains(&0);
    if credentials.as_ref().is_some_and(|(user, password)| !can_be_sent(user) || !can_be_sent(password)) {
        return Err(Refusal::Line);
    }
    let (tls_start, port) = port.map_or((TlsStart::StartTls, None), |(start, port)| (start, Some(port)));
    Ok(Route { relay, port, tls_start, user_and_password: credentials, local_address })
}

/// A port and how TLS starts there.
type Port = (TlsStart, u16);

/// `relay`, `relay;[s]port`, or the older `relay:[s]port` where it cannot be a part of an address.
fn relay_and_port(text: &[u8]) -> Result<(Option<Relay>, Option<Port>), Refusal> {
    let at = text.iter().position(|&octet| octet == b';').or_else(|| {
        let at = text.iter().rposition(|&octet| octet == b':')?;
        let before = &text[..at];
        let is_address = before.starts_with(b"[") && before.ends_with(b"]");
        (is_address || !before.contains(&b':')).then_some(at)
    });
    let name = &text[..at.unwrap_or(text.len())];
    let relay = match name {
        b"" => None,
        _ => Some(Relay { host: Host::parse(name).map_err(|_| Refusal::Line)?, as_written: name.to_vec() }),
    };
    let port = at.map(|at| port(&text[at + 1..]).ok_or(Refusal::Line)).transpose()?;
    Ok((relay, port))
}

/// `s`, `sN` or `N`.
pub fn port(text: &[u8]) -> Option<Port> {
    if text == b"s" {
        return Some((TlsStart::Implicit, 465));
    }
    let (start, digits) = match text.strip_prefix(b"s") {
        Some(digits) => (TlsStart::Implicit, digits),
        None => (TlsStart::StartTls, text),
    };
    let number = digits.iter().try_fold(0u32, |number, &digit| {
        digit.is_ascii_digit().then(|| (number * 10 + u32::from(digit - b'0')).min(100_000))
    });
    let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number != 0);
    number.map(|number| (start, number))
}

/// An address, with the name of an interface behind a percent sign or without.
fn address(text: &[u8]) -> Option<LocalAddress> {
    let text = String::from_utf8(text.to_vec()).ok()?;
    let mut parts = text.splitn(2, '%');
    let address = parts.next()?.parse().ok()?;
    let interface = parts.next().map(str::to_owned);
    let is_name = |name: &String| {
        let is_good = |octet: u8| (b'!'..=b'~').contains(&octet) && octet != b'/' && octet != b':';
        !name.is_empty() && name.len() < 16 && name.bytes().all(is_good)
    };
    interface.as_ref().is_none_or(is_name).then_some(LocalAddress { address, interface })
}

/// `localip(%ifname)|helohost`; two addresses, one of each family, with a comma between.
pub fn domain_ips(value: &[u8]) -> Result<(Vec<LocalAddress>, Option<HeloName>), Refusal> {
    let bar = value.iter().position(|&octet| octet == b'|');
    let list = &value[..bar.unwrap_or(value.len())];
    let helo = bar.map(|bar| &value[bar + 1..]).unwrap_or_default();
    let mut addresses = Vec::new();
    if !list.is_empty() {
        for part in split(list, b',') {
            addresses.push(address(part).ok_or(Refusal::Address)?);
        }
    }
    let of_v4 = addresses.iter().filter(|local| local.address.is_ipv4()).count();
    if addresses.len() > 2 || (addresses.len() == 2 && of_v4 != 1) {
        return Err(Refusal::Line);
    }
    let helo = match helo {
        b"" => None,
        name => Some(HeloName::parse(name).map_err(|_| Refusal::Line)?),
    };
    Ok((addresses, helo))
}

/// Certificate, key, and the key's password.
pub type Files = (PathBuf, PathBuf, Option<Vec<u8>>);

/// `certificate|keyfile|password`; the password may hold bars.
pub fn domain_cert(value: &[u8]) -> Result<Files, Refusal> {
    let fields = split(value, b'|');
    let path = |field: &[u8]| PathBuf::from(OsString::from_vec(field.to_vec()));
    let certificate = fields[0];
    if certificate.is_empty() {
        return Err(Refusal::Line);
    }
    let key = fields.get(1).copied().filter(|key| !key.is_empty()).unwrap_or(certificate);
    let password = fields.get(2..).unwrap_or_default().join(&b'|');
    Ok((path(certificate), path(key), Some(password).filter(|password| !password.is_empty())))
}
