//! All lanes of all topics, and what happens when a topic is cut into other partitions.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::lane::{Lane, RowFacts};
use super::ledger::Job;
use super::locked_lane::{Letters, LockedLane, Shared};
use super::parcel::Parcel;
use super::partition;
use crate::event::kind::TopicInfo;
use crate::spool::Stored;

type Rows = BTreeMap<u64, RowFacts>;

/// The lanes of every topic.
#[derive(Debug)]
pub(super) struct LanesByTopic {
    shared: Arc<Shared>,
    topics: HashMap<&'static str, LanesOfTopic>,
}

/// The lanes of one topic.
#[derive(Debug)]
struct LanesOfTopic {
    info: &'static TopicInfo,
    name: Arc<str>,
    /// Whether an event has come, so that Kafka's client may know the topic.
    used: AtomicBool,
    /// Whether the topic was there when the brokers were last asked.
    there: AtomicBool,
    /// Whether its partitions have been counted, and are not only what a topic is made with.
    counted: AtomicBool,
    lanes: RwLock<Partitions>,
}

#[derive(Debug)]
struct Partitions {
    current: Vec<Arc<LockedLane>>,
    /// Lanes of the partitions that the topic had before. They end what they have begun, and then their
    /// rows move to the current ones, which are gated until then.
    retiring: Vec<Arc<LockedLane>>,
}

impl LanesByTopic {
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
            (info.suffix, LanesOfTopic::new(shared, info, name.into(), partitions, rows))
        });
        Self { shared: Arc::clone(shared), topics: lanes.collect() }
    }

    /// Takes an event into its lane.
    pub(super) fn take(&self, topic: &TopicInfo, parcel: Box<Parcel>, deadline: Instant, now: Instant) {
        let Some(lanes) = self.topics.get(topic.suffix) else {
            // Every topic that a record can have is in the list that the lanes were made from.
            tracing::error!(topic = topic.suffix, "there is no lane for this topic");
            return parcel.failed(&self.shared.window);
        };
        let key_hash = parcel.record().map_or(0, |record| partition::key_hash(record.place().as_bytes()));
        lanes.note_use();
        // The lock is held until the lane has the event, so that a lane that retires gets nothing more.
        let partitions = lanes.read();
        match partitions.lane(key_hash) {
            Some(lane) => lane.accept(parcel, key_hash, deadline, now),
            None => parcel.failed(&self.shared.window),
        }
    }

    /// Compares with what was found in a spool that was opened anew. Rows that are lost are forgotten, and rows
    /// that no lane knows are taken in.
    pub(super) fn compare(&self, rows: &[Stored], now: Instant) {
        let mut by_topic: HashMap<&'static str, Rows> = HashMap::new();
        for row in rows {
            by_topic.entry(row.topic.suffix).or_default().insert(row.number, facts_of(row));
        }
        for (suffix, lanes) in &self.topics {
            lanes.compare(&by_topic.remove(suffix).unwrap_or_default(), now);
        }
    }

    /// Does something with every lane.
    pub(super) fn each(&self, mut step: impl FnMut(&Arc<LockedLane>)) {
        for lanes in self.topics.values() {
            lanes.read().all().for_each(&mut step);
        }
    }

    /// Whether nothing is left to be done in the lanes of those topics that are there.
    pub(super) fn are_idle(&self) -> bool {
        let there = self.topics.values().filter(|lanes| lanes.there.load(Ordering::Acquire));
        let mut idle = true;
        there.for_each(|lanes| lanes.read().all().for_each(|lane| idle &= lane.with(|lane, _| lane.is_idle())));
        idle
    }

    /// Takes note of how many partitions a topic has, by its name in the cluster; none if it is not there.
    pub(super) fn note_partitions(&self, topic_name: &str, partitions: usize) {
        let Some(lanes) = self.named(topic_name) else { return };
        lanes.there.store(partitions > 0, Ordering::Release);
        let is_change = partitions > 0 && lanes.counted.swap(true, Ordering::AcqRel);
        if lanes.has_other_partitions(partitions) {
            lanes.cut(&self.shared, partitions, is_change);
        }
    }

    /// Names of the topics that events went to and that are there.
    pub(super) fn used_topics(&self) -> Vec<Arc<str>> {
        let used = |lanes: &&LanesOfTopic| lanes.used.load(Ordering::Acquire) && lanes.there.load(Ordering::Acquire);
        self.topics.values().filter(used).map(|lanes| Arc::clone(&lanes.name)).collect()
    }

    /// Names of the topics that are there and have an event in flight for so much longer than it was given.
    pub(super) fn topics_later_than(&self, late: Duration, now: Instant) -> Vec<Arc<str>> {
        let is_late = |lane: &Arc<LockedLane>| lane.with(|lane, _| lane.late_for(now) > late);
        let there = self.topics.values().filter(|lanes| lanes.there.load(Ordering::Acquire));
        there.filter(|lanes| lanes.read().all().any(is_late)).map(|lanes| Arc::clone(&lanes.name)).collect()
    }

    /// Whether a topic that events went to is gone, is there again or has got other partitions.
    pub(super) fn is_news(&self, topic_name: &str, partitions: usize) -> bool {
        self.named(topic_name).is_some_and(|lanes| lanes.is_news(partitions))
    }

    fn named(&self, topic_name: &str) -> Option<&LanesOfTopic> {
        self.topics.values().find(|lanes| &*lanes.name == topic_name)
    }

    /// Moves the rows of lanes that have retired and are quiet.
    pub(super) fn finish_cuts(&self, now: Instant) {
        self.topics.values().for_each(|lanes| lanes.finish_cut(now));
    }
}

impl Letters for LanesByTopic {
    fn take_letter(&self, letter: Box<Parcel>, now: Instant) {
        let deadline = now + letter.origin.ack_timeout;
        match letter.record().map(|record| record.topic) {
            Some(topic) => self.take(topic, letter, deadline, now),
            None => letter.failed(&self.shared.window),
        }
    }
}

impl LanesOfTopic {
    fn new(shared: &Arc<Shared>, info: &'static TopicInfo, name: Arc<str>, partitions: u32, rows: Rows) -> Self {
        let now = Instant::now();
        // Rows were put where they are by a count.
        let [used, counted] = [!rows.is_empty(); 2].map(AtomicBool::new);
        let there = AtomicBool::new(true);
        let mut rows = distribute(rows, partitions);
        let lane = |partition| {
            let rows = rows.remove(&partition).unwrap_or_default();
            LockedLane::new(Lane::new(rows, now), shared, &name, partition)
        };
        let current = (0..partitions.max(1)).map(lane).collect();
        Self { info, name, used, there, counted, lanes: RwLock::new(Partitions { current, retiring: Vec::new() }) }
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

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Partitions> {
        self.lanes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn compare(&self, found: &Rows, now: Instant) {
        let partitions = self.read();
        let lost: usize = partitions.all().map(|lane| lane.with(|lane, _| lane.forget_lost(found))).sum();
        if lost > 0 {
            tracing::error!(topic = %self.name, events = lost, "the spool has lost events that wait for Kafka");
        }
        let is_known = |number: u64| partitions.all().any(|lane| lane.with(|lane, _| lane.knows(number)));
        let unknown: Vec<(u64, RowFacts)> =
            found.iter().map(|(number, facts)| (*number, *facts)).filter(|(number, _)| !is_known(*number)).collect();
        if !unknown.is_empty() {
            self.note_use();
            tracing::warn!(topic = %self.name, events = unknown.len(), "events that were in the spool are taken in");
        }
        for (number, facts) in unknown {
            if let Some(lane) = partitions.lane(facts.key_hash) {
                lane.with(|lane, out| lane.adopt(number, facts, now, out));
            }
        }
    }

    /// Makes lanes for another number of partitions.
    fn cut(&self, shared: &Arc<Shared>, count: usize, is_change: bool) {
        let mut partitions = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        if !partitions.retiring.is_empty() {
            return;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let before = partitions.current.len();
        // The first count says nothing new: a topic may be made by others with as many as they like.
        match is_change {
            true => tracing::info!(topic = %self.name, before, now = count, "the topic has other partitions"),
            false => tracing::debug!(topic = %self.name, partitions = count, "the topic's partitions are counted"),
        }
        shared.ledger.send(Job::Partitions { topic: self.info, count });
        let now = Instant::now();
        let fresh = (0..count).map(|partition| LockedLane::new(Lane::gated(now), shared, &self.name, partition));
        partitions.retiring = std::mem::replace(&mut partitions.current, fresh.collect());
        for lane in &partitions.retiring {
            lane.with(|lane, out| lane.gate(now, out));
        }
        drop(partitions);
        self.finish_cut(now);
    }

    fn finish_cut(&self, now: Instant) {
        if self.read().retiring.is_empty() {
            return;
        }
        let mut partitions = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        // Nothing comes to a lane that retires, so one that is quiet stays so.
        if !partitions.retiring.iter().all(|lane| lane.with(|lane, _| lane.is_quiet())) {
            return;
        }
        let mut rows = Rows::new();
        for lane in std::mem::take(&mut partitions.retiring) {
            rows.append(&mut lane.with(|lane, _| lane.take_rows()));
        }
        let count = u32::try_from(partitions.current.len()).unwrap_or(u32::MAX);
        let mut rows = distribute(rows, count);
        for (lane, partition) in partitions.current.iter().zip(0..) {
            let rows = rows.remove(&partition).unwrap_or_default();
            lane.with(|lane, out| lane.ungate(rows, now, out));
        }
    }
}

impl Partitions {
    fn lane(&self, key_hash: u32) -> Option<&Arc<LockedLane>> {
        let count = u32::try_from(self.current.len()).unwrap_or(u32::MAX);
        self.current.get(partition::partition(key_hash, count) as usize)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<LockedLane>> {
        self.current.iter().chain(&self.retiring)
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
