//! Keys that no look-up asks for, and what to write instead.
#![forbid(unsafe_code)]

use super::findings::{key_in_words, shown};
use super::reach::{List, Reach, own_form, reach};

/// What is wrong with a line that has no key.
pub(super) fn missing(line: &[u8]) -> String {
    if line.trim_ascii_start().starts_with(b"#") {
        "a comment has its # in the first column: remove the blanks".to_owned()
    } else if line.iter().take(2).any(|&octet| octet == b'[') && line.contains(&b':') {
        "the line has no key and is ignored: write a key in brackets as [2001:db8::1]:".to_owned()
    } else {
        "the line has no colon and is ignored: write key:value, or # before it".to_owned()
    }
}

/// The reach of a key, or what is wrong with it.
pub(super) fn check(list: List, key: &[u8]) -> Result<Reach, String> {
    if key.contains(&b'|') {
        return Err("the first colon comes after a bar: write the key and a colon first".to_owned());
    }
    // It may be a password that stands there.
    if key.iter().any(|octet| b" \t;".contains(octet)) {
        let instead = match list {
            List::Authsenders => {
                "no sender has a blank or a semicolon: write sender:relay;port|user|password"
            }
            List::Qmtproutes | List::Smtproutes => {
                "no host has a blank or a semicolon: write domain:relay;port|user|password|localip"
            }
            List::Domaincerts => {
                "no domain has a blank or a semicolon: write domain:certificate|keyfile|password"
            }
            List::Domainips | List::Tlsdestinations => "",
        };
        if !instead.is_empty() {
            return Err(instead.to_owned());
        }
    }
    if list == List::Authsenders {
        check_sender(key)?;
    }
    if let Some(own) = own_form(list, key) {
        let (key, own) = (key_in_words(key), shown(&own));
        return Err(format!("not every look-up for the address asks for {key}: write `{own}`"));
    }
    if let Some(reach) = reach(list, key) {
        return Ok(reach);
    }
    let instead = match better(list, key) {
        _ if !key.is_ascii() => "write it in small letters, or as A-labels, xn--...".to_owned(),
        // The key of one host demands TLS, and this may be meant as that of all.
        Some(_) if list == List::Tlsdestinations && key.is_empty() => {
            "write `*`, or `+*` to demand TLS and a certificate that verifies".to_owned()
        }
        Some(key) if key.is_empty() => "write nothing before the colon".to_owned(),
        Some(key) => format!("write `{}`", shown(&key)),
        None => match (list, key.first()) {
            (List::Tlsdestinations, Some(b'%')) => "a fingerprint is for one host, `%host`".to_owned(),
            (List::Tlsdestinations, Some(b'!')) => "write a host or a .suffix after the `!`".to_owned(),
            (List::Authsenders, _) => "write a sender, an @domain, a .suffix, or nothing".to_owned(),
            (List::Domaincerts | List::Domainips, _) => {
                "write a sender's domain, a .suffix, or `*`".to_owned()
            }
            (List::Qmtproutes | List::Smtproutes, _) => {
                "write a host, a .suffix, `!@`, or nothing".to_owned()
            }
            (List::Tlsdestinations, _) => {
                "write a host or a .suffix, or one of the rules with `*`".to_owned()
            }
        },
    };
    Err(format!("no look-up asks for {}: {instead}", key_in_words(key)))
}

/// Senders that could be, and never are.
fn check_sender(key: &[u8]) -> Result<(), String> {
    let name = shown(key);
    if key.ends_with(b"@") {
        return Err(format!("no sender ends in `@`: write `{name}domain`"));
    }
    let is_domain = key.contains(&b'.') && !key.contains(&b'@') && !key.starts_with(b".");
    // A key that is no name at all has better advice.
    if is_domain && reach(List::Authsenders, key).is_some() {
        return Err(format!("only a sender without a domain is `{name}`: write `@{name}`"));
    }
    Ok(())
}

/// What is probably meant by a key that nobody asks for: the first of its repairs that somebody does ask for. Each
/// repair is made on top of the one before.
fn better(list: List, key: &[u8]) -> Option<Vec<u8>> {
    let (rule, host) = match key.split_first() {
        Some((rule, host)) if list == List::Tlsdestinations && b"!%=~-?/+".contains(rule) => {
            (&[*rule][..], host)
        }
        _ => (&b""[..], key),
    };
    let mut host: Vec<u8> = host.iter().copied().filter(|octet| !b" \t".contains(octet)).collect();
    let asked = |rule: &[u8], host: &[u8]| {
        let key = [rule, host].concat();
        reach(list, &key).map(|_| key)
    };
    for repair in REPAIRS {
        repair(&mut host);
        if let Some(key) = asked(rule, &host) {
            return Some(key);
        }
        // These two exist for hosts, or for all, and `~` is what comes near them.
        if (rule == b"=" || rule == b"+")
            && let Some(key) = asked(b"~", &host)
        {
            return Some(key);
        }
    }
    None
}

const REPAIRS: [fn(&mut Vec<u8>); 6] = [
    |_| {},
    |host| {
        if host.len() > 1 && host.ends_with(b".") {
            host.pop();
        }
    },
    |host| {
        if host.starts_with(b"*.") || host.starts_with(b"*@") {
            host.remove(0);
        }
    },
    |host| {
        if let Some(at) = host.iter().rposition(|&octet| octet == b'@')
            && at.saturating_add(1) < host.len()
        {
            host.drain(..=at);
        }
    },
    |host| {
        if host == b"*" {
            host.clear();
        }
    },
    |host| {
        if host.is_empty() {
            host.push(b'*');
        }
    },
];
