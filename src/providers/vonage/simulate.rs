//! Acting as Vonage: realistic bodies, and the JWT written out by hand.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

mod sms;
mod voice;

use crate::event::time::Time;
use crate::provider::simulate::{Credentials, Encoding, Seed, SignedRequest, Signing, Simulation};

pub(super) const SIMULATIONS: &[Simulation] = &[
    Simulation {
        name: "message-status",
        aliases: &["status", "messages-status"],
        summary: "Messages API status callback, version 1 (an SMS that was delivered)",
        record: "",
        shapes: &[],
        bodies: |seed| vec![status_v1(seed)],
        encodings: &[Encoding::Json],
        sign,
    },
    Simulation {
        name: "message-status-v0.1",
        aliases: &["status-v0.1"],
        summary: "Messages API status callback, version 0.1 (a WhatsApp message that failed)",
        record: "",
        shapes: &[],
        bodies: |seed| vec![status_v0_1(seed)],
        encodings: &[Encoding::Json],
        sign,
    },
    Simulation {
        name: "inbound-message",
        aliases: &["inbound", "messages-inbound"],
        summary: "Messages API inbound message, version 1 (a text)",
        record: "",
        shapes: &[],
        bodies: |seed| vec![inbound_v1(seed)],
        encodings: &[Encoding::Json],
        sign,
    },
    Simulation {
        name: "inbound-message-v0.1",
        aliases: &["inbound-v0.1"],
        summary: "Messages API inbound message, version 0.1 (a text on WhatsApp)",
        record: "",
        shapes: &[],
        bodies: |seed| vec![inbound_v0_1(seed)],
        encodings: &[Encoding::Json],
        sign,
    },
    Simulation {
        name: "sms-dlr",
        aliases: &["dlr", "sms-receipt"],
        summary: "SMS API delivery receipt (delivered)",
        record: "",
        shapes: &[],
        bodies: |seed| vec![sms::receipt(seed)],
        encodings: sms::ENCODINGS,
        sign: sms::sign,
    },
    Simulation {
        name: "sms-inbound",
        aliases: &["mo"],
        summary: "SMS API inbound message (a text)",
        record: "",
        shapes: &[],
        bodies: |seed| vec![sms::inbound(seed)],
        encodings: sms::ENCODINGS,
        sign: sms::sign,
    },
    Simulation {
        name: "voice",
        aliases: &["voice-event"],
        summary: "Voice API event; `call` is a whole call: started, ringing, answered, completed",
        record: "",
        shapes: voice::SHAPES,
        bodies: voice::bodies,
        encodings: voice::ENCODINGS,
        sign,
    },
];

fn status_v1(seed: &Seed) -> Value {
    json!({
        "message_uuid": seed.id,
        "to": "447700900000",
        "from": "AcmeInc",
        "timestamp": seed.now.to_string(),
        "status": "delivered",
        "channel": "sms",
        "client_ref": format!("order-{}", seed.index + 1),
        "usage": {"currency": "EUR", "price": "0.0333"},
        "destination": {"network_code": "23410"},
        "sms": {"count_total": "2"},
    })
}

fn status_v0_1(seed: &Seed) -> Value {
    json!({
        "message_uuid": seed.id,
        "to": {"type": "whatsapp", "number": "447700900000"},
        "from": {"type": "whatsapp", "number": "447700900001"},
        "timestamp": seed.now.to_string(),
        "status": "undeliverable",
        "error": {"code": 1300, "reason": "Not part of the provider network"},
        "usage": {"currency": "EUR", "price": "0.0333"},
        "client_ref": format!("order-{}", seed.index + 1),
    })
}

fn inbound_v1(seed: &Seed) -> Value {
    json!({
        "channel": "sms",
        "message_uuid": seed.id,
        "to": "447700900001",
        "from": "447700900000",
        "timestamp": seed.now.to_string(),
        "message_type": "text",
        "text": "Hello from Trunkline's simulator",
        "sms": {"num_messages": "1", "keyword": "HELLO"},
        "usage": {"currency": "EUR", "price": "0.0333"},
        "origin": {"network_code": "23410"},
    })
}

fn inbound_v0_1(seed: &Seed) -> Value {
    json!({
        "message_uuid": seed.id,
        "to": {"type": "whatsapp", "number": "447700900001"},
        "from": {"type": "whatsapp", "number": "447700900000"},
        "timestamp": seed.now.to_string(),
        "message": {"content": {"type": "text", "text": "Hello from Trunkline's simulator"}},
    })
}

/// A webhook in JSON as Vonage sends it: those of the SMS API are signed by a parameter, all others by a token.
pub(super) fn signed(credentials: &Credentials, url: &str, now: Time, body: &Value) -> SignedRequest {
    let signing = Signing { credentials, url, now, encoding: Encoding::Json };
    let sign = if body.get("messageId").is_some() { sms::sign } else { sign };
    sign(&signing, body.to_string().into_bytes())
}

/// Signs as Vonage does: HS256, with the SHA-256 of the payload in `payload_hash`.
fn sign(signing: &Signing<'_>, bytes: Vec<u8>) -> SignedRequest {
    let token = signing.credentials.key().map(|key| {
        let claims = json!({
            "iat": signing.now.unix_seconds(),
            "jti": uuid::Uuid::new_v4().to_string(),
            "iss": "Vonage",
            "payload_hash": hex::encode(Sha256::digest(payload(signing.encoding, &bytes))),
            "api_key": signing.credentials.account_id,
        });
        ("authorization", format!("Bearer {}", sign_claims(&key, &claims)))
    });
    let mut request = signing.encoding.request(bytes);
    request.headers.extend(token);
    request
}

/// What is hashed: the body as it is, or the parameters of a query as a compact JSON object in the order sent (the
/// vendor's support article on signed webhooks by GET).
fn payload(encoding: Encoding, bytes: &[u8]) -> Cow<'_, [u8]> {
    match encoding.read(bytes) {
        Some(parameters) if encoding == Encoding::Get => Value::Object(parameters).to_string().into_bytes().into(),
        _ => bytes.into(),
    }
}

/// A compact JWS by RFC 7515 section 3.1: header, payload and signature, each in base64url.
pub(super) fn sign_claims(secret: &str, claims: &Value) -> String {
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    let signed = format!("{head}.{payload}");
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes any key");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
