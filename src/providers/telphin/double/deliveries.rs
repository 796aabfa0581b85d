//! The events of calls: each step of a call is a webhook of its own.
//!
//! What is lost of a call is all of its webhooks, or its `hangup` alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::calls::{CLIENT_ID, Call, Calls, second, time};
use crate::event::time::Time;
use crate::provider::double::world::World;
use crate::provider::double::{Delivery, Recipient};
use crate::provider::simulate::{Credentials, Encoding, Signing};
use crate::providers::telphin::simulate::sign;

const DOMAIN: &str = "sipproxy.telphin.ru";

/// Late and repeated webhooks come so much later, at most.
const LATER_MS: u64 = 60 * 60_000;

/// Webhooks of which the outcome is remembered.
const MOST_OUTCOMES: usize = 100_000;

/// A step of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Dial,
    Answer,
    Hangup,
}

/// What is still to come, and what became of what has come.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// Calls that have begun before are planned.
    planned_ms: i64,
    /// When it is due, of which call, which step, and whether it is a repetition.
    waiting: BTreeSet<(i64, u64, Step, bool)>,
    /// Whether the webhook of a number was taken.
    outcomes: BTreeMap<u64, bool>,
}

impl Deliveries {
    pub(super) fn new(world: World) -> Self {
        Self { planned_ms: world.since.unix_ms(), waiting: BTreeSet::new(), outcomes: BTreeMap::new() }
    }

    /// The oldest webhook that is due and was not given out.
    pub(super) fn due(&mut self, calls: &Calls, recipient: &Recipient, now: Time) -> Option<Delivery> {
        for call in calls.begun(self.planned_ms, now.unix_ms()) {
            self.waiting.extend(planned(calls, &call));
        }
        self.planned_ms = self.planned_ms.max(now.unix_ms());
        let (due_ms, number, step, _) = *self.waiting.first().filter(|(due_ms, ..)| *due_ms <= now.unix_ms())?;
        self.waiting.pop_first();
        Some(delivery(calls, recipient, &calls.by_number(number), step, due_ms))
    }

    pub(super) fn delivered(&mut self, delivery_id: u64, taken: bool) {
        let outcome = self.outcomes.entry(delivery_id).or_default();
        *outcome |= taken;
        while self.outcomes.len() > MOST_OUTCOMES {
            self.outcomes.pop_first();
        }
    }

    /// The truth about a call.
    pub(super) fn fact(&self, calls: &Calls, call: &Call) -> Value {
        let id = calls.id(call).to_uppercase();
        let due: Vec<String> = planned(calls, call).iter().map(|(due_ms, ..)| second(*due_ms)).collect();
        json!({
            "record_id": id,
            "account_id": CLIENT_ID.to_string(),
            "key": format!("telphin:{CLIENT_ID}:{id}"),
            "init_time": time(call.begins_ms),
            "hangup_time": time(call.ends_ms),
            "learnt_at": time(call.learnt_ms),
            "amended_at": calls.amended_ms(call).map(time),
            "recording": calls.recording(call),
            "webhook": {"state": self.state(calls, call), "lost": lost(calls, call), "due_at": due},
        })
    }

    /// What became of the webhooks of a call, the worst of them.
    fn state(&self, calls: &Calls, call: &Call) -> &'static str {
        if !lost(calls, call).is_empty() {
            return "lost";
        }
        let outcomes = steps(call).into_iter().map(|(step, _)| self.outcomes.get(&number_of(call, step)));
        let outcomes: Vec<Option<&bool>> = outcomes.collect();
        match () {
            () if outcomes.contains(&Some(&false)) => "refused",
            () if outcomes.contains(&None) => "due",
            () => "taken",
        }
    }
}

/// The steps of a call, and when they happen.
fn steps(call: &Call) -> Vec<(Step, i64)> {
    let mut steps = vec![(Step::Dial, call.begins_ms), (Step::Hangup, call.ends_ms)];
    if call.is_taken() {
        steps.insert(1, (Step::Answer, call.taken_ms));
    }
    steps
}

fn lost(calls: &Calls, call: &Call) -> Vec<&'static str> {
    let world = calls.world();
    let is_lost = world.throw(call.number, "lose").hits(world.fates.lose_percent);
    let loses_all = world.throw(call.number, "lose all").hits(50);
    let is_gone = |step: Step| is_lost && (loses_all || step == Step::Hangup);
    steps(call).into_iter().filter(|(step, _)| is_gone(*step)).map(|(step, _)| event_type(call, step)).collect()
}

fn planned(calls: &Calls, call: &Call) -> Vec<(i64, u64, Step, bool)> {
    let (world, lost) = (calls.world(), lost(calls, call));
    let later = |decision: &str, percent: u8| {
        let is_hit = world.throw(call.number, &format!("{decision} or not")).hits(percent);
        is_hit.then(|| i64::try_from(world.throw(call.number, decision).below(LATER_MS)).unwrap_or(0))
    };
    let late_ms = later("late", world.fates.late_percent).unwrap_or(0);
    let again_ms = later("repeat", world.fates.repeat_percent);
    let told = steps(call).into_iter().filter(|(step, _)| !lost.contains(&event_type(call, *step)));
    let moments = told.flat_map(|(step, at_ms)| {
        let due_ms = at_ms + late_ms;
        let again = again_ms.map(|again_ms| (due_ms + again_ms, call.number, step, true));
        [(due_ms, call.number, step, false)].into_iter().chain(again)
    });
    moments.collect()
}

fn number_of(call: &Call, step: Step) -> u64 {
    call.number.saturating_mul(4) + step as u64
}

fn event_type(call: &Call, step: Step) -> &'static str {
    match step {
        Step::Dial if call.is_inbound() => "dial-in",
        Step::Dial => "dial-out",
        Step::Answer => "answer",
        Step::Hangup => "hangup",
    }
}

fn delivery(calls: &Calls, recipient: &Recipient, call: &Call, step: Step, due_ms: i64) -> Delivery {
    let credentials = Credentials {
        account_id: CLIENT_ID.to_string(),
        secret: Some(recipient.secret.clone()),
        signature_method: None,
        tamper: false,
    };
    let encoding = Encoding::Form;
    let signing = Signing { credentials: &credentials, url: &recipient.url, now: time(due_ms), encoding };
    let request = sign(&signing, encoding.write(&body(calls, call, step)));
    Delivery { id: number_of(call, step), due_at: time(due_ms), facts: 1, request }
}

fn body(calls: &Calls, call: &Call, step: Step) -> Value {
    let at_ms = steps(call).into_iter().find(|(known, _)| *known == step).map_or(call.ends_ms, |(_, at_ms)| at_ms);
    let status = match (step, call.is_taken()) {
        (Step::Dial, _) => "CALLING",
        (Step::Answer, _) | (Step::Hangup, true) => "ANSWER",
        (Step::Hangup, false) if call.is_inbound() => "CANCEL",
        (Step::Hangup, false) => "NOANSWER",
    };
    let (inside, outside) = (call.extension(), call.outside_number());
    let mut body = json!({
        "EventType": event_type(call, step),
        "CallID": calls.id(call),
        "SubCallID": calls.leg_id(call),
        "CallerIDName": calls.name(call),
        "CallStatus": status,
        "EventTime": format!("{at_ms}000"),
    });
    let parties = match call.is_inbound() {
        true => json!({"CallerIDNum": outside, "CalledNumber": inside, "CalledDID": "442079460000", "CallFlow": "in",
            "CalledExtension": format!("{inside}@{DOMAIN}"), "CalledExtensionID": call.extension_id()}),
        false => json!({"CallerIDNum": inside, "CalledNumber": outside, "CallFlow": "out",
            "CallerExtension": format!("{inside}@{DOMAIN}"), "CallerExtensionID": call.extension_id()}),
    };
    let ending = match (step, call.is_taken()) {
        (Step::Hangup, true) => {
            let talk_us = (call.ends_ms - call.taken_ms) * 1000;
            json!({"Duration": talk_us, "RecID": calls.recording(call).map(|id| id.to_lowercase())})
        }
        (Step::Hangup, false) if call.is_inbound() => json!({"Bridged": "no"}),
        _ => json!({}),
    };
    for more in [parties, ending] {
        let members = more.as_object().cloned().unwrap_or_default();
        members.into_iter().for_each(|(name, value)| body[name] = value);
    }
    body
}
