//! The topic with the exact authentic requests, where it is switched on.

use serde_json::json;

use crate::harness::webhook::{Webhook, bearer, status};
use crate::harness::{DEAD_LETTER, RAW, SOURCE, STATUS, TestApp, schema, value_of};

const ON: &str = "[kafka]\nraw_topic = true\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_kept_under_the_id_that_its_events_name() {
    let app = TestApp::start_with(ON).await;
    let webhook = Webhook::signed(&status()).header("x-evidence", "kept");
    assert_eq!(app.send(&webhook).await.status, 200);
    let record = app.record(RAW);
    let raw = value_of(&record);
    schema::assert_valid(&raw);
    assert_eq!(raw["raw_id"], app.value(STATUS)["ingest"]["raw_id"]);
    assert_eq!(record.key, format!("{SOURCE}:{}", raw["raw_id"].as_str().unwrap()));
    assert_eq!(record.headers, [("content-type".to_owned(), "application/json".to_owned())].into());
    assert_eq!(raw["body"].as_str().unwrap().as_bytes(), webhook.body);
    assert_eq!((&raw["scope"], &raw["body_encoding"]), (&json!("request"), &json!("utf-8")));
    assert_eq!(raw["proof"], json!({"verification": "signed", "scheme": "vonage-jwt", "account_id": "abcd1234"}));
    assert_eq!((raw.get("reason"), raw.get("undecodable")), (None, None));
    assert_eq!((&raw["request"]["headers"]["x-evidence"], &raw["request"]["method"]), (&json!("kept"), &json!("POST")));
    assert!(!raw.to_string().contains(&bearer(&webhook)), "it holds no credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_kept_too_and_still_count_as_duplicates() {
    let app = TestApp::start_with(ON).await;
    let webhook = Webhook::signed(&status());
    for _ in 0..2 {
        assert_eq!(app.send(&webhook).await.status, 200);
    }
    assert_eq!((app.records(RAW).len(), app.records(STATUS).len()), (2, 1));
    app.wait_for_metric("trunkline_requests_total", &[("outcome", "duplicate")], 1.0).await;
    app.wait_for_metric("trunkline_events_total", &[], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_is_kept_and_its_letter_names_it() {
    let app = TestApp::start_with(ON).await;
    assert_eq!(app.send(&Webhook::signed_bytes(b"\xff\xfe".as_slice())).await.status, 200);
    let (raw, letter) = (app.value(RAW), app.value(DEAD_LETTER));
    schema::assert_valid(&raw);
    schema::assert_valid(&letter);
    assert_eq!((&raw["raw_id"], &raw["body"], &raw["proof"]), (&letter["raw_id"], &letter["body"], &letter["proof"]));
    assert_eq!(raw["body_encoding"], "base64");
    app.wait_for_metric("trunkline_requests_total", &[("outcome", "not_understood")], 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_authentic_is_not_kept() {
    let app = TestApp::start_with(ON).await;
    assert_eq!(app.send(&Webhook::unsigned(status().to_string())).await.status, 401);
    assert_eq!(app.records(RAW).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_unless_the_configuration_says_so() {
    let app = TestApp::start().await;
    assert_eq!(app.post(&status()).await.status, 200);
    assert_eq!((app.records(RAW).len(), app.records(STATUS).len()), (0, 1));
}
