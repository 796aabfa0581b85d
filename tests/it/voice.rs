//! Webhooks of Vonage's Voice API, signed here by hand, through the whole service.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trunkline::event::time::Time;

use crate::harness::webhook::Webhook;
use crate::harness::{ACCOUNT, CALL_EVENT, CALL_RECORD, DEAD_LETTER, SECRET, SOURCE, TestApp, is, schema};

fn hmac(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// A token over these bytes.
fn token(payload: &[u8]) -> String {
    let claims = json!({"iat": Time::now().unix_seconds(), "jti": "0d3ee1c4-5a0b-4f6c-9b4f-0123456789ab", "iss": "Vonage",
        "api_key": ACCOUNT, "payload_hash": hex::encode(Sha256::digest(payload))});
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("Bearer {signed}.{}", hmac(&signed))
}

fn webhook(method: &'static str, path: String, body: impl Into<Vec<u8>>, payload: &[u8]) -> Webhook {
    Webhook { method, path, headers: Vec::new(), body: body.into() }.header("authorization", &token(payload))
}

fn by_post(body: &Value) -> Webhook {
    let body = body.to_string();
    webhook("POST", format!("/webhooks/{SOURCE}"), body.clone(), body.as_bytes())
}

/// A GET whose token covers its parameters as one JSON object, with objects as JSON text.
fn by_get(parameters: &[(&str, String)]) -> Webhook {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let members = parameters.iter().map(|(name, value)| format!("{}:{}", json!(name), json!(value)));
    let payload = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    webhook("GET", format!("/webhooks/{SOURCE}?{query}"), "", payload.as_bytes())
}

fn completed() -> Value {
    json!({
        "end_time": "2026-02-03T12:14:40.000Z", "uuid": "0A1B2C3D-4e5f-6071-8293-a4b5c6d7e8f9", "network": "23410",
        "duration": "7", "start_time": "2026-02-03T12:14:33.000Z", "rate": "0.00450000", "price": "0.00052500",
        "from": "447700900001", "to": "447700900000", "status": "completed", "direction": "outbound",
        "conversation_uuid": "CON-2541d01c-253e-48be-a8e0-000000000001", "timestamp": "2026-02-03T12:14:39.712Z",
    })
}

fn parameters(body: &Value) -> Vec<(&str, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    body.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), text(value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_call_is_an_event_and_a_record_by_post_and_by_get() {
    let app = TestApp::start().await;
    assert_eq!(app.send(&by_post(&completed())).await.status, 200);
    assert_eq!(app.send(&by_get(&parameters(&completed()))).await.status, 200);
    let (event, record) = (app.value(CALL_EVENT), app.value(CALL_RECORD));
    schema::assert_valid(&event);
    schema::assert_valid(&record);
    assert_eq!((&event["event"], &event["outcome"]), (&json!("ended"), &json!("answered")));
    assert_eq!((&record["state"], &record["talk_ms"]), (&json!("provisional"), &json!(7000)));
    assert_eq!(record["ingest"]["verification"], "signed");
    assert!(is(app.outcomes("duplicate").await, 1.0), "the two tell the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_vouches_for_no_other_query() {
    let app = TestApp::start().await;
    let genuine = by_get(&parameters(&completed()));
    let forged = Webhook { path: genuine.path.replace("duration=7", "duration=70"), ..genuine.clone() };
    assert_eq!(app.send(&forged).await.status, 401);
    let added = Webhook { path: format!("{}&detail=declined", genuine.path), ..genuine };
    assert_eq!(app.send(&added).await.status, 401);
    assert_eq!(app.records(CALL_EVENT).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pressed_is_published_as_the_source_says() {
    let pressed = json!({"dtmf": {"digits": "42", "timed_out": false}, "uuid": "a", "conversation_uuid": "CON-A",
        "timestamp": "2026-02-03T12:14:40.000Z"});
    for (privacy, expected) in [("drop", Value::Null), ("keep", pressed["dtmf"].clone())] {
        let app = TestApp::start_with(&format!("source.privacy.message_text = \"{privacy}\"")).await;
        assert_eq!(app.send(&by_get(&parameters(&pressed))).await.status, 200);
        let event = app.value(CALL_EVENT);
        schema::assert_valid(&event);
        assert_eq!((&event["event"], &event["provider_data"]["dtmf"]), (&json!("input"), &expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_what_to_do_with_a_call_is_told_nothing_and_no_letter_is_kept() {
    let app = TestApp::start().await;
    let question = [("to", "442079460000"), ("from", "447700900000"), ("uuid", "a"), ("conversation_uuid", "CON-A")]
        .map(|(name, value)| (name, value.to_owned()));
    let fallback = json!({"reason": "timeout", "original_request": {"url": "https://app.example.com", "type": "answer"},
        "uuid": "a", "conversation_uuid": "CON-A"});
    for webhook in [by_get(&question), by_post(&fallback)] {
        let answer = app.send(&webhook).await;
        assert_eq!((answer.status, &*answer.body), (200, b"[]".as_slice()));
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    assert!(is(app.outcomes("ignored").await, 2.0));
    assert_eq!((app.records(CALL_EVENT).len(), app.records(DEAD_LETTER).len()), (0, 0));
    let unsigned = Webhook { headers: Vec::new(), ..by_get(&question) };
    assert_eq!(app.send(&unsigned).await.status, 401, "nobody else is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_does_not_sign_needs_the_token_in_the_url() {
    let app = TestApp::start_with("source.url_tokens = [\"the-token-in-the-url\"]").await;
    let unsigned = |path: &str| Webhook { headers: Vec::new(), path: path.to_owned(), ..by_post(&completed()) };
    assert_eq!(app.send(&unsigned(&format!("/webhooks/{SOURCE}"))).await.status, 401);
    assert_eq!(app.send(&unsigned(&format!("/webhooks/{SOURCE}/the-token-in-the-url"))).await.status, 200);
    assert_eq!(app.value(CALL_RECORD)["ingest"]["verification"], "token");
}
