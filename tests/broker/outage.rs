//! One broker that goes away, hangs and comes back.

use std::time::{Duration, Instant};

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{Service, blocking, copies, status};

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_webhooks_get_503_and_their_retries_are_published_once() {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "", "").await;
    assert_eq!(service.post(&status("before", "delivered")).await, 200);

    blocking(|| cluster.stop_broker(0));
    let webhooks: Vec<_> = (0..20).map(|index| status(&format!("during-{index}"), "delivered")).collect();
    for webhook in &webhooks {
        let started = Instant::now();
        assert_eq!(service.post(webhook).await, 503);
        assert!(started.elapsed() < Duration::from_secs(10), "the answer is bounded by ack_timeout_ms");
        assert_eq!(service.post(webhook).await, 503, "a retry is not answered 200 before the first copy is durable");
    }
    service.wait_for_readiness(503).await;

    blocking(|| cluster.start_broker(0));
    service.wait_for_readiness(200).await;
    for webhook in &webhooks {
        service.post_until_taken(webhook).await;
    }
    let records = blocking(|| service.records("message-status.v1"));
    let copies = copies(&records);
    assert_eq!((copies.len(), records.len()), (21, 21), "{copies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_costs_no_more_than_the_acknowledgement_timeout() {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "ack_timeout_ms = 400", "").await;
    assert_eq!(service.post(&status("before", "delivered")).await, 200);
    blocking(|| cluster.pause_broker(0));
    let hanging = status("hanging", "delivered");
    let started = Instant::now();
    assert_eq!(service.post(&hanging).await, 503);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(10), "{took:?}");
    blocking(|| cluster.resume_broker(0));
    service.post_until_taken(&hanging).await;
    let records = blocking(|| service.records("message-status.v1"));
    assert_eq!(copies(&records)["vonage:abcd1234:hanging"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_before_its_broker_becomes_ready_and_creates_its_topics() {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    blocking(|| cluster.stop_broker(0));
    let service = Service::start(&cluster.bootstrap_servers(), "", "").await;
    assert_eq!(service.readiness().await, 503);
    let early = status("early", "delivered");
    assert_eq!(service.post(&early).await, 503);
    blocking(|| cluster.start_broker(0));
    service.wait_for_readiness(200).await;
    service.post_until_taken(&early).await;
    let records = blocking(|| service.records("message-status.v1"));
    assert_eq!(copies(&records).len(), 1);
}
