//! Which servers to try, in which order, at which addresses.
//!
//! Network child. The DNS phase of a delivery: one deadline, its own event loop, gone when it returns. A second such phase
//! comes only when all exchangers that were waited for have been tried in vain.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use rand::seq::SliceRandom;
use tokio::time::{Instant, timeout_at};

use super::dane::{self, Dane, NameStatus};
use super::dns::{Answer, Lookup, Mx, Owner, Resolver};
use crate::host::{HeloName, Host, HostName};
use crate::ipc::observation::ResolverSeen;
use crate::ipc::{LookupFailure, MOST_CONNECTIONS};
use crate::plan::{Destination, OwnAddresses, Plan, Purpose, Relay};
use gather::{Patience, gather};

mod gather;

/// A server to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchanger {
    /// Its name; none for an address literal.
    pub(super) name: Option<HostName>,
    /// What it was found by: the domain, and the end of its secure alias; or what a control file calls it.
    pub(super) found_by: Vec<HostName>,
    /// Where it may be reached, IPv6 and IPv4 in turn. None: it is there, and could not be looked up now.
    pub(super) addresses: Vec<IpAddr>,
    /// It has more than these.
    pub(super) has_more: bool,
    /// Whether its name can be trusted.
    pub(super) status: NameStatus,
    /// What its TLSA records demand.
    pub(super) dane: Dane,
}

impl Exchanger {
    /// Whether a message could go there, as far as DNS says.
    fn can_be_used(&self) -> bool {
        !self.addresses.is_empty() && self.dane != Dane::Unknown
    }

    /// One that might have taken the message, and could not be looked up.
    fn unreached(name: HostName) -> Exchanger {
        let (status, dane) = (NameStatus::Insecure, Dane::Unknown);
        Exchanger {
            name: Some(name),
            found_by: Vec::new(),
            addresses: Vec::new(),
            has_more: false,
            status,
            dane,
        }
    }
}

/// No more exchangers of one domain are looked up, nor addresses of one exchanger used: the best ones. What is cut
/// off counts as not reached.
const MOST_EXCHANGERS: usize = 100;
const MOST_ADDRESSES: usize = 16;
const _: () =
    assert!(2 * MOST_EXCHANGERS * MOST_ADDRESSES <= MOST_CONNECTIONS, "the monitor would end the delivery");

/// The exchangers, best first. Those that were not waited for are looked up once all before them have been tried.
pub(super) struct Exchangers<'a> {
    plan: &'a Plan,
    known: std::vec::IntoIter<Exchanger>,
    later: Vec<HostName>,
}

/// What look-ups came to.
struct Found {
    exchangers: Vec<Exchanger>,
    /// Those that were not waited for, and all that are no better: any of them may be this machine.
    later: Vec<HostName>,
}

impl From<Vec<Exchanger>> for Found {
    fn from(exchangers: Vec<Exchanger>) -> Found {
        Found { exchangers, later: Vec::new() }
    }
}

/// Finds the exchangers.
pub(super) fn find(plan: &Plan) -> Result<Exchangers<'_>, LookupFailure> {
    let patience = match plan.purpose {
        Purpose::Deliver => Patience::ForTheBest,
        Purpose::Probe => Patience::ForAll,
    };
    let Found { exchangers, later } = look_up(plan, patience)?;
    Ok(Exchangers { plan, known: exchangers.into_iter(), later })
}

impl Exchangers<'_> {
    /// Those that are known and not tried yet.
    pub(super) fn known(&self) -> &[Exchanger] {
        self.known.as_slice()
    }
}

impl Iterator for Exchangers<'_> {
    type Item = Exchanger;

    fn next(&mut self) -> Option<Exchanger> {
        let next = self.known.next();
        if next.is_some() || self.later.is_empty() {
            return next;
        }
        let later = std::mem::take(&mut self.later);
        let is_new = |exchanger: &Exchanger| exchanger.name.as_ref().is_some_and(|name| later.contains(name));
        let found = match look_up(self.plan, Patience::ForAll) {
            Ok(Found { mut exchangers, .. }) => {
                exchangers.retain(is_new);
                exchangers
            }
            Err(_) => later.into_iter().map(Exchanger::unreached).collect(),
        };
        self.known = found.into_iter();
        self.known.next()
    }
}

fn look_up(plan: &Plan, patience: Patience) -> Result<Found, LookupFailure> {
    let found = match &plan.destination {
        Destination::Relay(Relay { host: Host::Address(address), .. }) => {
            return Ok(vec![at(*address)].into());
        }
        Destination::Literal(address, own) if own.contain(*address) => {
            return Err(LookupFailure::OnlyOurselves);
        }
        Destination::Literal(address, _) => return Ok(vec![at(*address)].into()),
        Destination::Relay(Relay { host: Host::Name(relay), .. }) => in_event_loop(plan, async |asking| {
            let search =
                Search { status: NameStatus::Secure, found_by: vec![relay.clone()], asking, patience };
            let candidates = search.candidates(vec![(0, relay.clone())]).await;
            // What the administrator wrote is not the recipient's fault: never a bounce.
            Ok(candidates.map_err(|_| LookupFailure::Temporary)?.in_order())
        }),
        Destination::Exchangers(domain, own) => in_event_loop(plan, async |asking| {
            let names = timeout_at(asking.deadline, names_of(&asking.resolver, domain)).await;
            let (status, found_by, names) = names.unwrap_or(Err(LookupFailure::Temporary))?;
            let search = Search { status, found_by, asking, patience };
            Ok(search.candidates(names).await?.better_than_own(own, &plan.helo)?.in_order())
        }),
    };
    found.unwrap_or(Err(LookupFailure::Temporary))
}

/// An address has no TLSA records.
fn at(address: IpAddr) -> Exchanger {
    let (status, dane) = (NameStatus::Secure, Dane::NotAsked);
    Exchanger { name: None, found_by: Vec::new(), addresses: vec![address], has_more: false, status, dane }
}

/// Whom to ask, for what, and how long.
#[derive(Clone)]
struct Asking {
    resolver: Resolver,
    /// The port to ask TLSA records for; none when the rule asks for none.
    tlsa_port: Option<u16>,
    /// Of all look-ups together.
    deadline: Instant,
}

/// What all exchangers of a delivery have in common while they are looked up.
#[derive(Clone)]
struct Search {
    status: NameStatus,
    found_by: Vec<HostName>,
    asking: Asking,
    patience: Patience,
}

impl Search {
    fn exchanger(&self, name: HostName, addresses: Vec<IpAddr>, dane: Dane) -> Exchanger {
        let Search { status, found_by, .. } = self.clone();
        Exchanger { name: Some(name), found_by, addresses, has_more: false, status, dane }
    }
}

/// Runs look-ups in an event loop that is gone afterwards. None: the system has no means for them.
fn in_event_loop<T>(plan: &Plan, lookups: impl AsyncFnOnce(Asking) -> T) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().ok()?;
    runtime.block_on(async {
        let resolver = Resolver::new(&plan.resolvers)?;
        let tlsa_port = plan.tls.tlsa.then_some(plan.port);
        let deadline = Instant::now().checked_add(plan.timeouts.dns)?;
        Some(lookups(Asking { resolver, tlsa_port, deadline }).await)
    })
}

/// Asks the resolvers whether they validate; none when the deadline has passed.
pub(super) fn ask_for_validation(plan: &Plan) -> Option<ResolverSeen> {
    in_event_loop(plan, async |asking| timeout_at(asking.deadline, asking.resolver.validates()).await.ok())?
}

/// Exchangers with their preferences, lower is better.
type Names = Vec<(u16, HostName)>;

/// The names of a domain's exchangers, whether they can be trusted, and what they were found by.
async fn names_of(
    resolver: &Resolver,
    domain: &HostName,
) -> Result<(NameStatus, Vec<HostName>, Names), LookupFailure> {
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
    Ok((status, found_by, names))
}

/// By preference, equal ones in random order (RFC 5321 section 5.1). A null MX counts only when it is the
/// only record (RFC 7505 section 3).
fn order(mut records: Vec<Mx>) -> Result<Names, LookupFailure> {
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

impl Search {
    /// Asks for all addresses. Exchangers that have none are passed over; those whose look-up failed or did not come to
    /// its end stay, without addresses, because they might have taken the message.
    async fn candidates(&self, mut names: Names) -> Result<Candidates, LookupFailure> {
        let left_out = names.split_off(names.len().min(MOST_EXCHANGERS));
        let lookups =
            names.iter().map(|(preference, name)| (*preference, candidate(self.clone(), name.clone())));
        let can_be_used = |found: &Option<Exchanger>| found.as_ref().is_some_and(Exchanger::can_be_used);
        let found = gather(lookups.collect(), can_be_used, self.asking.deadline, self.patience).await;
        let is_in_time = Instant::now() < self.asking.deadline;
        let is_open = |found: &Option<_>| is_in_time && found.is_none();
        let first_open =
            names.iter().zip(&found).find(|(_, found)| is_open(found)).map(|((first, _), _)| *first);
        let mut candidates = Candidates::default();
        for ((preference, name), found) in names.into_iter().zip(found) {
            if first_open.is_some_and(|first| preference >= first) {
                candidates.later.push(name);
            } else {
                let exchanger = found.unwrap_or_else(|| Some(Exchanger::unreached(name)));
                candidates.known.extend(exchanger.map(|exchanger| (preference, exchanger)));
            }
        }
        let unreached =
            left_out.into_iter().map(|(preference, name)| (preference, Exchanger::unreached(name)));
        candidates.known.extend(unreached);
        if candidates.known.is_empty() {
            return Err(LookupFailure::NoAddress);
        }
        match candidates.known.iter().all(|(_, exchanger)| exchanger.addresses.is_empty()) {
            true => Err(LookupFailure::Temporary),
            false => Ok(candidates),
        }
    }
}

/// One exchanger; none when it has no address.
async fn candidate(search: Search, name: HostName) -> Option<Exchanger> {
    let Asking { resolver, tlsa_port, .. } = &search.asking;
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
    let dane = match tlsa_port {
        Some(port) => dane::of_exchanger(resolver, &name, search.status, [&v6, &v4], *port).await,
        None => Dane::NotAsked,
    };
    Some(search.exchanger(name, interleave(addresses), dane))
}

/// An exchanger and its preference, lower is better.
type Candidate = (u16, Exchanger);

/// All that may be tried.
#[derive(Default)]
struct Candidates {
    known: Vec<Candidate>,
    /// Those that were not waited for, and all that are no better than the best of them.
    later: Vec<HostName>,
}

impl Candidates {
    /// Mail that is handed down from a better exchanger must not be handed back up: only exchangers strictly
    /// better than this machine stay (RFC 5321 section 5.1). Where the addresses of one that is called as we are cannot be
    /// had now, it may be this machine.
    fn better_than_own(
        mut self,
        own: &OwnAddresses,
        our_name: &HeloName,
    ) -> Result<Candidates, LookupFailure> {
        let is_ours = |exchanger: &Exchanger| exchanger.addresses.iter().any(|&address| own.contain(address));
        let may_be_ours = |exchanger: &Exchanger| {
            exchanger.addresses.is_empty() && exchanger.name.as_ref().is_some_and(|name| our_name.is(name))
        };
        let best = |is_one: &dyn Fn(&Exchanger) -> bool| {
            let ones = self.known.iter().filter(|(_, exchanger)| is_one(exchanger));
            ones.map(|&(preference, _)| preference).min()
        };
        let (ours, perhaps) = (best(&is_ours), best(&may_be_ours));
        let Some(limit) = ours.into_iter().chain(perhaps).min() else { return Ok(self) };
        self.known.retain(|&(preference, _)| preference < limit);
        self.later.clear();
        match self.known.is_empty() {
            true if ours == Some(limit) => Err(LookupFailure::OnlyOurselves),
            true => Err(LookupFailure::Temporary),
            false => Ok(self),
        }
    }

    fn in_order(self) -> Found {
        let mut exchangers: Vec<_> = self.known.into_iter().map(|(_, exchanger)| exchanger).collect();
        for exchanger in &mut exchangers {
            exchanger.has_more = exchanger.addresses.len() > MOST_ADDRESSES;
            exchanger.addresses.truncate(MOST_ADDRESSES);
        }
        Found { exchangers, later: self.later }
    }
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
        let our_name = HeloName::parse(b"here.test").unwrap();
        let unknown = (20, Exchanger::unreached(HostName::parse(b"here.test").unwrap()));
        let better = |known: &[&Candidate]| {
            let later = vec![HostName::parse(b"later.test").unwrap()];
            let known = known.iter().map(|&candidate| candidate.clone()).collect();
            let better = Candidates { known, later }.better_than_own(&own, &our_name)?;
            Ok((better.known, better.later.len()))
        };
        // What comes later is no better than what is known.
        assert_eq!(better(&[&a, &b, &c]), Ok((vec![a.clone()], 0)));
        assert_eq!(better(&[&c, &b]), Err(LookupFailure::OnlyOurselves));
        assert_eq!(better(&[&a, &c]), Ok((vec![a.clone(), c.clone()], 1)));
        assert_eq!(better(&[&a, &c, &unknown]), Ok((vec![a], 0)));
        assert_eq!(better(&[&c, &unknown]), Err(LookupFailure::Temporary));
        assert_eq!(better(&[&b, &unknown]), Err(LookupFailure::OnlyOurselves));
    }

    #[test]
    fn addresses_that_are_cut_off_are_not_forgotten() {
        let in_order = |count: u8| {
            let addresses = (1..=count).map(|last| [192, 0, 2, last].into()).collect();
            let name = HostName::parse(b"mx.test").unwrap();
            let exchanger = Exchanger { addresses, ..Exchanger::unreached(name) };
            let known = vec![(10, exchanger), (20, at([192, 0, 2, 100].into()))];
            let found = Candidates { known, later: Vec::new() }.in_order();
            found.exchangers.iter().map(|it| (it.addresses.len(), it.has_more)).collect::<Vec<_>>()
        };
        assert_eq!(in_order(16), [(16, false), (1, false)]);
        assert_eq!(in_order(17), [(16, true), (1, false)]);
    }

    #[test]
    fn families_take_turns() {
        let parse =
            |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|text| text.parse().unwrap()).collect() };
        let mixed = parse(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"]);
        assert_eq!(interleave(mixed), parse(&["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]));
    }
}
