//! Authentic webhooks become events in Kafka.

use serde_json::{Value, json};
use trunkline::publish::reader::ReadRecord;

use crate::harness::webhook::{Webhook, bearer, simulated, status, with};
use crate::harness::{INBOUND, SOURCE, STATUS, TestApp, is, schema, value_of};

/// Sends one simulated webhook and tells the one record that it becomes.
async fn published(app: &TestApp, simulation: &str, topic: &str) -> (Value, ReadRecord) {
    let body = simulated(simulation);
    assert_eq!(app.post(&body).await.status, 200);
    (body, app.record(topic))
}

/// The headers in which CloudEvents' Kafka binding and the schema of the events agree.
fn assert_headers(record: &ReadRecord, event: &Value, ce_type: &str) {
    let kind = event["kind"].as_str().unwrap().replace('_', "-");
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", event["event_id"].as_str().unwrap()),
        ("ce_source", "/vonage/abcd1234"),
        ("ce_type", ce_type),
        ("ce_subject", event["message_id"].as_str().unwrap()),
        ("ce_time", event["occurred_at"].as_str().unwrap()),
        ("ce_dataschema", &format!("urn:trunkline:schemas/{kind}/1.0.json")),
        ("ce_recordedtime", event["received_at"].as_str().unwrap()),
        ("ce_partitionkey", &record.key),
        ("content-type", "application/json"),
    ];
    for (name, value) in expected {
        assert_eq!(record.headers.get(name).map(String::as_str), Some(value), "{name}");
    }
    let has_fact_hash = record.headers.contains_key("ce_facthash");
    assert_eq!(has_fact_hash, event["kind"] == "message_status");
    assert_eq!(record.headers.len(), expected.len() + usize::from(has_fact_hash), "{:?}", record.headers);
}

fn assert_common(event: &Value) {
    assert_eq!(event["schema_version"], "1.0");
    assert_eq!(event["provider"], "vonage");
    assert_eq!(event["product"], "messages");
    assert_eq!(event["account_id"], "abcd1234");
    assert_eq!(event["source_name"], SOURCE);
    assert_eq!(event["occurred_at_source"], "provider");
    assert_eq!(event["ingest"]["via"], "webhook");
    assert_eq!(event["ingest"]["verification"], "signed");
    assert_eq!(event["ingest"]["scheme"], "vonage-jwt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_of_version_1_becomes_one_event() {
    let app = TestApp::start().await;
    let (body, record) = published(&app, "message-status", STATUS).await;
    let event = value_of(&record);
    schema::assert_valid(&event);
    assert_headers(&record, &event, "trunkline.message.status.v1");
    assert_common(&event);
    assert_eq!(record.key, format!("vonage:abcd1234:{}", body["message_uuid"].as_str().unwrap()));
    assert_eq!(event["message_id"], body["message_uuid"]);
    assert_eq!(event["occurred_at"], body["timestamp"]);
    assert_eq!(event["status"], "delivered");
    assert_eq!(event["to"]["e164"], "+447700900000");
    assert_eq!(event["from"], json!({"kind": "alphanumeric", "value": "AcmeInc"}));
    assert_eq!(event["parts"], 2);
    assert_eq!(event["price"]["amount"], "0.0333");
    assert_eq!(event["network"]["mcc"], "234");
    assert_eq!(event["client_ref"], "order-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_of_version_0_1_becomes_one_event() {
    let app = TestApp::start().await;
    let (body, record) = published(&app, "message-status-v0.1", STATUS).await;
    let event = value_of(&record);
    schema::assert_valid(&event);
    assert_headers(&record, &event, "trunkline.message.status.v1");
    assert_common(&event);
    assert_eq!(event["message_id"], body["message_uuid"]);
    assert_eq!((&event["status"], &event["status_raw"]), (&json!("failed"), &json!("undeliverable")));
    assert_eq!(event["channel"], "whatsapp");
    assert_eq!(event["error"]["code"], "1300");
    assert_eq!(event["from"]["e164"], "+447700900001");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbound_message_of_version_1_becomes_one_event() {
    let app = TestApp::start().await;
    let (body, record) = published(&app, "inbound-message", INBOUND).await;
    let event = value_of(&record);
    schema::assert_valid(&event);
    assert_headers(&record, &event, "trunkline.inbound.message.v1");
    assert_common(&event);
    assert_eq!(event["message_id"], body["message_uuid"]);
    assert_eq!(event["content_type"], "text");
    assert_eq!(event["from"]["e164"], "+447700900000");
    assert_eq!(event.get("text"), None, "message text is off by default");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbound_message_of_version_0_1_becomes_one_event() {
    let app = TestApp::start().await;
    let (body, record) = published(&app, "inbound-message-v0.1", INBOUND).await;
    let event = value_of(&record);
    schema::assert_valid(&event);
    assert_headers(&record, &event, "trunkline.inbound.message.v1");
    assert_common(&event);
    assert_eq!(event["message_id"], body["message_uuid"]);
    assert_eq!(event["channel"], "whatsapp");
    assert!(!record.value.windows(4).any(|bytes| bytes == b"Hell"), "message text is off by default");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_structured_mode_the_value_is_the_whole_cloud_event() {
    let app = TestApp::start_with("kafka.envelope = \"structured\"").await;
    let (body, record) = published(&app, "message-status", STATUS).await;
    assert_eq!(record.headers, [("content-type".to_owned(), "application/cloudevents+json".to_owned())].into());
    let cloud_event = value_of(&record);
    let event = &cloud_event["data"];
    schema::assert_valid(event);
    assert_eq!(event["message_id"], body["message_uuid"]);
    for (attribute, value) in [
        ("specversion", &json!("1.0")),
        ("id", &event["event_id"]),
        ("source", &json!("/vonage/abcd1234")),
        ("type", &json!("trunkline.message.status.v1")),
        ("subject", &event["message_id"]),
        ("time", &event["occurred_at"]),
        ("dataschema", &json!("urn:trunkline:schemas/message-status/1.0.json")),
        ("datacontenttype", &json!("application/json")),
        ("recordedtime", &event["received_at"]),
        ("partitionkey", &json!(record.key)),
    ] {
        assert_eq!(&cloud_event[attribute], value, "{attribute}");
    }
    assert!(cloud_event["facthash"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_fact_has_the_same_id_in_every_process_and_mode() {
    let body = status();
    let mut ids = Vec::new();
    for toml in ["", "kafka.envelope = \"structured\"", "privacy.numbers = \"drop\""] {
        let app = TestApp::start_with(toml).await;
        assert_eq!(app.post(&body).await.status, 200);
        let value = app.value(STATUS);
        ids.push(value.get("data").unwrap_or(&value)["event_id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_of_the_provider_the_event_is_dated_by_its_reception() {
    let app = TestApp::start().await;
    assert_eq!(app.post(&with(status(), &json!({"timestamp": "soon"}))).await.status, 200);
    let record = app.record(STATUS);
    let event = value_of(&record);
    schema::assert_valid(&event);
    assert_eq!((&event["occurred_at"], &event["occurred_at_source"]), (&Value::Null, &json!("received")));
    assert_eq!(record.headers["ce_time"], event["received_at"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn any_of_several_secrets_is_accepted_and_a_metric_tells_which() {
    let app =
        TestApp::start_with("[source]\nsignature_secrets = [\"the new secret, not used yet\", \"env:VONAGE_SECRET\"]")
            .await;
    assert_eq!(app.post(&status()).await.status, 200);
    let matches = async |index| app.metric("trunkline_secret_matches_total", &[("index", index)]).await;
    assert!(is(matches("0").await, 0.0));
    assert!(is(matches("1").await, 1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signed_account_names_the_owner_where_the_configuration_names_none() {
    let app = TestApp::start_with("source.account_id = \"\"").await;
    assert_eq!(app.post(&status()).await.status, 200);
    assert_eq!(app.value(STATUS)["account_id"], "abcd1234");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheme_of_the_authorization_header_is_read_in_any_case() {
    let app = TestApp::start().await;
    let webhook = Webhook::signed(&status());
    let token = bearer(&webhook);
    assert_eq!(app.send(&webhook.header("authorization", &format!("bEARER {token}"))).await.status, 200);
    assert_eq!(app.records(STATUS).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_webhook_counts_once_in_every_metric() {
    let app = TestApp::start().await;
    assert_eq!(app.post(&status()).await.status, 200);
    assert!(is(app.outcomes("accepted").await, 1.0));
    let events = [("source", SOURCE), ("kind", "message_status"), ("route", "kafka")];
    assert!(is(app.metric("trunkline_events_total", &events).await, 1.0));
    assert!(is(app.metric("trunkline_request_duration_seconds_count", &[]).await, 1.0));
    assert!(is(app.metric("trunkline_publish_duration_seconds_count", &[]).await, 1.0));
    assert!(app.metric("trunkline_last_received_timestamp_seconds", &[("source", SOURCE)]).await > 1_700_000_000.0);
    assert!(is(app.metric("trunkline_unacknowledged_records", &[]).await, 0.0));
    assert!(is(app.metric("trunkline_in_flight_bytes", &[]).await, 0.0));
}
