//! How fast a sender must be, told without a clock: in slices of time that this process has waited through.
//!
//! A slice that took longer, because the process was stopped or its machine suspended, is one slice all the
//! same. So nobody is told to be slow for a time in which nobody could have been heard.

use std::time::Duration;

/// Slices of a window. A stop costs the sender one of them at most.
const SLICES: u32 = 10;

/// The least rate. A slow phone line brings ten times as much.
const LEAST_BYTES_PER_S: u128 = 500;

/// The pace of one sender. In each window it must bring a least number of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    slice: Duration,
    least: usize,
    slices: u32,
    bytes: usize,
}

/// A window has passed, and too little has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSlow;

impl Pace {
    /// A pace with a least rate, which holds for windows of this length.
    pub fn rate(window: Duration) -> Self {
        let least = usize::try_from(window.as_millis() * LEAST_BYTES_PER_S / 1000).unwrap_or(usize::MAX);
        Self { slice: window / SLICES, least: least.max(1), slices: 0, bytes: 0 }
    }

    /// One window for everything, whatever comes in it.
    pub fn deadline(window: Duration) -> Self {
        Self { slice: window / SLICES, least: usize::MAX, slices: 0, bytes: 0 }
    }

    /// How long to wait until [`Self::slice_over`] is called.
    pub fn slice(self) -> Duration {
        self.slice
    }

    /// Counts what came.
    pub fn came(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Counts a slice.
    ///
    /// # Errors
    /// [`TooSlow`] when that was the last one of a window with too little in it.
    pub fn slice_over(&mut self) -> Result<(), TooSlow> {
        self.slices += 1;
        if self.slices < SLICES {
            return Ok(());
        }
        let enough = self.bytes >= self.least;
        (self.slices, self.bytes) = (0, 0);
        if enough { Ok(()) } else { Err(TooSlow) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many slices pass until it is too slow, with so many bytes in each.
    fn slices(mut pace: Pace, bytes: usize) -> Option<u32> {
        (1..=100).find(|_| {
            pace.came(bytes);
            pace.slice_over().is_err()
        })
    }

    #[test]
    fn a_window_must_bring_the_least_and_then_begins_again() {
        let rate = || Pace::rate(Duration::from_secs(10));
        assert_eq!(rate().slice(), Duration::from_secs(1));
        assert_eq!(slices(rate(), 499), Some(10));
        assert_eq!(slices(rate(), 500), None);
        assert_eq!(slices(Pace::rate(Duration::ZERO), 0), Some(10), "nothing at all is never enough");
    }

    #[test]
    fn a_deadline_is_the_same_whatever_comes() {
        assert_eq!(slices(Pace::deadline(Duration::from_secs(10)), 100_000), Some(10));
    }
}
