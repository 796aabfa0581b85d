use serde_json::{Value, json};

use crate::config;
use crate::event::envelope::{Ingest, Mode, Reception};
use crate::event::privacy::{Privacy, TextPolicy};
use crate::event::time::Time;
use crate::provider::Normalized;
use crate::request::{Method, RawRequest};
use crate::verify;

const ID: &str = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab";

mod parties;
mod shapes;

/// Runs a body through a source that checks nothing, and hands over what came of it.
fn with_normalized<T>(body: &[u8], use_it: impl FnOnce(Normalized<'_>) -> T) -> T {
    with_encoded(body, false, use_it)
}

/// Runs a body whose encoding could perhaps not be undone.
fn with_encoded<T>(body: &[u8], undecodable: bool, use_it: impl FnOnce(Normalized<'_>) -> T) -> T {
    let text = "[[sources]]\nname = \"v\"\nprovider = \"vonage\"\naccount_id = \"abcd1234\"\nverification = \"none\"\n";
    let loaded = config::load_text("test", text, &config::Environment::new()).unwrap();
    let source = &loaded.settings.sources[0];
    let request = RawRequest::new(Method::Post, "/webhooks/v", Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap())
        .with_body(body, undecodable);
    let verified = verify::authenticate(&request, &*source.provider, &source.doors).unwrap();
    let mut normalized = Normalized::default();
    source.provider.normalize(&verified, &mut normalized);
    use_it(normalized)
}

fn event_with(privacy: &Privacy, body: &Value) -> Value {
    let ingest = Ingest { via: "webhook", verification: "none", scheme: "none", raw_id: "r".to_owned() };
    let received_at = Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap();
    let origin = Reception { provider: "vonage", source_name: "v", received_at, ingest: &ingest };
    with_normalized(body.to_string().as_bytes(), |mut normalized| {
        assert!(normalized.faults.is_empty(), "{:?}", normalized.faults);
        assert_eq!(normalized.events.len(), 1);
        let record = normalized.events.remove(0).into_record(&origin, privacy, Mode::Binary).unwrap();
        serde_json::from_slice(&record.value).unwrap()
    })
}

fn event(body: &Value) -> Value {
    event_with(&Privacy::default(), body)
}

fn fault_of(body: &[u8]) -> (&'static str, Option<String>) {
    with_normalized(body, |mut normalized| {
        assert!(normalized.events.is_empty());
        let fault = normalized.faults.remove(0);
        (fault.code, fault.pointer)
    })
}

/// A body of the kind that Vonage sends, with changes; `null` removes a member.
fn status(changes: Value) -> Value {
    let mut body = json!({
        "message_uuid": ID, "to": "447700900000", "from": "AcmeInc", "timestamp": "2025-02-03T12:14:25Z",
        "status": "delivered", "channel": "sms",
    });
    merge(&mut body, changes);
    body
}

fn inbound(changes: Value) -> Value {
    let mut body = json!({
        "message_uuid": ID, "to": "447700900001", "from": "447700900000", "timestamp": "2025-02-03T12:14:25Z",
        "channel": "sms", "message_type": "text", "text": "Nexmo Verification code: 64873",
    });
    merge(&mut body, changes);
    body
}

fn merge(body: &mut Value, changes: Value) {
    let Value::Object(changes) = changes else { return };
    let members = body.as_object_mut().unwrap();
    for (name, value) in changes {
        match value {
            Value::Null => drop(members.remove(&name)),
            value => drop(members.insert(name, value)),
        }
    }
}

#[test]
fn a_full_status_becomes_the_published_example() {
    let body = status(json!({
        "client_ref": "my-personal-reference", "usage": {"currency": "EUR", "price": "0.0333"},
        "destination": {"network_code": "23410"}, "sms": {"count_total": "2"},
    }));
    let event = event(&body);
    let expected = json!({
        "schema_version": "1.0", "event_id": "d3fa5714660cf38e50593e20edcf9ce5", "kind": "message_status",
        "provider": "vonage", "product": "messages", "account_id": "abcd1234", "source_name": "v",
        "occurred_at": "2025-02-03T12:14:25Z", "occurred_at_source": "provider",
        "received_at": "2026-02-03T12:14:26.103Z",
        "ingest": {"via": "webhook", "verification": "none", "scheme": "none", "raw_id": "r"},
        "message_id": ID, "channel": "sms", "direction": "outbound",
        "to": {"kind": "phone", "e164": "+447700900000", "value": "447700900000"},
        "from": {"kind": "alphanumeric", "value": "AcmeInc"},
        "status": "delivered", "status_raw": "delivered", "status_rank": 50, "is_final": true,
        "price": {"amount": "0.0333", "currency": "EUR", "currency_assumed": false, "scope": "total"},
        "network": {"mcc": "234", "mnc": "10"}, "parts": 2, "client_ref": "my-personal-reference",
    });
    assert_eq!(event, expected);
}

#[test]
fn statuses_have_their_rank_and_identity() {
    for (word, status_word, rank, is_final) in [
        ("submitted", "sent", 30, false),
        ("delivered", "delivered", 50, true),
        ("read", "read", 60, true),
        ("undeliverable", "failed", 40, true),
        ("rejected", "rejected", 40, true),
        (" Delivered ", "delivered", 50, true),
        ("seen", "unknown", 0, false),
    ] {
        let event = event(&status(json!({"status": word})));
        assert_eq!(
            (&event["status"], &event["status_rank"], &event["is_final"], &event["status_raw"]),
            (&json!(status_word), &json!(rank), &json!(is_final), &json!(word)),
            "{word}"
        );
    }
    let id = |word: &str| event(&status(json!({"status": word})))["event_id"].clone();
    assert_eq!(id("DELIVERED"), id("delivered"));
    assert_eq!(id("Submitted"), id("submitted"));
    assert_ne!(id("submitted"), id("seen"));
}

#[test]
fn unknown_words_are_counted_and_kept() {
    let body = status(json!({"status": "seen", "channel": "telex"}));
    let unmapped = with_normalized(body.to_string().as_bytes(), |normalized| normalized.unmapped);
    assert_eq!(unmapped, ["channel", "status"]);
    let event = event(&body);
    assert_eq!((&event["channel"], &event["provider_data"]), (&json!("other"), &json!({"channel": "telex"})));
}

#[test]
fn version_0_1_is_told_by_its_shape() {
    let event = event(&status(json!({
        "channel": null, "to": {"type": "viber_service_msg", "number": "447700900000"},
        "from": {"type": "viber_service_msg", "id": "447700900001"}, "status": "undeliverable",
        "error": {"code": 1300, "reason": "Not part of the provider network"},
    })));
    assert_eq!(event["channel"], "viber");
    assert_eq!(event["to"], json!({"kind": "phone", "e164": "+447700900000", "value": "447700900000"}));
    assert_eq!(event["from"], json!({"kind": "user_id", "value": "447700900001"}));
    assert_eq!(
        event["error"],
        json!({"code": "1300", "message": "Not part of the provider network", "category": "invalid_destination", "permanent": true})
    );
    assert_eq!(event.get("provider_data"), None);
}

#[test]
fn error_codes_are_found_wherever_vonage_puts_them() {
    let error = |error: Value| event(&status(json!({"status": "rejected", "error": error})));
    let link = "https://developer.vonage.com/api-errors/messages#1000";
    for body in [
        json!({"title": "1000", "type": link, "detail": "Throttled"}),
        json!({"title": 1000, "detail": "Throttled"}),
        json!({"type": link, "detail": "Throttled"}),
        json!({"title": "Throttled", "type": link, "detail": "Throttled"}),
        json!({"code": 1000, "reason": "Throttled"}),
    ] {
        let event = error(body.clone());
        let expected = json!({"code": "1000", "message": "Throttled", "category": "throttled", "permanent": false});
        assert_eq!(event["error"], expected, "{body}");
    }
    let other = error(json!({"title": "9999", "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf"}));
    assert_eq!(other["error"], json!({"code": "9999", "category": "unknown", "permanent": null}));
    assert_eq!(other["provider_data"]["error"]["instance"], "bf0ca0bf927b3b52e3cb03217e1a1ddf");
    assert_eq!(error(json!({})).get("error"), None);
}

#[test]
fn a_rejection_because_time_was_over_is_an_expiry() {
    for code in ["1130", "1360"] {
        let event = event(&status(json!({"status": "rejected", "error": {"title": code}})));
        assert_eq!((&event["status"], &event["status_raw"]), (&json!("expired"), &json!("rejected")));
    }
    let undeliverable = event(&status(json!({"status": "undeliverable", "error": {"title": "1130"}})));
    assert_eq!(undeliverable["status"], "failed");
}

#[test]
fn every_channel_reads_its_addresses_by_its_own_rules() {
    let parties = |channel: &str, to: &str, from: &str| {
        let event = event(&status(json!({"channel": channel, "to": to, "from": from})));
        (event["channel"].clone(), event["to"]["kind"].clone(), event["from"]["kind"].clone())
    };
    let expected = |channel: &str, to: &str, from: &str| (json!(channel), json!(to), json!(from));
    assert_eq!(parties("mms", "447700900000", "447700900001"), expected("mms", "phone", "phone"));
    assert_eq!(parties("rcs", "447700900000", "AcmeAgent"), expected("rcs", "phone", "alphanumeric"));
    assert_eq!(
        parties("whatsapp", "US.13491208655302741918", "447700900001"),
        expected("whatsapp", "user_id", "phone")
    );
    assert_eq!(parties("messenger", "1234567890123", "107083064136738"), expected("messenger", "user_id", "user_id"));
    assert_eq!(parties("viber_service", "447700900000", "16273"), expected("viber", "phone", "user_id"));
    assert_eq!(parties("email", "a@example.com", "Acme <b@example.com>"), expected("email", "email", "email"));
    assert_eq!(parties("sms", "0123456789", "60111"), expected("sms", "unknown", "short_code"));
}

#[test]
fn whatsapp_details_are_mapped_and_the_rest_is_left_at_its_path() {
    let event = event(&status(json!({
        "channel": "whatsapp", "to": null,
        "whatsapp": {
            "pricing": {"type": "regular", "pricing_model": "PMP", "category": "utility"},
            "conversation": {"id": "c-1", "origin": {"type": "service"}, "expires": 5},
            "recipient": {"user_id": "US.13491208655302741918", "wa_id": "447700900000"},
        },
    })));
    assert_eq!(event["to"], json!({"kind": "user_id", "value": "US.13491208655302741918"}));
    assert_eq!(
        event["conversation"],
        json!({"id": "c-1", "origin": "service", "pricing_model": "PMP", "pricing_type": "regular", "category": "utility"})
    );
    let left = json!({"whatsapp": {"conversation": {"expires": 5}, "recipient": {"wa_id": "447700900000"}}});
    assert_eq!(event["provider_data"], left);
}

#[test]
fn segments_and_fallbacks_are_read_in_every_spelling() {
    let event_of = |changes: Value| event(&status(changes));
    let segmented = event_of(json!({"sms": {"total_count": "2", "segments": [{"status": "delivered"}]}}));
    assert_eq!(
        (&segmented["parts"], &segmented["provider_data"]),
        (&json!(2), &json!({"sms": {"segments": [{"status": "delivered"}]}}))
    );
    for workflow in [
        json!({"workflow_id": "w", "items_number": "1", "items_total": "2"}),
        json!({"id": "w", "item_number": "1", "total_items": "2"}),
        json!({"id": "w", "item_number": 1, "items_total": 2}),
    ] {
        let event = event_of(json!({"workflow": workflow}));
        assert_eq!(event["failover"], json!({"id": "w", "item": 1, "total": 2}));
        assert_eq!(event.get("provider_data"), None);
    }
    assert_eq!(event_of(json!({"workflow": {}})).get("failover"), None);
}

#[test]
fn prices_are_exact_and_members_of_a_wrong_type_count_as_absent() {
    let text = status(json!({})).to_string();
    let with_usage = |usage: &str| {
        let body = text.replacen('{', &format!("{{\"usage\":{usage},"), 1);
        event_with(&Privacy::default(), &serde_json::from_str(&body).unwrap())
    };
    assert_eq!(
        with_usage(r#"{"price":"0.033300000000000000001","currency":"EUR"}"#)["price"]["amount"],
        "0.033300000000000000001"
    );
    assert_eq!(with_usage(r#"{"price":"0.0333"}"#)["price"]["currency"], Value::Null);
    let broken = with_usage(r#"{"price":{"amount":"1"},"currency":"EUR"}"#);
    assert_eq!(
        (broken.get("price"), &broken["provider_data"]["usage"]),
        (None, &json!({"price": {"amount": "1"}, "currency": "EUR"}))
    );
    let untimed = event(&status(json!({"timestamp": 5})));
    assert_eq!((&untimed["occurred_at"], &untimed["occurred_at_source"]), (&Value::Null, &json!("received")));
    assert_eq!(untimed["provider_data"], json!({"timestamp": 5}));
}

#[test]
fn inbound_messages_lose_their_text_unless_it_is_to_be_kept() {
    let body = inbound(json!({
        "sms": {"num_messages": "2", "keyword": "NEXMO"}, "origin": {"network_code": "23410"},
        "usage": {"price": "0.0333", "currency": "EUR"}, "context": {"message_uuid": "earlier", "message_from": "447700900001"},
        "profile": {"name": "Ann"}, "_self": {"href": "https://api.nexmo.com/v1/messages/x"},
    }));
    let dropped = event(&body);
    assert_eq!(dropped["kind"], "inbound_message");
    assert_eq!(
        (&dropped["direction"], &dropped["content_type"], &dropped["media"]),
        (&json!("inbound"), &json!("text"), &json!(0))
    );
    assert_eq!((&dropped["parts"], &dropped["in_reply_to"]), (&json!(2), &json!("earlier")));
    assert_eq!((&dropped["from"]["e164"], &dropped["from"]["name"]), (&json!("+447700900000"), &json!("Ann")));
    assert_eq!(dropped["network"], json!({"mcc": "234", "mnc": "10"}));
    assert_eq!(dropped["provider_data"], json!({"context": {"message_from": "447700900001"}}));
    for gone in ["64873", "NEXMO", "https://"] {
        assert!(!dropped.to_string().contains(gone), "{gone}");
    }
    let keep = Privacy { message_text: TextPolicy::Keep, ..Privacy::default() };
    let kept = event_with(&keep, &body);
    assert_eq!(kept["text"], "Nexmo Verification code: 64873");
    assert_eq!(kept["provider_data"]["sms"], json!({"keyword": "NEXMO"}));
    assert_eq!(kept["event_id"], dropped["event_id"]);
}

#[test]
fn every_payload_of_an_inbound_message_is_content_and_no_link_is_published() {
    let keep = Privacy { message_text: TextPolicy::Keep, ..Privacy::default() };
    for (message_type, payload, media, kept) in [
        (
            "image",
            json!({"url": "https://x/y.jpg", "name": "y.jpg", "caption": "secret"}),
            1,
            json!({"name": "y.jpg", "caption": "secret"}),
        ),
        ("sticker", json!({"url": "https://x"}), 1, Value::Null),
        (
            "location",
            json!({"lat": 51.5, "long": -0.1, "name": "secret"}),
            0,
            json!({"lat": 51.5, "long": -0.1, "name": "secret"}),
        ),
        ("reply", json!({"id": "1", "title": "secret"}), 0, json!({"id": "1", "title": "secret"})),
        (
            "button",
            json!({"payload": {"a": "secret"}, "text": "Yes"}),
            0,
            json!({"payload": {"a": "secret"}, "text": "Yes"}),
        ),
        (
            "content",
            json!([{"type": "image", "url": "https://x"}, {"type": "text", "text": "secret"}]),
            2,
            json!([{"type": "image"}, {"type": "text", "text": "secret"}]),
        ),
        ("hologram", json!({"beam": "secret"}), 0, json!({"beam": "secret"})),
    ] {
        let body = inbound(json!({"message_type": message_type, "text": null, message_type: payload}));
        let dropped = event(&body);
        assert_eq!(
            (&dropped["content_type"], &dropped["media"]),
            (&json!(message_type), &json!(media)),
            "{message_type}"
        );
        assert_eq!(dropped.get("provider_data"), None, "{message_type}");
        let shown = event_with(&keep, &body);
        assert_eq!(shown["provider_data"][message_type], kept, "{message_type}");
        assert!(!shown.to_string().contains("https://"), "{message_type}");
    }
}

#[test]
fn inbound_version_0_1_is_read_alike() {
    let event = event(&inbound(json!({
        "channel": null, "message_type": null, "text": null,
        "to": {"type": "whatsapp", "number": "447700900001"}, "from": {"type": "whatsapp", "number": "447700900000"},
        "message": {"content": {"type": "text", "text": "secret"}, "sms": {"num_messages": "1"}},
    })));
    assert_eq!(
        (&event["channel"], &event["content_type"], &event["parts"]),
        (&json!("whatsapp"), &json!("text"), &json!(1))
    );
    assert_eq!(event.get("provider_data"), None);
}

#[test]
fn what_can_not_be_understood_says_why() {
    let with = |changes: Value| status(changes).to_string();
    for (body, code, pointer) in [
        (String::new(), "unknown_shape", None),
        ("{".to_owned(), "invalid_json", None),
        ("[]".to_owned(), "invalid_json", None),
        ("\"text\"".to_owned(), "invalid_json", None),
        ("{} {}".to_owned(), "invalid_json", None),
        ("{}".to_owned(), "unknown_shape", None),
        (r#"{"request_id":"1","status":"completed"}"#.to_owned(), "unknown_shape", None),
        (with(json!({"message_uuid": null})), "missing_id", Some("/message_uuid")),
        (with(json!({"message_uuid": ""})), "missing_id", Some("/message_uuid")),
        (with(json!({"message_uuid": 5})), "missing_id", Some("/message_uuid")),
        (with(json!({"message_uuid": "x".repeat(513)})), "invalid_id", Some("/message_uuid")),
        (with(json!({"message_uuid": "a\u{0}b"})), "invalid_id", Some("/message_uuid")),
        (with(json!({"status": ""})), "missing_status", Some("/status")),
        (with(json!({"status": {"x": 1}})), "missing_status", Some("/status")),
    ] {
        let expected = (code, pointer.map(str::to_owned));
        assert_eq!(fault_of(body.as_bytes()), expected, "{body}");
    }
    assert_eq!(fault_of(&[b'{', 0xff, b'}']).0, "invalid_utf8");
}
