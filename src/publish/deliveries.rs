//! What the producing client has delivered lately. Whether brokers answer questions says little: a client may be
//! unable to reach them under the names that they tell, or not be allowed to write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After this time a failure says nothing any more. Otherwise a service that gets no traffic because it is not
/// ready could never become ready again.
const REMEMBERED: Duration = Duration::from_secs(30);

/// The outcomes of deliveries, as far as readiness and mending need them.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// Since the last survey.
    acknowledged: AtomicUsize,
    failed: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Records in the client's hands.
    waiting: usize,
    /// Since when something is in the client's hands without any outcome.
    silent_since: Instant,
    /// The last outcome, if it was a failure: Kafka's word for it, and when it came.
    failure: Option<(String, Instant)>,
    /// What the client has last said about its connections since the last acknowledgement.
    cause: Option<String>,
}

impl Deliveries {
    pub(super) fn new(now: Instant) -> Self {
        let state = State { waiting: 0, silent_since: now, failure: None, cause: None };
        Self { acknowledged: AtomicUsize::new(0), failed: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the client says about its connections.
    pub(super) fn complained(&self, cause: String) {
        self.lock().cause = Some(cause);
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
            (state.failure, state.cause) = (None, None);
        }
        state.waiting = waiting;
    }

    /// A record was acknowledged.
    pub(super) fn acknowledged(&self) {
        self.acknowledged.fetch_add(1, Ordering::AcqRel);
    }

    /// A record was given back.
    pub(super) fn failed(&self, word: String, now: Instant) {
        self.failed.fetch_add(1, Ordering::AcqRel);
        self.lock().failure = Some((word, now));
    }

    /// How long the client has held something without telling any outcome.
    pub(super) fn silent_for(&self, now: Instant) -> Duration {
        let state = self.lock();
        if state.waiting == 0 { Duration::ZERO } else { now.saturating_duration_since(state.silent_since) }
    }

    /// Why events can not be delivered, if they can not: silence for longer than the patience, or a failure with no
    /// acknowledgement since.
    pub(super) fn problem(&self, patience: Duration, now: Instant) -> Option<String> {
        let silent = self.silent_for(now) > patience;
        let state = self.lock();
        if silent {
            let cause = state.cause.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default();
            return Some(format!("no event is acknowledged{cause}"));
        }
        let (word, at) = state.failure.as_ref()?;
        (now.saturating_duration_since(*at) < REMEMBERED).then(|| format!("events are not delivered: {word}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(500);

    #[test]
    fn silence_is_a_problem_only_while_something_waits() {
        let now = Instant::now();
        let deliveries = Deliveries::new(now);
        assert_eq!(deliveries.problem(PATIENCE, now + PATIENCE * 9), None);
        deliveries.survey(3, now + PATIENCE);
        deliveries.complained("connection refused".to_owned());
        deliveries.survey(3, now + PATIENCE * 2);
        assert_eq!(deliveries.silent_for(now + PATIENCE * 2), PATIENCE, "since it got the first one");
        assert_eq!(deliveries.problem(PATIENCE, now + PATIENCE * 2), None);
        let problem = deliveries.problem(PATIENCE, now + PATIENCE * 3).unwrap();
        assert_eq!(problem, "no event is acknowledged: connection refused");
        deliveries.acknowledged();
        deliveries.survey(2, now + PATIENCE * 3);
        assert_eq!(deliveries.problem(PATIENCE, now + PATIENCE * 3), None, "an acknowledgement ends it");
    }

    #[test]
    fn a_failure_is_a_problem_until_something_is_acknowledged_or_nobody_tries_any_more() {
        let now = Instant::now();
        let deliveries = Deliveries::new(now);
        deliveries.failed("TopicAuthorizationFailed".to_owned(), now);
        deliveries.survey(0, now);
        assert_eq!(deliveries.problem(PATIENCE, now).unwrap(), "events are not delivered: TopicAuthorizationFailed");
        assert_eq!(deliveries.problem(PATIENCE, now + REMEMBERED), None);
        deliveries.failed("TopicAuthorizationFailed".to_owned(), now);
        deliveries.acknowledged();
        deliveries.survey(0, now);
        assert_eq!(deliveries.problem(PATIENCE, now), None);
    }
}
