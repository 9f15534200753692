//! Where the result of a look-up says that it stands.
#![forbid(unsafe_code)]

use qmail_remote::monitor::control::ControlError;
use qmail_remote::monitor::control::domaincerts::DomainCert;
use qmail_remote::monitor::control::domainips::DomainIps;
use qmail_remote::monitor::control::routes::{Origin, Route};
use qmail_remote::monitor::control::tlsdestinations::TlsRule;
use qmail_remote::plan::Protocol;

/// What a look-up finds.
pub trait Placed {
    /// Where it stands; none when nothing was found.
    fn origin(&mut self) -> Option<&mut Origin>;
}

impl Placed for Option<Route> {
    fn origin(&mut self) -> Option<&mut Origin> {
        self.as_mut().map(|route| &mut route.origin)
    }
}

impl Placed for Option<(Protocol, Route)> {
    fn origin(&mut self) -> Option<&mut Origin> {
        self.as_mut().map(|(_, route)| &mut route.origin)
    }
}

impl Placed for Option<DomainIps> {
    fn origin(&mut self) -> Option<&mut Origin> {
        self.as_mut().map(|ips| &mut ips.origin)
    }
}

impl Placed for Option<DomainCert> {
    fn origin(&mut self) -> Option<&mut Origin> {
        self.as_mut().map(|certificate| &mut certificate.origin)
    }
}

impl Placed for TlsRule {
    fn origin(&mut self) -> Option<&mut Origin> {
        self.origin.as_mut()
    }
}

impl Placed for Option<TlsRule> {
    fn origin(&mut self) -> Option<&mut Origin> {
        self.as_mut().and_then(|rule| rule.origin.as_mut())
    }
}

/// File and line of what was found, or of the error.
pub(crate) fn place<T: Placed>(found: &mut Result<T, ControlError>) -> Option<(&'static str, &mut u64)> {
    match found {
        Ok(found) => found.origin().map(|origin| (origin.file, &mut origin.line)),
        Err(ControlError::BadLine { file, line, .. }) => Some((*file, line)),
        Err(_) => None,
    }
}
