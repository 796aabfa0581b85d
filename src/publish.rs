//! Publishing: records in, certainty out.
//!
//! The publisher owns every record from [`Publisher::submit`] to its end. A request only holds a
//! [`Ticket`] and decides for itself how long it waits; when it stops waiting, or its client goes away,
//! the record still becomes durable as soon as Kafka or the spool takes it, and the duplicate window
//! knows about it.
//!
//! Every record belongs to a lane, which is a partition of a topic ([`lane`]). The lane decides whether
//! the record goes to Kafka's client ([`kafka`]) or to the spool (`spooler`), and when what was
//! spooled goes to Kafka. `upkeep` gives the lanes the time and mends what has broken.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub mod dead_letter;
pub mod dedup;
pub mod embedded;
pub mod health;
pub mod kafka;
mod kept;
pub mod lane;
mod lanes;
mod parcel;
pub mod partition;
pub mod raw;
pub mod reader;
mod refusal;
mod spooler;
pub mod topics;
mod track;
mod upkeep;
pub mod waking;
mod warm;

pub use spooler::SpoolState;
pub use waking::ticket;

use crate::config::{KafkaSettings, SpoolSettings};
use crate::event::envelope::Record;
use crate::event::kind::{self, TopicInfo};
use crate::event::time::Time;
use crate::request::Method;
use crate::spool;
use crate::telemetry::metrics::{Metrics, SourceMetrics};
use dedup::{Admission, Window};
use health::Health;
use kafka::{Producer, Refused, StartError};
use lane::Policy;
use lanes::Lanes;
use parcel::{Memory, Parcel, Reservation};
use spooler::{Job, Spooler, Writer};
use ticket::Ticket;
use upkeep::Upkeep;
use warm::Warming;

/// Where a batch of records comes from, as far as their later fate may need it.
#[derive(Debug)]
pub struct Origin {
    /// Name of the source.
    pub source_name: Arc<str>,
    /// Name of the provider.
    pub provider: Cow<'static, str>,
    /// Method of the request.
    pub method: Method,
    /// Who sent it.
    pub remote_addr: Option<IpAddr>,
    /// When it was read.
    pub received_at: Time,
    /// What happens when Kafka does not acknowledge in time.
    pub policy: Policy,
    /// That time.
    pub ack_timeout: Duration,
    /// The source's metrics, if it is at work.
    pub metrics: Option<Arc<SourceMetrics>>,
}

impl Origin {
    /// What is left to know of an event that was read from the spool.
    fn of_row(source_name: &str, provider: Cow<'static, str>, received_at: Time) -> Self {
        Self {
            source_name: source_name.into(),
            provider,
            method: Method::Post,
            remote_addr: None,
            received_at,
            policy: Policy::Spool,
            ack_timeout: Duration::ZERO,
            metrics: None,
        }
    }
}

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
    /// Events that nobody has acknowledged and the spool does not hold. None was answered 200.
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
    refusals: Option<JoinHandle<()>>,
    spool: Option<JoinHandle<()>>,
}

/// Everything that lanes share.
#[derive(Debug)]
struct Shared {
    producer: Producer,
    spool: Spooler,
    window: Window,
    metrics: Arc<Metrics>,
    memory: Arc<Memory>,
    numbers: AtomicU64,
    /// Whether the brokers were found ready when last asked.
    kafka_is_ready: AtomicBool,
    /// The lanes hold what they share, so this does not hold them.
    lanes: OnceLock<Weak<Lanes>>,
}

#[derive(Debug)]
struct Core {
    shared: Arc<Shared>,
    lanes: Arc<Lanes>,
}

/// How long a request waits for the spool, beyond the time it gives to Kafka. Only a disk that hangs
/// takes as long.
const SPOOL_PATIENCE: Duration = Duration::from_secs(10);

/// Numbers of events grow with time, so that they tell an event's age and never repeat after a start.
const NUMBERS_PER_MS_BITS: u32 = 20;

impl Publisher {
    /// Opens the spool, and starts a producer and the threads that look after both. Kafka need not be
    /// reachable yet. A publisher without a spool remembers nothing of earlier runs: its duplicate window
    /// is not filled from the topics either. `more_topics` are those that it will write beside the
    /// [wanted](topics::wanted) ones.
    ///
    /// # Errors
    /// When librdkafka does not accept the configuration, or the spool belongs to another process or to
    /// a newer version.
    pub fn start(
        settings: &KafkaSettings,
        spool: Option<&SpoolSettings>,
        more_topics: &[&'static TopicInfo],
        window: usize,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, StartError> {
        let (spooler, jobs) = Spooler::new(spool.map_or(0, |spool| spool.max_bytes));
        let options = spool.map(|spool| spool::Options { dir: spool.dir.clone(), vfs: None });
        let (writer, found) = Writer::open(&spooler, options).map_err(StartError::Spool)?;
        let (refuse, refused) = channel();
        let shared = Arc::new(Shared {
            producer: Producer::start(settings, refuse, metrics)?,
            spool: spooler,
            window: Window::new(window),
            metrics: Arc::clone(metrics),
            memory: Memory::new(),
            numbers: AtomicU64::new(0),
            kafka_is_ready: AtomicBool::new(false),
            lanes: OnceLock::new(),
        });
        let incomplete = found.is_none();
        let found = found.unwrap_or_default();
        let topics = topics::wanted(settings).chain(more_topics.iter().copied());
        let watched = names_of(settings, topics.chain(found.rows.iter().map(|row| row.topic)));
        let lanes = shared.make_lanes(settings, found);
        let core = Arc::new(Core { shared, lanes });
        let spool_thread = core.run_spool(writer, jobs, incomplete)?;
        let refusals = spawn("refused-records", move || bury_all(&refused))?;
        let health = Health::watch(Arc::clone(&core), watched);
        let upkeep = Upkeep::start(Arc::clone(&core))?;
        let warming = Warming::start(settings, spool.map_or(0, |_| window), &core.shared)?;
        Ok(Self { core, health, upkeep, warming, refusals: Some(refusals), spool: Some(spool_thread) })
    }

    /// Takes a batch of records: all of them, or none if there is no room. They are on their way, or
    /// known as copies, when this returns.
    pub fn submit(&self, records: Vec<Record>, origin: &Arc<Origin>) -> Submitted {
        let ticket = Arc::new(Ticket::new(records.len()));
        // A batch takes longer than one event, however well Kafka is: a millisecond more for each record.
        let more_records = u64::try_from(records.len().saturating_sub(1)).unwrap_or(u64::MAX);
        let kafka_patience = origin.ack_timeout + Duration::from_millis(more_records);
        let patience = match origin.policy {
            Policy::Spool => kafka_patience + SPOOL_PATIENCE,
            Policy::Strict => kafka_patience,
        };
        let fresh = match self.core.reserve(&records) {
            Some(memory) => self.core.accept(records, memory, &ticket, origin, kafka_patience),
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

    /// Looks into the spool, behind everything that it was given before. `None` if it can not be opened.
    pub fn look_into_spool<T: Send + 'static>(
        &self,
        look: impl FnOnce(&spool::Store) -> T + Send + 'static,
    ) -> Option<T> {
        self.core.shared.spool.look(|store| store.map(look)).flatten()
    }

    /// Lets every lane try Kafka again at once.
    pub fn retry_now(&self) {
        let now = Instant::now();
        self.core.lanes.each(|track| track.with(|lane, port| lane.retry_now(now, port)));
    }

    /// Stops: what Kafka has not acknowledged goes to the spool first, and is waited for second, as long
    /// as Kafka takes it and the deadline allows. Blocks.
    pub fn stop(&self, deadline: Instant) -> Left {
        let now = Instant::now();
        self.core.lanes.each(|track| track.with(|lane, port| lane.save(now, port)));
        self.core.shared.spool.look(|_| ());
        while Instant::now() < deadline && self.health.state().ready && !self.core.is_idle() {
            self.core.shared.producer.flush(Duration::from_millis(10));
            self.retry_now();
        }
        let unsaved = self.core.unsaved();
        self.shut();
        let state = self.core.shared.spool.state(0);
        Left { unsaved, spooled: state.events, quarantined: state.quarantined }
    }

    /// Ends everything. What Kafka's client still holds lands, and stays in the spool.
    fn shut(&self) {
        self.health.stop();
        self.warming.stop();
        self.upkeep.stop();
        let now = Instant::now();
        self.core.lanes.each(|track| track.with(|lane, port| lane.gate(now, port)));
        let shared = &self.core.shared;
        shared.producer.close();
        shared.spool.stop();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shut();
        let threads = [(self.refusals.take(), "refused records"), (self.spool.take(), "the spool")];
        for (thread, task) in threads {
            if let Some(thread) = thread
                && thread.join().is_err()
            {
                tracing::error!("the thread for {task} had panicked");
            }
        }
    }
}

impl Shared {
    /// The number of the next event. Only the lane that takes the event calls it, under its lock.
    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Numbers from now on are greater than this one.
    fn numbers_after(&self, number: u64) {
        self.numbers.fetch_max(number, Ordering::AcqRel);
    }

    /// Makes the lanes, once: from what was in the spool, or as many as topics are created with.
    fn make_lanes(self: &Arc<Self>, settings: &KafkaSettings, found: spooler::Found) -> Arc<Lanes> {
        self.numbers_after(found.highest_number);
        self.numbers_after(number_of_now());
        found.rows.iter().filter_map(|row| row.identity).for_each(|key| self.window.remember(key));
        let known = |topic: &TopicInfo| {
            let found = found.partitions.iter().find(|(known, _)| known.suffix == topic.suffix);
            found.map_or_else(|| topic.partitions.unsigned_abs(), |(_, count)| *count)
        };
        let topics = kind::all_topics().map(|topic| (topic, topics::full_name(settings, topic), known(topic)));
        let lanes = Arc::new(Lanes::new(self, topics, &found.rows));
        // It was empty: this is called once.
        drop(self.lanes.set(Arc::downgrade(&lanes)));
        lanes
    }
}

impl Core {
    /// Starts the spool's thread. Rows of a spool that could not be opened yet are taken in later.
    fn run_spool(
        self: &Arc<Self>,
        writer: Writer,
        jobs: Receiver<Job>,
        incomplete: bool,
    ) -> Result<JoinHandle<()>, StartError> {
        let core = Arc::downgrade(self);
        let adopt = move |found: spooler::Found| {
            let Some(core) = core.upgrade() else { return };
            core.shared.numbers_after(found.highest_number);
            for row in &found.rows {
                row.identity.into_iter().for_each(|key| core.shared.window.remember(key));
                core.lanes.adopt(row);
            }
        };
        let adopt: Option<spooler::Adopt> = if incomplete { Some(Box::new(adopt)) } else { None };
        spawn("spool", move || writer.run(&jobs, adopt))
    }

    /// Room for all of a request's records. Where some of them would go to the spool, there must be room
    /// for all of them there too.
    fn reserve(&self, records: &[Record]) -> Option<Reservation> {
        let bytes = records.iter().map(|record| record.bytes() as u64).sum();
        if records.len() > 1 && self.shared.metrics.lanes_open.get() > 0 && !self.shared.spool.has_room(bytes) {
            return None;
        }
        self.shared.memory.reserve(records)
    }

    /// Tells how many of the records are not copies.
    fn accept(
        &self,
        records: Vec<Record>,
        mut memory: Reservation,
        ticket: &Arc<Ticket>,
        origin: &Arc<Origin>,
        kafka_patience: Duration,
    ) -> usize {
        let now = Instant::now();
        let deadline = now + kafka_patience;
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
                    self.lanes.take(&self.shared, topic, parcel, deadline, now);
                }
            }
        }
        fresh
    }

    /// Whether nothing is on its way and nothing is in the spool.
    fn is_idle(&self) -> bool {
        let mut idle = true;
        self.lanes.each(|track| idle &= track.with(|lane, _| lane.is_idle()));
        idle && self.shared.spool.state(0).events == 0
    }

    /// Events in Kafka's hands that the spool does not hold.
    fn unsaved(&self) -> usize {
        let mut unsaved = 0;
        self.lanes.each(|track| unsaved += track.with(|lane, _| lane.unsaved_count()));
        unsaved
    }

    fn spool_state(&self) -> SpoolState {
        let mut oldest = None;
        self.lanes.each(|track| {
            let stored = track.with(|lane, _| lane.oldest_stored());
            oldest = [oldest, stored].into_iter().flatten().min();
        });
        let age_ms = oldest.map_or(0, |number| number_of_now().saturating_sub(number) >> NUMBERS_PER_MS_BITS);
        self.shared.spool.state(age_ms / 1000)
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

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(StartError::Thread)
}

/// Deals with what Kafka refuses for good, until told to stop.
fn bury_all(refused: &Receiver<Option<Refused>>) {
    while let Ok(Some((flight, refusal))) = refused.recv() {
        flight.land(track::Landing::Refused(refusal));
    }
}
