//! Order: if A was answered before B of the same key was sent, A's first copy precedes B's.

use std::collections::HashMap;

use super::{Evidence, Verdict, attempts, place, seconds};
use crate::ledger::{Attempt, Webhook};
use crate::topics::Published;

/// The first copy of a fact, and the webhook that told it.
struct First<'e> {
    record: &'e Published,
    webhook: &'e Webhook,
    taken: &'e Attempt,
    /// The process to which it was told, if that was one from the first attempt to the first 2xx.
    life: Option<u64>,
}

/// Judges what one process had in its hands; the order across a restart is only told, since nothing is
/// promised of it.
pub(super) fn judge(verdict: &mut Verdict, evidence: &Evidence) {
    let mut keys: HashMap<(&str, &str), Vec<First<'_>>> = HashMap::new();
    for first in firsts(evidence) {
        keys.entry((&first.record.topic, &first.record.key)).or_default().push(first);
    }
    let (mut pairs, mut offences, mut across) = (0, Vec::new(), 0);
    for firsts in keys.values() {
        for (a, b) in answered_before_sent(firsts) {
            let same_life = b.life.is_some() && a.taken.life() == b.life;
            pairs += usize::from(same_life);
            match (in_order(a.record, b.record), same_life) {
                (true, _) => {}
                (false, true) => offences.push(offence(a, b)),
                (false, false) => across += 1,
            }
        }
    }
    verdict.some("keys with more than one fact", keys.values().filter(|firsts| firsts.len() > 1).count());
    verdict.some("pairs of facts of which one was answered before the other was sent", pairs);
    verdict.none("order violations within one process", offences);
    verdict.tell("order violations across a restart", across);
}

/// The first copy of each fact that was taken.
fn firsts(evidence: &Evidence) -> impl Iterator<Item = First<'_>> {
    let mut records: HashMap<&str, &Published> = HashMap::new();
    for record in &evidence.published {
        let Some(fact) = &record.fact else { continue };
        let first = records.entry(fact).or_insert(record);
        if record.position() < first.position() {
            *first = record;
        }
    }
    let taken = evidence.webhooks.iter().filter_map(|webhook| Some((webhook, webhook.taken()?)));
    taken.flat_map(move |(webhook, taken)| {
        let found: Vec<_> = webhook.facts.iter().filter_map(|fact| records.get(fact.as_str()).copied()).collect();
        let life = life(webhook, taken);
        found.into_iter().map(move |record| First { record, webhook, taken, life })
    })
}

/// The one process that was told of a webhook until it was taken.
fn life(webhook: &Webhook, taken: &Attempt) -> Option<u64> {
    let until_taken = webhook.attempts.iter().filter(|attempt| attempt.sent_us <= taken.ended_us);
    let mut lives = until_taken.map(Attempt::life);
    let first = lives.next()??;
    lives.all(|life| life == Some(first)).then_some(first)
}

fn answered_before_sent<'f, 'e>(firsts: &'f [First<'e>]) -> impl Iterator<Item = (&'f First<'e>, &'f First<'e>)> {
    let pairs = firsts.iter().flat_map(move |a| firsts.iter().map(move |b| (a, b)));
    pairs.filter(|(a, b)| a.taken.ended_us < b.webhook.first_sent_us())
}

fn in_order(a: &Published, b: &Published) -> bool {
    a.partition == b.partition && a.position() < b.position()
}

fn offence(a: &First<'_>, b: &First<'_>) -> String {
    format!(
        "{}, answered at {} by life {:?}, stands behind {}, sent at {} to life {:?} ({})",
        place(a.record),
        seconds(a.taken.ended_us),
        a.taken.life(),
        place(b.record),
        seconds(b.webhook.first_sent_us()),
        b.life,
        attempts(b.webhook),
    )
}
