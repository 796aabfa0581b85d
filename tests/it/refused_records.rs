//! Records that Kafka itself refuses.

use std::collections::HashSet;

use rdkafka::error::RDKafkaErrorCode;
use serde_json::{Value, json};
use trunkline::publish::Left;

use crate::harness::rows::row;
use crate::harness::webhook::{Webhook, status};
use crate::harness::{DEAD_LETTER, SOURCE, STATUS, TestApp, is, schema};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_for_kafka_becomes_a_dead_letter() {
    let app = TestApp::start().await;
    app.broker.fail_produce(RDKafkaErrorCode::MessageSizeTooLarge, 1).unwrap();
    let body = status();
    assert_eq!(app.post(&body).await.status, 200);
    let letter = app.value(DEAD_LETTER);
    schema::assert_valid(&letter);
    assert_eq!((&letter["reason"]["code"], &letter["scope"]), (&json!("record_too_large"), &json!("record")));
    assert_eq!(letter["source_name"], SOURCE);
    let event: Value = serde_json::from_str(letter["body"].as_str().unwrap()).unwrap();
    schema::assert_valid(&event);
    assert_eq!(event["message_id"], body["message_uuid"]);
    assert_eq!(app.records(STATUS).len(), 0);
    let labels = [("source", SOURCE), ("reason", "record_too_large")];
    assert!(is(app.metric("trunkline_dead_letters_total", &labels).await, 1.0));
    assert!(is(app.metric("trunkline_refused_records_total", &[]).await, 1.0));
    assert!(is(app.metric("trunkline_events_total", &[]).await, 0.0), "no event was published");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_is_remembered_like_any_other() {
    let app = TestApp::start().await;
    app.broker.fail_produce(RDKafkaErrorCode::MessageSizeTooLarge, 1).unwrap();
    let webhook = Webhook::signed(&status());
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!((app.records(STATUS).len(), app.records(DEAD_LETTER).len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_kafka_finds_invalid_becomes_a_dead_letter() {
    let app = TestApp::start().await;
    app.broker.fail_produce(RDKafkaErrorCode::InvalidRecord, 1).unwrap();
    assert_eq!(app.post(&status()).await.status, 200);
    assert_eq!(app.value(DEAD_LETTER)["reason"]["code"], "record_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_even_as_a_dead_letter_is_kept_in_the_quarantine() {
    let mut app = TestApp::start().await;
    app.broker.fail_produce(RDKafkaErrorCode::MessageSizeTooLarge, 2).unwrap();
    let webhook = Webhook::signed(&status());
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!((app.records(STATUS).len(), app.records(DEAD_LETTER).len()), (0, 0));
    app.wait_for_metric("trunkline_spool_quarantined_events", &[], 1.0).await;
    assert_eq!(app.send(&webhook).await.status, 200, "it is durable, so its copy is a duplicate");
    assert_eq!((app.records(STATUS).len(), app.records(DEAD_LETTER).len()), (0, 0));
    assert_eq!(app.stop().await, Left { unsaved: 0, spooled: 0, quarantined: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_place_is_left_for_is_not_answered_200() {
    let app = TestApp::start_with("spool.max_bytes = 1").await;
    app.broker.fail_produce(RDKafkaErrorCode::MessageSizeTooLarge, 2).unwrap();
    let webhook = Webhook::signed(&status());
    assert_eq!(app.send(&webhook).await.status, 503);
    assert_eq!((app.records(STATUS).len(), app.records(DEAD_LETTER).len()), (0, 0));
    app.post_until_taken(&webhook).await;
    assert_eq!((app.records(STATUS).len(), app.records(DEAD_LETTER).len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_way_to_kafka_is_an_outage_and_no_dead_letter() {
    let app = TestApp::start().await;
    app.broker.fail_produce(RDKafkaErrorCode::TopicAuthorizationFailed, 1).unwrap();
    let webhook = Webhook::signed(&status());
    assert_eq!(app.send(&webhook).await.status, 503);
    app.post_until_taken(&webhook).await;
    assert_eq!((app.records(STATUS).len(), app.records(DEAD_LETTER).len()), (1, 0));
}

/// Brokers refuse a request as a whole; which of its events is at fault they do not tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_refused_costs_none_of_its_events() {
    let app = TestApp::start_with(BATCHES).await;
    for code in [RDKafkaErrorCode::MessageSizeTooLarge, RDKafkaErrorCode::InvalidRecord] {
        app.broker.fail_produce(code, 1).unwrap();
        let webhook = Webhook::unsigned(batch(200)).to("/webhooks/batches");
        assert_eq!(app.send(&webhook).await.status, 200);
    }
    assert_eq!(app.records(DEAD_LETTER).len(), 0);
    let published: HashSet<String> =
        app.records("call-record.v1").into_iter().map(|record| record.headers["ce_id"].clone()).collect();
    assert_eq!(published.len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_leaves_the_events_after_it_alone() {
    let app = TestApp::start().await;
    app.broker.fail_produce(RDKafkaErrorCode::MessageSizeTooLarge, 1).unwrap();
    for _ in 0..5 {
        assert_eq!(app.post(&status()).await.status, 200);
    }
    assert_eq!((app.records(STATUS).len(), app.records(DEAD_LETTER).len()), (4, 1));
}

/// A source that takes batches, and that checks nothing, so that the size of one is all that is tested.
const BATCHES: &str = r#"
[[sources]]
name = "batches"
provider = "webex"
verification = "none"
ack_timeout_ms = 60000
"#;

fn batch(records: usize) -> String {
    let record = |number| format!(r#"{{"Report ID":"r-{number}","Org UUID":"o"}}"#);
    format!(r#"{{"items":[{}]}}"#, (0..records).map(record).collect::<Vec<_>>().join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_more_than_can_be_on_its_way_at_once_is_refused_as_a_whole() {
    let app = TestApp::start_with(BATCHES).await;
    let send = async |records| app.send(&Webhook::unsigned(batch(records)).to("/webhooks/batches")).await;
    let refused = send(100_001).await;
    assert_eq!(refused.status, 503);
    assert!(is(
        app.metric("trunkline_requests_total", &[("source", "batches"), ("outcome", "unavailable")]).await,
        1.0
    ));
    assert_eq!(app.records("call-record.v1").len(), 0, "no part of it is published");
    assert_eq!(send(100).await.status, 200);
    assert_eq!(app.records("call-record.v1").len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_many_records_waits_no_longer_than_one_of_a_single_record() {
    let app = TestApp::start().await;
    let records = |numbers: std::ops::Range<u64>| numbers.map(|number| row(number, 10).record);
    let single = app.publish(records(1..2)).await;
    assert_eq!(app.publish(records(2..5000)).await, single);
}
