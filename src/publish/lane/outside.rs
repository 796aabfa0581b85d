//! What a lane knows of events, and what it has done in the world.

use std::time::Instant;

use crate::settings::Policy;

/// What the lane needs to know of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Hash of its key, which decides its partition.
    pub key_hash: u32,
    /// What it counts in the spool.
    pub bytes: u64,
    /// What happens when Kafka is slow.
    pub policy: Policy,
    /// When that happens.
    pub deadline: Instant,
}

/// A row of the spool, as far as the lane knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowFacts {
    /// Hash of its key.
    pub key_hash: u32,
    /// What it counts in the spool.
    pub bytes: u64,
}

/// The way an event became durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Kafka acknowledged it, and it was never in the spool.
    Live,
    /// It is in the spool.
    Spooled,
    /// Kafka acknowledged it after it had gone to the spool.
    Late,
    /// Kafka acknowledged it after it was read from the spool.
    Drained,
    /// Kafka refuses it, and its dead letter is durable, or it is in the quarantine.
    Buried,
}

/// What a lane has done in the world.
pub trait Outside<P, R> {
    /// Hands an event to Kafka's client. False: it takes none now.
    fn produce(&mut self, number: u64, payload: &mut P, now: Instant) -> bool;
    /// Hands an event to the spool. False: there is no room, or no spool.
    fn append(&mut self, number: u64, payload: &mut P, facts: RowFacts) -> bool;
    /// Removes an event from the spool, behind everything that was handed to it before. It need not be there.
    fn delete(&mut self, number: u64);
    /// Reads rows, behind everything that was handed to the spool before.
    fn load(&mut self, numbers: Vec<u64>);
    /// Keeps an event elsewhere that Kafka refuses for good, and reports that to [`Lane::buried`]. If it is a
    /// row of the spool, that stays until then, and may be what is kept.
    ///
    /// [`Lane::buried`]: super::Lane::buried
    fn bury(&mut self, number: u64, payload: &mut P, facts: Facts, refusal: R, is_row: bool);
    /// The event is durable. It may be told so twice.
    fn durable(&mut self, payload: &mut P, way: Way);
    /// The event is gone; its request is to be repeated.
    fn failed(&mut self, payload: P);
    /// Nobody should wait any longer for this event, which Kafka may still acknowledge.
    fn stalled(&mut self, payload: &mut P);
}

impl From<Facts> for RowFacts {
    fn from(facts: Facts) -> Self {
        Self { key_hash: facts.key_hash, bytes: facts.bytes }
    }
}
