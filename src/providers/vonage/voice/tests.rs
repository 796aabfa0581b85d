use serde_json::{Value, json};

use crate::config::{self, Environment};
use crate::event::envelope::{Ingest, Mode, Reception};
use crate::event::time::Time;
use crate::provider::{Normalized, Reply};
use crate::request::{Method, RawRequest};
use crate::verify;

/// What came of a request.
#[derive(Debug, Default)]
struct Taken {
    events: Vec<Value>,
    faults: Vec<(&'static str, String)>,
    unmapped: Vec<&'static str>,
    reply: Option<Reply>,
    misdirected: bool,
}

fn received<'r>(method: Method) -> RawRequest<'r> {
    RawRequest::new(method, "/webhooks/v", Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap())
}

/// Takes a request at a source that publishes neither numbers nor what was said.
fn take(request: &RawRequest<'_>) -> Taken {
    let text = "[[sources]]\nname = \"v\"\nprovider = \"vonage\"\naccount_id = \"abcd1234\"\nverification = \"none\"\n\
                [sources.privacy]\nnumbers = \"drop\"\n";
    let source = config::load_text("test", text, &Environment::new()).unwrap().settings.sources.remove(0);
    let verified = verify::authenticate(request, &*source.provider, &source.doors).unwrap();
    let mut normalized = Normalized::default();
    source.provider.normalize(&verified, &mut normalized);
    let ingest = Ingest { via: "webhook", verification: "none", scheme: "none", raw_id: "raw".to_owned() };
    let received_at = request.received_at;
    let reception = Reception { provider: "vonage", source_name: "v", received_at, ingest: &ingest };
    let value = |event: crate::event::Event<'_>| {
        serde_json::from_slice(&event.into_record(&reception, &source.privacy, Mode::Binary).unwrap().value).unwrap()
    };
    Taken {
        events: normalized.events.into_iter().map(value).collect(),
        faults: normalized.faults.into_iter().map(|fault| (fault.code, fault.message)).collect(),
        unmapped: normalized.unmapped,
        reply: normalized.reply,
        misdirected: normalized.misdirected.is_some(),
    }
}

fn take_json(body: &Value) -> Taken {
    take(&received(Method::Post).with_body(body.to_string().as_bytes(), false))
}

/// The call event of a body.
fn event(body: &Value) -> Value {
    let mut taken = take_json(body);
    assert!(!taken.events.is_empty() && taken.faults.is_empty(), "{taken:?}");
    taken.events.remove(0)
}

fn call(members: Value) -> Value {
    let mut call = json!({
        "uuid": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "conversation_uuid": "CON-2541d01c-253e-48be-a8e0-000000000001",
        "timestamp": "2026-02-03T12:14:25.103Z",
    });
    let Value::Object(members) = members else { panic!("{members}") };
    call.as_object_mut().unwrap().extend(members);
    call
}

#[test]
fn an_end_is_told_by_its_detail_then_by_its_sip_code_and_then_by_its_word() {
    for (status, detail, sip_code, outcome) in [
        ("busy", "", 0, "busy"),
        ("BUSY", "", 0, "busy"),
        ("cancelled", "", 0, "canceled"),
        ("canceled", "", 0, "canceled"),
        ("unanswered", "", 0, "no_answer"),
        ("timeout", "", 0, "no_answer"),
        ("rejected", "", 0, "rejected"),
        ("failed", "", 0, "failed"),
        ("unanswered", "unavailable", 487, "unreachable"),
        ("unanswered", "timeout", 0, "no_answer"),
        ("unanswered", "carrier_timeout", 0, "no_answer"),
        ("rejected", "invalid_number", 0, "invalid_number"),
        ("rejected", "restricted", 0, "rejected"),
        ("rejected", "declined", 0, "rejected"),
        ("failed", "cannot_route", 0, "failed"),
        ("failed", "number_out_of_service", 0, "unreachable"),
        ("failed", "internal_error", 0, "failed"),
        ("failed", "brand_new", 486, "busy"),
        ("failed", "brand_new", 0, "failed"),
        ("unanswered", "", 480, "unreachable"),
        ("unanswered", "", 408, "no_answer"),
        ("failed", "", 404, "invalid_number"),
        ("failed", "", 485, "invalid_number"),
        ("failed", "", 503, "failed"),
        ("failed", "", 488, "failed"),
        ("rejected", "", 603, "rejected"),
        ("busy", "", 600, "busy"),
        ("busy", "", 200, "busy"),
        ("busy", "", 99_999, "busy"),
        ("completed", "", 0, "unknown"),
        ("completed", "", 200, "unknown"),
        ("completed", "", 487, "canceled"),
        ("completed", "declined", 200, "rejected"),
    ] {
        let event = event(&call(json!({"status": status, "detail": detail, "sip_code": sip_code, "duration": "0"})));
        let told = format!("{status} {detail} {sip_code}");
        assert_eq!((&event["event"], &event["outcome"]), (&json!("ended"), &json!(outcome)), "{told}");
        let answered = if outcome == "unknown" { Value::Null } else { json!(false) };
        assert_eq!((&event["answered"], &event["talk_ms"]), (&answered, &Value::Null), "{told}");
    }
}

#[test]
fn a_call_that_lasted_was_answered_whatever_else_is_told() {
    for (duration, talk_ms) in [(json!("7"), 7000), (json!(7), 7000), (json!("7.5"), 7500), (json!("0.5"), 500)] {
        let taken = take_json(&call(json!({"status": "completed", "duration": duration, "sip_code": 486})));
        for event in &taken.events {
            assert_eq!(event["outcome"], "answered");
            assert_eq!((&event["answered"], &event["talk_ms"]), (&json!(true), &json!(talk_ms)));
        }
        assert_eq!(taken.events.len(), 2);
    }
    let busy = event(&call(json!({"status": "busy", "duration": "7"})));
    assert_eq!((&busy["outcome"], &busy["talk_ms"]), (&json!("busy"), &Value::Null), "nobody talked");
}

#[test]
fn only_what_is_completed_makes_a_record() {
    for status in ["started", "ringing", "answered", "busy", "cancelled", "unanswered", "rejected", "failed", "timeout"]
    {
        assert_eq!(take_json(&call(json!({"status": status}))).events.len(), 1, "{status}");
    }
    let taken = take_json(&call(json!({"status": " Completed"})));
    let kinds: Vec<_> = taken.events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["call_event", "call_record"]);
    assert_eq!(taken.events[1]["state"], "provisional");
}

#[test]
fn a_leg_has_one_id_however_it_is_written() {
    let written = ["0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"];
    for (name, id) in [("uuid", written[0]), ("uuid", written[1]), ("call_uuid", written[0])] {
        let mut body = json!({"status": "completed", "timestamp": "2026-02-03T12:14:25.103Z"});
        body[name] = json!(id);
        let taken = take_json(&body);
        assert_eq!((&taken.events[0]["leg_id"], &taken.events[0]["call_id"]), (&json!(written[1]), &json!(written[1])));
        assert_eq!(taken.events[1]["record_id"], written[1]);
    }
    let both = event(&json!({"uuid": "A", "call_uuid": "B", "recording_uuid": "C", "status": "human"}));
    assert_eq!((&both["leg_id"], &both["recording_id"]), (&json!("a"), &json!("C")));
    let conversation = event(&json!({"conversation_uuid": "CON-A", "reason": "x"}));
    assert_eq!((&conversation["leg_id"], &conversation["call_id"]), (&json!("CON-A"), &json!("CON-A")));
}

#[test]
fn what_can_not_be_an_id_is_a_fault() {
    for id in [json!("a\u{0}b"), json!("x".repeat(513))] {
        let taken = take_json(&json!({"uuid": id, "status": "ringing"}));
        assert_eq!((taken.events.len(), taken.faults[0].0), (0, "invalid_id"));
    }
    for nothing in [json!(""), json!(null), json!("NA"), json!({})] {
        let taken = take_json(&json!({"uuid": nothing, "status": "ringing"}));
        assert_eq!((taken.events.len(), taken.faults[0].0), (0, "missing_id"));
    }
}

#[test]
fn events_of_one_sort_are_told_apart_by_their_time_else_by_their_bytes() {
    let id = |body: &Value| event(body)["event_id"].clone();
    let first = call(json!({"dtmf": {"digits": "1"}}));
    let again = call(json!({"dtmf": {"digits": "1"}, "brand_new": 1}));
    let later = call(json!({"dtmf": {"digits": "1"}, "timestamp": "2026-02-03T12:14:26.103Z"}));
    assert_eq!(id(&first), id(&again), "a copy that knows more is the same event");
    assert_ne!(id(&first), id(&later));
    let (one, other) = (json!({"uuid": "a", "dtmf": {"digits": "1"}}), json!({"uuid": "a", "dtmf": {"digits": "2"}}));
    assert_eq!(id(&one), id(&one));
    assert_ne!(id(&one), id(&other), "nothing but the bytes tells them apart");
}

#[test]
fn a_get_tells_the_same_as_a_post() {
    let query =
        "uuid=a&conversation_uuid=CON-A&status=completed&duration=7&price=0.1&timestamp=2026-02-03T12%3A14%3A25Z";
    let body = json!({"uuid": "a", "conversation_uuid": "CON-A", "status": "completed", "duration": "7", "price": "0.1",
        "timestamp": "2026-02-03T12:14:25Z"});
    let ids = |taken: Taken| taken.events.iter().map(|event| event["event_id"].clone()).collect::<Vec<_>>();
    let by_get = ids(take(&received(Method::Get).with_query(query)));
    assert_eq!(by_get.len(), 2);
    assert_eq!(by_get, ids(take_json(&body)));
}

#[test]
fn what_was_said_pressed_or_sent_along_is_content_also_as_text_in_a_parameter() {
    for content in ["dtmf", "speech", "payload"] {
        let query = format!("uuid=a&conversation_uuid=CON-A&timestamp=x&{content}=%7B%22digits%22%3A%22123456%22%7D");
        let taken = take(&received(Method::Get).with_query(&query));
        assert_eq!(taken.events.len(), 1);
        assert!(!taken.events[0].to_string().contains("123456"), "{:#}", taken.events[0]);
        let taken = take_json(&call(json!({content: {"digits": "123456", "x": [{"y": "447700900000"}]}})));
        let text = taken.events[0].to_string();
        assert!(!text.contains("123456") && !text.contains("447700900000"), "{text}");
    }
}

#[test]
fn links_to_recordings_and_sockets_are_in_no_event() {
    for body in [
        call(json!({"recording_url": "https://api.nexmo.com/v1/files/1", "recording_uuid": "r"})),
        call(json!({"status": "transcribed", "transcription_url": "https://api.nexmo.com/v1/files/1"})),
        call(json!({"status": "disconnected", "to": "wss://app.example.com/socket"})),
        call(json!({"status": "completed", "brand_new": "api.nexmo.com/v1/files/1", "to": "ws://app.example.com"})),
    ] {
        for event in take_json(&body).events {
            let text = event.to_string();
            assert!(!text.contains("/files/") && !text.contains("app.example.com"), "{text}");
        }
    }
}

#[test]
fn a_caller_from_an_app_is_a_user_and_a_sip_address_is_one() {
    let keep = |body: &Value| event(body)["from"]["kind"].clone();
    assert_eq!(keep(&call(json!({"status": "started", "from_user": "ann"}))), "user_id");
    assert_eq!(keep(&call(json!({"status": "started", "from": "sip:ann@example.com"}))), "sip");
    assert_eq!(keep(&call(json!({"status": "started", "from": "anonymous"}))), "anonymous");
    assert_eq!(keep(&call(json!({"status": "started", "from": null}))), "unknown");
}

#[test]
fn who_hung_up_is_told_in_terms_of_the_call() {
    for (direction, by, hangup_by) in [
        ("inbound", "user", "caller"),
        ("outbound", "user", "callee"),
        ("", "user", "unknown"),
        ("outbound", "PLATFORM", "platform"),
        ("outbound", "somebody", "unknown"),
    ] {
        let taken = take_json(&call(json!({"status": "completed", "direction": direction, "disconnected_by": by})));
        assert_eq!(taken.events[1]["hangup_by"], hangup_by, "{direction} {by}");
        assert_eq!(taken.unmapped.contains(&"disconnected_by"), by == "somebody");
    }
}

#[test]
fn words_that_are_in_no_map_are_counted_once_and_kept() {
    let taken = take_json(&call(json!({"status": "parked", "direction": "sideways"})));
    assert_eq!(taken.unmapped, ["status", "direction"]);
    assert_eq!((&taken.events[0]["event"], &taken.events[0]["event_raw"]), (&json!("other"), &json!("parked")));
    assert_eq!(taken.events[0]["provider_data"]["direction"], "sideways");
    let taken = take_json(&call(json!({"status": "completed", "detail": "brand_new"})));
    assert_eq!(taken.unmapped, ["detail"], "not once more for the record");
    assert_eq!(taken.events[1]["outcome_raw"], "completed/brand_new");
    let taken = take_json(&call(json!({"type": "brand_new"})));
    assert_eq!((taken.unmapped, &taken.events[0]["event_raw"]), (vec!["status"], &json!("brand_new")));
}

#[test]
fn the_question_what_to_do_with_a_call_is_answered_and_is_no_event() {
    let of_answer = "to=442079460000&from=447700900000&uuid=a&conversation_uuid=CON-A";
    let of_fallback = json!({"reason": "timeout", "original_request": {"url": "https://app.example.com", "type": "answer"},
        "uuid": "a", "conversation_uuid": "CON-A", "from": "447700900000", "to": "442079460000"});
    let of_app = json!({"from_user": "ann", "uuid": "a", "conversation_uuid": "CON-A", "custom_data": "{}"});
    for taken in [
        take(&received(Method::Get).with_query(of_answer)),
        take(&received(Method::Get).with_query(&format!("{of_answer}&endpoint_type=phone&SipHeader_X-Key=1"))),
        take(&received(Method::Get).with_query(&format!("{of_answer}&reason=timeout&original_request=%7B%7D"))),
        take_json(&of_fallback),
        take_json(&of_app),
    ] {
        assert_eq!((taken.events.len(), taken.faults.len(), taken.misdirected), (0, 0, true), "{taken:?}");
        assert_eq!(taken.reply, Some(Reply { content_type: "application/json", body: "[]" }));
    }
    let event = take_json(&call(json!({"status": "started", "from": "447700900000"})));
    assert_eq!((event.reply, event.misdirected), (None, false));
}

#[test]
fn what_is_neither_an_event_nor_a_question_is_no_webhook_of_voice() {
    for body in [
        json!({"dispatch_uuid": "1", "_links": {}, "uuid": "2", "status": "ringing"}),
        json!({"conversation_id": "CON-1", "type": "rtc:status", "timestamp": "x", "uuid": "MEM-1"}),
        json!({"request_id": "1", "status": "completed", "uuid": "2"}),
        json!({"uuid": "a"}),
        json!({"uuid": "a", "conversation_uuid": "CON-A"}),
        json!({"conversation_uuid": "CON-A", "from": "447700900000"}),
    ] {
        let taken = take_json(&body);
        assert_eq!((taken.faults[0].0, taken.events.len(), taken.reply), ("unknown_shape", 0, None), "{body}");
    }
    assert!(take_json(&json!({"uuid": "a"})).faults[0].1.contains("the Voice API, and tells nothing"));
}
