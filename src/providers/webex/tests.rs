//! The provider as a whole: which bodies are what, and what becomes of them.

use serde_json::{Value, json};

use super::INFO;
use crate::config;
use crate::event::envelope::{Ingest, Mode, Reception};
use crate::event::privacy::{NamePolicy, NumberPolicy, Privacy, TextPolicy};
use crate::event::time::Time;
use crate::provider::simulate::{Credentials, Encoding, Seed, Signing};
use crate::provider::{Fault, Normalized, Reply, Sink};
use crate::request::{Method, RawRequest};
use crate::verify;

pub(super) const ORGANISATION: &str = "1a2b3c4d-0000-4111-8222-5e6f70809010";
const PARTNER: &str = "9f8e7d6c-0000-4333-8444-0102030405a6";
const NOW: &str = "2026-02-03T12:14:26.103Z";

fn with_sink(body: &[u8], account: &str, undecodable: bool, run: impl FnOnce(&dyn Fn(&mut dyn FnMut(Normalized<'_>)))) {
    let text = format!("[[sources]]\nname = \"w\"\nprovider = \"webex\"\nverification = \"none\"\n{account}\n");
    let loaded = config::load_text("test", &text, &config::Environment::new()).unwrap();
    let source = &loaded.settings.sources[0];
    let request =
        RawRequest::new(Method::Post, "/webhooks/w", Time::parse_iso(NOW).unwrap()).with_body(body, undecodable);
    let verified = verify::authenticate(&request, &*source.provider, &source.doors).unwrap();
    run(&|take| {
        let mut normalized = Normalized::default();
        source.provider.normalize(&verified, &mut normalized);
        take(normalized);
    });
}

/// What became of a body: the events as published, the faults and the unmapped fields.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Taken {
    pub(super) events: Vec<Value>,
    /// Code, pointer, and text of the record.
    pub(super) faults: Vec<(&'static str, Option<String>, Option<String>)>,
    pub(super) unmapped: Vec<&'static str>,
}

pub(super) fn take_with(body: &[u8], account: &str, privacy: &Privacy) -> Taken {
    let ingest = Ingest { via: "webhook", verification: "none", scheme: "none", raw_id: "r".to_owned() };
    let received_at = Time::parse_iso(NOW).unwrap();
    let mut taken = Taken::default();
    with_sink(body, account, false, |normalize| {
        normalize(&mut |normalized| {
            let origin = Reception { provider: "webex", source_name: "w", received_at, ingest: &ingest };
            for event in normalized.events {
                let record = event.into_record(&origin, privacy, Mode::Binary).unwrap();
                taken.events.push(serde_json::from_slice(&record.value).unwrap());
            }
            let fault = |fault: Fault<'_>| (fault.code, fault.pointer, fault.record.map(|record| record.into_owned()));
            taken.faults = normalized.faults.into_iter().map(fault).collect();
            taken.unmapped = normalized.unmapped;
        });
    });
    taken
}

pub(super) fn take(body: &Value) -> Taken {
    take_with(body.to_string().as_bytes(), "", &Privacy::default())
}

pub(super) fn merged(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value.is_null() {
            true => base.as_object_mut().unwrap().shift_remove(name),
            false => base.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    base
}

fn record(id: &str) -> Value {
    json!({"Report ID": id, "Org UUID": ORGANISATION, "Report time": "2026-02-03T12:10:00.000Z"})
}

fn seed(records: usize, shape: &str) -> Seed {
    Seed {
        id: "0d3ee1c4-5a0b-4f6c-9b4f-0123456789ab".to_owned(),
        account_id: "abcd1234".to_owned(),
        now: Time::parse_iso(NOW).unwrap(),
        index: 0,
        records,
        shape: shape.to_owned(),
    }
}

fn ids(taken: &Taken) -> Vec<&str> {
    taken.events.iter().map(|event| event["record_id"].as_str().unwrap()).collect()
}

fn nothing() -> Taken {
    Taken::default()
}

#[test]
fn every_shape_makes_the_same_records() {
    let simulation = &INFO.simulations[0];
    let of_shape = |shape: &str| take(&(simulation.bodies)(&seed(5, shape))[0]);
    let plain = of_shape("");
    assert_eq!(plain.events.len(), 5);
    for shape in simulation.shapes {
        let taken = of_shape(shape);
        assert_eq!((ids(&taken), &taken.faults), (ids(&plain), &vec![]), "{shape}");
        for (event, other) in taken.events.iter().zip(&plain.events) {
            assert_eq!(event["event_id"], other["event_id"], "{shape}");
            assert_eq!(event["user"], other["user"], "{shape}");
        }
    }
    let mut sorted = ids(&plain);
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), 5);
}

#[test]
fn simulated_events_of_a_call_tell_its_course() {
    let bodies = (INFO.simulations[1].bodies)(&seed(1, ""));
    let events: Vec<Value> = bodies.iter().flat_map(|body| take(body).events).collect();
    let stages: Vec<&Value> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(stages, ["ringing", "answered", "ended"]);
    assert_eq!((&events[2]["outcome"], &events[2]["talk_ms"]), (&json!("answered"), &json!(22_000)));
    assert_eq!(events[0]["account_id"], ORGANISATION);
    assert!(events.iter().all(|event| event["call_id"] == "0d3ee1c4-5a0b-4f6c-9b4f-0123456789ab"));
}

#[test]
fn a_simulated_signature_is_genuine_and_a_tampered_one_is_not() {
    let signed = |tamper| {
        let credentials = Credentials { tamper, ..Credentials::new("", "somesupersecretphrase") };
        let now = Time::parse_iso(NOW).unwrap();
        let signing = Signing { credentials: &credentials, url: "", now, encoding: Encoding::Json };
        (INFO.simulations[0].sign)(&signing, b"{}".to_vec())
    };
    let signature = "0c104fa6e4ee681f78dd96a5af97e9e01837115e".to_owned();
    assert_eq!(signed(false).headers[1], ("x-spark-signature", signature.clone()));
    assert_ne!(signed(true).headers[1].1, signature);
}

#[test]
fn a_single_record_may_stand_anywhere_down_to_the_fourth_level() {
    let one = record("a");
    for body in [one.clone(), json!({"data": one}), json!({"a": {"b": {"c": {"d": one}}}}), json!({"a": [[[one]]]})] {
        assert_eq!(ids(&take(&body)), ["a"], "{body}");
    }
    let too_deep = json!({"a": {"b": {"c": {"d": {"e": one}}}}});
    assert_eq!(take(&too_deep).faults, [("unknown_shape", None, None)]);
}

#[test]
fn every_array_of_records_is_taken_and_its_other_elements_are_bad_records() {
    let body = json!([
        {"orgId": PARTNER, "items": [record("a"), {"x": 1}, 7]},
        {"items": [record("b")], "late/r": [{"Report ID": "", "~": [1]}, record("c")]},
    ]);
    let taken = take(&body);
    assert_eq!(ids(&taken), ["a", "b", "c"]);
    assert_eq!(taken.events[0]["parent_account_id"], PARTNER);
    assert_eq!(taken.events[1]["parent_account_id"], Value::Null);
    let fault = |code, pointer: &str, text: &str| (code, Some(pointer.to_owned()), Some(text.to_owned()));
    assert_eq!(
        taken.faults,
        [
            fault("missing_id", "/0/items/1", r#"{"x":1}"#),
            fault("not_an_object", "/0/items/2", "7"),
            fault("missing_id", "/1/late~1r/0", r#"{"Report ID":"","~":[1]}"#),
        ]
    );
}

#[test]
fn bad_records_are_kept_with_their_exact_text_and_their_neighbours_published() {
    for (text, code) in [
        (r#"{"Report ID" : "b"}"#, "missing_account"),
        (r#"{"Report ID":"b","Org UUID":"NA"}"#, "missing_account"),
        (r#"{"reportId":"na", "orgUuid":"x"}"#, "missing_id"),
        (r#"{"Report ID":["b"],"Org UUID":"x"}"#, "missing_id"),
        ("{\"Report ID\":\"b\\u0007\",\"Org UUID\":\"x\"}", "invalid_id"),
        (r#"{"Report ID":"b","\ud800":1}"#, "missing_account"),
    ] {
        let body = format!("{{\"items\":[{},{text}, {}]}}", record("a"), record("c"));
        let taken = take_with(body.as_bytes(), "", &Privacy::default());
        assert_eq!(ids(&taken), ["a", "c"]);
        assert_eq!(taken.faults, [(code, Some("/items/1".to_owned()), Some(text.to_owned()))]);
    }
}

#[test]
fn the_partner_is_the_envelopes_else_the_configured_one() {
    let envelope = json!({"orgId": PARTNER.to_uppercase(), "data": {"orgId": ORGANISATION, "items": [record("a")]}});
    let configured = "account_id = \"Configured-Partner\"";
    let parent = |body: &Value, account| {
        take_with(body.to_string().as_bytes(), account, &Privacy::default()).events[0]["parent_account_id"].clone()
    };
    assert_eq!(parent(&envelope, configured), PARTNER);
    let bare = json!({"data": {"orgId": ORGANISATION, "items": [record("a")]}});
    assert_eq!(parent(&bare, configured), "configured-partner");
    assert_eq!(parent(&bare, ""), Value::Null);
}

#[test]
fn empty_deliveries_and_foreign_resources_are_nothing() {
    for body in [
        "",
        "[]",
        " [ ] ",
        "{}",
        "{\"items\":[]}",
        "{\"data\":{\"items\":[],\"x\":1},\"records\":[]}",
        "[{\"items\":[]},{\"items\":[]}]",
        "[[]]",
        "[[],[[]],{\"data\":{\"items\":[]}}]",
        "{\"items\":[{\"items\":[]}]}",
    ] {
        assert_eq!(take_with(body.as_bytes(), "", &Privacy::default()), nothing(), "{body}");
    }
    for resource in
        ["memberships", "ATTACHMENTACTIONS", "uc_counters", "controlHubAlerts", "telephony_mwi", "telephony_brand_new"]
    {
        assert_eq!(
            take(&json!({"resource": resource, "event": "created", "data": {"id": "x", "files": [1]}})),
            nothing()
        );
        assert_eq!(take(&json!({"body": {"resource": resource, "data": {"id": "x"}}})), nothing());
    }
    let with_records = json!({"resource": "messages", "data": [record("a")]});
    assert_eq!(ids(&take(&with_records)), ["a"]);
}

#[test]
fn anything_else_is_kept_whole() {
    for (body, code) in [
        (&b"  "[..], "invalid_json"),
        (b"null", "unknown_shape"),
        (b"7", "unknown_shape"),
        (b"[{}]", "unknown_shape"),
        (b"[1,2]", "unknown_shape"),
        (b"[[],1]", "unknown_shape"),
        (b"[{\"items\":[]},{}]", "unknown_shape"),
        (b"[{\"items\":[]},{\"items\":[{\"id\":1}]}]", "unknown_shape"),
        (b"{\"resource\":\"telephonyx\",\"data\":{\"id\":1}}", "unknown_shape"),
        (b"{\"items\":null}", "unknown_shape"),
        (b"{\"items\":[{\"id\":1}]}", "unknown_shape"),
        (b"{\"resource\":\"brand_new\",\"data\":{\"id\":1}}", "unknown_shape"),
        (b"{\"items\":[", "invalid_json"),
        (b"{} {}", "invalid_json"),
        (b"\x00\xff", "invalid_utf8"),
    ] {
        let taken = take_with(body, "", &Privacy::default());
        assert_eq!(
            (taken.events.len(), taken.faults),
            (0, vec![(code, None, None)]),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    let with_mark = [&[0xef, 0xbb, 0xbf], record("a").to_string().as_bytes()].concat();
    assert_eq!(ids(&take_with(&with_mark, "", &Privacy::default())), ["a"]);
}

#[test]
fn bytes_whose_encoding_could_not_be_undone_are_records_if_they_are_some() {
    let taken = |body: &[u8]| {
        let mut taken = (0, Vec::new());
        with_sink(body, "", true, |normalize| {
            normalize(&mut |normalized| {
                taken = (normalized.events.len(), normalized.faults.iter().map(|fault| fault.code).collect());
            });
        });
        taken
    };
    assert_eq!(taken(json!([record("a")]).to_string().as_bytes()), (1, vec![]));
    assert_eq!(taken(json!([record("a"), 1]).to_string().as_bytes()), (1, vec!["not_an_object"]));
    for body in [&b""[..], b"\x1f\x8b\x08nonsense", b"{", b"{\"x\":1}", b"[1]"] {
        assert_eq!(taken(body), (0, vec!["undecodable_body"]), "{body:?}");
    }
}

#[test]
fn a_record_reported_twice_is_one_event_and_a_fresher_one_another() {
    let fresher = merged(record("a"), &json!({"Report time": "2026-02-03T12:15:00.000Z"}));
    let events = take(&json!([record("a"), record("a"), fresher])).events;
    assert_eq!(events[0]["event_id"], events[1]["event_id"]);
    assert_ne!(events[0]["event_id"], events[2]["event_id"]);
}

#[test]
fn personal_fields_that_are_left_over_follow_the_switches() {
    let personal = json!({
        "Report ID": "a", "Org UUID": ORGANISATION, "Caller ID number": "+12025550143", "siteMainNumber": "+12025550199",
        "Auto Attendant Key Pressed": "7", "Transfer type context": "billing", "User": {"first": "Ann"}, "Model": "x",
    });
    let body = json!([personal]).to_string();
    let left = |privacy: &Privacy| take_with(body.as_bytes(), "", privacy).events[0]["provider_data"].clone();
    let open = Privacy { message_text: TextPolicy::Keep, ..Privacy::default() };
    assert_eq!(left(&open).as_object().unwrap().len(), 6);
    let closed = Privacy { numbers: NumberPolicy::Drop, names: NamePolicy::Drop, ..Privacy::default() };
    assert_eq!(left(&closed), json!({"Model": "x"}));
}

#[derive(Debug, Default)]
struct Counting {
    events: usize,
    faults: Vec<&'static str>,
}

impl<'r> Sink<'r> for Counting {
    fn event(&mut self, _: crate::event::Event<'r>) {
        self.events += 1;
    }
    fn fault(&mut self, fault: Fault<'r>) {
        self.faults.push(fault.code);
    }
    fn unmapped(&mut self, _: &'static str) {}
    fn reply(&mut self, _: Reply) {}

    fn misdirected(&mut self, _: &'static str) {}
}

fn count(body: &[u8]) -> Counting {
    let request = RawRequest::new(Method::Post, "/webhooks/w", Time::parse_iso(NOW).unwrap()).with_body(body, false);
    let text = "[[sources]]\nname = \"w\"\nprovider = \"webex\"\nverification = \"none\"\n";
    let loaded = config::load_text("test", text, &config::Environment::new()).unwrap();
    let source = &loaded.settings.sources[0];
    let verified = verify::authenticate(&request, &*source.provider, &source.doors).unwrap();
    let mut counting = Counting::default();
    source.provider.normalize(&verified, &mut counting);
    counting
}

#[test]
fn a_large_interval_is_taken_record_by_record() {
    let body = (INFO.simulations[0].bodies)(&seed(5000, "envelope"))[0].to_string();
    assert!(body.len() > 5000 * 2500, "{}", body.len());
    let counting = count(body.as_bytes());
    assert_eq!((counting.events, counting.faults.len()), (5000, 0));
}

#[test]
fn nesting_and_numbers_of_elements_are_bounded() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    let many = format!("[{}{{}}]", "{},".repeat(300_000));
    for body in [deep, objects, many] {
        assert_eq!(count(body.as_bytes()).faults, ["unknown_shape"]);
    }
    let bad = format!("[{{\"reportId\":1}}{}]", ",1".repeat(100_000));
    let counting = count(bad.as_bytes());
    assert_eq!(counting.faults.len(), 50_001);
    assert_eq!(counting.faults.last(), Some(&"too_many_bad_records"));
}
