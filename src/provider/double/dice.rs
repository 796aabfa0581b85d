//! Chance that is the same in every run: numbers made of a seed and of what they decide.
//!
//! A generator that goes on from number to number would make each fact hang on all that were asked for before. Here a
//! fact is the same whoever asks for it and whenever, also after a restart.

use sha2::{Digest, Sha256};

/// One throw, of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throw(u64);

/// Throws for one decision about one thing.
pub fn throw(seed: u64, thing: u64, decision: &str) -> Throw {
    let digest = digest(seed, thing, decision);
    Throw(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// An id in the form of a UUID of version 3, as names have them, for one purpose of one thing.
pub fn uuid(seed: u64, thing: u64, purpose: &str) -> String {
    let mut bytes = [0_u8; 16];
    bytes.iter_mut().zip(digest(seed, thing, purpose)).for_each(|(byte, digit)| *byte = digit);
    uuid::Builder::from_md5_bytes(bytes).into_uuid().hyphenated().to_string()
}

fn digest(seed: u64, thing: u64, purpose: &str) -> [u8; 32] {
    Sha256::digest(format!("{seed}/{thing}/{purpose}")).into()
}

impl Throw {
    /// A number below `bound`, or 0 if that is 0.
    pub fn below(self, bound: u64) -> u64 {
        self.0.checked_rem(bound).unwrap_or(0)
    }

    /// Whether something happens that happens in `percent` of all cases.
    pub fn hits(self, percent: u8) -> bool {
        self.below(100) < u64::from(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_hang_on_seed_thing_and_decision_alone() {
        let all = [throw(1, 2, "x"), throw(2, 2, "x"), throw(1, 3, "x"), throw(1, 2, "y")];
        assert_eq!(throw(1, 2, "x"), all[0]);
        for (place, one) in all.iter().enumerate() {
            assert!(!all[place + 1..].contains(one));
        }
        assert!(uuid::Uuid::try_parse(&uuid(1, 2, "x")).is_ok_and(|id| id.get_version_num() == 3));
    }

    #[test]
    fn hits_are_about_as_many_as_was_asked_for() {
        for percent in [0, 5, 50, 100] {
            let hits = (0..10_000).filter(|thing| throw(7, *thing, "lose").hits(percent)).count();
            let wanted = usize::from(percent) * 100;
            assert!(hits.abs_diff(wanted) < 200, "{percent}: {hits}");
        }
        assert_eq!(throw(1, 1, "").below(0), 0);
    }
}
