//! Comparing the rows that were listed, in as many parts as memory needs, and publishing what the topics lack.

use std::collections::HashSet;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::state::State;
use super::{CompareError, Comparing, Step};
use crate::event::envelope::Record;
use crate::event::time::Time;
use crate::outbound::Fetched;
use crate::provider::api::Row;
use crate::reconcile::compare::Class;
use crate::reconcile::compare::cells::Fate;
use crate::reconcile::outlet::{BATCH_BYTES, BATCH_EVENTS};
use crate::reconcile::rows::{Group, Place};
use crate::reconcile::sought::{Gathering, RowNumbers, Sought};

/// Stands for the account of a row that names none.
const NO_ACCOUNT: &str = "?";

/// Rows that are published at one time.
#[derive(Default)]
struct Batch {
    rows: Vec<(u32, String, Arc<Fetched>)>,
    bytes: usize,
}

/// A part of the rows, ready to be looked for.
pub(super) struct Part {
    pub(super) sought: Sought,
    /// Rows that can not be mapped.
    unreadable: HashSet<u32>,
    pub(super) first: Place,
    pub(super) end: Place,
}

impl Comparing<'_> {
    /// Compares the rows behind a place, and tells the place behind all of them.
    pub(super) async fn compare_rows(
        &self,
        state: &mut State,
        mut first: Place,
        tell: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<Place, CompareError> {
        state.rows.check()?;
        while first.row() < state.rows.len() {
            let mut part = self.gather(state, first)?;
            if !self.without_comparison && !part.sought.is_empty() {
                tell(Step::Scanning);
                part.sought = self.look_for(part.sought, state).await?;
            }
            first = part.end;
            self.withhold(state, &mut part).await?;
            self.publish(state, &mut part, tell).await?;
            self.settle(state, &part);
        }
        Ok(first)
    }

    /// Keeps an answer that is none as a dead letter, for whoever has to find out what it is.
    pub(super) async fn keep_strange(&self, state: &State) -> Result<(), CompareError> {
        let (Some((answer, fetched)), Some(outlet)) = (&state.strange, self.outlet) else { return Ok(()) };
        outlet.publish(|| Ok(vec![(self.mapper.letter_of_answer(answer, fetched)?, fetched.at)])).await?;
        Ok(())
    }

    /// Gathers rows from one on, as far as memory goes.
    fn gather(&self, state: &mut State, first: Place) -> Result<Part, CompareError> {
        let mut gathering = Gathering::new(self.memory.lease());
        let State { rows, cells, windows, unreadable: known, .. } = state;
        let mut unreadable = HashSet::new();
        let mut reading = rows.read_from(first)?;
        let mut end = first;
        'rows: while let Some((number, text, group)) = reading.next_row()? {
            let placed_at = self.placed_at(text).or(Some(group.asked_from));
            let at = placed_at.filter(|at| windows.values().any(|(window, _)| window.contains(*at)));
            // Without a margin, all that is listed belongs to what was asked for, whatever its own time says.
            let at = at.or_else(|| (self.stream.margin_s == 0).then_some(group.asked_from));
            let prints = self.mapper.prints(text);
            for (account, print) in &prints.events {
                let cell = match (group.cell, at) {
                    (Some(cell), _) => cell,
                    (None, Some(at)) => cells.cell(account, at)?,
                    // It was asked for by the margin, and belongs to another window.
                    (None, None) => continue,
                };
                if gathering.push(*print, number, cell).is_err() {
                    break 'rows;
                }
            }
            if prints.faults > 0 && known.insert(Sha256::digest(text).into()) {
                let at = at.or_else(|| windows.keys().next().copied()).unwrap_or_else(Time::now);
                let account = self.mapper.source.account_id.as_deref().unwrap_or(NO_ACCOUNT);
                let cell = group.cell.map_or_else(|| cells.cell(account, at), Ok)?;
                cells.add(cell, Class::Unreadable, Fate::Waiting);
                let window = windows.values_mut().find(|(window, _)| window.contains(at));
                window.into_iter().for_each(|(_, told)| told.digest.add_unreadable(text));
                unreadable.insert(number);
            }
            end = reading.place();
        }
        if end == first {
            return Err(CompareError::Memory);
        }
        Ok(Part { sought: gathering.seal(), unreadable, first, end })
    }

    fn placed_at(&self, text: &str) -> Option<Time> {
        let row = Row { stream: self.stream.name, text, account_id: self.mapper.source.account_id.as_deref() };
        self.mapper.api.placed_at(&row)
    }

    /// Publishes what waits, and keeps what can not be understood.
    async fn publish(
        &self,
        state: &mut State,
        part: &mut Part,
        tell: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<(), CompareError> {
        let waiting = part.sought.waiting();
        if waiting.is_empty() && part.unreadable.is_empty() {
            return Ok(());
        }
        let (mut next, mut published) = (part.first, 0);
        while next.row() < part.end.row() {
            let batch = self.batch(state, part, &waiting, &mut next)?;
            if batch.rows.is_empty() {
                break;
            }
            published += self.publish_batch(&batch, part, tell).await?;
            tell(Step::Published(published));
        }
        Ok(())
    }

    fn batch(
        &self,
        state: &mut State,
        part: &Part,
        waiting: &RowNumbers,
        next: &mut Place,
    ) -> Result<Batch, CompareError> {
        let mut batch = Batch::default();
        let mut reading = state.rows.read_from(*next)?;
        while next.row() < part.end.row() && batch.rows.len() < BATCH_EVENTS && batch.bytes < BATCH_BYTES {
            let Some((number, text, Group { fetched, .. })) = reading.next_row()? else { break };
            if waiting.contains(number) || part.unreadable.contains(&number) {
                batch.bytes += text.len();
                batch.rows.push((number, text.to_owned(), Arc::clone(fetched)));
            }
            *next = reading.place();
        }
        Ok(batch)
    }

    async fn publish_batch(
        &self,
        batch: &Batch,
        part: &mut Part,
        tell: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<u64, CompareError> {
        let records = self.records(batch, &part.sought)?;
        let Some(outlet) = self.outlet else {
            records
                .iter()
                .filter(|(record, _)| record.kind.is_some())
                .for_each(|(record, _)| tell(Step::WouldPublish(record)));
            return Ok(0);
        };
        let mut made = Some(records);
        let again = || made.take().map_or_else(|| self.records(batch, &part.sought), Ok);
        outlet.publish(again).await?;
        let mut published = 0;
        for (number, text, _) in &batch.rows {
            let prints = self.mapper.prints(text);
            let before = published;
            for (_, print) in prints.events {
                if part.sought.get(print).is_some_and(|row| row.is_waiting() && row.number == *number) {
                    part.sought.publish(print);
                    published += 1;
                }
            }
            if published > before {
                prints.unmapped.iter().for_each(|field| outlet.metrics.unmapped(&outlet.source_metrics, field));
            }
        }
        Ok(published)
    }

    fn records(&self, batch: &Batch, sought: &Sought) -> Result<Vec<(Record, Time)>, serde_json::Error> {
        let mut all = Vec::new();
        for (number, text, fetched) in &batch.rows {
            let is_wanted = |print| sought.get(print).is_some_and(|row| row.is_waiting() && row.number == *number);
            let records = self.mapper.records(text, fetched, &is_wanted)?;
            all.extend(records.into_iter().map(|record| (record, fetched.at)));
        }
        Ok(all)
    }

    /// Counts what became of each row. One of several events that memory ended in belongs to the next part.
    fn settle(&self, state: &mut State, part: &Part) {
        let unseen = self.stream.unseen();
        for row in part.sought.rows().filter(|row| row.number < part.end.row()) {
            let fate = match (row.is_published, row.is_withheld) {
                (true, _) => Fate::Published,
                (_, true) => Fate::Withheld,
                _ => Fate::Waiting,
            };
            state.cells.add(row.cell, Class::of(row.found, unseen), fate);
            if let Some(window) = state.cells.place(row.cell).map(|(_, hour)| hour)
                && !self.stream.counted
                && let Some((_, told)) = state.windows.values_mut().find(|(known, _)| window.contains(known.from()))
            {
                told.digest.add_row(row.print);
            }
        }
    }
}
