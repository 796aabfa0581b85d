//! The ledger's thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::batch::{Batch, Reading};
use super::{Damage, Holder, Inventory, Job, Known, Ledger, Look};
use crate::event::time::Time;
use crate::spool::{Change, Damaged, Opened, Options, Row, SpoolError, Store};

/// How often an idle spool looks after itself, and a broken one is tried again.
const CARE: Duration = Duration::from_secs(1);

/// Pages of 4 KiB that an idle spool gives back to the disk at a time.
const GIVE_BACK_PAGES: u32 = 4096;

/// Hears what was found when the spool had to be opened anew.
type Reopened = Box<dyn Fn(Inventory) + Send>;

/// The one that writes.
pub(in crate::publish) struct Writer {
    /// `None` where there is no spool at all.
    options: Option<Options>,
    known: Arc<Known>,
    store: Option<Store>,
    /// Rows whose deletion could not be written yet.
    undeleted: Vec<u64>,
    /// When the spool is looked after next.
    care_at: Instant,
}

impl Writer {
    /// Opens the spool. One that can not be opened because of its disk is tried again later, so that a
    /// broken disk does not stop what Kafka takes. Tells what was in it.
    ///
    /// # Errors
    /// When another process uses the directory, or a newer version has written what is there.
    pub(in crate::publish) fn open<H>(
        ledger: &Ledger<H>,
        options: Option<Options>,
    ) -> Result<(Self, Inventory), SpoolError> {
        let known = Arc::clone(&ledger.known);
        let mut writer = Self { options, known, store: None, undeleted: Vec::new(), care_at: Instant::now() + CARE };
        let Some(options) = &writer.options else {
            writer.known.set_problem(Some("there is no spool".to_owned()));
            return Ok((writer, Inventory::default()));
        };
        match Store::open(options) {
            Ok(opened) => {
                let found = writer.take_in(opened);
                Ok((writer, found))
            }
            Err(error @ (SpoolError::InUse { .. } | SpoolError::Newer { .. })) => Err(error),
            Err(error) => {
                writer.known.set_problem(Some(told(error)));
                Ok((writer, Inventory::default()))
            }
        }
    }

    /// Works until told to stop. `reopened` hears what is in a spool that was opened while running.
    pub(in crate::publish) fn run<H: Holder>(mut self, jobs: &Receiver<Job<H>>, reopened: &Reopened) {
        loop {
            let idle = self.care_at.saturating_duration_since(Instant::now());
            match jobs.recv_timeout(idle) {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.look_after::<H>(true, reopened),
                Ok(first) => {
                    let mut undeleted = self.may_delete();
                    let batch = Batch::collect(first, jobs, &mut undeleted);
                    let stop = batch.stop;
                    self.work(batch, reopened);
                    if stop {
                        return self.undelete::<H>(reopened);
                    }
                    if self.care_at <= Instant::now() {
                        self.look_after::<H>(false, reopened);
                    }
                }
            }
        }
    }

    /// Deletions that are left, if the disk takes them.
    fn may_delete(&mut self) -> Vec<u64> {
        if self.known.problem().is_none() { std::mem::take(&mut self.undeleted) } else { Vec::new() }
    }

    fn work<H: Holder>(&mut self, batch: Batch<H>, reopened: &Reopened) {
        let result = match &mut self.store {
            _ if batch.changes.is_empty() => Ok(Vec::new()),
            Some(store) => store.apply(&batch.changes),
            None => return self.refuse(batch, reopened),
        };
        match result {
            Ok(effects) => {
                self.count();
                if !effects.is_empty() {
                    self.known.set_problem(None);
                }
                let readings = batch.done(effects);
                self.read_all(readings, reopened);
            }
            // It is about one of the changes, and must not keep the others from the disk.
            Err(SpoolError::OutOfRange(_) | SpoolError::Refused(_)) if batch.changes.len() > 1 => {
                let (singles, readings) = batch.split();
                singles.into_iter().for_each(|single| self.work(single, reopened));
                self.read_all(readings, reopened);
            }
            Err(error) => {
                self.refuse(batch, reopened);
                self.failed(error, reopened);
            }
        }
    }

    /// Tells everybody that nothing was written.
    fn refuse<H: Holder>(&mut self, batch: Batch<H>, reopened: &Reopened) {
        let readings = batch.undone(&mut self.undeleted);
        self.read_all(readings, reopened);
    }

    fn failed(&mut self, error: SpoolError, reopened: &Reopened) {
        let damaged = Damage::of(&error).is_some();
        self.known.set_problem(Some(told(error)));
        if damaged {
            self.store = None;
            self.reopen(reopened);
        }
    }

    fn reopen(&mut self, reopened: &Reopened) {
        let Some(options) = &self.options else { return };
        match Store::open(options) {
            Err(error) => self.known.set_problem(Some(told(error))),
            Ok(opened) => {
                let found = self.take_in(opened);
                tracing::warn!(events = found.rows.len(), "the spool was opened anew");
                reopened(found);
            }
        }
    }

    fn take_in(&mut self, opened: Opened) -> Inventory {
        if opened.foreign > 0 {
            tracing::warn!(events = opened.foreign, "another version has spooled events that are unknown here");
        }
        let Opened { store, mut rows, partitions, highest_number, .. } = opened;
        let is_there = |number: &u64| rows.binary_search_by_key(number, |row| row.number).is_ok();
        self.undeleted.retain(is_there);
        // They are published, and go when the disk takes it.
        let undeleted: std::collections::HashSet<u64> = self.undeleted.iter().copied().collect();
        rows.retain(|row| !undeleted.contains(&row.number));
        self.store = Some(store);
        self.count();
        self.known.set_problem(None);
        Inventory { rows, partitions, highest_number }
    }

    /// What the store counts is what is there. This is the only place that tells it.
    fn count(&self) {
        if let Some(store) = &self.store {
            self.known.set_counts(store.counts());
        }
    }

    /// Mends what failed; if there is nothing else to do, gives room back to the disk.
    fn look_after<H: Holder>(&mut self, idle: bool, reopened: &Reopened) {
        self.care_at = Instant::now() + CARE;
        let broken = self.known.problem().is_some();
        let Some(store) = &mut self.store else { return self.reopen(reopened) };
        let result = match (broken, idle) {
            // A transaction that changes nothing shows whether the disk takes one again.
            (true, _) => store.apply(&[Change::Delete { number: 0 }]).map(drop),
            (false, true) => store.still_there().and_then(|()| store.give_back(GIVE_BACK_PAGES).map(drop)),
            (false, false) => store.still_there(),
        };
        match result {
            Ok(()) => {
                self.known.set_problem(None);
                self.undelete::<H>(reopened);
            }
            Err(error) => self.failed(error, reopened),
        }
    }

    fn undelete<H: Holder>(&mut self, reopened: &Reopened) {
        if !self.undeleted.is_empty() {
            let batch = Batch::<H>::of_deletions(&mut self.undeleted);
            self.work(batch, reopened);
        }
    }

    fn read_all<H: Holder>(&mut self, readings: Vec<Reading<H>>, reopened: &Reopened) {
        for reading in readings {
            match reading {
                Reading::Look(Look(look)) => {
                    if let Some(Damage(cause)) = look(self.store.as_ref()) {
                        self.failed(SpoolError::Corrupt(cause), reopened);
                    }
                }
                Reading::Load(holder, numbers) => match self.load(&numbers, reopened) {
                    Ok(rows) => holder.loaded(rows),
                    Err(error) => {
                        // The lane first, so that it knows these rows as rows when it hears what was found.
                        holder.not_loaded();
                        tracing::error!(cause = %error, rows = numbers.len(), "spooled events can not be read");
                        if self.store.is_some() {
                            self.failed(error, reopened);
                        }
                    }
                },
            }
        }
    }

    fn load(&mut self, numbers: &[u64], reopened: &Reopened) -> Result<Vec<(u64, Row)>, SpoolError> {
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
                Err(damaged) => self.set_aside(&damaged, reopened),
            }
        }
        Ok(rows)
    }

    /// A row that does not hold can not be published. Its bytes stay, for people.
    fn set_aside(&mut self, damaged: &Damaged, reopened: &Reopened) {
        tracing::error!(%damaged, "an event in the spool is damaged, and goes to the quarantine");
        let at_ms = Time::now().unix_ms();
        let change = Change::Quarantine { number: damaged.number, row: None, reason: "damaged", at_ms };
        match self.store.as_mut().map(|store| store.apply(&[change])) {
            Some(Ok(_)) => self.count(),
            Some(Err(error)) => self.failed(error, reopened),
            None => {}
        }
    }
}

fn told(error: SpoolError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}
