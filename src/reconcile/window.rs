//! Closed stretches of time, and the grid of the UTC hour on which they lie.
//!
//! Everything that is compared has its place in a *cell*, one account in one hour, whatever was asked of the provider at
//! once. So windows can be joined for a request and taken apart for its answer without moving a row.

use crate::event::time::Time;

/// Seconds of a window of the grid.
pub const HOUR_S: i64 = 3600;

const HOUR_US: i64 = HOUR_S * 1_000_000;

/// From an instant up to another one, which is outside of it. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    from: Time,
    to: Time,
}

/// The hour of the grid in which an instant lies, as its first instant.
pub fn hour_of(time: Time) -> Time {
    Time::from_unix_us(time.unix_us().div_euclid(HOUR_US).saturating_mul(HOUR_US)).unwrap_or(time)
}

impl Window {
    /// The window between two instants; none where the second is not later.
    pub fn new(from: Time, to: Time) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    /// The hour of the grid in which an instant lies; for the last instant of all times, the last hour.
    pub fn hour_at(time: Time) -> Self {
        let to = hour_of(time).plus_s(HOUR_S);
        Self { from: to.plus_s(-HOUR_S), to }
    }

    /// Its first instant.
    pub fn from(self) -> Time {
        self.from
    }

    /// The first instant after it.
    pub fn to(self) -> Time {
        self.to
    }

    /// Whether an instant lies in it.
    pub fn contains(self, time: Time) -> bool {
        self.from <= time && time < self.to
    }

    /// Whether it is one hour of the grid.
    pub fn is_of_the_grid(self) -> bool {
        self == Self::hour_at(self.from)
    }

    /// Its length in seconds, a part of one being counted as a whole.
    pub fn length_s(self) -> i64 {
        let length_us = self.to.unix_us().saturating_sub(self.from.unix_us());
        length_us.saturating_add(999_999) / 1_000_000
    }

    /// Its parts on the grid, oldest first. The first and the last may be parts of hours.
    pub fn hours(self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.part_from(self.from), move |part| self.part_from(part.to))
    }

    fn part_from(self, from: Time) -> Option<Self> {
        Self::new(from, Self::hour_at(from).to.min(self.to))
    }

    /// The window with so many seconds more on each side.
    pub fn widened_s(self, margin_s: u32) -> Self {
        let margin_s = i64::from(margin_s);
        Self { from: self.from.plus_s(-margin_s), to: self.to.plus_s(margin_s) }
    }
}

/// Joins windows of which each begins where the one before it ends, as long as the whole is no longer than `widest_s`
/// seconds. What is longer by itself stays as it is. The order is kept.
pub fn join(windows: impl IntoIterator<Item = Window>, widest_s: i64) -> Vec<Window> {
    let mut joined: Vec<Window> = Vec::new();
    for window in windows {
        let last = joined.last_mut().filter(|last| last.to == window.from);
        match last {
            Some(last) if (Window { from: last.from, to: window.to }).length_s() <= widest_s => last.to = window.to,
            _ => joined.push(window),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Time {
        Time::parse_iso(text).unwrap()
    }

    fn window(from_s: i64, to_s: i64) -> Window {
        Window::new(Time::from_unix_seconds(from_s).unwrap(), Time::from_unix_seconds(to_s).unwrap()).unwrap()
    }

    #[test]
    fn a_window_holds_its_first_instant_and_not_its_last() {
        let hour = Window::hour_at(time("2026-02-03T09:59:59.999999Z"));
        assert_eq!((hour.from(), hour.to()), (time("2026-02-03T09:00:00Z"), time("2026-02-03T10:00:00Z")));
        assert!(hour.contains(hour.from()) && !hour.contains(hour.to()));
        assert_eq!(Window::new(hour.to(), hour.to()), None);
        assert_eq!(Window::new(hour.to(), hour.from()), None);
    }

    #[test]
    fn hours_are_of_utc_also_before_1970() {
        assert_eq!(hour_of(time("2026-02-03T09:30:00+05:45")), time("2026-02-03T03:00:00Z"));
        assert_eq!(hour_of(time("1969-12-31T23:59:59.9Z")), time("1969-12-31T23:00:00Z"));
        assert_eq!(hour_of(time("0001-01-01T00:00:00Z")), time("0001-01-01T00:00:00Z"));
    }

    #[test]
    fn the_end_of_all_times_has_an_hour_too() {
        let last = Time::from_unix_seconds(0).unwrap().plus_s(i64::MAX);
        let hour = Window::hour_at(last);
        assert!(hour.from() < hour.to() && hour.to() == last);
        assert_eq!(hour.hours().count(), 1);
    }

    #[test]
    fn adjacent_windows_are_joined_as_far_as_is_allowed() {
        let hours: Vec<Window> = window(0, 5 * HOUR_S).hours().collect();
        assert_eq!(hours.len(), 5);
        let apart = [hours[0], hours[1], hours[3], hours[4]];
        assert_eq!(join(apart, 24 * HOUR_S), [window(0, 2 * HOUR_S), window(3 * HOUR_S, 5 * HOUR_S)]);
        assert_eq!(join(hours.clone(), 2 * HOUR_S).len(), 3);
        assert_eq!(join(hours.clone(), HOUR_S), hours);
        assert_eq!(join(hours.clone(), 1), hours, "what is too long alone can not be made shorter here");
        assert_eq!(join([hours[1], hours[0]], 24 * HOUR_S), [hours[1], hours[0]]);
    }

    #[test]
    fn a_margin_lies_on_both_sides() {
        assert_eq!(window(3600, 7200).widened_s(1), window(3599, 7201));
    }

    proptest! {
        #[test]
        fn parts_on_the_grid_make_up_the_whole(from_s in -100_000_i64..100_000, length_s in 1_i64..200_000) {
            let whole = window(from_s, from_s + length_s);
            let parts: Vec<Window> = whole.hours().collect();
            prop_assert_eq!(join(parts.clone(), length_s), vec![whole]);
            prop_assert_eq!(parts.iter().map(|part| part.length_s()).sum::<i64>(), length_s);
            for part in parts {
                prop_assert_eq!(hour_of(part.from()), Window::hour_at(part.to().plus_s(-1)).from());
            }
        }

        #[test]
        fn joining_loses_and_moves_nothing(
            starts in proptest::collection::btree_set(0_i64..60, 0..40),
            widest_h in 1_i64..30,
        ) {
            let hours: Vec<Window> = starts.iter().map(|start| window(start * HOUR_S, (start + 1) * HOUR_S)).collect();
            let joined = join(hours.clone(), widest_h * HOUR_S);
            let back: Vec<Window> = joined.iter().flat_map(|window| window.hours()).collect();
            prop_assert_eq!(back, hours);
            prop_assert!(joined.iter().all(|window| window.length_s() <= widest_h * HOUR_S));
        }
    }
}
