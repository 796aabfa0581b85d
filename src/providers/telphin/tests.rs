//! Whole webhooks: what is published of them.

use form_urlencoded::Serializer;
use serde_json::{Value, json};

use crate::config::{self, Environment};
use crate::event::envelope::{Ingest, Mode, Reception, Record};
use crate::event::privacy::{NamePolicy, NumberPolicy, Privacy};
use crate::event::time::Time;
use crate::provider::Normalized;
use crate::request::{Method, RawRequest};
use crate::verify;

const SOURCE: &str =
    "[[sources]]\nname = \"t\"\nprovider = \"telphin\"\naccount_id = \"999\"\nverification = \"none\"\n";
const CALL: &str = "caa308e3333c4a19aaed9c0254b9c61b";
const LEG: &str = "1000101-0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const LEG_UPPER: &str = "1000101-0A1B2C3D4E5F60718293A4B5C6D7E8F9";
const NOW: &str = "2026-02-03T12:14:26.103Z";

fn request<'r>(method: Method, body: &'r [u8], query: &'r str) -> RawRequest<'r> {
    RawRequest::new(method, "/webhooks/t/***", Time::parse_iso(NOW).unwrap()).with_query(query).with_body(body, false)
}

/// Runs a request through a source that checks nothing, and hands over what came of it.
fn with_normalized<T>(raw: &RawRequest<'_>, use_it: impl FnOnce(Normalized<'_>) -> T) -> T {
    let loaded = config::load_text("test", SOURCE, &Environment::new()).unwrap();
    let source = &loaded.settings.sources[0];
    let verified = verify::authenticate(raw, &*source.provider, &source.doors).unwrap();
    let mut normalized = Normalized::default();
    source.provider.normalize(&verified, &mut normalized);
    use_it(normalized)
}

fn records(raw: &RawRequest<'_>, privacy: &Privacy) -> Vec<Record> {
    let ingest = Ingest { via: "webhook", verification: "none", scheme: "none", raw_id: "r".to_owned() };
    let origin = Reception { provider: "telphin", source_name: "t", received_at: raw.received_at, ingest: &ingest };
    with_normalized(raw, |normalized| {
        assert!(normalized.faults.is_empty(), "{:?}", normalized.faults);
        let written = normalized.events.into_iter().map(|event| event.into_record(&origin, privacy, Mode::Binary));
        written.map(Result::unwrap).collect()
    })
}

fn events_with(privacy: &Privacy, changes: Value) -> Vec<Value> {
    let body = form(changes);
    let records = records(&request(Method::Post, body.as_bytes(), ""), privacy);
    records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
}

fn events(changes: Value) -> Vec<Value> {
    events_with(&Privacy::default(), changes)
}

fn fault(body: &str) -> (&'static str, Option<String>) {
    with_normalized(&request(Method::Post, body.as_bytes(), ""), |mut normalized| {
        assert!(normalized.events.is_empty());
        let fault = normalized.faults.remove(0);
        (fault.code, fault.pointer)
    })
}

/// The end of an answered inbound call as Telphin tells it, with changes; `null` removes a parameter.
fn form(changes: Value) -> String {
    let mut body = json!({
        "EventType": "hangup", "CallID": CALL, "SubCallID": LEG, "CallerIDNum": "447700900000",
        "CallerIDName": "Ann", "CalledDID": "442079460000", "CalledNumber": "12345*101", "CallStatus": "ANSWER",
        "CallFlow": "in", "EventTime": "1766736711480097", "Duration": "7529999",
    });
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    let members = body.as_object_mut().unwrap();
    for (name, value) in changes {
        match value {
            Value::Null => drop(members.remove(&name)),
            value => drop(members.insert(name, value)),
        }
    }
    let pairs = members.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn as_dial_in(mut changes: Value) -> Value {
    let members = changes.as_object_mut().unwrap();
    for (name, value) in [("EventType", json!("dial-in")), ("CallStatus", json!("CALLING")), ("Duration", Value::Null)]
    {
        members.entry(name).or_insert(value);
    }
    changes
}

#[test]
fn the_end_of_an_answered_call_is_an_event_and_a_provisional_record() {
    let changes = json!({
        "CalledExtension": "12345*101@sipproxy.telphin.ru", "CalledExtensionID": "1000101", "CallAPIID": "1-a:b",
        "RecID": LEG, "Tag": "vip",
    });
    let [event, record]: [Value; 2] = events(changes).try_into().unwrap();
    let party = json!({"kind": "phone", "value": "447700900000", "name": "Ann"});
    let common = json!({
        "schema_version": "1.0", "provider": "telphin", "product": "call_events", "account_id": "999",
        "source_name": "t", "occurred_at": "2025-12-26T08:11:51.480097Z", "occurred_at_source": "provider",
        "received_at": NOW,
        "ingest": {"via": "webhook", "verification": "none", "scheme": "none", "raw_id": "r"},
        "leg_id": LEG_UPPER, "direction": "inbound", "from": party, "to": {"kind": "extension", "value": "12345*101"},
        "did": {"kind": "phone", "value": "442079460000"}, "answered": true, "outcome": "answered", "talk_ms": 7529,
    });
    assert_eq!(
        event,
        with(
            &common,
            json!({
                "event_id": event["event_id"], "kind": "call_event", "call_id": CALL.to_uppercase(), "event": "ended",
                "event_rank": 90, "event_raw": "hangup/ANSWER", "recording_id": LEG_UPPER,
                "provider_data": {
                    "CalledExtension": "12345*101@sipproxy.telphin.ru", "CalledExtensionID": "1000101", "CallAPIID": "1-a:b",
                    "Tag": "vip",
                },
            })
        )
    );
    assert_eq!(
        record,
        with(
            &common,
            json!({
                "event_id": record["event_id"], "kind": "call_record", "record_id": CALL.to_uppercase(),
                "record_scope": "leg", "state": "provisional", "record_version": record["record_version"],
                "session_id": CALL.to_uppercase(), "started_at": null, "answered_at": "2025-12-26T08:11:43.950098Z",
                "ended_at": "2025-12-26T08:11:51.480097Z", "outcome_raw": "ANSWER", "recordings": [LEG_UPPER],
                "related_ids": [{"rel": "call_api", "id": "1-a:b"}],
                "user": {"id": "1000101", "number": {"kind": "extension", "value": "12345*101"}},
                "site": {"name": "sipproxy.telphin.ru"}, "provider_data": {"Tag": "vip"},
            })
        )
    );
}

fn with(common: &Value, members: Value) -> Value {
    let mut whole = common.clone();
    let Value::Object(members) = members else { panic!("members are an object") };
    whole.as_object_mut().unwrap().extend(members);
    whole
}

#[test]
fn ids_are_those_of_the_published_rule() {
    let body = form(json!({}));
    let written = records(&request(Method::Post, body.as_bytes(), ""), &Privacy::default());
    let key = format!("telphin:999:{}", CALL.to_uppercase());
    assert!(written.iter().all(|record| record.key == key));
    let event = crate::event::id::EventId::compute(
        "telphin",
        "999",
        "call.event",
        &crate::event::id::Identity { id: LEG_UPPER, x: "hangup", y: "t:1766736711480097" },
    );
    assert_eq!(written[0].identity, Some((event, None)));
    let hash = written[1].identity.unwrap().1.unwrap();
    let record = crate::event::id::EventId::compute(
        "telphin",
        "999",
        "call.record",
        &crate::event::id::Identity { id: &CALL.to_uppercase(), x: "provisional", y: &format!("h:{hash}") },
    );
    assert_eq!(written[1].identity, Some((record, Some(hash))));
}

#[test]
fn an_event_without_a_time_is_told_apart_by_its_request() {
    let id = |changes: Value| events(as_dial_in(changes))[0]["event_id"].clone();
    let event = &events(json!({"EventTime": null}))[0];
    assert_eq!((&event["occurred_at"], &event["occurred_at_source"]), (&Value::Null, &json!("received")));
    assert_eq!(id(json!({"EventTime": null})), id(json!({"EventTime": null})));
    assert_ne!(id(json!({"EventTime": null})), id(json!({"EventTime": null, "Tag": "x"})));
    assert_eq!(id(json!({})), id(json!({"Tag": "x"})));
    let by_query = |query: &str| {
        let records = records(&request(Method::Get, b"", query), &Privacy::default());
        records[0].identity.unwrap().0
    };
    let query = form(as_dial_in(json!({"EventTime": null})));
    assert_ne!(by_query(&query), by_query(&format!("{query}&x=1")));
}

#[test]
fn a_time_that_can_not_be_read_is_kept_and_tells_the_event() {
    let event = &events(as_dial_in(json!({"EventTime": "yesterday"})))[0];
    assert_eq!((&event["occurred_at"], &event["provider_data"]), (&Value::Null, &json!({"EventTime": "yesterday"})));
    let other = &events(as_dial_in(json!({"EventTime": "today", "Tag": "x"})))[0];
    assert_ne!(event["event_id"], other["event_id"]);
}

#[test]
fn event_types_have_their_stage() {
    for (word, event, rank, unmapped) in [
        ("dial-in", "initiated", json!(10), &[][..]),
        ("DIAL-OUT", "initiated", json!(10), &[]),
        ("answer", "answered", json!(30), &[]),
        ("hangup", "ended", json!(90), &[]),
        ("voicemail", "other", Value::Null, &[]),
        ("brand-new", "other", Value::Null, &["EventType"]),
    ] {
        let changes = json!({"EventType": word, "CallFlow": "in", "CallStatus": "NOANSWER"});
        let body = form(changes.clone());
        let counted = with_normalized(&request(Method::Post, body.as_bytes(), ""), |normalized| normalized.unmapped);
        let published = &events(changes)[0];
        assert_eq!((&published["event"], &published["event_rank"]), (&json!(event), &rank), "{word}");
        assert_eq!(published["event_raw"], format!("{word}/NOANSWER"), "{word}");
        assert_eq!(published.get("outcome").is_some(), event == "ended", "{word}");
        assert_eq!(counted, unmapped, "{word}");
    }
}

#[test]
fn some_ends_give_a_record_and_others_do_not() {
    for (flow, status, bridged, outcome, answered, talk_ms, gives_record) in [
        ("in", "ANSWER", None, "answered", json!(true), json!(7529), true),
        ("in", "NOANSWER", None, "no_answer", json!(false), Value::Null, false),
        ("IN", "CANCEL", None, "canceled", json!(false), Value::Null, false),
        ("out", "ANSWER", None, "answered", json!(true), json!(7529), true),
        ("OUT", "BUSY", None, "busy", json!(false), Value::Null, true),
        ("out", "CONGESTION", None, "failed", json!(false), Value::Null, true),
        ("out", "brand-new", None, "unknown", Value::Null, Value::Null, true),
        ("", "ANSWER", None, "answered", json!(true), json!(7529), true),
        ("sideways", "CHANUNAVAIL", None, "unreachable", json!(false), Value::Null, false),
        ("in", "ANSWER", Some("no"), "no_answer", json!(false), Value::Null, true),
        ("in", "CANCEL", Some("NO"), "canceled", json!(false), Value::Null, true),
        ("in", "CANCEL", Some("yes"), "answered", json!(true), Value::Null, false),
        ("in", "ANSWER", Some("perhaps"), "answered", json!(true), json!(7529), true),
    ] {
        let events = events(json!({"CallFlow": flow, "CallStatus": status, "Bridged": bridged}));
        let context = format!("{flow} {status} {bridged:?}");
        assert_eq!(events.len(), 1 + usize::from(gives_record), "{context}");
        for event in &events {
            assert_eq!(event["outcome"], outcome, "{context}");
            assert_eq!((&event["answered"], &event["talk_ms"]), (&answered, &talk_ms), "{context}");
        }
        for record in &events[1..] {
            assert_eq!(record.get("answered_at").is_some(), talk_ms != Value::Null, "{context}");
        }
    }
}

#[test]
fn unknown_words_are_counted_once_and_kept() {
    let body = form(json!({"CallFlow": "sideways", "CallStatus": "brand-new", "Bridged": "perhaps"}));
    let raw = request(Method::Post, body.as_bytes(), "");
    let unmapped = with_normalized(&raw, |normalized| normalized.unmapped);
    assert_eq!(unmapped, ["CallFlow", "CallStatus", "Bridged"]);
    let event = &events(json!({"CallFlow": "sideways", "Bridged": "perhaps"}))[0];
    assert_eq!(event["provider_data"], json!({"CallFlow": "sideways", "Bridged": "perhaps"}));
}

#[test]
fn durations_are_cut_to_milliseconds_and_never_invented() {
    for (duration, talk_ms, answered_at) in [
        (json!("7529999"), json!(7529), json!("2025-12-26T08:11:43.950098Z")),
        (json!("0"), json!(0), json!("2025-12-26T08:11:51.480097Z")),
        (json!("999"), json!(0), json!("2025-12-26T08:11:51.479098Z")),
        (json!("18446744073709551615"), json!(18_446_744_073_709_551_u64), Value::Null),
        (json!("18446744073709551616"), Value::Null, Value::Null),
        (json!("-1"), Value::Null, Value::Null),
        (json!("7.5"), Value::Null, Value::Null),
        (json!(""), Value::Null, Value::Null),
        (Value::Null, Value::Null, Value::Null),
    ] {
        let record = &events(json!({"Duration": duration}))[1];
        assert_eq!((&record["talk_ms"], &record["answered_at"]), (&talk_ms, &answered_at), "{duration}");
    }
}

#[test]
fn a_call_passed_on_names_who_passed_it_on() {
    let changes = json!({"RemoteNumber": "+447700900009", "CallerIDNum": "12345*102", "CalledDID": null});
    let [event, record]: [Value; 2] = events(changes).try_into().unwrap();
    let from = json!({"kind": "phone", "e164": "+447700900009", "value": "+447700900009"});
    assert_eq!((&event["from"], &record["from"]), (&from, &from));
    assert_eq!(event["provider_data"], json!({"CallerIDNum": "12345*102", "CallerIDName": "Ann"}));
    assert_eq!(record["redirected_by"], json!({"kind": "extension", "value": "12345*102", "name": "Ann"}));
    assert_eq!(record.get("provider_data"), None);
    assert_eq!((&event["direction"], &record["direction"]), (&json!("inbound"), &json!("inbound")));
}

#[test]
fn transfers_and_extensions_of_outbound_legs_are_told() {
    let record = &events(json!({
        "CallFlow": "out", "Transfered": "Yes", "CallerIDNum": "12345*101", "CalledNumber": "12345*102",
        "CalledDID": null, "CallerExtension": "12345*101@sipproxy.telphin.ru", "CallerExtensionID": "1000101",
    }))[1];
    assert_eq!((&record["direction"], &record["transfer"]), (&json!("internal"), &json!({"type": "transfer"})));
    assert_eq!(record["user"]["number"], json!({"kind": "extension", "value": "12345*101"}));
    assert_eq!(events(json!({"Transfered": "no"}))[1].get("transfer"), None);
}

#[test]
fn parameters_of_a_get_are_read_from_the_query() {
    let query = form(json!({}));
    let by_get = records(&request(Method::Get, b"", &query), &Privacy::default());
    let by_post = records(&request(Method::Post, query.as_bytes(), ""), &Privacy::default());
    let ids = |records: &[Record]| records.iter().map(|record| record.identity).collect::<Vec<_>>();
    assert_eq!(ids(&by_get), ids(&by_post));
}

#[test]
fn names_in_any_case_are_understood_and_stay_personal() {
    let body = "EVENTTYPE=dial-in&callid=A&SUBCALLID=b&calleridnum=12345*101&CALLEDEXTENSION=12345*102&callerIDname=Ann\
                &remotenumber=447700900000";
    let privacy = Privacy { numbers: NumberPolicy::Drop, names: NamePolicy::Drop, ..Privacy::default() };
    let records = records(&request(Method::Post, body.as_bytes(), ""), &privacy);
    let event: Value = serde_json::from_slice(&records[0].value).unwrap();
    assert_eq!((&event["call_id"], &event["leg_id"]), (&json!("A"), &json!("B")));
    assert_eq!((&event["from"], event.get("provider_data")), (&json!({"kind": "phone"}), None));
}

#[test]
fn links_are_published_nowhere() {
    let changes = json!({
        "RecID": "https://storage.example/1", "RecordingUrl": "storage.example/2", "Tag": "see https://x.example",
        "CallAPIID": "ftp://y.example",
    });
    for event in events(changes) {
        let text = event.to_string();
        assert!(!text.contains("example") && !text.contains("://"), "{text}");
    }
}

#[test]
fn what_has_no_identity_is_a_fault_without_a_pointer() {
    for (changes, code) in [
        (json!({"CallID": null}), "missing_id"),
        (json!({"CallID": " "}), "missing_id"),
        (json!({"SubCallID": null}), "missing_id"),
        (json!({"SubCallID": "null"}), "missing_id"),
        (json!({"EventType": null}), "missing_event_type"),
        (json!({"EventType": null, "event_type": "hangup"}), "missing_event_type"),
        (json!({"CallID": "a\nb"}), "invalid_id"),
        (json!({"SubCallID": "x".repeat(513)}), "invalid_id"),
    ] {
        assert_eq!(fault(&form(changes)), (code, None), "{code}");
    }
    assert_eq!(fault("{\"EventType\":\"hangup\"}"), ("json_body", None));
    assert_eq!(fault(""), ("empty_request", None));
}

#[test]
fn requests_that_are_not_about_calls_leave_no_trace() {
    for body in ["EventType=message-in", "event_type=call-status-change&client_id=999", "EventType=Agent-Login&CallID="]
    {
        with_normalized(&request(Method::Post, body.as_bytes(), ""), |normalized| {
            assert!(normalized.events.is_empty() && normalized.faults.is_empty() && normalized.unmapped.is_empty());
        });
    }
}

#[test]
fn the_account_is_demanded_and_the_keys_of_the_api_are_taken() {
    let without = SOURCE.replace("account_id = \"999\"\n", "");
    let error = config::load_text("test", &without, &Environment::new()).unwrap_err();
    assert!(format!("{error:?}{error}").contains("account_id"), "{error}");
    let keys = "client_id = \"a\"\nclient_secret = \"env:S\"\napi_url = \"https://api.example\"\n";
    let environment = Environment::from([("S".to_owned(), "a-client-secret-of-length".to_owned())]);
    let loaded = config::load_text("test", &format!("{SOURCE}{keys}"), &environment).unwrap();
    assert!(!format!("{:?}{}", loaded.settings, loaded.redacted).contains("a-client-secret-of-length"));
}

#[test]
fn words_for_nothing_are_absent_everywhere() {
    for nothing in ["", "NA", "na", "N/A", "null", "\"null\""] {
        let written = events(json!({
            "RecID": nothing, "CallAPIID": nothing, "CallBackID": nothing, "CallerIDName": nothing, "Bridged": nothing,
            "CalledExtensionID": nothing, "Transfered": nothing, "Tag": nothing, "BrandNew": nothing,
        }));
        assert_eq!(written.len(), 2, "{nothing}");
        for event in &written {
            for member in ["recording_id", "recordings", "related_ids", "user", "provider_data"] {
                assert_eq!(event.get(member), None, "{member} {nothing}");
            }
        }
        let timeless = &events(json!({"EventTime": nothing, "Duration": nothing, "CallFlow": nothing}))[0];
        assert_eq!((&timeless["occurred_at"], timeless.get("provider_data")), (&Value::Null, None), "{nothing}");
        assert_eq!(fault(&form(json!({"CallID": nothing}))).0, "missing_id", "{nothing}");
    }
    let values = events(json!({"Tag": "None", "CallAPIID": "-"}));
    assert_eq!(values[0]["provider_data"], json!({"CallAPIID": "-", "Tag": "None"}));
    assert_eq!(values[1]["related_ids"], json!([{"rel": "call_api", "id": "-"}]));
}

#[test]
fn numbers_are_read_however_they_are_written() {
    for (time, duration) in [
        ("1766736711480097.0", "7529999.00"),
        ("1.766736711480097E+15", "7.529999E6"),
        (" 1766736711480097 ", "75299990e-1"),
    ] {
        let record = &events(json!({"EventTime": time, "Duration": duration}))[1];
        assert_eq!(record["ended_at"], "2025-12-26T08:11:51.480097Z", "{time}");
        assert_eq!(record["talk_ms"], 7529, "{duration}");
    }
}

#[test]
fn bytes_whose_encoding_could_not_be_undone_are_an_event_if_they_are_one() {
    let taken = |body: &[u8]| {
        let raw = request(Method::Post, b"", "").with_body(body, true);
        with_normalized(&raw, |normalized| {
            (normalized.events.len(), normalized.faults.iter().map(|fault| fault.code).collect::<Vec<_>>())
        })
    };
    assert_eq!(taken(form(json!({})).as_bytes()), (2, vec![]));
    for body in [&b"\x1f\x8b\x08nonsense"[..], b"", b"{}", b"CallID=a"] {
        assert_eq!(taken(body), (0, vec!["undecodable_body"]), "{body:?}");
    }
}
