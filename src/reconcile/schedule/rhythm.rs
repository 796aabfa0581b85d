//! When a source sweeps: at multiples of its interval since 1970, and a fixed time after each that comes from its name,
//! so that sources and replicas do not all ask at once, and a restart changes nothing.

use sha2::{Digest as _, Sha256};

use crate::event::time::Time;

/// Seconds after each multiple of the interval at which a source sweeps, less than the interval.
pub fn offset_s(source_name: &str, every_s: u32) -> u32 {
    let digest = Sha256::digest(source_name);
    let number = digest.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    u32::try_from(number % u64::from(every_s.max(1))).unwrap_or_default()
}

/// The first sweep after an instant.
pub fn next_sweep(after: Time, source_name: &str, every_s: u32) -> Time {
    let interval_s = i64::from(every_s.max(1));
    let since_last_s = (after.unix_seconds() - i64::from(offset_s(source_name, every_s))).rem_euclid(interval_s);
    let second = Time::from_unix_seconds(after.unix_seconds()).unwrap_or(after);
    second.plus_s(interval_s - since_last_s)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sources_sweep_at_different_times_and_each_always_at_the_same() {
        let offsets: Vec<u32> = ["webex-a", "webex-b", "vonage"].map(|name| offset_s(name, 3600)).into();
        assert_eq!(offsets, ["webex-a", "webex-b", "vonage"].map(|name| offset_s(name, 3600)));
        assert!(offsets[0] != offsets[1] && offsets[1] != offsets[2], "{offsets:?}");
        assert_eq!(offset_s("a", 1), 0);
    }

    proptest! {
        #[test]
        fn the_next_sweep_is_the_only_one_within_an_interval(
            name in "[a-z]{1,8}", every_s in 10_u32..86_400, us in 0_i64..4_000_000_000_000_000,
        ) {
            let after = Time::from_unix_us(us).unwrap();
            let next = next_sweep(after, &name, every_s);
            let wait_us = next.unix_us() - after.unix_us();
            prop_assert!(0 < wait_us && wait_us <= i64::from(every_s) * 1_000_000, "{wait_us}");
            prop_assert_eq!(next.unix_us() % 1_000_000, 0);
            prop_assert_eq!(next_sweep(next, &name, every_s), next.plus_s(every_s.into()));
        }
    }
}
