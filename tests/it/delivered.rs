//! Readiness goes by what becomes of events, whatever brokers tell about topics.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use serde_json::{Value, json};

use crate::harness::webhook::{Webhook, inbound, status};
use crate::harness::{TestApp, is, wait_until};

const REPLACED: &str = "trunkline_producer_replacements_total";

impl TestApp {
    async fn problem(&self) -> String {
        let (_, state) = self.admin_json("/readyz").await;
        state["kafka"]["problem"].as_str().unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_source_whose_topic_is_refused_is_not_ready_until_it_is_taken() {
    let app = TestApp::start().await;
    app.broker.fail_produce(RDKafkaErrorCode::TopicAuthorizationFailed, 1).unwrap();
    let webhook = Webhook::signed(&status());
    assert_eq!(app.send(&webhook).await.status, 503);
    let failed = Instant::now();
    wait_until("the cause is told", async || app.problem().await.contains("Topic authorization failed")).await;
    assert!(failed.elapsed() < Duration::from_secs(1), "{:?}", failed.elapsed());
    assert_eq!(app.admin("/readyz").await.status(), 503);
    assert!(is(app.metric("trunkline_ready", &[]).await, 0.0));
    assert_eq!(app.post(&inbound()).await.status, 200, "another topic is taken");
    assert!(app.problem().await.contains("message-status"), "which tells nothing of the one that is refused");
    app.post_until_taken(&webhook).await;
    assert_eq!(app.problem().await, "");
    assert_eq!(app.admin("/readyz").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_a_spool_is_ready_while_its_topic_is_refused() {
    let app = TestApp::start_with("source.on_kafka_down = \"spool\"").await;
    app.broker.fail_produce(RDKafkaErrorCode::TopicAuthorizationFailed, 2).unwrap();
    assert_eq!(app.post(&status()).await.status, 200);
    let (code, state) = app.admin_json("/readyz").await;
    assert_eq!((code, &state["kafka"]["ready"]), (200, &json!(false)), "{state}");
    wait_until("it is drained", async || app.admin_json("/readyz").await.1["spool"]["events"] == json!(0)).await;
    let (code, state): (u16, Value) = app.admin_json("/readyz").await;
    assert_eq!((code, &state["kafka"]["ready"]), (200, &json!(true)), "{state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_may_be_no_producer_is_told_and_replaced_less_and_less_often() {
    let mut app = TestApp::start().await;
    app.stop().await;
    app.broker.refuse_producers(3).unwrap();
    let started = Instant::now();
    app.start_again("");
    let webhook = Webhook::signed(&status());
    assert_eq!(app.send(&webhook).await.status, 503);
    let failed = Instant::now();
    wait_until("the cause is told", async || app.problem().await.contains("Cluster authorization failed")).await;
    assert!(failed.elapsed() < Duration::from_secs(1), "{:?}", failed.elapsed());
    app.wait_for_metric(REPLACED, &[], 3.0).await;
    assert!(started.elapsed() > Duration::from_secs(3), "what does not help is not done again at once");
    assert_eq!(app.admin("/readyz").await.status(), 503, "another client alone is no reason to be ready");
    app.post_until_taken(&webhook).await;
    wait_until("it is ready", async || app.admin("/readyz").await.status() == 200).await;
    assert!(is(app.metric(REPLACED, &[]).await, 3.0));
}
