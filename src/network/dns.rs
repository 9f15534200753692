//! DNS look-ups: hickory's name server pool, asked as a stub resolver asks a validating one.
//!
//! Network child. Answers are untrusted octets of a resolver that may be lied to; what comes out of here
//! is typed: [`Answer`] says whether DNSSEC vouches for it, and names have passed [`HostName::parse`].
//! The AD bit counts only where the plan says so.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};

use crate::host::HostName;
use crate::ipc::observation::ResolverSeen;
use crate::plan::Resolvers;

/// Data that DNSSEC vouches for, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer<T> {
    /// Validated, by a resolver whose word counts.
    Secure(T),
    /// Anything else.
    Insecure(T),
}

/// What a look-up came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lookup<T> {
    /// There are records; those that cannot be used are left out.
    Found(Answer<Vec<T>>, Owner),
    /// The name exists, without such records.
    NoData,
    /// The name does not exist.
    NoName,
    /// No usable answer: SERVFAIL (bogus, too), refused, timeout, garbage.
    Failed,
}

/// The name that records stand under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The one that was asked for.
    Itself,
    /// This one, of which the other is an alias.
    Target(HostName),
    /// One that is no host's; the other is an alias all the same.
    OddTarget,
}

/// An MX record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mx {
    /// Lower is tried first.
    pub(super) preference: u16,
    /// The exchanger; none for the root, the null MX of RFC 7505.
    pub(super) exchange: Option<HostName>,
}

/// A TLSA record (RFC 6698 section 2.1), as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsaRecord {
    pub(super) usage: u8,
    pub(super) selector: u8,
    pub(super) matching: u8,
    pub(super) data: Vec<u8>,
}

/// One attempt with one server. UDP is sent again twice within it.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How often a silent server is asked.
const ROUNDS: usize = 2;
/// RFC 9715: what passes without fragments.
const PAYLOAD: u16 = 1232;

/// Asks the resolvers of the plan, one after the other. Works inside a tokio runtime.
#[derive(Clone)]
pub(super) struct Resolver {
    servers: Vec<NameServerPool<TokioRuntimeProvider>>,
    trust_ad: bool,
}

/// What one server had to say.
enum Attempt<T> {
    Answered(Lookup<T>),
    /// It answered, and cannot help: SERVFAIL (bogus, too), REFUSED, or another code.
    Declined,
    /// Nothing usable came.
    Silent,
}

impl Resolver {
    /// A resolver, or none if hickory cannot be set up.
    pub(super) fn new(resolvers: &Resolvers) -> Option<Resolver> {
        let mut options = ResolverOpts::default();
        options.timeout = ATTEMPT;
        options.edns_payload_len = PAYLOAD;
        let context = Arc::new(PoolContext::new(options, TlsConfig::new().ok()?));
        // A pool of several would take the first answer, and a server that refuses is the fastest.
        let pool = |&address: &IpAddr| {
            let server = NameServerConfig::udp_and_tcp(address);
            NameServerPool::from_config([server], context.clone(), TokioRuntimeProvider::default())
        };
        Some(Resolver {
            servers: resolvers.addresses.iter().map(pool).collect(),
            trust_ad: resolvers.trust_ad,
        })
    }

    /// MX records. Those whose exchange is not a host name are dropped; nothing can be done with them.
    pub(super) async fn mx(&self, name: &HostName) -> Lookup<Mx> {
        self.look_up(name.as_str(), RecordType::MX, |data| {
            let RData::MX(mx) = data else { return None };
            let exchange = match mx.exchange.is_root() {
                true => None,
                false => Some(host_name(&mx.exchange)?),
            };
            Some(Mx { preference: mx.preference, exchange })
        })
        .await
    }

    /// The target of a CNAME record.
    pub(super) async fn alias(&self, name: &HostName) -> Lookup<HostName> {
        self.look_up(name.as_str(), RecordType::CNAME, |data| match data {
            RData::CNAME(target) => host_name(&target.0),
            _ => None,
        })
        .await
    }

    /// A records.
    pub(super) async fn ipv4(&self, name: &HostName) -> Lookup<IpAddr> {
        self.look_up(name.as_str(), RecordType::A, |data| match data {
            RData::A(address) => Some(IpAddr::V4(Ipv4Addr::from(*address))),
            _ => None,
        })
        .await
    }

    /// AAAA records.
    pub(super) async fn ipv6(&self, name: &HostName) -> Lookup<IpAddr> {
        self.look_up(name.as_str(), RecordType::AAAA, |data| match data {
            RData::AAAA(address) => Some(IpAddr::V6(Ipv6Addr::from(*address))),
            _ => None,
        })
        .await
    }

    /// The TLSA records for a TCP port of `base` (RFC 6698 section 3).
    pub(super) async fn tlsa(&self, port: u16, base: &HostName) -> Lookup<TlsaRecord> {
        self.look_up(&format!("_{port}._tcp.{base}"), RecordType::TLSA, |data| match data {
            RData::TLSA(tlsa) => Some(TlsaRecord {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        })
        .await
    }

    /// Whether the answer for the root's SOA record comes with the AD bit, be it believed or not.
    pub(super) async fn validates(&self) -> ResolverSeen {
        let asking = Resolver { servers: self.servers.clone(), trust_ad: true };
        match asking.look_up("", RecordType::SOA, |_| Some(())).await {
            Lookup::Found(Answer::Secure(_), _) => ResolverSeen::Validates,
            Lookup::Found(Answer::Insecure(_), _) | Lookup::NoData | Lookup::NoName => {
                ResolverSeen::DoesNotValidate
            }
            Lookup::Failed => ResolverSeen::Silent,
        }
    }

    async fn look_up<T>(
        &self,
        name: &str,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Lookup<T> {
        // A name of TLSA records that is longer than a name may be: nothing can stand under it.
        let Some(name) = absolute(name) else { return Lookup::NoName };
        let mut silent: Vec<_> = self.servers.iter().collect();
        for _ in 0..ROUNDS {
            let mut still_silent = Vec::new();
            for server in silent {
                match self.ask(server, &name, kind, &pick).await {
                    Attempt::Answered(lookup) => return lookup,
                    Attempt::Declined => {}
                    Attempt::Silent => still_silent.push(server),
                }
            }
            silent = still_silent;
        }
        Lookup::Failed
    }

    async fn ask<T>(
        &self,
        server: &NameServerPool<TokioRuntimeProvider>,
        name: &Name,
        kind: RecordType,
        pick: &impl Fn(&RData) -> Option<T>,
    ) -> Attempt<T> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_payload_len = PAYLOAD;
        options.recursion_desired = true;
        let question = Query::query(name.clone(), kind);
        let mut request = DnsRequest::from_query(question.clone(), options);
        // RFC 6840 section 5.7: AD in the query asks for the answer's status without its signatures.
        request.metadata.authentic_data = true;
        let (code, response) = match server.send(request).first_answer().await {
            // By TCP hickory looks at the id alone (RFC 5452 section 9.1), and of an UPDATE it takes records without data. Of a
            // denial it tells the first question alone, and not what it was an answer to.
            Ok(response) if response.queries != [question.clone()] => return Attempt::Silent,
            Ok(response) if response.metadata.op_code != OpCode::Query => return Attempt::Silent,
            Ok(response) => (response.metadata.response_code, Some(response)),
            Err(NetError::Dns(DnsError::NoRecordsFound(denial))) if *denial.query != question => {
                return Attempt::Silent;
            }
            // A referral: the server does not look anything up for us.
            Err(NetError::Dns(DnsError::NoRecordsFound(denial)))
                if denial.soa.is_none() && denial.ns.is_some() =>
            {
                return Attempt::Declined;
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(denial))) => (denial.response_code, None),
            Err(NetError::Dns(DnsError::ResponseCode(_))) => return Attempt::Declined,
            Err(_) => return Attempt::Silent,
        };
        let of_kind =
            |response: &DnsResponse| response.answers.iter().any(|record| record.record_type() == kind);
        Attempt::Answered(match (code, response) {
            // Records that cannot be used are records all the same: not "no MX".
            (ResponseCode::NoError, Some(response)) if of_kind(&response) => {
                let records = response.answers.iter().filter_map(|record| pick(&record.data)).collect();
                let first = response.answers.iter().find(|record| record.record_type() == kind);
                let owner = match first.filter(|record| record.name != *name) {
                    None => Owner::Itself,
                    Some(record) => host_name(&record.name).map_or(Owner::OddTarget, Owner::Target),
                };
                let answer = match self.trust_ad && response.metadata.authentic_data {
                    true => Answer::Secure(records),
                    false => Answer::Insecure(records),
                };
                Lookup::Found(answer, owner)
            }
            (ResponseCode::NoError, _) => Lookup::NoData,
            (ResponseCode::NXDomain, _) => Lookup::NoName,
            _ => return Attempt::Declined,
        })
    }
}

/// The name as it is asked for, absolute: no search list. Label by label, because hickory reads no text with a label that
/// begins with a hyphen. None: it is too long.
fn absolute(name: &str) -> Option<Name> {
    Name::from_labels(name.split_terminator('.').map(str::as_bytes)).ok()
}

fn host_name(name: &Name) -> Option<HostName> {
    HostName::parse(name.to_ascii().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_name_can_be_asked_for() {
        let letters = ["a", "0", "-", "_"];
        let pairs = letters.iter().flat_map(|one| letters.map(|other| format!("{one}{other}")));
        let labels = pairs.chain(letters.map(str::to_owned)).chain(["-".repeat(63), "a".repeat(63)]);
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        let many = ["a"; 127].join(".");
        for text in labels.flat_map(|label| [format!("{label}.test"), label]).chain([long, many]) {
            let name = HostName::parse(text.as_bytes()).unwrap();
            let asked = absolute(name.as_str()).expect(&text);
            assert!(asked.is_fqdn(), "{text}");
            assert_eq!(asked.iter().collect::<Vec<_>>().join(&b'.'), text.as_bytes());
        }
        assert_eq!(absolute(""), Some(Name::root()));
        assert_eq!(absolute(&["a"; 128].join(".")), None);
    }
}
