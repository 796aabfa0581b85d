//! What an administrator does to topics.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use trunkline::config::KafkaSettings;
use trunkline::event::kind::{self, TopicInfo};
use trunkline::publish::topics;

use crate::traffic::SMALL_TOPIC_BYTES;

const PATIENCE: Duration = Duration::from_secs(120);

/// The topic of call records.
const SMALL_TOPIC: &str = "call-record.v1";

/// More replicas than there are brokers: no record can be acknowledged.
const IMPOSSIBLE_REPLICAS: &str = "4";
const USUAL_REPLICAS: &str = "2";

/// Somebody with all rights.
pub(crate) struct Administration {
    settings: KafkaSettings,
    client: AdminClient<DefaultClientContext>,
}

impl std::fmt::Debug for Administration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Administration").finish_non_exhaustive()
    }
}

impl Administration {
    pub(crate) fn of(settings: KafkaSettings) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &settings.bootstrap_servers);
        Self { client: config.create().unwrap(), settings }
    }

    /// Makes every topic, one of them with little room.
    pub(crate) async fn make_topics(&self) {
        topics::create_missing(&self.settings, topics::MoreTopics::default()).await.unwrap();
        self.set(&self.name(SMALL_TOPIC), "max.message.bytes", &SMALL_TOPIC_BYTES.to_string()).await;
    }

    /// Demands more replicas of every record than there are, or the usual number again. The brokers are well all the
    /// time, and acknowledge nothing meanwhile.
    pub(crate) async fn demand_replicas(&self, impossible: bool) {
        let replicas = if impossible { IMPOSSIBLE_REPLICAS } else { USUAL_REPLICAS };
        for TopicInfo { suffix, .. } in kind::topics() {
            self.set(&self.name(suffix), "min.insync.replicas", replicas).await;
        }
    }

    /// Deletes a topic. Its logs may be there for a moment longer.
    pub(crate) async fn delete(&self, topic: &str) {
        let deleted = self.client.delete_topics(&[topic], &options()).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    }

    /// Makes a topic that was deleted, unless it has come back by itself; tells whether it has.
    pub(crate) async fn make(&self, info: &TopicInfo) -> bool {
        let name = self.name(info.suffix);
        let replicas = TopicReplication::Fixed(3);
        let topic = NewTopic::new(&name, info.partitions, replicas).set("min.insync.replicas", USUAL_REPLICAS);
        match self.client.create_topics(&[topic], &options()).await.unwrap().remove(0) {
            Ok(_) => false,
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => true,
            Err((name, code)) => panic!("{name} can not be made: {code}"),
        }
    }

    /// Changes one setting of a topic. The others are told again, or they would be gone.
    async fn set(&self, topic: &str, name: &str, value: &str) {
        let topic = ResourceSpecifier::Topic(topic);
        let described = self.client.describe_configs([&topic], &options()).await.unwrap().remove(0).unwrap();
        let others: Vec<_> =
            described.entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic).collect();
        let mut change = AlterConfig::new(topic).set(name, value);
        for entry in others.iter().filter(|entry| entry.name != name) {
            change = change.set(&entry.name, entry.value.as_deref().unwrap());
        }
        let changed = self.client.alter_configs([&change], &options()).await.unwrap();
        assert!(changed.iter().all(Result::is_ok), "{changed:?}");
    }

    pub(crate) fn name(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.settings.topic_prefix)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}
