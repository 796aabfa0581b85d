//! Kafka goes away and comes back: nothing is lost, doubled or put out of order.

use std::time::Instant;

use futures_util::future::join_all;
use rdkafka::error::RDKafkaErrorCode;
use serde_json::json;

use crate::harness::webhook::{Webhook, inbound, status, with};
use crate::harness::{DEAD_LETTER, DEADLINE, INBOUND, STATUS, TestApp, is, value_of, wait_until};

/// Acknowledgements are given up soon, so that an outage shows.
const IMPATIENT: &str = "kafka.ack_timeout_ms = 300";

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_the_answer_is_503_in_time_and_never_a_refusal() {
    let app = TestApp::start_with(IMPATIENT).await;
    app.broker.go_down().unwrap();
    let started = Instant::now();
    let answer = app.post(&status()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    let answer = app.send(&Webhook::signed_bytes("not JSON")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "a dead letter is no less an event");
    assert!(started.elapsed() < DEADLINE / 4);
    assert!(is(app.outcomes("unavailable").await, 2.0));
    assert_eq!(app.send(&Webhook::unsigned("{}")).await.status, 401, "an outage opens no door");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_kafka_and_liveness_does_not() {
    let app = TestApp::start().await;
    app.broker.go_down().unwrap();
    app.wait_for_readiness(false).await;
    let (_, state) = app.admin_json("/readyz").await;
    assert_eq!((&state["status"], &state["kafka"]["ready"]), (&json!("not_ready"), &json!(false)));
    assert!(state["kafka"]["problem"].is_string());
    assert_eq!(state["spool"]["ready"], json!(true), "a strict source has no use for it");
    assert_eq!(app.admin("/healthz").await.status(), 200);
    assert!(is(app.metric("trunkline_ready", &[]).await, 0.0));
    app.broker.come_up().unwrap();
    app.wait_for_readiness(true).await;
    app.wait_for_metric("trunkline_ready", &[], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_comes_after_the_503_still_counts() {
    let app = TestApp::start_with(IMPATIENT).await;
    app.broker.go_down().unwrap();
    let webhook = Webhook::signed(&status());
    assert_eq!(app.send(&webhook).await.status, 503);
    app.broker.come_up().unwrap();
    app.wait_for_unacknowledged(0.0).await;
    assert_eq!(app.records(STATUS).len(), 1, "it was published without a retry");
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.records(STATUS).len(), 1);
    assert!(is(app.outcomes("duplicate").await, 1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_waiting_when_kafka_comes_back_is_answered_with_the_first() {
    let app = TestApp::start().await;
    app.broker.go_down().unwrap();
    let webhook = Webhook::signed(&status());
    let come_up = async {
        app.wait_for_unacknowledged(1.0).await;
        app.broker.come_up().unwrap();
    };
    let (answers, ()) = tokio::join!(join_all((0..10).map(|_| app.send(&webhook))), come_up);
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(app.records(STATUS).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_retries_during_an_outage_are_one_event_after_it() {
    let app = TestApp::start_with("kafka.ack_timeout_ms = 50").await;
    app.broker.go_down().unwrap();
    let webhook = Webhook::signed(&status());
    for _ in 0..20 {
        assert_eq!(app.send(&webhook).await.status, 503);
    }
    let unacknowledged = app.metric("trunkline_unacknowledged_records", &[]).await;
    assert!(is(unacknowledged, 1.0), "only the first copy waits: {unacknowledged}");
    app.broker.come_up().unwrap();
    app.wait_for_unacknowledged(0.0).await;
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.records(STATUS).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_during_an_outage_is_taken_after_it() {
    let app = TestApp::start_with("kafka.ack_timeout_ms = 50").await;
    app.broker.go_down().unwrap();
    let webhooks: Vec<Webhook> = (0..30).map(|_| Webhook::signed(&inbound())).collect();
    for webhook in &webhooks {
        assert_eq!(app.send(webhook).await.status, 503);
    }
    assert_eq!(app.send(&Webhook::signed_bytes("not JSON")).await.status, 503);
    app.broker.come_up().unwrap();
    join_all(webhooks.iter().map(|webhook| app.post_until_taken(webhook))).await;
    app.wait_for_unacknowledged(0.0).await;
    assert_eq!((app.records(INBOUND).len(), app.records(DEAD_LETTER).len()), (30, 1));
}

const EVENTS: &str = "trunkline_events_total";

/// What a message goes through, in the order in which the provider tells it.
const STAGES: [&str; 4] = ["submitted", "delivered", "read", "a word of the future"];

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_each_message_is_kept_across_an_outage() {
    let app = TestApp::start_with("kafka.ack_timeout_ms = 100").await;
    let messages: Vec<_> = (0..20).map(|_| status()).collect();
    let send_all = join_all(messages.iter().map(async |body| {
        for stage in STAGES {
            let webhook = Webhook::signed(&with(body.clone(), &json!({"status": stage})));
            app.post_until_taken(&webhook).await;
        }
    }));
    let interrupt = async {
        wait_until("the first events are published", async || app.metric(EVENTS, &[]).await > 0.5).await;
        app.broker.go_down().unwrap();
        wait_until("some are refused", async || app.outcomes("unavailable").await > 20.5).await;
        app.broker.come_up().unwrap();
    };
    tokio::join!(send_all, interrupt);
    app.wait_for_unacknowledged(0.0).await;
    let records = app.records(STATUS);
    assert_eq!(records.len(), messages.len() * STAGES.len(), "none is lost or doubled");
    for body in &messages {
        let of_message = records.iter().map(value_of).filter(|event| event["message_id"] == body["message_uuid"]);
        let told: Vec<String> = of_message.map(|event| event["status_raw"].as_str().unwrap().to_owned()).collect();
        assert_eq!(told, STAGES);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_of_a_later_record_is_none_of_an_earlier_one() {
    let app = TestApp::start().await;
    // Both are of one message, and so of one partition.
    let [first, second] =
        ["submitted", "delivered"].map(|word| with(status(), &json!({"message_uuid": "m", "status": word})));
    let [first, second] = [first, second].map(|body| Webhook::signed(&body));
    app.post(&inbound()).await;
    app.broker.delay(std::time::Duration::from_secs(1)).unwrap();
    app.broker.fail_produce(RDKafkaErrorCode::NotLeaderForPartition, 1).unwrap();
    let send_second = async {
        app.wait_for_unacknowledged(1.0).await;
        app.send(&second).await
    };
    let (of_first, of_second) = tokio::join!(app.send(&first), send_second);
    app.broker.delay(std::time::Duration::ZERO).unwrap();
    let published: Vec<_> = app.records(STATUS).iter().map(|record| value_of(record)["status_raw"].clone()).collect();
    assert_eq!(of_second.status, 200);
    assert_eq!(of_first.status == 200, published.contains(&json!("submitted")), "{of_first:?}: {published:?}");
    app.post_until_taken(&first).await;
    let published: Vec<_> = app.records(STATUS).iter().map(|record| value_of(record)["status_raw"].clone()).collect();
    assert!(published.contains(&json!("submitted")) && published.contains(&json!("delivered")), "{published:?}");
}
