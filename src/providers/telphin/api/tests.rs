//! The API as a whole: its streams, what becomes of rows, and the conversation that the other tests lead.

use serde_json::{Value, json};

use super::*;
use crate::event::envelope::{Ingest, Mode, Reception};
use crate::event::privacy::Privacy;
use crate::provider::Normalized;
use crate::provider::api::Asked;
use crate::provider::api::conversation;
pub(super) use crate::provider::api::conversation::{Told, answer, time, value};
use crate::section::report::{Environment, Origins, Problem, Report};

pub(super) const ACCOUNT: &str = "999";

const WHOLE: &str = "client_id = \"app\"\nclient_secret = \"env:A_SECRET\"\n";

/// What comes of a source's keys.
pub(super) struct Read {
    pub(super) api: Option<Box<dyn Api>>,
    pub(super) problems: Vec<String>,
    pub(super) printed: String,
}

pub(super) fn read(text: &str, account_id: &str) -> Read {
    let environment: Environment = [("A_SECRET".to_owned(), "invented-value".to_owned())].into();
    let report = Report::new(Origins::default(), &environment);
    let mut section = Section::root(text.parse().unwrap(), &report);
    let source = SourceOptions { account_id: Some(account_id.to_owned()), ..SourceOptions::default() };
    let api = configure(&source, &mut section);
    section.finish();
    let (problems, _, printed) = report.into_parts();
    let told = |problem: Problem| format!("{}: {}", problem.key, problem.message);
    Read { api, problems: problems.into_iter().map(told).collect(), printed }
}

/// The API of a source with these keys beside its credentials.
pub(super) fn api_with(keys: &str) -> Box<dyn Api> {
    let read = read(&format!("{WHOLE}{keys}"), ACCOUNT);
    assert_eq!(read.problems, Vec::<String>::new());
    read.api.unwrap()
}

/// An hour of a stream.
pub(super) fn asked(stream: &'static str) -> Asked {
    let (from, to) = (time("2026-02-03T09:00:00Z"), time("2026-02-03T10:00:00Z"));
    Asked { stream, from, to, account: None, region: None }
}

/// Leads a conversation to its end.
pub(super) fn converse(api: &dyn Api, question: &Question, reply: impl FnMut(&Request) -> Answer) -> Told {
    let told = conversation::converse(api, question, reply);
    let is_of_the_api = |request: &Request| request.path.starts_with("/api/ver1.0/") && request.path.ends_with('/');
    assert!(told.requests.iter().all(is_of_the_api), "{:?}", told.requests);
    assert!(told.counts.is_empty() && told.waits.is_empty(), "{told:?}");
    told
}

#[test]
fn the_streams_hold_together() {
    for stream in STREAMS {
        assert!(stream.least_delay_s <= stream.delay_s, "{}", stream.name);
        let ages: Vec<u32> = std::iter::once(stream.delay_s).chain(stream.again_s.iter().copied()).collect();
        assert!(ages.iter().all(|age_s| age_s + 3600 < stream.reach_s), "{}", stream.name);
        assert_eq!((stream.name, stream.widest_s % 3600), (stream.product, 0), "windows are hours");
        assert!(!stream.counted && !stream.primary, "webhooks tell of calls too");
    }
    let paces = api_with("").paces();
    assert!(paces.iter().all(|pace| pace.at_once == 1), "one question at a time");
    assert_eq!(api_with("quota_reserve_percent = 35").quota_reserve_percent(), 35);
}

/// A call with two legs, which the API tells in any order.
fn call() -> Value {
    let leg = |number: u32, init: &str| {
        json!({"extension_type": "phone", "flow": "in", "result": "answered", "init_time_gmt": init, "duration": 20,
            "record_uuid": format!("7000{number}-5D36E5557F1845FEB577EDE8A19C5108"), "from_username": "447700900000",
            "application": "callcenter", "file_name": "2026_in_447700900000.mp3", "record_file_size": 48528})
    };
    json!({
        "call_uuid": "37577c2826ac4fd0a836c424e5c9e1ef", "client_owner_id": 999, "flow": "in", "result": "bridged",
        "init_time_gmt": "2026-02-03 09:10:00.25", "start_time_gmt": "2026-02-03 09:10:02",
        "bridged_time_gmt": "2026-02-03 09:10:08", "hangup_time_gmt": "2026-02-03 09:10:38", "duration": 36,
        "bridged_duration": 30, "from_username": "447700900000", "from_screen_name": "Ann", "to_username": "12345*101",
        "did_number": "442079460000", "extension_id": 1_138_241, "extension_type": "queue",
        "extension_name": "12345*099@sipproxy.telphin.ru", "hangup_disposition": "caller_bye",
        "hangup_cause": "NORMAL_CLEARING", "quality_rate": null,
        "cdr": [leg(2, "2026-02-03 09:10:05"), leg(1, "2026-02-03 09:10:01.5")]
    })
}

/// The events of a row as published, its faults, and names of values in no map.
type Mapped = (Vec<Value>, Vec<(&'static str, Option<String>)>, Vec<&'static str>);

fn mapped(text: &str) -> Mapped {
    let api = api_with("");
    let row = Row { stream: CALL_HISTORY, text, account_id: Some(ACCOUNT) };
    let mut normalized = Normalized::default();
    api.map(&row, &mut normalized);
    let ingest = Ingest { via: "poll", verification: "api", scheme: api.scheme(), raw_id: "r".to_owned() };
    let received_at = time("2026-02-03T12:14:26.103Z");
    let origin = Reception { provider: "telphin", source_name: "t", received_at, ingest: &ingest };
    let value = |event: crate::event::Event<'_>| {
        let record = event.into_record(&origin, &Privacy::default(), Mode::Binary).unwrap();
        serde_json::from_slice(&record.value).unwrap()
    };
    let faults = normalized.faults.into_iter().map(|fault| (fault.code, fault.record.map(Text::into_owned)));
    (normalized.events.into_iter().map(value).collect(), faults.collect(), normalized.unmapped)
}

fn event_of(call: &Value) -> Value {
    let (mut events, faults, unmapped) = mapped(&call.to_string());
    assert_eq!((events.len(), faults.len(), unmapped.len()), (1, 0, 0));
    events.remove(0)
}

#[test]
fn a_call_becomes_the_final_record_of_the_whole_call() {
    let event = event_of(&call());
    let id = "37577C2826AC4FD0A836C424E5C9E1EF";
    for (member, expected) in [
        ("kind", json!("call_record")),
        ("product", json!("call_history")),
        ("account_id", json!("999")),
        ("record_id", json!(id)),
        ("session_id", json!(id)),
        ("record_scope", json!("call")),
        ("state", json!("final")),
        ("direction", json!("inbound")),
        ("started_at", json!("2026-02-03T09:10:00.25Z")),
        ("answered_at", json!("2026-02-03T09:10:08Z")),
        ("ended_at", json!("2026-02-03T09:10:38Z")),
        ("occurred_at", json!("2026-02-03T09:10:38Z")),
        ("talk_ms", json!(30_000)),
        ("total_ms", json!(37_750)),
        ("answered", json!(true)),
        ("outcome", json!("answered")),
        ("outcome_raw", json!("bridged/caller_bye")),
        ("hangup_by", json!("caller")),
        ("cause", json!({"text": "NORMAL_CLEARING"})),
        ("call_type", json!("callcenter")),
        ("site", json!({"name": "sipproxy.telphin.ru"})),
        ("recordings", json!(["70001-5D36E5557F1845FEB577EDE8A19C5108", "70002-5D36E5557F1845FEB577EDE8A19C5108"])),
    ] {
        assert_eq!(event[member], expected, "{member}");
    }
    assert_eq!(event["from"]["name"], "Ann");
    assert_eq!(event["user"]["id"], "1138241");
    assert_eq!(event["provider_data"]["start_time_gmt"], "2026-02-03 09:10:02");
    assert_eq!(event["provider_data"]["cdr"].as_array().unwrap().len(), 2);
    assert_eq!(event["ingest"]["scheme"], "telphin-oauth");
}

#[test]
fn another_order_of_legs_is_no_other_fact() {
    let mut other = call();
    other["cdr"].as_array_mut().unwrap().reverse();
    assert_eq!(event_of(&call())["event_id"], event_of(&other)["event_id"]);
    other["cdr"][0]["record_uuid"] = json!("70003-5D36E5557F1845FEB577EDE8A19C5108");
    assert_ne!(event_of(&call())["event_id"], event_of(&other)["event_id"]);
}

#[test]
fn a_call_has_the_key_of_the_record_that_its_hangup_gave() {
    let simulated = super::super::INFO.simulation("hangup").is_some();
    assert!(simulated, "a hangup can be simulated");
    let text = call().to_string();
    let mut normalized = Normalized::default();
    api_with("").map(&Row { stream: CALL_HISTORY, text: &text, account_id: Some(ACCOUNT) }, &mut normalized);
    let key = normalized.events.remove(0).identify("telphin").key;
    assert_eq!(key, "telphin:999:37577C2826AC4FD0A836C424E5C9E1EF");
}

#[test]
fn what_tells_nothing_is_absent_and_what_nobody_took_was_not_talked() {
    let bare = json!({"call_uuid": "A1", "result": "answered", "flow": "out", "bridged_duration": 3, "cdr": null});
    let event = event_of(&bare);
    assert_eq!((&event["outcome"], &event["answered"]), (&json!("no_answer"), &json!(false)));
    assert!(["talk_ms", "recordings", "user", "site", "hangup_by"].iter().all(|member| event.get(*member).is_none()));
    assert_eq!((&event["account_id"], &event["started_at"]), (&json!("999"), &Value::Null));
    let internal = json!({"call_uuid": "A1", "flow": "in", "from_username": "12345*101", "to_username": "12345*102"});
    assert_eq!(event_of(&internal)["direction"], "internal");
    let (events, _, unmapped) = mapped(r#"{"call_uuid":"A1","flow":"sideways","result":"x"}"#);
    assert_eq!((&events[0]["direction"], unmapped), (&json!("unknown"), vec!["result", "flow"]));
}

#[test]
fn links_to_recordings_are_never_published() {
    let mut call = call();
    let link = "https://storage.telphin.ru/records/1.mp3";
    call["cdr"][0]["storage_url"] = json!(link);
    call["record_url"] = json!(link);
    call["note"] = json!(format!("see {link}"));
    let event = event_of(&call).to_string();
    assert!(!event.contains("storage.telphin.ru"), "{event}");
}

#[test]
fn a_row_that_is_no_call_of_the_account_is_a_fault_with_its_text() {
    for (text, code) in [
        (r#"{"result":"bridged"}"#, "missing_id"),
        (r#"{"call_uuid":"https://h.example/1"}"#, "invalid_id"),
        (r#"{"call_uuid":"A1","client_owner_id":1000}"#, "foreign_account"),
        ("7", "not_an_object"),
        ("{", "invalid_record"),
        ("", "not_an_object"),
    ] {
        let (events, faults, _) = mapped(text);
        assert_eq!((events.len(), faults), (0, vec![(code, Some(text.to_owned()))]));
    }
    assert!(mapped(r#"{"call_uuid":"A1","client_owner_id":" 999 "}"#).1.is_empty());
}

#[test]
fn a_row_is_placed_by_its_beginning() {
    let api = api_with("");
    let placed_at = |text: &str| api.placed_at(&Row { stream: CALL_HISTORY, text, account_id: None });
    assert_eq!(placed_at(&call().to_string()), Some(time("2026-02-03T09:10:00.25Z")));
    for text in ["{", "7", "{}", r#"{"init_time_gmt":null}"#, r#"{"init_time_gmt":"soon"}"#] {
        assert_eq!(placed_at(text), None, "{text}");
    }
}
