//! Looking through the topics for what the provider has told.

use std::sync::Arc;

use super::state::State;
use super::{CompareError, Comparing};
use crate::event::kind::{Kind, TopicInfo};
use crate::event::time::Time;
use crate::provider::api::Api;
use crate::publish::scan::{Asked, Ended, Outcome, ScannedRecord, Start, Visitor};
use crate::reconcile::compare::cells::Cells;
use crate::reconcile::sought::{Print, Sought, key_print};
use crate::reconcile::tally::Tally;

/// Scans begin so much before what is compared, since clocks differ.
const MARGIN_S: i64 = 600;

impl Comparing<'_> {
    /// Counts what the topics hold of each cell.
    pub(super) async fn tally(&self, state: &mut State) -> Result<(), CompareError> {
        let cells = std::mem::replace(&mut state.cells, Cells::new(self.stream.primary));
        let visitor = Tallying {
            prefix: self.prefix(),
            api: Arc::clone(self.mapper.api),
            cells,
            tally: Tally::new(self.memory.lease()),
            is_full: false,
        };
        let asked = self.wanted(self.topics(), Start::At(state.scan_from()));
        let ended = self.scanner.scan(asked, visitor).await.ok_or(CompareError::Stopping)?;
        let (visitor, outcome) = self.ended(ended, state)?;
        drop(outcome);
        state.cells = visitor.cells;
        if visitor.is_full {
            return Err(CompareError::Memory);
        }
        let held = visitor.tally.held(state.cells.len());
        let numbers: Vec<_> = state.cells.in_order().into_iter().map(|(_, _, number)| number).collect();
        for number in numbers {
            state.cells.tally(number, held.get(number.index()).copied().unwrap_or_default());
        }
        Ok(())
    }

    /// Looks for rows, and then once more for what came while that was done.
    pub(super) async fn look_for(&self, sought: Sought, state: &mut State) -> Result<Sought, CompareError> {
        let mut start = Start::At(state.scan_from());
        let mut visitor = Seeking(sought);
        for _ in 0..2 {
            let ended =
                self.scanner.scan(self.wanted(self.heard_in(), start), visitor).await.ok_or(CompareError::Stopping)?;
            let (seen, outcome) = self.ended(ended, state)?;
            (visitor, start) = (seen, Start::Behind(outcome.ends));
        }
        Ok(visitor.0)
    }

    pub(super) fn wanted(&self, topics: Vec<&'static TopicInfo>, start: Start) -> Asked {
        Asked { topics, key_prefix: self.prefix(), start }
    }

    /// The topics that rows of the stream would lie in.
    pub(super) fn topics(&self) -> Vec<&'static TopicInfo> {
        topics_of(self.stream.kinds)
    }

    /// Those and the topics that tell whether anything was heard of a row.
    fn heard_in(&self) -> Vec<&'static TopicInfo> {
        topics_of(self.stream.kinds.iter().chain(self.mapper.api.heard_in()))
    }

    pub(super) fn prefix(&self) -> String {
        format!("{}:", self.mapper.source.info.name)
    }

    fn ended<V: Visitor>(&self, ended: Ended<V>, state: &mut State) -> Result<(V, Outcome), CompareError> {
        let outcome = ended.outcome?;
        state.scanned_records += outcome.read;
        state.scanned_for += outcome.elapsed;
        // A topic in which nothing of a row would lie may be kept for a shorter time.
        let topics = self.topics();
        let holds_rows = |topic: &str| topics.iter().any(|known| known.suffix == topic);
        match outcome.beyond.iter().find(|beyond| holds_rows(beyond.topic.suffix)) {
            Some(beyond) => {
                let from = state.windows.keys().next().copied().unwrap_or_else(|| state.scan_from());
                Err(CompareError::BeyondRetention { topic: beyond.topic.suffix, from })
            }
            None => Ok((ended.visitor, outcome)),
        }
    }
}

fn topics_of<'k>(kinds: impl IntoIterator<Item = &'k Kind>) -> Vec<&'static TopicInfo> {
    let mut topics: Vec<&'static TopicInfo> = Vec::new();
    for topic in kinds.into_iter().map(|kind| kind.info().topic) {
        if !topics.iter().any(|known| known.suffix == topic.suffix) {
            topics.push(topic);
        }
    }
    topics
}

impl State {
    /// When what is compared begins, with a margin.
    pub(super) fn scan_from(&self) -> Time {
        let mut changed = self.windows.values().filter(|(_, told)| !told.is_unchanged);
        let first = changed.next().map_or_else(Time::now, |(window, _)| window.from());
        first.plus_s(-MARGIN_S)
    }
}

/// Counts records of cells.
struct Tallying {
    prefix: String,
    api: Arc<dyn Api>,
    cells: Cells,
    tally: Tally,
    is_full: bool,
}

impl Visitor for Tallying {
    fn visit(&mut self, record: &ScannedRecord<'_>) {
        let account = record.key.strip_prefix(&self.prefix).and_then(|rest| rest.split_once(':'));
        let Some((account, _)) = account else { return };
        let Some(at) = self.api.held_at(record.data) else { return };
        if let Some(cell) = self.cells.find(account, at) {
            self.is_full |= self.tally.push(cell, key_print(record.key)).is_err();
        }
    }
}

/// Marks rows that are there.
struct Seeking(Sought);

impl Visitor for Seeking {
    fn visit(&mut self, record: &ScannedRecord<'_>) {
        if let Some(id) = record.id {
            self.0.see(Print::of(record.key, id, record.fact_hash));
        }
    }
}
