//! Long stretches of time, in pieces that may be asked for: none ends after the month that follows its first one.

use crate::event::time::Time;

use super::times::written;

/// The pieces of a stretch without its last instant, each with the last second that belongs to it. A piece begins with
/// the second that ended the one before, in which something may have happened after it was told.
pub(super) fn pieces(from: Time, to: Time, utc_offset_min: i64) -> Vec<(Time, Time)> {
    let (mut pieces, mut begins, last) = (Vec::new(), from, to.plus_s(-1));
    while begins <= last {
        let ends = last_allowed(begins, utc_offset_min).map_or(last, |allowed| allowed.min(last));
        pieces.push((begins, ends));
        if ends <= begins || ends == last {
            break;
        }
        begins = ends;
    }
    pieces
}

/// The last second of the month after that of a time, in the zone in which the API reads times.
fn last_allowed(time: Time, utc_offset_min: i64) -> Option<Time> {
    let local = written(time, utc_offset_min);
    let year: u32 = local.get(..4)?.parse().ok()?;
    let month: u32 = local.get(5..7)?.parse().ok()?;
    // Months are counted from 0, and two later is the first that is too late.
    let months = year * 12 + (month - 1) + 2;
    let first = Time::parse_iso(&format!("{:04}-{:02}-01T00:00:00Z", months / 12, months % 12 + 1))?;
    Some(first.plus_s(-utc_offset_min * 60 - 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Time {
        Time::parse_iso(text).unwrap()
    }

    fn told(from: &str, to: &str, utc_offset_min: i64) -> Vec<String> {
        let pieces = pieces(time(from), time(to), utc_offset_min);
        pieces.iter().map(|(begins, ends)| format!("{begins} {ends}")).collect()
    }

    #[test]
    fn no_piece_ends_after_the_month_that_follows_its_first_one() {
        assert_eq!(
            told("2026-01-31T00:00:00Z", "2026-03-01T00:00:00Z", 0),
            ["2026-01-31T00:00:00Z 2026-02-28T23:59:59Z"]
        );
        assert_eq!(
            told("2025-12-05T10:00:00Z", "2026-04-01T00:00:00Z", 0),
            [
                "2025-12-05T10:00:00Z 2026-01-31T23:59:59Z",
                "2026-01-31T23:59:59Z 2026-02-28T23:59:59Z",
                "2026-02-28T23:59:59Z 2026-03-31T23:59:59Z"
            ]
        );
        // In Moscow the month begins three hours earlier.
        assert_eq!(
            told("2026-01-31T22:00:00Z", "2026-04-01T00:00:00Z", 180),
            ["2026-01-31T22:00:00Z 2026-03-31T20:59:59Z", "2026-03-31T20:59:59Z 2026-03-31T23:59:59Z"]
        );
        assert!(told("2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z", 0).is_empty());
    }

    proptest! {
        #[test]
        fn pieces_hold_all_of_a_stretch_and_none_is_too_long(
            from_s in 1_600_000_000_i64..1_800_000_000, length_s in 1_i64..40_000_000, utc_offset_min in -840..=840_i64
        ) {
            let from = Time::from_unix_seconds(from_s).unwrap();
            let pieces = pieces(from, from.plus_s(length_s), utc_offset_min);
            prop_assert_eq!((pieces[0].0, pieces[pieces.len() - 1].1), (from, from.plus_s(length_s - 1)));
            prop_assert!(pieces.windows(2).all(|pair| pair[0].1 == pair[1].0));
            prop_assert!(pieces.iter().all(|(begins, ends)| ends.unix_seconds() - begins.unix_seconds() < 63 * 86_400));
        }
    }
}
