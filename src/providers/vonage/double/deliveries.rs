//! When which webhook is sent, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::super::simulate;
use super::traffic::{Item, Sort, Traffic, time};
use super::webhooks;
use crate::event::time::Time;
use crate::provider::double::world::{HOUR_MS, World};
use crate::provider::double::{Delivery, Recipient};
use crate::provider::simulate::Credentials;

/// Webhooks of which the outcome is remembered.
const MOST_OUTCOMES: usize = 100_000;

/// What is still to come, and what became of what has come.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// Facts before are planned.
    planned_ms: i64,
    /// Moments and numbers of facts.
    waiting: BTreeSet<(i64, u64)>,
    /// Whether the webhook of a fact was taken.
    outcomes: BTreeMap<u64, bool>,
}

/// What becomes of the webhook of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// It comes at these moments.
    Told(Vec<i64>),
    /// It should come and does not.
    Lost,
    /// By rights there is none.
    Untold,
}

impl Deliveries {
    pub(super) fn new(world: World) -> Self {
        Self { planned_ms: world.since.unix_ms(), waiting: BTreeSet::new(), outcomes: BTreeMap::new() }
    }

    /// The oldest webhook that is due and was not given out.
    pub(super) fn due(&mut self, traffic: &Traffic, recipient: &Recipient, now: Time) -> Option<Delivery> {
        self.plan(traffic, now.unix_ms());
        let oldest = self.waiting.first().copied().filter(|(due_ms, _)| *due_ms <= now.unix_ms())?;
        self.waiting.remove(&oldest);
        let (due_ms, number) = oldest;
        let item = traffic.by_number(number);
        let body = webhooks::body(traffic, &item);
        let credentials = Credentials::new(&traffic.account(item.account), recipient.secret.expose_secret());
        let due_at = time(due_ms);
        let request = simulate::signed(&credentials, &recipient.url, due_at, &body);
        Some(Delivery { id: number, due_at, facts: 1, request })
    }

    /// No webhook is due before its fact, so that it is enough to plan those up to now.
    fn plan(&mut self, traffic: &Traffic, now_ms: i64) {
        for item in traffic.items(self.planned_ms, now_ms) {
            if let Fate::Told(moments_ms) = fate(traffic, &item) {
                self.waiting.extend(moments_ms.into_iter().map(|due_ms| (due_ms, item.number)));
            }
        }
        self.planned_ms = self.planned_ms.max(now_ms);
    }

    pub(super) fn delivered(&mut self, delivery_id: u64, taken: bool) {
        let is_taken = self.outcomes.entry(delivery_id).or_default();
        *is_taken |= taken;
        while self.outcomes.len() > MOST_OUTCOMES {
            self.outcomes.pop_first();
        }
    }

    /// The truth about a fact.
    pub(super) fn fact(&self, traffic: &Traffic, item: &Item) -> Value {
        let (account_id, id) = (traffic.account(item.account), traffic.id(item));
        let subject = match item.sort {
            Sort::Call => id.replace('-', ""),
            Sort::Verification => format!("verify-api:{id}"),
            _ => id.clone(),
        };
        let fate = fate(traffic, item);
        let due_at: Vec<String> = match &fate {
            Fate::Told(moments_ms) => moments_ms.iter().map(|due_ms| time(*due_ms).to_string()).collect(),
            Fate::Lost | Fate::Untold => Vec::new(),
        };
        json!({
            "id": id,
            "product": item.sort.product(),
            "direction": item.sort.direction(),
            "account_id": account_id,
            "key": format!("{}:{account_id}:{subject}", super::super::INFO.name),
            "at": time(item.at_ms).to_string(),
            "over_at": time(item.over_ms).to_string(),
            "learnt_at": time(item.learnt_ms).to_string(),
            "priced_at": item.priced_ms.map(|priced_ms| time(priced_ms).to_string()),
            "webhook": {"state": self.state(item, &fate), "due_at": due_at},
        })
    }

    fn state(&self, item: &Item, fate: &Fate) -> &'static str {
        match (fate, self.outcomes.get(&item.number)) {
            (Fate::Lost, _) => "lost",
            (Fate::Untold, _) => "untold",
            (Fate::Told(_), Some(true)) => "taken",
            (Fate::Told(_), Some(false)) => "refused",
            (Fate::Told(_), None) => "due",
        }
    }
}

/// What becomes of the webhook of a fact, by its number alone. Which users are untold is no question of Vonage's, so that
/// share is lost to all accounts alike.
fn fate(traffic: &Traffic, item: &Item) -> Fate {
    let (world, number) = (traffic.world(), item.number);
    if !item.sort.has_webhook() || world.throw(number, "untold").hits(world.fates.untold_percent) {
        return Fate::Untold;
    }
    if world.throw(number, "lose").hits(world.fates.lose_percent) {
        return Fate::Lost;
    }
    let later = |decision: &str, percent: u8| {
        let later_ms = world.throw(number, decision).below(HOUR_MS.unsigned_abs());
        let is_hit = world.throw(number, &format!("{decision} or not")).hits(percent);
        is_hit.then(|| i64::try_from(later_ms).unwrap_or(0))
    };
    let due_ms = item.over_ms.max(item.learnt_ms) + later("late", world.fates.late_percent).unwrap_or(0);
    let again_ms = later("repeat", world.fates.repeat_percent).map(|later_ms| due_ms + later_ms);
    Fate::Told([due_ms].into_iter().chain(again_ms).collect())
}
