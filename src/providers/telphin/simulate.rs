//! Acting as Telphin: realistic parameters with invented numbers, and the token in the URL.

use serde_json::{Value, json};

use crate::event::time::Time;
use crate::provider::simulate::{Encoding, Seed, SignedRequest, Signing, Simulation};

const EXTENSION: &str = "12345*101";
const EXTENSION_ID: &str = "1000101";
const DOMAIN: &str = "sipproxy.telphin.ru";
const PUBLIC_NUMBER: &str = "442079460000";
const TALK_US: u64 = 30_250_999;
const RING_US: u64 = 8_100_000;

/// The administrator chooses between POST and GET for each event.
const ENCODINGS: &[Encoding] = &[Encoding::Form, Encoding::Get];

pub(super) const SIMULATIONS: &[Simulation] = &[
    Simulation {
        name: "dial-in",
        aliases: &["incoming"],
        summary: "Call event: an extension rings",
        record: "",
        shapes: &[],
        bodies: |seed| vec![dial_in(seed, seed.now)],
        encodings: ENCODINGS,
        sign,
    },
    Simulation {
        name: "dial-out",
        aliases: &["outgoing"],
        summary: "Call event: an extension dials",
        record: "",
        shapes: &[],
        bodies: |seed| vec![dial_out(seed)],
        encodings: ENCODINGS,
        sign,
    },
    Simulation {
        name: "answer",
        aliases: &[],
        summary: "Call event: an extension takes a call",
        record: "",
        shapes: &[],
        bodies: |seed| vec![answer(seed, seed.now)],
        encodings: ENCODINGS,
        sign,
    },
    Simulation {
        name: "hangup",
        aliases: &[],
        summary: "Call event: the end of an answered call, which gives a call record too",
        record: "",
        shapes: &[],
        bodies: |seed| vec![hangup(seed)],
        encodings: ENCODINGS,
        sign,
    },
    Simulation {
        name: "call",
        aliases: &[],
        summary: "A whole inbound call: dial-in, answer, hangup",
        record: "",
        shapes: &[],
        bodies: call,
        encodings: ENCODINGS,
        sign,
    },
];

/// The call ends now, so that no time of it lies in the future.
fn call(seed: &Seed) -> Vec<Value> {
    let earlier = |microseconds| seed.now.minus_us(microseconds).unwrap_or(seed.now);
    vec![dial_in(seed, earlier(RING_US + TALK_US)), answer(seed, earlier(TALK_US)), hangup(seed)]
}

fn dial_in(seed: &Seed, at: Time) -> Value {
    inbound(seed, "dial-in", "CALLING", at)
}

fn answer(seed: &Seed, at: Time) -> Value {
    inbound(seed, "answer", "ANSWER", at)
}

fn hangup(seed: &Seed) -> Value {
    let mut body = inbound(seed, "hangup", "ANSWER", seed.now);
    body["Duration"] = TALK_US.to_string().into();
    body["RecID"] = leg_id(seed).into();
    body
}

fn inbound(seed: &Seed, event_type: &str, status: &str, at: Time) -> Value {
    json!({
        "EventType": event_type,
        "CallID": call_id(seed),
        "SubCallID": leg_id(seed),
        "CallAPIID": format!("1000000001-{}", seed.id),
        "CallerIDNum": outside_number(seed),
        "CallerIDName": "Ann Example",
        "CalledDID": PUBLIC_NUMBER,
        "CalledExtension": format!("{EXTENSION}@{DOMAIN}"),
        "CalledExtensionID": EXTENSION_ID,
        "CalledNumber": EXTENSION,
        "CallStatus": status,
        "CallFlow": "in",
        "EventTime": microseconds(at),
    })
}

fn dial_out(seed: &Seed) -> Value {
    json!({
        "EventType": "dial-out",
        "CallID": call_id(seed),
        "SubCallID": leg_id(seed),
        "CallAPIID": format!("1000000001-{}", seed.id),
        "CallerIDNum": EXTENSION,
        "CallerIDName": "Support",
        "CallerExtension": format!("{EXTENSION}@{DOMAIN}"),
        "CallerExtensionID": EXTENSION_ID,
        "CalledNumber": outside_number(seed),
        "CallStatus": "CALLING",
        "CallFlow": "out",
        "EventTime": microseconds(seed.now),
    })
}

/// Telphin writes ids as 32 hexadecimal digits in lower case.
fn call_id(seed: &Seed) -> String {
    seed.id.replace('-', "").to_lowercase()
}

fn leg_id(seed: &Seed) -> String {
    format!("{EXTENSION_ID}-{}", call_id(seed))
}

fn outside_number(seed: &Seed) -> String {
    format!("447700900{:03}", seed.index % 1000)
}

fn microseconds(time: Time) -> String {
    format!("{}000", time.unix_ms())
}

/// Telphin signs nothing: the secret ends the URL that was entered there.
pub(super) fn sign(signing: &Signing<'_>, bytes: Vec<u8>) -> SignedRequest {
    SignedRequest { url_token: signing.credentials.key(), ..signing.encoding.request(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::time::Time;
    use crate::provider::simulate::Credentials;

    fn seed() -> Seed {
        Seed {
            id: "0D3EE1C4-5a0b-4f6c-9b4f-0123456789ab".to_owned(),
            account_id: "999".to_owned(),
            now: Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap(),
            index: 7,
            records: 1,
            shape: String::new(),
        }
    }

    #[test]
    fn a_call_keeps_its_ids_and_its_order() {
        let bodies = call(&seed());
        let of = |name: &str| bodies.iter().map(|body| body[name].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(of("EventType"), ["dial-in", "answer", "hangup"]);
        assert_eq!(of("CallID"), ["0d3ee1c45a0b4f6c9b4f0123456789ab"; 3]);
        assert_eq!(of("SubCallID"), ["1000101-0d3ee1c45a0b4f6c9b4f0123456789ab"; 3]);
        let times = of("EventTime");
        assert!(times.is_sorted() && times.iter().all(|time| time.len() == 16), "{times:?}");
    }

    #[test]
    fn the_secret_ends_the_url() {
        for (tamper, token) in [(false, "a-secret-token"), (true, "a-secret-token-tampered")] {
            let credentials = Credentials { tamper, ..Credentials::new("999", "a-secret-token") };
            for encoding in ENCODINGS {
                let signing = Signing { credentials: &credentials, url: "", now: seed().now, encoding: *encoding };
                let request = sign(&signing, b"a=1".to_vec());
                assert_eq!(request.url_token.as_deref(), Some(token));
            }
        }
    }
}
