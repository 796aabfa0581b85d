//! A comparison as lines of JSON. Every number stands in every line, so that a program need not ask whether it is there.

use serde::Serialize;

use super::CellOutcome;
use super::exit::WindowNumbers;
use crate::event::time::Time;
use crate::reconcile::compare::Counts;
use crate::reconcile::window::Window;

/// How a window ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WindowState {
    /// It was read whole, and nothing is left.
    Complete,
    /// Something is left.
    Open,
    /// It is given up.
    Expired,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'l> {
    Cell {
        stream: &'l str,
        account_id: &'l str,
        hour: Time,
        #[serde(flatten)]
        numbers: Numbers,
    },
    Window {
        stream: &'l str,
        from: Time,
        to: Time,
        #[serde(flatten)]
        numbers: Numbers,
        state: WindowState,
    },
    Summary {
        source: &'l str,
        windows: WindowNumbers,
        totals: Numbers,
        requests: u64,
        scanned_records: u64,
        seconds: u64,
    },
}

#[derive(Serialize)]
struct Numbers {
    expected: u64,
    held: u64,
    missing: u64,
    new: u64,
    updated: u64,
    published: u64,
    unreadable: u64,
    withheld: u64,
    unexplained: u64,
    surplus: u64,
}

impl From<Counts> for Numbers {
    fn from(counts: Counts) -> Self {
        let Counts { expected, held, missing, new, updated, published, unreadable, withheld, unexplained, surplus } =
            counts;
        Self { expected, held, missing, new, updated, published, unreadable, withheld, unexplained, surplus }
    }
}

/// A whole run.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'s> {
    /// The source.
    pub source_name: &'s str,
    /// Its windows.
    pub windows: WindowNumbers,
    /// The sums of all cells.
    pub totals: Counts,
    /// Requests to the provider.
    pub requests: u64,
    /// Records of the topics that were looked at.
    pub scanned_records: u64,
    /// How long it took.
    pub seconds: u64,
}

/// The line of a cell.
///
/// # Errors
/// Only if it could not be written as JSON, which its types do not allow. So with the others.
pub fn cell(stream: &str, cell: &CellOutcome<'_>) -> Result<String, serde_json::Error> {
    let CellOutcome { account_id, hour, counts, .. } = *cell;
    serde_json::to_string(&Line::Cell { stream, account_id, hour: hour.from(), numbers: counts.into() })
}

/// The line of a window.
///
/// # Errors
/// See [`cell`].
pub fn window(stream: &str, window: Window, counts: Counts, state: WindowState) -> Result<String, serde_json::Error> {
    let (from, to) = (window.from(), window.to());
    serde_json::to_string(&Line::Window { stream, from, to, numbers: counts.into(), state })
}

/// The last line.
///
/// # Errors
/// See [`cell`].
pub fn summary(summary: &Summary<'_>) -> Result<String, serde_json::Error> {
    let Summary { source_name: source, windows, totals, requests, scanned_records, seconds } = *summary;
    serde_json::to_string(&Line::Summary { source, windows, totals: totals.into(), requests, scanned_records, seconds })
}
