//! What the producing client has delivered lately. Whether brokers answer questions says little: a client may be
//! unable to reach them under the names that they tell, or not be allowed to write.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cause::Cause;

/// After this time a failure says nothing any more. Otherwise a service that gets no traffic because it is not
/// ready could never become ready again.
const REMEMBERED: Duration = Duration::from_secs(30);

/// The outcomes of deliveries, as far as readiness and mending need them.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// Since the last survey.
    acknowledged: AtomicUsize,
    failed: AtomicUsize,
    /// How many failures are remembered, so that acknowledgements need no lock while there are none.
    remembered: AtomicUsize,
    state: Mutex<State>,
    /// What the client says about its connections.
    cause: Cause,
}

#[derive(Debug)]
struct State {
    /// Records in the client's hands.
    waiting: usize,
    /// Since when something is in the client's hands without any outcome.
    silent_since: Instant,
    /// By topic: Kafka's word for its last outcome, if that was a failure, and when it came.
    failures: BTreeMap<String, (String, Instant)>,
    /// Why the client has failed for good, and when that was seen last, unless something was acknowledged since.
    end: Option<(String, Instant)>,
}

impl Deliveries {
    pub(super) fn new(now: Instant) -> Self {
        let state = State { waiting: 0, silent_since: now, failures: BTreeMap::new(), end: None };
        let (acknowledged, failed, remembered) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        Self { acknowledged, failed, remembered, state: Mutex::new(state), cause: Cause::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the client says about its connections, until something is acknowledged.
    pub(super) fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The client has failed for good. Tells whether that is news.
    pub(super) fn ended(&self, cause: &str, now: Instant) -> bool {
        let before = self.lock().end.replace((cause.to_owned(), now));
        before.is_none_or(|(before, at)| before != cause || is_over(at, now))
    }

    /// A new client is in place, and holds nothing.
    pub(super) fn begin_anew(&self, now: Instant) {
        let mut state = self.lock();
        (state.waiting, state.silent_since) = (0, now);
    }

    /// Takes note of how much the client holds, which tells whether silence means anything, and of what has come
    /// since the last time.
    pub(super) fn survey(&self, waiting: usize, now: Instant) {
        let acknowledged = self.acknowledged.swap(0, Ordering::AcqRel) > 0;
        let failed = self.failed.swap(0, Ordering::AcqRel) > 0;
        let mut state = self.lock();
        if waiting == 0 || acknowledged || failed || state.waiting == 0 {
            state.silent_since = now;
        }
        if acknowledged {
            state.end = None;
            self.cause.forget();
        }
        state.waiting = waiting;
    }

    /// A record was acknowledged.
    pub(super) fn acknowledged(&self, topic: &str) {
        self.acknowledged.fetch_add(1, Ordering::AcqRel);
        if self.remembered.load(Ordering::Acquire) > 0 {
            let mut state = self.lock();
            state.failures.remove(topic);
            self.remembered.store(state.failures.len(), Ordering::Release);
        }
    }

    /// A record was given back.
    pub(super) fn failed(&self, topic: &str, word: String, now: Instant) {
        self.failed.fetch_add(1, Ordering::AcqRel);
        let mut state = self.lock();
        state.failures.insert(topic.to_owned(), (word, now));
        self.remembered.store(state.failures.len(), Ordering::Release);
    }

    /// Whether a topic's last outcome was a failure.
    pub(super) fn has_failed(&self, topic: &str) -> bool {
        self.lock().failures.contains_key(topic)
    }

    /// How long the client has held something without telling any outcome.
    pub(super) fn silent_for(&self, now: Instant) -> Duration {
        let state = self.lock();
        if state.waiting == 0 { Duration::ZERO } else { now.saturating_duration_since(state.silent_since) }
    }

    /// Why events can not be delivered, if they can not: the client has failed for good, the last outcome of a topic
    /// was a failure, or, as the caller knows, events are late. Failures of topics that are `aside` do not count.
    pub(super) fn problem(&self, late: bool, aside: &[String], now: Instant) -> Option<String> {
        let state = self.lock();
        if let Some((cause, _)) = state.end.as_ref().filter(|(_, at)| !is_over(*at, now)) {
            return Some(format!("events are not delivered: {cause}"));
        }
        let counts = |topic: &String, at: Instant| !is_over(at, now) && !aside.contains(topic);
        if let Some((topic, (word, _))) = state.failures.iter().find(|(topic, (_, at))| counts(topic, *at)) {
            return Some(format!("events are not delivered to {topic}: {word}"));
        }
        let cause = self.cause.told().map(|cause| format!(": {cause}")).unwrap_or_default();
        late.then(|| format!("events are not acknowledged{cause}"))
    }
}

fn is_over(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) >= REMEMBERED
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(500);

    #[test]
    fn silence_counts_from_the_first_event_that_waits_to_any_outcome() {
        let now = Instant::now();
        let deliveries = Deliveries::new(now);
        assert_eq!(deliveries.silent_for(now + PATIENCE * 9), Duration::ZERO);
        deliveries.survey(3, now + PATIENCE);
        deliveries.survey(3, now + PATIENCE * 2);
        assert_eq!(deliveries.silent_for(now + PATIENCE * 2), PATIENCE, "since it got the first one");
        deliveries.acknowledged("a");
        deliveries.survey(2, now + PATIENCE * 3);
        assert_eq!(deliveries.silent_for(now + PATIENCE * 3), Duration::ZERO, "an acknowledgement ends it");
    }

    #[test]
    fn what_the_client_says_is_the_cause_for_late_events_alone_and_until_something_is_acknowledged() {
        let now = Instant::now();
        let deliveries = Deliveries::new(now);
        deliveries.cause().hear("connection refused", now);
        assert_eq!(deliveries.problem(false, &[], now), None);
        assert_eq!(deliveries.problem(true, &[], now).unwrap(), "events are not acknowledged: connection refused");
        deliveries.acknowledged("a");
        deliveries.survey(2, now);
        assert_eq!(deliveries.problem(true, &[], now).unwrap(), "events are not acknowledged");
    }

    #[test]
    fn a_failure_is_a_problem_until_its_topic_takes_something_or_nobody_tries_any_more() {
        let now = Instant::now();
        let deliveries = Deliveries::new(now);
        deliveries.failed("a", "not allowed".to_owned(), now);
        deliveries.acknowledged("b");
        deliveries.survey(0, now);
        assert_eq!(deliveries.problem(false, &[], now).unwrap(), "events are not delivered to a: not allowed");
        assert_eq!(deliveries.problem(false, &["a".to_owned()], now), None, "nothing depends on it");
        assert_eq!(deliveries.problem(false, &[], now + REMEMBERED), None);
        deliveries.failed("a", "not allowed".to_owned(), now);
        deliveries.acknowledged("a");
        assert_eq!(deliveries.problem(false, &[], now), None);
    }

    #[test]
    fn a_client_that_has_failed_for_good_is_news_once_for_each_cause() {
        let now = Instant::now();
        let deliveries = Deliveries::new(now);
        assert!(deliveries.ended("not allowed", now));
        assert!(!deliveries.ended("not allowed", now));
        deliveries.begin_anew(now);
        assert!(!deliveries.ended("not allowed", now), "another client fails in the same way");
        assert_eq!(deliveries.problem(false, &[], now).unwrap(), "events are not delivered: not allowed");
        assert!(deliveries.ended("fenced", now));
        deliveries.acknowledged("a");
        deliveries.survey(0, now);
        assert_eq!(deliveries.problem(false, &[], now), None);
        assert!(deliveries.ended("fenced", now));
    }
}
