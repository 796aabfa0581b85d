//! What is remembered in the state topic, read on and on by a client without a group: for those that tell about
//! sources which another process owns, and for owners whose sources have moved to another partition.
//!
//! Kept is the last value of each wanted key. If the number of partitions was changed, a key may lie in two of them,
//! and the value that was written later counts.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, Listening, StartError, there};
use super::topics;
use super::vitals::{Ends, Vitals};
use crate::event::kind::STATE_TOPIC;
use crate::settings::KafkaSettings;

const POLL: Duration = Duration::from_millis(200);
const ANSWER: Duration = Duration::from_secs(5);

/// How long to wait before a topic that is not there, or a broker that does not answer, is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// How often it is looked whether the topic has other partitions.
const RECOUNT: Duration = Duration::from_secs(30);

/// How often it is looked whether everything has been read, by those who wait for it.
const LOOK: Duration = Duration::from_millis(20);

/// The state topic, as far as it has been read.
#[derive(Debug)]
pub struct StateView {
    known: Arc<Mutex<Known>>,
    stop: Arc<AtomicBool>,
}

/// The last value of each key.
#[derive(Debug, Default)]
struct Known {
    values: BTreeMap<String, Kept>,
    /// Whether the topic has been read to the end once.
    is_whole: bool,
}

#[derive(Debug)]
struct Kept {
    partition: i32,
    written_at_ms: i64,
    value: Option<Arc<[u8]>>,
}

impl StateView {
    /// Starts to read records whose keys begin so, on a thread of its own. Kafka need not be reachable, nor the topic
    /// be there.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(settings: &KafkaSettings, key_prefix: &str, vitals: &Arc<Vitals>) -> Result<Self, StartError> {
        let (known, stop) = (Arc::<Mutex<Known>>::default(), Arc::new(AtomicBool::new(false)));
        let follower = Follower {
            settings: settings.clone(),
            topic: topics::full_name(settings, &STATE_TOPIC),
            key_prefix: key_prefix.to_owned(),
            known: Arc::clone(&known),
            stop: Arc::clone(&stop),
        };
        // Nobody waits for its end: it may be asking brokers that do not answer.
        drop(vitals.spawn("state-view", Ends::WhenDone, move || follower.follow())?);
        Ok(Self { known, stop })
    }

    /// Keys that begin so, in order, and their last values.
    pub fn values(&self, key_prefix: &str) -> Vec<(String, Arc<[u8]>)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = known.values.range(key_prefix.to_owned()..);
        let wanted = behind.take_while(|(key, _)| key.starts_with(key_prefix));
        wanted.filter_map(|(key, kept)| Some((key.clone(), Arc::clone(kept.value.as_ref()?)))).collect()
    }

    /// Waits until the topic has been read to its end once, at most this long, and tells whether it was.
    pub async fn wait_until_whole(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while !self.known.lock().unwrap_or_else(PoisonError::into_inner).is_whole {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }
}

impl Drop for StateView {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

impl Known {
    /// Takes note of a record. One that is older than what another partition holds under its key is passed over.
    fn note(&mut self, key: &str, record: Kept) {
        let before = self.values.get(key);
        let is_later =
            |before: &Kept| before.partition == record.partition || before.written_at_ms <= record.written_at_ms;
        if before.is_none_or(is_later) {
            self.values.insert(key.to_owned(), record);
        }
    }
}

/// Reads the topic.
struct Follower {
    settings: KafkaSettings,
    topic: String,
    key_prefix: String,
    known: Arc<Mutex<Known>>,
    stop: Arc<AtomicBool>,
}

impl Follower {
    fn follow(&self) {
        while !self.is_stopped() {
            if let Err(error) = self.follow_once() {
                tracing::debug!(%error, topic = self.topic, "the state topic can not be read now");
            }
            if !self.is_stopped() {
                std::thread::park_timeout(AGAIN);
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Reads the topic from its beginning until told to stop, or until its partitions are others.
    fn follow_once(&self) -> Result<(), KafkaError> {
        let consumer = self.consumer()?;
        let partitions = self.partitions(&consumer)?;
        if partitions.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in &partitions {
            list.add_partition_offset(&self.topic, *partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let (mut unread, mut recount_at): (HashSet<i32>, _) =
            (partitions.iter().copied().collect(), Instant::now() + RECOUNT);
        while !self.is_stopped() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => self.note(&message),
                Some(Err(KafkaError::PartitionEOF(partition))) => self.note_end(&mut unread, partition),
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
                // Connection errors pass; the client reconnects by itself.
                Some(Err(_)) | None => {}
            }
            if Instant::now() >= recount_at {
                recount_at = Instant::now() + RECOUNT;
                if self.partitions(&consumer).is_ok_and(|now| now != partitions) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn note_end(&self, unread: &mut HashSet<i32>, partition: i32) {
        unread.remove(&partition);
        if unread.is_empty() {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).is_whole = true;
        }
    }

    fn note(&self, message: &BorrowedMessage<'_>) {
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let Some(key) = key.filter(|key| key.starts_with(&self.key_prefix)) else { return };
        let kept = Kept {
            partition: message.partition(),
            written_at_ms: message.timestamp().to_millis().unwrap_or_default(),
            value: message.payload().map(Arc::from),
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).note(key, kept);
    }

    /// The partitions; none if the topic is not there.
    fn partitions(&self, consumer: &BaseConsumer<Listening>) -> KafkaResult<Vec<i32>> {
        let metadata = client::ask(ANSWER, |timeout| consumer.fetch_metadata(Some(&self.topic), timeout))?;
        let found = there(&metadata).map(|topic| topic.partitions().iter().map(|partition| partition.id()).collect());
        Ok(found.unwrap_or_default())
    }

    fn consumer(&self) -> KafkaResult<BaseConsumer<Listening>> {
        let mut config = client::client_config(&self.settings);
        config
            .set("client.id", "trunkline-state")
            // Nothing is assigned without one. No group is joined, and nothing is committed.
            .set("group.id", "trunkline-state")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .set("queued.max.messages.kbytes", "8192");
        config.create_with_context(Listening::new(&self.settings, &Arc::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(partition: i32, written_at_ms: i64, value: &str) -> Kept {
        let value = (!value.is_empty()).then(|| value.as_bytes().into());
        Kept { partition, written_at_ms, value }
    }

    fn view_of(records: impl IntoIterator<Item = (&'static str, Kept)>) -> Vec<(String, String)> {
        let known = Arc::<Mutex<Known>>::default();
        records.into_iter().for_each(|(key, record)| known.lock().unwrap().note(key, record));
        let view = StateView { known, stop: Arc::default() };
        let text = |value: Arc<[u8]>| String::from_utf8(value.to_vec()).unwrap();
        view.values("reconcile/a/").into_iter().map(|(key, value)| (key, text(value))).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_last_value_of_each_key_is_told_in_order() {
        let records = [
            ("reconcile/a/y", kept(0, 5, "1")),
            ("reconcile/a/x", kept(0, 5, "1")),
            ("reconcile/b/x", kept(0, 5, "1")),
            ("reconcile/a/x", kept(0, 4, "2")),
            ("reconcile/a/z", kept(0, 4, "1")),
            ("reconcile/a/z", kept(0, 5, "")),
        ];
        assert_eq!(view_of(records), pairs(&[("reconcile/a/x", "2"), ("reconcile/a/y", "1")]), "by place, not by time");
    }

    #[test]
    fn of_two_partitions_the_value_that_was_written_later_counts_in_whatever_order_they_are_read() {
        let expected = pairs(&[("reconcile/a/x", "new")]);
        let (old, new) = (|| ("reconcile/a/x", kept(3, 5, "old")), || ("reconcile/a/x", kept(7, 6, "new")));
        assert_eq!(view_of([old(), new()]), expected);
        assert_eq!(view_of([new(), old()]), expected);
        let gone = || ("reconcile/a/x", kept(7, 6, ""));
        assert_eq!(view_of([old(), gone()]), []);
        assert_eq!(view_of([gone(), old()]), [], "what was taken back stays so");
    }
}
