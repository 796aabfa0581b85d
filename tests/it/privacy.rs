//! The privacy switches hold for everything that is published: value, key and headers.

use serde_json::{Value, json};
use trunkline::publish::reader::ReadRecord;

use crate::harness::webhook::{Webhook, inbound, simulated, status, with};
use crate::harness::{INBOUND, STATUS, TestApp, schema, value_of};

const HASH_KEY: &str = "privacy.hash_key = \"a key for hashes, long enough\"";

/// Numbers, texts and names that the bodies below hold, in every place where the provider puts them.
const NUMBERS: [&str; 3] = ["7700900000", "7700900001", "7700900123"];
const TEXTS: [&str; 4] = ["Hello from", "a secret caption", "SECRETWORD", "a reply title"];
const NAMES: [&str; 1] = ["Ann Example"];

fn chatty_inbound() -> Value {
    with(
        inbound(),
        &json!({
            "profile": {"name": "Ann Example"},
            "sms": {"num_messages": "1", "keyword": "SECRETWORD"},
            "context": {"message_uuid": "an-earlier-message", "message_from": "447700900123"},
            "whatsapp": {"sender": {"user_id": "447700900123"}},
            "image": {"url": "https://media.example/a-secret-link", "caption": "a secret caption"},
            "reply": {"id": "1", "title": "a reply title"},
        }),
    )
}

fn chatty_inbound_v0_1() -> Value {
    with(
        simulated("inbound-message-v0.1"),
        &json!({"message": {"content": {
            "type": "image",
            "text": "Hello from me",
            "image": {"url": "https://media.example/a-secret-link", "caption": "a secret caption"},
        }}}),
    )
}

/// Everything of a record as one text.
fn whole(record: &ReadRecord) -> String {
    format!("{} {:?} {}", record.key, record.headers, String::from_utf8_lossy(&record.value))
}

/// Publishes every kind of message and tells what became of them.
async fn publish(toml: &str) -> Vec<ReadRecord> {
    let app = TestApp::start_with(toml).await;
    for body in [chatty_inbound(), chatty_inbound_v0_1(), status(), simulated("message-status-v0.1")] {
        assert_eq!(app.post(&body).await.status, 200);
    }
    let mut records = app.records(INBOUND);
    records.extend(app.records(STATUS));
    assert_eq!(records.len(), 4);
    records.iter().for_each(|record| schema::assert_valid(&value_of(record)));
    records
}

fn assert_absent(records: &[ReadRecord], words: &[&str]) {
    for record in records {
        for word in words {
            assert!(!whole(record).contains(word), "{word:?} is in {}", whole(record));
        }
    }
}

fn assert_present(records: &[ReadRecord], words: &[&str]) {
    for word in words {
        assert!(records.iter().any(|record| whole(record).contains(word)), "{word:?} is nowhere");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_numbers_and_names_are_published_and_texts_are_not() {
    let records = publish("").await;
    assert_present(&records, &NUMBERS);
    assert_present(&records, &NAMES);
    assert_absent(&records, &TEXTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_media_are_never_published() {
    assert_absent(&publish("privacy.message_text = \"keep\"").await, &["a-secret-link"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_published_where_the_switch_keeps_them() {
    let records = publish("privacy.message_text = \"keep\"").await;
    assert_present(&records, &TEXTS);
    let texts: Vec<Value> = records.iter().map(|record| value_of(record)["text"].clone()).collect();
    assert!(texts.contains(&json!("Hello from Trunkline's simulator")), "{texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hashed_texts_leave_a_hash_and_a_length() {
    let records = publish(&format!("{HASH_KEY}\nprivacy.message_text = \"hash\"")).await;
    assert_absent(&records, &TEXTS);
    let first = records.iter().map(value_of).find(|event| event["content_type"] == "text").unwrap();
    assert_eq!(first["text_length"], "Hello from Trunkline's simulator".chars().count());
    assert!(first["text_hash"].as_str().unwrap().starts_with("h1:"));
    assert_eq!(first.get("text"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_numbers_are_nowhere_in_the_clear() {
    let records = publish("privacy.numbers = \"mask\"").await;
    assert_absent(&records, &NUMBERS);
    let event = records.iter().map(value_of).find(|event| event["content_type"] == "text").unwrap();
    assert_eq!(event["from"]["masked"], "+44******0000");
    assert_eq!(event["to"], json!({"kind": "phone", "masked": "+44******0001"}));
    let alphanumeric = records.iter().map(value_of).any(|event| event["from"]["value"] == "AcmeInc");
    assert!(alphanumeric, "a sender name of the account is no personal number");
}

#[tokio::test(flavor = "multi_thread")]
async fn hashed_numbers_are_nowhere_in_the_clear_and_alike_everywhere() {
    let records = publish(&format!("{HASH_KEY}\nprivacy.numbers = \"hash\"")).await;
    assert_absent(&records, &NUMBERS);
    let events: Vec<Value> = records.iter().map(value_of).collect();
    let hash = |event: &Value, party: &str| event[party]["hash"].as_str().unwrap_or_default().to_owned();
    let customers: Vec<String> = events
        .iter()
        .map(|event| hash(event, if event["kind"] == "inbound_message" { "from" } else { "to" }))
        .collect();
    assert!(customers[0].starts_with("h1:"));
    assert!(customers.iter().all(|customer| *customer == customers[0]), "{customers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_numbers_and_names_leave_nothing() {
    let records = publish("privacy.numbers = \"drop\"\nprivacy.names = \"drop\"").await;
    assert_absent(&records, &NUMBERS);
    assert_absent(&records, &NAMES);
    assert!(records.iter().map(value_of).any(|event| event["from"] == json!({"kind": "phone"})));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_can_be_dropped_alone() {
    let records = publish("privacy.names = \"drop\"").await;
    assert_absent(&records, &NAMES);
    assert_present(&records, &NUMBERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_can_have_switches_of_its_own() {
    let app = TestApp::start_with(
        r#"
        privacy.numbers = "mask"
        [[sources]]
        name = "vonage-open"
        provider = "vonage"
        account_id = "abcd1234"
        signature_secrets = ["env:VONAGE_SECRET"]
        privacy = { numbers = "keep", message_text = "keep" }
        "#,
    )
    .await;
    assert_eq!(app.post(&inbound()).await.status, 200);
    let masked = app.record(INBOUND);
    assert_absent(&[masked], &["7700900000", "Hello from"]);
    let app_webhook = Webhook::signed(&inbound()).to("/webhooks/vonage-open");
    assert_eq!(app.send(&app_webhook).await.status, 200);
    let open: Vec<ReadRecord> =
        app.records(INBOUND).into_iter().filter(|record| value_of(record)["source_name"] == "vonage-open").collect();
    assert_present(&open, &["7700900000", "Hello from"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switches_hold_in_structured_mode_too() {
    let app = TestApp::start_with("kafka.envelope = \"structured\"\nprivacy.numbers = \"mask\"").await;
    assert_eq!(app.post(&chatty_inbound()).await.status, 200);
    assert_absent(&[app.record(INBOUND)], &NUMBERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn unmapped_words_do_not_carry_numbers_past_the_switch() {
    let app = TestApp::start_with("privacy.numbers = \"mask\"").await;
    let body = with(
        status(),
        &json!({
            "to": {"type": "sms", "number": "447700900000", "extra": "447700900001"},
            "from": {"type": "sms", "number": 447_700_900_123_u64},
            "channel": 5,
        }),
    );
    assert_eq!(app.post(&body).await.status, 200);
    assert_absent(&[app.record(STATUS)], &NUMBERS);
}
