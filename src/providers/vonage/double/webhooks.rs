//! The webhooks of the same facts.

use serde_json::{Value, json};

use super::traffic::{Item, RING_MS, Sort, Traffic, time};

/// What Vonage sends of a fact: JSON, whatever it is of.
pub(super) fn body(traffic: &Traffic, item: &Item) -> Value {
    match item.sort {
        Sort::MessageOut => status(traffic, item),
        Sort::MessageIn => inbound(traffic, item),
        Sort::SmsOut => receipt(traffic, item),
        Sort::SmsIn => inbound_sms(traffic, item),
        Sort::Call | Sort::Verification => completed(traffic, item),
    }
}

fn status(traffic: &Traffic, item: &Item) -> Value {
    let mut body = json!({
        "message_uuid": traffic.id(item), "to": traffic.customer(item), "from": "447700900001", "channel": "sms",
        "timestamp": time(item.over_ms).to_string(), "status": if item.is_good { "delivered" } else { "rejected" },
        "client_ref": format!("order-{}", item.number), "destination": {"network_code": "23410"},
        "usage": {"currency": "EUR", "price": "0.0333"},
    });
    if !item.is_good {
        let link = "https://developer.vonage.com/api-errors/messages#1420";
        body["error"] = json!({"type": link, "title": 1420, "detail": "Invalid sender", "instance": traffic.id(item)});
    }
    body
}

fn inbound(traffic: &Traffic, item: &Item) -> Value {
    json!({
        "channel": "sms", "message_uuid": traffic.id(item), "to": "447700900001", "from": traffic.customer(item),
        "timestamp": time(item.at_ms).to_string(), "message_type": "text", "text": "Hello from the double",
        "usage": {"currency": "EUR", "price": "0.0333"}, "origin": {"network_code": "23410"},
    })
}

fn receipt(traffic: &Traffic, item: &Item) -> Value {
    json!({
        "msisdn": traffic.customer(item), "to": "447700900001", "network-code": "23410", "messageId": traffic.id(item),
        "price": "0.03330000", "status": if item.is_good { "delivered" } else { "failed" },
        "err-code": if item.is_good { "0" } else { "6" }, "message-timestamp": without_zone(item.over_ms),
    })
}

fn inbound_sms(traffic: &Traffic, item: &Item) -> Value {
    json!({
        "msisdn": traffic.customer(item), "to": "447700900001", "messageId": traffic.id(item), "type": "text",
        "text": "Hello from the double", "keyword": "HELLO", "message-timestamp": without_zone(item.at_ms),
    })
}

fn completed(traffic: &Traffic, item: &Item) -> Value {
    let answered = item.is_good.then(|| time(item.at_ms + RING_MS).to_string());
    json!({
        "uuid": traffic.id(item), "conversation_uuid": format!("CON-{}", traffic.id(item)), "status": "completed",
        "direction": "outbound", "from": "447700900001", "to": traffic.customer(item), "start_time": answered,
        "end_time": time(item.over_ms).to_string(), "timestamp": time(item.over_ms).to_string(),
        "duration": Traffic::talk_s(item).to_string(), "rate": "0.01440000",
        "price": if item.is_good { "0.00720000" } else { "0" }, "network": "GB-FIXED",
        "sip_code": if item.is_good { 200 } else { 486 },
    })
}

/// The SMS API writes times in UTC without saying so.
fn without_zone(moment_ms: i64) -> String {
    time(moment_ms).to_string().trim_end_matches('Z').replace('T', " ")
}
