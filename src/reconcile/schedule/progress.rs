//! What has been read of a stream, as statements that are true whoever makes them.
//!
//! `through` of an age says: each window that ends by then was read when it was at least so old, or is among the open
//! ones. Such a statement can be made again, be older than another one, or be lost, and the worst that follows is that windows
//! are read again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::time::Time;
use crate::reconcile::compare::Counts;
use crate::reconcile::compare::digest::Digest;
use crate::reconcile::window::{Window, hour_of};

/// How many windows keep what is needed to tell that they have not changed.
pub const DONE_AT_MOST: usize = 200;

/// How far the clocks of two machines may differ before a statement about the future is not believed.
const CLOCK_TOLERANCE_S: i64 = 300;

/// How far a stream has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub(in crate::reconcile) since: Time,
    /// Ascending by age. `through` never ascends with it, and lies on the grid.
    pub(in crate::reconcile) reached: Vec<Reached>,
    /// By their first instant. All of them are hours of the grid.
    pub(in crate::reconcile) open: BTreeMap<Time, OpenWindow>,
    /// The latest that were complete, by their first instant.
    pub(in crate::reconcile) done: BTreeMap<Time, DoneWindow>,
}

/// How far windows have been read at one age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Seconds from the end of a window to its reading.
    pub age_s: u32,
    /// Each window that ends by then was read at this age or is open.
    pub through: Time,
}

/// A window that is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWindow {
    /// One hour of the grid.
    pub window: Window,
    /// The greatest age that it is read for.
    pub age_s: u32,
    /// Why it is open, in a word.
    pub why: String,
    /// How often it was tried.
    pub tries: u32,
    /// When it was tried last.
    pub tried_at: Time,
    /// What the last try found.
    pub counts: Counts,
    /// Accounts with rows that are not explained, and how many they are.
    pub accounts: Vec<(String, u64)>,
}

/// A window that was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneWindow {
    /// The age that it was read for.
    pub age_s: u32,
    /// What the provider told of it.
    pub digest: Digest,
    /// Rows of the provider.
    pub expected: u64,
    /// Rows that no webhook had told.
    pub missing: u64,
    /// Rows that were published.
    pub published: u64,
}

impl Progress {
    /// A stream of which nothing was read before the hour in which `since` lies.
    pub fn begin(since: Time, ages_s: &[u32]) -> Self {
        let since = hour_of(since);
        let reached = ages_s.iter().map(|age_s| Reached { age_s: *age_s, through: since });
        let progress = Self { since, reached: reached.collect(), open: BTreeMap::new(), done: BTreeMap::new() };
        progress.in_order()
    }

    /// What was written down earlier, put in order.
    pub(in crate::reconcile) fn restored(
        since: Time,
        reached: Vec<Reached>,
        open: Vec<OpenWindow>,
        done: Vec<(Time, DoneWindow)>,
    ) -> Self {
        let open = open.into_iter().map(|open| (open.window.from(), open)).collect();
        Self { since: hour_of(since), reached, open, done: done.into_iter().collect() }.in_order()
    }

    /// A window that was read at an age was read at each lesser one too. Of two statements about one age the lesser
    /// counts, since one of them was made by mistake.
    fn in_order(mut self) -> Self {
        self.reached.sort_by_key(|reached| (reached.age_s, reached.through));
        self.reached.dedup_by_key(|reached| reached.age_s);
        self.reached.iter_mut().for_each(|reached| reached.through = hour_of(reached.through));
        self.align_ages();
        self.forget_oldest_done();
        self
    }

    /// Lesser ages follow from greater ones, and nothing is claimed of what is before the beginning.
    fn align_ages(&mut self) {
        self.imply_lesser_ages();
        self.since = self.reached.iter().map(|reached| reached.through).fold(self.since, Time::min);
    }

    fn imply_lesser_ages(&mut self) {
        for index in (1..self.reached.len()).rev() {
            self.reached[index - 1].through = self.reached[index - 1].through.max(self.reached[index].through);
        }
    }

    /// Since when the stream is read.
    pub fn since(&self) -> Time {
        self.since
    }

    /// How far each age has come, ascending by age.
    pub fn reached(&self) -> &[Reached] {
        &self.reached
    }

    /// The open windows, oldest first.
    pub fn open(&self) -> impl ExactSizeIterator<Item = &OpenWindow> {
        self.open.values()
    }

    /// The latest complete windows by their first instant, oldest first.
    pub fn done(&self) -> impl ExactSizeIterator<Item = (Time, &DoneWindow)> {
        self.done.iter().map(|(from, done)| (*from, done))
    }

    /// Goes over to the ages of the configuration, which ascend. One that is new begins where the next greater known
    /// one stands, whose reading was a reading at this age too; else at `begin`, but never beyond what has been read at all.
    pub(in crate::reconcile) fn adopt(&mut self, ages_s: &[u32], begin: Time) {
        let known = std::mem::take(&mut self.reached);
        let begin = known.iter().map(|reached| reached.through).fold(hour_of(begin), Time::min);
        for age_s in ages_s {
            let implied = known.iter().find(|reached| reached.age_s >= *age_s);
            let through = implied.map_or(begin, |reached| reached.through);
            self.reached.push(Reached { age_s: *age_s, through });
        }
        self.since = self.reached.iter().map(|reached| reached.through).fold(self.since, Time::min);
    }

    /// Takes back what can not be true by this clock, and tells whether there was such a thing: a window that is too
    /// young for an age was not read at it, whoever says so. A clock that was ahead says so, and would hide windows for
    /// ever.
    ///
    /// How long it was ahead is not known. So as much again is taken back as it seems to have been ahead, as far as a
    /// new stream would go back: reading again costs little.
    pub(in crate::reconcile) fn meet_clock(&mut self, now: Time, lookback_s: u32) -> bool {
        let mut was_ahead = false;
        for reached in &mut self.reached {
            let latest = now.plus_s(-i64::from(reached.age_s));
            let ahead_s = reached.through.unix_seconds().saturating_sub(latest.unix_seconds());
            if ahead_s > CLOCK_TOLERANCE_S {
                let begin = now.plus_s(-i64::from(lookback_s)).max(latest.plus_s(-ahead_s));
                reached.through = hour_of(begin.min(latest));
                was_ahead = true;
            }
        }
        self.align_ages();
        was_ahead
    }

    /// Whether another statement about this stream takes `through` back, so that ours has to be made again.
    ///
    /// Nothing is taken over from it: it may have been made under other ages or by a wrong clock, and whoever has read
    /// less only reads again.
    pub(in crate::reconcile) fn is_taken_back_by(&self, other: &Self) -> bool {
        self.reached.iter().any(|ours| {
            let theirs = other.reached.iter().find(|theirs| theirs.age_s == ours.age_s);
            theirs.is_some_and(|theirs| theirs.through < ours.through)
        })
    }

    /// Remembers a window that was complete; of too many the oldest are forgotten.
    pub(in crate::reconcile) fn keep_done(&mut self, from: Time, done: DoneWindow) {
        self.done.insert(from, done);
        self.forget_oldest_done();
    }

    fn forget_oldest_done(&mut self) {
        while self.done.len() > DONE_AT_MOST {
            self.done.pop_first();
        }
    }
}

/// Whether a reading that was made for an age of a window can have been made by now.
pub(in crate::reconcile) fn is_believable(to: Time, age_s: u32, now: Time) -> bool {
    to <= now.plus_s(CLOCK_TOLERANCE_S - i64::from(age_s))
}
