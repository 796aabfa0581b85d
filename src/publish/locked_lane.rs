//! A lane at work: the state machine under a lock, with Kafka's client and the spool around it.
//!
//! What comes with every event, its arrival and its outcome, never waits for that lock: it is put into
//! the lane's inbox, and whoever has the lock takes it from there, in order. Otherwise a thread that the
//! operating system stops while it has the lock would stop everybody: acknowledgements of all lanes come on
//! one thread.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::Instant;

use super::dead_letter;
use super::dedup::Window;
use super::lane::{Facts, Lane, Outside, RowFacts, Way};
use super::ledger::{Holder, Job, Ledger};
use super::memory::{Memory, Share};
use super::parcel::{Audience, Origin, Parcel, Report};
use super::producer::{Fate, Producer, Refusal, SendError};
use super::waking::{self, Inbox};
use crate::event::envelope::Record;
use crate::provider::Fault;
use crate::request::RawRequest;
use crate::settings::Policy;
use crate::spool::Row;
use crate::telemetry::metrics::{Metrics, Route};

/// Everything that lanes share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) producer: Producer<Flight>,
    pub(super) ledger: Ledger<LockedLane>,
    pub(super) window: Window,
    pub(super) metrics: Arc<Metrics>,
    pub(super) memory: Arc<Memory>,
    pub(super) numbers: AtomicU64,
    /// Whether brokers answered when last asked.
    pub(super) brokers_answer: AtomicBool,
    /// Where dead letters go. It holds the lanes, which hold this, so this does not hold it.
    pub(super) letters: OnceLock<Weak<dyn Letters>>,
}

/// Takes dead letters to their lane.
pub(super) trait Letters: std::fmt::Debug + Send + Sync {
    /// Takes a letter, which is told what becomes of it.
    fn take_letter(&self, letter: Box<Parcel>, now: Instant);
}

impl Shared {
    /// The number of the next event. Only the lane that takes the event calls it, under its lock.
    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Numbers from now on are greater than this one.
    pub(super) fn numbers_after(&self, number: u64) {
        self.numbers.fetch_max(number, Ordering::AcqRel);
    }
}

/// One lane of one topic.
#[derive(Debug)]
pub(super) struct LockedLane {
    inside: Mutex<Inside>,
    inbox: Mutex<Vec<Arrival>>,
    shared: Arc<Shared>,
    /// The topic's name in the cluster.
    topic_name: Arc<str>,
    partition: i32,
}

type Inner = Lane<Box<Parcel>, Refusal>;

/// What is behind the lock.
#[derive(Debug)]
struct Inside {
    lane: Inner,
    /// Empty; it takes turns with the inbox, so that neither has to grow again.
    arrived: Vec<Arrival>,
}

/// What comes to a lane with every event, and what comes from inside another lane's lock.
#[derive(Debug)]
enum Arrival {
    Event { parcel: Box<Parcel>, facts: Facts, now: Instant },
    Acknowledged { number: u64, now: Instant },
    Failed { number: u64, now: Instant },
    Refused { number: u64, refusal: Refusal, certain: bool, now: Instant },
    Buried { number: u64, kept: bool, now: Instant },
}

/// An event in the hands of Kafka's client.
#[derive(Debug)]
pub(super) struct Flight {
    lane: Arc<LockedLane>,
    number: u64,
    audience: Option<Arc<Audience>>,
    since: Instant,
}

impl Fate for Flight {
    fn since(&self) -> Instant {
        self.since
    }

    /// Whoever waits is told at once, and the lane when it has time.
    fn acknowledged(self: Box<Self>, now: Instant) {
        if let Some(audience) = &self.audience {
            audience.durable(Some(Route::Kafka), &self.lane.shared.window);
        }
        self.lane.post(Arrival::Acknowledged { number: self.number, now });
    }

    fn failed(self: Box<Self>, now: Instant) {
        self.lane.post(Arrival::Failed { number: self.number, now });
    }

    fn refused(self: Box<Self>, refusal: Refusal, now: Instant) {
        self.lane.post(Arrival::Refused { number: self.number, refusal, certain: false, now });
    }
}

impl LockedLane {
    pub(super) fn new(lane: Inner, shared: &Arc<Shared>, topic_name: &Arc<str>, partition: u32) -> Arc<Self> {
        // Kafka counts partitions in 32 bits with a sign.
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let inside = Mutex::new(Inside { lane, arrived: Vec::new() });
        let (shared, topic_name) = (Arc::clone(shared), Arc::clone(topic_name));
        Arc::new(Self { inside, inbox: Mutex::default(), shared, topic_name, partition })
    }

    /// Takes an event. What comes to the inbox later gets its number and its place in the queue later.
    pub(super) fn accept(self: &Arc<Self>, parcel: Box<Parcel>, key_hash: u32, deadline: Instant, now: Instant) {
        let bytes = parcel.spool_bytes();
        let facts = Facts { key_hash, bytes, policy: parcel.policy, deadline };
        self.inbox().push(Arrival::Event { parcel, facts, now });
        waking::empty_soon(self);
    }

    /// Runs one step of the state machine, after everything that came before.
    pub(super) fn with<T>(self: &Arc<Self>, step: impl FnOnce(&mut Inner, &mut Surroundings<'_>) -> T) -> T {
        let done = {
            // Nothing panics while the lock is held, so a poisoned state is still a whole one.
            let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
            self.take_in(&mut inside);
            step(&mut inside.lane, &mut Surroundings { lane: self })
        };
        self.empty_inbox();
        done
    }

    fn post(self: &Arc<Self>, arrival: Arrival) {
        self.inbox().push(arrival);
        self.empty_inbox();
    }

    /// Takes in what has arrived, unless somebody else has the lock: they look into the inbox after they have
    /// given it back, and so does whoever gets it here. So nothing stays in the inbox.
    fn empty_inbox(self: &Arc<Self>) {
        while !self.inbox().is_empty() {
            let mut inside = match self.inside.try_lock() {
                Ok(inside) => inside,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            self.take_in(&mut inside);
        }
    }

    /// An event gets its number and its place in the queue under one lock.
    fn take_in(self: &Arc<Self>, Inside { lane, arrived }: &mut Inside) {
        mem::swap(arrived, &mut *self.inbox());
        let out = &mut Surroundings { lane: self };
        for arrival in arrived.drain(..) {
            match arrival {
                Arrival::Event { parcel, facts, now } => {
                    lane.accept(self.shared.next_number(), parcel, facts, now, out);
                }
                Arrival::Acknowledged { number, now } => lane.acknowledged(number, now, out),
                Arrival::Failed { number, now } => lane.failed(number, now, out),
                Arrival::Refused { number, refusal, certain, now } => lane.refused(number, refusal, certain, now, out),
                Arrival::Buried { number, kept, now } => lane.buried(number, kept, now, out),
            }
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox for LockedLane {
    fn empty(self: Arc<Self>) {
        self.empty_inbox();
    }
}

impl Holder for LockedLane {
    fn stored(self: &Arc<Self>, number: u64) {
        self.with(|lane, out| lane.stored(number, Instant::now(), out));
    }

    fn not_stored(self: &Arc<Self>, number: u64, row: Row, memory: Option<Share>) {
        let give_back = |parcel: &mut Box<Parcel>| parcel.give_back(row, memory);
        self.with(|lane, out| lane.not_stored(number, give_back, Instant::now(), out));
    }

    fn loaded(self: &Arc<Self>, rows: Vec<(u64, Row)>) {
        let parcels = rows.into_iter().map(|(number, row)| (number, Parcel::of_row(row))).collect();
        self.with(|lane, out| lane.loaded(parcels, Instant::now(), out));
    }

    fn not_loaded(self: &Arc<Self>) {
        self.with(|lane, out| lane.not_loaded(Instant::now(), out));
    }

    fn quarantined(self: &Arc<Self>, number: u64, kept: bool) {
        self.with(|lane, out| lane.buried(number, kept, Instant::now(), out));
    }
}

/// What a lane reaches from inside its lock.
#[derive(Debug)]
pub(super) struct Surroundings<'l> {
    lane: &'l Arc<LockedLane>,
}

impl Outside<Box<Parcel>, Refusal> for Surroundings<'_> {
    fn produce(&mut self, number: u64, parcel: &mut Box<Parcel>, now: Instant) -> bool {
        let Some(record) = parcel.record() else { return false };
        let lane = self.lane;
        let flight = Box::new(Flight { lane: Arc::clone(lane), number, audience: parcel.audience(), since: now });
        match lane.shared.producer.send(&lane.topic_name, lane.partition, record, flight) {
            Ok(()) => true,
            Err(SendError::Refused(reason)) => {
                // It is in flight for the lane, and lands as if a broker had refused it; the lock is ours, so it
                // is taken from the inbox later.
                let refusal = Refusal { value: record.value.clone(), reason };
                lane.inbox().push(Arrival::Refused { number, refusal, certain: true, now });
                true
            }
            Err(SendError::Unavailable) => false,
        }
    }

    fn append(&mut self, number: u64, parcel: &mut Box<Parcel>, facts: RowFacts) -> bool {
        let ledger = &self.lane.shared.ledger;
        let Some(room) = ledger.reserve(facts.bytes) else { return false };
        let Some((row, memory)) = parcel.take_row(facts.key_hash) else { return false };
        ledger.send(Job::Append { holder: Arc::clone(self.lane), number, row: Box::new(row), room, memory });
        true
    }

    fn delete(&mut self, number: u64) {
        self.lane.shared.ledger.send(Job::Delete { number });
    }

    fn load(&mut self, numbers: Vec<u64>) {
        self.lane.shared.ledger.send(Job::Load { holder: Arc::clone(self.lane), numbers });
    }

    /// A refused event becomes a dead letter; a dead letter, and whatever is no event, goes to the quarantine.
    fn bury(&mut self, number: u64, parcel: &mut Box<Parcel>, facts: Facts, refusal: Refusal, is_row: bool) {
        let shared = &self.lane.shared;
        let Refusal { value, reason } = refusal;
        shared.metrics.refused(reason);
        let (source, value_bytes) = (&parcel.origin.source_name, value.len());
        tracing::error!(source.name = %source, reason, value_bytes, "Kafka refuses a record for good");
        if !parcel.is_event() {
            return self.quarantine(number, parcel, facts, reason, is_row);
        }
        match dead_letter_of(&value, reason, &parcel.origin) {
            Ok(letter) => self.send_letter(number, parcel, letter, reason, is_row),
            Err(error) => {
                tracing::error!(%error, "a dead letter could not be written");
                self.quarantine(number, parcel, facts, reason, is_row);
            }
        }
    }

    fn durable(&mut self, parcel: &mut Box<Parcel>, way: Way) {
        parcel.durable(way, &self.lane.shared.window, &self.lane.shared.metrics);
    }

    fn failed(&mut self, parcel: Box<Parcel>) {
        parcel.failed(&self.lane.shared.window);
    }

    fn stalled(&mut self, parcel: &mut Box<Parcel>) {
        parcel.stalled(&self.lane.shared.window);
    }
}

impl Surroundings<'_> {
    /// The letter's lane reports back. What stands for a row of the spool may go there itself.
    fn send_letter(&self, number: u64, parcel: &Parcel, letter: Record, reason: &'static str, is_row: bool) {
        let shared = &self.lane.shared;
        if let Some(source) = &parcel.origin.metrics {
            shared.metrics.dead_letter(source, reason);
        }
        let lane = Arc::clone(self.lane);
        // Only left in the inbox, where upkeep finds it soon: the letter's lane is locked now, and nobody is to
        // hold one lane's lock while working in another.
        let report = Report::new(move |kept| lane.inbox().push(Arrival::Buried { number, kept, now: Instant::now() }));
        let policy = if is_row { Policy::Spool } else { parcel.policy };
        let letter = Parcel::letter(letter, policy, Arc::clone(&parcel.origin), report);
        match shared.letters.get().and_then(Weak::upgrade) {
            Some(letters) => letters.take_letter(letter, Instant::now()),
            None => letter.failed(&shared.window),
        }
    }

    fn quarantine(&self, number: u64, parcel: &mut Parcel, facts: Facts, reason: &'static str, is_row: bool) {
        let ledger = &self.lane.shared.ledger;
        let row = if is_row {
            None
        } else {
            let room = ledger.reserve(facts.bytes);
            let Some((room, (row, _))) = room.and_then(|room| Some((room, parcel.take_row(facts.key_hash)?))) else {
                let (kept, now) = (false, Instant::now());
                return self.lane.inbox().push(Arrival::Buried { number, kept, now });
            };
            Some((Box::new(row), room))
        };
        ledger.send(Job::Quarantine { holder: Arc::clone(self.lane), number, row, reason });
    }
}

/// The refused event itself is the dead letter's body: the request it came from is gone by now.
fn dead_letter_of(value: &[u8], reason: &'static str, origin: &Origin) -> Result<Record, serde_json::Error> {
    let path = format!("/webhooks/{}", origin.source_name);
    let request = RawRequest::new(origin.method, &path, origin.received_at)
        .with_remote_addr(origin.remote_addr)
        .with_body(value, false);
    let mut fault = Fault::of_request(reason, "Kafka refuses the event that was made of this request");
    fault.record = Some(String::from_utf8_lossy(value));
    dead_letter::of_fault(&fault, &request, &origin.source_name, &origin.provider)
}
