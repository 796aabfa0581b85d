//! The times of a request, and which of them an endpoint takes.

use super::Refusal;
use super::calls::stamp;
use crate::event::time::Time;
use crate::provider::double::Request;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What was asked for. Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

/// What an endpoint takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    youngest_ms: i64,
    oldest_ms: i64,
    widest_ms: i64,
}

impl Bounds {
    /// Counts and records of a partner: one hour at most, between 5 minutes and 48 hours ago.
    pub(super) fn of_partner(reach_h: u32) -> Self {
        Self { youngest_ms: 5 * MINUTE_MS, oldest_ms: i64::from(reach_h) * HOUR_MS, widest_ms: HOUR_MS }
    }

    /// `cdr_feed`: 12 hours at most, between 5 minutes and 30 days ago.
    pub(super) fn of_feed() -> Self {
        Self { youngest_ms: 5 * MINUTE_MS, oldest_ms: 30 * 24 * HOUR_MS, widest_ms: 12 * HOUR_MS }
    }

    /// `cdr_stream`: 2 hours at most, between 1 minute and 12 hours ago.
    pub(super) fn of_stream() -> Self {
        Self { youngest_ms: MINUTE_MS, oldest_ms: 12 * HOUR_MS, widest_ms: 2 * HOUR_MS }
    }

    /// Reads the times of a request, and refuses them if they are outside and that is enforced.
    pub(super) fn read(self, request: &Request, now: Time, enforced: bool) -> Result<Span, Refusal> {
        let span = Span { from_ms: moment_ms(request, "startTime")?, to_ms: moment_ms(request, "endTime")? };
        let problem = if enforced { self.problem(span, now.unix_ms()) } else { None };
        let backwards = (span.to_ms < span.from_ms).then(|| "End time is before start time".to_owned());
        backwards.or(problem).map_or(Ok(span), |problem| Err(Refusal::new(400, problem)))
    }

    fn problem(self, span: Span, now_ms: i64) -> Option<String> {
        if span.to_ms > now_ms - self.youngest_ms {
            return Some(format!("End time is not older than {}", length(self.youngest_ms)));
        }
        if span.from_ms < now_ms - self.oldest_ms {
            return Some(format!("Start time is older than {}", length(self.oldest_ms)));
        }
        (span.to_ms - span.from_ms > self.widest_ms)
            .then(|| format!("Time duration is more than {}", length(self.widest_ms)))
    }
}

/// Only the documented form is one: three digits of a second, and `Z`.
fn moment_ms(request: &Request, name: &str) -> Result<i64, Refusal> {
    let text = request.pair(name).ok_or_else(|| Refusal::new(400, format!("The parameter {name} is missing")))?;
    let moment_ms = Time::parse_iso(&text).map(Time::unix_ms).filter(|moment_ms| stamp(*moment_ms) == *text);
    moment_ms
        .ok_or_else(|| Refusal::new(400, format!("The parameter {name} is not of the form YYYY-MM-DDTHH:MM:SS.mmmZ")))
}

fn length(length_ms: i64) -> String {
    match length_ms {
        MINUTE_MS => "1 minute".to_owned(),
        length_ms if length_ms <= HOUR_MS => format!("{} minutes", length_ms / MINUTE_MS),
        length_ms if length_ms <= 48 * HOUR_MS => format!("{} hours", length_ms / HOUR_MS),
        length_ms => format!("{} days", length_ms / HOUR_MS / 24),
    }
}
