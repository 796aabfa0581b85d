//! Rows as events, beside the webhooks of the same facts.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::config;
use crate::event::EventIdentity;
use crate::event::envelope::{Ingest, Mode, Reception};
use crate::event::privacy::{NamePolicy, NumberPolicy, Privacy, TextPolicy};
use crate::provider::Normalized;
use crate::provider::api::Row;
use crate::providers::vonage::api::streams::{STREAMS, direction_of};
use crate::request::{Method, RawRequest};
use crate::settings::Source;
use crate::verify;

const MESSAGE: &str = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab";
const LEG: &str = "AAAAAAAA-bbbb-cccc-dddd-0123456789ab";

static SOURCE: LazyLock<Arc<Source>> = LazyLock::new(|| {
    let text = "[[sources]]\nname = \"v\"\nprovider = \"vonage\"\naccount_id = \"abcd1234\"\nverification = \"none\"\n\
                api_secret = \"an-invented-secret\"\n";
    config::load_text("test", text, &config::Environment::new()).unwrap().settings.sources.remove(0)
});

fn with_row<T>(stream: &'static str, row: &Value, use_it: impl FnOnce(Normalized<'_>) -> T) -> T {
    let (source, text) = (&*SOURCE, row.to_string());
    let mut normalized = Normalized::default();
    let row = Row { stream, text: &text, account_id: source.account_id.as_deref() };
    source.api.as_ref().unwrap().map(&row, &mut normalized);
    use_it(normalized)
}

fn event_with(privacy: &Privacy, stream: &'static str, row: &Value) -> Value {
    let ingest = Ingest { via: "poll", verification: "api", scheme: "vonage-basic", raw_id: "r".to_owned() };
    let received_at = Time::parse_iso("2026-02-03T12:14:26Z").unwrap();
    let reception = Reception { provider: "vonage", source_name: "v", received_at, ingest: &ingest };
    with_row(stream, row, |mut normalized| {
        assert!(normalized.faults.is_empty(), "{:?}", normalized.faults);
        let record = normalized.events.remove(0).into_record(&reception, privacy, Mode::Binary).unwrap();
        serde_json::from_slice(&record.value).unwrap()
    })
}

fn event(stream: &'static str, row: &Value) -> Value {
    event_with(&Privacy::default(), stream, row)
}

fn fault(stream: &'static str, row: &Value) -> &'static str {
    with_row(stream, row, |normalized| {
        assert!(normalized.events.is_empty());
        normalized.faults[0].code
    })
}

fn identity(stream: &'static str, row: &Value) -> EventIdentity {
    with_row(stream, row, |mut normalized| normalized.events.remove(0).identify("vonage"))
}

/// By what the events of a webhook are known.
fn told_by(webhook: &Value) -> Vec<EventIdentity> {
    let (source, body) = (&*SOURCE, webhook.to_string());
    let request = RawRequest::new(Method::Post, "/webhooks/v", Time::parse_iso("2026-02-03T12:14:26Z").unwrap())
        .with_body(body.as_bytes(), false);
    let verified = verify::authenticate(&request, &*source.provider, &source.doors).unwrap();
    let mut normalized = Normalized::default();
    source.provider.normalize(&verified, &mut normalized);
    normalized.events.iter_mut().map(|event| event.identify("vonage")).collect()
}

fn merged(mut row: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    row.as_object_mut().unwrap().extend(changes);
    row
}

fn message(changes: Value) -> Value {
    let row = json!({
        "account_id": "abcd1234", "message_id": MESSAGE, "client_ref": "order-1", "direction": "outbound",
        "from": "AcmeInc", "to": "447700900000", "country": "GB", "country_name": "United Kingdom", "provider": "sms",
        "network": "23410", "network_name": "Example Mobile", "date_received": "2026-02-03T12:14:20+00:00",
        "date_finalized": "2026-02-03T12:14:25+0000", "latency": "5971", "status": "delivered", "error_code": "0",
        "currency": "EUR", "estimated_price": "", "total_price": "0.03330000", "id": MESSAGE,
    });
    merged(row, changes)
}

fn sms(changes: Value) -> Value {
    let row = message(
        json!({"provider": null, "currency": "", "error_code_description": "Delivered", "concatenated": "FALSE"}),
    );
    merged(row, changes)
}

fn call(changes: Value) -> Value {
    let row = json!({
        "account_id": "abcd1234", "id": "row-7", "call_id": LEG, "direction": "outbound", "from": "447700900001",
        "to": "447700900000", "network": "GB-FIXED", "country": "GB", "date_start": "2026-02-03T12:00:00+00:00",
        "date_end": "2026-02-03T12:01:07+00:00", "duration": "60", "status": "ANSWERED", "currency": "EUR",
        "price": "0.00450000", "total_price": "0.00450000",
    });
    merged(row, changes)
}

#[test]
fn a_status_has_the_id_of_its_webhook() {
    for (word, error) in [
        ("submitted", json!(null)),
        ("delivered", json!(null)),
        ("read", json!(null)),
        ("rejected", json!("1420")),
        ("rejected", json!("1130")),
        ("undeliverable", json!("1300")),
    ] {
        let row = identity("messages.outbound", &message(json!({"status": word, "error_code": error})));
        let mut webhook = json!({
            "message_uuid": MESSAGE, "to": "447700900000", "from": "AcmeInc", "timestamp": "2026-02-03T12:14:25Z",
            "status": word, "channel": "sms", "usage": {"currency": "EUR", "price": "0.0333"},
            "destination": {"network_code": "23410"},
        });
        if let Some(code) = error.as_str() {
            webhook["error"] = json!({"title": code});
        }
        // A webhook that tells no number of segments has the fact hash of the row, too.
        assert_eq!(told_by(&webhook), [row], "{word} {error}");
    }
}

#[test]
fn a_receipt_of_the_sms_api_has_the_id_of_its_row() {
    for (word, code) in [("delivered", "0"), ("failed", "99"), ("expired", "1"), ("rejected", "6"), ("buffered", "0")] {
        let row = identity("sms.outbound", &sms(json!({"status": word.to_uppercase(), "error_code": code})));
        let receipt = json!({
            "messageId": MESSAGE, "msisdn": "447700900000", "to": "AcmeInc", "network-code": "23410",
            "status": word, "err-code": code, "price": "0.0333", "message-timestamp": "2026-02-03 12:14:25",
        });
        assert_eq!(told_by(&receipt), [row], "{word}");
    }
}

#[test]
fn an_inbound_message_has_the_id_of_its_webhook() {
    let row = json!({"message_id": MESSAGE, "direction": "inbound", "from": "447700900000", "to": "447700900001",
        "date_received": "2026-02-03T12:14:25Z", "id": MESSAGE, "provider": "whatsapp"});
    let webhook = json!({"message_uuid": MESSAGE, "to": "447700900001", "from": "447700900000", "channel": "whatsapp",
        "timestamp": "2026-02-03T12:14:25Z", "message_type": "text", "text": "x"});
    assert_eq!(told_by(&webhook), [identity("messages.inbound", &row)]);
    let webhook = json!({"messageId": MESSAGE, "to": "447700900001", "msisdn": "447700900000", "text": "x",
        "message-timestamp": "2026-02-03 12:14:25"});
    assert_eq!(told_by(&webhook), [identity("sms.inbound", &row)]);
}

#[test]
fn a_final_record_has_the_key_of_the_provisional_one() {
    let webhook = json!({"uuid": LEG.to_lowercase().replace('-', ""), "conversation_uuid": "CON-1", "status": "completed",
        "timestamp": "2026-02-03T12:01:07.000Z", "duration": "60", "direction": "outbound"});
    let provisional = &told_by(&webhook)[1];
    for stream in ["voice-call", "voice-failed"] {
        let row = identity(stream, &call(json!({})));
        assert_eq!(row.key, provisional.key);
        assert_ne!(row.id, provisional.id, "the record is another version of it");
    }
}

#[test]
fn a_status_tells_everything_that_its_row_does() {
    let row = message(json!({
        "provider": "viber_service_msg", "workflow_id": "w-1", "workflow_items_number": "1", "workflow_items_total": "2",
        "pricing_model": "PMP", "pricing_type": "regular", "tier_volume": "0-100", "brand_new": "1",
    }));
    let event = event("messages.outbound", &row);
    for (pointer, expected) in [
        ("/kind", json!("message_status")),
        ("/product", json!("reports")),
        ("/account_id", json!("abcd1234")),
        ("/occurred_at", json!("2026-02-03T12:14:25Z")),
        ("/submitted_at", json!("2026-02-03T12:14:20Z")),
        ("/latency_ms", json!(5971)),
        ("/channel", json!("viber")),
        ("/to/e164", json!("+447700900000")),
        ("/client_ref", json!("order-1")),
        ("/network", json!({"mcc": "234", "mnc": "10", "name": "Example Mobile", "country": "GB"})),
        ("/price", json!({"amount": "0.03330000", "currency": "EUR", "currency_assumed": false, "scope": "total"})),
        ("/conversation", json!({"pricing_model": "PMP", "pricing_type": "regular"})),
        ("/failover", json!({"id": "w-1", "item": 1, "total": 2})),
        ("/provider_data", json!({"country_name": "United Kingdom", "tier_volume": "0-100", "brand_new": "1"})),
    ] {
        assert_eq!(event.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer}");
    }
    assert!(event.get("error").is_none());
}

#[test]
fn words_of_reports_have_their_status_and_others_are_unknown() {
    for (word, status) in [
        ("DELETED", "canceled"),
        ("accepted", "sent"),
        ("Undeliverable", "failed"),
        ("unknown", "unknown"),
        ("brand new", "unknown"),
    ] {
        assert_eq!(event("sms.outbound", &sms(json!({"status": word})))["status"], status, "{word}");
    }
    with_row("sms.outbound", &sms(json!({"status": "brand new"})), |taken| assert_eq!(taken.unmapped, ["status"]));
    with_row("sms.outbound", &sms(json!({"status": "unknown"})), |taken| assert!(taken.unmapped.is_empty()));
    with_row("messages.outbound", &message(json!({"provider": "instagram"})), |taken| {
        assert!(taken.unmapped.is_empty());
    });
    let other = event("messages.outbound", &message(json!({"provider": "instagram"})));
    assert_eq!((&other["channel"], &other["provider_data"]["provider"]), (&json!("other"), &json!("instagram")));
}

#[test]
fn errors_are_those_of_the_product() {
    let error = |stream, row: Value| event(stream, &row)["error"].clone();
    let told =
        error("sms.outbound", sms(json!({"status": "failed", "error_code": "9", "error_code_description": "Illegal"})));
    assert_eq!(told, json!({"code": "9", "message": "Illegal", "category": "opted_out", "permanent": true}));
    let told = error("messages.outbound", message(json!({"status": "rejected", "error_code": 1420})));
    assert_eq!((&told["code"], &told["category"]), (&json!("1420"), &json!("content_rejected")));
    assert_eq!(
        event("messages.outbound", &message(json!({"status": "rejected", "error_code": "1360"})))["status"],
        "expired"
    );
}

#[test]
fn a_price_of_an_sms_without_a_currency_is_in_euros_and_one_of_a_message_in_none() {
    let assumed = event("sms.outbound", &sms(json!({})))["price"].clone();
    assert_eq!((&assumed["currency"], &assumed["currency_assumed"]), (&json!("EUR"), &json!(true)));
    let unknown = event("messages.outbound", &message(json!({"currency": ""})))["price"].clone();
    assert_eq!((&unknown["currency"], &unknown["currency_assumed"]), (&Value::Null, &json!(false)));
}

#[test]
fn a_row_of_an_account_below_names_the_one_above() {
    let below = event("sms.outbound", &sms(json!({"account_id": "efgh5678"})));
    assert_eq!((&below["account_id"], &below["parent_account_id"]), (&json!("efgh5678"), &json!("abcd1234")));
    let own = event("sms.outbound", &sms(json!({"account_id": null})));
    assert_eq!((&own["account_id"], own.get("parent_account_id")), (&json!("abcd1234"), None));
}

#[test]
fn a_call_tells_everything_that_its_row_does() {
    let event = event("voice-call", &call(json!({"status_description": "OK", "forced_from": "447700900002"})));
    let leg = LEG.to_lowercase().replace('-', "");
    for (pointer, expected) in [
        ("/kind", json!("call_record")),
        ("/state", json!("final")),
        ("/record_id", json!(leg)),
        ("/leg_id", json!(leg)),
        ("/related_ids", json!([{"rel": "row", "id": "row7"}])),
        ("/occurred_at", json!("2026-02-03T12:01:07Z")),
        ("/started_at", json!("2026-02-03T12:00:00Z")),
        ("/talk_ms", json!(60_000)),
        ("/total_ms", json!(67_000)),
        ("/outcome", json!("answered")),
        ("/outcome_raw", json!("ANSWERED/OK")),
        ("/call_type", json!("VOICE-CALL")),
        ("/price/amount", json!("0.00450000")),
        ("/rate/scope", json!("per_minute")),
        ("/network", json!({"name": "GB-FIXED", "country": "GB"})),
        ("/provider_data", json!({"forced_from": "447700900002"})),
    ] {
        assert_eq!(event.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer}");
    }
}

#[test]
fn calls_end_as_their_status_and_code_say() {
    for (status, code, outcome, answered) in [
        ("ANSWERED", json!(null), "answered", json!(true)),
        ("answered", json!("200"), "answered", json!(true)),
        ("MACHINE", json!(null), "answered", json!(true)),
        ("FAILED", json!("486"), "busy", json!(false)),
        ("FAILED", json!(404), "invalid_number", json!(false)),
        ("FAILED", json!("9999"), "failed", json!(false)),
        ("ERROR", json!(null), "failed", json!(false)),
        ("unanswered", json!(null), "no_answer", json!(false)),
        ("brand new", json!(null), "unknown", Value::Null),
    ] {
        let event = event("voice-failed", &call(json!({"status": status, "status_code": code})));
        assert_eq!((&event["outcome"], &event["answered"]), (&json!(outcome), &answered), "{status} {code}");
        assert_eq!(event.get("talk_ms").is_some(), answered == json!(true), "{status}");
        assert_eq!(event["answered_by"] == "machine", status == "MACHINE");
    }
}

#[test]
fn calls_over_the_internet_are_known_by_product_and_row() {
    let row = json!({"id": "Row-1", "leg_id": LEG, "conversation_id": "CON-1", "user_id": "USR-1", "status": "completed",
        "date_start": "2026-02-03T12:00:00Z", "date_end": "2026-02-03T12:00:30Z", "duration": "30", "total_price": "0.01"});
    let event = event("in-app-voice", &row);
    for (pointer, expected) in [
        ("/record_id", json!("in-app-voice:row-1")),
        ("/session_id", json!("CON-1")),
        ("/user/id", json!("USR-1")),
        ("/leg_id", json!(LEG.to_lowercase().replace('-', ""))),
        ("/direction", json!("unknown")),
        ("/talk_ms", json!(30_000)),
    ] {
        assert_eq!(event.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer}");
    }
}

#[test]
fn other_rows_keep_all_their_columns_as_texts() {
    let row = json!({"account_id": "abcd1234", "id": "Row-1", "call_id": LEG, "start_time": "2026-02-03T12:00:00Z",
        "amd_beep_detection_result": true, "amd_user_defined_beep_timeout": 45, "amd_detection_result": "human",
        "currency": "EUR", "total_price": "0.0010", "price": "0.5", "nothing": null, "empty": ""});
    let event = event("amd", &row);
    for (pointer, expected) in [
        ("/kind", json!("usage_record")),
        ("/product", json!("amd")),
        ("/row_id", json!("Row-1")),
        ("/occurred_at", json!("2026-02-03T12:00:00Z")),
        ("/price", json!({"amount": "0.0010", "currency": "EUR", "currency_assumed": false, "scope": "total"})),
        (
            "/columns",
            json!({"account_id": "abcd1234", "id": "Row-1", "call_id": LEG, "start_time": "2026-02-03T12:00:00Z",
            "amd_beep_detection_result": "true", "amd_user_defined_beep_timeout": "45", "amd_detection_result": "human",
            "currency": "EUR", "total_price": "0.0010", "price": "0.5"}),
        ),
    ] {
        assert_eq!(event.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer}");
    }
    assert!(event.get("provider_data").is_none());
    assert_eq!(identity("amd", &row).key, "vonage:abcd1234:amd:row-1");
}

#[test]
fn personal_columns_follow_the_switches() {
    let row = json!({"id": "1", "number": "447700900000", "msisdn": "447700900000", "first_name": "Ann", "last_name": "Lee",
        "to": "447700900000", "brand_new": "447700900000", "recording": "https://h.example/x", "request_id": "4477009000001"});
    let closed = Privacy { numbers: NumberPolicy::Drop, names: NamePolicy::Drop, ..Privacy::default() };
    let event = event_with(&closed, "number-insight", &row);
    assert_eq!(event["columns"], json!({"id": "1", "request_id": "4477009000001"}));
    assert!(event["to"].get("e164").is_none());
    let row = sms(json!({"message_body": "hello", "udh": "050003", "forced_from": "447700900002"}));
    let text = event_with(&Privacy { message_text: TextPolicy::Keep, ..Privacy::default() }, "sms.outbound", &row);
    assert_eq!((&text["text"], &text["provider_data"]["udh"]), (&json!("hello"), &json!("050003")));
    let closed = event_with(&closed, "sms.outbound", &row);
    assert!(!closed.to_string().contains("447700900") && !closed.to_string().contains("hello"), "{closed:#}");
    assert!(closed["provider_data"].get("udh").is_none());
}

#[test]
fn rows_that_can_not_be_known_are_faults() {
    for (stream, row, code) in [
        ("sms.outbound", sms(json!({"message_id": "", "id": null})), "missing_id"),
        ("sms.outbound", sms(json!({"message_id": "a\u{7}"})), "invalid_id"),
        ("sms.outbound", sms(json!({"status": ""})), "missing_status"),
        ("sms.inbound", sms(json!({"direction": "outbound"})), "wrong_direction"),
        ("voice-call", call(json!({"id": null, "call_id": null})), "missing_id"),
        ("websocket-call", call(json!({"id": null})), "missing_id"),
        ("verify-api", json!({"request_id": "x"}), "missing_id"),
        ("verify-api", json!([]), "invalid_json"),
    ] {
        assert_eq!(fault(stream, &row), code, "{stream} {row}");
    }
    assert_eq!(identity("sms.outbound", &sms(json!({"message_id": null}))), identity("sms.outbound", &sms(json!({}))));
}

#[test]
fn a_letter_of_a_row_is_mapped_as_the_row_is() {
    let text = sms(json!({})).to_string();
    let proof = verify::Proof::of_api("vonage-basic", Some("abcd1234".to_owned()));
    let at = Time::parse_iso("2026-02-03T12:14:26Z").unwrap();
    for (query, code) in [("stream=sms.outbound&product=SMS", None), ("stream=other", Some("unknown_stream"))] {
        let request = RawRequest::new(Method::Get, "/v2/reports/records", at).with_query(query);
        let request = request.with_body(text.as_bytes(), false);
        let verified = verify::accept_again(&request, proof.clone(), &*SOURCE.provider, &SOURCE.doors).unwrap();
        let mut normalized = Normalized::default();
        SOURCE.provider.normalize_row(&verified, &mut normalized);
        let told: Vec<_> = normalized.events.iter_mut().map(|event| event.identify("vonage")).collect();
        assert_eq!(normalized.faults.first().map(|fault| fault.code), code);
        assert_eq!(told.first(), code.is_none().then(|| identity("sms.outbound", &sms(json!({})))).as_ref());
    }
}

#[test]
fn rows_are_placed_by_the_time_that_vonage_filters_by() {
    let all = json!({"date_received": "2026-02-03T01:00:00Z", "date_start": "2026-02-03T02:00:00Z", "start_time": "2026-02-03T03:00:00Z"});
    for (stream, row, hour) in [
        ("sms.outbound", all.clone(), Some(1)),
        ("voice-call", all.clone(), Some(2)),
        ("verify-api", all.clone(), Some(1)),
        ("amd", json!({"date_received": "", "start_time": "2026-02-03T03:00:00Z"}), Some(3)),
        ("voice-tts", json!({"creation_date": "2026-02-03 04:00:00"}), Some(4)),
        ("sms-traffic-control", json!({"queued_time": "2026-02-03T05:00:00+0000"}), Some(5)),
        ("sms.outbound", json!({"date_start": "2026-02-03T02:00:00Z"}), None),
    ] {
        let (source, text) = (&*SOURCE, row.to_string());
        let placed_at = source.api.as_ref().unwrap().placed_at(&Row { stream, text: &text, account_id: None });
        let expected = hour.map(|hour| Time::parse_iso(&format!("2026-02-03T{hour:02}:00:00Z")).unwrap());
        assert_eq!(placed_at, expected, "{stream} {row}");
    }
}

proptest! {
    /// A new column, another order of them and other spellings of a number change no id.
    #[test]
    fn no_new_column_changes_an_id(number in 0_usize..21, name in "[a-z_]{1,12}_new", text in "\\PC{0,20}") {
        let stream = STREAMS[number].name;
        let row = merged(merged(message(json!({})), call(json!({}))), json!({"direction": direction_of(stream)}));
        let mut more: Map<String, Value> = [(name, json!(text))].into_iter().collect();
        more.extend(row.as_object().unwrap().clone().into_iter().rev());
        prop_assert_eq!(identity(stream, &Value::Object(more)), identity(stream, &row));
    }

    #[test]
    fn no_row_makes_mapping_panic(number in 0_usize..21, text in "\\PC{0,60}", status in "\\PC{0,9}", code in "[0-9-]{0,9}") {
        let stream = STREAMS[number].name;
        let (source, odd) = (&*SOURCE, json!({"id": text, "status": status, "status_code": code, "duration": code, "direction": null}).to_string());
        for text in [&text, &odd] {
            let mut normalized = Normalized::default();
            source.api.as_ref().unwrap().map(&Row { stream, text, account_id: None }, &mut normalized);
            prop_assert_eq!(normalized.events.len() + normalized.faults.len(), 1);
        }
    }
}
