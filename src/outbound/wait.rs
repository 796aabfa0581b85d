//! How long to wait before something is asked again.

use std::time::Duration;

use rand::Rng as _;

use crate::event::time::Time;
use crate::provider::api::Answer;

/// What a provider says is waited for so long before the question is given up for now.
pub(super) const LONGEST_ON_THE_SPOT: Duration = Duration::from_secs(900);

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
const TRIES: u32 = 6;

const BUSY_FIRST: Duration = Duration::from_secs(2);
const BUSY_LONGEST: Duration = Duration::from_secs(30);

/// Waits before the second and each further try: any time up to a bound that doubles, so that many who failed together
/// do not come back together.
pub(super) fn delays() -> impl Iterator<Item = Duration> + Send {
    let bounds = (0..TRIES - 1).map(|tried| (FIRST * 2_u32.pow(tried)).min(LONGEST));
    bounds.map(|bound| bound.mul_f64(rand::rng().random_range(0.0..=1.0)))
}

/// The wait while something else that was asked of the account is under way: 2 s at first, doubled up to 30 s.
pub(super) fn busy_wait(waited: u32) -> Duration {
    (BUSY_FIRST * 2_u32.pow(waited.min(4))).min(BUSY_LONGEST)
}

/// What an answer says of how long to wait: seconds, or a date (RFC 9110 section 10.2.3).
pub(super) fn told_wait(answer: &Answer) -> Option<Duration> {
    let told = answer.header("retry-after")?.trim();
    if let Ok(seconds) = told.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // Dates are told by the provider's own clock.
    let now = answer.header("date").and_then(http_date).unwrap_or_else(Time::now);
    let wait_s = http_date(told)?.unix_seconds() - now.unix_seconds();
    Some(Duration::from_secs(wait_s.try_into().unwrap_or(0)))
}

/// A date as HTTP writes it (RFC 9110 section 5.6.7), in the form that is not obsolete.
pub(super) fn http_date(text: &str) -> Option<Time> {
    let seconds = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_second();
    Time::from_unix_seconds(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_of(headers: &[(&str, &str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        told_wait(&Answer { headers, ..Answer::default() }).map(|wait| wait.as_secs())
    }

    #[test]
    fn waits_are_told_in_seconds_or_by_a_date() {
        let date = ("date", "Tue, 03 Feb 2026 12:14:26 GMT");
        assert_eq!(wait_of(&[("retry-after", " 7 ")]), Some(7));
        assert_eq!(wait_of(&[date, ("retry-after", "Tue, 03 Feb 2026 12:15:00 GMT")]), Some(34));
        assert_eq!(wait_of(&[date, ("retry-after", "Tue, 03 Feb 2026 12:14:00 GMT")]), Some(0));
        assert_eq!(wait_of(&[date]), None);
        assert_eq!(wait_of(&[("retry-after", "soon")]), None);
        assert_eq!(wait_of(&[("retry-after", "-3")]), None);
    }

    #[test]
    fn waits_for_another_question_double_up_to_half_a_minute() {
        let waits_s = [0, 1, 2, 3, 4, 5, 19].map(|waited| busy_wait(waited).as_secs());
        assert_eq!(waits_s, [2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn waits_that_nobody_tells_grow_up_to_a_bound() {
        for _ in 0..100 {
            let waits: Vec<Duration> = delays().collect();
            assert_eq!(waits.len(), 5);
            for (wait, bound_s) in waits.iter().zip([1, 2, 4, 8, 16]) {
                assert!(*wait <= Duration::from_secs(bound_s), "{wait:?}");
            }
        }
    }
}
