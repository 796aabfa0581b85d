//! What is authentic and can not be understood: answered 200 and kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use trunkline::event::time::Time;

use crate::harness::webhook::{Webhook, bearer, status, with, without};
use crate::harness::{DEAD_LETTER, INBOUND, SOURCE, STATUS, TestApp, is, schema, value_of};

/// Sends signed bytes and tells the dead letter that they become.
async fn letter_of(bytes: impl Into<Vec<u8>>) -> Value {
    let app = TestApp::start().await;
    let webhook = Webhook::signed_bytes(bytes).header("x-evidence", "kept");
    let before = Time::now();
    assert_eq!(app.send(&webhook).await.status, 200);
    let record = app.record(DEAD_LETTER);
    let letter = value_of(&record);
    schema::assert_valid(&letter);
    assert_eq!(record.key, format!("{SOURCE}:{}", letter["dead_letter_id"].as_str().unwrap()));
    assert_eq!(record.headers, [("content-type".to_owned(), "application/json".to_owned())].into());
    assert_eq!((&letter["source_name"], &letter["provider"]), (&json!(SOURCE), &json!("vonage")));
    assert!(Time::parse_iso(letter["received_at"].as_str().unwrap()).unwrap() >= before);
    assert_eq!(letter["scope"], "request");
    let request = &letter["request"];
    assert_eq!((&request["method"], &request["query"]), (&json!("POST"), &json!("")));
    assert_eq!((&request["path"], &request["remote_addr"]), (&json!("/webhooks/vonage-eu"), &json!("127.0.0.1")));
    assert_eq!(request["headers"]["x-evidence"], "kept");
    assert!(!String::from_utf8_lossy(&record.value).contains(&bearer(&webhook)), "it holds no credentials");
    assert_eq!(request["headers"].get("authorization"), None);
    let reason = letter["reason"]["code"].as_str().unwrap();
    assert!(is(app.metric("trunkline_dead_letters_total", &[("source", SOURCE), ("reason", reason)]).await, 1.0));
    assert!(is(app.outcomes("not_understood").await, 1.0));
    assert_eq!((app.records(STATUS).len(), app.records(INBOUND).len()), (0, 0));
    letter
}

fn assert_letter(letter: &Value, reason: &str, body: &str) {
    assert_eq!(letter["reason"]["code"], reason);
    assert_eq!((&letter["body"], &letter["body_encoding"]), (&json!(body), &json!("utf-8")));
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_json_is_kept() {
    assert_letter(&letter_of("delivered, truly").await, "invalid_json", "delivered, truly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_kept() {
    assert_letter(&letter_of("status=delivered").await, "unknown_shape", "status=delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_no_object_is_kept() {
    let body = json!([status()]).to_string();
    assert_letter(&letter_of(body.clone()).await, "invalid_json", &body);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_ends_too_early_is_kept() {
    let body = format!("{} trailing", status());
    assert_letter(&letter_of(body.clone()).await, "invalid_json", &body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_shape_is_kept() {
    let body = r#"{"something": "else", "spaced":  1.10}"#;
    assert_letter(&letter_of(body).await, "unknown_shape", body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_is_kept() {
    assert_letter(&letter_of("").await, "unknown_shape", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_without_an_id_is_kept_and_the_place_told() {
    let body = without(status(), &["message_uuid"]).to_string();
    let letter = letter_of(body.clone()).await;
    assert_letter(&letter, "missing_id", &body);
    assert_eq!(letter["reason"]["pointer"], "/message_uuid");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_can_be_none_is_kept() {
    for id in ["x".repeat(600), "with\ncontrol".to_owned()] {
        let body = with(status(), &json!({"message_uuid": id})).to_string();
        assert_letter(&letter_of(body.clone()).await, "invalid_id", &body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_without_its_word_is_kept() {
    let body = with(status(), &json!({"status": ""})).to_string();
    assert_letter(&letter_of(body.clone()).await, "missing_status", &body);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_are_kept_in_base64() {
    let bytes = b"{\"message_uuid\": \"\xff\xfe\"}";
    let letter = letter_of(bytes.as_slice()).await;
    assert_eq!((&letter["reason"]["code"], &letter["body_encoding"]), (&json!("invalid_utf8"), &json!("base64")));
    assert_eq!(STANDARD.decode(letter["body"].as_str().unwrap()).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_kept_as_it_was_before() {
    let app = TestApp::start().await;
    assert_eq!(app.send(&Webhook::signed_bytes("not JSON").gzipped()).await.status, 200);
    assert_letter(&app.value(DEAD_LETTER), "invalid_json", "not JSON");
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_and_every_authorization_are_left_out() {
    let app = TestApp::start().await;
    let webhook = Webhook::signed_bytes("not JSON")
        .header("cookie", "session=sensitive")
        .header("proxy-authorization", "Basic sensitive");
    assert_eq!(app.send(&webhook).await.status, 200);
    let letter = app.value(DEAD_LETTER).to_string();
    assert!(!letter.contains("sensitive") && !letter.contains("Bearer"), "{letter}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_kept_for_nothing_tells_them_apart() {
    let app = TestApp::start().await;
    let webhook = Webhook::signed_bytes("not JSON");
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.records(DEAD_LETTER).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_get_is_kept_with_its_query_as_the_body() {
    let app = TestApp::start().await;
    // The token covers the query as a JSON object.
    let mut webhook = Webhook::signed_bytes(r#"{"a":"1","b":" "}"#).by("GET").to("/webhooks/vonage-eu?a=1&b=%20");
    webhook.body.clear();
    assert_eq!(app.send(&webhook).await.status, 200);
    let letter = app.value(DEAD_LETTER);
    schema::assert_valid(&letter);
    assert_eq!((&letter["body"], &letter["request"]["query"]), (&json!("a=1&b=%20"), &json!("a=1&b=%20")));
    assert_eq!(letter["request"]["method"], "GET");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_dead_letter_is_still_one_record() {
    let app = TestApp::start().await;
    let body = "\u{e9}".repeat(2 << 20);
    assert_eq!(app.send(&Webhook::signed_bytes(body.clone())).await.status, 200);
    assert_letter(&app.value(DEAD_LETTER), "invalid_json", &body);
}
