//! A short mark of what a provider told of a window, which tells that it tells the same again.
//!
//! The marks of single things are added and not mixed in a row, so the order and the pages in which they come change nothing.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::reconcile::sought::Print;

/// The sum, modulo 2^128, of the first 16 bytes of a SHA-256 of each thing; printed as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest(u128);

impl Digest {
    /// Adds one distinct row.
    pub fn add_row(&mut self, print: Print) {
        self.add(&[b"row", &print.to_bytes()]);
    }

    /// Adds a row that can not be mapped, as the provider wrote it.
    pub fn add_unreadable(&mut self, text: &str) {
        self.add(&[b"raw", text.as_bytes()]);
    }

    /// Adds what the provider counts for an account.
    pub fn add_count(&mut self, account: &str, rows: u64) {
        self.add(&[b"sum", &rows.to_be_bytes(), account.as_bytes()]);
    }

    /// Every first part has the same length, and every middle one, so that no two lists of parts make one text.
    fn add(&mut self, parts: &[&[u8]]) {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        let number = hash.finalize().iter().take(16).fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
        self.0 = self.0.wrapping_add(number);
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(u128::from_be_bytes(bytes)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("no digest of 32 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_counts(counts: &[(String, u64)]) -> Digest {
        let mut digest = Digest::default();
        counts.iter().for_each(|(account, rows)| digest.add_count(account, *rows));
        digest
    }

    #[test]
    fn a_row_a_number_and_a_text_are_different_things() {
        let mut digests = [Digest::default(); 4];
        digests[1].add_count("row", 0);
        digests[2].add_unreadable("row");
        digests[3].add_row(Print { key: 0, id: 0, fact: 0 });
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "{index}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_accounts_changes_nothing_and_everything_else_does(
            counts in proptest::collection::vec(("[a-z]{1,4}", 0_u64..5), 1..8),
            pick in any::<prop::sample::Index>(),
        ) {
            let digest = of_counts(&counts);
            let mut turned = counts.clone();
            turned.rotate_left(pick.index(counts.len()));
            prop_assert_eq!(of_counts(&turned), digest);
            turned[0].1 += 1;
            prop_assert_ne!(of_counts(&turned), digest);
            turned.pop();
            prop_assert_ne!(of_counts(&turned), digest);
        }

        #[test]
        fn a_digest_is_read_as_it_is_printed(number in any::<u128>()) {
            let digest = Digest(number);
            prop_assert_eq!(digest.to_string().len(), 32);
            prop_assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        }
    }
}
