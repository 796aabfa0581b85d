//! The provider's quota of requests, of which a share is left to the account's other programs.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::provider::api::Answer;

/// How long to wait where the answer does not say when the quota begins anew. Quotas are of an hour at most.
const OTHERWISE: Duration = Duration::from_secs(3600);

/// What the answers tell of the quota.
#[derive(Debug)]
pub(super) struct Quota {
    reserve_percent: u32,
    begins_anew: Mutex<Option<Instant>>,
}

impl Quota {
    pub(super) fn new(reserve_percent: u32) -> Self {
        Self { reserve_percent, begins_anew: Mutex::default() }
    }

    /// Notes what an answer tells. The newest answer counts, since others use the quota too.
    pub(super) fn note(&self, answer: &Answer) {
        if let Some(wait) = self.wait_by(answer) {
            let mut begins_anew = self.begins_anew.lock().unwrap_or_else(PoisonError::into_inner);
            *begins_anew = Instant::now().checked_add(wait).filter(|_| !wait.is_zero());
        }
    }

    /// How long to wait by what an answer says; nothing where it says nothing of a quota.
    fn wait_by(&self, answer: &Answer) -> Option<Duration> {
        let limit = told(answer, "limit")?;
        let remaining = told(answer, "remaining")?;
        let is_reserved = self.reserve_percent > 0
            && remaining.saturating_mul(100) < limit.saturating_mul(u64::from(self.reserve_percent));
        let reset = told(answer, "reset").map_or(OTHERWISE, Duration::from_secs);
        Some(if is_reserved { reset.min(OTHERWISE) } else { Duration::ZERO })
    }

    /// How long it is until more may be asked.
    pub(super) fn wait(&self) -> Option<Duration> {
        let begins_anew = *self.begins_anew.lock().unwrap_or_else(PoisonError::into_inner);
        begins_anew
            .map(|begins_anew| begins_anew.saturating_duration_since(Instant::now()))
            .filter(|wait| !wait.is_zero())
    }
}

fn told(answer: &Answer, what: &str) -> Option<u64> {
    ["x-ratelimit-", "ratelimit-"]
        .iter()
        .find_map(|prefix| answer.header(&format!("{prefix}{what}"))?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(limit: &str, remaining: &str, reset: &str) -> Answer {
        let named = [("limit", limit), ("remaining", remaining), ("reset", reset)];
        let given = named.iter().filter(|(_, value)| !value.is_empty());
        let headers = given.map(|(name, value)| (format!("x-ratelimit-{name}"), (*value).to_owned())).collect();
        Answer { headers, ..Answer::default() }
    }

    #[test]
    fn what_is_reserved_is_left_until_the_quota_begins_anew() {
        for (reserve_percent, limit, remaining, reset, wait_s) in [
            (20, "1000", "200", "60", Some(0)),
            (20, "1000", "199", "60", Some(60)),
            (20, "1000", "0", "", Some(3600)),
            (20, "1000", "0", "86400", Some(3600)),
            (0, "1000", "0", "60", Some(0)),
            (90, "100", "89", " 7 ", Some(7)),
            (20, "1000", "many", "60", None),
            (20, "", "0", "60", None),
        ] {
            let told = Quota::new(reserve_percent).wait_by(&answer(limit, remaining, reset));
            assert_eq!(told.map(|wait| wait.as_secs()), wait_s, "{reserve_percent} {limit} {remaining} {reset}");
        }
    }

    #[test]
    fn the_newest_answer_counts_and_one_that_tells_nothing_changes_nothing() {
        let quota = Quota::new(20);
        assert_eq!(quota.wait(), None);
        quota.note(&answer("100", "3", "900"));
        quota.note(&Answer::default());
        assert!(quota.wait().is_some_and(|wait| wait > Duration::from_secs(600)));
        quota.note(&answer("100", "99", "3600"));
        assert_eq!(quota.wait(), None);
    }
}
