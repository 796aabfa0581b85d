use serde_json::{Value, json};

use crate::config::{self, Environment};
use crate::event::envelope::{Ingest, Mode, Reception};
use crate::event::privacy::{Privacy, TextPolicy};
use crate::event::time::Time;
use crate::provider::Normalized;
use crate::request::{Method, RawRequest};
use crate::verify;

/// What came of a request: events, codes of faults, and fields whose word is in no map.
#[derive(Debug, PartialEq)]
struct Taken {
    events: Vec<Value>,
    faults: Vec<&'static str>,
    unmapped: Vec<&'static str>,
}

fn received<'r>(method: Method) -> RawRequest<'r> {
    RawRequest::new(method, "/webhooks/v", Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap())
}

fn take(request: &RawRequest<'_>, privacy: &Privacy) -> Taken {
    let text = "[[sources]]\nname = \"v\"\nprovider = \"vonage\"\naccount_id = \"abcd1234\"\nverification = \"none\"\n";
    let loaded = config::load_text("test", text, &Environment::new()).unwrap();
    let source = &loaded.settings.sources[0];
    let verified = verify::authenticate(request, &*source.provider, &source.doors).unwrap();
    let mut normalized = Normalized::default();
    source.provider.normalize(&verified, &mut normalized);
    let ingest = Ingest { via: "webhook", verification: "none", scheme: "none", raw_id: "raw".to_owned() };
    let received_at = request.received_at;
    let reception = Reception { provider: "vonage", source_name: "v", received_at, ingest: &ingest };
    let record = |event: crate::event::Event<'_>| event.into_record(&reception, privacy, Mode::Binary).unwrap();
    let events = normalized.events.into_iter().map(|event| serde_json::from_slice(&record(event).value).unwrap());
    let events = events.collect();
    let faults = normalized.faults.iter().map(|fault| fault.code).collect();
    Taken { events, faults, unmapped: normalized.unmapped }
}

fn form(parameters: &Value) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters.as_object().unwrap() {
        form.append_pair(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str());
    }
    form.finish()
}

/// The one event of parameters that are sent as JSON.
fn event(parameters: &Value) -> Value {
    event_with(parameters, &Privacy::default())
}

fn event_with(parameters: &Value, privacy: &Privacy) -> Value {
    let body = parameters.to_string();
    let mut taken = take(&received(Method::Post).with_body(body.as_bytes(), false), privacy);
    assert_eq!((taken.events.len(), taken.faults.len()), (1, 0), "{taken:?}");
    taken.events.remove(0)
}

fn with(mut parameters: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        parameters[name] = value.clone();
    }
    parameters
}

/// A receipt with everything that one may have.
fn receipt() -> Value {
    json!({
        "msisdn": "447700900000", "to": "AcmeInc", "network-code": "23410", "messageId": "0A0000001234567B",
        "price": "0.03330000", "status": "delivered", "scts": "1810251310", "err-code": "0", "api-key": "abcd1234",
        "client-ref": "order-1", "message-timestamp": "2018-10-25 12:10:29", "timestamp": "1540469429",
        "nonce": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab", "sig": "1111",
    })
}

fn inbound() -> Value {
    json!({
        "api-key": "abcd1234", "msisdn": "447700900001", "to": "447700900000", "messageId": "0A0000000123ABCD1",
        "text": "Hello & welcome", "type": "text", "keyword": "HELLO", "message-timestamp": "2026-01-01 12:00:00",
    })
}

#[test]
fn a_receipt_says_the_same_in_each_encoding() {
    let expected = json!({
        "product": "sms", "account_id": "abcd1234", "occurred_at": "2018-10-25T12:10:29Z",
        "occurred_at_source": "push", "message_id": "0A0000001234567B", "channel": "sms", "direction": "outbound",
        "to": {"kind": "phone", "e164": "+447700900000", "value": "447700900000"},
        "from": {"kind": "alphanumeric", "value": "AcmeInc"},
        "status": "delivered", "status_raw": "delivered", "status_rank": 50, "is_final": true,
        "carrier_time_raw": "1810251310", "client_ref": "order-1", "network": {"mcc": "234", "mnc": "10"},
        "price": {"amount": "0.03330000", "currency": "EUR", "currency_assumed": true, "scope": "per_part"},
    });
    let (parameters, privacy) = (receipt(), Privacy::default());
    let (query, json) = (form(&parameters), parameters.to_string());
    let numbers = with(receipt(), &json!({"timestamp": 1_540_469_429, "err-code": 0, "messageId": "0A0000001234567B"}));
    let numbers = numbers.to_string();
    for request in [
        received(Method::Get).with_query(&query),
        received(Method::Post).with_body(query.as_bytes(), false),
        received(Method::Post).with_body(json.as_bytes(), false),
        received(Method::Post).with_body(numbers.as_bytes(), false),
    ] {
        let taken = take(&request, &privacy);
        assert_eq!((taken.events.len(), taken.faults.len(), taken.unmapped.len()), (1, 0, 0), "{taken:?}");
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(taken.events[0][name], *value, "{name}");
        }
        assert_eq!(taken.events[0].get("provider_data"), None, "neither the signature nor the nonce is left over");
        assert_eq!(taken.events[0].get("error"), None);
    }
}

#[test]
fn an_inbound_message_is_told_by_the_absence_of_a_status() {
    let keep = Privacy { message_text: TextPolicy::Keep, ..Privacy::default() };
    let event = event_with(&inbound(), &keep);
    assert_eq!(event["kind"], "inbound_message");
    assert_eq!(event["from"], json!({"kind": "phone", "e164": "+447700900001", "value": "447700900001"}));
    assert_eq!(event["to"]["e164"], "+447700900000");
    assert_eq!((&event["text"], &event["content_type"]), (&json!("Hello & welcome"), &json!("text")));
    assert_eq!(event["provider_data"], json!({"keyword": "HELLO"}));
    let dropped = super::tests::event(&inbound());
    assert_eq!((dropped.get("text"), dropped.get("provider_data")), (None, None), "a keyword is what somebody wrote");
    let part = json!({"concat": "true", "concat-ref": "1", "concat-total": "3", "concat-part": "2"});
    let part = event_with(&with(inbound(), &part), &keep);
    assert_eq!(part["parts"], 3);
    assert_eq!(part["provider_data"]["concat-part"], "2");
    let binary = event_with(&with(inbound(), &json!({"type": "binary", "text": null, "data": "0011"})), &keep);
    assert_eq!((binary.get("text"), &binary["provider_data"]["data"]), (None, &json!("0011")));
}

#[test]
fn every_status_and_error_has_its_meaning() {
    for (word, status, rank, is_final) in [
        ("accepted", "sent", 30, false),
        ("buffered", "sent", 30, false),
        ("submitted", "sent", 30, false),
        ("Delivered", "delivered", 50, true),
        ("expired", "expired", 40, true),
        ("failed", "failed", 40, true),
        ("rejected", "rejected", 40, true),
        ("deleted", "canceled", 40, true),
        ("unknown", "unknown", 0, false),
    ] {
        let event = event(&with(receipt(), &json!({"status": word})));
        assert_eq!((&event["status"], &event["status_raw"]), (&json!(status), &json!(word)));
        assert_eq!((&event["status_rank"], &event["is_final"]), (&json!(rank), &json!(is_final)), "{word}");
        assert_eq!(event.get("detail").is_some(), word == "buffered");
    }
    let body = with(receipt(), &json!({"status": "brand-new"})).to_string();
    let taken = take(&received(Method::Post).with_body(body.as_bytes(), false), &Privacy::default());
    assert_eq!((taken.unmapped, &taken.events[0]["status"]), (vec!["status"], &json!("unknown")));
    for (code, category, permanent) in [
        ("1", "unknown", json!(null)),
        ("2", "unreachable_temporary", json!(false)),
        ("3", "unreachable_permanent", json!(true)),
        ("4", "barred", json!(true)),
        ("5", "network_error", json!(false)),
        ("6", "spam_filtered", json!(null)),
        ("7", "unreachable_temporary", json!(false)),
        ("8", "network_error", json!(false)),
        ("9", "opted_out", json!(true)),
        ("10", "content_rejected", json!(true)),
        ("11", "unroutable", json!(null)),
        ("12", "invalid_destination", json!(true)),
        ("13", "regulation", json!(true)),
        ("14", "blocked_by_carrier", json!(true)),
        ("15", "insufficient_funds", json!(false)),
        ("50", "regulation", json!(true)),
        ("51", "sender_not_allowed", json!(true)),
        ("52", "content_rejected", json!(true)),
        ("53", "regulation", json!(true)),
        ("54", "regulation", json!(true)),
        ("99", "provider_error", json!(null)),
        ("41", "unknown", json!(null)),
    ] {
        let event = event(&with(receipt(), &json!({"status": "failed", "err-code": code})));
        assert_eq!(event["error"], json!({"code": code, "category": category, "permanent": permanent}), "{code}");
    }
}

#[test]
fn what_vonage_writes_for_nothing_is_absent() {
    let nothing =
        json!({"network-code": "null", "scts": "", "client-ref": "null", "price": "null", "err-code": "null"});
    let query = form(&with(receipt(), &nothing));
    let taken = take(&received(Method::Get).with_query(&query), &Privacy::default());
    for member in ["network", "carrier_time_raw", "client_ref", "price", "error", "provider_data"] {
        assert_eq!(taken.events[0].get(member), None, "{member}");
    }
}

#[test]
fn times_are_in_utc_and_numbers_of_networks_may_be_names() {
    let time = |text: &str| event(&with(receipt(), &json!({"message-timestamp": text})));
    assert_eq!(time("2020-01-01T12:00:00.000+00:00")["occurred_at"], "2020-01-01T12:00:00Z");
    let untold = time("yesterday");
    assert_eq!((&untold["occurred_at_source"], &untold["occurred_at"]), (&json!("received"), &json!(null)));
    assert_eq!(untold["provider_data"]["message-timestamp"], "yesterday");
    assert_eq!(event(&with(receipt(), &json!({"network-code": "US-FIXED"})))["network"], json!({"name": "US-FIXED"}));
}

#[test]
fn a_request_without_an_id_or_a_shape_is_a_fault() {
    let faults =
        |body: &str| take(&received(Method::Post).with_body(body.as_bytes(), false), &Privacy::default()).faults;
    assert_eq!(faults("msisdn=447700900000&to=1&status=delivered"), ["missing_id"]);
    assert_eq!(faults("messageId=null&status=delivered&msisdn=1"), ["missing_id"]);
    assert_eq!(faults(&format!("messageId={}&status=delivered", "x".repeat(600))), ["invalid_id"]);
    assert_eq!(faults("messageId=1&status=null"), ["missing_status"]);
    assert_eq!(faults("a=b"), ["unknown_shape"]);
    assert_eq!(faults(&"a&".repeat(5000).replace("a&", "a=1&")), ["too_many_fields"]);
    let empty = take(&received(Method::Get), &Privacy::default());
    assert_eq!(empty.faults, ["unknown_shape"]);
}
