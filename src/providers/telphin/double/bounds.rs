//! The stretch of time that a request asks for.

use super::Refusal;
use super::manners::Manners;
use crate::event::time::Time;
use crate::provider::double::Request;

/// Both ends belong to it, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

impl Span {
    /// Reads `start_datetime` and `end_datetime`, which are obligatory.
    pub(super) fn read(request: &Request, manners: &Manners) -> Result<Self, Refusal> {
        let (from, start) = time(request, "start_datetime")?;
        let (to, end) = time(request, "end_datetime")?;
        if manners.limits && months(&end) > months(&start) + 1 {
            let message = "The period is too long: it ends after the month that follows its first one";
            return Err(Refusal::new(400, message));
        }
        let zone_ms = manners.zone_min * 60_000;
        // A fraction of the last second belongs to it.
        Ok(Self { from_ms: from.unix_ms() - zone_ms, to_ms: to.unix_ms() - zone_ms + 999 })
    }
}

fn time(request: &Request, name: &str) -> Result<(Time, String), Refusal> {
    let text = request.pair(name).unwrap_or_default().into_owned();
    let time = Some(&text).filter(|text| text.len() == 19).and_then(|text| Time::parse_utc_without_zone(text));
    let refusal = || Refusal::new(400, format!("{name} is not of the form YYYY-MM-DD HH:MM:SS"));
    time.map(|time| (time, text)).ok_or_else(refusal)
}

/// Months since the year 0.
fn months(text: &str) -> i64 {
    let number = |part: Option<&str>| part.and_then(|digits| digits.parse().ok()).unwrap_or(0_i64);
    number(text.get(..4)) * 12 + number(text.get(5..7))
}
