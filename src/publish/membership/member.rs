//! One client's part in the group, on the membership's thread.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use tokio::sync::mpsc::UnboundedSender;

use super::catching_up::{CatchingUp, Held};
use super::client::{self, Assigning, Change, Changes};
use super::{Joining, News};
use crate::event::kind::STATE_TOPIC;
use crate::publish::client::{StartError, there};
use crate::publish::topics;
use crate::settings::KafkaSettings;

/// How long the client is polled before it is looked whether the membership is over.
const POLL: Duration = Duration::from_millis(100);

/// How long an answer is waited for. Meanwhile the client is not polled, which must not last a minute.
const ANSWER: Duration = Duration::from_secs(2);

/// How taking part has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Asked,
    Failed,
}

impl End {
    pub(super) fn is_failed(self) -> bool {
        self == Self::Failed
    }
}

/// A member of the group.
pub(super) struct Member {
    consumer: BaseConsumer<Assigning>,
    changes: Changes,
    topic: String,
    key_prefixes: Vec<String>,
    news: UnboundedSender<News>,
    held: HashMap<i32, Held>,
    /// Partitions of the topic, when they were counted last, and whether they have to be counted.
    partitions: u32,
    is_uncounted: bool,
    /// What was told last that is wrong.
    problem: Option<String>,
}

impl Member {
    pub(super) fn new(
        settings: &KafkaSettings,
        joining: &Joining,
        news: UnboundedSender<News>,
    ) -> Result<Self, StartError> {
        let changes = Changes::default();
        let consumer = client::consumer(settings, &joining.group, &changes)?;
        let topic = topics::full_name(settings, &STATE_TOPIC);
        let subscribed = consumer.subscribe(&[&topic]);
        subscribed.map_err(|error| StartError::Configuration(error.to_string()))?;
        let (held, key_prefixes) = (HashMap::new(), joining.key_prefixes.clone());
        let (partitions, is_uncounted, problem) = (0, false, None);
        Ok(Self { consumer, changes, topic, key_prefixes, news, held, partitions, is_uncounted, problem })
    }

    /// Takes part until told to stop, or until the client has failed for good.
    pub(super) fn take_part(&mut self, stopped: &AtomicBool) -> End {
        while !stopped.load(Ordering::Acquire) {
            if self.step().is_failed() {
                self.revoke_all();
                return End::Failed;
            }
        }
        End::Asked
    }

    /// Leaves the group. The client tells the brokers when it ends.
    pub(super) fn leave(mut self) {
        self.revoke_all();
        drop(self.consumer);
    }

    fn step(&mut self) -> End {
        let heard = match self.consumer.poll(POLL) {
            Some(Ok(message)) => Heard::of(&message, &self.key_prefixes),
            Some(Err(KafkaError::PartitionEOF(partition))) => Heard::NothingFollows(partition),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                tracing::error!(%error, "the Kafka client of the group has failed for good, and is replaced");
                return End::Failed;
            }
            Some(Err(error)) => Heard::Problem(error),
            None => Heard::Nothing,
        };
        self.carry_out_changes();
        self.hear(heard);
        self.count();
        self.find_ends();
        self.tell_done();
        End::Asked
    }

    fn carry_out_changes(&mut self) {
        let changes = std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner));
        for change in changes {
            self.is_uncounted = true;
            self.problem = None;
            match change {
                Change::Given(partition) => {
                    self.held.insert(partition, Held::CatchingUp(CatchingUp::default()));
                }
                Change::Taken(partition) => self.revoke(partition),
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Nothing => {}
            Heard::Record { partition, offset, wanted } => self.record(partition, offset, wanted),
            Heard::NothingFollows(partition) => {
                if let Some(Held::CatchingUp(catching_up)) = self.held.get_mut(&partition) {
                    catching_up.nothing_follows();
                }
            }
            Heard::Problem(error) => self.tell_problem(&error),
        }
    }

    fn record(&mut self, partition: i32, offset: i64, wanted: Option<Wanted>) {
        match self.held.get_mut(&partition) {
            Some(Held::CatchingUp(catching_up)) => catching_up.record(offset, wanted),
            Some(Held::Told) => {
                if let Some((key, value)) = wanted {
                    self.tell(News::Written { partition: partition.unsigned_abs(), key, value });
                }
            }
            None => {}
        }
    }

    /// Tells partitions as assigned that have been read to their ends, to who knows how many there are.
    fn tell_done(&mut self) {
        if self.partitions == 0 {
            return;
        }
        for (partition, held) in &mut self.held {
            if let Held::CatchingUp(catching_up) = held
                && catching_up.is_done()
            {
                let (partition, records) = (partition.unsigned_abs(), std::mem::take(catching_up).into_records());
                *held = Held::Told;
                // Who has stopped listening does not want to know.
                drop(self.news.send(News::Assigned { partition, records }));
            }
        }
    }

    /// Counts the partitions, as they may be others after every change.
    fn count(&mut self) {
        if !self.is_uncounted {
            return;
        }
        let Ok(metadata) = self.consumer.fetch_metadata(Some(&self.topic), ANSWER) else { return };
        let Ok(found) = there(&metadata) else { return };
        self.is_uncounted = false;
        let partitions = u32::try_from(found.partitions().len()).unwrap_or(u32::MAX);
        if partitions != self.partitions {
            self.partitions = partitions;
            self.tell(News::Counted { partitions });
        }
    }

    /// Asks where one of the new partitions ends, so that the client is polled between any two questions.
    fn find_ends(&mut self) {
        let endless = self.held.iter_mut().find_map(|(partition, held)| match held {
            Held::CatchingUp(catching_up) if catching_up.is_endless() => Some((*partition, catching_up)),
            _ => None,
        });
        let Some((partition, catching_up)) = endless else { return };
        if let Ok((first, end)) = self.consumer.fetch_watermarks(&self.topic, partition, ANSWER) {
            catching_up.note_extent(first, end);
        }
    }

    fn revoke(&mut self, partition: i32) {
        if matches!(self.held.remove(&partition), Some(Held::Told)) {
            self.tell(News::Revoked { partition: partition.unsigned_abs() });
        }
    }

    fn revoke_all(&mut self) {
        let held: Vec<i32> = self.held.keys().copied().collect();
        held.into_iter().for_each(|partition| self.revoke(partition));
    }

    fn tell(&self, news: News) {
        // Who has stopped listening does not want to know.
        drop(self.news.send(news));
    }

    /// A problem is told once, and once more when it is another one. Whether brokers answer is told elsewhere.
    fn tell_problem(&mut self, error: &KafkaError) {
        let is_lasting = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::GroupAuthorizationFailed
            )
        );
        let cause = error.to_string();
        if !is_lasting || self.problem.as_ref() == Some(&cause) {
            return tracing::debug!(cause, "the Kafka client of the group reports an error");
        }
        tracing::warn!(topic = self.topic, cause, "the state topic can not be shared out; it is waited for");
        self.problem = Some(cause);
    }
}

/// Key and value of a record that is wanted.
type Wanted = (String, Option<Vec<u8>>);

/// What a poll has brought.
enum Heard {
    Nothing,
    Record { partition: i32, offset: i64, wanted: Option<Wanted> },
    NothingFollows(i32),
    Problem(KafkaError),
}

impl Heard {
    fn of(message: &BorrowedMessage<'_>, key_prefixes: &[String]) -> Self {
        let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
        let key = key.filter(|key| key_prefixes.iter().any(|prefix| key.starts_with(prefix)));
        let wanted = key.map(|key| (key.to_owned(), message.payload().map(<[u8]>::to_vec)));
        Self::Record { partition: message.partition(), offset: message.offset(), wanted }
    }
}
