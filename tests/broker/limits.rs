//! Records that are larger than a topic takes.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{Service, blocking, copies, sign, status, webhook};

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_ten_megabytes_that_is_not_understood_is_kept_whole() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "ack_timeout_ms = 60000", "").await;
    let body = format!("{{\"what\":\"{}\"}}", "x".repeat(10 * 1024 * 1024 - 20)).into_bytes();
    assert_eq!(service.post(&sign(body.clone())).await, 200);
    let letters = blocking(|| service.records("dead-letter.v1"));
    assert_eq!(letters.len(), 1);
    let letter: Value = serde_json::from_slice(&letters[0].value).unwrap();
    assert_eq!(letter["reason"]["code"], "unknown_shape");
    assert_eq!(letter["body"].as_str().unwrap().as_bytes(), body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_its_topic_refuses_becomes_a_dead_letter_and_its_neighbours_are_published() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let keep = "[sources.privacy]\nmessage_text = \"keep\"";
    let service = Service::start_ready(&cluster.bootstrap_servers(), "ack_timeout_ms = 60000", keep).await;
    // Text that compression can not make small: what counts is the size on the broker.
    let random: String = (0..62_500).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
    let large = webhook("inbound-message", "large", &[("text", random.into())]);
    let small = webhook("inbound-message", "small", &[]);
    let (of_large, of_small) = tokio::join!(service.post(&large), service.post(&small));
    assert_eq!((of_large, of_small), (200, 200));

    let messages = blocking(|| service.records("inbound-message.v1"));
    assert_eq!(messages.iter().map(|record| record.key.as_str()).collect::<Vec<_>>(), ["vonage:abcd1234:small"]);
    let letters = blocking(|| service.records("dead-letter.v1"));
    let letter: Value = serde_json::from_slice(&letters[0].value).unwrap();
    assert_eq!((&letter["reason"]["code"], &letter["scope"]), (&"record_too_large".into(), &"record".into()));
    let event: Value = serde_json::from_str(letter["body"].as_str().unwrap()).unwrap();
    assert_eq!(event["message_id"], "large");

    assert_eq!(service.post(&large).await, 200, "a retry is a duplicate of what is kept");
    assert_eq!(blocking(|| service.records("dead-letter.v1")).len(), 1);
    assert_eq!(service.post(&status("after", "delivered")).await, 200);
}

/// A batch of call records, each with so much text that compression can not make small.
fn batch(sizes: &[usize]) -> String {
    let random = |size: usize| (0..size / 32).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect::<String>();
    let record = |(number, size): (usize, &usize)| {
        format!(r#"{{"Report ID":"r-{number}-{size}","Org UUID":"o","Note":"{}"}}"#, random(*size))
    };
    format!(r#"{{"items":[{}]}}"#, sizes.iter().enumerate().map(record).collect::<Vec<_>>().join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_is_answered_in_time_by_the_spool_while_kafka_hangs() {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let batches = "[[sources]]\nname = \"batches\"\nprovider = \"webex\"\nverification = \"none\"";
    let service = Service::start_ready(&cluster.bootstrap_servers(), "ack_timeout_ms = 300", batches).await;
    service.wait_until_kafka_is(true).await;
    let url = service.url.replace("vonage-eu", "batches");
    let send = async |number: usize| {
        let body = batch(&vec![32 * number; 8000]);
        let started = Instant::now();
        let answer = service.client.post(&url).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        started.elapsed()
    };
    let flowing = send(1).await;
    service.wait_until_drained().await;
    cluster.pause_broker(0);
    let hanging = send(2).await;
    println!("8,000 records answered in {flowing:?} by Kafka and in {hanging:?} by the spool");
    // Not a millisecond for each record.
    assert!(hanging < flowing * 2 + Duration::from_secs(5), "{hanging:?}");
    cluster.resume_broker(0);
    service.wait_until_drained().await;
    let records = blocking(|| service.records("call-record.v1"));
    assert_eq!(copies(&records).len(), 16_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_larger_than_its_topic_takes_costs_only_what_is_too_large_by_itself() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let batches = "[[sources]]\nname = \"batches\"\nprovider = \"webex\"\nverification = \"none\"";
    let first = Service::start(&cluster.bootstrap_servers(), "create_topics = false", "").await;
    first.create_small_topic("telecom.call-record.v1", "3000").await;
    first.create_topic("telecom.dead-letter.v1", 1).await;
    let service = Service::start(&cluster.bootstrap_servers(), "ack_timeout_ms = 60000", batches).await;
    service.wait_until_kafka_is(true).await;
    let url = service.url.replace("vonage-eu", "batches");
    for (sizes, published, letters) in [([800; 8], 8, 0), ([832, 832, 832, 9600, 832, 832, 832, 832], 15, 1)] {
        let answer = service.client.post(&url).body(batch(&sizes)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let (records, dead) = blocking(|| (service.records("call-record.v1"), service.records("dead-letter.v1")));
        assert_eq!((records.len(), dead.len()), (published, letters));
    }
}
