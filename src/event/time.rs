//! Points in time: reading the providers' formats, printing one.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The first second of the year 1, since the Unix epoch.
const YEAR_1_S: i64 = -62_135_596_800;

/// The last second that can be printed, since the Unix epoch: a day and two hours before the year 10000.
const LAST_S: i64 = 253_402_207_200;

/// An instant, printed as RFC 3339 in UTC with `Z` and the shortest exact fraction, at most
/// microseconds; anything finer is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(jiff::Timestamp);

impl Time {
    /// The moment from which Unix counts.
    pub const EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

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

    /// The instant so many seconds later, or earlier where they are negative; the first or the last one that can be
    /// printed where it lies beyond.
    pub fn plus_s(self, seconds: i64) -> Self {
        let us = self.unix_us().saturating_add(seconds.saturating_mul(1_000_000));
        let (first_us, last_us) = (YEAR_1_S * 1_000_000, LAST_S * 1_000_000);
        Self::from_unix_us(us.clamp(first_us, last_us)).unwrap_or(self)
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

    /// The time in whole seconds as HTTP's headers write it (RFC 9110, section 5.6.7); empty for years that they can not
    /// write.
    pub fn to_http_date(self) -> String {
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&self.0).unwrap_or_default()
    }

    fn in_range(timestamp: jiff::Timestamp) -> Option<Self> {
        if timestamp.as_second() < YEAR_1_S {
            return None;
        }
        jiff::Timestamp::from_microsecond(timestamp.as_microsecond()).ok().map(Self)
    }
}

/// Text of a time. Every event has several, and the general formatter of a time costs several times as much.
struct Printed {
    digits: [u8; Printed::MOST],
    length: usize,
}

impl Printed {
    /// Bytes of `2025-12-26T08:11:51.480097Z`.
    const MOST: usize = 27;

    fn of(time: Time) -> Self {
        let date = Offset::UTC.to_datetime(time.0);
        let mut text = Self { digits: [0; Self::MOST], length: 0 };
        text.number(date.year().unsigned_abs().into(), 4);
        for (separator, number) in [
            (b'-', date.month()),
            (b'-', date.day()),
            (b'T', date.hour()),
            (b':', date.minute()),
            (b':', date.second()),
        ] {
            text.byte(separator);
            text.number(number.unsigned_abs().into(), 2);
        }
        text.fraction(date.subsec_nanosecond().unsigned_abs() / 1000);
        text.byte(b'Z');
        text
    }

    /// Six digits of a second at most, and none that says nothing.
    fn fraction(&mut self, microseconds: u32) {
        if microseconds > 0 {
            self.byte(b'.');
            self.number(microseconds, 6);
            self.length -= self.digits[..self.length].iter().rev().take_while(|digit| **digit == b'0').count();
        }
    }

    fn number(&mut self, number: u32, width: usize) {
        let mut rest = number;
        for digit in self.digits[self.length..self.length + width].iter_mut().rev() {
            // Less than ten.
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.length += width;
    }

    fn byte(&mut self, byte: u8) {
        self.digits[self.length] = byte;
        self.length += 1;
    }

    fn as_str(&self) -> &str {
        // Nothing but ASCII was written.
        std::str::from_utf8(&self.digits[..self.length]).unwrap_or_default()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Printed::of(*self).as_str())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Printed::of(*self).as_str())
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
    fn headers_of_http_have_a_form_of_their_own() {
        let time = Time::parse_iso("1994-11-06T08:49:37.9Z").unwrap();
        assert_eq!(time.to_http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    proptest::proptest! {
        #[test]
        fn times_are_printed_as_the_library_prints_them(seconds in YEAR_1_S..=253_402_207_200, us in 0..1_000_000_i64) {
            for us in [us, us - us % 1000, 0] {
                let time = Time::from_unix_us(seconds * 1_000_000 + us).unwrap();
                proptest::prop_assert_eq!(time.to_string(), time.0.to_string());
            }
        }
    }

    #[test]
    fn seconds_can_be_added_as_far_as_times_can_be_printed() {
        let time = Time::parse_iso("2026-02-03T10:00:00.5Z").unwrap();
        assert_eq!(time.plus_s(3600).to_string(), "2026-02-03T11:00:00.5Z");
        assert_eq!(time.plus_s(-1).to_string(), "2026-02-03T09:59:59.5Z");
        assert_eq!(time.plus_s(i64::MIN).to_string(), "0001-01-01T00:00:00Z");
        let last = time.plus_s(i64::MAX);
        assert_eq!((last.to_string().as_str(), last.plus_s(1)), ("9999-12-30T22:00:00Z", last));
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
