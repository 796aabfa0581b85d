//! Who of several processes does the work for a source: the one that has been given its partition of the state topic.
//!
//! All members read the state topic as one consumer group, and Kafka gives each partition to one of them. A source
//! belongs to whoever has the partition that its name hashes to, and since [placed](crate::event::envelope::Record)
//! records of the source lie in that same partition, its owner reads exactly them: first what is there, then each
//! later one. Nothing is committed, so whoever gets a partition reads it from its beginning.
//!
//! # What membership shows, and what it does not
//! * A partition is told as [assigned](News::Assigned) once it has been read to its end, with the last value of each
//!   key. Everything that was acknowledged before the assignment is among them.
//! * A member that has lost a partition is told so by the brokers, or, cut off from them, by its own clock when its
//!   session would have ended. A process that stands still notices only when it goes on, so two may believe for a
//!   moment that a partition is theirs: what they write has to be true whoever writes it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

mod catching_up;
mod client;
mod member;
#[cfg(test)]
mod tests;

use super::client::StartError;
use super::vitals::{Ends, Vitals};
use crate::settings::KafkaSettings;
use member::Member;

/// How long a client that has failed for good is mourned before another one takes its place.
const PAUSE: Duration = Duration::from_secs(1);

/// What a member has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The topic has so many partitions: at first, and whenever that has changed.
    Counted {
        /// Their number.
        partitions: u32,
    },
    /// A partition belongs to this member from now on.
    Assigned {
        /// The partition.
        partition: u32,
        /// The last value of each wanted key.
        records: HashMap<String, Vec<u8>>,
    },
    /// A record came to a partition that belongs to this member, whoever wrote it.
    Written {
        /// The partition.
        partition: u32,
        /// The key.
        key: String,
        /// The value; none takes the key's last value back.
        value: Option<Vec<u8>>,
    },
    /// A partition does not belong to this member any more.
    Revoked {
        /// The partition.
        partition: u32,
    },
}

/// What a process joins a group with.
#[derive(Debug, Clone)]
pub struct Joining {
    /// Name of the consumer group.
    pub group: String,
    /// What the wanted keys begin with: one of these. Records under other keys are not kept.
    pub key_prefixes: Vec<String>,
}

/// The membership of this process. It lasts until it is left or dropped.
#[derive(Debug)]
pub struct Membership {
    stop: Arc<AtomicBool>,
    /// Closes when the group was left.
    left: Mutex<Receiver<()>>,
}

impl Membership {
    /// Joins the group on a thread of its own. Kafka need not be reachable, nor the topic be there: both are waited
    /// for.
    ///
    /// # Errors
    /// When the operating system gives no thread, or librdkafka does not accept the configuration.
    pub fn join(
        settings: &KafkaSettings,
        joining: Joining,
        vitals: &Arc<Vitals>,
    ) -> Result<(Self, UnboundedReceiver<News>), StartError> {
        let (news, received) = unbounded_channel();
        let (leaving, left) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (settings, stopped) = (settings.clone(), Arc::clone(&stop));
        let mut member = Member::new(&settings, &joining, news.clone())?;
        let take_part = move || {
            let _leaving = leaving;
            while member.take_part(&stopped).is_failed() {
                std::thread::park_timeout(PAUSE);
                match Member::new(&settings, &joining, news.clone()) {
                    Ok(fresh) => member = fresh,
                    // The same configuration was accepted before.
                    Err(error) => tracing::error!(%error, "no other member of the group could be made"),
                }
            }
            member.leave();
        };
        drop(vitals.spawn("membership", Ends::WhenDone, take_part)?);
        Ok((Self { stop, left: Mutex::new(left) }, received))
    }

    /// Leaves the group, so that others get the partitions at once, and tells whether that was done in time. Blocks.
    pub fn leave(&self, deadline: Instant) -> bool {
        self.stop.store(true, Ordering::Release);
        let patience = deadline.saturating_duration_since(Instant::now());
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(patience);
        !matches!(left, Err(RecvTimeoutError::Timeout))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
