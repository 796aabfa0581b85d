//! Acting as Vonage's SMS API: its parameters, and `sig` among them.
//!
//! Source: Vonage, "Delivery receipts" and "Inbound SMS" guides, and the "Signing messages" concept page. Nothing here
//! is shared with what checks signatures.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::event::time::Time;
use crate::provider::simulate::{Encoding, Seed, SignedRequest, Signing, as_parameter};

/// The account's setting chooses one of them for all its webhooks.
pub(super) const ENCODINGS: &[Encoding] = &[Encoding::Get, Encoding::Form, Encoding::Json];

/// A receipt of a message that was delivered. `msisdn` is its recipient, and `to` the sender that was used.
pub(super) fn receipt(seed: &Seed) -> Value {
    json!({
        "msisdn": "447700900000",
        "to": "AcmeInc",
        "network-code": "23410",
        "messageId": message_id(seed),
        "price": "0.03330000",
        "status": "delivered",
        "scts": carrier_time(seed.now),
        "err-code": "0",
        "client-ref": format!("order-{}", seed.index + 1),
        "message-timestamp": time_without_zone(seed.now),
    })
}

/// A message to the account's number, `to`, by `msisdn`.
pub(super) fn inbound(seed: &Seed) -> Value {
    json!({
        "msisdn": "447700900000",
        "to": "447700900001",
        "messageId": message_id(seed),
        "text": "Hello from Trunkline's simulator",
        "type": "text",
        "keyword": "HELLO",
        "message-timestamp": time_without_zone(seed.now),
    })
}

/// 16 hexadecimal digits in upper case.
fn message_id(seed: &Seed) -> String {
    seed.id.chars().filter(char::is_ascii_hexdigit).take(16).collect::<String>().to_uppercase()
}

/// `YYYY-MM-DD HH:MM:SS`, in UTC.
fn time_without_zone(time: Time) -> String {
    let second = Time::from_unix_seconds(time.unix_seconds()).unwrap_or(time);
    second.to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

/// `YYMMDDHHMM`. Carriers write it in any zone, here in UTC.
fn carrier_time(time: Time) -> String {
    time_without_zone(time).chars().filter(char::is_ascii_digit).skip(2).take(10).collect()
}

/// Adds the account, and with a secret also `timestamp`, `nonce` and `sig`. What has no parameters stays as it is.
pub(super) fn sign(signing: &Signing<'_>, bytes: Vec<u8>) -> SignedRequest {
    let (credentials, encoding) = (signing.credentials, signing.encoding);
    let Some(mut parameters) = encoding.read(&bytes) else { return encoding.request(bytes) };
    parameters.entry("api-key").or_insert_with(|| credentials.account_id.as_str().into());
    if let Some(key) = credentials.key() {
        parameters.shift_remove("sig");
        parameters.insert("timestamp".to_owned(), signing.now.unix_seconds().to_string().into());
        parameters.insert("nonce".to_owned(), uuid::Uuid::new_v4().to_string().into());
        let signature = signature(credentials.signature_method, &key, &signed_text(&parameters));
        parameters.insert("sig".to_owned(), signature.into());
    }
    encoding.request(encoding.write(&Value::Object(parameters)))
}

/// `&name=value` of each parameter in the order of their names, byte by byte, with `_` for what divides them.
fn signed_text(parameters: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = parameters.iter().collect();
    sorted.iter().map(|(name, value)| format!("&{name}={}", as_parameter(value).replace(['&', '='], "_"))).collect()
}

/// The digits are in lower case for the default, `md5hash`, and in upper case for the others, as in what is published.
fn signature(method: Option<&str>, key: &str, text: &str) -> String {
    match method {
        Some("md5") => keyed::<Hmac<Md5>>(key, text),
        Some("sha1") => keyed::<Hmac<Sha1>>(key, text),
        Some("sha256") => keyed::<Hmac<Sha256>>(key, text),
        Some("sha512") => keyed::<Hmac<Sha512>>(key, text),
        _ => hex::encode(Md5::digest(format!("{text}{key}"))),
    }
}

fn keyed<M: Mac + KeyInit>(key: &str, text: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
    let mut mac = <M as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes any key");
    mac.update(text.as_bytes());
    hex::encode_upper(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::simulate::Credentials;

    fn seed() -> Seed {
        Seed {
            id: "0d3ee1c4-5a0b-4f6c-9b4f-0123456789ab".to_owned(),
            account_id: "abcd1234".to_owned(),
            now: Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap(),
            index: 0,
            records: 1,
            shape: String::new(),
        }
    }

    fn signed(credentials: &Credentials, encoding: Encoding, bytes: &[u8]) -> Map<String, Value> {
        let signing = Signing { credentials, url: "", now: seed().now, encoding };
        let request = sign(&signing, bytes.to_vec());
        let written = if encoding == Encoding::Get { request.query.into_bytes() } else { request.body };
        encoding.read(&written).unwrap()
    }

    #[test]
    fn ids_and_times_are_written_as_the_api_writes_them() {
        let receipt = receipt(&seed());
        assert_eq!(receipt["messageId"], "0D3EE1C45A0B4F6C");
        assert_eq!(
            (&receipt["message-timestamp"], &receipt["scts"]),
            (&json!("2026-02-03 12:14:26"), &json!("2602031214"))
        );
    }

    /// Published in the tests of Vonage's libraries for PHP, Node and Ruby.
    #[test]
    fn the_published_message_has_the_published_signatures() {
        let parameters = json!({
            "message-timestamp": "2013-11-21 15:27:30", "messageId": "020000001B0FE827", "msisdn": "14843472194",
            "text": "Test again", "timestamp": "1385047698", "to": "13239877404", "type": "text",
        });
        let text = signed_text(parameters.as_object().unwrap());
        for (method, published) in [
            (None, "d2e7b1dc968737c5998ad624e02f90b7"),
            (Some("md5hash"), "d2e7b1dc968737c5998ad624e02f90b7"),
            (Some("md5"), "DDEBD46008C2D4E93CCE578A332A52D5"),
            (Some("sha1"), "27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A"),
            (Some("sha256"), "DDB8397C2B90AAC7F3882D306475C9A5058C92322EEF43C92B298B6E0FC0D330"),
            (
                Some("sha512"),
                "E0D3C650F8C9D1A5C174D10DDDBFB003E561F59B265616208B0487C5D819481CD3C311D59CF6165ECD1139622D5BA3A256C0D763AC4A9AD9144B5A426B94FE82",
            ),
        ] {
            assert_eq!(signature(method, "my_secret_key_for_testing", &text), published, "{method:?}");
        }
    }

    #[test]
    fn what_divides_parameters_and_what_is_no_text_is_signed_as_it_is_read() {
        let parameters = json!({"b": "a & b = c", "a": null, "C": 1, "d": {"e": [true]}});
        let text = signed_text(parameters.as_object().unwrap());
        assert_eq!(text, r#"&C=1&a=&b=a _ b _ c&d={"e":[true]}"#);
    }

    #[test]
    fn only_who_has_a_secret_signs() {
        let right = Credentials::new("abcd1234", "an-invented-secret");
        let wrong = Credentials { tamper: true, ..right.clone() };
        for encoding in ENCODINGS {
            let bytes = encoding.write(&json!({"msisdn": "447700900000", "sig": "left over"}));
            let of = |credentials: &Credentials| signed(credentials, *encoding, &bytes);
            let unsigned = of(&Credentials { secret: None, ..right.clone() });
            assert_eq!(unsigned.keys().collect::<Vec<_>>(), ["msisdn", "sig", "api-key"]);
            let names = ["msisdn", "api-key", "timestamp", "nonce", "sig"];
            assert_eq!(of(&right).keys().collect::<Vec<_>>(), names);
            let mut tampered = of(&wrong);
            tampered["nonce"] = "n".into();
            let sig = tampered.shift_remove("sig").unwrap();
            assert_ne!(sig, signature(None, "an-invented-secret", &signed_text(&tampered)));
        }
    }

    #[test]
    fn bytes_without_parameters_stay_as_they_are() {
        let credentials = Credentials::new("abcd1234", "an-invented-secret");
        let signing = Signing { credentials: &credentials, url: "", now: seed().now, encoding: Encoding::Json };
        assert_eq!(sign(&signing, b"[1]".to_vec()).body, b"[1]");
    }
}
