//! `smtproutes` and `qmtproutes`: artificial routes, `domain:relay;[s]port|user|password|localip`.
#![forbid(unsafe_code)]

use super::keys::{self, Keys};
use super::lines::Entry;
use super::routes::{self, Fields, LocalField, Origin, Route};
use super::{ControlDirectory, ControlError};
use crate::args::Invocation;
use crate::plan::Protocol;
use crate::sealed::Sealed;

/// The file of SMTP routes.
pub const SMTPROUTES: &str = "smtproutes";
/// The file of QMTP routes.
pub const QMTPROUTES: &str = "qmtproutes";

/// The files in the order in which they count at one level.
pub const IN_ORDER: [(Protocol, &str); 2] = [(Protocol::Qmtp, QMTPROUTES), (Protocol::Smtp, SMTPROUTES)];

/// The route for this delivery, when there is one. The level of the key decides, `!@` for bounces being the
/// best; at the same level `qmtproutes` comes first.
pub fn look_up(
    control: &ControlDirectory,
    invocation: &Invocation,
) -> Result<Option<(Protocol, Route)>, ControlError> {
    let keys = keys_for(invocation);
    let mut best: Option<(Protocol, &'static str, Entry<Sealed>)> = None;
    for (protocol, file) in IN_ORDER {
        if let Some(entry) = control.find::<Sealed>(file, &keys, |_| true)?
            && best.as_ref().is_none_or(|(_, _, best)| entry.level < best.level)
        {
            best = Some((protocol, file, entry));
        }
    }
    let Some((protocol, file, entry)) = best else {
        return Ok(None);
    };
    let value = entry.value?;
    let route = parse(Origin { file, line: entry.line }, &value)?;
    Ok(Some((protocol, route.with(value))))
}

/// `!@` for bounces, the whole host, each suffix that starts at a dot, the empty key.
pub fn keys_for(invocation: &Invocation) -> Keys {
    let bounce = invocation.sender.is_null().then(|| b"!@".to_vec());
    let host = keys::of_host(&invocation.host_argument, &invocation.host);
    Keys::new(bounce.into_iter().chain(host).chain([Vec::new()]))
}

/// Reads the value of a line of either file.
pub fn parse(origin: Origin, value: &[u8]) -> Result<Route<Fields>, ControlError> {
    routes::parse(origin, value, LocalField::Allowed)
}

#[cfg(test)]
mod tests {
    use super::super::test_directory::TestHome;
    use super::*;

    fn look_up_in(
        files: &[(&str, &str)],
        host: &str,
        sender: &str,
    ) -> Option<(Protocol, String, Option<u16>)> {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let arguments = [host, sender, "bob@example.test"].map(Into::into);
        let found =
            look_up(&TestHome::new(&files).control(), &Invocation::parse(arguments).unwrap()).unwrap();
        found.map(|(protocol, route)| {
            (protocol, format!("{:?}", route.relay.map(|relay| relay.host)), route.port)
        })
    }

    fn smtp(routes: &str, host: &str, sender: &str) -> Option<(String, Option<u16>)> {
        look_up_in(&[(SMTPROUTES, routes)], host, sender).map(|(_, relay, port)| (relay, port))
    }

    fn to(relay: &str, port: Option<u16>) -> Option<(String, Option<u16>)> {
        let relay = (!relay.is_empty()).then(|| crate::host::Host::parse(relay.as_bytes()).unwrap());
        Some((format!("{relay:?}"), port))
    }

    const PAGE: &str =
        "inside.af.mil:firewall.af.mil;26\n.af.mil:\n:heaven.af.mil\n!@:bouncehost.af.mil;27\n";

    #[test]
    fn the_examples_of_the_manual_page() {
        let sender = "a@b.test";
        assert_eq!(smtp(PAGE, "inside.af.mil", sender), to("firewall.af.mil", Some(26)));
        assert_eq!(smtp(PAGE, "INSIDE.AF.MIL", sender), to("firewall.af.mil", Some(26)));
        assert_eq!(smtp(PAGE, "x.inside.af.mil", sender), to("", None));
        assert_eq!(smtp(PAGE, "af.mil", sender), to("heaven.af.mil", None));
        assert_eq!(smtp(PAGE, "example.test", sender), to("heaven.af.mil", None));
        assert_eq!(smtp(PAGE, "inside.af.mil", ""), to("bouncehost.af.mil", Some(27)));
        assert_eq!(smtp("a.test:b.test\n", "example.test", sender), None);
    }

    #[test]
    fn literal_hosts_match_their_key_and_the_empty_one() {
        let routes = "[192.0.2.9]:a.test\n192.0.2.9:b.test\n.9:c.test\n[2001:db8::9]:d.test\n";
        assert_eq!(smtp(routes, "[192.0.2.9]", "a@b.test"), to("a.test", None));
        assert_eq!(smtp(routes, "192.0.2.9", "a@b.test"), to("b.test", None));
        assert_eq!(smtp(routes, "[2001:db8::9]", "a@b.test"), to("d.test", None));
        assert_eq!(smtp(routes, "192.0.3.9", "a@b.test"), None);
    }

    #[test]
    fn the_better_level_wins_and_qmtp_at_the_same() {
        let chosen = |qmtp: &str, smtp: &str, sender: &str| {
            look_up_in(&[(QMTPROUTES, qmtp), (SMTPROUTES, smtp)], "mx.example.test", sender)
                .map(|found| found.0)
        };
        let sender = "a@b.test";
        assert_eq!(chosen(":q.test\n", ":s.test\n", sender), Some(Protocol::Qmtp));
        assert_eq!(chosen(":q.test\n", ".test:s.test\n", sender), Some(Protocol::Smtp));
        assert_eq!(chosen(".example.test:q.test\n", ".test:s.test\n", sender), Some(Protocol::Qmtp));
        assert_eq!(chosen("mx.example.test:q.test\n", "!@:s.test\n", sender), Some(Protocol::Qmtp));
        assert_eq!(chosen("mx.example.test:q.test\n", "!@:s.test\n", ""), Some(Protocol::Smtp));
        assert_eq!(chosen("!@:q.test\n", "!@:s.test\n", ""), Some(Protocol::Qmtp));
    }

    #[test]
    fn a_line_that_is_too_long_stops_only_who_has_no_better_one_in_either_file() {
        let long = |key: &str| format!("{key}:{}\n", "x".repeat(40_000));
        let chosen = |qmtp: &str, smtp: &str| {
            let files = [(QMTPROUTES, qmtp.as_bytes()), (SMTPROUTES, smtp.as_bytes())];
            let arguments = ["mx.test", "a@b.test", "bob@example.test"].map(Into::into);
            let found = look_up(&TestHome::new(&files).control(), &Invocation::parse(arguments).unwrap());
            found.map(|route| route.unwrap().0)
        };
        let too_long = |file| Err(ControlError::BadLine { file, line: 1, problem: "the line is too long" });
        assert_eq!(chosen(&long(".test"), "mx.test:s.test\n"), Ok(Protocol::Smtp));
        assert_eq!(chosen("mx.test:q.test\n", &long(".test")), Ok(Protocol::Qmtp));
        assert_eq!(chosen(":q.test\n", &long("")), Ok(Protocol::Qmtp));
        assert_eq!(chosen(&long(""), ":s.test\n"), too_long(QMTPROUTES));
        assert_eq!(chosen(":q.test\n", &long(".test")), too_long(SMTPROUTES));
    }
}
