//! One transaction of the ledger, and what follows from it.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::{Holder, Job, Look, Room};
use crate::event::time::Time;
use crate::publish::memory::Share;
use crate::spool::{Change, Effect};

/// Bounds of one transaction.
const MAX_JOBS: usize = 4096;
const MAX_BYTES: u64 = 16 << 20;

/// Changes, and who is told of each.
pub(super) struct Batch<H> {
    pub(super) changes: Vec<Change>,
    followups: Vec<Followup<H>>,
    pub(super) readings: Vec<Reading<H>>,
    bytes: u64,
    pub(super) stop: bool,
}

/// What follows from a change.
enum Followup<H> {
    Appended { holder: Arc<H>, number: u64, room: Room, memory: Option<Share> },
    Deleted { number: u64 },
    Quarantined { holder: Arc<H>, number: u64, _room: Option<Room> },
    Nothing,
}

/// What is read behind the changes.
pub(super) enum Reading<H> {
    Load(Arc<H>, Vec<u64>),
    Look(Look),
}

impl<H: Holder> Batch<H> {
    /// As much as is there, within bounds, behind deletions that could not be made before.
    pub(super) fn collect(first: Job<H>, jobs: &Receiver<Job<H>>, undeleted: &mut Vec<u64>) -> Self {
        let mut batch = Self::of_deletions(undeleted);
        let mut next = Some(first);
        while let Some(job) = next {
            batch.add(job);
            let full = batch.followups.len() >= MAX_JOBS || batch.bytes >= MAX_BYTES || batch.stop;
            next = if full { None } else { jobs.try_recv().ok() };
        }
        batch
    }

    /// Deletions alone.
    pub(super) fn of_deletions(undeleted: &mut Vec<u64>) -> Self {
        let mut batch =
            Self { changes: Vec::new(), followups: Vec::new(), readings: Vec::new(), bytes: 0, stop: false };
        undeleted.drain(..).for_each(|number| batch.add(Job::Delete { number }));
        batch
    }

    fn add(&mut self, job: Job<H>) {
        match job {
            Job::Append { holder, number, row, room, memory } => {
                self.bytes += room.bytes;
                let spooled_at_ms = Time::now().unix_ms();
                let append = Change::Append { number, row: *row, spooled_at_ms };
                self.change(append, Followup::Appended { holder, number, room, memory });
            }
            Job::Delete { number } => self.change(Change::Delete { number }, Followup::Deleted { number }),
            Job::Quarantine { holder, number, row, reason } => {
                let (row, room) = row.map_or((None, None), |(row, room)| (Some(*row), Some(room)));
                let change = Change::Quarantine { number, row, reason, at_ms: Time::now().unix_ms() };
                self.change(change, Followup::Quarantined { holder, number, _room: room });
            }
            Job::Partitions { topic, count } => self.change(Change::Partitions { topic, count }, Followup::Nothing),
            Job::Load { holder, numbers } => self.readings.push(Reading::Load(holder, numbers)),
            Job::Look(look) => self.readings.push(Reading::Look(look)),
            Job::Stop => self.stop = true,
        }
    }

    fn change(&mut self, change: Change, followup: Followup<H>) {
        self.changes.push(change);
        self.followups.push(followup);
    }

    /// A batch of each change alone, without the readings.
    pub(super) fn split(self) -> (Vec<Self>, Vec<Reading<H>>) {
        let single = |(change, followup)| Self {
            changes: vec![change],
            followups: vec![followup],
            readings: Vec::new(),
            bytes: 0,
            stop: false,
        };
        (self.changes.into_iter().zip(self.followups).map(single).collect(), self.readings)
    }

    /// Tells everybody that all changes are made.
    pub(super) fn done(self, effects: Vec<Effect>) -> Vec<Reading<H>> {
        for (followup, effect) in self.followups.into_iter().zip(effects) {
            match followup {
                Followup::Appended { holder, number, .. } => holder.stored(number),
                Followup::Quarantined { holder, number, .. } => holder.quarantined(number, effect == Effect::Done),
                Followup::Deleted { .. } | Followup::Nothing => {}
            }
        }
        self.readings
    }

    /// Tells everybody that none of the changes could be made. Deletions are kept, to be made later.
    pub(super) fn undone(self, undeleted: &mut Vec<u64>) -> Vec<Reading<H>> {
        for (change, followup) in self.changes.into_iter().zip(self.followups) {
            match (followup, change) {
                (Followup::Appended { holder, number, room, memory }, Change::Append { row, .. }) => {
                    // The room first: the event may ask for it again at once.
                    drop(room);
                    holder.not_stored(number, row, memory);
                }
                (Followup::Quarantined { holder, number, .. }, _) => holder.quarantined(number, false),
                (Followup::Deleted { number }, _) => undeleted.push(number),
                (Followup::Appended { .. } | Followup::Nothing, _) => {}
            }
        }
        self.readings
    }
}
