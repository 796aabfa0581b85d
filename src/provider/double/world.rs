//! The world of a double: which facts there are, when each of them happens, and what becomes of its webhook.
//!
//! Time is cut into as many equal slots an hour as there are facts an hour, counted since 1970. In each slot, one fact
//! happens at a moment that the seed chooses. So facts are a function of seed and time: nothing has to be kept, a
//! world of any length costs no memory, and a double that is started again tells the same facts as before.

use super::dice::{self, Throw};
use crate::event::time::Time;

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// Greatest number of facts an hour.
pub const MOST_FACTS_PER_HOUR: u32 = 1_000_000;

/// What happens, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct World {
    /// Two worlds of the same seed and numbers are equal.
    pub seed: u64,
    /// Nothing happens before.
    pub since: Time,
    /// Facts an hour, at most [`MOST_FACTS_PER_HOUR`].
    pub facts_per_hour: u32,
    /// Customers, at least one.
    pub accounts: u32,
    /// What goes wrong with webhooks.
    pub fates: Fates,
}

/// In how many of a hundred cases something goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fates {
    /// The webhook never comes.
    pub lose_percent: u8,
    /// The webhook comes twice.
    pub repeat_percent: u8,
    /// The webhook comes late.
    pub late_percent: u8,
    /// The provider itself learns of the fact late: its API and its webhook tell it later than usual.
    pub late_records_percent: u8,
    /// By rights no webhook tells it, and the API does.
    pub untold_percent: u8,
    /// The API tells it otherwise later than at first.
    pub amend_percent: u8,
}

/// One fact, of which everything else follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// Number of its slot.
    pub number: u64,
    /// When it happens, in milliseconds since 1970.
    pub at_ms: i64,
}

impl World {
    /// A world that begins with the hour that was `hours` whole hours before `now`.
    pub fn beginning(hours: u32, now: Time) -> Option<Time> {
        let hour = now.unix_ms().div_euclid(HOUR_MS) - i64::from(hours);
        Time::from_unix_ms(hour * HOUR_MS)
    }

    /// The facts from `from_ms` up to and without `to_ms`, in the order in which they happen.
    pub fn facts(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = Fact> + use<> {
        let world = *self;
        let from_ms = from_ms.max(self.since.unix_ms()).max(0);
        let last = if to_ms > from_ms { self.slot(to_ms) + 1 } else { 0 };
        let facts = (self.slot(from_ms)..last).map(move |number| world.fact(number));
        facts.filter(move |fact| (from_ms..to_ms).contains(&fact.at_ms))
    }

    /// The fact of a slot, whether it happens in this world or before it.
    pub fn fact(&self, number: u64) -> Fact {
        let (from_ms, to_ms) = (self.slot_begins_ms(number), self.slot_begins_ms(number + 1));
        let width_ms = to_ms.abs_diff(from_ms);
        let after_ms = self.throw(number, "moment").below(width_ms);
        Fact { number, at_ms: from_ms.saturating_add_unsigned(after_ms) }
    }

    /// The slot in which a moment lies; before 1970 the first one.
    fn slot(&self, at_ms: i64) -> u64 {
        let number = i128::from(at_ms) * self.rate() / i128::from(HOUR_MS);
        u64::try_from(number).unwrap_or(0)
    }

    fn slot_begins_ms(&self, number: u64) -> i64 {
        // Rounded up, so that the moment at which a slot begins lies in it.
        let begins_ms = (i128::from(number) * i128::from(HOUR_MS) + self.rate() - 1) / self.rate();
        i64::try_from(begins_ms).unwrap_or(i64::MAX)
    }

    fn rate(&self) -> i128 {
        i128::from(self.facts_per_hour.clamp(1, MOST_FACTS_PER_HOUR))
    }

    /// The customer to whom a fact happens. Some have many facts and some few, as in life.
    pub fn account(&self, number: u64) -> u32 {
        let accounts = u64::from(self.accounts.max(1));
        let account = ["account", "other account"].map(|decision| self.throw(number, decision).below(accounts));
        u32::try_from(account.into_iter().min().unwrap_or(0)).unwrap_or(0)
    }

    /// Decides something about a fact.
    pub fn throw(&self, number: u64, decision: &str) -> Throw {
        dice::throw(self.seed, number, decision)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn world(seed: u64, facts_per_hour: u32) -> World {
        let since = Time::from_unix_ms(0).unwrap();
        World { seed, since, facts_per_hour, accounts: 3, fates: Fates::default() }
    }

    proptest! {
        /// However a stretch of time is cut into pieces, it holds the same facts, in order and with moments of their own.
        #[test]
        fn facts_are_the_same_however_they_are_asked_for(
            seed: u64, rate in 1..=MOST_FACTS_PER_HOUR, from in 0..4_000_000_000_000_i64, cut in 0..=2_000_i64,
        ) {
            let world = world(seed, rate);
            let whole: Vec<Fact> = world.facts(from, from + 2_000).collect();
            let pieces: Vec<Fact> = world.facts(from, from + cut).chain(world.facts(from + cut, from + 2_000)).collect();
            prop_assert_eq!(&whole, &pieces);
            prop_assert!(whole.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
            prop_assert!(whole.iter().all(|fact| world.slot(fact.at_ms) == fact.number && world.fact(fact.number) == *fact));
            let about = i64::from(rate) * 2_000 / HOUR_MS;
            prop_assert!((i64::try_from(whole.len()).unwrap() - about).abs() <= 2);
        }
    }

    #[test]
    fn an_hour_has_as_many_facts_as_it_should_and_nothing_happens_before_the_beginning() {
        let since = World::beginning(2, Time::parse_iso("2026-02-03T12:14:26Z").unwrap()).unwrap();
        assert_eq!(since.to_string(), "2026-02-03T10:00:00Z");
        let world = World { since, ..world(1, 200) };
        let hours: Vec<usize> = (-1..3)
            .map(|hour| since.unix_ms() + hour * HOUR_MS)
            .map(|from_ms| world.facts(from_ms, from_ms + HOUR_MS).count())
            .collect();
        assert_eq!(hours, [0, 200, 200, 200]);
        assert_eq!(world.facts(HOUR_MS, 0).count(), 0);
    }

    #[test]
    fn seeds_make_other_worlds_and_every_customer_has_facts() {
        let moments = |seed| world(seed, 60).facts(0, HOUR_MS).map(|fact| fact.at_ms).collect::<Vec<_>>();
        assert_ne!(moments(1), moments(2));
        let counts = (0..3).map(|account| (0..1000).filter(|number| world(1, 60).account(*number) == account).count());
        assert!(counts.into_iter().all(|count| count > 50));
    }
}
