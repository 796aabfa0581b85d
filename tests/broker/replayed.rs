//! Replays through Apache Kafka: the state topic, ranges of time, compaction, a kill on the way.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use serde_json::Value;
use trunkline::config::{self, Environment, Settings};
use trunkline::event::kind::STATE_TOPIC;
use trunkline::event::time::Time;
use trunkline::publish::reader::{From, ReadError, Reader};
use trunkline::publish::topics::{self, TopicState};
use trunkline::replay::{self, Options, Replayable, Summary};

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{PATIENCE, SECRET, Service, blocking, configuration, sign, status};

const RAW_ON: &str = "raw_topic = true\nack_timeout_ms = 60000";

const RAW: Options =
    Options { kept: Replayable::RawRequests, from: None, to: None, source: None, dry_run: false, again: false };

fn settings(service: &Service) -> Settings {
    let environment = Environment::from([("SECRET".to_owned(), SECRET.to_owned())]);
    let text = configuration(&service.bootstrap_servers, Path::new("unused"), RAW_ON, "");
    config::load_text("test", &text, &environment).unwrap().settings
}

async fn replay(service: &Service, options: &Options) -> Summary {
    replay::run(&settings(service), options, &mut |_| {}).await.unwrap()
}

/// Waits until the leaders of the topics' partitions know that they lead, which a topic that has just been
/// made takes a moment for. Only then is the first answer to every webhook certainly 200.
async fn wait_for_leaders(service: &Service) {
    let settings = settings(service);
    let topics: Vec<String> =
        topics::wanted(&settings.kafka).map(|topic| topics::full_name(&settings.kafka, topic)).collect();
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = blocking(|| Reader::open(&settings.kafka, &topics, From::End)) {
        assert!(Instant::now() < deadline, "{error}");
    }
}

async fn start(cluster: &KafkaCluster) -> Service {
    let service = Service::start_ready(&cluster.bootstrap_servers(), RAW_ON, "").await;
    wait_for_leaders(&service).await;
    service
}

fn value_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_makes_its_own_topic_and_a_second_one_does_nothing() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = start(&cluster).await;
    for index in 0..20 {
        assert_eq!(service.post(&status(&format!("message-{index}"), "delivered")).await, 200);
    }
    let settings = settings(&service);
    let dry = replay(&service, &Options { dry_run: true, ..RAW }).await;
    assert_eq!((dry.read, dry.replayed, dry.events), (20, 20, 20));
    let state = ["telecom.state.v1".to_owned()];
    let state = blocking(|| Reader::open(&settings.kafka, &state, From::Beginning));
    assert!(matches!(state, Err(ReadError::NoTopic(_))), "{state:?}");
    let first = replay(&service, &RAW).await;
    assert_eq!(first, Summary { read: 20, replayed: 20, events: 20, ..Summary::default() });
    let second = replay(&service, &RAW).await;
    assert_eq!(second, Summary { read: 20, done_earlier: 20, ..Summary::default() });

    let mut copies: HashMap<String, usize> = HashMap::new();
    for record in blocking(|| service.records("message-status.v1")) {
        *copies.entry(record.headers["ce_id"].clone()).or_default() += 1;
    }
    assert_eq!((copies.len(), copies.values().all(|copies| *copies == 2)), (20, true));
    assert_eq!(blocking(|| service.records("state.v1")).len(), 20);
    let mut state = [TopicState {
        unusable: None,
        info: &STATE_TOPIC,
        name: "telecom.state.v1".to_owned(),
        partitions: 12,
        replicas: 1,
        brokers: 1,
        settings: HashMap::new(),
    }];
    topics::describe(&settings.kafka, &mut state).await.unwrap();
    assert_eq!(state[0].settings["cleanup.policy"], "compact");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_time_is_replayed_and_nothing_beside_it() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = start(&cluster).await;
    for index in 0..5 {
        assert_eq!(service.post(&sign(format!("not JSON {index}").into_bytes())).await, 200);
    }
    let letters = blocking(|| service.records("dead-letter.v1"));
    let time = |letter: Value| Time::parse_iso(letter["received_at"].as_str().unwrap()).unwrap();
    let mut times: Vec<Time> = letters.iter().map(|letter| time(value_of(&letter.value))).collect();
    times.sort();
    assert_eq!(times.iter().map(|time| time.unix_ms()).collect::<HashSet<_>>().len(), 5, "{times:?}");
    for (from, to) in [(None, None), (Some(2), None), (None, Some(3)), (Some(1), Some(4)), (Some(3), Some(3))] {
        let at = |index: Option<usize>| index.map(|index| times[index]);
        let options = Options { kept: Replayable::DeadLetters, from: at(from), to: at(to), ..RAW };
        let summary = replay(&service, &options).await;
        let expected = to.unwrap_or(5) - from.unwrap_or(0);
        assert_eq!((summary.read, summary.failing), (expected as u64, expected as u64), "{from:?} to {to:?}");
    }
    let later = Time::from_unix_seconds(times[4].unix_seconds() + 3600).unwrap();
    let options = Options { kept: Replayable::DeadLetters, from: Some(later), ..RAW };
    assert_eq!(replay(&service, &options).await, Summary::default());
}

/// A state topic of which Kafka compacts everything but the last records at once.
async fn eager_state_topic(bootstrap_servers: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create().unwrap();
    let topic = NewTopic::new("telecom.state.v1", 1, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("segment.ms", "100")
        .set("min.cleanable.dirty.ratio", "0.001");
    for outcome in admin.create_topics(&[topic], &AdminOptions::new()).await.unwrap() {
        outcome.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_outlive_the_compaction_of_their_topic() {
    let properties = vec![("log.cleaner.backoff.ms".to_owned(), "100".to_owned())];
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions { properties, ..ClusterOptions::default() }));
    eager_state_topic(&cluster.bootstrap_servers()).await;
    let service = start(&cluster).await;
    for index in 0..10 {
        assert_eq!(service.post(&status(&format!("message-{index}"), "delivered")).await, 200);
    }
    let deadline = Instant::now() + PATIENCE;
    let mut written = 0;
    loop {
        let summary = replay(&service, &Options { again: true, ..RAW }).await;
        assert_eq!(summary.replayed, 10);
        written += 10;
        if blocking(|| service.records("state.v1")).len() < written {
            break;
        }
        assert!(Instant::now() < deadline, "the state topic is compacted in time");
    }
    let after = replay(&service, &RAW).await;
    assert_eq!(after, Summary { read: 10, done_earlier: 10, ..Summary::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_killed_loses_nothing_and_the_next_one_goes_on() {
    const REQUESTS: usize = 1500;
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = start(&cluster).await;
    for batch in 0..REQUESTS / 50 {
        let webhooks: Vec<_> = (0..50).map(|index| status(&format!("message-{batch}-{index}"), "delivered")).collect();
        let answers = futures_util::future::join_all(webhooks.iter().map(|webhook| service.post(webhook))).await;
        assert!(answers.iter().all(|answer| *answer == 200));
    }

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trunkline.toml");
    std::fs::write(&file, configuration(&service.bootstrap_servers, Path::new("unused"), RAW_ON, "")).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_trunkline"))
        .args(["replay", "raw", "--config"])
        .arg(&file)
        .env("SECRET", SECRET)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while blocking(|| service.records("message-status.v1")).len() == REQUESTS {
        assert!(Instant::now() < deadline, "the replay publishes something in time");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    program.kill().unwrap();
    program.wait().unwrap();

    let rest = replay(&service, &RAW).await;
    let requests = REQUESTS as u64;
    assert_eq!((rest.read, rest.replayed + rest.done_earlier, rest.events), (requests, requests, rest.replayed));
    let mut copies: HashMap<String, usize> = HashMap::new();
    for record in blocking(|| service.records("message-status.v1")) {
        *copies.entry(record.headers["ce_id"].clone()).or_default() += 1;
    }
    assert_eq!(copies.len(), REQUESTS, "no fact has two ids");
    assert!(copies.values().all(|copies| (2..=3).contains(copies)), "each was replayed, twice at most");
    assert_eq!(replay(&service, &RAW).await.done_earlier, requests);
}
