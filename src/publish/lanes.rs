//! All lanes of all topics, and what happens when a topic is cut into other partitions.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use super::Shared;
use super::lane::{Lane, RowFacts};
use super::parcel::Parcel;
use super::partition;
use super::spooler::Job;
use super::track::Track;
use crate::event::kind::TopicInfo;
use crate::spool::Stored;

type Rows = BTreeMap<u64, RowFacts>;

/// The lanes of every topic.
#[derive(Debug)]
pub(super) struct Lanes {
    topics: HashMap<&'static str, TopicLanes>,
}

/// The lanes of one topic.
#[derive(Debug)]
struct TopicLanes {
    info: &'static TopicInfo,
    name: Arc<str>,
    /// Whether an event has come, so that Kafka's client may know the topic.
    used: AtomicBool,
    /// Whether the topic was there when the brokers were last asked.
    there: AtomicBool,
    tracks: RwLock<Tracks>,
}

#[derive(Debug)]
struct Tracks {
    current: Vec<Arc<Track>>,
    /// Lanes of the partitions that the topic had before. They end what they have begun, and then their
    /// rows move to the current ones, which are gated until then.
    retiring: Vec<Arc<Track>>,
}

impl Lanes {
    /// Lanes for topics, with the rows that are in the spool. `partitions` tells how many a topic has.
    pub(super) fn new(
        shared: &Arc<Shared>,
        topics: impl Iterator<Item = (&'static TopicInfo, String, u32)>,
        rows: &[Stored],
    ) -> Self {
        let mut by_topic: HashMap<&'static str, Rows> = HashMap::new();
        for row in rows {
            by_topic.entry(row.topic.suffix).or_default().insert(row.number, facts_of(row));
        }
        let lanes = topics.map(|(info, name, partitions)| {
            let rows = by_topic.remove(info.suffix).unwrap_or_default();
            (info.suffix, TopicLanes::new(shared, info, name.into(), partitions, rows))
        });
        Self { topics: lanes.collect() }
    }

    /// Takes an event into its lane.
    pub(super) fn take(
        &self,
        shared: &Shared,
        topic: &TopicInfo,
        parcel: Box<Parcel>,
        deadline: Instant,
        now: Instant,
    ) {
        let Some(lanes) = self.topics.get(topic.suffix) else {
            // Every topic that a record can have is in the list that the lanes were made from.
            tracing::error!(topic = topic.suffix, "there is no lane for this topic");
            return parcel.failed(&shared.window);
        };
        let key_hash = parcel.record().map_or(0, |record| partition::key_hash(record.key.as_bytes()));
        lanes.note_use();
        // The lock is held until the lane has the event, so that a lane that retires gets nothing more.
        let tracks = lanes.read();
        match tracks.track(key_hash) {
            Some(track) => track.accept(parcel, key_hash, deadline, now),
            None => parcel.failed(&shared.window),
        }
    }

    /// Takes in a row that was found in the spool after the start.
    pub(super) fn adopt(&self, row: &Stored) {
        let Some(lanes) = self.topics.get(row.topic.suffix) else { return };
        lanes.note_use();
        if let Some(track) = lanes.read().track(row.key_hash) {
            track.restore(row.number, facts_of(row));
        }
    }

    /// Does something with every lane.
    pub(super) fn each(&self, mut step: impl FnMut(&Arc<Track>)) {
        for lanes in self.topics.values() {
            let tracks = lanes.read();
            tracks.current.iter().chain(&tracks.retiring).for_each(&mut step);
        }
    }

    /// Takes note of how many partitions a topic has, by its name in the cluster; none if it is not there.
    pub(super) fn note_partitions(&self, shared: &Arc<Shared>, topic_name: &str, partitions: usize) {
        let Some(lanes) = self.named(topic_name) else { return };
        lanes.there.store(partitions > 0, Ordering::Release);
        if lanes.has_other_partitions(partitions) {
            lanes.cut(shared, partitions);
        }
    }

    /// Whether a topic that events went to is gone, is there again or has got other partitions.
    pub(super) fn is_news(&self, topic_name: &str, partitions: usize) -> bool {
        self.named(topic_name).is_some_and(|lanes| lanes.is_news(partitions))
    }

    fn named(&self, topic_name: &str) -> Option<&TopicLanes> {
        self.topics.values().find(|lanes| &*lanes.name == topic_name)
    }

    /// Moves the rows of lanes that have retired and are quiet.
    pub(super) fn finish_cuts(&self, now: Instant) {
        self.topics.values().for_each(|lanes| lanes.finish_cut(now));
    }
}

impl TopicLanes {
    fn new(shared: &Arc<Shared>, info: &'static TopicInfo, name: Arc<str>, partitions: u32, rows: Rows) -> Self {
        let now = Instant::now();
        let (used, there) = (AtomicBool::new(!rows.is_empty()), AtomicBool::new(true));
        let mut rows = distribute(rows, partitions);
        let track = |partition| {
            let rows = rows.remove(&partition).unwrap_or_default();
            Track::new(Lane::new(rows, now), shared, &name, partition)
        };
        let current = (0..partitions.max(1)).map(track).collect();
        Self { info, name, used, there, tracks: RwLock::new(Tracks { current, retiring: Vec::new() }) }
    }

    fn note_use(&self) {
        // Looked at first, so that the threads do not take this from each other with every event.
        if !self.used.load(Ordering::Acquire) {
            self.used.store(true, Ordering::Release);
        }
    }

    fn is_news(&self, partitions: usize) -> bool {
        let stays = partitions > 0 && self.there.load(Ordering::Acquire);
        self.used.load(Ordering::Acquire) && (!stays || self.has_other_partitions(partitions))
    }

    fn has_other_partitions(&self, partitions: usize) -> bool {
        partitions > 0 && self.read().current.len() != partitions
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Tracks> {
        self.tracks.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes lanes for another number of partitions.
    fn cut(&self, shared: &Arc<Shared>, partitions: usize) {
        let mut tracks = self.tracks.write().unwrap_or_else(PoisonError::into_inner);
        if !tracks.retiring.is_empty() {
            return;
        }
        let count = u32::try_from(partitions).unwrap_or(u32::MAX);
        tracing::info!(topic = %self.name, before = tracks.current.len(), now = count, "the topic has other partitions");
        shared.spool.send(Job::Partitions { topic: self.info, count });
        let now = Instant::now();
        let fresh = (0..count).map(|partition| Track::new(Lane::gated(now), shared, &self.name, partition));
        tracks.retiring = std::mem::replace(&mut tracks.current, fresh.collect());
        for track in &tracks.retiring {
            track.with(|lane, port| lane.gate(now, port));
        }
        drop(tracks);
        self.finish_cut(now);
    }

    fn finish_cut(&self, now: Instant) {
        if self.read().retiring.is_empty() {
            return;
        }
        let mut tracks = self.tracks.write().unwrap_or_else(PoisonError::into_inner);
        // Nothing comes to a lane that retires, so one that is quiet stays so.
        if !tracks.retiring.iter().all(|track| track.with(|lane, _| lane.is_quiet())) {
            return;
        }
        let mut rows = Rows::new();
        for track in std::mem::take(&mut tracks.retiring) {
            rows.append(&mut track.with(|lane, _| lane.take_rows()));
        }
        let partitions = u32::try_from(tracks.current.len()).unwrap_or(u32::MAX);
        let mut rows = distribute(rows, partitions);
        for (track, partition) in tracks.current.iter().zip(0..) {
            let rows = rows.remove(&partition).unwrap_or_default();
            track.with(|lane, port| lane.ungate(rows, now, port));
        }
    }
}

impl Tracks {
    fn track(&self, key_hash: u32) -> Option<&Arc<Track>> {
        let partitions = u32::try_from(self.current.len()).unwrap_or(u32::MAX);
        self.current.get(partition::partition(key_hash, partitions) as usize)
    }
}

fn facts_of(row: &Stored) -> RowFacts {
    RowFacts { key_hash: row.key_hash, bytes: row.bytes }
}

fn distribute(rows: Rows, partitions: u32) -> HashMap<u32, Rows> {
    let mut lanes: HashMap<u32, Rows> = HashMap::new();
    for (number, facts) in rows {
        lanes.entry(partition::partition(facts.key_hash, partitions)).or_default().insert(number, facts);
    }
    lanes
}
