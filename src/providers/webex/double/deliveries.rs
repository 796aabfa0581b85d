//! The partner's webhook: a batch every five minutes.
//!
//! The batch of a moment holds the calls that ended between ten and five minutes before, and those of which Webex has
//! learnt late. A record that is repeated comes again in a later batch, and one that is lost in none.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::simulate;
use super::calls::{Call, Calls, moment_ms, stamp, time};
use crate::event::time::Time;
use crate::provider::double::world::World;
use crate::provider::double::{Delivery, Recipient};

/// Between two batches.
const INTERVAL_MS: i64 = 5 * 60_000;

/// A late or repeated record comes so many batches later, at least 1 and at most.
const LATER: u64 = 12;

/// Batches of which the outcome is remembered: those of 31 days.
const MOST_OUTCOMES: usize = 31 * 24 * 12;

/// What is still to come, and what became of what has come.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// Calls that were reported before are planned.
    planned_ms: i64,
    /// Numbers of calls by the moment of their batch.
    waiting: BTreeMap<i64, Vec<u64>>,
    /// Whether the batch of a moment was taken.
    outcomes: BTreeMap<i64, bool>,
}

/// What becomes of the webhook of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in the batches of these moments.
    Told(Vec<i64>),
    /// It should be in one and is in none.
    Lost,
    /// By rights it is in none.
    Untold,
}

impl Deliveries {
    pub(super) fn new(world: World) -> Self {
        let (waiting, outcomes) = (BTreeMap::new(), BTreeMap::new());
        Self { planned_ms: world.since.unix_ms(), waiting, outcomes }
    }

    /// The oldest batch that is due and was not given out.
    pub(super) fn due(&mut self, calls: &Calls, shape: &str, recipient: &Recipient, now: Time) -> Option<Delivery> {
        self.plan(calls, now.unix_ms());
        let oldest = self.waiting.first_entry().filter(|batch| *batch.key() <= now.unix_ms())?;
        let (moment_ms, numbers) = oldest.remove_entry();
        Some(batch(calls, shape, recipient, moment_ms, &numbers))
    }

    /// No batch is due before its calls have been reported, so that it is enough to plan those up to now.
    fn plan(&mut self, calls: &Calls, now_ms: i64) {
        for call in calls.reported(self.planned_ms, now_ms) {
            if let Fate::Told(moments_ms) = fate(calls, &call) {
                moments_ms.iter().for_each(|moment| self.waiting.entry(*moment).or_default().push(call.number));
            }
        }
        self.planned_ms = self.planned_ms.max(now_ms);
    }

    pub(super) fn delivered(&mut self, delivery_id: u64, taken: bool) {
        if let Ok(moment_ms) = i64::try_from(delivery_id) {
            self.outcomes.insert(moment_ms, taken);
        }
        while self.outcomes.len() > MOST_OUTCOMES {
            self.outcomes.pop_first();
        }
    }

    /// The truth about a call.
    pub(super) fn fact(&self, calls: &Calls, call: &Call) -> Value {
        let (record, organisation) = (calls.record(call), calls.organisation(call.account));
        let report_id = record.get("Report ID").and_then(Value::as_str).unwrap_or_default();
        let fate = fate(calls, call);
        let due_at: Vec<String> = match &fate {
            Fate::Told(moments_ms) => moments_ms.iter().map(|moment_ms| stamp(*moment_ms)).collect(),
            Fate::Lost | Fate::Untold => Vec::new(),
        };
        json!({
            "record_id": report_id,
            "account_id": organisation,
            "key": format!("{}:{organisation}:{report_id}", super::super::INFO.name),
            "user_id": calls.user(call),
            "report_time": stamp(call.report_ms),
            "start_time": moment_ms(&record, "Start time").map(stamp),
            "learnt_at": stamp(call.learnt_ms),
            "amended_at": calls.amended_ms(call).map(stamp),
            "webhook": {"state": self.state(&fate), "due_at": due_at},
        })
    }

    fn state(&self, fate: &Fate) -> &'static str {
        let Fate::Told(moments_ms) = fate else {
            return if *fate == Fate::Lost { "lost" } else { "untold" };
        };
        let outcomes: Vec<Option<&bool>> = moments_ms.iter().map(|moment_ms| self.outcomes.get(moment_ms)).collect();
        match () {
            () if outcomes.contains(&Some(&true)) => "taken",
            () if outcomes.contains(&None) => "due",
            () => "refused",
        }
    }
}

/// What becomes of the webhook of a call, by its number alone.
pub(super) fn fate(calls: &Calls, call: &Call) -> Fate {
    let (world, number) = (calls.world(), call.number);
    if !calls.is_sold(call) {
        return Fate::Untold;
    }
    if world.throw(number, "lose").hits(world.fates.lose_percent) {
        return Fate::Lost;
    }
    let later = |decision: &str, percent: u8| {
        let intervals = world.throw(number, decision).below(LATER) + 1;
        let is_hit = world.throw(number, &format!("{decision} or not")).hits(percent);
        is_hit.then(|| INTERVAL_MS.saturating_mul(i64::try_from(intervals).unwrap_or(1)))
    };
    let moment_ms = usual_moment_ms(call) + later("late", world.fates.late_percent).unwrap_or(0);
    let again_ms = later("repeat", world.fates.repeat_percent).map(|later_ms| moment_ms + later_ms);
    Fate::Told([moment_ms].into_iter().chain(again_ms).collect())
}

/// The first batch ten minutes after the interval of the report began, or the first after Webex has learnt of it.
fn usual_moment_ms(call: &Call) -> i64 {
    let by_report_ms = (call.report_ms.div_euclid(INTERVAL_MS) + 2) * INTERVAL_MS;
    let by_knowledge_ms = (call.learnt_ms + INTERVAL_MS - 1).div_euclid(INTERVAL_MS) * INTERVAL_MS;
    by_report_ms.max(by_knowledge_ms)
}

fn batch(calls: &Calls, shape: &str, recipient: &Recipient, moment_ms: i64, numbers: &[u64]) -> Delivery {
    let records = numbers.iter().map(|number| Value::Object(calls.record(&calls.by_number(*number)))).collect();
    let body = simulate::shaped(shape, records).to_string().into_bytes();
    let due_at = time(moment_ms);
    let request = simulate::signed(&recipient.url, &recipient.secret, due_at, body);
    Delivery { id: moment_ms.unsigned_abs(), due_at, facts: numbers.len(), request }
}
