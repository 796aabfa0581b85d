//! From what a comparison found to what a schedule hears. Pure.

use std::collections::BTreeMap;

use crate::reconcile::compare::Counts;
use crate::reconcile::rows::RowsError;
use crate::reconcile::schedule::progress::Progress;
use crate::reconcile::schedule::{End, Read, Reading};
use crate::reconcile::sweep::{CompareError, Compared};
use crate::reconcile::window::Window;
use crate::telemetry::reconcile::RowNumbers;

/// Some windows, and what was found.
pub(super) struct Batch<'b> {
    pub(super) reads: &'b BTreeMap<Window, Read>,
    pub(super) compared: &'b Compared,
    /// What was known before.
    pub(super) before: &'b Progress,
}

impl Batch<'_> {
    /// What came of each window.
    pub(super) fn readings(&self) -> Vec<Reading> {
        self.compared.windows.iter().filter_map(|(window, end)| self.reading(*window, end)).collect()
    }

    fn reading(&self, window: Window, end: &End) -> Option<Reading> {
        let read = *self.reads.get(&window)?;
        let cells = &self.compared.cells;
        let counts = match self.compared.unchanged.contains(&window.from()) {
            true => self.counts_before(window),
            false => cells.sum(window),
        };
        Some(Reading { read, end: end.clone(), counts, accounts: cells.unexplained(window) })
    }

    /// Of a window that is as it was, everything lies in the topics.
    fn counts_before(&self, window: Window) -> Counts {
        let before = self.before.done().find(|(from, _)| *from == window.from());
        let expected = before.map_or(0, |(_, done)| done.expected);
        Counts { expected, held: expected, ..Counts::default() }
    }
}

/// Why windows can not be compared, though others of the stream can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowFault {
    /// The topics do not go back so far.
    BeyondRetention,
    /// There is more of them than memory or disk takes at once.
    TooLarge,
}

/// What is wrong with the windows alone, if it is that.
pub(super) fn fault_of_windows(error: &CompareError) -> Option<WindowFault> {
    match error {
        CompareError::BeyondRetention { .. } => Some(WindowFault::BeyondRetention),
        CompareError::Memory | CompareError::Cells(_) | CompareError::Rows(RowsError::TooMany(_)) => {
            Some(WindowFault::TooLarge)
        }
        _ => None,
    }
}

impl WindowFault {
    /// The reading of one such window. What the topics no longer hold can not be compared ever again; what was too much
    /// may fit another time, when others need less.
    pub(super) fn reading(self, read: Read) -> Reading {
        let end = match self {
            Self::BeyondRetention => End::Expired { why: "beyond_retention".to_owned() },
            Self::TooLarge => End::Open { why: "too_large".to_owned() },
        };
        Reading { read, end, counts: Counts::default(), accounts: Vec::new() }
    }
}

/// The numbers of rows as metrics have them.
pub(super) fn row_numbers(counts: Counts) -> RowNumbers {
    let Counts { held, missing, new, updated, unreadable, published, withheld, .. } = counts;
    [held, missing, new, updated, unreadable, published, withheld]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::time::Time;

    #[test]
    fn what_is_too_much_at_once_is_tried_again_and_what_no_topic_holds_is_given_up() {
        let at = Time::from_unix_seconds(7200).unwrap();
        let read = Read { window: Window::hour_at(at), age_s: 1800, is_retry: false, leaves_soon: false };
        let end = |error: CompareError| fault_of_windows(&error).map(|fault| fault.reading(read).end);
        let open = || Some(End::Open { why: "too_large".to_owned() });
        assert_eq!(end(CompareError::Memory), open());
        assert_eq!(end(CompareError::Rows(RowsError::TooMany(5))), open());
        let expired = Some(End::Expired { why: "beyond_retention".to_owned() });
        assert_eq!(end(CompareError::BeyondRetention { topic: "t", from: at }), expired);
        let disk = std::io::Error::other("full");
        for error in [CompareError::Throttled(1), CompareError::Stopping, CompareError::Rows(RowsError::Disk(disk))] {
            assert_eq!(end(error), None);
        }
    }
}
