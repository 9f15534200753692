//! How long each of several exchangers is waited for. Network child.
//!
//! Whose name servers are silent decides how long a look-up takes: an exchanger that is not needed must not hold up the
//! delivery to one that is there.
#![forbid(unsafe_code)]

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// How many are looked up at once: two questions each, and descriptors are few.
const AT_ONCE: usize = 16;
/// How much longer than the best exchangers the others are waited for: a question that got lost is asked again within it,
/// and who answers nothing by then is seldom heard at all.
const GRACE: Duration = Duration::from_secs(3);

/// Whether all exchangers are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// The best until one can be used and its equals are known, the others a moment longer.
    ForTheBest,
    /// All of them, as long as look-ups may take.
    ForAll,
}

/// What the look-ups came to, in their order; none where nothing had come in time. `lookups` begin with the best
/// preference, and `can_be_used` says of a result whether a message could go there.
pub(super) async fn gather<T: Send + 'static>(
    lookups: Vec<(u16, impl Future<Output = T> + Send + 'static)>,
    can_be_used: impl Fn(&T) -> bool,
    deadline: Instant,
    patience: Patience,
) -> Vec<Option<T>> {
    let preferences: Vec<u16> = lookups.iter().map(|(preference, _)| *preference).collect();
    let mut found: Vec<Option<T>> = preferences.iter().map(|_| None).collect();
    let mut waiting = lookups.into_iter().enumerate();
    let mut running = JoinSet::new();
    let mut until = deadline;
    loop {
        while running.len() < AT_ONCE
            && let Some((index, (_, lookup))) = waiting.next()
        {
            running.spawn(async move { (index, lookup.await) });
        }
        match timeout_at(until, running.join_next()).await {
            Ok(Some(Ok((index, result)))) => {
                if let Some(place) = found.get_mut(index) {
                    *place = Some(result);
                }
            }
            Ok(Some(Err(_))) => {}
            Ok(None) | Err(_) => return found,
        }
        let is_impatient = patience == Patience::ForTheBest && until == deadline;
        if is_impatient && best_are_known(&preferences, &found, &can_be_used) {
            until = deadline.min(Instant::now().checked_add(GRACE).unwrap_or(deadline));
        }
    }
}

/// Whether one can be used, and none that is as good or better is still unknown.
fn best_are_known<T>(preferences: &[u16], found: &[Option<T>], can_be_used: impl Fn(&T) -> bool) -> bool {
    let mut results = preferences.iter().zip(found);
    let usable = results.clone().find(|(_, result)| result.as_ref().is_some_and(&can_be_used));
    usable.is_some_and(|(best, _)| {
        results.by_ref().take_while(|(preference, _)| *preference <= best).all(|(_, result)| result.is_some())
    })
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use super::*;

    type Lookup = Pin<Box<dyn Future<Output = bool> + Send>>;

    /// At once: one that can be used (`+`) or cannot (`-`); after others have had their turn (`~`); never (`.`).
    fn lookup(letter: char) -> Lookup {
        match letter {
            '+' => Box::pin(std::future::ready(true)),
            '-' => Box::pin(std::future::ready(false)),
            '~' => Box::pin(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                true
            }),
            _ => Box::pin(std::future::pending()),
        }
    }

    /// `10+ 20.` and so on; what was found has its letter, what was not is `.`.
    fn gathered(text: &str, patience: Patience, limit: Duration) -> String {
        let split = |word: &str| {
            let (preference, letter) = word.split_at(2);
            (preference.parse::<u16>().unwrap(), letter.chars().next().unwrap())
        };
        let words: Vec<_> = text.split(' ').map(split).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let found = runtime.block_on(async {
            let lookups = words.iter().map(|&(preference, letter)| (preference, lookup(letter))).collect();
            let deadline = Instant::now().checked_add(limit).unwrap();
            gather(lookups, |usable| *usable, deadline, patience).await
        });
        let seen = |result| match result {
            Some(true) => '+',
            Some(false) => '-',
            None => '.',
        };
        found.into_iter().map(seen).collect()
    }

    /// Whoever waits as long as this for what never comes is ended by the test runner.
    const WITHOUT_END: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(100);

    #[test]
    fn the_others_are_not_waited_for_once_the_best_are_known() {
        let rows = [
            ("10+ 20. 30.", "+.."),
            ("10~ 20. 30+", "+.+"),
            ("10- 20+ 20- 30.", "-+-."),
            ("10+ 20. 20~ 30~", "+.++"),
        ];
        // Side by side: each takes as long as the others are waited for.
        let threads = rows.map(|(lookups, expected)| {
            std::thread::spawn(move || {
                assert_eq!(gathered(lookups, Patience::ForTheBest, WITHOUT_END), expected, "{lookups}");
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn what_the_deadline_finds_is_used() {
        for (lookups, expected) in
            [("10. 20+ 30-", ".+-"), ("10+ 10. 20+", "+.+"), ("10. 20.", ".."), ("10- 20. 30+", "-.+")]
        {
            assert_eq!(gathered(lookups, Patience::ForTheBest, SHORT), expected, "{lookups}");
        }
        assert_eq!(gathered("10+ 20. 30+", Patience::ForAll, SHORT), "+.+");
    }

    #[test]
    fn the_best_are_those_that_one_can_be_used_of_and_its_equals() {
        let known = |found: &[Option<bool>]| best_are_known(&[10, 20, 20, 30], found, |usable| *usable);
        let (yes, no, open) = (Some(true), Some(false), None);
        for found in [[yes, open, open, open], [no, yes, no, open], [no, no, yes, open], [no, no, no, yes]] {
            assert!(known(&found), "{found:?}");
        }
        for found in [
            [open, yes, yes, yes],
            [no, yes, open, yes],
            [no, open, yes, open],
            [no, no, no, open],
            [no, no, no, no],
            [open; 4],
        ] {
            assert!(!known(&found), "{found:?}");
        }
    }

    #[test]
    fn silent_ones_leave_no_room_and_the_rest_is_not_found() {
        let silent = "10. ".repeat(AT_ONCE);
        assert_eq!(gathered(&format!("{silent}20+"), Patience::ForAll, SHORT), ".".repeat(AT_ONCE + 1));
        let quick = "20+ ".repeat(3 * AT_ONCE);
        let expected = "+".repeat(3 * AT_ONCE + 1);
        assert_eq!(gathered(&format!("10+ {}", quick.trim()), Patience::ForTheBest, WITHOUT_END), expected);
    }
}
