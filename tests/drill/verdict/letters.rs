//! Dead letters: one for each event that its topic does not take, and none for any other.

use std::collections::{HashMap, HashSet};

use super::{Evidence, Verdict, lost, place, taken_facts};
use crate::scene::Trouble;
use crate::topics::{Letter, Published};

const TOO_LARGE: &str = "record_too_large";

/// Judges what was sent too large on purpose, and every dead letter.
pub(super) fn judge(verdict: &mut Verdict, evidence: &Evidence) {
    let oversized = oversized_facts(evidence);
    let letters = letters(evidence, &oversized);
    verdict.some("facts answered 2xx whose event is larger than its topic takes", letters.len());
    let mut without = Vec::new();
    for (webhook, fact) in taken_facts(evidence).filter(|(_, fact)| oversized.contains(fact.as_str())) {
        if letters.get(fact.as_str()).is_none_or(Vec::is_empty) {
            without.push(lost(webhook, fact, evidence));
        }
    }
    verdict.none("  of these without a dead letter", without);
    let published =
        evidence.published.iter().filter(|record| record.fact.as_deref().is_some_and(|fact| oversized.contains(fact)));
    verdict.none("  of these published all the same", published.map(place).collect());
    let doubled = letters.values().filter_map(|letters| twice_in_one_process(letters, evidence));
    verdict.none("  of these with two dead letters by one process", doubled.collect());
    let is_fair = |record: &Published| record.letter.as_ref().is_some_and(|letter| is_of(letter, &oversized));
    let others = evidence.published.iter().filter(|record| record.fact.is_none() && !is_fair(record));
    verdict.none("dead letters made of what is well-formed", others.map(told).collect());
}

/// The facts of genuine webhooks that are too large.
pub(super) fn oversized_facts(evidence: &Evidence) -> HashSet<&str> {
    let genuine = evidence.webhooks.iter().filter(|webhook| !webhook.tampered);
    genuine.flat_map(|webhook| &webhook.oversized).map(String::as_str).collect()
}

/// The facts of all events that are in dead letters.
pub(super) fn facts(evidence: &Evidence) -> HashSet<&str> {
    let letters = evidence.published.iter().filter_map(|record| record.letter.as_ref());
    letters.filter_map(|letter| letter.fact.as_deref()).collect()
}

fn is_of(letter: &Letter, oversized: &HashSet<&str>) -> bool {
    letter.code == TOO_LARGE && letter.fact.as_deref().is_some_and(|fact| oversized.contains(fact))
}

/// The dead letters of each fact that is too large and was answered 2xx.
fn letters<'e>(
    evidence: &'e Evidence,
    oversized: &HashSet<&str>,
) -> HashMap<&'e str, Vec<(&'e Published, &'e Letter)>> {
    let taken = taken_facts(evidence).map(|(_, fact)| fact.as_str()).filter(|fact| oversized.contains(fact));
    let mut letters: HashMap<&str, Vec<_>> = taken.map(|fact| (fact, Vec::new())).collect();
    for record in &evidence.published {
        let Some(letter) = record.letter.as_ref().filter(|letter| is_of(letter, oversized)) else { continue };
        if let Some(letters) = letter.fact.as_deref().and_then(|fact| letters.get_mut(fact)) {
            letters.push((record, letter));
        }
    }
    letters
}

/// A process knows what it has written, so it writes one letter, though perhaps more than one copy of it. The next
/// process may find the event itself in the spool, or get it from the provider, and writes its own.
fn twice_in_one_process(letters: &[(&Published, &Letter)], evidence: &Evidence) -> Option<String> {
    let mut letters: Vec<_> = letters.to_vec();
    letters.sort_by_key(|(_, letter)| letter.written_ms);
    let pairs = letters.iter().zip(letters.iter().skip(1)).filter(|((a, _), (b, _))| a.event_id != b.event_id);
    let mut offences = pairs.filter(|((_, a), (_, b))| {
        let at_us = |letter: &Letter| letter.written_ms.saturating_sub(evidence.started_unix_ms) * 1000;
        !evidence.history.troubled(Trouble::Restart, at_us(a), at_us(b))
    });
    offences.next().map(|((a, _), (b, _))| format!("{} and {}", told(a), told(b)))
}

fn told(record: &Published) -> String {
    let letter = record.letter.as_ref();
    let reason = letter.map_or("no reason", |letter| &letter.code);
    let fact = letter.and_then(|letter| letter.fact.as_deref()).unwrap_or("no event");
    format!("{reason}, {fact}: {}", place(record))
}
