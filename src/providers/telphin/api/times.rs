//! Times as the API writes them: `2026-02-03 12:14:26`, with or without a fraction, and without a zone.

use crate::event::time::Time;
use crate::json::{Members, Text};

/// Characters of a time without fraction and zone.
const WRITTEN_CHARS: usize = 19;

/// Reads a time, which is one of UTC. One with a zone is read too.
pub(super) fn time(text: Text<'_>) -> Option<Time> {
    Time::parse_iso(&text).or_else(|| Time::parse_utc_without_zone(&text))
}

/// The time of a member.
pub(super) fn time_of(members: &Members<'_>, name: &str) -> Option<Time> {
    members.read(name, time)
}

/// Writes a time as the API reads it in a zone. What is finer than a second is cut off.
pub(super) fn written(time: Time, utc_offset_min: i64) -> String {
    let local = time.plus_s(utc_offset_min * 60).to_string();
    local.chars().take(WRITTEN_CHARS).map(|character| if character == 'T' { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_written_in_the_zone_in_which_they_are_read() {
        let at = Time::parse_iso("2026-02-28T22:30:05.98Z").unwrap();
        for (utc_offset_min, text) in
            [(0, "2026-02-28 22:30:05"), (180, "2026-03-01 01:30:05"), (-840, "2026-02-28 08:30:05")]
        {
            assert_eq!(written(at, utc_offset_min), text);
        }
    }

    #[test]
    fn times_are_read_with_and_without_a_fraction() {
        for text in ["2026-02-03 12:14:26.5", "2026-02-03T12:14:26.50Z", "2026-02-03 15:14:26.5+03:00"] {
            assert_eq!(time(text.into()).unwrap().to_string(), "2026-02-03T12:14:26.5Z", "{text}");
        }
        assert_eq!(time("2026-02-03 12:14:26".into()).unwrap().to_string(), "2026-02-03T12:14:26Z");
        assert_eq!(time("0000-00-00 00:00:00".into()), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(unix_s in 0..4_102_444_800_i64, utc_offset_min in -840..=840_i64) {
            let at = Time::from_unix_seconds(unix_s).unwrap();
            let read = time(written(at, utc_offset_min).into()).unwrap();
            prop_assert_eq!(read.plus_s(-utc_offset_min * 60), at);
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[0-9:. TZ+-]{0,30}") {
            time(text.into());
        }
    }
}
