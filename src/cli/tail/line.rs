//! One event in one readable line.

use serde_json::Value;

/// The event of a record's value. In structured mode it is inside the CloudEvent.
pub(in crate::cli) fn event_in(value: &Value) -> &Value {
    value.get("data").filter(|_| value.get("specversion").is_some()).unwrap_or(value)
}

/// Time, kind, what happened, between whom, and the id.
pub(in crate::cli) fn of(event: &Value) -> String {
    let time = text(event, "/occurred_at").or_else(|| text(event, "/received_at")).unwrap_or_default();
    let kind = text(event, "/kind").unwrap_or_default();
    let what = match kind.as_str() {
        "message_status" => message_status(event),
        "inbound_message" => inbound_message(event),
        "call_event" => call_event(event),
        "call_record" => call_record(event),
        "usage_record" => usage_record(event),
        "dead_letter" => dead_letter(event),
        "raw" => raw(event),
        _ => Vec::new(),
    };
    let origin = [text(event, "/provider"), text(event, "/account_id").or_else(|| text(event, "/source_name"))];
    let origin: Vec<String> = origin.into_iter().flatten().collect();
    format!("{time:<27} {kind:<15} {:<18} {}", origin.join("/"), what.join("  "))
}

fn message_status(event: &Value) -> Vec<String> {
    let status = text(event, "/status").unwrap_or_default();
    let raw = text(event, "/status_raw").filter(|raw| *raw != status).map(|raw| format!("({raw})"));
    let mut parts = vec![format!("{status:<9}")];
    parts.extend(raw);
    parts.extend(text(event, "/channel"));
    parts.push(parties(event));
    parts.extend(
        text(event, "/error/code")
            .map(|code| format!("error {code} {}", text(event, "/error/category").unwrap_or_default())),
    );
    parts.extend(price(event));
    parts.extend(text(event, "/message_id"));
    parts
}

fn inbound_message(event: &Value) -> Vec<String> {
    let mut parts = vec![format!("{:<9}", text(event, "/content_type").unwrap_or_default())];
    parts.extend(text(event, "/channel"));
    parts.push(parties(event));
    parts.extend(text(event, "/text").map(|text| format!("{text:?}")));
    parts.extend(text(event, "/message_id"));
    parts
}

fn call_event(event: &Value) -> Vec<String> {
    let mut parts = vec![format!("{:<9}", text(event, "/event").unwrap_or_default())];
    parts.extend(text(event, "/outcome"));
    parts.extend(text(event, "/direction"));
    parts.push(parties(event));
    parts.extend(seconds(event, "/talk_ms").map(|talk| format!("talk {talk}")));
    parts.extend(text(event, "/call_id"));
    parts
}

fn call_record(event: &Value) -> Vec<String> {
    let mut parts = vec![format!("{:<9}", text(event, "/outcome").unwrap_or_default())];
    parts.extend(text(event, "/state").filter(|state| state != "final"));
    parts.extend(text(event, "/direction"));
    parts.push(parties(event));
    parts.extend(seconds(event, "/talk_ms").map(|talk| format!("talk {talk}")));
    parts.extend(price(event));
    parts.extend(text(event, "/record_id"));
    parts
}

fn usage_record(event: &Value) -> Vec<String> {
    let mut parts: Vec<String> = text(event, "/product").into_iter().collect();
    parts.extend(text(event, "/status_raw"));
    parts.extend((event.get("from").is_some() || event.get("to").is_some()).then(|| parties(event)));
    parts.extend(price(event));
    parts.extend(text(event, "/row_id"));
    parts
}

/// Milliseconds as seconds, for people.
fn seconds(event: &Value, pointer: &str) -> Option<String> {
    let milliseconds = event.pointer(pointer)?.as_u64()?;
    Some(format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000))
}

fn dead_letter(event: &Value) -> Vec<String> {
    let reason = text(event, "/reason/code").unwrap_or_default();
    let message = text(event, "/reason/message").unwrap_or_default();
    vec![reason, message, text(event, "/dead_letter_id").unwrap_or_default()]
}

fn raw(event: &Value) -> Vec<String> {
    ["/request/method", "/request/path", "/raw_id"].iter().filter_map(|pointer| text(event, pointer)).collect()
}

fn parties(event: &Value) -> String {
    format!("{} -> {}", party(event, "from"), party(event, "to"))
}

fn party(event: &Value, name: &str) -> String {
    let shown = ["e164", "masked", "value", "hash", "kind"];
    let found = shown.iter().find_map(|member| text(event, &format!("/{name}/{member}")));
    found.unwrap_or_else(|| "?".to_owned())
}

fn price(event: &Value) -> Option<String> {
    let currency = text(event, "/price/currency").unwrap_or_default();
    Some(format!("{} {currency}", text(event, "/price/amount")?))
}

/// A member as text. Control characters of a sender's text must not reach a terminal.
fn text(event: &Value, pointer: &str) -> Option<String> {
    let text = match event.pointer(pointer)? {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_told_in_one_line_without_control_characters() {
        let line = of(&json!({
            "kind": "message_status", "occurred_at": "2026-02-03T12:14:25Z", "provider": "vonage", "account_id": "demo",
            "status": "expired", "status_raw": "rejected", "channel": "sms", "message_id": "id\u{1b}[2J",
            "from": {"kind": "alphanumeric", "value": "AcmeInc"}, "to": {"kind": "phone", "e164": "+447700900000"},
            "error": {"code": "1130", "category": "expired"}, "price": {"amount": "0.0333", "currency": "EUR"}
        }));
        for part in [
            "2026-02-03T12:14:25Z",
            "vonage/demo",
            "expired",
            "(rejected)",
            "AcmeInc -> +447700900000",
            "error 1130",
            "0.0333 EUR",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!line.contains('\u{1b}') && !line.contains('\n'));
    }

    #[test]
    fn a_usage_record_tells_its_parties_only_where_it_has_some() {
        let mut record = json!({
            "kind": "usage_record", "received_at": "2026-02-03T12:14:25Z", "provider": "vonage", "account_id": "demo",
            "product": "verify-api", "status_raw": "SUCCESS", "row_id": "row-1",
            "price": {"amount": "0.05", "currency": "EUR"}
        });
        assert!(of(&record).ends_with("verify-api  SUCCESS  0.05 EUR  row-1"), "{}", of(&record));
        record["to"] = json!({"kind": "phone", "e164": "+447700900000"});
        assert!(of(&record).contains("SUCCESS  ? -> +447700900000"), "{}", of(&record));
    }
}
