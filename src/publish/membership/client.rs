//! The client of a group's member.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::publish::client::{self, Listening, StartError};
use crate::settings::KafkaSettings;

/// What the brokers have decided about a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Given(i32),
    Taken(i32),
}

/// Changes that were carried out and are not looked at yet. They outlive the client, which has its partitions taken
/// when it ends.
pub(super) type Changes = Arc<Mutex<Vec<Change>>>;

/// Hears of changes while the client is polled, and carries them out.
#[derive(Debug)]
pub(super) struct Assigning {
    listening: Listening,
    changes: Changes,
}

impl ClientContext for Assigning {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, log_message: &str) {
        self.listening.log(level, facility, log_message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.listening.error(error, reason);
    }
}

impl ConsumerContext for Assigning {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let outcome = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // Whatever others may have committed for the group, a partition is read whole.
            let begun = list.set_all_offsets(Offset::Beginning);
            self.note(list, Change::Given);
            begun.and_then(|()| consumer.incremental_assign(list))
        } else {
            self.note(list, Change::Taken);
            consumer.incremental_unassign(list)
        };
        if let Err(error) = outcome {
            tracing::error!(%error, "the Kafka client does not carry out what the group has decided");
        }
    }
}

impl Assigning {
    fn note(&self, list: &TopicPartitionList, change: fn(i32) -> Change) {
        let changes = list.elements().into_iter().map(|element| change(element.partition()));
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
    }
}

/// Makes a client that is to be a member of the group.
pub(super) fn consumer(
    settings: &KafkaSettings,
    group: &str,
    changes: &Changes,
) -> Result<BaseConsumer<Assigning>, StartError> {
    let mut config = client::client_config(settings);
    config
        .set("client.id", "trunkline-reconcile")
        .set("group.id", group)
        .set("group.protocol", "classic")
        // Only what moves is taken from a member, so that the others go on meanwhile.
        .set("partition.assignment.strategy", "cooperative-sticky")
        // A process that was killed is missed after ten seconds. Members hear by their heartbeats that another one has
        // left: with one in three seconds, taking over took up to three seconds.
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "1000")
        .set("max.poll.interval.ms", "60000")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "16384")
        // A topic that is made later, or gets more partitions, is noticed within this time.
        .set("topic.metadata.refresh.interval.ms", "5000");
    let context = Assigning { listening: Listening::new(settings, &Arc::default()), changes: Arc::clone(changes) };
    config.create_with_context(context).map_err(|error| client::not_accepted(settings, &error))
}
