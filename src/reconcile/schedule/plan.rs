//! What a schedule says and hears.

use super::progress::OpenWindow;
use crate::event::time::Time;
use crate::reconcile::compare::Counts;
use crate::reconcile::compare::digest::Digest;
use crate::reconcile::window::Window;

/// What is to be done in one sweep.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Windows to be read, oldest first.
    pub reads: Vec<Read>,
    /// What can not be read any more.
    pub expired: Vec<Expired>,
    /// Open windows that come near to that.
    pub warnings: Vec<Warning>,
}

/// A window to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// One hour of the grid.
    pub window: Window,
    /// The greatest age at which it is due.
    pub age_s: u32,
    /// Whether it was tried before.
    pub is_retry: bool,
    /// Whether its rows leave the provider within six hours.
    pub leaves_soon: bool,
}

impl Read {
    /// By what the windows of several streams are put in order: those that leave soon, then the oldest.
    pub fn turn(&self) -> (bool, Window) {
        (!self.leaves_soon, self.window)
    }
}

/// What left the provider before it was read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// One window, or a row of windows that were never tried.
    pub window: Window,
    /// The age at which it was to be read.
    pub age_s: u32,
    /// Why it was still open.
    pub why: String,
    /// How often it was tried.
    pub tries: u32,
    /// What the last try found.
    pub counts: Counts,
}

impl Expired {
    pub(super) fn of(open: &OpenWindow) -> Self {
        let OpenWindow { window, age_s, tries, counts, ref why, .. } = *open;
        Self { window, age_s, why: why.clone(), tries, counts }
    }
}

/// An open window whose time passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// It.
    pub window: Window,
    /// Why it is open.
    pub why: String,
    /// When its rows leave the provider.
    pub horizon: Time,
}

/// What came of reading a window.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What was read.
    pub read: Read,
    /// How it ended.
    pub end: End,
    /// The sums of the window.
    pub counts: Counts,
    /// Accounts with rows that are not explained, and how many they are.
    pub accounts: Vec<(String, u64)>,
}

/// How a reading ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Everything was told, and is explained and published.
    Complete {
        /// What the provider told.
        digest: Digest,
    },
    /// Something is left.
    Open {
        /// In a word.
        why: String,
    },
    /// It can not be read, and never will be.
    Expired {
        /// In a word.
        why: String,
    },
}

/// Where a window stands after its reading.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is done at this age.
    Complete,
    /// It is tried again.
    Open,
    /// It is given up.
    Expired(Expired),
    /// There are too many open windows to remember this one: it stays due.
    Unmoved,
}
