//! The spool's thread.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::{Job, Known, Look, Quarantine, Spooler};
use crate::event::kind::TopicInfo;
use crate::event::time::Time;
use crate::publish::lane::{RowFacts, Way};
use crate::publish::parcel::{Parcel, Reservation};
use crate::publish::track::Track;
use crate::spool::{Change, Damaged, Opened, Options, Row, SpoolError, Store, Stored};

/// Bounds of one transaction.
const MAX_JOBS: usize = 4096;
const MAX_BATCH_BYTES: u64 = 16 << 20;

/// How often an idle spool looks after itself.
const IDLE: Duration = Duration::from_secs(1);

/// Pages of 4 KiB that an idle spool gives back to the disk at a time.
const GIVE_BACK_PAGES: u32 = 4096;

/// Takes in what was found when the spool was opened.
pub(in crate::publish) type Adopt = Box<dyn FnOnce(Found) + Send>;

/// The one that writes.
pub(in crate::publish) struct Writer {
    /// `None` where there is no spool at all.
    options: Option<Options>,
    known: Arc<Known>,
    store: Option<Store>,
    /// What the rows and the quarantine count; the rest of what is used is reserved.
    stored_bytes: u64,
    /// Rows whose deletion could not be written yet, with their bytes.
    undeleted: Vec<(u64, u64)>,
    /// Events that could not be kept and whose deletion is on its way all the same.
    orphans: HashSet<u64>,
    /// Who takes in the rows, until they have been found.
    adopt: Option<Adopt>,
}

/// One transaction, and what follows from it.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    followups: Vec<Followup>,
    readings: Vec<Reading>,
    bytes: u64,
    stop: bool,
}

enum Followup {
    Appended { track: Arc<Track>, number: u64, bytes: u64, memory: Option<Reservation> },
    Deleted { number: u64, bytes: u64 },
    Quarantined { track: Arc<Track>, number: u64, facts: RowFacts, was_row: bool, parcel: Box<Parcel> },
}

enum Reading {
    Load(Arc<Track>, Vec<u64>),
    Look(Look),
}

impl Batch {
    /// As much as is there, within bounds.
    fn collect(first: Job, jobs: &Receiver<Job>, orphans: &mut HashSet<u64>, known: &Known) -> Self {
        let mut batch = Self::default();
        let mut next = Some(first);
        while let Some(job) = next {
            batch.add(job, orphans, known);
            let full = batch.followups.len() >= MAX_JOBS || batch.bytes >= MAX_BATCH_BYTES || batch.stop;
            next = if full { None } else { jobs.try_recv().ok() };
        }
        batch
    }

    fn add(&mut self, job: Job, orphans: &mut HashSet<u64>, known: &Known) {
        match job {
            Job::Append { track, number, row, bytes, memory } => {
                self.bytes += bytes;
                self.changes.push(Change::Append { number, row: *row, spooled_at_ms: Time::now().unix_ms() });
                self.followups.push(Followup::Appended { track, number, bytes, memory });
            }
            Job::Delete { number, bytes } if orphans.remove(&number) => {
                known.used_bytes.fetch_sub(bytes, Ordering::AcqRel);
            }
            Job::Delete { number, bytes } => self.delete(number, bytes),
            Job::Quarantine(quarantine) => self.quarantine(*quarantine),
            Job::Partitions { topic, count } => self.changes.push(Change::Partitions { topic, count }),
            Job::Load { track, numbers } => self.readings.push(Reading::Load(track, numbers)),
            Job::Look(look) => self.readings.push(Reading::Look(look)),
            Job::Stop => self.stop = true,
        }
    }

    fn delete(&mut self, number: u64, bytes: u64) {
        self.changes.push(Change::Delete { number });
        self.followups.push(Followup::Deleted { number, bytes });
    }

    fn quarantine(&mut self, quarantine: Quarantine) {
        let Quarantine { track, number, facts, row, reason, parcel } = quarantine;
        let was_row = row.is_none();
        self.changes.push(Change::Quarantine { number, row, reason, at_ms: Time::now().unix_ms() });
        self.followups.push(Followup::Quarantined { track, number, facts, was_row, parcel });
    }
}

impl Writer {
    /// Opens the spool. One that can not be opened because of its disk is tried again later, so that a
    /// broken disk does not stop what Kafka takes. Tells what was in it.
    ///
    /// # Errors
    /// When another process uses the directory, or a newer version has written what is there.
    pub(in crate::publish) fn open(
        spooler: &Spooler,
        options: Option<Options>,
    ) -> Result<(Self, Option<Found>), SpoolError> {
        let known = Arc::clone(&spooler.known);
        let mut writer = Self {
            options,
            known,
            store: None,
            stored_bytes: 0,
            undeleted: Vec::new(),
            orphans: HashSet::new(),
            adopt: None,
        };
        let Some(options) = &writer.options else {
            writer.known.set_problem(Some("there is no spool".to_owned()));
            return Ok((writer, Some(Found::default())));
        };
        match Store::open(options) {
            Ok(opened) => {
                let found = writer.take_in(opened);
                Ok((writer, Some(found)))
            }
            Err(error @ (SpoolError::InUse { .. } | SpoolError::Newer { .. })) => Err(error),
            Err(error) => {
                writer.known.set_problem(Some(told(error)));
                Ok((writer, None))
            }
        }
    }

    /// Works until told to stop. `adopt` takes in the rows of a spool that could not be opened at first.
    pub(in crate::publish) fn run(mut self, jobs: &Receiver<Job>, adopt: Option<Adopt>) {
        self.adopt = adopt;
        loop {
            match jobs.recv_timeout(IDLE) {
                Err(RecvTimeoutError::Timeout) => self.look_after(),
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(first) => {
                    let batch = Batch::collect(first, jobs, &mut self.orphans, &self.known);
                    let stop = batch.stop;
                    self.work(batch);
                    if stop {
                        return self.undelete();
                    }
                }
            }
        }
    }

    fn work(&mut self, mut batch: Batch) {
        if self.known.problem().is_none() {
            for (number, bytes) in std::mem::take(&mut self.undeleted) {
                batch.delete(number, bytes);
            }
        }
        let result = match &mut self.store {
            Some(store) => store.apply(&batch.changes),
            None if batch.changes.is_empty() => Ok(()),
            None => return self.refuse(batch),
        };
        match result {
            Ok(()) if batch.changes.is_empty() => {}
            Ok(()) => {
                self.known.set_problem(None);
                batch.followups.drain(..).for_each(|followup| self.done(followup));
            }
            Err(error) => {
                // The refused batch first: what a reopened spool holds is counted anew.
                self.refuse(batch);
                return self.failed(error);
            }
        }
        batch.readings.into_iter().for_each(|reading| self.read(reading));
    }

    /// Tells everybody that nothing was written.
    fn refuse(&mut self, batch: Batch) {
        let row_of = |change| match change {
            Change::Append { number, row, .. } => Some((number, row)),
            Change::Delete { .. } | Change::Quarantine { .. } | Change::Partitions { .. } => None,
        };
        let mut rows: HashMap<u64, Row> = batch.changes.into_iter().filter_map(row_of).collect();
        for followup in batch.followups {
            self.undone(followup, &mut rows);
        }
        batch.readings.into_iter().for_each(|reading| self.read(reading));
    }

    fn done(&mut self, followup: Followup) {
        match followup {
            Followup::Appended { track, number, bytes, .. } => {
                self.stored_bytes += bytes;
                self.known.events.fetch_add(1, Ordering::AcqRel);
                track.stored(number);
            }
            Followup::Deleted { bytes, .. } => {
                self.stored_bytes = self.stored_bytes.saturating_sub(bytes);
                self.known.events.fetch_sub(1, Ordering::AcqRel);
                self.known.used_bytes.fetch_sub(bytes, Ordering::AcqRel);
            }
            Followup::Quarantined { track, was_row, mut parcel, facts, .. } => {
                self.stored_bytes += if was_row { 0 } else { facts.bytes };
                self.known.quarantined.fetch_add(1, Ordering::AcqRel);
                self.known.events.fetch_sub(u64::from(was_row), Ordering::AcqRel);
                track.durable(&mut parcel, Way::Spooled);
            }
        }
    }

    fn undone(&mut self, followup: Followup, rows: &mut HashMap<u64, Row>) {
        match followup {
            Followup::Appended { track, number, bytes, memory } => {
                let Some(row) = rows.remove(&number) else { return };
                // The room first: the event may ask for it again at once.
                self.known.used_bytes.fetch_sub(bytes, Ordering::AcqRel);
                if !track.not_stored(number, row, memory) {
                    self.known.used_bytes.fetch_add(bytes, Ordering::AcqRel);
                    self.orphans.insert(number);
                }
            }
            // What was to be kept and deleted in one batch was never there.
            Followup::Deleted { number, bytes } if self.orphans.remove(&number) => {
                self.known.used_bytes.fetch_sub(bytes, Ordering::AcqRel);
            }
            Followup::Deleted { number, bytes } => self.undeleted.push((number, bytes)),
            Followup::Quarantined { track, number, facts, was_row, parcel } => {
                match was_row {
                    true => track.restore(number, facts),
                    false => drop(self.known.used_bytes.fetch_sub(facts.bytes, Ordering::AcqRel)),
                }
                track.fail(parcel);
            }
        }
    }

    fn failed(&mut self, error: SpoolError) {
        let corrupt = matches!(error, SpoolError::Corrupt(_));
        self.known.set_problem(Some(told(error)));
        if corrupt {
            self.store = None;
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        let Some(options) = &self.options else { return };
        match Store::open(options) {
            Err(error) => self.known.set_problem(Some(told(error))),
            Ok(opened) => {
                let found = self.take_in(opened);
                if let Some(adopt) = self.adopt.take() {
                    adopt(found);
                }
            }
        }
    }

    fn take_in(&mut self, opened: Opened) -> Found {
        let events = opened.rows.len() as u64 + opened.foreign;
        if opened.foreign > 0 {
            tracing::warn!(events = opened.foreign, "another version has spooled events that are unknown here");
        }
        self.known.events.store(events, Ordering::Release);
        self.known.quarantined.store(opened.quarantined, Ordering::Release);
        let bytes = opened.rows.iter().map(|row| row.bytes).sum::<u64>() + opened.quarantined_bytes;
        // What is reserved by events on their way stays so. The difference may be negative.
        self.known.used_bytes.fetch_add(bytes.wrapping_sub(self.stored_bytes), Ordering::AcqRel);
        self.stored_bytes = bytes;
        // Rows that a damaged spool has lost need no deletion.
        let is_there = |number: &u64| opened.rows.binary_search_by_key(number, |row| row.number).is_ok();
        self.undeleted.retain(|(number, _)| is_there(number));
        self.known.set_problem(None);
        self.store = Some(opened.store);
        Found { rows: opened.rows, partitions: opened.partitions, highest_number: opened.highest_number }
    }

    /// What an idle spool does: it mends what failed, and gives room back to the disk.
    fn look_after(&mut self) {
        let broken = self.known.problem().is_some();
        let Some(store) = &mut self.store else { return self.reopen() };
        let result = match broken {
            // A transaction that changes nothing shows whether the disk takes one again.
            true => store.apply(&[Change::Delete { number: 0 }]),
            false => store.still_there().and_then(|()| store.give_back(GIVE_BACK_PAGES).map(drop)),
        };
        match result {
            Ok(()) => {
                self.known.set_problem(None);
                self.undelete();
            }
            Err(error) => self.failed(error),
        }
    }

    fn undelete(&mut self) {
        if !self.undeleted.is_empty() {
            self.work(Batch::default());
        }
    }

    fn read(&mut self, reading: Reading) {
        match reading {
            Reading::Look(Look(look)) => look(self.store.as_ref()),
            Reading::Load(track, numbers) => match self.load(&numbers) {
                Ok(rows) => track.loaded(rows),
                Err(error) => {
                    tracing::error!(cause = told(error), rows = numbers.len(), "spooled events can not be read");
                    track.not_loaded();
                }
            },
        }
    }

    fn load(&mut self, numbers: &[u64]) -> Result<Vec<(u64, Row)>, SpoolError> {
        let dir = self.options.as_ref().map(|options| options.dir.clone()).unwrap_or_default();
        let found = self.store.as_ref().ok_or(SpoolError::Missing { dir })?.read(numbers)?;
        if found.len() < numbers.len() {
            let lost = numbers.len() - found.len();
            tracing::error!(events = lost, "events that were in the spool are not there any more");
        }
        let mut rows = Vec::with_capacity(found.len());
        for (number, row) in found {
            match row {
                Ok(row) => rows.push((number, row)),
                Err(damaged) => self.set_aside(&damaged),
            }
        }
        Ok(rows)
    }

    /// A row that does not hold can not be published. Its bytes stay, for people.
    fn set_aside(&mut self, damaged: &Damaged) {
        tracing::error!(%damaged, "an event in the spool is damaged; it is in the quarantine now");
        let change =
            Change::Quarantine { number: damaged.number, row: None, reason: "damaged", at_ms: Time::now().unix_ms() };
        match self.store.as_mut().map(|store| store.apply(&[change])) {
            Some(Ok(())) => {
                self.known.events.fetch_sub(1, Ordering::AcqRel);
                self.known.quarantined.fetch_add(1, Ordering::AcqRel);
            }
            Some(Err(error)) => self.failed(error),
            None => {}
        }
    }
}

/// What was in the spool when it was opened.
#[derive(Debug, Default)]
pub(in crate::publish) struct Found {
    /// The rows, by ascending number.
    pub(in crate::publish) rows: Vec<Stored>,
    /// Partitions of topics, when last known.
    pub(in crate::publish) partitions: Vec<(&'static TopicInfo, u32)>,
    /// The highest number in use.
    pub(in crate::publish) highest_number: u64,
}

fn told(error: SpoolError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}
