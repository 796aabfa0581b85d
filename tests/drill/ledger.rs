//! What was sent and how it was answered, as the providers would remember it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::traffic::{Draft, Source};

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16),
    /// Nothing came for as long as the provider waits.
    TimedOut,
    /// The connection was refused or broke; with the reason.
    Broken(String),
}

impl Answer {
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, Self::Status(200..=299))
    }
}

/// One request. Times are in microseconds since the start, lives those of [`crate::scene::Scene`].
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) sent_us: u64,
    pub(crate) ended_us: u64,
    pub(crate) sent_life: u64,
    pub(crate) ended_life: u64,
    pub(crate) answer: Answer,
}

impl Attempt {
    /// The process that answered, if it is sure that it was one and the same from sending to answer.
    pub(crate) fn life(&self) -> Option<u64> {
        (self.sent_life == self.ended_life && self.sent_life % 2 == 1).then_some(self.sent_life)
    }
}

/// One webhook with its repetitions and copies.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) source: &'static Source,
    /// What it tells, named by the provider's own ids.
    pub(crate) facts: Vec<String>,
    /// Those of the facts whose event is larger than its topic takes.
    pub(crate) oversized: Vec<String>,
    /// Whether it was tampered with, and must be refused.
    pub(crate) tampered: bool,
    pub(crate) attempts: Vec<Attempt>,
}

impl Webhook {
    /// The first attempt that was answered 2xx.
    pub(crate) fn taken(&self) -> Option<&Attempt> {
        self.attempts.iter().filter(|attempt| attempt.answer.is_taken()).min_by_key(|attempt| attempt.ended_us)
    }

    pub(crate) fn first_sent_us(&self) -> u64 {
        self.attempts.iter().map(|attempt| attempt.sent_us).min().unwrap_or(u64::MAX)
    }
}

/// Sums for the line of progress.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) attempts: u64,
    pub(crate) taken: u64,
    pub(crate) unavailable: u64,
    pub(crate) broken: u64,
}

/// All webhooks of a drill.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    webhooks: Vec<Webhook>,
    counts: Counts,
}

impl Ledger {
    /// Enters a webhook that is about to be sent; tells its number.
    pub(crate) fn open(&self, draft: &Draft, tampered: bool) -> usize {
        let mut state = self.lock();
        let (facts, oversized) = (draft.facts.clone(), draft.oversized.clone());
        let attempts = Vec::with_capacity(1);
        state.webhooks.push(Webhook { source: draft.source, facts, oversized, tampered, attempts });
        state.webhooks.len() - 1
    }

    pub(crate) fn record(&self, webhook: usize, attempt: Attempt) {
        let mut state = self.lock();
        state.counts.attempts += 1;
        match &attempt.answer {
            answer if answer.is_taken() => state.counts.taken += 1,
            Answer::Status(503) => state.counts.unavailable += 1,
            Answer::Status(_) => {}
            Answer::TimedOut | Answer::Broken(_) => state.counts.broken += 1,
        }
        state.webhooks[webhook].attempts.push(attempt);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Everything that was entered; the ledger is empty afterwards.
    pub(crate) fn close(&self) -> Vec<Webhook> {
        std::mem::take(&mut self.lock().webhooks)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
