//! The facts of a double's world: what happens to whom, and when Vonage can tell it.

use crate::event::time::Time;
use crate::provider::double::dice;
use crate::provider::double::world::{Fact, HOUR_MS, World};

/// How much later Vonage learns of a late row, at least and at most.
const LATE_MS: (i64, i64) = (10 * 60_000, 90 * 60_000);

/// A price that came later is told so long after the row was first.
const AMENDED_AFTER_MS: i64 = 2 * HOUR_MS;

/// A call lasts so long at most, and is ringing for so long.
const LONGEST_TALK_S: u64 = 600;
pub(super) const RING_MS: i64 = 8_000;

/// A message reaches its handset after so long, at most.
const LONGEST_WAY_MS: u64 = 30_000;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    MessageOut,
    MessageIn,
    SmsOut,
    SmsIn,
    Call,
    Verification,
}

/// Every sort, and of how many of a hundred facts it is.
const SORTS: [(Sort, u64); 6] = [
    (Sort::MessageOut, 35),
    (Sort::MessageIn, 15),
    (Sort::SmsOut, 15),
    (Sort::SmsIn, 10),
    (Sort::Call, 20),
    (Sort::Verification, 5),
];

impl Sort {
    /// Vonage's product.
    pub(super) fn product(self) -> &'static str {
        match self {
            Self::MessageOut | Self::MessageIn => "MESSAGES",
            Self::SmsOut | Self::SmsIn => "SMS",
            Self::Call => "VOICE-CALL",
            Self::Verification => "VERIFY-API",
        }
    }

    /// Which way it went, where that has two.
    pub(super) fn direction(self) -> &'static str {
        match self {
            Self::MessageIn | Self::SmsIn => "inbound",
            Self::MessageOut | Self::SmsOut | Self::Call | Self::Verification => "outbound",
        }
    }

    /// Whether a webhook tells it at all.
    pub(super) fn has_webhook(self) -> bool {
        self != Self::Verification
    }
}

/// All facts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traffic {
    world: World,
}

/// One fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) number: u64,
    pub(super) account: u32,
    pub(super) sort: Sort,
    /// When it was received or began: the time that filters go by.
    pub(super) at_ms: i64,
    /// When it was over.
    pub(super) over_ms: i64,
    /// When Vonage can tell it.
    pub(super) learnt_ms: i64,
    /// Whether it went well.
    pub(super) is_good: bool,
    /// From when on its row has a price, where that came late.
    pub(super) priced_ms: Option<i64>,
}

impl Traffic {
    pub(super) fn new(world: World) -> Self {
        Self { world }
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// The key of an account.
    pub(super) fn account(&self, account: u32) -> String {
        dice::uuid(self.world.seed, account.into(), "account").chars().take(8).collect()
    }

    /// The account whose key it is.
    pub(super) fn account_of(&self, key: &str) -> Option<u32> {
        (0..self.world.accounts.max(1)).find(|account| self.account(*account) == key)
    }

    /// Facts whose time lies between two moments, in order.
    pub(super) fn items(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = Item> + use<> {
        let traffic = *self;
        // A world's moments have milliseconds, and Vonage's times have none.
        let facts = self.world.facts(from_ms, to_ms.saturating_add(1000));
        facts.map(move |fact| traffic.item(fact)).filter(move |item| (from_ms..to_ms).contains(&item.at_ms))
    }

    pub(super) fn by_number(&self, number: u64) -> Item {
        self.item(self.world.fact(number))
    }

    fn item(&self, fact: Fact) -> Item {
        let Fact { number, at_ms } = fact;
        let at_ms = at_ms - at_ms.rem_euclid(1000);
        let sort = self.sort(number);
        let is_good = !self.world.throw(number, "failure").hits(10);
        let over_ms = at_ms + self.lasts_ms(number, sort, is_good);
        let is_late = self.world.throw(number, "late row").hits(self.world.fates.late_records_percent);
        let late_ms = if is_late { self.between_ms(number) } else { 0 };
        let learnt_ms = over_ms + late_ms;
        let is_amended = self.world.throw(number, "amend").hits(self.world.fates.amend_percent);
        let priced_ms = is_amended.then_some(learnt_ms + AMENDED_AFTER_MS);
        Item { number, account: self.world.account(number), sort, at_ms, over_ms, learnt_ms, is_good, priced_ms }
    }

    fn sort(&self, number: u64) -> Sort {
        let mut left = self.world.throw(number, "sort").below(100);
        for (sort, share) in SORTS {
            if left < share {
                return sort;
            }
            left -= share;
        }
        Sort::Verification
    }

    fn lasts_ms(&self, number: u64, sort: Sort, is_good: bool) -> i64 {
        let throw = self.world.throw(number, "length");
        let seconds = match sort {
            Sort::MessageIn | Sort::SmsIn | Sort::Verification => 0,
            Sort::MessageOut | Sort::SmsOut => 1 + throw.below(LONGEST_WAY_MS / 1000),
            Sort::Call if is_good => 1 + throw.below(LONGEST_TALK_S),
            Sort::Call => 0,
        };
        let ring_ms = if sort == Sort::Call { RING_MS } else { 0 };
        i64::try_from(seconds).unwrap_or(0) * 1000 + ring_ms
    }

    fn between_ms(&self, number: u64) -> i64 {
        let (least, most) = LATE_MS;
        least.saturating_add_unsigned(self.world.throw(number, "lateness").below(most.abs_diff(least)))
    }

    /// The id of what happened, dashed.
    pub(super) fn id(&self, item: &Item) -> String {
        dice::uuid(self.world.seed, item.number, item.sort.product())
    }

    /// A number that is reserved for fiction.
    pub(super) fn customer(&self, item: &Item) -> String {
        format!("4477009{:05}", self.world.throw(item.number, "customer").below(1000))
    }

    /// How long a call was talked, in seconds.
    pub(super) fn talk_s(item: &Item) -> i64 {
        (item.over_ms - item.at_ms - RING_MS).max(0) / 1000
    }
}

/// A moment that can be printed; those of a world can.
pub(super) fn time(moment_ms: i64) -> Time {
    Time::from_unix_ms(moment_ms).unwrap_or(Time::EPOCH)
}
