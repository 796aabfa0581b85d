//! From what a comparison found to what a schedule hears. Pure.

use std::collections::BTreeMap;

use crate::reconcile::compare::Counts;
use crate::reconcile::schedule::progress::Progress;
use crate::reconcile::schedule::{End, Read, Reading};
use crate::reconcile::sweep::Compared;
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

/// The reading of a window that the topics do not hold any more.
pub(super) fn beyond_retention(read: Read) -> Reading {
    let end = End::Expired { why: "beyond_retention".to_owned() };
    Reading { read, end, counts: Counts::default(), accounts: Vec::new() }
}

/// The numbers of rows as metrics have them.
pub(super) fn row_numbers(counts: Counts) -> RowNumbers {
    let Counts { held, missing, new, updated, unreadable, published, withheld, .. } = counts;
    [held, missing, new, updated, unreadable, published, withheld]
}
