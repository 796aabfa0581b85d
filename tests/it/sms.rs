//! Webhooks of Vonage's SMS API, signed here by hand, through the whole service.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use sha2::Sha256;
use trunkline::event::time::Time;

use crate::harness::webhook::Webhook;
use crate::harness::{ACCOUNT, INBOUND, SECRET, SOURCE, STATUS, TestApp, is, schema};

/// Name and value of each parameter.
type Parameters = Vec<(&'static str, String)>;

fn receipt(signed_at_s: i64) -> Parameters {
    let mut parameters: Parameters = [
        ("msisdn", "447700900000"),
        ("to", "AcmeInc"),
        ("messageId", "0A0000001234567B"),
        ("price", "0.03330000"),
        ("status", "delivered"),
        ("err-code", "0"),
        ("client-ref", "a & b = c"),
        ("network-code", ""),
        ("message-timestamp", "2026-01-02 03:04:05"),
        ("api-key", ACCOUNT),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    parameters.push(("timestamp", signed_at_s.to_string()));
    parameters
}

fn now_s() -> i64 {
    Time::now().unix_seconds()
}

/// What Vonage signs: the sorted parameters, in whose values the dividing characters are replaced.
fn signed_text(parameters: &Parameters) -> String {
    let mut sorted = parameters.clone();
    sorted.sort();
    sorted.iter().map(|(name, value)| format!("&{name}={}", value.replace(['&', '='], "_"))).collect()
}

fn md5hash(parameters: &Parameters) -> String {
    hex::encode(Md5::digest(signed_text(parameters) + SECRET))
}

fn sha256(parameters: &Parameters) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(signed_text(parameters).as_bytes());
    hex::encode_upper(mac.finalize().into_bytes())
}

fn with_sig(mut parameters: Parameters, sig: String) -> Parameters {
    parameters.push(("sig", sig));
    parameters
}

fn form(parameters: &Parameters) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The parameters in each of the three encodings, none with a media type.
fn encoded(parameters: &Parameters) -> [Webhook; 3] {
    let json: Value = parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let bare = |method, path: String, body: String| Webhook { method, path, headers: Vec::new(), body: body.into() };
    let path = format!("/webhooks/{SOURCE}");
    [
        bare("GET", format!("{path}?{}", form(parameters)), String::new()),
        bare("POST", path.clone(), form(parameters)),
        bare("POST", path, json.to_string()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_receipt_is_one_event_in_whatever_encoding_it_comes() {
    let app = TestApp::start().await;
    let receipt = receipt(now_s());
    let sig = md5hash(&receipt);
    for webhook in encoded(&with_sig(receipt, sig)) {
        assert_eq!(app.send(&webhook).await.status, 200);
    }
    let event = app.value(STATUS);
    schema::assert_valid(&event);
    assert_eq!((&event["message_id"], &event["product"]), (&json!("0A0000001234567B"), &json!("sms")));
    assert_eq!((&event["to"]["e164"], &event["from"]["value"]), (&json!("+447700900000"), &json!("AcmeInc")));
    let ingest = &event["ingest"];
    assert_eq!((&ingest["verification"], &ingest["scheme"]), (&json!("signed"), &json!("vonage-sig-md5hash")));
    assert!(is(app.outcomes("duplicate").await, 2.0), "the other two tell the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_method_is_the_configured_one() {
    let app = TestApp::start_with("source.sms_signature_method = \"sha256\"").await;
    let receipt = receipt(now_s());
    for webhook in encoded(&with_sig(receipt.clone(), md5hash(&receipt))) {
        assert_eq!(app.send(&webhook).await.status, 401);
    }
    for webhook in encoded(&with_sig(receipt.clone(), sha256(&receipt))) {
        assert_eq!(app.send(&webhook).await.status, 200);
    }
    assert_eq!(app.value(STATUS)["ingest"]["scheme"], "vonage-sig-sha256");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_parameter_that_was_changed_added_or_left_out_is_refused() {
    let app = TestApp::start().await;
    let receipt = receipt(now_s());
    let genuine = with_sig(receipt.clone(), md5hash(&receipt));
    let mut forgeries = vec![with_sig(receipt.clone(), "0".repeat(32)), receipt.clone()];
    for index in 0..genuine.len() {
        let mut changed = genuine.clone();
        changed[index].1.push('1');
        forgeries.push(changed);
        if !genuine[index].1.is_empty() {
            let mut without = genuine.clone();
            without.remove(index);
            forgeries.push(without);
        }
        let mut repeated = genuine.clone();
        repeated.push((genuine[index].0, "other".to_owned()));
        forgeries.push(repeated);
    }
    for forgery in &forgeries {
        for webhook in [encoded(forgery)[0].clone(), encoded(forgery)[1].clone()] {
            assert_eq!(app.send(&webhook).await.status, 401, "{forgery:?}");
        }
    }
    assert_eq!(app.records(STATUS).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_and_the_account_are_looked_at_once_the_signature_holds() {
    let app = TestApp::start().await;
    let send = async |parameters: Parameters| {
        let sig = md5hash(&parameters);
        app.send(&encoded(&with_sig(parameters, sig))[0]).await.status
    };
    assert_eq!(send(receipt(now_s() - 90_100)).await, 401, "too old");
    assert_eq!(send(receipt(now_s() + 400)).await, 503, "our clock is behind");
    let without = |name: &str| receipt(now_s()).into_iter().filter(|(known, _)| *known != name).collect::<Parameters>();
    assert_eq!(send(without("timestamp")).await, 401);
    assert_eq!(send(without("api-key")).await, 200, "the configured account is meant");
    let mut foreign = without("api-key");
    foreign.push(("api-key", "zyxw9876".to_owned()));
    assert_eq!(send(foreign).await, 401);
    // An account whose key has digits alone may come as a number.
    let mut numeric: Value =
        without("api-key").iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    numeric["api-key"] = json!(12_345_678);
    let mut signed = without("api-key");
    signed.push(("api-key", "12345678".to_owned()));
    numeric["sig"] = json!(md5hash(&signed));
    let [_, mut webhook, _] = encoded(&signed);
    webhook.body = numeric.to_string().into();
    assert_eq!(app.send(&webhook).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_is_accepted_at_the_url_with_the_token_alone() {
    let app = TestApp::start_with("source.url_tokens = [\"the-token-in-the-url\"]").await;
    let with_token = |mut webhook: Webhook| {
        webhook.path = webhook.path.replacen(SOURCE, &format!("{SOURCE}/the-token-in-the-url"), 1);
        webhook
    };
    let unsigned: Parameters = receipt(now_s()).into_iter().filter(|(name, _)| *name != "timestamp").collect();
    for webhook in encoded(&unsigned) {
        assert_eq!(app.send(&webhook).await.status, 401);
        assert_eq!(app.send(&with_token(webhook)).await.status, 200);
    }
    assert_eq!(app.value(STATUS)["ingest"]["verification"], "token");
    let invalid = encoded(&with_sig(unsigned.clone(), "0".repeat(32)));
    assert_eq!(app.send(&with_token(invalid[0].clone())).await.status, 401, "a signature that is there must hold");
    let mut foreign = unsigned;
    foreign.retain(|(name, _)| *name != "api-key");
    foreign.push(("api-key", "zyxw9876".to_owned()));
    assert_eq!(app.send(&with_token(encoded(&foreign)[1].clone())).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbound_message_is_published_without_its_text() {
    let app = TestApp::start().await;
    let mut message = receipt(now_s());
    message.retain(|(name, _)| !matches!(*name, "status" | "err-code" | "price" | "client-ref"));
    message.extend([("text", "Hello".to_owned()), ("type", "text".to_owned()), ("keyword", "HELLO".to_owned())]);
    let sig = md5hash(&message);
    assert_eq!(app.send(&encoded(&with_sig(message, sig))[2]).await.status, 200);
    let event = app.value(INBOUND);
    schema::assert_valid(&event);
    assert_eq!((&event["direction"], &event["from"]["e164"]), (&json!("inbound"), &json!("+447700900000")));
    assert!(!event.to_string().contains("HELLO") && !event.to_string().contains("Hello"));
}
