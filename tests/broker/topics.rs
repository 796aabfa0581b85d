//! Topics that are missing, that brokers would make by themselves, or that are not as they should be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use trunkline::publish::topics;

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{PATIENCE, Service, blocking, kafka_settings, status};

/// As brokers are when nobody has configured them.
fn stock() -> KafkaCluster {
    let properties = vec![("auto.create.topics.enable".to_owned(), "true".to_owned())];
    KafkaCluster::start(ClusterOptions { properties, ..ClusterOptions::default() })
}

/// The topics of the cluster, as a client sees them that asks about none.
fn names(cluster: &KafkaCluster) -> BTreeSet<String> {
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    let metadata = client.fetch_metadata(None, Duration::from_secs(30)).unwrap();
    metadata.topics().iter().map(|topic| topic.name().to_owned()).filter(|name| name.starts_with("telecom.")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_about_topics_and_writing_to_them_makes_none() {
    let cluster = blocking(stock);
    let settings = kafka_settings(&cluster.bootstrap_servers(), "create_topics = false");
    let states = blocking(|| topics::look(&settings)).unwrap();
    assert!(states.iter().all(|state| state.partitions == 0));
    let service = Service::start(&cluster.bootstrap_servers(), "create_topics = false", "").await;
    service.wait_for_problem("is not there").await;
    assert_eq!(service.post(&status("early", "delivered")).await, 200, "it goes to the spool");
    service.wait_for_problem("is not there").await;
    service.app.stop().await;
    assert_eq!(blocking(|| names(&cluster)), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_has_gone_is_made_again_as_documented() {
    let cluster = blocking(stock);
    let service = Service::start_ready(&cluster.bootstrap_servers(), "", "").await;
    service.wait_until_kafka_is(true).await;
    service.post_until_taken(&status("before", "delivered")).await;
    service.delete_topic("telecom.message-status.v1").await;
    let deadline = Instant::now() + PATIENCE;
    let settings = kafka_settings(&cluster.bootstrap_servers(), "");
    let as_documented = || {
        let states = topics::look(&settings).unwrap();
        states.iter().all(|state| i32::try_from(state.partitions) == Ok(state.info.partitions))
    };
    while !blocking(as_documented) {
        assert!(Instant::now() < deadline, "the topic is not made again as it should be");
    }
    service.post_until_taken(&status("after", "delivered")).await;
    service.wait_until_drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_is_filled_from_topics_that_hold_little_beside_one_that_is_missing() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let webhooks: Vec<_> = (0..15).map(|index| status(&format!("m-{index}"), "delivered")).collect();
    let first = Service::start_ready(&cluster.bootstrap_servers(), "", "").await;
    first.wait_until_kafka_is(true).await;
    for webhook in &webhooks {
        first.post_until_taken(webhook).await;
    }
    first.delete_topic("telecom.inbound-message.v1").await;
    first.app.stop().await;

    let second = Service::start(&cluster.bootstrap_servers(), "create_topics = false", "").await;
    let deadline = Instant::now() + PATIENCE;
    while second.metric("trunkline_dedup_warmed_events").await < 15.0 {
        assert!(Instant::now() < deadline, "the window is never filled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for webhook in &webhooks {
        assert_eq!(second.post(webhook).await, 200);
    }
    assert_eq!(blocking(|| second.records("message-status.v1")).len(), 15, "they are duplicates");
    // What is there can be drained, though not all topics are.
    assert_eq!(second.post(&status("last", "delivered")).await, 200);
    assert_eq!(second.app.stop().await.spooled, 0);
}

/// The partitions of a topic that a broker leads.
fn led_by(cluster: &KafkaCluster, topic: &str, broker: i32) -> BTreeSet<i32> {
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(30)).unwrap();
    let partitions = metadata.topics()[0].partitions().iter();
    partitions.filter(|partition| partition.leader() == broker).map(|partition| partition.id()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_is_filled_from_the_partitions_that_have_a_leader() {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions { brokers: 3, ..ClusterOptions::default() }));
    let topic = "telecom.message-status.v1";
    let bootstrap_servers = cluster.bootstrap_servers();
    let administration = Service::start(&bootstrap_servers, "create_topics = false", "").await;
    // All its other topics have three replicas.
    administration.create_topic(topic, 12).await;
    administration.app.stop().await;
    let first = Service::start_ready(&bootstrap_servers, "", "").await;
    for index in 0..40 {
        first.post_until_taken(&status(&format!("m-{index}"), "delivered")).await;
    }
    first.wait_until_drained().await;
    let away = blocking(|| led_by(&cluster, topic, 2));
    let records = blocking(|| first.records("message-status.v1"));
    let readable = records.iter().filter(|record| !away.contains(&record.partition)).count();
    assert!(readable > 0 && readable < records.len(), "{readable} of {}", records.len());
    first.app.stop().await;

    blocking(|| cluster.stop_broker(2));
    let second = Service::start(&bootstrap_servers, "create_topics = false", "").await;
    let deadline = Instant::now() + PATIENCE;
    while second.metric("trunkline_dedup_warm").await < 1.0 {
        assert!(Instant::now() < deadline, "the window is never filled");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(second.metric("trunkline_dedup_warmed_events").await, readable as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unwise_about_topics_is_told() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "", "").await;
    service.wait_until_kafka_is(true).await;
    let settings = kafka_settings(&cluster.bootstrap_servers(), "create_topics = false");
    let advice = async || {
        let mut states = blocking(|| topics::look(&settings)).unwrap();
        topics::describe(&settings, &mut states).await.unwrap();
        states.iter().flat_map(|state| state.advice(&settings)).collect::<Vec<_>>()
    };
    assert_eq!(advice().await, Vec::<String>::new(), "topics of our own making are as they should be");
    service.delete_topic("telecom.call-event.v1").await;
    service.app.stop().await;
    let administration = Service::start(&cluster.bootstrap_servers(), "create_topics = false", "").await;
    administration.create_topic("telecom.call-event.v1", 1).await;
    let deadline = Instant::now() + PATIENCE;
    let mut told = advice().await;
    while told.is_empty() {
        assert!(Instant::now() < deadline, "a topic with one partition is nothing to tell");
        told = advice().await;
    }
    assert!(told.iter().any(|sentence| sentence.contains("call-event.v1: has 1 partitions")), "{told:?}");
    assert!(blocking(|| topics::unreachable_brokers(&settings)).unwrap().is_empty());
}
