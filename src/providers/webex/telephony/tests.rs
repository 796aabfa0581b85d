use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::tests::{ORGANISATION, Taken, merged, take, take_with};
use crate::event::privacy::Privacy;

const SESSION: &str = "c0000000-0000-4000-8000-000000000001";

/// A webhook of a call that comes in, with changes of envelope and data; `null` removes a member.
fn webhook(envelope: Value, data: Value) -> Value {
    let base = json!({
        "eventType": "received", "eventTimestamp": "2026-02-03T12:14:25.103Z", "state": "alerting",
        "callId": STANDARD.encode("ciscospark://us/CALL/callhalf-9850472912:0"),
        "callSessionId": STANDARD.encode(SESSION), "personality": "terminator",
        "remoteParty": {"name": "Invented Caller", "number": "+12025550143", "callType": "external"},
        "orgId": STANDARD.encode("00000000-0000-4000-8000-00000000dead"),
    });
    let body = json!({
        "id": "Y2lzY29", "resource": "telephony_calls", "event": "created",
        "orgId": STANDARD.encode(format!("ciscospark://us/ORGANIZATION/{ORGANISATION}")),
        "data": merged(base, &data),
    });
    merged(body, &envelope)
}

fn event(envelope: Value, data: Value) -> Value {
    let mut taken = take(&webhook(envelope, data));
    assert!(taken.faults.is_empty() && taken.unmapped.is_empty(), "{taken:?}");
    taken.events.remove(0)
}

fn kind(envelope: &str, sort: &str, state: &str) -> Value {
    event(json!({"event": envelope}), json!({"eventType": sort, "state": state}))["event"].clone()
}

#[test]
fn a_call_that_comes_in_is_mapped_whole() {
    let event = event(json!({}), json!({}));
    let expected = json!({
        "kind": "call_event", "product": "call_events", "account_id": ORGANISATION, "call_id": SESSION,
        "leg_id": "9850472912:0", "event": "ringing", "event_rank": 20, "event_raw": "created/received/alerting",
        "occurred_at": "2026-02-03T12:14:25.103Z", "direction": "inbound",
        "from": {"kind": "phone", "e164": "+12025550143", "value": "+12025550143", "name": "Invented Caller"},
        "to": {"kind": "unknown"}, "outcome": null,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&event[name], value, "{name}");
    }
    assert_eq!(event["provider_data"]["remoteParty"], json!({"callType": "external"}));
    assert!(event["provider_data"]["orgId"].is_string());
}

#[test]
fn the_end_goes_before_the_type_and_the_type_before_the_state() {
    for (envelope, sort, state, expected) in [
        ("deleted", "answered", "connected", "ended"),
        ("created", "originated", "connected", "initiated"),
        ("updated", "Answered", "held", "answered"),
        ("updated", "held", "connected", "hold"),
        ("updated", "remoteHeld", "", "hold"),
        ("updated", "resumed", "connected", "resumed"),
        ("updated", "forwarded", "alerting", "transferred"),
        ("updated", "recording", "connected", "other"),
        ("updated", "updated", "remoteHeld", "hold"),
        ("updated", "updated", "connecting", "initiated"),
        ("updated", "", "alerting", "ringing"),
        ("updated", "disconnected", "disconnected", "other"),
    ] {
        assert_eq!(kind(envelope, sort, state), expected, "{envelope}/{sort}/{state}");
    }
}

#[test]
fn the_outcome_is_told_at_the_end() {
    let end = |data| event(json!({"event": "deleted"}), data);
    let times = json!({"answered": "2026-02-03T12:14:30Z", "disconnected": "2026-02-03T12:15:00.5Z"});
    let answered = end(times.clone());
    assert_eq!(
        (&answered["outcome"], &answered["answered"], &answered["talk_ms"]),
        (&json!("answered"), &json!(true), &json!(30_500))
    );
    let elsewhere = end(merged(times, &json!({"completedElsewhere": true})));
    assert_eq!((&elsewhere["outcome"], &elsewhere["talk_ms"]), (&json!("answered_elsewhere"), &Value::Null));
    let missed = end(json!({"disconnected": "2026-02-03T12:15:00.5Z", "completedElsewhere": "false"}));
    assert_eq!((&missed["outcome"], &missed["answered"]), (&json!("unknown"), &Value::Null));
}

#[test]
fn only_the_other_party_is_known_and_only_where_the_side_is() {
    let placed = event(json!({}), json!({"personality": "clickToDial"}));
    assert_eq!((&placed["direction"], &placed["from"]), (&json!("outbound"), &json!({"kind": "unknown"})));
    assert_eq!(placed["to"]["e164"], "+12025550143");
    let unknown = event(json!({}), json!({"personality": null}));
    assert_eq!((&unknown["direction"], &unknown["from"]), (&json!("unknown"), &json!({"kind": "unknown"})));
    assert_eq!(unknown["provider_data"]["remoteParty"]["number"], "+12025550143");
}

#[test]
fn ids_stand_in_for_each_other_and_are_taken_as_they_are_where_they_do_not_decode() {
    let ids = |data| {
        let event = event(json!({}), data);
        (event["call_id"].as_str().unwrap().to_owned(), event["leg_id"].as_str().unwrap().to_owned())
    };
    let pair = |call: &str, leg: &str| (call.to_owned(), leg.to_owned());
    assert_eq!(ids(json!({"callId": null})), pair(SESSION, SESSION));
    assert_eq!(ids(json!({"callSessionId": ""})), pair("9850472912:0", "9850472912:0"));
    assert_eq!(ids(json!({"callId": "plain-1", "callSessionId": "plain/2"})), pair("plain/2", "plain-1"));
    let fault = |data| take(&webhook(json!({}), data)).faults[0].0;
    assert_eq!(fault(json!({"callId": null, "callSessionId": []})), "missing_id");
    assert_eq!(fault(json!({"callId": "x".repeat(513)})), "invalid_id");
    assert_eq!(take(&webhook(json!({"data": "x"}), json!({}))).faults[0].0, "missing_id");
}

#[test]
fn the_account_is_the_envelopes_and_never_the_partners() {
    for nothing in [Value::Null, json!(""), json!("NA"), json!("\"null\""), json!("a\u{7}b")] {
        let body = webhook(json!({"orgId": nothing}), json!({})).to_string();
        for account in ["", "account_id = \"ACME\""] {
            let taken = take_with(body.as_bytes(), account, &Privacy::default());
            assert_eq!((taken.events.len(), taken.faults), (0, vec![("missing_account", None, None)]), "{body}");
        }
    }
}

#[test]
fn a_relay_may_wrap_it_and_the_ids_stay() {
    let plain = event(json!({}), json!({}));
    let wrapped = take(&json!({"body": webhook(json!({}), json!({})), "method": "POST", "empty": []}));
    assert_eq!(wrapped.events[0]["event_id"], plain["event_id"]);
    let id = |data| event(json!({}), data)["event_id"].clone();
    assert_ne!(id(json!({"eventTimestamp": "2026-02-03T12:14:25.104Z"})), plain["event_id"]);
    assert_ne!(id(json!({"state": "connected"})), plain["event_id"]);
    assert_eq!(id(json!({"state": "Alerting"})), plain["event_id"]);
    assert_eq!(id(json!({"brand_new": 1})), plain["event_id"]);
    let timeless = |extra| id(json!({"eventTimestamp": null, "x": extra}));
    assert_ne!(timeless(1), timeless(2));
    assert_eq!(timeless(1), timeless(1));
}

#[test]
fn unknown_words_are_counted() {
    let data = json!({"eventType": "danced", "state": "floating", "personality": "shy"});
    let Taken { events, unmapped, .. } = take(&webhook(json!({"event": "moved"}), data));
    assert_eq!(unmapped, ["event", "eventType", "state", "personality"]);
    assert_eq!(events[0]["event"], "other");
    assert_eq!(events[0]["provider_data"]["personality"], "shy");
}

#[test]
fn a_relay_may_name_the_webhook_its_items() {
    let plain = event(json!({}), json!({}));
    let relayed = |items: Value| json!({"body": {"Payload": "telephony", "items": items, "attempt": 1}, "method": "POST", "url": "https://x/"});
    let other = webhook(json!({}), json!({"eventTimestamp": "2026-02-03T12:14:26Z"}));
    let original = webhook(json!({}), json!({}));
    for body in [
        relayed(original.clone()),
        relayed(json!([original])),
        relayed(json!([original, other])),
        json!({"payload": "telephony", "items": original}),
        json!({"body": original}),
    ] {
        let taken = take(&body);
        assert!(taken.faults.is_empty(), "{body}");
        assert_eq!(taken.events[0]["event_id"], plain["event_id"], "{body}");
        assert_eq!(taken.events[0]["account_id"], ORGANISATION, "{body}");
    }
    assert_eq!(take(&relayed(json!([original, other]))).events.len(), 2);
    let unknown = relayed(json!({"id": "x"}));
    assert_eq!(take(&unknown).faults, [("unknown_shape", None, None)]);
}

#[test]
fn a_relayed_event_without_an_organisation_has_no_account() {
    let body = json!({"body": {"Payload": "telephony", "items": webhook(json!({"orgId": null}), json!({}))}});
    assert_eq!(take(&body).faults[0].0, "missing_account");
}

#[test]
fn a_recording_is_told_by_its_state() {
    let recording = |data: Value| event(json!({"event": "updated"}), merged(json!({"eventType": "recording"}), &data));
    let started = recording(json!({"recordingState": "Started", "state": "connected"}));
    assert_eq!(
        (&started["event"], &started["provider_data"]["recordingState"]),
        (&json!("recording_started"), &Value::Null)
    );
    for state in ["paused", "stopped", "failed", "pending", "unknown", "brand-new"] {
        let event = recording(json!({"recordingState": state, "state": "connected"}));
        assert_eq!(event["event"], "other", "{state}");
        assert_eq!(event["provider_data"]["recordingState"], state);
    }
    let held = event(json!({}), json!({"eventType": "held", "recordingState": "started"}));
    assert_eq!((&held["event"], &held["provider_data"]["recordingState"]), (&json!("hold"), &json!("started")));
}

#[test]
fn a_party_that_withholds_its_number_is_anonymous() {
    let from = |party: Value| event(json!({}), json!({"remoteParty": party}))["from"].clone();
    for private in [json!(true), json!("true")] {
        assert_eq!(from(json!({"privacyEnabled": private})), json!({"kind": "anonymous"}));
        let named = from(json!({"privacyEnabled": private, "number": "NA", "name": "Ann"}));
        assert_eq!(named, json!({"kind": "anonymous", "name": "Ann"}));
        let numbered = from(json!({"privacyEnabled": private, "number": "+12025550143"}));
        assert_eq!(numbered["e164"], "+12025550143");
    }
    assert_eq!(from(json!({"privacyEnabled": false})), json!({"kind": "unknown"}));
    assert_eq!(from(json!({})), json!({"kind": "unknown"}));
}
