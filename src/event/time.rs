//! Points in time: reading the providers' formats, printing one.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The first second of the year 1, since the Unix epoch.
const YEAR_1_S: i64 = -62_135_596_800;

/// An instant, printed as RFC 3339 in UTC with `Z` and the shortest exact fraction, at most
/// microseconds; anything finer is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(jiff::Timestamp);

impl Time {
    /// The time on the system clock, in whole milliseconds. Only the edges of the program call this:
    /// everything inside is given the time.
    pub fn now() -> Self {
        let now = jiff::Timestamp::now();
        Self(jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now))
    }

    /// Reads ISO 8601 text with an offset: `Z`, `+00:00` and `+0000`, with or without a fraction.
    ///
    /// Years outside 1 to 9999 can not be printed as RFC 3339 and are not accepted.
    pub fn parse_iso(text: &str) -> Option<Self> {
        Self::in_range(text.trim().parse().ok()?)
    }

    /// Reads `YYYY-MM-DD HH:MM:SS` (a `T` is accepted too) that a provider documents as UTC.
    pub fn parse_utc_without_zone(text: &str) -> Option<Self> {
        let civil: DateTime = text.trim().parse().ok()?;
        Self::in_range(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }

    /// Seconds since the Unix epoch.
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        Self::in_range(jiff::Timestamp::from_second(seconds).ok()?)
    }

    /// Milliseconds since the Unix epoch.
    pub fn from_unix_ms(milliseconds: i64) -> Option<Self> {
        Self::in_range(jiff::Timestamp::from_millisecond(milliseconds).ok()?)
    }

    /// Microseconds since the Unix epoch.
    pub fn from_unix_us(microseconds: i64) -> Option<Self> {
        Self::in_range(jiff::Timestamp::from_microsecond(microseconds).ok()?)
    }

    /// The instant so many microseconds earlier, if it can be printed.
    pub fn minus_us(self, microseconds: u64) -> Option<Self> {
        let earlier = self.0.as_microsecond().checked_sub(i64::try_from(microseconds).ok()?)?;
        Self::from_unix_us(earlier)
    }

    /// Whole seconds since the Unix epoch.
    pub fn unix_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// Whole milliseconds since the Unix epoch.
    pub fn unix_ms(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Whole microseconds since the Unix epoch.
    pub fn unix_us(self) -> i64 {
        self.0.as_microsecond()
    }

    fn in_range(timestamp: jiff::Timestamp) -> Option<Self> {
        if timestamp.as_second() < YEAR_1_S {
            return None;
        }
        jiff::Timestamp::from_microsecond(timestamp.as_microsecond()).ok().map(Self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_iso(&text).ok_or_else(|| D::Error::custom("no time in ISO 8601 with an offset"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(text: &str) -> Option<String> {
        Time::parse_iso(text).map(|time| time.to_string())
    }

    #[test]
    fn offsets_and_fractions_become_utc_with_the_shortest_fraction() {
        for (text, printed) in [
            ("2025-02-03T12:14:25Z", "2025-02-03T12:14:25Z"),
            ("2020-01-01T14:00:00.000Z", "2020-01-01T14:00:00Z"),
            ("2020-01-01T14:00:00.120+00:00", "2020-01-01T14:00:00.12Z"),
            ("2019-02-27T00:00:00+0000", "2019-02-27T00:00:00Z"),
            ("2019-02-27T02:00:00+02:00", "2019-02-27T00:00:00Z"),
            ("2020-07-01T20:45:41.1234567Z", "2020-07-01T20:45:41.123456Z"),
        ] {
            assert_eq!(iso(text).as_deref(), Some(printed), "{text}");
        }
    }

    #[test]
    fn text_without_an_offset_and_unprintable_years_are_not_instants() {
        assert_eq!(iso("0001-01-01T00:00:00Z").as_deref(), Some("0001-01-01T00:00:00Z"));
        for text in [
            "0000-12-31T23:59:59Z",
            "2025-02-03T12:14:25",
            "2025-02-03",
            "yesterday",
            "",
            "-000001-01-01T00:00:00Z",
            "1700000000",
        ] {
            assert_eq!(iso(text), None, "{text}");
        }
    }

    #[test]
    fn times_documented_as_utc_need_no_zone() {
        let time = Time::parse_utc_without_zone("2013-11-21 17:31:42").unwrap();
        assert_eq!(time.unix_seconds(), 1_385_055_102);
    }

    #[test]
    fn microseconds_are_exact_and_can_be_taken_off() {
        let time = Time::from_unix_us(1_766_736_711_480_097).unwrap();
        assert_eq!(time.to_string(), "2025-12-26T08:11:51.480097Z");
        assert_eq!(time.minus_us(7_529_999).unwrap().to_string(), "2025-12-26T08:11:43.950098Z");
        assert_eq!(time.minus_us(u64::MAX), None);
        assert_eq!(time.minus_us(99_999_999_999_999_999), None);
        assert_eq!(Time::from_unix_us(i64::MAX), None);
    }
}
