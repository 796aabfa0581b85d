//! An event on its way: its record, whoever waits for it, and the memory it takes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Origin;
use super::dedup::{FactKey, Window};
use super::lane::{Policy, RowFacts, Way};
use super::ticket::Ticket;
use super::track::Track;
use crate::event::envelope::Record;
use crate::event::kind::Kind;
use crate::spool::Row;
use crate::telemetry::metrics::{Metrics, Route, SourceMetrics};

/// Memory that records take, bounded for the whole process.
#[derive(Debug)]
pub(super) struct Memory {
    bytes: AtomicUsize,
    records: AtomicUsize,
}

/// Twice what Kafka's client may hold: records are in our memory until they are in Kafka or on disk.
const MAX_BYTES: usize = 128 << 20;
const MAX_RECORDS: usize = 200_000;

impl Memory {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { bytes: AtomicUsize::new(0), records: AtomicUsize::new(0) })
    }

    /// Takes room for all of a request's records, or for none of them.
    pub(super) fn reserve(self: &Arc<Self>, records: &[Record]) -> Option<Reservation> {
        let bytes: usize = records.iter().map(Record::bytes).sum();
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let records_before = self.records.fetch_add(records.len(), Ordering::AcqRel);
        if bytes_before + bytes <= MAX_BYTES && records_before + records.len() <= MAX_RECORDS {
            return Some(Reservation { memory: Arc::clone(self), bytes, records: records.len() });
        }
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.records.fetch_sub(records.len(), Ordering::AcqRel);
        None
    }
}

/// A share of the memory, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    memory: Arc<Memory>,
    bytes: usize,
    records: usize,
}

impl Reservation {
    /// Splits off the share of one of the records that room was taken for.
    pub(super) fn share_of(&mut self, record: &Record) -> Self {
        let bytes = record.bytes();
        self.bytes -= bytes;
        self.records -= 1;
        Self { memory: Arc::clone(&self.memory), bytes, records: 1 }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.records > 0 {
            self.memory.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
            self.memory.records.fetch_sub(self.records, Ordering::AcqRel);
        }
    }
}

/// A row of the spool that a dead letter stands for.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) track: Arc<Track>,
    pub(super) number: u64,
    pub(super) facts: RowFacts,
}

/// What is to be told when the event's fate is known.
#[derive(Debug)]
struct Waiter {
    /// `None` once the request was told to try again; the duplicate window still waits.
    ticket: Option<Arc<Ticket>>,
    kind: Option<Kind>,
    key: Option<FactKey>,
}

/// Those who wait for an event, until they are told. Kafka's client knows them too, so that an
/// acknowledgement reaches them even while somebody else is busy with the event's lane.
#[derive(Debug)]
pub(super) struct Audience {
    waiter: Mutex<Option<Waiter>>,
    metrics: Option<Arc<SourceMetrics>>,
}

impl Audience {
    fn lock(&self) -> MutexGuard<'_, Option<Waiter>> {
        self.waiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The event is durable: the window first, so that whoever is woken finds it up to date.
    pub(super) fn durable(&self, route: Route, window: &Window) {
        let Some(waiter) = self.lock().take() else { return };
        if let (Some(kind), Some(source)) = (waiter.kind, &self.metrics) {
            source.events(kind, route).inc();
        }
        waiter.settle(true, window);
    }

    fn failed(&self, window: &Window) {
        let waiter = self.lock().take();
        waiter.into_iter().for_each(|waiter| waiter.settle(false, window));
    }

    fn stalled(&self, window: &Window) {
        let mut waiter = self.lock();
        let Some(waiter) = waiter.as_mut() else { return };
        if let Some(key) = waiter.key {
            window.stall(key);
        }
        if let Some(ticket) = waiter.ticket.take() {
            ticket.settle(false);
        }
    }
}

impl Waiter {
    fn settle(self, durable: bool, window: &Window) {
        if let Some(key) = self.key {
            window.settle(key, durable);
        }
        if let Some(ticket) = self.ticket {
            ticket.settle(durable);
        }
    }
}

/// An event on its way. It is handed on boxed, since it passes through many hands.
#[derive(Debug)]
pub(super) struct Parcel {
    record: Option<(Record, Option<Reservation>)>,
    audience: Option<Arc<Audience>>,
    replaces: Option<Replaced>,
    is_event: bool,
    pub(super) origin: Arc<Origin>,
}

impl Parcel {
    /// An event that a request waits for.
    pub(super) fn new(record: Record, memory: Reservation, ticket: Arc<Ticket>, origin: Arc<Origin>) -> Box<Self> {
        let waiter = Waiter { ticket: Some(ticket), kind: record.kind, key: record.identity };
        let audience = Audience { waiter: Mutex::new(Some(waiter)), metrics: origin.metrics.clone() };
        let is_event = record.kind.is_some();
        Box::new(Self {
            record: Some((record, Some(memory))),
            audience: Some(Arc::new(audience)),
            replaces: None,
            is_event,
            origin,
        })
    }

    /// An event that was read from the spool.
    pub(super) fn of_row(row: Row) -> Box<Self> {
        let origin = Origin::of_row(&row.source_name, row.provider, row.received_at);
        let is_event = row.record.kind.is_some();
        let record = Some((row.record, None));
        Box::new(Self { record, audience: None, replaces: None, is_event, origin: Arc::new(origin) })
    }

    /// The dead letter of this event, with everybody who waited for it.
    pub(super) fn buried_as(self: Box<Self>, letter: Record, replaces: Option<Replaced>) -> Box<Self> {
        let Self { audience, origin, .. } = *self;
        // It does not count as the event that it was to be.
        audience.iter().for_each(|audience| audience.lock().iter_mut().for_each(|waiter| waiter.kind = None));
        Box::new(Self { record: Some((letter, None)), audience, replaces, is_event: false, origin })
    }

    /// Whether it is an event, and no dead letter, raw request or mark.
    pub(super) fn is_event(&self) -> bool {
        self.is_event
    }

    /// What happens to it when Kafka is slow. What stands for a row of the spool may go there itself.
    pub(super) fn policy(&self) -> Policy {
        if self.replaces.is_some() { Policy::Spool } else { self.origin.policy }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        self.record.as_ref().map(|(record, _)| record)
    }

    /// What it would count in the spool.
    pub(super) fn spool_bytes(&self) -> u64 {
        let origin = &self.origin;
        self.record().map_or(0, |record| Row::bytes_of(record, &origin.source_name, &origin.provider))
    }

    /// Gives the record away, to the spool.
    pub(super) fn take_row(&mut self, key_hash: u32) -> Option<(Row, Option<Reservation>)> {
        let (record, memory) = self.record.take()?;
        let source_name = self.origin.source_name.to_string();
        let provider = self.origin.provider.clone();
        let row = Row { record, key_hash, source_name, provider, received_at: self.origin.received_at };
        Some((row, memory))
    }

    /// Takes the record back, from a spool that could not keep it.
    pub(super) fn give_back(&mut self, row: Row, memory: Option<Reservation>) {
        self.record = Some((row.record, memory));
    }

    /// The event is durable.
    pub(super) fn durable(&mut self, way: Way, window: &Window, metrics: &Metrics) {
        match way {
            Way::Late => drop(metrics.late_acknowledgements.inc()),
            Way::Drained => drop(metrics.drained.inc()),
            Way::Live | Way::Spooled => {}
        }
        if let Some(Replaced { track, number, facts }) = self.replaces.take() {
            track.delete(number, facts);
        }
        if let Some(audience) = &self.audience {
            audience.durable(if way == Way::Spooled { Route::Spool } else { Route::Kafka }, window);
        }
    }

    /// The event is gone.
    pub(super) fn failed(mut self, window: &Window) {
        if let Some(Replaced { track, number, facts }) = self.replaces.take() {
            track.restore(number, facts);
        }
        if let Some(audience) = &self.audience {
            audience.failed(window);
        }
    }

    /// Nobody is to wait for it any longer, though it may become durable yet.
    pub(super) fn stalled(&mut self, window: &Window) {
        if let Some(audience) = &self.audience {
            audience.stalled(window);
        }
    }

    /// Those who wait for it.
    pub(super) fn audience(&self) -> Option<Arc<Audience>> {
        self.audience.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::headers::Headers;
    use crate::event::kind::DEAD_LETTER_TOPIC;

    fn record(bytes: usize) -> Record {
        let (key, headers) = (String::new(), Headers::default());
        Record { topic: &DEAD_LETTER_TOPIC, key, headers, value: vec![0; bytes], kind: None, identity: None }
    }

    #[test]
    fn a_request_gets_room_for_all_of_its_records_or_for_none() {
        let memory = Memory::new();
        let records = [record(MAX_BYTES / 2), record(MAX_BYTES / 2 - 10_000)];
        let mut both = memory.reserve(&records).unwrap();
        let first = both.share_of(&records[0]);
        assert_eq!((first.bytes, both.bytes, both.records), (MAX_BYTES / 2, MAX_BYTES / 2 - 10_000, 1));
        assert!(memory.reserve(&[record(1), record(MAX_BYTES / 4)]).is_none());
        assert_eq!(memory.records.load(Ordering::Acquire), 2, "a request that is refused leaves nothing behind");
        drop(first);
        assert_eq!(memory.records.load(Ordering::Acquire), 1);
        drop(both);
        assert_eq!(memory.bytes.load(Ordering::Acquire), 0);
        assert!(memory.reserve(&[record(MAX_BYTES / 4)]).is_some());
    }
}
