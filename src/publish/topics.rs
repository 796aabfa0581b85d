//! The topics wanted and found.

use std::collections::HashMap;
use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataBroker};
use rdkafka::producer::Producer as _;
use secrecy::ExposeSecret as _;
use thiserror::Error;

use super::cause::Cause;
use super::client::{self, Asking, Listening, StartError, Unusable};
use crate::event::kind::{self, Cleanup, RAW_TOPIC, TopicInfo};
use crate::settings::KafkaSettings;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Why the topics could not be looked at or made.
#[derive(Debug, Error)]
pub enum TopicsError {
    /// No client.
    #[error(transparent)]
    Client(#[from] StartError),
    /// No answer.
    #[error("no broker answers at {servers}: {cause}")]
    Unreachable {
        /// The configured servers.
        servers: String,
        /// What the client says.
        cause: String,
    },
    /// A topic was not created.
    #[error("the topic {topic} could not be created ({code})")]
    Create {
        /// Its name.
        topic: String,
        /// Kafka's reason.
        code: RDKafkaErrorCode,
    },
    /// The request to create topics failed.
    #[error("the brokers did not carry out the request: {0}")]
    Admin(KafkaError),
}

/// One topic, wanted and found.
#[derive(Debug)]
pub struct TopicState {
    /// What is wanted.
    pub info: &'static TopicInfo,
    /// Its full name.
    pub name: String,
    /// Why the topic can not be used, if so.
    pub unusable: Option<Unusable>,
    /// Partitions found; 0 if the topic is not there.
    pub partitions: usize,
    /// Replicas of its first partition.
    pub replicas: usize,
    /// Brokers in the cluster.
    pub brokers: usize,
    /// Settings found, by name.
    pub settings: HashMap<String, String>,
}

impl TopicState {
    /// What is unwise about a topic that is there, each in a sentence.
    pub fn advice(&self, settings: &KafkaSettings) -> Vec<String> {
        if self.partitions == 0 {
            return Vec::new();
        }
        let copies = [self.too_few_replicas(), self.too_few_partitions(), self.too_few_in_sync()];
        let kept = [self.other_cleanup(), self.other_retention(), self.bounded_by_size()];
        let taken = [self.too_small(), self.smaller_than_batches(settings)];
        let sentences = copies.into_iter().chain(kept).chain(taken).flatten();
        sentences.map(|sentence| format!("{}: {sentence}", self.name)).collect()
    }

    /// What it costs if the topic keeps records for less than `needed_s` seconds, for which `source_name` is compared
    /// with it.
    pub fn advice_to_keep(&self, needed_s: u64, source_name: &str) -> Option<String> {
        let kept_ms = u64::try_from(self.number("retention.ms")?).ok()?;
        (kept_ms / 1000 < needed_s).then(|| {
            let name = &self.name;
            format!(
                "{name}: retention.ms is {kept_ms}, and {source_name} is compared with it {needed_s} s back; what is \
                 older than the topic can not be compared"
            )
        })
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.setting(name)?.parse().ok()
    }

    fn too_few_replicas(&self) -> Option<String> {
        let wanted = self.brokers.min(3);
        let replicas = self.replicas;
        (replicas < wanted).then(|| {
            format!("has {replicas} of {wanted} replicas, so the loss of a broker may cost acknowledged events")
        })
    }

    fn too_few_partitions(&self) -> Option<String> {
        let wanted = usize::try_from(self.info.partitions).unwrap_or_default();
        (self.partitions < wanted).then(|| format!("has {} partitions where {wanted} are documented", self.partitions))
    }

    fn too_few_in_sync(&self) -> Option<String> {
        let one = self.replicas > 1 && self.number("min.insync.replicas") == Some(1);
        one.then(|| "min.insync.replicas is 1, so an acknowledged event may be on one broker only".to_owned())
    }

    fn other_cleanup(&self) -> Option<String> {
        let wanted = match self.info.cleanup {
            Cleanup::Delete { .. } => "delete",
            Cleanup::Compact => "compact",
        };
        let found = self.setting("cleanup.policy")?;
        (found != wanted).then(|| format!("cleanup.policy is {found} where {wanted} is documented; events may vanish"))
    }

    /// Longer is more than was promised to those whose data it is, and shorter loses what consumers count on.
    fn other_retention(&self) -> Option<String> {
        let Cleanup::Delete { after_days } = self.info.cleanup else { return None };
        let wanted_ms = i64::from(after_days) * 24 * 3600 * 1000;
        let found_ms = self.number("retention.ms")?;
        (found_ms != wanted_ms)
            .then(|| format!("retention.ms is {found_ms} where {wanted_ms} ({after_days} days) is documented"))
    }

    fn bounded_by_size(&self) -> Option<String> {
        let Cleanup::Delete { .. } = self.info.cleanup else { return None };
        let found_bytes = self.number("retention.bytes").filter(|bytes| *bytes >= 0)?;
        Some(format!("retention.bytes is {found_bytes}, so events may vanish before their time"))
    }

    /// A broker refuses what is larger than its topic takes.
    fn too_small(&self) -> Option<String> {
        let limit = self.number("max.message.bytes")?;
        let documented = i64::from(self.info.max_message_bytes.unwrap_or(1_048_576)) - 1024;
        (limit < documented).then(|| format!("max.message.bytes is {limit}; larger records become dead letters"))
    }

    /// The client puts records together up to `batch.size`, and a broker refuses them together.
    fn smaller_than_batches(&self, settings: &KafkaSettings) -> Option<String> {
        let limit = self.number("max.message.bytes")?;
        let given = settings.properties.iter().find(|(name, _)| name == "batch.size");
        let batch = given.map_or(Some(1_000_000), |(_, value)| value.value.expose_secret().parse::<i64>().ok())?;
        (limit < batch).then(|| {
            format!(
                "max.message.bytes is {limit} and batch.size {batch}: batches are refused and sent again in pieces, \
                 which is slow; set batch.size in [kafka.properties]"
            )
        })
    }
}

/// Topics beside those that every service writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct MoreTopics {
    /// Those without which the publisher is not ready.
    pub needed: &'static [&'static TopicInfo],
    /// Those that it can do without: they are made and their partitions counted, and whatever is wrong with them, the
    /// publisher is as ready as before.
    pub aside: &'static [&'static TopicInfo],
}

/// The name of a topic in the cluster.
pub fn full_name(settings: &KafkaSettings, topic: &TopicInfo) -> String {
    format!("{}{}", settings.topic_prefix, topic.suffix)
}

/// The topics that a service with these settings writes.
pub fn wanted(settings: &KafkaSettings) -> impl Iterator<Item = &'static TopicInfo> + use<> {
    kind::topics().chain(settings.raw_topic.then_some(&RAW_TOPIC))
}

/// Looks at every topic that is wanted. Blocks for some seconds at most.
///
/// # Errors
/// When no broker answers.
pub fn look(settings: &KafkaSettings) -> Result<Vec<TopicState>, TopicsError> {
    look_at(settings, wanted(settings))
}

/// Tries to reach each broker under the name that it tells, and says which can not be reached. Blocks for some seconds
/// a broker at most.
///
/// # Errors
/// When no broker answers.
pub fn unreachable_brokers(settings: &KafkaSettings) -> Result<Vec<String>, TopicsError> {
    let client = Asker::new(settings)?;
    let metadata = match client.ask(None) {
        // The client was told the name by a broker, and goes on under it already.
        Err(TopicsError::Unreachable { cause, .. }) if is_of_a_known_broker(&cause) => {
            let told =
                format!("a broker is not reached under the name that it tells: {cause}; see advertised.listeners");
            return Ok(vec![told]);
        }
        answer => answer?,
    };
    let reach = |broker: &MetadataBroker| {
        let (id, name) = (broker.id(), format!("{}:{}", broker.host(), broker.port()));
        let error = connect(&name).err()?;
        Some(format!("broker {id} calls itself {name}, and is not reached there: {error}; see advertised.listeners"))
    };
    Ok(metadata.brokers().iter().filter_map(reach).collect())
}

/// Whether the client says this of a broker whose id it knows: `host:port/1: Connect to ...`. Those of the configuration
/// are `host:port/bootstrap`.
fn is_of_a_known_broker(cause: &str) -> bool {
    let broker = cause.split(": ").next().and_then(|broker| broker.rsplit_once('/'));
    broker.is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

fn connect(name: &str) -> io::Result<()> {
    let mut outcome = Err(io::Error::from(io::ErrorKind::NotFound));
    for address in name.to_socket_addrs()? {
        outcome = TcpStream::connect_timeout(&address, TIMEOUT).map(drop);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn look_at(
    settings: &KafkaSettings,
    topics: impl Iterator<Item = &'static TopicInfo>,
) -> Result<Vec<TopicState>, TopicsError> {
    let client = Asker::new(settings)?;
    let mut states = Vec::new();
    for info in topics {
        let name = full_name(settings, info);
        let metadata = client.ask(Some(&name))?;
        let (found, unusable) = match client::there(&metadata) {
            Ok(found) => (Some(found), None),
            Err(reason) => (None, Some(reason)),
        };
        let partitions = found.map(|topic| topic.partitions()).unwrap_or_default();
        let replicas = partitions.first().map_or(0, |partition| partition.replicas().len());
        let (partitions, brokers) = (partitions.len(), metadata.brokers().len());
        states.push(TopicState { info, name, unusable, partitions, replicas, brokers, settings: HashMap::new() });
    }
    Ok(states)
}

/// Adds the settings of the topics that are there. A broker that does not tell them is no error.
pub async fn describe(settings: &KafkaSettings, states: &mut [TopicState]) -> Result<(), TopicsError> {
    let admin = admin(settings)?;
    let names: Vec<String> =
        states.iter().filter(|state| state.partitions > 0).map(|state| state.name.clone()).collect();
    let wanted: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let described = admin.describe_configs(&wanted, &options()).await.map_err(TopicsError::Admin)?;
    for (name, resource) in names.iter().zip(described) {
        let Ok(resource) = resource else { continue };
        if let Some(state) = states.iter_mut().find(|state| state.name == *name) {
            let entries = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
            state.settings = entries.collect();
        }
    }
    Ok(())
}

/// Creates the topics that are wanted, or more of them, and not there, and tells their names.
///
/// # Errors
/// When no broker answers, or one of them can not be created.
pub async fn create_missing(settings: &KafkaSettings, more: MoreTopics) -> Result<Vec<String>, TopicsError> {
    create_missing_of(settings, wanted(settings).chain(more.needed.iter().chain(more.aside).copied()).collect()).await
}

/// Creates those of some topics that are not there, with as many replicas as there are brokers, three
/// at most, and tells their names.
///
/// # Errors
/// When no broker answers, or one of them can not be created.
pub async fn create_missing_of(
    settings: &KafkaSettings,
    topics: Vec<&'static TopicInfo>,
) -> Result<Vec<String>, TopicsError> {
    let looked_at = settings.clone();
    let states = tokio::task::spawn_blocking(move || look_at(&looked_at, topics.into_iter())).await;
    let missing: Vec<TopicState> = match states {
        Ok(states) => states?.into_iter().filter(|state| state.partitions == 0).collect(),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    created(ask_for(&admin(settings)?, &missing.iter().collect::<Vec<_>>(), &options()).await?)
}

/// Why topics that are missing could not be made, without making any.
///
/// # Errors
/// When no broker answers.
pub async fn uncreatable(
    settings: &KafkaSettings,
    missing: &[&TopicState],
) -> Result<Vec<(String, RDKafkaErrorCode)>, TopicsError> {
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let outcomes = ask_for(&admin(settings)?, missing, &options().validate_only(true)).await?;
    Ok(outcomes.into_iter().filter_map(Result::err).collect())
}

async fn ask_for(
    admin: &AdminClient<Listening>,
    missing: &[&TopicState],
    options: &AdminOptions,
) -> Result<Vec<TopicResult>, TopicsError> {
    let brokers = missing.first().map_or(1, |state| state.brokers);
    let replicas = i32::try_from(brokers.clamp(1, 3)).unwrap_or(1);
    let settings: Vec<TopicSettings> = missing.iter().map(|state| settings_of(state.info, replicas)).collect();
    let wanted: Vec<NewTopic<'_>> =
        missing.iter().zip(&settings).map(|(state, settings)| new_topic(state, settings, replicas)).collect();
    admin.create_topics(&wanted, options).await.map_err(TopicsError::Admin)
}

fn created(outcomes: Vec<TopicResult>) -> Result<Vec<String>, TopicsError> {
    let mut created = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(name) => created.push(name),
            // Another replica of ours was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(TopicsError::Create { topic, code }),
        }
    }
    Ok(created)
}

type TopicSettings = Vec<(&'static str, String)>;

fn settings_of(info: &TopicInfo, replicas: i32) -> TopicSettings {
    let mut settings = match info.cleanup {
        Cleanup::Delete { after_days } => {
            let retention_ms = u64::from(after_days) * 24 * 3600 * 1000;
            vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", retention_ms.to_string())]
        }
        Cleanup::Compact => vec![("cleanup.policy", "compact".to_owned())],
    };
    settings.extend(info.max_message_bytes.map(|bytes| ("max.message.bytes", bytes.to_string())));
    settings.extend((replicas >= 3).then(|| ("min.insync.replicas", "2".to_owned())));
    settings
}

fn new_topic<'t>(state: &'t TopicState, settings: &'t TopicSettings, replicas: i32) -> NewTopic<'t> {
    let topic = NewTopic::new(&state.name, state.info.partitions, TopicReplication::Fixed(replicas));
    settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
}

fn admin(settings: &KafkaSettings) -> Result<AdminClient<Listening>, TopicsError> {
    let context = Listening::new(settings, &Arc::default());
    let client = client::client_config(settings).create_with_context(context);
    client.map_err(|error| client::not_accepted(settings, &error).into())
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

/// Asks about topics, and tells why nobody answers.
struct Asker<'s> {
    settings: &'s KafkaSettings,
    cause: Arc<Cause>,
    client: Asking,
}

impl<'s> Asker<'s> {
    fn new(settings: &'s KafkaSettings) -> Result<Self, TopicsError> {
        let cause = Arc::new(Cause::default());
        let client = client::asking(settings, &cause)?;
        Ok(Self { settings, cause, client })
    }

    fn ask(&self, topic: Option<&str>) -> Result<Metadata, TopicsError> {
        let metadata = client::ask(TIMEOUT, |timeout| self.client.client().fetch_metadata(topic, timeout));
        metadata.map_err(|error| TopicsError::Unreachable {
            servers: self.settings.bootstrap_servers.clone(),
            cause: self.cause.told().unwrap_or_else(|| error.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::client::tests::settings;

    fn advice(found: &[(&str, &str)], given: (&str, &str)) -> Vec<String> {
        let info = wanted(&settings("client.id", "me", "text")).next().unwrap();
        let state = TopicState {
            info,
            name: "t".to_owned(),
            unusable: None,
            partitions: usize::try_from(info.partitions).unwrap(),
            replicas: 3,
            brokers: 3,
            settings: found.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        state.advice(&settings(given.0, given.1, "text"))
    }

    #[test]
    fn a_topic_that_keeps_less_than_is_compared_is_told() {
        let state = |found: &[(&str, &str)]| TopicState {
            info: wanted(&settings("client.id", "me", "text")).next().unwrap(),
            name: "t".to_owned(),
            unusable: None,
            partitions: 1,
            replicas: 1,
            brokers: 1,
            settings: found.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let advice = |kept_ms: &str| state(&[("retention.ms", kept_ms)]).advice_to_keep(100, "webex-partner");
        assert!(advice("99999").unwrap().starts_with("t: retention.ms is 99999, and webex-partner is compared"));
        assert_eq!((advice("100000"), advice("-1"), advice("")), (None, None, None));
        assert_eq!(state(&[]).advice_to_keep(100, "webex-partner"), None, "it is not known");
    }

    #[test]
    fn what_is_not_as_documented_is_told_and_what_it_costs() {
        let none = ("client.id", "me");
        for (name, value, told) in [
            ("retention.ms", "60000", "is documented"),
            ("retention.ms", "-1", "is documented"),
            ("retention.bytes", "1000", "events may vanish before their time"),
            ("cleanup.policy", "compact", "where delete is documented"),
            ("min.insync.replicas", "1", "on one broker only"),
        ] {
            let told_of = advice(&[(name, value)], none);
            assert!(told_of.len() == 1 && told_of[0].contains(told), "{name}={value}: {told_of:?}");
        }
        assert_eq!(advice(&[("retention.bytes", "-1"), ("min.insync.replicas", "2")], none), Vec::<String>::new());
    }

    #[test]
    fn a_broker_is_known_by_its_id() {
        assert!(is_of_a_known_broker("127.0.0.1:9092/0: Connect to ipv4#127.0.0.1:9092 failed: Connection refused"));
        assert!(!is_of_a_known_broker("127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: refused"));
        assert!(!is_of_a_known_broker("Failed to resolve 'kafka/1'") && !is_of_a_known_broker(""));
    }

    #[test]
    fn batches_that_topics_do_not_take_are_told_whoever_has_chosen_their_size() {
        let batches = |limit, given: (&str, &str)| {
            let told = advice(&[("max.message.bytes", limit)], given);
            told.iter().any(|sentence| sentence.contains("batches are refused"))
        };
        assert!(batches("20000", ("client.id", "me")), "the client's own size is 1,000,000");
        assert!(!batches("20000", ("batch.size", "16384")));
        assert!(batches("1048588", ("batch.size", "4000000")) && !batches("1048588", ("client.id", "me")));
    }
}
