//! The spool at work: one thread that commits for everybody.
//!
//! Whatever has come in while one transaction was being synced goes into the next one, so that the
//! number of events per second does not depend on how long a disk takes to sync.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::lane::RowFacts;
use super::parcel::{Parcel, Reservation};
use super::track::Track;
use crate::event::kind::TopicInfo;
use crate::spool::{Row, Store};

mod writer;

pub(super) use writer::{Adopt, Found, Writer};

/// Work for the spool.
#[derive(Debug)]
pub(super) enum Job {
    /// Keep an event.
    Append { track: Arc<Track>, number: u64, row: Box<Row>, bytes: u64, memory: Option<Reservation> },
    /// Forget a row.
    Delete { number: u64, bytes: u64 },
    /// Read rows.
    Load { track: Arc<Track>, numbers: Vec<u64> },
    /// Keep what Kafka refuses in every form.
    Quarantine(Box<Quarantine>),
    /// Remember the number of a topic's partitions.
    Partitions { topic: &'static TopicInfo, count: u32 },
    /// Look into the store, behind everything above.
    Look(Look),
    /// Finish what was asked for before, and end.
    Stop,
}

/// An event for the quarantine.
#[derive(Debug)]
pub(super) struct Quarantine {
    pub(super) track: Arc<Track>,
    pub(super) number: u64,
    pub(super) facts: RowFacts,
    /// The row, if it is not in the spool.
    pub(super) row: Option<Row>,
    pub(super) reason: &'static str,
    pub(super) parcel: Box<Parcel>,
}

/// Somebody who looks into the store; there may be no store now.
type Looker = Box<dyn FnOnce(Option<&Store>) + Send>;

/// A question to the store.
pub(super) struct Look(Looker);

impl std::fmt::Debug for Look {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Look")
    }
}

/// What is known of the spool, as `/readyz` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpoolState {
    /// Whether events can be kept: the disk takes them, and there is room.
    pub ready: bool,
    /// Events that wait for Kafka.
    pub events: u64,
    /// What they and the quarantine count, in bytes.
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

/// The way to the spool's thread, and what is known of the spool.
#[derive(Debug)]
pub(super) struct Spooler {
    jobs: Mutex<Sender<Job>>,
    known: Arc<Known>,
}

#[derive(Debug)]
struct Known {
    max_bytes: u64,
    used_bytes: AtomicU64,
    events: AtomicU64,
    quarantined: AtomicU64,
    problem: Mutex<Option<String>>,
    stopped: AtomicBool,
}

impl Known {
    fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a common event fits. The last bytes of a full spool are of no use.
    fn has_room_for_an_event(&self) -> bool {
        let event_bytes = COMMON_EVENT_BYTES.min(self.max_bytes / 16);
        self.used_bytes.load(Ordering::Acquire).saturating_add(event_bytes) <= self.max_bytes
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

impl Spooler {
    /// A way to a thread that is yet to be started, and the other end of it.
    pub(super) fn new(max_bytes: u64) -> (Self, Receiver<Job>) {
        let (jobs, received) = channel();
        let known = Known {
            max_bytes,
            used_bytes: AtomicU64::new(0),
            events: AtomicU64::new(0),
            quarantined: AtomicU64::new(0),
            problem: Mutex::new(None),
            stopped: AtomicBool::new(false),
        };
        (Self { jobs: Mutex::new(jobs), known: Arc::new(known) }, received)
    }

    /// Room for this many bytes, if there is some.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let before = self.known.used_bytes.fetch_add(bytes, Ordering::AcqRel);
        let fits = before.saturating_add(bytes) <= self.known.max_bytes;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Gives room back.
    pub(super) fn release(&self, bytes: u64) {
        self.known.used_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Whether this much would find room now.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let used = self.known.used_bytes.load(Ordering::Acquire);
        used.saturating_add(bytes) <= self.known.max_bytes && self.known.problem().is_none()
    }

    /// Asks for something.
    pub(super) fn send(&self, job: Job) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.send(job).is_err() && !self.known.stopped.load(Ordering::Acquire) {
            tracing::error!("the spool's thread has ended; nothing is kept on disk any more");
        }
    }

    /// Lets the thread end when everything that was asked for before is done.
    pub(super) fn stop(&self) {
        self.look(|_| ());
        self.known.stopped.store(true, Ordering::Release);
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(Job::Stop));
    }

    /// Waits until everything that was asked for before is done, and looks into the store.
    pub(super) fn look<T: Send + 'static>(&self, look: impl FnOnce(Option<&Store>) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = channel();
        self.send(Job::Look(Look(Box::new(move |store| drop(answer.send(look(store)))))));
        answered.recv().ok()
    }

    /// What is known of the spool. The oldest event is known to the lanes alone.
    pub(super) fn state(&self, oldest_age_seconds: u64) -> SpoolState {
        let known = &self.known;
        let problem = known.problem();
        SpoolState {
            ready: problem.is_none() && known.has_room_for_an_event(),
            events: known.events.load(Ordering::Acquire),
            bytes: known.used_bytes.load(Ordering::Acquire),
            max_bytes: known.max_bytes,
            oldest_age_seconds,
            quarantined: known.quarantined.load(Ordering::Acquire),
            problem,
        }
    }
}
