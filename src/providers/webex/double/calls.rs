//! The calls of a double's world: who has them, when Webex learns of them, and their records.

use serde_json::{Map, Value};

use super::super::simulate;
use crate::event::time::Time;
use crate::provider::double::dice;
use crate::provider::double::world::{Fact, HOUR_MS, World};
use crate::provider::simulate::Seed;

/// A record is reported so long after its call was released.
const REPORTED_AFTER_MS: i64 = 60_000;

/// Webex learns of a record so long after its report time, at least and at most; of a late one later by [`LATE_MS`].
const LEARNT_AFTER_MS: (i64, i64) = (20_000, 80_000);

/// How much later Webex learns of a late record, at least and at most.
const LATE_MS: (i64, i64) = (10 * 60_000, 90 * 60_000);

/// Long calls last so much longer than the others, at most.
const LONGER_S: i64 = 90 * 60;

/// Of a hundred answered calls.
const LONG_PERCENT: u8 = 10;

/// Longest time from the start of a call to its report: a long call, its ringing, and the shorter talk it would have had.
pub(super) const LONGEST_MS: i64 = LONGER_S * 1000 + 10 * 60_000;

/// Longest time from a report to when Webex has learnt of it.
pub(super) const LATEST_MS: i64 = LEARNT_AFTER_MS.1 + LATE_MS.1;

/// An amended record is told so long after Webex has learnt of it.
const AMENDED_AFTER_MS: i64 = 2 * HOUR_MS;

/// By how much its report time is later then.
const FRESHER_MS: i64 = 500;

/// Users of each customer.
const USERS: u64 = 5;

/// All calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calls {
    world: World,
}

/// One call, as far as it takes no record to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) account: u32,
    pub(super) report_ms: i64,
    /// When Webex can tell it.
    pub(super) learnt_ms: i64,
}

impl Calls {
    pub(super) fn new(world: World) -> Self {
        Self { world }
    }

    pub(super) fn accounts(&self) -> u32 {
        self.world.accounts.max(1)
    }

    /// The calls that are reported from one moment up to and without another, in order.
    pub(super) fn reported(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = Call> + use<> {
        let calls = *self;
        self.world.facts(from_ms, to_ms).map(move |fact| calls.call(fact))
    }

    fn call(&self, fact: Fact) -> Call {
        let Fact { number, at_ms } = fact;
        let after_ms = self.between(number, "learnt", LEARNT_AFTER_MS);
        let is_late = self.world.throw(number, "late record").hits(self.world.fates.late_records_percent);
        let late_ms = if is_late { self.between(number, "lateness", LATE_MS) } else { 0 };
        Call { number, account: self.world.account(number), report_ms: at_ms, learnt_ms: at_ms + after_ms + late_ms }
    }

    fn between(&self, number: u64, decision: &str, (least, most): (i64, i64)) -> i64 {
        least.saturating_add_unsigned(self.world.throw(number, decision).below(most.abs_diff(least)))
    }

    pub(super) fn by_number(&self, number: u64) -> Call {
        self.call(self.world.fact(number))
    }

    /// The id of a customer's organisation.
    pub(super) fn organisation(&self, account: u32) -> String {
        dice::uuid(self.world.seed, account.into(), "organisation")
    }

    /// The customer whose organisation has an id, which may be written as API ids are.
    pub(super) fn account_of(&self, id: &str) -> Option<u32> {
        let is_it = |account: &u32| {
            let organisation = self.organisation(*account);
            id.eq_ignore_ascii_case(&organisation) || id == simulate::organisation_id(&organisation)
        };
        (0..self.accounts()).find(is_it)
    }

    /// The user who had a call.
    pub(super) fn user(&self, call: &Call) -> String {
        dice::uuid(self.world.seed, self.user_number(call), "user")
    }

    fn user_number(&self, call: &Call) -> u64 {
        u64::from(call.account) * USERS + self.world.throw(call.number, "user").below(USERS)
    }

    /// Whether the partner has sold the user's licence, so that a webhook of the kind "billing" tells the call.
    pub(super) fn is_sold(&self, call: &Call) -> bool {
        let untold = self.world.fates.untold_percent;
        !dice::throw(self.world.seed, self.user_number(call), "not sold").hits(untold)
    }

    /// From when on lists tell a call otherwise than at first. The report time stays in its hour.
    pub(super) fn amended_ms(&self, call: &Call) -> Option<i64> {
        let is_amended = self.world.throw(call.number, "amend").hits(self.world.fates.amend_percent);
        let is_same_hour = call.report_ms.rem_euclid(HOUR_MS) + FRESHER_MS < HOUR_MS;
        (is_amended && is_same_hour).then_some(call.learnt_ms + AMENDED_AFTER_MS)
    }

    /// A call's record as lists tell it: an amended one has a fresher report time, and tells of a recording.
    pub(super) fn record_at(&self, call: &Call, now: Time) -> Map<String, Value> {
        let mut record = self.record(call);
        if self.amended_ms(call).is_some_and(|amended_ms| amended_ms <= now.unix_ms()) {
            record.insert("Report time".to_owned(), stamp(call.report_ms + FRESHER_MS).into());
            record.insert("Call Recording Result".to_owned(), "successful".into());
        }
        record
    }

    /// A call's record as it is told at first.
    pub(super) fn record(&self, call: &Call) -> Map<String, Value> {
        let seed = Seed {
            id: format!("double {}", self.world.seed),
            account_id: self.organisation(call.account),
            now: time(call.report_ms + REPORTED_AFTER_MS),
            index: call.number,
            records: 1,
            shape: String::new(),
        };
        let mut record = simulate::record(&seed, usize::try_from(call.number).unwrap_or(0));
        record.insert("User UUID".to_owned(), self.user(call).into());
        self.lengthen(call, &mut record);
        record
    }

    /// Makes some of the answered calls long, so that starts and reports lie in different hours.
    fn lengthen(&self, call: &Call, record: &mut Map<String, Value>) {
        let Some(talk_s) = record.get("Duration").and_then(Value::as_i64).filter(|talk_s| *talk_s > 0) else { return };
        if !self.world.throw(call.number, "long").hits(LONG_PERCENT) {
            return;
        }
        let longer_s = self.between(call.number, "length", (0, LONGER_S));
        record.insert("Duration".to_owned(), (talk_s + longer_s).into());
        for name in ["Start time", "Answer time"] {
            let earlier = moment_ms(record, name).map(|moment_ms| stamp(moment_ms - longer_s * 1000));
            record.extend(earlier.map(|earlier| (name.to_owned(), earlier.into())));
        }
    }

    /// When a call began.
    pub(super) fn start_ms(&self, call: &Call) -> i64 {
        moment_ms(&self.record(call), "Start time").unwrap_or(call.report_ms)
    }

    /// The world that decides.
    pub(super) fn world(&self) -> &World {
        &self.world
    }
}

/// A moment that a record tells.
pub(super) fn moment_ms(record: &Map<String, Value>, name: &str) -> Option<i64> {
    record.get(name).and_then(Value::as_str).and_then(Time::parse_iso).map(Time::unix_ms)
}

/// A moment that can be printed; those of a world can.
pub(super) fn time(moment_ms: i64) -> Time {
    Time::from_unix_ms(moment_ms).unwrap_or(Time::EPOCH)
}

/// A moment as Webex writes it and demands it: UTC with three digits of a second and `Z`.
pub(super) fn stamp(moment_ms: i64) -> String {
    let second = time(moment_ms - moment_ms.rem_euclid(1000)).to_string();
    format!("{}.{:03}Z", second.trim_end_matches('Z'), moment_ms.rem_euclid(1000))
}
