//! The quota of an hour, which all programs of a client share, and how answers tell it.

use super::Refusal;
use super::manners::Manners;
use crate::event::time::Time;
use crate::provider::double::Response;
use crate::provider::double::world::HOUR_MS;

/// Requests of the hour that has begun.
#[derive(Debug, Default)]
pub(super) struct Quota {
    hour: i64,
    used: u64,
}

impl Quota {
    /// Counts a request, or refuses it.
    pub(super) fn take(&mut self, manners: &Manners, now: Time) -> Result<(), Refusal> {
        let hour = now.unix_ms().div_euclid(HOUR_MS);
        if hour != self.hour {
            (self.hour, self.used) = (hour, 0);
        }
        if self.remaining(manners) == 0 {
            return Err(Refusal::new(429, "Rate limit exceeded").with_status("rate_limit_exceeded"));
        }
        self.used += 1;
        Ok(())
    }

    fn remaining(&self, manners: &Manners) -> u64 {
        manners.quota_per_hour.saturating_sub(manners.used_by_others).saturating_sub(self.used)
    }

    /// Tells the quota in an answer's headers: how many seconds it is until it begins anew, too.
    pub(super) fn tell(&self, manners: &Manners, now: Time, response: Response) -> Response {
        let reset_s = (HOUR_MS - now.unix_ms().rem_euclid(HOUR_MS)) / 1000;
        response
            .with_header("X-RateLimit-Limit", &manners.quota_per_hour.to_string())
            .with_header("X-RateLimit-Remaining", &self.remaining(manners).to_string())
            .with_header("X-RateLimit-Reset", &reset_s.to_string())
    }
}
