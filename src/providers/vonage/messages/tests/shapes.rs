//! Bodies as they were met: what they are, and how their values are spelled.

use serde_json::{Value, json};

use super::{ID, event, fault_of, inbound, status, with_encoded, with_normalized};

fn message_of(body: &Value) -> String {
    assert_eq!(fault_of(body.to_string().as_bytes()), ("unknown_shape", None), "{body}");
    with_normalized(body.to_string().as_bytes(), |mut normalized| normalized.faults.remove(0).message)
}

#[test]
fn webhooks_of_other_products_are_told_by_name() {
    for (body, product) in [
        (json!({"request_id": "r", "type": "event", "channel": "sms", "status": "expired"}), "Verify"),
        (json!({"request_id": "r", "type": "summary", "status": "completed", "workflow": []}), "Verify"),
        (json!({"dispatch_uuid": "d", "status": "completed"}), "Dispatch"),
        (json!({"type": "member:joined", "conversation_id": "CON-1", "body": {}}), "Conversation"),
        (json!({"request_id": "r", "request_status": "SUCCESS", "product": "SMS"}), "Reports"),
    ] {
        assert!(message_of(&body).contains(product), "{body}: {}", message_of(&body));
    }
    assert_eq!(message_of(&json!({"x": 1})), "the request is no webhook of the Messages, SMS or Voice API");
    let of_messages = json!({"request_id": "r", "message_uuid": ID, "channel": "sms", "status": "delivered"});
    assert_eq!(event(&of_messages)["message_id"], ID);
}

#[test]
fn a_form_is_no_webhook_of_messages() {
    let form = format!("message_uuid={ID}&channel=sms&status=delivered");
    assert_eq!(fault_of(form.as_bytes()), ("unknown_shape", None));
    assert_eq!(fault_of(b"not json").0, "invalid_json");
    assert_eq!(fault_of(b"[\"a=b\"]").0, "invalid_json");
}

#[test]
fn bytes_whose_encoding_could_not_be_undone_are_an_event_if_they_are_one() {
    let taken = |body: &[u8]| {
        with_encoded(body, true, |normalized| {
            (normalized.events.len(), normalized.faults.iter().map(|fault| fault.code).collect::<Vec<_>>())
        })
    };
    assert_eq!(taken(status(json!({})).to_string().as_bytes()), (1, vec![]));
    for body in [&b"\x1f\x8b\x08nonsense"[..], b"", b"{", b"{}", b"a=b"] {
        assert_eq!(taken(body), (0, vec!["undecodable_body"]), "{body:?}");
    }
}

#[test]
fn words_for_nothing_are_absent() {
    for nothing in ["", "NA", "na", "N/A", "null", "\"null\""] {
        let event = event(&status(json!({
            "client_ref": nothing, "from": nothing, "usage": {"price": nothing, "currency": nothing},
            "destination": {"network_code": nothing}, "error": {"title": nothing, "detail": nothing},
        })));
        assert_eq!(event["from"], json!({"kind": "unknown"}), "{nothing}");
        for member in ["client_ref", "price", "network", "error", "provider_data"] {
            assert_eq!(event.get(member), None, "{member} {nothing}: {event:#}");
        }
        let body = status(json!({"message_uuid": nothing})).to_string();
        assert_eq!(fault_of(body.as_bytes()).0, "missing_id", "{nothing}");
    }
    assert_eq!(event(&status(json!({"client_ref": "None"})))["client_ref"], "None");
    assert_eq!(event(&status(json!({"client_ref": "-"})))["client_ref"], "-");
}

#[test]
fn what_somebody_wrote_is_no_word_for_nothing() {
    use crate::event::privacy::{Privacy, TextPolicy};
    let keep = Privacy { message_text: TextPolicy::Keep, ..Privacy::default() };
    for text in ["NA", "null", "n/a"] {
        assert_eq!(super::event_with(&keep, &inbound(json!({"text": text})))["text"], text);
    }
}

#[test]
fn whole_numbers_are_counts_however_they_are_written() {
    for (count, parts) in [(json!(2.0), 2), (json!("2.0"), 2), (json!("2E0"), 2), (json!("20e-1"), 2), (json!(2), 2)] {
        let event = event(&status(json!({
            "sms": {"count_total": count}, "workflow": {"id": "w", "item_number": count, "total_items": count},
        })));
        assert_eq!(event["parts"], parts, "{count}");
        assert_eq!(event["failover"], json!({"id": "w", "item": parts, "total": parts}), "{count}");
    }
    let odd = event(&status(json!({"sms": {"count_total": "2.5"}})));
    assert_eq!((odd.get("parts"), &odd["provider_data"]), (None, &json!({"sms": {"count_total": "2.5"}})));
    let code = |title: Value| event(&status(json!({"status": "rejected", "error": {"title": title}})))["error"].clone();
    for title in [json!(1000.0), json!("1000.0"), json!("1E3")] {
        assert_eq!((&code(title.clone())["code"], &code(title)["category"]), (&json!("1000"), &json!("throttled")));
    }
}

#[test]
fn a_title_that_is_a_sentence_is_no_code() {
    let link = |fragment: &str| format!("https://developer.vonage.com/api-errors/messages#{fragment}");
    let error = |error: Value| event(&status(json!({"status": "rejected", "error": error})));
    for (fragment, code) in [("1000", "1000"), ("invalid-params", "invalid-params")] {
        let event = error(json!({"title": "You are being throttled", "type": link(fragment), "detail": "d"}));
        assert_eq!(event["error"]["code"], code);
        assert_eq!(event["provider_data"]["error"], json!({"title": "You are being throttled"}));
    }
    for link in [link(""), link("two words"), "https://developer.vonage.com/api-errors".to_owned()] {
        let event = error(json!({"title": "You are being throttled", "type": link, "detail": "d"}));
        assert_eq!(event["error"], json!({"message": "d", "category": "unknown", "permanent": null}), "{link}");
    }
    assert_eq!(error(json!({"title": "Throttled"}))["error"]["code"], "Throttled");
}

#[test]
fn a_network_is_told_by_codes_or_by_a_name() {
    let network = |code: Value| event(&status(json!({"destination": {"network_code": code}})));
    assert_eq!(network(json!("23410"))["network"], json!({"mcc": "234", "mnc": "10"}));
    assert_eq!(network(json!("US-TOLL-FREE"))["network"], json!({"name": "US-TOLL-FREE"}));
    let inbound = event(&inbound(json!({"origin": {"network_code": "GB-FIXED"}})));
    assert_eq!(inbound["network"], json!({"name": "GB-FIXED"}));
    let odd = network(json!("2341"));
    assert_eq!((odd.get("network"), &odd["provider_data"]["destination"]["network_code"]), (None, &json!("2341")));
}

#[test]
fn a_time_without_a_zone_is_utc() {
    for time in ["2025-02-03 12:14:25", "2025-02-03T12:14:25", "2025-02-03T12:14:25.000Z", "2025-02-03T13:14:25+0100"] {
        let event = event(&status(json!({"timestamp": time})));
        assert_eq!(event["occurred_at"], "2025-02-03T12:14:25Z", "{time}");
    }
}

#[test]
fn a_played_message_has_a_status_that_nobody_knows() {
    let body = status(json!({"status": "played"}));
    let unmapped = with_normalized(body.to_string().as_bytes(), |normalized| normalized.unmapped);
    assert_eq!(unmapped, ["status"]);
    let event = event(&body);
    assert_eq!((&event["status"], &event["status_rank"]), (&json!("unknown"), &json!(0)));
}

#[test]
fn payloads_that_lack_something_are_events_all_the_same() {
    let button = event(&inbound(json!({"message_type": "button", "text": null, "button": {"text": "Yes"}})));
    assert_eq!(button["content_type"], "button");
    let old = json!({
        "channel": null, "message_type": null, "text": null, "to": {"type": "whatsapp", "number": "447700900001"},
        "from": {"type": "whatsapp", "number": "447700900000"}, "message": {"content": {"type": "unsupported"}},
    });
    assert_eq!(event(&inbound(old))["content_type"], "unsupported");
}

#[test]
fn a_message_sent_again_with_another_time_is_one_event() {
    let id = |body: Value| event(&body)["event_id"].clone();
    let later = json!({"timestamp": "2025-02-03T12:20:00Z"});
    assert_eq!(id(status(json!({}))), id(status(later.clone())));
    assert_eq!(id(inbound(json!({}))), id(inbound(later)));
}
