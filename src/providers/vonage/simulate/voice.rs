//! Acting as Vonage's Voice API: every event of a call, and a whole call.
//!
//! Source: Vonage, "Webhook reference" of the Voice API, and captures in the tests of the vendor's library for PHP.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::event::time::Time;
use crate::provider::simulate::{Encoding, Seed};

pub(super) const ENCODINGS: &[Encoding] = &[Encoding::Json, Encoding::Get];

/// The events, and `call`: a whole call in order.
pub(super) const SHAPES: &[&str] = &[
    "completed",
    "started",
    "ringing",
    "answered",
    "busy",
    "cancelled",
    "unanswered",
    "rejected",
    "failed",
    "timeout",
    "human",
    "machine",
    "disconnected",
    "record",
    "transcription",
    "input",
    "transfer",
    "notify",
    "error",
    "call",
];

const RING_MS: i64 = 8_000;
const TALK_MS: i64 = 30_000;

/// The webhooks of a shape, in the order in which they are sent. A call ends now, so that none of its times lies in the
/// future.
pub(super) fn bodies(seed: &Seed) -> Vec<Value> {
    let now_ms = seed.now.unix_ms();
    let answered_at_ms = now_ms - TALK_MS;
    match seed.shape.as_str() {
        "call" => vec![
            event(seed, "started", answered_at_ms - RING_MS),
            event(seed, "ringing", answered_at_ms - RING_MS + 120),
            event(seed, "answered", answered_at_ms),
            event(seed, "completed", now_ms),
        ],
        "" => vec![event(seed, "completed", now_ms)],
        shape => vec![event(seed, shape, now_ms)],
    }
}

fn event(seed: &Seed, shape: &str, at_ms: i64) -> Value {
    let mut event = match shape {
        "human" | "machine" => of_a_leg(seed, "call_uuid"),
        "record" | "transcription" => of_a_recording(seed),
        "transfer" => json!({"uuid": leg_id(seed)}),
        "notify" | "error" => json!({"conversation_uuid": conversation_id(seed)}),
        _ => of_a_leg(seed, "uuid"),
    };
    extend(&mut event, told_by(seed, shape));
    extend(&mut event, json!({"timestamp": iso_ms(at_ms)}));
    event
}

/// What an event tells besides whose it is and when it happened.
fn told_by(seed: &Seed, shape: &str) -> Value {
    match shape {
        "answered" => {
            json!({"status": shape, "direction": "outbound", "start_time": null, "rate": null, "network": null})
        }
        "busy" => json!({"status": shape, "direction": "outbound", "sip_code": 486}),
        "unanswered" => json!({"status": shape, "direction": "outbound", "detail": "timeout", "sip_code": 480}),
        "rejected" => json!({"status": shape, "direction": "outbound", "detail": "declined", "sip_code": 603}),
        "failed" => json!({"status": shape, "direction": "outbound", "detail": "cannot_route", "sip_code": 503}),
        "machine" => json!({"status": shape, "sub_state": "beep_start", "direction": "outbound"}),
        "disconnected" => json!({"status": shape}),
        "completed" => completed(seed),
        "record" => record(seed),
        "transcription" => json!({
            "status": "transcribed",
            "type": "record",
            "transcription_url": format!("https://api.nexmo.com/v1/files/{}", derived_id(seed, "transcription")),
        }),
        "input" => input(),
        "transfer" => json!({
            "type": "transfer",
            "conversation_uuid_from": conversation_id(seed),
            "conversation_uuid_to": format!("CON-{}", derived_id(seed, "transfer")),
        }),
        "notify" => json!({"payload": {"order": format!("order-{}", seed.index + 1), "step": 2}}),
        "error" => json!({"reason": "Syntax error in NCCO. Invalid value type or action."}),
        status => json!({"status": status, "direction": "outbound"}),
    }
}

/// The end of an answered call, which is charged by the second: 30 s of 0.0144 euros a minute.
fn completed(seed: &Seed) -> Value {
    let end_ms = seed.now.unix_ms().div_euclid(1000) * 1000;
    json!({
        "headers": {},
        "status": "completed",
        "direction": "outbound",
        "start_time": iso_ms(end_ms - TALK_MS),
        "end_time": iso_ms(end_ms),
        "duration": (TALK_MS / 1000).to_string(),
        "rate": "0.01440000",
        "price": "0.00720000",
        "network": "GB-FIXED",
        "sip_code": 200,
        "disconnected_by": "user",
    })
}

fn record(seed: &Seed) -> Value {
    let end_ms = seed.now.unix_ms().div_euclid(1000) * 1000;
    json!({
        "start_time": iso_ms(end_ms - TALK_MS),
        "end_time": iso_ms(end_ms),
        "recording_url": format!("https://api.nexmo.com/v1/files/{}", derived_id(seed, "file")),
        "size": 480_044,
    })
}

fn input() -> Value {
    json!({
        "dtmf": {"digits": "42", "timed_out": true},
        "speech": {
            "timeout_reason": "end_on_silence_timeout",
            "results": [{"text": "forty two", "confidence": "0.9405097"}, {"text": "forty too", "confidence": "0.7"}],
        },
    })
}

/// A leg is a call's side, here that of the customer who is called.
fn of_a_leg(seed: &Seed, name: &str) -> Value {
    json!({
        name: leg_id(seed),
        "conversation_uuid": conversation_id(seed),
        "from": "447700900001",
        "to": "447700900000",
    })
}

fn of_a_recording(seed: &Seed) -> Value {
    json!({"conversation_uuid": conversation_id(seed), "recording_uuid": derived_id(seed, "recording")})
}

/// 32 hexadecimal digits, as the Voice API writes them.
fn leg_id(seed: &Seed) -> String {
    seed.id.replace('-', "").to_lowercase()
}

fn conversation_id(seed: &Seed) -> String {
    format!("CON-{}", derived_id(seed, "conversation"))
}

/// An id that only this call and this purpose have.
fn derived_id(seed: &Seed, purpose: &str) -> String {
    let digest = Sha256::digest(format!("{}/{purpose}", seed.id));
    let mut bytes = [0_u8; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, digit)| *byte = digit);
    uuid::Builder::from_random_bytes(bytes).into_uuid().hyphenated().to_string()
}

/// The Voice API always writes milliseconds.
fn iso_ms(unix_ms: i64) -> String {
    let second = Time::from_unix_seconds(unix_ms.div_euclid(1000)).map(|time| time.to_string()).unwrap_or_default();
    format!("{}.{:03}Z", second.trim_end_matches('Z'), unix_ms.rem_euclid(1000))
}

fn extend(event: &mut Value, more: Value) {
    if let (Value::Object(members), Value::Object(more)) = (event, more) {
        members.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies_of(shape: &str) -> Vec<Value> {
        bodies(&Seed {
            id: "0D3EE1C4-5a0b-4f6c-9b4f-0123456789ab".to_owned(),
            account_id: "abcd1234".to_owned(),
            now: Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap(),
            index: 0,
            records: 1,
            shape: shape.to_owned(),
        })
    }

    #[test]
    fn a_call_keeps_its_ids_and_its_order() {
        let call = bodies_of("call");
        let of = |name: &str| call.iter().map(|event| event[name].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(of("status"), ["started", "ringing", "answered", "completed"]);
        assert_eq!(of("uuid"), ["0d3ee1c45a0b4f6c9b4f0123456789ab"; 4]);
        assert_eq!(of("conversation_uuid"), [of("conversation_uuid")[0]; 4]);
        let times = of("timestamp");
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!((times[2], times[3]), ("2026-02-03T12:13:56.103Z", "2026-02-03T12:14:26.103Z"));
        let completed = &call[3];
        assert_eq!(completed["start_time"], "2026-02-03T12:13:56.000Z");
        assert_eq!(
            (&completed["end_time"], &completed["duration"]),
            (&json!("2026-02-03T12:14:26.000Z"), &json!("30"))
        );
    }

    #[test]
    fn the_first_shape_is_what_is_sent_by_default() {
        assert_eq!(bodies_of(""), bodies_of(SHAPES[0]));
    }

    #[test]
    fn each_shape_is_told_from_the_others_by_its_members() {
        let mut told: Vec<String> = SHAPES.iter().map(|shape| bodies_of(shape)[0].to_string()).collect();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), SHAPES.len());
        for shape in ["human", "machine"] {
            let event = &bodies_of(shape)[0];
            assert!(event["uuid"].is_null() && event["call_uuid"].is_string(), "{event}");
        }
        for shape in ["record", "input", "transfer", "notify", "error"] {
            assert!(bodies_of(shape)[0]["status"].is_null(), "{shape}");
        }
    }
}
