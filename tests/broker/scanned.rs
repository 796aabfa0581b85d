//! Looking through topics of a real Kafka: by time, from where an earlier scan ended, beyond what is retained, behind
//! gaps that no record fills, and how fast.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use trunkline::event::kind::{DEAD_LETTER_TOPIC, Kind, TopicInfo};
use trunkline::event::time::Time;
use trunkline::publish::scan::{Asked, Ended, Outcome, ScannedRecord, Scanner, Start, Visitor};

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{ACCOUNT, PATIENCE, Service, blocking, kafka_settings, status};

const RECORDS: &str = "telecom.call-record.v1";

/// Times of records, in milliseconds since 1970: a minute from one to the next.
const BEGAN_MS: i64 = 1_770_000_000_000;
const MINUTE_MS: i64 = 60_000;

fn topic() -> &'static TopicInfo {
    Kind::CallRecord.info().topic
}

fn admin(cluster: &KafkaCluster) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap()
}

/// Makes the topic of call records, which keeps records of any age.
async fn make_topic(cluster: &KafkaCluster, partitions: i32) {
    let topic = NewTopic::new(RECORDS, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    for outcome in admin(cluster).create_topics(&[topic], &AdminOptions::new()).await.unwrap() {
        outcome.unwrap();
    }
}

fn producer(cluster: &KafkaCluster, properties: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    config.extend(properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    config.create().unwrap()
}

/// Writes records to one partition, whose keys end with their minutes.
fn write(producer: &BaseProducer, partition: i32, minutes: std::ops::Range<i64>) {
    for minute in minutes {
        let key = format!("vonage:abcd1234:{minute}");
        let id = format!("{minute:032x}");
        let headers = OwnedHeaders::new().insert(Header { key: "ce_id", value: Some(&id) });
        let record = BaseRecord::to(RECORDS).partition(partition).key(&key).payload("{}").headers(headers);
        producer.send(record.timestamp(BEGAN_MS + minute * MINUTE_MS)).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

fn at_minute(minute: i64) -> Start {
    Start::At(Time::from_unix_ms(BEGAN_MS + minute * MINUTE_MS).unwrap())
}

fn scanner(cluster: &KafkaCluster) -> Scanner {
    Scanner::start(&kafka_settings(&cluster.bootstrap_servers(), ""), &Arc::default()).unwrap()
}

/// Keeps the minutes of the keys that it is shown, by partition.
#[derive(Debug, Default)]
struct Minutes(BTreeMap<i32, Vec<i64>>);

impl Visitor for Minutes {
    fn visit(&mut self, record: &ScannedRecord<'_>) {
        let minute: i64 = record.key.rsplit(':').next().unwrap().parse().unwrap();
        assert_eq!(record.id.unwrap().to_string(), format!("{minute:032x}"));
        assert_eq!(record.written_at.unwrap().unix_ms(), BEGAN_MS + minute * MINUTE_MS);
        self.0.entry(record.partition).or_default().push(minute);
    }
}

async fn scan<V: Visitor>(scanner: &Scanner, topics: &[&'static TopicInfo], start: Start, visitor: V) -> (V, Outcome) {
    let asked = Asked { topics: topics.to_vec(), key_prefix: "vonage:abcd1234:".to_owned(), start };
    let Ended { visitor, outcome } = scanner.scan(asked, visitor).await.unwrap();
    (visitor, outcome.unwrap())
}

fn minutes<const N: usize>(expected: [(i32, std::ops::Range<i64>); N]) -> BTreeMap<i32, Vec<i64>> {
    expected.map(|(partition, minutes)| (partition, minutes.collect())).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_begins_at_a_time_and_the_next_one_where_it_ended() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    make_topic(&cluster, 3).await;
    let (scanner, producer) = (scanner(&cluster), producer(&cluster, &[]));
    blocking(|| {
        write(&producer, 0, 0..10);
        write(&producer, 1, 0..3);
    });
    let (seen, first) = scan(&scanner, &[topic(), &DEAD_LETTER_TOPIC], at_minute(6), Minutes::default()).await;
    assert_eq!(seen.0, minutes([(0, 6..10)]), "a topic that is not there is empty");
    assert_eq!((first.read, first.visited, first.beyond.len()), (4, 4, 0));
    let (seen, _) = scan(&scanner, &[topic()], at_minute(-1), Minutes::default()).await;
    assert_eq!(seen.0, minutes([(0, 0..10), (1, 0..3)]));
    let (seen, _) = scan(&scanner, &[topic()], at_minute(10), Minutes::default()).await;
    assert_eq!(seen.0, minutes([]));

    blocking(|| {
        write(&producer, 0, 10..12);
        write(&producer, 2, 0..2);
    });
    let (seen, second) = scan(&scanner, &[topic()], Start::Behind(first.ends), Minutes::default()).await;
    assert_eq!(seen.0, minutes([(0, 10..12), (2, 0..2)]), "however old they are");
    let (seen, _) = scan(&scanner, &[topic()], Start::Behind(second.ends), Minutes::default()).await;
    assert_eq!(seen.0, minutes([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_behind_the_start_is_told() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    make_topic(&cluster, 2).await;
    let (scanner, producer) = (scanner(&cluster), producer(&cluster, &[]));
    blocking(|| (write(&producer, 0, 0..10), write(&producer, 1, 0..10)));
    let (_, before) = scan(&scanner, &[topic()], at_minute(0), Minutes::default()).await;
    assert!(before.beyond.is_empty(), "nothing was ever before the first record");
    let (_, half_way) = scan(&scanner, &[topic()], at_minute(-1), Minutes::default()).await;
    blocking(|| write(&producer, 0, 10..14));
    let mut deleted = TopicPartitionList::new();
    deleted.add_partition_offset(RECORDS, 0, Offset::Offset(12)).unwrap();
    admin(&cluster).delete_records(&deleted, &AdminOptions::new()).await.unwrap();

    let (seen, outcome) = scan(&scanner, &[topic()], at_minute(6), Minutes::default()).await;
    assert_eq!(seen.0, minutes([(0, 12..14), (1, 6..10)]), "what is left is shown");
    let beyond = &outcome.beyond[0];
    assert_eq!((outcome.beyond.len(), beyond.partition, beyond.first_offset), (1, 0, 12));
    assert_eq!(beyond.oldest_at.unwrap().unix_ms(), BEGAN_MS + 12 * MINUTE_MS);
    let (_, later) = scan(&scanner, &[topic()], at_minute(13), Minutes::default()).await;
    assert!(later.beyond.is_empty(), "something older than the start is left");
    let (seen, caught_up) = scan(&scanner, &[topic()], Start::Behind(half_way.ends), Minutes::default()).await;
    assert_eq!((seen.0, caught_up.beyond.len()), (minutes([(0, 12..14)]), 1), "two records were not seen and are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_of_transactions_at_the_end_keep_no_scan_waiting() {
    let cluster = blocking(|| {
        let properties = ["transaction.state.log.replication.factor", "transaction.state.log.min.isr"];
        let properties = properties.map(|name| (name.to_owned(), "1".to_owned())).to_vec();
        KafkaCluster::start(ClusterOptions { properties, ..ClusterOptions::default() })
    });
    make_topic(&cluster, 2).await;
    let producer = producer(&cluster, &[("transactional.id", "an-invented-writer")]);
    blocking(|| {
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        write(&producer, 0, 0..3);
        producer.commit_transaction(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        write(&producer, 0, 3..5);
        write(&producer, 1, 0..2);
        producer.abort_transaction(PATIENCE).unwrap();
    });
    let began = Instant::now();
    let (seen, outcome) = scan(&scanner(&cluster), &[topic()], at_minute(-1), Minutes::default()).await;
    assert_eq!(seen.0, minutes([(0, 0..3)]), "what was given up was never published");
    assert!(outcome.read == 3 && began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_the_service_publishes_are_found_in_either_mode() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    for (mode, ids) in [("binary", ["m-1", "m-2"]), ("structured", ["m-3", "m-4"])] {
        let service = Service::start_ready(&cluster.bootstrap_servers(), &format!("envelope = \"{mode}\""), "").await;
        let start = Start::At(Time::from_unix_ms(Time::now().unix_ms() - 1).unwrap());
        for id in ids {
            service.post_until_taken(&status(id, "delivered")).await;
        }
        service.wait_until_drained().await;
        let seen = scan(&scanner(&cluster), &[Kind::MessageStatus.info().topic], start, Events::default()).await.0;
        let mut found = seen.0;
        found.sort_by(|left, right| left.0.cmp(&right.0));
        assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ids.map(key_of), "{mode}");
        for (key, data) in &found {
            assert_eq!(data["event_id"].as_str().map(str::len), Some(32), "{key}");
        }
    }
}

fn key_of(id: &str) -> String {
    format!("vonage:{ACCOUNT}:{id}")
}

/// Keeps keys and data objects, whose ids must be those that the scan tells.
#[derive(Debug, Default)]
struct Events(Vec<(String, serde_json::Value)>);

impl Visitor for Events {
    fn visit(&mut self, record: &ScannedRecord<'_>) {
        let data: serde_json::Value = serde_json::from_slice(record.data).unwrap();
        assert_eq!(record.id.unwrap().to_string(), data["event_id"], "{}", record.key);
        self.0.push((record.key.to_owned(), data));
    }
}

/// Writes so many records of 1.5 KB, as the service lays them out.
fn fill(cluster: &KafkaCluster, records: usize, structured: bool) {
    let producer = producer(cluster, &[("linger.ms", "20"), ("batch.size", "900000")]);
    let data = format!("{{\"provider_data\":{{\"text\":\"{}\"}}}}", "x".repeat(1400));
    for number in 0..records {
        let key = format!("vonage:abcd1234:{number}");
        let (id, hash) = (format!("{number:032x}"), format!("{number:016x}"));
        let of = |value| Header { key: value, value: Some(value) };
        let (payload, headers) = if structured {
            let header = Header { key: "content-type", value: Some("application/cloudevents+json") };
            let event = format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/vonage/abcd1234\",\"facthash\":\"{hash}\",\
                 \"data\":{data}}}"
            );
            (event, OwnedHeaders::new().insert(header))
        } else {
            let headers = ["ce_specversion", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_dataschema"];
            let headers = headers.into_iter().fold(OwnedHeaders::new(), |headers, name| headers.insert(of(name)));
            let headers = headers.insert(Header { key: "ce_id", value: Some(&id) });
            (data.clone(), headers.insert(Header { key: "ce_facthash", value: Some(&hash) }))
        };
        loop {
            let record =
                BaseRecord::to(RECORDS).partition(i32::try_from(number % 12).unwrap()).key(&key).payload(&payload);
            if producer.send(record.headers(headers.clone())).is_ok() {
                break;
            }
            producer.poll(Duration::from_millis(10));
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).unwrap();
}

/// Prints how fast topics are scanned. Run it in a release build: `-- --ignored --nocapture speed`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures, and only tells"]
async fn speed_of_a_scan() {
    const COUNT: usize = 300_000;
    for structured in [false, true] {
        let options = ClusterOptions { heap_megabytes: 768, ..ClusterOptions::default() };
        let cluster = blocking(|| KafkaCluster::start(options));
        make_topic(&cluster, 12).await;
        blocking(|| fill(&cluster, COUNT, structured));
        let scanner = scanner(&cluster);
        for _ in 0..3 {
            let count = |record: &ScannedRecord<'_>| assert!(record.id.is_some() && record.fact_hash.is_some());
            let (_, outcome) = scan(&scanner, &[topic()], Start::Behind(Default::default()), count).await;
            assert_eq!(outcome.visited, COUNT as u64);
            let per_second = COUNT as f64 / outcome.elapsed.as_secs_f64();
            println!("structured {structured}: {per_second:.0} records/s in {:?}", outcome.elapsed);
        }
    }
}
