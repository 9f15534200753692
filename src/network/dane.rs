//! DANE for SMTP (RFC 7672): what the TLSA records of an exchanger demand, decided before it is connected to.
//!
//! Network child. What DNSSEC does not vouch for demands nothing and allows nothing; an answer that cannot be had is
//! never "no records".
#![forbid(unsafe_code)]

use super::dns::{Answer, Lookup, Owner, Resolver, TlsaRecord};
use crate::host::HostName;

/// What is known about one exchanger's TLSA records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dane {
    /// The rule of `tlsdestinations` does not have them asked for; or there is no name that they could stand under.
    NotAsked,
    /// Name or addresses are not secure: nothing is asked, and TLS goes by the rule.
    Insecure,
    /// There are none, or none that are secure: TLS goes by the rule.
    Absent,
    /// There are records, secure and usable: TLS, and one of them must match.
    Match {
        /// The name they stand under.
        base: HostName,
        /// At least one.
        records: Vec<TlsaRecord>,
    },
    /// There are records, and none can be used: TLS, without proof (RFC 7672 section 2.2).
    Encrypt {
        /// The name they stand under.
        base: HostName,
        /// To be shown.
        records: Vec<TlsaRecord>,
    },
    /// Nobody can say whether there are records: the exchanger is not used (RFC 7672 section 2.2.1).
    Unknown,
}

/// Whether DNSSEC vouches for the name of the exchanger, or a control file gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameStatus {
    Secure,
    Insecure,
}

/// What DNSSEC says about the exchanger's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressStatus {
    /// Those of one family at least are secure.
    Secure,
    /// They are not, but the name is an alias, and that is secure.
    SecureAlias,
    /// Nothing is. Where those of one family could not be had: all addresses of a name stand in one zone, and that zone is
    /// unsigned. A forger can make an answer fail, and cannot make one of a signed zone insecure.
    Insecure,
    /// They are not, the name is an alias, and nobody can say whether that is secure.
    Unknown,
}

/// How the question for TLSA records was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TlsaAnswer {
    /// Secure records under this name.
    Secure(HostName, Vec<TlsaRecord>),
    /// There are none, or what there is is insecure.
    Absent,
    /// No answer: SERVFAIL, bogus, refused, timeout.
    Failed,
}

/// What is known before TLSA records are asked for; none: they are to be asked for. Never where the zone is unsigned,
/// since many name servers there break when asked (RFC 7672 section 2.2.2).
pub(super) fn without_asking(name: NameStatus, address: AddressStatus) -> Option<Dane> {
    match (name, address) {
        (NameStatus::Secure, AddressStatus::Secure | AddressStatus::SecureAlias) => None,
        (NameStatus::Secure, AddressStatus::Unknown) => Some(Dane::Unknown),
        (NameStatus::Insecure, _) | (NameStatus::Secure, AddressStatus::Insecure) => Some(Dane::Insecure),
    }
}

/// What follows from the answer.
pub(super) fn decide(tlsa: TlsaAnswer) -> Dane {
    match tlsa {
        TlsaAnswer::Absent => Dane::Absent,
        TlsaAnswer::Failed => Dane::Unknown,
        TlsaAnswer::Secure(base, records) => {
            // All of them: OpenSSL alone can tell which whole certificates and keys (matching type 0) are none, and those
            // must not stand in for others. An answer of DNS has 64 KiB, so 4095 records at most.
            let (usable, rest): (Vec<_>, Vec<_>) = records.into_iter().partition(is_usable);
            match usable.is_empty() {
                true => Dane::Encrypt { base, records: rest },
                false => Dane::Match { base, records: usable },
            }
        }
    }
}

/// Usages 2 and 3 (RFC 7672 section 3.1.3), selectors and matching types that exist, digests of the right length.
fn is_usable(record: &TlsaRecord) -> bool {
    matches!(record.usage, 2 | 3)
        && matches!(record.selector, 0 | 1)
        && match record.matching {
            0 => !record.data.is_empty(),
            1 => record.data.len() == 32,
            2 => record.data.len() == 64,
            _ => false,
        }
}

/// Asks for what `decide` needs: the exchanger's addresses are known, its TLSA records are looked up.
pub(super) async fn of_exchanger<T>(
    resolver: &Resolver,
    exchanger: &HostName,
    name: NameStatus,
    addresses: [&Lookup<T>; 2],
    port: u16,
) -> Dane {
    let (address, canonical) = match address_status(name, addresses) {
        Some(known) => known,
        None => (status_of_alias(&resolver.alias(exchanger).await), None),
    };
    if let Some(known) = without_asking(name, address) {
        return known;
    }
    // RFC 7671 section 7: the end of the chain of aliases first, when all of it is secure.
    if let Some(canonical) = canonical {
        match look_up(resolver, canonical, port).await {
            TlsaAnswer::Absent => {}
            answer @ (TlsaAnswer::Secure(..) | TlsaAnswer::Failed) => return decide(answer),
        }
    }
    decide(look_up(resolver, exchanger.clone(), port).await)
}

/// The status of the addresses, and the end of the chain of aliases when that is secure; none: the alias itself is to be
/// asked for.
fn address_status<T>(
    name: NameStatus,
    addresses: [&Lookup<T>; 2],
) -> Option<(AddressStatus, Option<HostName>)> {
    let mut is_alias = false;
    for lookup in addresses {
        match lookup {
            Lookup::Found(Answer::Secure(_), Owner::Target(end)) => {
                return Some((AddressStatus::Secure, Some(end.clone())));
            }
            Lookup::Found(Answer::Secure(_), Owner::Itself | Owner::OddTarget) => {
                return Some((AddressStatus::Secure, None));
            }
            Lookup::Found(Answer::Insecure(_), owner) => is_alias |= *owner != Owner::Itself,
            Lookup::NoData | Lookup::NoName | Lookup::Failed => {}
        }
    }
    let is_known = name == NameStatus::Insecure || !is_alias;
    is_known.then_some((AddressStatus::Insecure, None))
}

/// The status of insecure addresses behind an alias.
fn status_of_alias(alias: &Lookup<HostName>) -> AddressStatus {
    match alias {
        Lookup::Found(Answer::Secure(_), _) => AddressStatus::SecureAlias,
        Lookup::Found(Answer::Insecure(_), _) | Lookup::NoData | Lookup::NoName => AddressStatus::Insecure,
        Lookup::Failed => AddressStatus::Unknown,
    }
}

async fn look_up(resolver: &Resolver, base: HostName, port: u16) -> TlsaAnswer {
    match resolver.tlsa(port, &base).await {
        Lookup::Found(Answer::Secure(records), _) => TlsaAnswer::Secure(base, records),
        Lookup::Found(Answer::Insecure(_), _) | Lookup::NoData | Lookup::NoName => TlsaAnswer::Absent,
        Lookup::Failed => TlsaAnswer::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> HostName {
        HostName::parse(b"mx.example.test").unwrap()
    }

    fn record(usage: u8, selector: u8, matching: u8, length: usize) -> TlsaRecord {
        TlsaRecord { usage, selector, matching, data: vec![0xab; length] }
    }

    #[test]
    fn an_insecure_exchanger_is_not_asked_for_tlsa() {
        use AddressStatus::{Insecure, Secure, SecureAlias, Unknown};
        for address in [Secure, SecureAlias, Insecure, Unknown] {
            assert_eq!(without_asking(NameStatus::Insecure, address), Some(Dane::Insecure));
        }
    }

    #[test]
    fn a_secure_exchanger_with_insecure_addresses_is_not_asked_for_tlsa() {
        assert_eq!(without_asking(NameStatus::Secure, AddressStatus::Insecure), Some(Dane::Insecure));
    }

    #[test]
    fn a_secure_exchanger_with_secure_addresses_or_a_secure_alias_is_asked() {
        assert_eq!(without_asking(NameStatus::Secure, AddressStatus::Secure), None);
        assert_eq!(without_asking(NameStatus::Secure, AddressStatus::SecureAlias), None);
    }

    /// The addresses of one family, of no matter what value.
    fn found(answer: fn(Vec<u8>) -> Answer<Vec<u8>>, owner: Owner) -> Lookup<u8> {
        Lookup::Found(answer(Vec::new()), owner)
    }

    #[test]
    fn the_alias_of_insecure_addresses_is_asked_for_where_the_name_is_secure() {
        let (itself, alias) =
            (found(Answer::Insecure, Owner::Itself), found(Answer::Insecure, Owner::OddTarget));
        let target = found(Answer::Insecure, Owner::Target(base()));
        let insecure = Some((AddressStatus::Insecure, None));
        for (addresses, known) in [
            ([&alias, &alias], None),
            ([&alias, &Lookup::NoData], None),
            ([&Lookup::Failed, &alias], None),
            ([&alias, &itself], None),
            ([&target, &Lookup::NoName], None),
            ([&itself, &itself], insecure.clone()),
            ([&itself, &Lookup::NoData], insecure.clone()),
            ([&Lookup::NoData, &Lookup::Failed], insecure.clone()),
        ] {
            assert_eq!(address_status(NameStatus::Secure, addresses), known, "{addresses:?}");
            assert_eq!(address_status(NameStatus::Insecure, addresses), insecure, "{addresses:?}");
        }
    }

    #[test]
    fn secure_addresses_of_either_family_are_enough() {
        let (secure, insecure) =
            (found(Answer::Secure, Owner::Itself), found(Answer::Insecure, Owner::Itself));
        let odd = found(Answer::Secure, Owner::OddTarget);
        let target = found(Answer::Secure, Owner::Target(base()));
        for (addresses, canonical) in [
            ([&secure, &Lookup::NoData], None),
            ([&insecure, &secure], None),
            ([&Lookup::NoName, &odd], None),
            ([&target, &secure], Some(base())),
            ([&Lookup::Failed, &target], Some(base())),
        ] {
            let known = Some((AddressStatus::Secure, canonical));
            assert_eq!(address_status(NameStatus::Secure, addresses), known, "{addresses:?}");
        }
    }

    #[test]
    fn an_alias_that_cannot_be_looked_up_is_not_an_insecure_one() {
        assert_eq!(status_of_alias(&Lookup::Failed), AddressStatus::Unknown);
        assert_eq!(without_asking(NameStatus::Secure, AddressStatus::Unknown), Some(Dane::Unknown));
    }

    #[test]
    fn a_usable_record_must_match() {
        let usable = record(3, 1, 1, 32);
        let records = vec![record(1, 1, 1, 32), usable.clone()];
        let expected = Dane::Match { base: base(), records: vec![usable] };
        assert_eq!(decide(TlsaAnswer::Secure(base(), records)), expected);
    }

    #[test]
    fn records_of_which_none_is_usable_demand_encryption() {
        for unusable in [
            record(0, 1, 1, 32),
            record(1, 1, 1, 32),
            record(4, 1, 1, 32),
            record(255, 1, 1, 32),
            record(3, 2, 1, 32),
            record(3, 1, 3, 32),
            record(3, 1, 1, 31),
            record(3, 1, 1, 33),
            record(3, 1, 2, 32),
            record(2, 0, 2, 65),
            record(3, 0, 0, 0),
        ] {
            let records = vec![unusable];
            let expected = Dane::Encrypt { base: base(), records: records.clone() };
            assert_eq!(decide(TlsaAnswer::Secure(base(), records)), expected);
        }
        let none = Dane::Encrypt { base: base(), records: Vec::new() };
        assert_eq!(decide(TlsaAnswer::Secure(base(), Vec::new())), none);
    }

    #[test]
    fn every_usable_form_is_kept() {
        for usage in [2, 3] {
            for selector in [0, 1] {
                for (matching, length) in [(0, 1), (0, 3000), (1, 32), (2, 64)] {
                    let records = vec![record(usage, selector, matching, length)];
                    let expected = Dane::Match { base: base(), records: records.clone() };
                    assert_eq!(decide(TlsaAnswer::Secure(base(), records)), expected);
                }
            }
        }
    }

    #[test]
    fn denial_leaves_the_rule() {
        assert_eq!(decide(TlsaAnswer::Absent), Dane::Absent);
    }

    #[test]
    fn no_answer_is_not_no_records() {
        assert_eq!(decide(TlsaAnswer::Failed), Dane::Unknown);
    }

    #[test]
    fn no_number_of_records_hides_another() {
        let mut many = vec![record(3, 0, 0, 1); 4094];
        many.push(record(3, 1, 1, 32));
        let expected = Dane::Match { base: base(), records: many.clone() };
        assert_eq!(decide(TlsaAnswer::Secure(base(), many)), expected);
    }
}
