//! A lane at work: the state machine under a lock, with Kafka's client and the spool around it.
//!
//! What comes with every event, its arrival and its acknowledgement, never waits for that lock: it is put into
//! the lane's inbox, and whoever has the lock takes it from there, in order. Otherwise a thread that the
//! operating system stops while it has the lock would stop everybody: acknowledgements of all lanes come on
//! one thread.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use super::Shared;
use super::kafka::{Flight, SendError};
use super::lane::{Facts, Lane, Outside, RowFacts, Way};
use super::parcel::{Audience, Parcel, Reservation};
use super::spooler::Job;
use super::waking::{self, Inbox};
use crate::spool::Row;
use crate::telemetry::metrics::Route;

/// One lane of one topic.
#[derive(Debug)]
pub(super) struct Track {
    inside: Mutex<Inside>,
    inbox: Mutex<Vec<Arrival>>,
    shared: Arc<Shared>,
    /// The topic's name in the cluster.
    pub(super) topic_name: Arc<str>,
    /// The partition.
    pub(super) partition: i32,
}

/// What is behind the lock.
#[derive(Debug)]
struct Inside {
    lane: Lane<Box<Parcel>>,
    /// Empty; it takes turns with the inbox, so that neither has to grow again.
    arrived: Vec<Arrival>,
}

/// What comes to a lane with every event.
#[derive(Debug)]
enum Arrival {
    Event { parcel: Box<Parcel>, facts: Facts, now: Instant },
    Acknowledged { number: u64, now: Instant },
    Failed { number: u64, now: Instant },
}

/// How Kafka's client ends an event's flight.
#[derive(Debug)]
pub(super) enum Landing {
    /// Acknowledged by every replica that must.
    Acknowledged,
    /// Given back, for a reason that may pass.
    Failed,
    /// The record is at fault, with what is left of it.
    Refused(Refusal),
}

/// What Kafka refuses for good.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) value: Vec<u8>,
    pub(super) reason: &'static str,
}

impl Track {
    pub(super) fn new(
        lane: Lane<Box<Parcel>>,
        shared: &Arc<Shared>,
        topic_name: &Arc<str>,
        partition: u32,
    ) -> Arc<Self> {
        // Kafka counts partitions in 32 bits with a sign.
        let partition = i32::try_from(partition).unwrap_or(i32::MAX);
        let inside = Mutex::new(Inside { lane, arrived: Vec::new() });
        let (shared, topic_name) = (Arc::clone(shared), Arc::clone(topic_name));
        Arc::new(Self { inside, inbox: Mutex::default(), shared, topic_name, partition })
    }

    /// Takes an event. What comes to the inbox later gets its number and its place in the queue later.
    pub(super) fn accept(self: &Arc<Self>, parcel: Box<Parcel>, key_hash: u32, deadline: Instant, now: Instant) {
        let bytes = parcel.spool_bytes();
        let facts = Facts { key_hash, bytes, policy: parcel.policy(), deadline };
        self.inbox().push(Arrival::Event { parcel, facts, now });
        waking::empty_soon(self);
    }

    /// Kafka has acknowledged an event that somebody may wait for.
    pub(super) fn acknowledged(&self, audience: &Audience) {
        audience.durable(Route::Kafka, &self.shared.window);
    }

    /// Kafka's client has an outcome. What it refuses for good is dealt with elsewhere, since that may
    /// take another lane.
    pub(super) fn landed(self: &Arc<Self>, number: u64, landing: Landing, now: Instant) {
        match landing {
            Landing::Acknowledged => self.post(Arrival::Acknowledged { number, now }),
            Landing::Failed => self.post(Arrival::Failed { number, now }),
            Landing::Refused(refusal) => {
                if let Some(refused) = self.with(|lane, port| lane.refused(number, now, port)) {
                    self.shared.bury(self, number, refused, refusal);
                }
            }
        }
    }

    /// The spool has an event.
    pub(super) fn stored(self: &Arc<Self>, number: u64) {
        self.with(|lane, port| lane.stored(number, Instant::now(), port));
    }

    /// The spool has it not, and gives it back. Tells whether the event was still waiting for it.
    pub(super) fn not_stored(self: &Arc<Self>, number: u64, row: Row, memory: Option<Reservation>) -> bool {
        let give_back = |parcel: &mut Box<Parcel>| parcel.give_back(row, memory);
        self.with(|lane, port| lane.not_stored(number, give_back, Instant::now(), port))
    }

    /// Rows were read.
    pub(super) fn loaded(self: &Arc<Self>, rows: Vec<(u64, Row)>) {
        let parcels = rows.into_iter().map(|(number, row)| (number, Parcel::of_row(row))).collect();
        self.with(|lane, port| lane.loaded(parcels, Instant::now(), port));
    }

    /// Rows could not be read.
    pub(super) fn not_loaded(self: &Arc<Self>) {
        self.with(|lane, port| lane.not_loaded(Instant::now(), port));
    }

    /// A row is to be tried again later.
    pub(super) fn restore(self: &Arc<Self>, number: u64, facts: RowFacts) {
        self.with(|lane, port| lane.restore(number, facts, Instant::now(), port));
    }

    /// A row is not needed any more.
    pub(super) fn delete(&self, number: u64, facts: RowFacts) {
        self.shared.spool.send(Job::Delete { number, bytes: facts.bytes });
    }

    /// Runs one step of the state machine, after everything that came before.
    pub(super) fn with<T>(self: &Arc<Self>, step: impl FnOnce(&mut Lane<Box<Parcel>>, &mut Port<'_>) -> T) -> T {
        let done = {
            // Nothing panics while the lock is held, so a poisoned state is still a whole one.
            let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
            self.take_in(&mut inside);
            step(&mut inside.lane, &mut Port { track: self })
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
        let port = &mut Port { track: self };
        for arrival in arrived.drain(..) {
            match arrival {
                Arrival::Event { parcel, facts, now } => {
                    lane.accept(self.shared.next_number(), parcel, facts, now, port);
                }
                Arrival::Acknowledged { number, now } => lane.acknowledged(number, now, port),
                Arrival::Failed { number, now } => lane.failed(number, now, port),
            }
        }
    }

    /// An event is durable elsewhere.
    pub(super) fn durable(&self, parcel: &mut Parcel, way: Way) {
        parcel.durable(way, &self.shared.window, &self.shared.metrics);
    }

    /// An event is gone.
    pub(super) fn fail(&self, parcel: Box<Parcel>) {
        parcel.failed(&self.shared.window);
    }

    fn inbox(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox for Track {
    fn empty(self: Arc<Self>) {
        self.empty_inbox();
    }
}

/// What a lane reaches from inside its lock.
#[derive(Debug)]
pub(super) struct Port<'t> {
    track: &'t Arc<Track>,
}

impl Outside<Box<Parcel>> for Port<'_> {
    fn produce(&mut self, number: u64, parcel: &mut Box<Parcel>, now: Instant) -> bool {
        let Some(record) = parcel.record() else { return false };
        let flight = Flight::new(self.track, number, parcel.audience(), now);
        match self.track.shared.producer.send(&self.track.topic_name, self.track.partition, record, flight) {
            Ok(()) => true,
            Err(SendError::Refused(flight, reason)) => {
                // It is in flight for the lane, and lands as if a broker had refused it.
                let refusal = Refusal { value: record.value.clone(), reason };
                self.track.shared.producer.refuse(flight, refusal);
                true
            }
            Err(SendError::Unavailable) => false,
        }
    }

    fn append(&mut self, number: u64, parcel: &mut Box<Parcel>, facts: RowFacts) -> bool {
        let spool = &self.track.shared.spool;
        if !spool.reserve(facts.bytes) {
            return false;
        }
        let Some((row, memory)) = parcel.take_row(facts.key_hash) else {
            spool.release(facts.bytes);
            return false;
        };
        let (track, bytes) = (Arc::clone(self.track), facts.bytes);
        spool.send(Job::Append { track, number, row: Box::new(row), bytes, memory });
        true
    }

    fn delete(&mut self, number: u64, facts: RowFacts) {
        self.track.delete(number, facts);
    }

    fn load(&mut self, numbers: Vec<u64>) {
        self.track.shared.spool.send(Job::Load { track: Arc::clone(self.track), numbers });
    }

    fn durable(&mut self, parcel: &mut Box<Parcel>, way: Way) {
        self.track.durable(parcel, way);
    }

    fn failed(&mut self, parcel: Box<Parcel>) {
        self.track.fail(parcel);
    }

    fn stalled(&mut self, parcel: &mut Box<Parcel>) {
        parcel.stalled(&self.track.shared.window);
    }
}
