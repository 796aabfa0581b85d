//! Who the parties of a message are, on every channel and both ways.

use serde_json::{Value, json};

use super::{event, event_with, inbound, status};
use crate::event::privacy::{NumberPolicy, Privacy};

fn phone(number: &str) -> Value {
    json!({"kind": "phone", "e164": format!("+{number}"), "value": number})
}

fn user_id(id: &str) -> Value {
    json!({"kind": "user_id", "value": id})
}

#[test]
fn our_own_side_of_viber_is_a_service_and_never_a_number() {
    for id in ["16273", "1029384756", "447700900001"] {
        let sent = event(&status(json!({"channel": "viber_service", "from": id})));
        assert_eq!((&sent["from"], &sent["to"]), (&user_id(id), &phone("447700900000")), "{id}");
        let received = event(&inbound(json!({"channel": "viber_service", "to": id})));
        assert_eq!((&received["to"], &received["from"]), (&user_id(id), &phone("447700900000")), "{id}");
        let ours = json!({"type": "viber_service_msg", "number": id});
        let theirs = json!({"type": "viber_service_msg", "number": "447700900000"});
        let old = event(&status(json!({"channel": null, "from": ours, "to": theirs})));
        assert_eq!((&old["from"], &old["to"]), (&user_id(id), &phone("447700900000")), "{id}");
        let message = json!({"content": {"type": "text", "text": "x"}});
        let changes = json!({"channel": null, "message_type": null, "text": null, "message": message, "from": theirs, "to": ours});
        assert_eq!(event(&inbound(changes))["to"], user_id(id), "{id}");
    }
}

#[test]
fn letters_are_a_name_on_our_own_side_and_an_id_on_the_other() {
    let kinds = |event: Value| (event["from"]["kind"].clone(), event["to"]["kind"].clone());
    for channel in ["sms", "mms", "rcs", "viber_service", "whatsapp", "instagram"] {
        let received = event(&inbound(json!({"channel": channel, "from": "ann_smith_1987"})));
        assert_eq!(received["from"], user_id("ann_smith_1987"), "{channel}");
        let sent = event(&status(json!({"channel": channel, "to": "US.13491208655302741918"})));
        assert_eq!(sent["to"], user_id("US.13491208655302741918"), "{channel}");
    }
    for channel in ["sms", "mms", "rcs", "instagram"] {
        let sent = event(&status(json!({"channel": channel, "from": "AcmeAgent"})));
        assert_eq!(sent["from"], json!({"kind": "alphanumeric", "value": "AcmeAgent"}), "{channel}");
        let received = event(&inbound(json!({"channel": channel, "to": "AcmeAgent"})));
        assert_eq!(received["to"], json!({"kind": "alphanumeric", "value": "AcmeAgent"}), "{channel}");
    }
    let withheld = event(&inbound(json!({"from": "anonymous"})));
    assert_eq!(kinds(withheld), (json!("anonymous"), json!("phone")));
    let by_email = event(&inbound(json!({"channel": "email", "from": "a@example.com", "to": "b@example.com"})));
    assert_eq!(kinds(by_email), (json!("email"), json!("email")));
}

#[test]
fn a_whatsapp_party_is_known_by_its_id_else_by_the_number_beside_it() {
    let recipient = |changes: Value| {
        event(&status(json!({"channel": "whatsapp", "to": null, "whatsapp": {"recipient": changes}})))["to"].clone()
    };
    assert_eq!(recipient(json!({"wa_id": "447700900000"})), phone("447700900000"));
    assert_eq!(recipient(json!({"user_id": "US.1349120865", "wa_id": "447700900000"})), user_id("US.1349120865"));
    assert_eq!(recipient(json!({"user_id": "NA", "wa_id": "447700900000"})), phone("447700900000"));
    assert_eq!(recipient(json!({})), json!({"kind": "unknown"}));
    let sender = |changes: Value| {
        event(&inbound(json!({"channel": "whatsapp", "from": null, "whatsapp": {"sender": changes}})))["from"].clone()
    };
    assert_eq!(sender(json!({"wa_id": "447700900000"})), phone("447700900000"));
    assert_eq!(sender(json!({"user_id": "US.1349120865", "wa_id": "447700900000"})), user_id("US.1349120865"));
    let told = event(&status(json!({"channel": "whatsapp", "whatsapp": {"recipient": {"wa_id": "447700900009"}}})));
    assert_eq!(told["to"], phone("447700900000"), "what the status says of itself goes first");
}

#[test]
fn participants_are_numbers_both_ways_and_no_content() {
    let changes = json!({
        "channel": "mms", "mms": {"participants": ["12015550135"]}, "application_id": "a-1",
        "whatsapp": {"waba_id": "102290129340398"},
    });
    for body in [status(changes.clone()), inbound(changes)] {
        let kept = event(&body)["provider_data"].clone();
        assert_eq!(kept["mms"], json!({"participants": ["12015550135"]}));
        assert_eq!((&kept["application_id"], &kept["whatsapp"]["waba_id"]), (&json!("a-1"), &json!("102290129340398")));
        for numbers in [NumberPolicy::Drop, NumberPolicy::Mask] {
            let event = event_with(&Privacy { numbers, ..Privacy::default() }, &body);
            assert!(!event.to_string().contains("2015550135"), "{numbers:?} {event:#}");
            assert_eq!(event["provider_data"].get("mms").is_some(), numbers == NumberPolicy::Mask, "{event:#}");
        }
    }
}
