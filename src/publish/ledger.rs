//! The spool at work: one thread that commits for everybody, and keeps count.
//!
//! Whatever has come in while one transaction was being synced goes into the next one, so that the
//! number of events per second does not depend on how long a disk takes to sync.
//!
//! The ledger knows no lanes: whoever hands it a row hears of it as a [`Holder`]. What is in the spool is
//! counted by the store alone, from what SQLite has changed. What is on its way there has a [`Room`], which
//! moves with the row and is given back wherever that ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::memory::Share;
use crate::event::kind::TopicInfo;
use crate::spool::{Counts, Row, SpoolError, Store, Stored};

mod batch;
mod writer;

pub(super) use writer::Writer;

/// Whoever hands rows over, and hears what has become of them, on the ledger's thread.
pub(super) trait Holder: Send + Sync + 'static {
    /// A row is committed and synced.
    fn stored(self: &Arc<Self>, number: u64);
    /// A row could not be kept, and is given back.
    fn not_stored(self: &Arc<Self>, number: u64, row: Row, memory: Option<Share>);
    /// Rows that were asked for, as far as they are there.
    fn loaded(self: &Arc<Self>, rows: Vec<(u64, Row)>);
    /// Rows that were asked for can not be read.
    fn not_loaded(self: &Arc<Self>);
    /// A row is in the quarantine, or could not be put there.
    fn quarantined(self: &Arc<Self>, number: u64, kept: bool);
}

/// Work for the ledger.
#[derive(Debug)]
pub(super) enum Job<H> {
    /// Keep an event.
    Append { holder: Arc<H>, number: u64, row: Box<Row>, room: Room, memory: Option<Share> },
    /// Forget a row, if it is there.
    Delete { number: u64 },
    /// Read rows.
    Load { holder: Arc<H>, numbers: Vec<u64> },
    /// Keep what Kafka refuses in every form: this row, or without one the row of that number.
    Quarantine { holder: Arc<H>, number: u64, row: Option<(Box<Row>, Room)>, reason: &'static str },
    /// Remember the number of a topic's partitions.
    Partitions { topic: &'static TopicInfo, count: u32 },
    /// Look into the store, behind everything above.
    Look(Look),
    /// Finish what was asked for before, and end.
    Stop,
}

/// Somebody who looks into the store, if there is one now, and tells what damage was met.
type Looker = Box<dyn FnOnce(Option<&Store>) -> Option<Damage> + Send>;

/// Why a store has to be opened anew, in words.
struct Damage(String);

/// A question to the store.
pub(super) struct Look(Looker);

impl Damage {
    fn of(error: &SpoolError) -> Option<Self> {
        matches!(error, SpoolError::Corrupt(_) | SpoolError::Vanished { .. }).then(|| Self(error.to_string()))
    }
}

impl std::fmt::Debug for Look {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Look")
    }
}

/// What was in the spool when it was opened.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// The rows, by ascending number.
    pub(super) rows: Vec<Stored>,
    /// Partitions of topics, when last known.
    pub(super) partitions: Vec<(&'static TopicInfo, u32)>,
    /// The highest number in use.
    pub(super) highest_number: u64,
}

/// What is known of the spool, as `/readyz` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpoolState {
    /// Whether events can be kept: the disk takes them, and there is room.
    pub ready: bool,
    /// Events that wait for Kafka.
    pub events: u64,
    /// What they and the quarantine count, in bytes, with what is on its way there.
    pub bytes: u64,
    /// `spool.max_bytes`.
    pub max_bytes: u64,
    /// Age of the oldest event that waits, in seconds.
    pub oldest_age_seconds: u64,
    /// Events that Kafka refuses in every form.
    pub quarantined: u64,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Few events are larger.
const COMMON_EVENT_BYTES: u64 = 16 << 10;

/// Room for a row that is on its way to the spool. It ends when the row is there, or is not.
#[derive(Debug)]
pub(super) struct Room {
    known: Arc<Known>,
    bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.known.reserved_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// The way to the ledger's thread, and what is known of the spool.
#[derive(Debug)]
pub(super) struct Ledger<H> {
    jobs: Mutex<Sender<Job<H>>>,
    known: Arc<Known>,
}

#[derive(Debug)]
struct Known {
    max_bytes: u64,
    /// What the store counts; written by the ledger's thread alone.
    stored_bytes: AtomicU64,
    events: AtomicU64,
    quarantined: AtomicU64,
    /// What there is a [`Room`] for.
    reserved_bytes: AtomicU64,
    problem: Mutex<Option<String>>,
    stopped: AtomicBool,
}

impl Known {
    fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn used_bytes(&self) -> u64 {
        self.stored_bytes.load(Ordering::Acquire).saturating_add(self.reserved_bytes.load(Ordering::Acquire))
    }

    /// Whether a common event fits. The last bytes of a full spool are of no use.
    fn has_room_for_an_event(&self) -> bool {
        let event_bytes = COMMON_EVENT_BYTES.min(self.max_bytes / 16);
        self.used_bytes().saturating_add(event_bytes) <= self.max_bytes
    }

    fn set_counts(&self, counts: Counts) {
        self.stored_bytes.store(counts.bytes(), Ordering::Release);
        self.events.store(counts.events, Ordering::Release);
        self.quarantined.store(counts.quarantined, Ordering::Release);
    }

    /// Notes what is wrong, or that all is well, and logs a change once. Without a spool neither is news.
    fn set_problem(&self, problem: Option<String>) {
        let mut known = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, &problem) {
            _ if self.max_bytes == 0 => {}
            (Some(_), None) => tracing::info!("the spool can be written"),
            (before, Some(problem)) if before.as_ref() != Some(problem) => {
                tracing::error!(problem, "the spool can not keep events; while Kafka is away they are answered 503");
            }
            _ => {}
        }
        *known = problem;
    }
}

impl<H> Ledger<H> {
    /// A way to a thread that is yet to be started, and the other end of it.
    pub(super) fn new(max_bytes: u64) -> (Self, Receiver<Job<H>>) {
        let (jobs, received) = channel();
        let known = Known {
            max_bytes,
            stored_bytes: AtomicU64::new(0),
            events: AtomicU64::new(0),
            quarantined: AtomicU64::new(0),
            reserved_bytes: AtomicU64::new(0),
            problem: Mutex::new(None),
            stopped: AtomicBool::new(false),
        };
        (Self { jobs: Mutex::new(jobs), known: Arc::new(known) }, received)
    }

    /// Room for this many bytes, if there is some.
    pub(super) fn reserve(&self, bytes: u64) -> Option<Room> {
        let reserved = self.known.reserved_bytes.fetch_add(bytes, Ordering::AcqRel);
        let room = Room { known: Arc::clone(&self.known), bytes };
        let used = self.known.stored_bytes.load(Ordering::Acquire).saturating_add(reserved);
        (used.saturating_add(bytes) <= self.known.max_bytes).then_some(room)
    }

    /// Whether this much would find room now.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.known.used_bytes().saturating_add(bytes) <= self.known.max_bytes && self.known.problem().is_none()
    }

    /// Asks for something.
    pub(super) fn send(&self, job: Job<H>) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.send(job).is_err() && !self.known.stopped.load(Ordering::Acquire) {
            tracing::error!("the spool's thread has ended; nothing is kept on disk any more");
        }
    }

    /// Lets the thread end when everything that was asked for before is done, and waits for that.
    pub(super) fn stop(&self, deadline: Instant) {
        self.settle(deadline);
        self.known.stopped.store(true, Ordering::Release);
        // An error says that it has ended before.
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(Job::Stop));
    }

    /// Waits until everything that was asked for before is done, but not beyond the deadline: a disk may hang.
    pub(super) fn settle(&self, deadline: Instant) {
        let (answer, answered) = channel();
        let look = move |_: Option<&Store>| {
            // Whoever asked may have given up.
            answer.send(()).ok();
            None
        };
        self.send(Job::Look(Look(Box::new(look))));
        if let Err(RecvTimeoutError::Timeout) =
            answered.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            tracing::warn!("the spool takes longer than there is time");
        }
    }

    /// Waits until everything that was asked for before is done, and looks into the store. `None` if there is
    /// none now, or the thread has ended.
    pub(super) fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Store) -> Result<T, SpoolError> + Send + 'static,
    ) -> Option<Result<T, SpoolError>> {
        let (answer, answered) = channel();
        let look = move |store: Option<&Store>| {
            let found = look(store?);
            let damage = found.as_ref().err().and_then(Damage::of);
            // Whoever asked may have gone.
            drop(answer.send(found));
            damage
        };
        self.send(Job::Look(Look(Box::new(look))));
        answered.recv().ok()
    }

    /// What is known of the spool. The oldest event is known to the lanes alone.
    pub(super) fn state(&self, oldest_age_seconds: u64) -> SpoolState {
        let known = &self.known;
        let problem = known.problem();
        SpoolState {
            ready: problem.is_none() && known.has_room_for_an_event(),
            events: known.events.load(Ordering::Acquire),
            bytes: known.used_bytes(),
            max_bytes: known.max_bytes,
            oldest_age_seconds,
            quarantined: known.quarantined.load(Ordering::Acquire),
            problem,
        }
    }
}
