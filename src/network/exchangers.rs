//! Which servers to try, in which order, at which addresses.
//!
//! Network child. The DNS phase of a delivery: one deadline, its own event loop, gone when it returns.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use rand::seq::SliceRandom;
use tokio::task::JoinSet;

use super::dane::{self, Dane, NameStatus};
use super::dns::{Answer, Lookup, Mx, Owner, Resolver};
use crate::host::{Host, HostName};
use crate::ipc::LookupFailure;
use crate::ipc::observation::ResolverSeen;
use crate::plan::{Destination, OwnAddresses, Plan, Relay};

/// A server to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchanger {
    /// Its name; none for an address literal.
    pub(super) name: Option<HostName>,
    /// What it was found by: the domain, and the end of its secure alias; or what a control file calls it.
    pub(super) found_by: Vec<HostName>,
    /// Where it may be reached, IPv6 and IPv4 in turn. None: it is there, and could not be looked up now.
    pub(super) addresses: Vec<IpAddr>,
    /// Whether its name can be trusted.
    pub(super) status: NameStatus,
    /// What its TLSA records demand.
    pub(super) dane: Dane,
}

/// No more exchangers of one domain are looked up, nor addresses of one exchanger used: the best ones. What is cut
/// off counts as not reached.
const MOST_EXCHANGERS: usize = 100;
/// How many are looked up at once: two questions each, and descriptors are few.
const AT_ONCE: usize = 16;
const MOST_ADDRESSES: usize = 16;

/// Finds the exchangers, best first.
pub(super) fn find(plan: &Plan) -> Result<Vec<Exchanger>, LookupFailure> {
    match &plan.destination {
        Destination::Relay(Relay { host: Host::Address(address), .. }) => Ok(vec![at(*address)]),
        Destination::Literal(address, own) if own.contain(*address) => Err(LookupFailure::OnlyOurselves),
        Destination::Literal(address, _) => Ok(vec![at(*address)]),
        Destination::Relay(Relay { host: Host::Name(relay), .. }) => look_up(plan, async |resolver| {
            let found_by = vec![relay.clone()];
            let (resolver, status) = (resolver.clone(), NameStatus::Secure);
            let search = Search { resolver, status, found_by, tlsa_port: tlsa_port(plan) };
            let candidates = with_addresses(&search, vec![(0, relay.clone())]).await;
            // What the administrator wrote is not the recipient's fault: never a bounce.
            candidates.map(in_order).map_err(|_| LookupFailure::Temporary)
        }),
        Destination::Exchangers(domain, own) => {
            look_up(plan, async |resolver| of_domain(resolver, domain, own, tlsa_port(plan)).await)
        }
    }
}

/// An address has no TLSA records.
fn at(address: IpAddr) -> Exchanger {
    let (status, dane) = (NameStatus::Secure, Dane::NotAsked);
    Exchanger { name: None, found_by: Vec::new(), addresses: vec![address], status, dane }
}

/// The port to ask TLSA records for; none when the rule asks for none.
fn tlsa_port(plan: &Plan) -> Option<u16> {
    plan.tls.tlsa.then_some(plan.port)
}

/// What all exchangers of a delivery have in common while they are looked up.
#[derive(Clone)]
struct Search {
    resolver: Resolver,
    status: NameStatus,
    found_by: Vec<HostName>,
    tlsa_port: Option<u16>,
}

impl Search {
    fn exchanger(&self, name: HostName, addresses: Vec<IpAddr>, dane: Dane) -> Exchanger {
        let Search { status, found_by, .. } = self.clone();
        Exchanger { name: Some(name), found_by, addresses, status, dane }
    }
}

/// Runs look-ups under the one deadline, in an event loop that is gone afterwards.
fn look_up(
    plan: &Plan,
    lookups: impl AsyncFnOnce(&Resolver) -> Result<Vec<Exchanger>, LookupFailure>,
) -> Result<Vec<Exchanger>, LookupFailure> {
    within_deadline(plan, lookups).unwrap_or(Err(LookupFailure::Temporary))
}

/// None: the deadline has passed, or the system has no means for look-ups.
fn within_deadline<T>(plan: &Plan, lookups: impl AsyncFnOnce(&Resolver) -> T) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().ok()?;
    runtime.block_on(async {
        let resolver = Resolver::new(&plan.resolvers)?;
        tokio::time::timeout(plan.timeouts.dns, lookups(&resolver)).await.ok()
    })
}

/// Asks the resolvers whether they validate; none when the deadline has passed.
pub(super) fn ask_for_validation(plan: &Plan) -> Option<ResolverSeen> {
    within_deadline(plan, async |resolver| resolver.validates().await)
}

async fn of_domain(
    resolver: &Resolver,
    domain: &HostName,
    own: &OwnAddresses,
    tlsa_port: Option<u16>,
) -> Result<Vec<Exchanger>, LookupFailure> {
    let mut found_by = vec![domain.clone()];
    let (status, names) = match resolver.mx(domain).await {
        Lookup::Found(Answer::Secure(records), owner) => {
            if let Owner::Target(end) = owner {
                found_by.push(end);
            }
            (NameStatus::Secure, order(records)?)
        }
        Lookup::Found(Answer::Insecure(records), _) => (NameStatus::Insecure, order(records)?),
        // RFC 5321 section 5.1: without MX records the domain is its own exchanger. A validating resolver does not
        // let MX records of a signed zone be denied; whether the zone is signed is seen by its addresses.
        Lookup::NoData => (NameStatus::Secure, vec![(0, domain.clone())]),
        Lookup::NoName => return Err(LookupFailure::NoSuchDomain),
        Lookup::Failed => {
            return Err(match resolver.alias(domain).await {
                Lookup::Found(..) => LookupFailure::AliasTemporary,
                Lookup::NoData | Lookup::NoName | Lookup::Failed => LookupFailure::Temporary,
            });
        }
    };
    let search = Search { resolver: resolver.clone(), status, found_by, tlsa_port };
    let better = better_than_own(with_addresses(&search, names).await?, own);
    if better.is_empty() { Err(LookupFailure::OnlyOurselves) } else { Ok(in_order(better)) }
}

/// An exchanger and its preference, lower is better.
type Candidate = (u16, Exchanger);

/// By preference, equal ones in random order (RFC 5321 section 5.1). A null MX counts only when it is the
/// only record (RFC 7505 section 3).
fn order(mut records: Vec<Mx>) -> Result<Vec<(u16, HostName)>, LookupFailure> {
    if matches!(records.as_slice(), [Mx { exchange: None, .. }]) {
        return Err(LookupFailure::NullMx);
    }
    records.shuffle(&mut rand::rng());
    records.sort_by_key(|mx| mx.preference);
    let mut names: Vec<(u16, HostName)> = Vec::new();
    for mx in records {
        if let Some(name) = mx.exchange
            && names.iter().all(|(_, other)| *other != name)
        {
            names.push((mx.preference, name));
        }
    }
    Ok(names)
}

/// Asks for all addresses. Exchangers that have none are passed over; those whose look-up failed stay,
/// without addresses, because they might have taken the message.
async fn with_addresses(
    search: &Search,
    mut names: Vec<(u16, HostName)>,
) -> Result<Vec<Candidate>, LookupFailure> {
    let left_out = names.split_off(names.len().min(MOST_EXCHANGERS));
    let mut candidates = Vec::with_capacity(names.len());
    for group in names.chunks(AT_ONCE) {
        candidates.extend(looked_up(search, group).await?);
    }
    candidates.extend(
        left_out
            .into_iter()
            .map(|(preference, name)| (preference, search.exchanger(name, Vec::new(), Dane::Unknown))),
    );
    if candidates.is_empty() {
        return Err(LookupFailure::NoAddress);
    }
    match candidates.iter().all(|(_, exchanger)| exchanger.addresses.is_empty()) {
        true => Err(LookupFailure::Temporary),
        false => Ok(candidates),
    }
}

/// Looks `names` up at the same time.
async fn looked_up(search: &Search, names: &[(u16, HostName)]) -> Result<Vec<Candidate>, LookupFailure> {
    let mut lookups = JoinSet::new();
    for (index, (preference, name)) in names.iter().enumerate() {
        let lookup = candidate(search.clone(), name.clone());
        let preference = *preference;
        lookups.spawn(async move { (index, lookup.await.map(|exchanger| (preference, exchanger))) });
    }
    let mut found = vec![None; names.len()];
    while let Some(result) = lookups.join_next().await {
        let (index, candidate) = result.map_err(|_| LookupFailure::Temporary)?;
        *found.get_mut(index).ok_or(LookupFailure::Temporary)? = candidate;
    }
    Ok(found.into_iter().flatten().collect())
}

/// One exchanger; none when it has no address.
async fn candidate(search: Search, name: HostName) -> Option<Exchanger> {
    let resolver = &search.resolver;
    let v4 = tokio::spawn({
        let (resolver, name) = (resolver.clone(), name.clone());
        async move { resolver.ipv4(&name).await }
    });
    let v6 = resolver.ipv6(&name).await;
    let v4 = v4.await.unwrap_or(Lookup::Failed);
    let mut addresses = Vec::new();
    for lookup in [&v6, &v4] {
        if let Lookup::Found(Answer::Secure(found) | Answer::Insecure(found), _) = lookup {
            addresses.extend(found);
        }
    }
    let failed = [&v6, &v4].contains(&&Lookup::Failed);
    if addresses.is_empty() && !failed {
        return None;
    }
    let dane = match search.tlsa_port {
        Some(port) => dane::of_exchanger(resolver, &name, search.status, [&v6, &v4], port).await,
        None => Dane::NotAsked,
    };
    Some(search.exchanger(name, interleave(addresses), dane))
}

/// Mail that is handed down from a better exchanger must not be handed back up: only exchangers strictly
/// better than this machine stay (RFC 5321 section 5.1).
fn better_than_own(mut candidates: Vec<Candidate>, own: &OwnAddresses) -> Vec<Candidate> {
    let is_own = |exchanger: &Exchanger| exchanger.addresses.iter().any(|&address| own.contain(address));
    let ours =
        candidates.iter().filter(|(_, exchanger)| is_own(exchanger)).map(|&(preference, _)| preference).min();
    if let Some(ours) = ours {
        candidates.retain(|&(preference, _)| preference < ours);
    }
    candidates
}

fn in_order(candidates: Vec<Candidate>) -> Vec<Exchanger> {
    let mut exchangers: Vec<_> = candidates.into_iter().map(|(_, exchanger)| exchanger).collect();
    for exchanger in &mut exchangers {
        exchanger.addresses.truncate(MOST_ADDRESSES);
    }
    exchangers
}

/// IPv6 and IPv4 in turn, IPv6 first (RFC 8305 section 4).
fn interleave(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut order = Vec::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return order;
        }
        order.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mx(preference: u16, exchange: &str) -> Mx {
        let exchange = (!exchange.is_empty()).then(|| HostName::parse(exchange.as_bytes()).unwrap());
        Mx { preference, exchange }
    }

    fn ordered(records: &[Mx]) -> Result<Vec<String>, LookupFailure> {
        order(records.to_vec()).map(|names| names.iter().map(|(_, name)| name.to_string()).collect())
    }

    #[test]
    fn preference_decides_and_chance_among_equals() {
        let records = [mx(20, "c.test"), mx(10, "a.test"), mx(10, "b.test"), mx(30, "a.test")];
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let names = ordered(&records).unwrap();
            assert_eq!(names.len(), 3, "a name is tried once");
            assert_eq!(names.get(2).map(String::as_str), Some("c.test"));
            seen.insert(names);
        }
        // The chance of one order in 200 shuffles is 2 to the power of -199.
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn a_null_mx_counts_only_alone() {
        assert_eq!(ordered(&[mx(0, "")]), Err(LookupFailure::NullMx));
        assert_eq!(ordered(&[mx(0, ""), mx(10, "a.test")]), Ok(vec!["a.test".to_owned()]));
    }

    #[test]
    fn only_exchangers_better_than_this_machine_stay() {
        let own = OwnAddresses::new(["192.0.2.20".parse().unwrap()]);
        let candidate = |preference, address: &str| (preference, at(address.parse().unwrap()));
        let (a, b, c) =
            (candidate(10, "192.0.2.10"), candidate(20, "192.0.2.20"), candidate(20, "192.0.2.30"));
        assert_eq!(better_than_own(vec![a.clone(), b.clone(), c.clone()], &own), vec![a.clone()]);
        assert_eq!(better_than_own(vec![c.clone(), b], &own), vec![]);
        assert_eq!(better_than_own(vec![a.clone(), c.clone()], &own), vec![a, c]);
    }

    #[test]
    fn families_take_turns() {
        let parse =
            |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|text| text.parse().unwrap()).collect() };
        let mixed = parse(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"]);
        assert_eq!(interleave(mixed), parse(&["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]));
    }
}
