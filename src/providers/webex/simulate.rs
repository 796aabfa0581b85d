//! Acting as Webex: realistic records and events with invented numbers, and the signature by hand.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::event::time::Time;
use crate::provider::simulate::{Credentials, Encoding, Seed, SignedRequest, Signing, Simulation};

mod call;

pub(super) use call::record;

pub(super) const SIMULATIONS: &[Simulation] = &[
    Simulation {
        name: "cdr",
        aliases: &["records", "call-record"],
        summary: "partner webhook with call detail records (answered, outbound, no answer, busy, in turn)",
        record: "/items/0",
        shapes: &["items", "envelope", "envelope-array", "array", "records", "relay", "camel"],
        bodies: |seed| vec![delivery(seed)],
        encodings: &[Encoding::Json],
        sign,
    },
    Simulation {
        name: "telephony",
        aliases: &["telephony-calls", "call-event"],
        summary: "telephony_calls events of one call: received, answered, disconnected",
        record: "/data",
        shapes: &[],
        bodies: telephony,
        encodings: &[Encoding::Json],
        sign,
    },
];

/// The customer, where the account that is simulated is no organisation's id.
const CUSTOMER: &str = "1a2b3c4d-0000-4111-8222-5e6f70809010";
const PARTNER: &str = "9f8e7d6c-0000-4333-8444-0102030405a6";

fn customer(seed: &Seed) -> String {
    let given = uuid::Uuid::try_parse(&seed.account_id);
    given.map_or_else(|_| CUSTOMER.to_owned(), |id| id.hyphenated().to_string())
}

/// One delivery of the partner webhook, in the shape asked for.
fn delivery(seed: &Seed) -> Value {
    let records: Vec<Value> = (0..seed.records).map(|number| Value::Object(record(seed, number))).collect();
    shaped(&seed.shape, records)
}

/// Records as one body, in a shape by its name.
pub(super) fn shaped(shape: &str, records: Vec<Value>) -> Value {
    match shape {
        "envelope" => envelope(&json!({"items": records})),
        "envelope-array" => envelope(&Value::from(records)),
        "array" => Value::from(records),
        "records" => json!({"records": records}),
        "relay" => {
            let body = json!({"payload": "webex-cdr", "items": records});
            json!({"body": body, "method": "POST", "url": "https://relay.example.com/hooks/1"})
        }
        "camel" => json!({"items": records.iter().map(camel).collect::<Vec<_>>()}),
        _ => json!({"items": records}),
    }
}

/// A body, signed for this URL as `trunkline send` signs it.
pub(super) fn signed(url: &str, secret: &SecretString, now: Time, body: Vec<u8>) -> SignedRequest {
    let credentials = Credentials { secret: Some(secret.clone()), ..Credentials::new(PARTNER, "") };
    sign(&Signing { credentials: &credentials, url, now, encoding: Encoding::Json }, body)
}

fn envelope(data: &Value) -> Value {
    json!({
        "id": STANDARD.encode("ciscospark://us/WEBHOOK/5b0c0000-0000-4555-8666-00000000cdc0"),
        "name": "Detailed call records",
        "targetUrl": "https://hooks.example.com/webhooks/webex-partner",
        "resource": "cdr",
        "event": "created",
        "orgId": organisation_id(PARTNER),
        "createdBy": STANDARD.encode("ciscospark://us/PEOPLE/5b0c0000-0000-4555-8666-000000000001"),
        "appId": STANDARD.encode("ciscospark://us/APPLICATION/5b0c0000-0000-4555-8666-000000000002"),
        "ownedBy": "org",
        "status": "active",
        "created": "2026-01-05T09:00:00.000Z",
        "data": data,
    })
}

pub(super) fn organisation_id(organisation: &str) -> String {
    STANDARD.encode(format!("ciscospark://us/ORGANIZATION/{organisation}"))
}

/// The record with `reportId` in place of `Report ID`.
fn camel(record: &Value) -> Value {
    let members = record.as_object().into_iter().flatten();
    members.map(|(name, value)| (camel_case(name), value.clone())).collect::<Map<_, _>>().into()
}

fn camel_case(name: &str) -> String {
    let mut words = name.split(' ').map(str::to_ascii_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |joined, word| {
        let mut letters = word.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        joined + &initial.into_iter().chain(letters).collect::<String>()
    })
}

/// An id that only this run, this record and this field have.
fn derived_id(seed: &Seed, number: usize, field: &str) -> String {
    let digest = Sha256::digest(format!("{}/{}/{number}/{field}", seed.id, seed.index));
    let mut bytes = [0_u8; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, digit)| *byte = digit);
    // Webex's report ids are UUIDs of version 3.
    bytes[6] = bytes[6] & 0x0f | 0x30;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    uuid::Uuid::from_bytes(bytes).hyphenated().to_string()
}

/// The moment some seconds before the simulated one, as Webex writes times.
fn before(seed: &Seed, seconds: i64) -> String {
    let milliseconds = seed.now.unix_ms() - seconds * 1000;
    let second = Time::from_unix_seconds(milliseconds.div_euclid(1000)).unwrap_or(seed.now).to_string();
    format!("{}.{:03}Z", second.trim_end_matches('Z'), milliseconds.rem_euclid(1000))
}

fn telephony(seed: &Seed) -> Vec<Value> {
    let stages = [
        ("created", "received", "alerting", 30),
        ("updated", "answered", "connected", 22),
        ("deleted", "disconnected", "disconnected", 0),
    ];
    stages.into_iter().map(|stage| telephony_event(seed, stage)).collect()
}

fn telephony_event(seed: &Seed, (event, sort, state, age_s): (&str, &str, &str, i64)) -> Value {
    let mut data = json!({
        "eventType": sort,
        "eventTimestamp": before(seed, age_s),
        "callId": STANDARD.encode(format!("ciscospark://us/CALL/callhalf-98504{:05}:0", seed.index % 100_000)),
        "callSessionId": STANDARD.encode(&seed.id),
        "personality": "terminator",
        "state": state,
        "remoteParty": {"name": "Invented Caller", "number": "+12025550143", "privacyEnabled": false, "callType": "external"},
        "created": before(seed, 30),
    });
    if event != "created" {
        data["answered"] = before(seed, 22).into();
    }
    if event == "deleted" {
        data["disconnected"] = before(seed, 0).into();
    }
    json!({
        "id": STANDARD.encode("ciscospark://us/WEBHOOK/5b0c0000-0000-4555-8666-0000000000ca"),
        "name": "Calls",
        "targetUrl": "https://hooks.example.com/webhooks/webex-partner",
        "resource": "telephony_calls",
        "event": event,
        "orgId": organisation_id(&customer(seed)),
        "createdBy": STANDARD.encode("ciscospark://us/PEOPLE/5b0c0000-0000-4555-8666-000000000001"),
        "ownedBy": "org",
        "status": "active",
        "created": "2026-01-05T09:00:00.000Z",
        "actorId": STANDARD.encode("ciscospark://us/PEOPLE/5b0c0000-0000-4555-8666-000000000003"),
        "data": data,
    })
}

/// Signs as Webex does: HMAC-SHA1 over the body, 40 hexadecimal digits.
fn sign(signing: &Signing<'_>, body: Vec<u8>) -> SignedRequest {
    let signature = signing.credentials.key().map(|key| {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
        let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes any key");
        mac.update(&body);
        ("x-spark-signature", hex::encode(mac.finalize().into_bytes()))
    });
    let mut request = signing.encoding.request(body);
    request.headers.extend(signature);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_in_camel_case() {
        for (name, camel) in [("Report ID", "reportId"), ("PSTN vendor org ID", "pstnVendorOrgId"), ("User", "user")] {
            assert_eq!(camel_case(name), camel);
        }
    }

    #[test]
    fn ids_differ_by_run_report_record_and_field() {
        let seed = |id: &str, index| Seed {
            id: id.to_owned(),
            account_id: String::new(),
            now: Time::from_unix_seconds(0).unwrap(),
            index,
            records: 1,
            shape: String::new(),
        };
        let ids = [
            derived_id(&seed("a", 0), 0, "x"),
            derived_id(&seed("b", 0), 0, "x"),
            derived_id(&seed("a", 1), 0, "x"),
            derived_id(&seed("a", 0), 1, "x"),
            derived_id(&seed("a", 0), 0, "y"),
        ];
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 5);
        assert!(ids.iter().all(|id| uuid::Uuid::try_parse(id).is_ok()));
        assert_eq!(customer(&seed("a", 0)), CUSTOMER);
    }
}
