//! How old, and how far ahead of our clock, a signed time may be.

use super::AuthError;
use crate::event::time::Time;

/// The window in which a signed time is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Greatest age in seconds. It must outlast the provider's retries.
    pub max_age_s: u32,
    /// Greatest lead over our clock in seconds.
    pub max_ahead_s: u32,
}

impl Freshness {
    /// Checks a signed time, in seconds since the Unix epoch, in both directions.
    ///
    /// # Errors
    /// [`AuthError::Stale`] or [`AuthError::FromTheFuture`].
    pub fn check(self, signed_at_s: i64, now: Time) -> Result<(), AuthError> {
        let age_s = i128::from(now.unix_seconds()) - i128::from(signed_at_s);
        if age_s > i128::from(self.max_age_s) {
            Err(AuthError::Stale)
        } else if -age_s > i128::from(self.max_ahead_s) {
            Err(AuthError::FromTheFuture)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_edges_are_inside_and_extremes_do_not_overflow() {
        let window = Freshness { max_age_s: 100, max_ahead_s: 10 };
        let now = Time::from_unix_seconds(1_000_000).unwrap();
        assert_eq!(window.check(999_900, now), Ok(()));
        assert_eq!(window.check(999_899, now), Err(AuthError::Stale));
        assert_eq!(window.check(1_000_010, now), Ok(()));
        assert_eq!(window.check(1_000_011, now), Err(AuthError::FromTheFuture));
        assert_eq!(window.check(i64::MIN, now), Err(AuthError::Stale));
        assert_eq!(window.check(i64::MAX, now), Err(AuthError::FromTheFuture));
    }
}
