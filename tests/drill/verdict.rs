//! Judging what was sent against what stands in Kafka. Pure, so that its own tests can show that it
//! finds what it looks for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

mod answers;
mod letters;
mod order;
#[cfg(test)]
mod tests;

use crate::ledger::{Answer, Webhook};
use crate::metrics::Ways;
use crate::scene::History;
use crate::topics::Published;

/// Examples of each offence that are printed.
const EXAMPLES: usize = 20;

/// Everything that was seen.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) published: Vec<Published>,
    pub(crate) history: History,
    pub(crate) ways: Ways,
    /// How the program ended each time that it was stopped in order, the last time at the very end.
    pub(crate) exit_codes: Vec<Option<i32>>,
    /// Events that were in the spool when the drill gave up waiting; `Ok(None)` if there is no spool.
    pub(crate) left_in_spool: Result<Option<u64>, &'static str>,
    /// Whether the disk of the spool could be filled, and whether the drill may do without.
    pub(crate) disk: DiskFault,
    /// Topics that were deleted and came back before anybody made them again.
    pub(crate) came_back: Vec<String>,
    pub(crate) longest_answer_ms: u64,
    pub(crate) peak_rss_kib: u64,
    /// The clock of the history at its zero, in milliseconds since 1970.
    pub(crate) started_unix_ms: u64,
    /// With which all of it can be sent again.
    pub(crate) seed: u64,
    pub(crate) busy: bool,
}

/// What became of the fault of the full disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskFault {
    Done,
    Impossible,
    /// Impossible, and whoever runs the drill knows.
    Waived,
}

/// One line of the verdict.
#[derive(Debug)]
pub(crate) struct Check {
    name: String,
    value: String,
    /// What was demanded; empty for what is only told.
    demand: &'static str,
    failed: bool,
    examples: Vec<String>,
}

/// What the drill has shown.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    checks: Vec<Check>,
}

impl Verdict {
    /// Judges everything.
    pub(crate) fn of(evidence: &Evidence) -> Self {
        let mut verdict = Self::default();
        verdict.count(evidence);
        verdict.judge_reading(evidence);
        verdict.judge_facts(evidence);
        verdict.judge_tampered(evidence);
        letters::judge(&mut verdict, evidence);
        order::judge(&mut verdict, evidence);
        answers::judge(&mut verdict, evidence);
        verdict.judge_faults(evidence);
        verdict
    }

    pub(crate) fn passed(&self) -> bool {
        self.checks.iter().all(|check| !check.failed)
    }

    /// Tells a figure that proves nothing by itself.
    fn tell(&mut self, name: impl Into<String>, value: impl ToString) {
        let check =
            Check { name: name.into(), value: value.to_string(), demand: "", failed: false, examples: Vec::new() };
        self.checks.push(check);
    }

    /// Something that must not be.
    fn none(&mut self, name: impl Into<String>, offences: Vec<String>) {
        let (value, failed) = (offences.len().to_string(), !offences.is_empty());
        self.checks.push(Check { name: name.into(), value, demand: "must be 0", failed, examples: offences });
    }

    /// Something without which the drill proves nothing.
    fn some(&mut self, name: impl Into<String>, count: usize) {
        let failed = count == 0;
        let demand = if failed { "the drill proves nothing" } else { "must not be 0" };
        self.checks.push(Check { name: name.into(), value: count.to_string(), demand, failed, examples: Vec::new() });
    }

    fn count(&mut self, evidence: &Evidence) {
        self.tell("seed (DRILL_SEED)", evidence.seed);
        self.tell("every processor kept busy (DRILL_BUSY)", if evidence.busy { "yes" } else { "no" });
        let genuine = || evidence.webhooks.iter().filter(|webhook| !webhook.tampered);
        let attempts = |taken: bool| {
            let attempts = genuine().flat_map(|webhook| &webhook.attempts);
            attempts.filter(|attempt| !taken || attempt.answer.is_taken()).count()
        };
        self.some("webhooks sent", genuine().count());
        self.some("requests sent for them, with repetitions and copies", attempts(false));
        self.some("of these answered 2xx", attempts(true));
        self.some("facts answered 2xx", taken_facts(evidence).count());
    }

    /// The topics were made by the drill and nothing is ever deleted from them but everything at once, so their
    /// offsets have no gaps. One in what was read would mean that the reading is at fault, and not Kafka.
    fn judge_reading(&mut self, evidence: &Evidence) {
        let mut partitions: BTreeMap<(&str, u32, i32), Vec<i64>> = BTreeMap::new();
        for Published { topic, generation, partition, offset, .. } in &evidence.published {
            partitions.entry((topic, *generation, *partition)).or_default().push(*offset);
        }
        let mut gaps = Vec::new();
        for ((topic, _, partition), mut offsets) in partitions {
            offsets.sort_unstable();
            let misplaced = (0_i64..).zip(&offsets).find(|(expected, offset)| expected != *offset);
            gaps.extend(misplaced.map(|(expected, offset)| format!("{topic}[{partition}]: {expected} to {offset}")));
        }
        self.some("records read from the topics", evidence.published.len());
        self.none("partitions with a gap in what was read", gaps);
    }

    fn judge_facts(&mut self, evidence: &Evidence) {
        let mut copies: HashMap<&str, usize> = HashMap::new();
        let mut ids: HashMap<&str, HashSet<&str>> = HashMap::new();
        for published in &evidence.published {
            let Some(fact) = &published.fact else { continue };
            *copies.entry(fact).or_default() += 1;
            ids.entry(fact).or_default().insert(&published.event_id);
        }
        // What does not fit is a dead letter, and judged there.
        let oversized = letters::oversized_facts(evidence);
        let published = |fact: &str| copies.contains_key(fact) || oversized.contains(fact);
        let missing: Vec<_> = taken_facts(evidence).filter(|(_, fact)| !published(fact)).collect();
        let kept = letters::facts(evidence);
        let in_letters = missing.iter().filter(|(_, fact)| kept.contains(fact.as_str())).count();
        let missing = missing.into_iter().map(|(webhook, fact)| lost(webhook, fact, evidence));
        self.none("facts missing from Kafka", missing.collect());
        self.tell("  of these in a dead letter", in_letters);
        let doubled = ids.iter().filter(|(_, ids)| ids.len() > 1);
        self.none("facts under two ids", doubled.map(|(fact, ids)| format!("{fact}: {ids:?}")).collect());
        let mut histogram: BTreeMap<usize, usize> = BTreeMap::new();
        copies.values().for_each(|copies| *histogram.entry(*copies).or_default() += 1);
        for (copies, facts) in histogram {
            self.tell(format!("facts in Kafka {copies} times"), facts);
        }
    }

    fn judge_tampered(&mut self, evidence: &Evidence) {
        let (tampered, genuine): (Vec<&Webhook>, Vec<&Webhook>) =
            evidence.webhooks.iter().partition(|webhook| webhook.tampered);
        self.some("tampered requests sent", tampered.len());
        let facts = |webhooks: &[&'_ Webhook]| -> HashSet<String> {
            webhooks.iter().flat_map(|webhook| webhook.facts.clone()).collect()
        };
        let (forged, sent) = (facts(&tampered), facts(&genuine));
        let of_fact = |wanted: &dyn Fn(&String) -> bool| {
            let records = evidence.published.iter();
            records.filter(|record| record.fact.as_ref().is_some_and(wanted)).map(place).collect()
        };
        self.none("tampered requests published", of_fact(&|fact| forged.contains(fact)));
        self.none("facts published that nobody sent", of_fact(&|fact| !forged.contains(fact) && !sent.contains(fact)));
    }

    fn judge_faults(&mut self, evidence: &Evidence) {
        let Ways { live, spooled, late, drained, drained_under_load, replacements } = evidence.ways;
        for (way, events) in [
            ("live", live),
            ("spooled", spooled),
            ("acknowledged late", late),
            ("drained", drained),
            ("drained under load", drained_under_load),
        ] {
            self.some(format!("events {way}"), usize::try_from(events).unwrap_or(usize::MAX));
        }
        self.none("deleted topics that came back by themselves", evidence.came_back.clone());
        let replacements = usize::try_from(replacements).unwrap_or(usize::MAX);
        self.some("times that the Kafka client was replaced", replacements);
        let left = match evidence.left_in_spool {
            Ok(None | Some(0)) => Vec::new(),
            Ok(Some(events)) => vec![format!("{events} events were still there when the drill gave up waiting")],
            Err(reason) => vec![reason.to_owned()],
        };
        self.none("spools that were not empty at the end", left);
        // 3 tells of a spool that is not empty, which only the last stop must not find.
        let (last, before) = evidence.exit_codes.split_last().map_or((None, &[][..]), |(last, before)| (*last, before));
        let mut odd: Vec<_> =
            before.iter().filter(|code| ![Some(0), Some(3)].contains(code)).map(|code| format!("{code:?}")).collect();
        odd.extend((last != Some(0)).then(|| format!("{last:?} at the very end")));
        self.none("exit codes after SIGTERM other than 0 and 3, or 0 at the end", odd);
        self.tell("greatest resident memory of the program in MiB", evidence.peak_rss_kib / 1024);
    }
}

fn taken_facts(evidence: &Evidence) -> impl Iterator<Item = (&Webhook, &String)> {
    let taken = evidence.webhooks.iter().filter(|webhook| !webhook.tampered && webhook.taken().is_some());
    taken.flat_map(|webhook| webhook.facts.iter().map(move |fact| (webhook, fact)))
}

fn lost(webhook: &Webhook, fact: &str, evidence: &Evidence) -> String {
    let taken = webhook.taken().map_or_else(String::new, |attempt| {
        let phase = evidence.history.phase_at(attempt.ended_us);
        format!("answered at {} in \"{phase}\" by life {}", seconds(attempt.ended_us), attempt.ended_life)
    });
    format!("{fact} of {}: {taken}; {}", webhook.source.name, attempts(webhook))
}

/// Every attempt: when it was sent, and how it ended when.
fn attempts(webhook: &Webhook) -> String {
    let attempts = webhook.attempts.iter().map(|attempt| {
        let answer = match &attempt.answer {
            Answer::Status(status) => status.to_string(),
            Answer::TimedOut => "timed out".to_owned(),
            Answer::Broken(reason) => reason.clone(),
        };
        format!("{}-{} {answer}", seconds(attempt.sent_us), seconds(attempt.ended_us))
    });
    attempts.collect::<Vec<_>>().join(", ")
}

fn place(record: &Published) -> String {
    let Published { topic, partition, offset, key, event_id, fact, .. } = record;
    let fact = fact.as_deref().unwrap_or("no event");
    format!("{fact} at {topic}[{partition}]@{offset}, key {key}, id {event_id}")
}

/// Microseconds as seconds for people.
fn seconds(at_us: u64) -> String {
    format!("{}.{:03} s", at_us / 1_000_000, at_us / 1000 % 1000)
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "\nVERDICT")?;
        for Check { name, value, demand, failed, .. } in &self.checks {
            let mark = if *failed { "FAILED" } else { "" };
            writeln!(formatter, "  {name:<68} {value:>12}  {mark:<6} {demand}")?;
        }
        for Check { name, examples, .. } in self.checks.iter().filter(|check| !check.examples.is_empty()) {
            writeln!(formatter, "\n{name}, {} of {}:", examples.len().min(EXAMPLES), examples.len())?;
            examples.iter().take(EXAMPLES).try_for_each(|example| writeln!(formatter, "  {example}"))?;
        }
        writeln!(formatter, "\n{}", if self.passed() { "PASSED" } else { "FAILED" })
    }
}
