//! Whether the API reads the asked times in the zone that it is thought to.
//!
//! Rows tell their times in UTC. In which zone the API reads what is asked is not documented. If it is another one,
//! rows lie outside of what was asked, and all of them fit once that is moved. Nothing is corrected by itself: these
//! rows are bills.

use crate::event::time::Time;

const QUARTER_S: i64 = 900;
const QUARTER_MIN: i64 = 15;

/// No zone is further from another one: 14 hours.
const QUARTERS: i64 = 56;

/// What the rows of an answer tell.
#[derive(Debug)]
pub(super) struct Zone {
    from_s: i64,
    to_s: i64,
    /// By how many quarters of an hour what was asked may be moved, so that every row touches it.
    fitting: Vec<i64>,
    is_outside: bool,
}

impl Zone {
    pub(super) fn asked(from: Time, to: Time) -> Self {
        let fitting = (-QUARTERS..=QUARTERS).collect();
        Self { from_s: from.unix_seconds(), to_s: to.unix_seconds(), fitting, is_outside: false }
    }

    /// A call from its first to its last moment. One whose end is not told goes on.
    pub(super) fn see(&mut self, begins: Time, ends: Option<Time>) {
        let (begins_s, ends_s) = (begins.unix_seconds(), ends.map_or(i64::MAX, Time::unix_seconds));
        let (from_s, to_s) = (self.from_s, self.to_s);
        let touches = |quarters: i64| {
            let moved_s = quarters * QUARTER_S;
            begins_s <= to_s + moved_s && ends_s >= from_s + moved_s
        };
        self.is_outside |= !touches(0);
        self.fitting.retain(|quarters| touches(*quarters));
    }

    /// The offsets from UTC in minutes that would fit, if the configured one does not.
    pub(super) fn others(&self, utc_offset_min: i64) -> Option<Vec<i64>> {
        let is_wrong = self.is_outside && !self.fitting.is_empty();
        is_wrong.then(|| self.fitting.iter().map(|quarters| utc_offset_min - quarters * QUARTER_MIN).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FROM_S: i64 = 1_770_109_200;

    fn at(unix_s: i64) -> Time {
        Time::from_unix_seconds(unix_s).unwrap()
    }

    /// What an API tells that reads times in a zone: calls as (begin after the start of the window, length), in seconds.
    fn told(window_s: i64, zone_min: i64, configured_min: i64, calls: &[(i64, i64)]) -> Option<Vec<i64>> {
        let mut zone = Zone::asked(at(FROM_S), at(FROM_S + window_s));
        let moved_s = (configured_min - zone_min) * 60;
        for (begin_s, length_s) in calls {
            let begin_s = FROM_S + moved_s + begin_s;
            zone.see(at(begin_s), Some(at(begin_s + length_s)));
        }
        zone.others(configured_min)
    }

    #[test]
    fn calls_that_were_not_asked_for_show_the_zone() {
        let calls = [(0, 40), (1800, 60), (3590, 5)];
        assert_eq!(told(3600, 0, 0, &calls), None);
        assert_eq!(told(3600, 180, 180, &calls), None);
        assert_eq!(told(3600, 180, 0, &calls), Some(vec![180]));
        assert_eq!(told(3600, -840, 0, &calls), Some(vec![-840]));
        // Of a day that is moved by three hours, most calls lie where they should.
        assert_eq!(told(86_400, 180, 0, &[(0, 40), (43_200, 9), (86_390, 5)]), Some(vec![180]));
        // One call fits several zones.
        assert_eq!(told(3600, 180, 0, &[(1800, 60)]).unwrap(), [210, 195, 180, 165, 150]);
    }

    #[test]
    fn nothing_is_said_without_calls_and_where_no_zone_fits() {
        assert_eq!(told(3600, 180, 0, &[]), None);
        assert_eq!(told(3600, 0, 0, &[(0, 5), (400_000, 5)]), None, "it is no question of zones");
        let mut zone = Zone::asked(at(FROM_S), at(FROM_S + 3600));
        zone.see(at(FROM_S - 7200), None);
        assert_eq!(zone.others(0), None, "a call that goes on touches every window after its start");
    }

    proptest! {
        #[test]
        fn the_right_zone_is_never_called_wrong_and_a_wrong_one_names_the_right_one(
            zone in -56_i64..=56, configured in -56_i64..=56, calls in prop::collection::vec((0..=3600_i64, 0..500_i64), 1..9)
        ) {
            let told = told(3600, zone * 15, configured * 15, &calls);
            if zone == configured {
                prop_assert_eq!(told, None);
            } else if let Some(others) = told {
                prop_assert!((configured - zone).abs() > 56 || others.contains(&(zone * 15)));
            }
        }
    }
}
