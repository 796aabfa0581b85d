//! Numbers and links in members that no mapping knows, by the whole way from the webhook to the record.

use serde_json::{Value, json};

use crate::harness::webhook::{Webhook, inbound, status, with};
use crate::harness::{INBOUND, STATUS, TestApp, schema, value_of};

const CALL_EVENT: &str = "call-event.v1";
const CALL_RECORD: &str = "call-record.v1";
const HASH_KEY: &str = "privacy.hash_key = \"a key for hashes, long enough\"";

fn with_switch(numbers: &str) -> String {
    let sources = r#"
        [[sources]]
        name = "webex"
        provider = "webex"
        verification = "none"
        account_id = "3f2b9c84-1d07-4e6a-9a55-7c0e81d4b2f6"
        [[sources]]
        name = "telphin"
        provider = "telphin"
        verification = "none"
        account_id = "999"
    "#;
    format!("{HASH_KEY}\nprivacy.numbers = \"{numbers}\"\nprivacy.message_text = \"drop\"\n{sources}")
}

async fn publish(numbers: &str, webhook: &Webhook, topic: &str) -> Value {
    let app = TestApp::start_with(&with_switch(numbers)).await;
    assert_eq!(app.send(webhook).await.status, 200);
    let event = value_of(&app.record(topic));
    schema::assert_valid(&event);
    event
}

fn with_participants(body: Value) -> Webhook {
    let mms = json!({"channel": "mms", "to": "12015550133", "mms": {"participants": ["12015550133", "12015550135"]}});
    Webhook::signed(&with(body, &mms))
}

#[tokio::test(flavor = "multi_thread")]
async fn participants_of_a_group_follow_the_switch_for_numbers() {
    for (body, topic) in [(status(), STATUS), (inbound(), INBOUND)] {
        let webhook = with_participants(body);
        let kept = publish("keep", &webhook, topic).await;
        assert_eq!(kept["provider_data"]["mms"]["participants"], json!(["12015550133", "12015550135"]));
        let dropped = publish("drop", &webhook, topic).await.to_string();
        assert!(!dropped.contains("1555013") && !dropped.contains("participants"), "{dropped}");
        for (policy, member) in [("mask", "masked"), ("hash", "hash")] {
            let event = publish(policy, &webhook, topic).await;
            let participants = &event["provider_data"]["mms"]["participants"];
            assert_eq!(participants[0], event["to"][member], "{event}");
            assert!(!event.to_string().contains("01555013"), "{event}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_writes_is_a_person_and_our_own_sender_is_none() {
    let written = json!({"channel": "instagram", "from": "ann_smith_1987", "to": "AcmeInc"});
    let event = publish("drop", &Webhook::signed(&with(inbound(), &written)), INBOUND).await;
    assert_eq!(event["from"], json!({"kind": "user_id"}));
    assert_eq!(event["to"], json!({"kind": "alphanumeric", "value": "AcmeInc"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_field_of_a_record_keeps_no_number_and_ids_stay() {
    let session = "82b7a3c000105000a00045a5b1c2d3e4";
    let record = json!({"items": [{
        "Report ID": "b2ebf2b1-0000-3000-8000-000000000001",
        "Org UUID": "3f2b9c84-1d07-4e6a-9a55-7c0e81d4b2f6",
        "Start time": "2026-06-05T12:14:25.000Z",
        "Call ID": "13035550142@192.168.100.200",
        "Redirect reason": "13035550142",
        "Original reason": "To +1 303-555-0142",
        "Transfer target": "+1 303 555 0142",
        "Alt": 13_035_550_142_u64,
        "New": {"13035550142": [{"at": "(303) 555-0142"}]},
        "Remote call ID": "9850472912:0",
        "Final local sessionID": session,
    }]});
    let event = publish("hash", &Webhook::unsigned(record.to_string()).to("/webhooks/webex"), CALL_RECORD).await;
    let text = event.to_string();
    for digits in ["3035550142", "555-0142", "555 0142"] {
        assert!(!text.contains(digits), "{event}");
    }
    assert_eq!(event["provider_data"]["Final local sessionID"], session);
    assert!(text.contains("9850472912:0"), "{event}");
    assert_eq!(event["provider_data"]["Transfer target"], event["provider_data"]["Alt"]);
    assert_eq!(event["provider_data"]["Alt"], event["transfer"]["redirect_reason"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_parameter_keeps_no_number_and_no_link() {
    let body = "EventType=answer&CallID=CAA308E3333C4A19AAED9C0254B9C61B&SubCallID=CAA308E3333C4A19AAED9C0254B9C61C\
                &Manager=8-999-555-01-44&EventTime=not+a+time+1766736711480097&Duration=7529999\
                &CallerIDName=https%3A%2F%2Fstorage.example%2F1&Where=files.telphin.ru%2F1&Tag=vip";
    let event = publish("drop", &Webhook::unsigned(body).to("/webhooks/telphin"), CALL_EVENT).await;
    let left = json!({"EventTime": "not a time 1766736711480097", "Duration": "7529999", "Tag": "vip"});
    assert_eq!(event["provider_data"], left);
    assert_eq!(event["from"].get("name"), None, "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_of_an_error_is_the_only_link_that_is_published() {
    let error = json!({
        "status": "rejected",
        "error": {
            "type": "https://developer.vonage.com/api-errors/messages#1000",
            "title": "1000",
            "detail": "https://storage.example/1",
            "instance": "https://storage.example/2",
        },
        "links": {"self": "https://storage.example/3"},
        "recordingLink": "storage.example/4",
        "media": "api.nexmo.com/5",
        "text": "{\"media\":\"https://storage.example/6\"}",
        "client_ref": "https://storage.example/7",
    });
    let event = publish("keep", &Webhook::signed(&with(status(), &error)), STATUS).await;
    let text = event.to_string();
    assert!(!text.contains("storage.example") && !text.contains("api.nexmo.com"), "{event}");
    assert_eq!(event["provider_data"]["error"]["type"], error["error"]["type"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaired_surrogate_is_one_character() {
    let body = with(inbound(), &json!({"text": "ab?c", "profile": {"name": "A?"}})).to_string().replace('?', "\\ud83d");
    let app = TestApp::start_with(&format!("{HASH_KEY}\nprivacy.message_text = \"hash\"")).await;
    assert_eq!(app.send(&Webhook::signed_bytes(body.as_bytes())).await.status, 200);
    let event = value_of(&app.record(INBOUND));
    assert_eq!((&event["text_length"], &event["from"]["name"]), (&json!(4), &json!("A\u{fffd}")));
    let app = TestApp::start_with("privacy.message_text = \"keep\"").await;
    assert_eq!(app.send(&Webhook::signed_bytes(body.as_bytes())).await.status, 200);
    assert_eq!(value_of(&app.record(INBOUND))["text"], "ab\u{fffd}c");
}
