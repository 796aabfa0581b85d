//! Warnings that anybody who sends webhooks can cause. There is at most one line in a while for each source and reason,
//! which tells how many there were since the one before.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What has happened and not been told yet. There are as many entries as there are sources and reasons, at most.
#[derive(Debug)]
pub struct Warnings {
    message: &'static str,
    rest: Duration,
    tallies: Mutex<HashMap<(String, &'static str), Tally>>,
}

#[derive(Debug)]
struct Tally {
    count: u64,
    told_at: Option<Instant>,
}

impl Tally {
    /// The count, if it is time to tell it.
    fn due(&mut self, rest: Duration, now: Instant) -> Option<u64> {
        let rests = self.told_at.is_some_and(|at| now.saturating_duration_since(at) < rest);
        if rests || self.count == 0 {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

impl Warnings {
    /// Warnings of one sort: their text, and how long one of them is not repeated.
    pub fn new(message: &'static str, rest: Duration) -> Self {
        Self { message, rest, tallies: Mutex::default() }
    }

    /// Counts a webhook, and logs it if nothing of its kind was logged lately.
    pub fn note(&self, source: &str, reason: &'static str, now: Instant) {
        if let Some(count) = self.count(source, reason, now) {
            self.log(source, reason, count);
        }
    }

    /// Logs what is left of bursts that are over, once their time of rest is.
    pub fn tell(&self, now: Instant) {
        for (source, reason, count) in self.due(now) {
            self.log(&source, reason, count);
        }
    }

    fn count(&self, source: &str, reason: &'static str, now: Instant) -> Option<u64> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry((source.to_owned(), reason)).or_insert(Tally { count: 0, told_at: None });
        tally.count += 1;
        tally.due(self.rest, now)
    }

    fn due(&self, now: Instant) -> Vec<(String, &'static str, u64)> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let due = tallies
            .iter_mut()
            .filter_map(|((source, reason), tally)| Some((source, *reason, tally.due(self.rest, now)?)));
        due.map(|(source, reason, count)| (source.clone(), reason, count)).collect()
    }

    fn log(&self, source: &str, reason: &'static str, count: u64) {
        tracing::warn!(source.name = source, reason, count, "{}", self.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn each_minute() -> Warnings {
        Warnings::new("webhooks are refused", MINUTE)
    }

    #[test]
    fn each_source_and_reason_is_told_once_a_minute_with_the_count() {
        let (warnings, begin) = (each_minute(), Instant::now());
        let at = |second| begin + Duration::from_secs(second);
        let count = |second| warnings.count("a", "missing", at(second));
        assert_eq!(count(0), Some(1));
        assert_eq!(warnings.count("a", "stale", at(0)), Some(1));
        assert_eq!(warnings.count("b", "missing", at(0)), Some(1));
        assert!((1..60).all(|second| count(second).is_none()));
        assert_eq!(count(60), Some(60));
        assert_eq!(count(61), None);
    }

    #[test]
    fn the_rest_of_a_burst_is_told_when_its_minute_is_over() {
        let (warnings, begin) = (each_minute(), Instant::now());
        assert_eq!(warnings.due(begin), []);
        for _ in 0..1000 {
            warnings.count("a", "missing", begin);
        }
        assert_eq!(warnings.due(begin + MINUTE / 2), []);
        assert_eq!(warnings.due(begin + MINUTE), [("a".to_owned(), "missing", 999)]);
        assert_eq!(warnings.due(begin + MINUTE * 9), [], "silence is not told");
    }
}
