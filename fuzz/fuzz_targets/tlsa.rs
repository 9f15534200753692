//! A set of TLSA records: who has records gets TLS, who has usable ones must match one of them, and no answer is never
//! "no records". Records are written as usage, selector, matching type, length, data.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmail_remote::host::HostName;
use qmail_remote::network::fuzzing::{Demand, tlsa};

fuzz_target!(|data: &[u8]| {
    let base = HostName::parse(b"mx.example.test").expect("name");
    let (mut records, mut rest) = (Vec::new(), data);
    while let [usage, selector, matching, length, after @ ..] = rest {
        let (content, next) = after.split_at(usize::from(*length).min(after.len()));
        // Most of what is random is far from every usable one: one half of it is kept near.
        let near = |octet: u8, count| if octet < 128 { octet % count } else { octet };
        records.push((near(*usage, 5), near(*selector, 3), near(*matching, 4), content.to_vec()));
        rest = next;
    }
    assert_eq!(tlsa(&base, None), Demand::Refusal);
    let usable: Vec<_> = records
        .iter()
        .filter(|(usage, selector, matching, data)| {
            let fits = [!data.is_empty(), data.len() == 32, data.len() == 64];
            [2, 3].contains(usage) && *selector < 2 && fits.get(usize::from(*matching)) == Some(&true)
        })
        .cloned()
        .collect();
    match tlsa(&base, Some(&records)) {
        Demand::Encryption => assert!(usable.is_empty()),
        Demand::Match(kept) => {
            assert!(!kept.is_empty());
            assert_eq!(kept, usable);
        }
        other @ (Demand::Nothing | Demand::Refusal) => panic!("{other:?} in spite of records"),
    }
});
