//! What keeps a record of the state topic small.

/// Accounts with unexplained rows, of all open windows together.
pub(super) const ACCOUNTS_AT_MOST: usize = 100;

/// Accounts with a region of their own.
pub(super) const REGIONS_AT_MOST: usize = 100;

/// Reports that were asked for.
pub(super) const REPORTS_AT_MOST: usize = 20;

/// Windows of a run that are done, joined where they are adjacent.
pub(super) const RANGES_AT_MOST: usize = 1000;

const SHORT_BYTES: usize = 100;

const WHY_CHARACTERS: usize = 24;

/// Whether a text may stand in a record. What is longer is only told in the log.
pub(super) fn is_short(text: &str) -> bool {
    text.len() <= SHORT_BYTES
}

/// The beginning of a text.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(WHY_CHARACTERS).collect()
}
