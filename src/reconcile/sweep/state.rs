//! A comparison under way: what is known of each window and cell so far.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::asking::Answered;
use super::users::Users;
use super::{CompareError, Compared, Comparing, Regions};
use crate::event::time::Time;
use crate::outbound::Fetched;
use crate::provider::api::Answer;
use crate::reconcile::compare::cells::{CellNumber, Cells, TooManyCells};
use crate::reconcile::compare::digest::Digest;
use crate::reconcile::rows::Rows;
use crate::reconcile::schedule::End;
use crate::reconcile::window::Window;

/// What is known of a window so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) digest: Digest,
    /// Why it is not read whole.
    pub(super) why: Option<&'static str>,
    pub(super) is_expired: bool,
    pub(super) is_answered: bool,
    pub(super) is_unchanged: bool,
    /// Whether something of it was not asked for.
    pub(super) is_left: bool,
}

/// An answer that is none of this API, and where it came from.
pub(super) type Strange = (Answer, Arc<Fetched>);

/// A comparison under way.
pub(super) struct State {
    pub(super) cells: Cells,
    pub(super) windows: BTreeMap<Time, (Window, Told)>,
    pub(super) rows: Rows,
    /// Hashes of the rows that can not be understood, each of which counts once.
    pub(super) unreadable: HashSet<[u8; 32]>,
    pub(super) audited: Vec<CellNumber>,
    pub(super) requests: u64,
    pub(super) scanned_records: u64,
    pub(super) scanned_for: Duration,
    pub(super) regions: Regions,
    /// The first answer that is none.
    pub(super) strange: Option<Strange>,
    /// Of whom webhooks have told, once that was looked for.
    pub(super) users: Option<Users>,
    /// Why nothing more is asked. What was read until then is compared.
    pub(super) stopped: Option<CompareError>,
}

impl State {
    /// A window was asked for.
    pub(super) fn note(&mut self, window: Window, answered: &Answered) {
        let Some((_, told)) = self.windows.get_mut(&window.from()) else { return };
        match answered {
            Answered::Whole => told.is_answered = true,
            Answered::Open(word) => told.why = Some(word),
            Answered::Narrower => told.why = Some("too_large"),
            Answered::Expired => told.is_expired = true,
            Answered::Stopped(_) => {}
        }
    }

    /// The first time that something is refused, the operator is told the mend.
    pub(super) fn note_refused(&mut self, comparing: &Comparing<'_>, window: Window, word: &'static str, mend: &str) {
        if !self.windows.values().any(|(_, told)| told.why == Some(word)) {
            let (source_name, stream) = (&comparing.mapper.source.name, comparing.stream.name);
            tracing::error!(source.name = %source_name, stream, word, "rows of an account can not be read: {mend}");
        }
        self.note(window, &Answered::Open(word));
    }

    /// A part of a window that was answered could not be read.
    pub(super) fn note_open(&mut self, window: Window, answered: &Answered) {
        self.note(window, answered);
        if let Some((_, told)) = self.windows.get_mut(&window.from()) {
            told.why = told.why.or(Some("unexplained"));
        }
    }

    /// Takes the numbers of a window. Of an account that is told twice, the greater number counts.
    pub(super) fn count(
        &mut self,
        window: Window,
        counts: Vec<(String, u64)>,
        known: Option<&Digest>,
    ) -> Result<(), TooManyCells> {
        let mut greatest: BTreeMap<String, u64> = BTreeMap::new();
        for (account, rows) in counts {
            let number = greatest.entry(account).or_default();
            *number = rows.max(*number);
        }
        if let Some((_, told)) = self.windows.get_mut(&window.from()) {
            greatest.iter().for_each(|(account, rows)| told.digest.add_count(account, *rows));
            told.is_unchanged = told.is_answered && known == Some(&told.digest);
            if told.is_unchanged {
                return Ok(());
            }
        }
        for (account, rows) in greatest {
            let cell = self.cells.cell(&account, window.from())?;
            self.cells.count(cell, rows);
        }
        Ok(())
    }

    /// A cell that should be asked for is not.
    pub(super) fn leave(&mut self, cell: CellNumber) {
        let hour = self.cells.place(cell).map(|(_, hour)| hour);
        self.audited.retain(|audited| *audited != cell);
        let windows =
            self.windows.values_mut().filter(|(window, _)| hour.is_some_and(|hour| hour.contains(window.from())));
        windows.for_each(|(_, told)| told.is_left = true);
    }

    /// How many audited cells have rows that the topics lack.
    pub(super) fn audit_mismatches(&self) -> u64 {
        self.mismatched().count() as u64
    }

    fn mismatched(&self) -> impl Iterator<Item = CellNumber> {
        self.audited.iter().copied().filter(|cell| self.cells.counts(*cell).unseen() > 0)
    }

    /// The cells of the same hours as those whose audit has shown something, as far as they were not asked for.
    pub(super) fn cells_behind_audits(&self) -> Vec<CellNumber> {
        let hour_of = |cell| self.cells.place(cell).map(|(_, hour)| hour);
        let hours: BTreeSet<Window> = self.mismatched().filter_map(hour_of).collect();
        self.cells.agreeing().filter(|cell| hour_of(*cell).is_some_and(|hour| hours.contains(&hour))).collect()
    }

    /// Of a dry run, rows that would be published leave no window open.
    pub(super) fn finish(self, is_dry_run: bool) -> Compared {
        let audit_mismatches = self.audit_mismatches();
        let end = |window: Window, told: &Told| match (told.why, self.cells.sum(window)) {
            _ if told.is_expired => End::Expired { why: "expired".to_owned() },
            (Some(why), _) => End::Open { why: why.to_owned() },
            (None, counts) if counts.unexplained > 0 => End::Open { why: "unexplained".to_owned() },
            (None, counts) if !counts.is_settled() && !is_dry_run => End::Open { why: "not_published".to_owned() },
            (None, _) => End::Complete { digest: told.digest },
        };
        let was_asked = |told: &Told| !told.is_left && (told.is_answered || told.is_expired || told.why.is_some());
        let asked = self.windows.values().filter(|(_, told)| was_asked(told));
        let windows = asked.map(|(window, told)| (*window, end(*window, told))).collect();
        Compared {
            windows,
            stopped: self.stopped,
            answered_windows: self.windows.values().filter(|(_, told)| told.is_answered).count() as u64,
            requests: self.requests,
            scanned_records: self.scanned_records,
            scanned_for: self.scanned_for,
            unchanged: self.windows.iter().filter(|(_, (_, told))| told.is_unchanged).map(|(from, _)| *from).collect(),
            audit_mismatches,
            regions: self.regions,
            cells: self.cells,
        }
    }
}
