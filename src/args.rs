//! The command line: `qmail-remote host sender recip ...`. Monitor only, before anything else is read.
//!
//! Arguments come from the queue and with that from strangers. Each becomes a type that cannot carry a
//! second SMTP command, or the message is refused before any connection. There are no options: `-x` is a
//! host.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::envelope::{BadAddress, Path};
use crate::host::Host;

/// One delivery as qmail-rspawn asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Where to: a domain, or an address literal.
    pub host: Host,
    /// The host argument as given, for control file keys and reports.
    pub host_argument: Vec<u8>,
    /// The envelope sender.
    pub sender: Path,
    /// The sender argument as given, for control file keys.
    pub sender_argument: Vec<u8>,
    /// The envelope recipients, at least one, in argument order.
    pub recipients: Vec<Path>,
}

/// Why the arguments cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadArguments {
    /// Fewer than three.
    TooFew,
    /// Not a name that could be in the DNS, in whatever letters, nor an address.
    Host(Vec<u8>),
    /// The sender.
    Sender(BadAddress),
    /// One of the recipients.
    Recipient(BadAddress),
}

impl Invocation {
    /// Reads the arguments that follow the program's name.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, BadArguments> {
        let mut arguments = arguments.into_iter().map(OsString::into_vec);
        let (Some(host), Some(sender)) = (arguments.next(), arguments.next()) else {
            return Err(BadArguments::TooFew);
        };
        let recipients: Vec<_> = arguments.collect();
        if recipients.is_empty() {
            return Err(BadArguments::TooFew);
        }
        let sender_argument = sender;
        let sender = Path::reverse(&sender_argument).map_err(BadArguments::Sender)?;
        let recipients =
            recipients.iter().map(|recipient| Path::forward(recipient)).collect::<Result<_, _>>();
        Ok(Invocation {
            sender,
            sender_argument,
            recipients: recipients.map_err(BadArguments::Recipient)?,
            host: Host::parse(&host).map_err(|_| BadArguments::Host(host.clone()))?,
            host_argument: host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Invocation, BadArguments> {
        Invocation::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn three_arguments_are_the_least() {
        for few in [&[][..], &["example.test"], &["example.test", "a@b.test"]] {
            assert_eq!(parse(few), Err(BadArguments::TooFew));
        }
        let parsed = parse(&["Example.Test", "", "bob@example.test", "carol@example.test"]).unwrap();
        assert!(parsed.sender.is_null());
        assert_eq!(parsed.recipients.len(), 2);
        assert_eq!(parsed.host_argument, b"Example.Test");
    }

    #[test]
    fn there_are_no_options() {
        assert_eq!(parse(&["-x", "-h", "--help"]).unwrap().host, Host::parse(b"-x").unwrap());
    }

    #[test]
    fn each_argument_is_checked() {
        let good = "a@b.test";
        assert_eq!(parse(&["a b", good, good]), Err(BadArguments::Host(b"a b".to_vec())));
        let host = parse(&["b\u{fc}cher.test", good, good]).unwrap().host;
        assert_eq!(host, Host::parse(b"xn--bcher-kva.test").unwrap());
        let unconvertible = "b\u{fc}cher\u{202e}.test";
        assert_eq!(
            parse(&[unconvertible, good, good]),
            Err(BadArguments::Host(unconvertible.as_bytes().to_vec()))
        );
        assert_eq!(parse(&["b.test", "a\n@b.test", good]), Err(BadArguments::Sender(BadAddress::Unsafe)));
        assert_eq!(parse(&["b.test", good, good, ""]), Err(BadArguments::Recipient(BadAddress::Empty)));
    }
}
