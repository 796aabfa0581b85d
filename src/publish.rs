//! Publishing: records in, certainty out.
//!
//! The publisher owns every record from [`Publisher::submit`] to its end. A request only holds a
//! [`Ticket`] and decides for itself how long it waits; when it stops waiting, or its client goes away,
//! the record still becomes durable as soon as Kafka or the spool takes it, and the duplicate window
//! knows about it.
//!
//! Every record belongs to a lane, which is a partition of a topic ([`lane`]). The lane decides whether
//! the record goes to Kafka's client (`producer`) or to the spool (`ledger`), and when what was
//! spooled goes to Kafka. `upkeep` gives the lanes the time and mends what has broken.
//!
//! The modules know only those before them: `waking`, `dedup`, `memory`, `lane`, `parcel`, `cause`, `client`,
//! `deliveries`, `producer`, `ledger`, `locked_lane`, `lanes_by_topic`, and this one with what serves it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

mod cause;
pub mod client;
pub mod dead_letter;
pub mod dedup;
mod deliveries;
pub mod embedded;
pub mod health;
mod kept;
pub mod lane;
mod lanes_by_topic;
mod ledger;
mod locked_lane;
pub mod membership;
mod memory;
mod parcel;
pub mod partition;
pub mod permits;
mod prober;
mod producer;
pub mod raw;
pub mod reader;
pub mod scan;
pub mod state;
pub mod topics;
mod upkeep;
mod veil;
pub mod vitals;
pub mod waking;
mod warm;

pub use ledger::SpoolState;
pub use parcel::Origin;
pub use waking::ticket;

use crate::event::envelope::Record;
use crate::event::kind::{self, TopicInfo};
use crate::event::time::Time;
use crate::settings::Policy;
use crate::settings::{KafkaSettings, SpoolSettings};
use crate::spool::{self, SpoolError};
use crate::telemetry::metrics::Metrics;
use client::StartError;
use dedup::{Admission, Window};
use health::Health;
use lanes_by_topic::LanesByTopic;
use ledger::{Inventory, Job, Ledger, Writer};
use locked_lane::{Letters, LockedLane, Shared};
use memory::{Memory, Share};
use parcel::Parcel;
use prober::Prober;
use producer::Producer;
use ticket::Ticket;
use topics::MoreTopics;
use upkeep::Upkeep;
use vitals::{Ends, Vitals};
use warm::Warming;

/// A batch that the publisher has taken.
#[derive(Debug)]
pub struct Submitted {
    /// Tells when everything is durable.
    pub ticket: Arc<Ticket>,
    /// How many of the records are not copies of earlier ones.
    pub fresh: usize,
    /// After this time the request need not wait any longer.
    pub patience: Duration,
}

/// What is left when the publisher has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Events that nobody has acknowledged and the spool does not hold, and whose requests were not told so. None
    /// of them was answered 200.
    pub unsaved: usize,
    /// Events in the spool.
    pub spooled: u64,
    /// Events in the quarantine.
    pub quarantined: u64,
}

/// Publishes records to Kafka, through the spool if need be.
#[derive(Debug)]
pub struct Publisher {
    core: Arc<Core>,
    health: Health,
    upkeep: Upkeep,
    warming: Warming,
    ledger: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Core {
    shared: Arc<Shared>,
    lanes: Arc<LanesByTopic>,
    prober: Prober,
    /// Names of topics in the cluster that readiness does not depend on.
    aside: Vec<String>,
    vitals: Arc<Vitals>,
}

/// How long a request waits for the spool, beyond the time it gives to Kafka. Only a disk that hangs
/// takes as long.
const SPOOL_PATIENCE: Duration = Duration::from_secs(10);

/// How long lanes wait for acknowledgements before they look at what has come, while stopping.
const FLUSH: Duration = Duration::from_millis(10);

/// Numbers of events grow with time, so that they tell an event's age and never repeat after a start.
const NUMBERS_PER_MS_BITS: u32 = 20;

impl Publisher {
    /// Opens the spool, and starts a producer and the threads that look after both. Kafka need not be
    /// reachable yet. A publisher without a spool remembers nothing of earlier runs: its duplicate window
    /// is not filled from the topics either. `more` are the topics that it will write beside the
    /// [wanted](topics::wanted) ones.
    ///
    /// # Errors
    /// When librdkafka does not accept the configuration, or the spool belongs to another process or to
    /// a newer version.
    pub fn start(
        settings: &KafkaSettings,
        spool: Option<&SpoolSettings>,
        more: MoreTopics,
        window: usize,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let (ledger, jobs) = Ledger::new(spool.map_or(0, |spool| spool.max_bytes));
        let options = spool.map(|spool| spool::Options { dir: spool.dir.clone(), vfs: None });
        let (writer, found) = Writer::open(&ledger, options).map_err(StartError::Spool)?;
        let shared = Arc::new(Shared {
            producer: Producer::start(settings, metrics)?,
            ledger,
            window: Window::new(window),
            metrics: Arc::clone(metrics),
            memory: Memory::new(),
            numbers: AtomicU64::new(0),
            brokers_answer: AtomicBool::new(false),
            letters: OnceLock::new(),
        });
        let is_aside = |topic: &&'static TopicInfo| more.aside.contains(topic);
        let found_topics = found.rows.iter().map(|row| row.topic).filter(|topic| !is_aside(topic));
        let needed = topics::wanted(settings).chain(more.needed.iter().copied()).chain(found_topics);
        let needed = names_of(settings, needed);
        let aside = names_of(settings, more.aside.iter().copied());
        let lanes = make_lanes(&shared, settings, &found);
        let (prober, vitals) = (Prober::start(settings)?, Arc::new(Vitals::default()));
        let core = Arc::new(Core { shared, lanes, prober, aside, vitals });
        let ledger = core.run_ledger(writer, jobs)?;
        let health = Health::watch(&core, needed)?;
        let upkeep = Upkeep::start(&core)?;
        let warming = Warming::start(settings, spool.map_or(0, |_| window), &core)?;
        Ok(Self { core, health, upkeep, warming, ledger: Some(ledger) })
    }

    /// Takes a batch of records: all of them, or none if there is no room. They are on their way, or
    /// known as copies, when this returns.
    pub fn submit(&self, records: Vec<Record>, origin: &Arc<Origin>) -> Submitted {
        let ticket = Arc::new(Ticket::new(records.len()));
        let patience = match origin.policy {
            Policy::Spool => origin.ack_timeout + SPOOL_PATIENCE,
            Policy::Strict => origin.ack_timeout,
        };
        let fresh = match self.core.reserve(&records) {
            Some(memory) => self.core.accept(records, memory, &ticket, origin),
            None => {
                records.iter().for_each(|_| ticket.settle(false));
                records.len()
            }
        };
        Submitted { ticket, fresh, patience }
    }

    /// What is known of the broker.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What is known of the spool.
    pub fn spool(&self) -> SpoolState {
        self.core.spool_state()
    }

    /// Whether everything that has to run for ever is at work.
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.core.vitals
    }

    /// Looks into the spool, behind everything that it was given before. `None` if it is not open now.
    pub fn look_into_spool<T: Send + 'static>(
        &self,
        look: impl FnOnce(&spool::Store) -> Result<T, SpoolError> + Send + 'static,
    ) -> Option<Result<T, SpoolError>> {
        self.core.shared.ledger.look(look)
    }

    /// Lets every lane try Kafka again at once.
    pub fn retry_now(&self) {
        let now = Instant::now();
        self.core.lanes.each(|lane| lane.with(|lane, out| lane.retry_now(now, out)));
    }

    /// Stops: what Kafka has not acknowledged goes to the spool first, and is waited for second, as long
    /// as brokers answer and the deadline allows. Blocks.
    pub fn stop(&self, deadline: Instant) -> Left {
        let now = Instant::now();
        let core = &self.core;
        core.lanes.each(|lane| lane.with(|lane, out| lane.save(now, out)));
        core.shared.ledger.settle(deadline);
        while Instant::now() < deadline && self.health.state().brokers > 0 && !core.lanes.are_idle() {
            core.shared.producer.flush(FLUSH);
            self.retry_now();
        }
        let unsaved = core.unsaved();
        self.shut(deadline);
        let state = core.shared.ledger.state(0);
        Left { unsaved, spooled: state.events, quarantined: state.quarantined }
    }

    /// Ends everything. What Kafka's client still holds lands, and stays in the spool.
    fn shut(&self, deadline: Instant) {
        self.core.vitals.stopping();
        self.health.stop();
        self.warming.stop();
        self.upkeep.stop();
        let now = Instant::now();
        self.core.lanes.each(|lane| lane.with(|lane, out| lane.gate(now, out)));
        let shared = &self.core.shared;
        shared.producer.close();
        shared.ledger.stop(deadline);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shut(Instant::now() + SPOOL_PATIENCE);
        if self.ledger.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the spool's thread had panicked");
        }
    }
}

/// Makes the lanes, once: from what was in the spool, or as many as topics are created with.
fn make_lanes(shared: &Arc<Shared>, settings: &KafkaSettings, found: &Inventory) -> Arc<LanesByTopic> {
    note_rows(shared, found);
    shared.numbers_after(number_of_now());
    let known = |topic: &TopicInfo| {
        let found = found.partitions.iter().find(|(known, _)| known.suffix == topic.suffix);
        found.map_or_else(|| topic.partitions.unsigned_abs(), |(_, count)| *count)
    };
    let topics = kind::all_topics().map(|topic| (topic, topics::full_name(settings, topic), known(topic)));
    let lanes = Arc::new(LanesByTopic::new(shared, topics, &found.rows));
    let letters: Weak<LanesByTopic> = Arc::downgrade(&lanes);
    let letters: Weak<dyn Letters> = letters;
    // It was empty: this is called once.
    drop(shared.letters.set(letters));
    lanes
}

/// What is in the spool is durable, and has its numbers.
fn note_rows(shared: &Shared, found: &Inventory) {
    shared.numbers_after(found.highest_number);
    found.rows.iter().filter_map(|row| row.identity).for_each(|key| shared.window.remember(key));
}

impl Core {
    /// Starts the ledger's thread. What is in a spool that it has to open anew is compared with what the lanes
    /// know; a spool that could not be opened before is one of these.
    fn run_ledger(
        self: &Arc<Self>,
        writer: Writer,
        jobs: Receiver<Job<LockedLane>>,
    ) -> Result<JoinHandle<()>, StartError> {
        let core = Arc::downgrade(self);
        let reopened = move |found: Inventory| {
            let Some(core) = core.upgrade() else { return };
            note_rows(&core.shared, &found);
            core.lanes.compare(&found.rows, Instant::now());
        };
        let reopened: Box<dyn Fn(Inventory) + Send> = Box::new(reopened);
        self.vitals.spawn("spool", Ends::Never, move || writer.run(&jobs, &reopened))
    }

    /// Room for all of a request's records. Where some of them would go to the spool, there must be room
    /// for all of them there too.
    fn reserve(&self, records: &[Record]) -> Option<Share> {
        let bytes = records.iter().map(|record| record.bytes() as u64).sum();
        if records.len() > 1 && self.shared.metrics.lanes_open.get() > 0 && !self.shared.ledger.has_room(bytes) {
            return None;
        }
        self.shared.memory.reserve(records)
    }

    /// Tells how many of the records are not copies.
    fn accept(&self, records: Vec<Record>, mut memory: Share, ticket: &Arc<Ticket>, origin: &Arc<Origin>) -> usize {
        let now = Instant::now();
        let deadline = now + origin.ack_timeout;
        let mut fresh = 0;
        for record in records {
            let memory = memory.share_of(&record);
            match record.identity.map_or(Admission::New, |key| self.shared.window.admit(key, ticket)) {
                Admission::Durable => ticket.settle(true),
                Admission::Stalled => ticket.settle(false),
                Admission::Pending => {}
                Admission::New => {
                    fresh += 1;
                    let topic = record.topic;
                    let parcel = Parcel::new(record, memory, Arc::clone(ticket), Arc::clone(origin));
                    self.lanes.take(topic, parcel, deadline, now);
                }
            }
        }
        fresh
    }

    /// Events that nobody has and whose requests have not been told so.
    fn unsaved(&self) -> usize {
        let mut unsaved = 0;
        self.lanes.each(|lane| unsaved += lane.with(|lane, _| lane.unsaved_count()));
        unsaved
    }

    fn spool_state(&self) -> SpoolState {
        let mut oldest = None;
        self.lanes.each(|lane| {
            let stored = lane.with(|lane, _| lane.oldest_stored());
            oldest = [oldest, stored].into_iter().flatten().min();
        });
        let age_ms = oldest.map_or(0, |number| number_of_now().saturating_sub(number) >> NUMBERS_PER_MS_BITS);
        self.shared.ledger.state(age_ms / 1000)
    }
}

fn number_of_now() -> u64 {
    Time::now().unix_ms().unsigned_abs() << NUMBERS_PER_MS_BITS
}

/// Names of topics in the cluster, each once.
fn names_of(settings: &KafkaSettings, topics: impl Iterator<Item = &'static TopicInfo>) -> Vec<String> {
    let names: BTreeSet<String> = topics.map(|topic| topics::full_name(settings, topic)).collect();
    names.into_iter().collect()
}
