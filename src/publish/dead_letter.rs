//! Dead letters: what was authentic and could not be understood, with its bytes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use ulid::Ulid;

use crate::event::envelope::Record;
use crate::event::kind::{DEAD_LETTER_TOPIC, SCHEMA_VERSION};
use crate::event::time::Time;
use crate::providers::Fault;
use crate::request::RawRequest;

/// Headers that are credentials. Signature headers stay, since they are evidence.
const LEFT_OUT: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

#[derive(Serialize)]
struct DeadLetter<'a> {
    schema_version: &'static str,
    kind: &'static str,
    dead_letter_id: &'a str,
    source_name: &'a str,
    provider: &'static str,
    received_at: Time,
    reason: Reason<'a>,
    request: Request<'a>,
    scope: &'static str,
    body: &'a str,
    body_encoding: &'static str,
}

#[derive(Serialize)]
struct Reason<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
}

/// The request that a dead letter comes from, as it is published.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    method: &'static str,
    path: &'a str,
    query: &'a str,
    headers: BTreeMap<&'a str, String>,
    remote_addr: Option<IpAddr>,
}

impl<'a> Request<'a> {
    /// Describes a request without its credentials.
    pub fn new(request: &RawRequest<'a>) -> Self {
        let mut headers: BTreeMap<&str, String> = BTreeMap::new();
        for (name, value) in request.headers.iter().filter(|(name, _)| !LEFT_OUT.contains(name)) {
            let value = String::from_utf8_lossy(value);
            headers.entry(name).and_modify(|known| *known = format!("{known}, {value}")).or_insert(value.into_owned());
        }
        Self {
            method: request.method.as_str(),
            path: request.path,
            query: request.query,
            headers,
            remote_addr: request.remote_addr,
        }
    }
}

/// Makes the dead letter of one fault.
///
/// # Errors
/// Only if it could not be written as JSON, which its types do not allow.
pub fn of_fault(
    fault: &Fault<'_>,
    request: &RawRequest<'_>,
    source_name: &str,
    provider: &'static str,
) -> Result<Record, serde_json::Error> {
    // The event of a request without a body is in its query.
    let whole = if request.body.is_empty() { request.query.as_bytes() } else { request.body };
    let (scope, bytes) = match &fault.record {
        Some(record) => ("record", record.as_bytes()),
        None => ("request", whole),
    };
    let (body, body_encoding) = match std::str::from_utf8(bytes) {
        Ok(text) => (text.into(), "utf-8"),
        Err(_) => (std::borrow::Cow::Owned(STANDARD.encode(bytes)), "base64"),
    };
    let id = Ulid::generate().to_string();
    let letter = DeadLetter {
        schema_version: SCHEMA_VERSION,
        kind: "dead_letter",
        dead_letter_id: &id,
        source_name,
        provider,
        received_at: request.received_at,
        reason: Reason { code: fault.code, message: &fault.message, pointer: fault.pointer.as_deref() },
        request: Request::new(request),
        scope,
        body: &body,
        body_encoding,
    };
    Ok(Record {
        topic: &DEAD_LETTER_TOPIC,
        key: format!("{source_name}:{id}"),
        headers: vec![("content-type".into(), "application/json".to_owned())],
        value: serde_json::to_vec(&letter)?,
        identity: None,
        kind: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Headers, Method};

    fn request<'r>(body: &'r [u8], headers: &'r [(&'r str, &'r [u8])]) -> RawRequest<'r> {
        RawRequest {
            method: Method::Post,
            path: "/webhooks/vonage-eu/***",
            url_token: Some("a-secret-token"),
            query: "a=1",
            headers: Headers::new(headers.iter().copied()),
            body,
            undecodable: false,
            remote_addr: Some("203.0.113.7".parse().unwrap()),
            received_at: Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap(),
        }
    }

    fn letter(fault: &Fault<'_>, request: &RawRequest<'_>) -> serde_json::Value {
        let record = of_fault(fault, request, "vonage-eu", "vonage").unwrap();
        let letter: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(record.key, format!("vonage-eu:{}", letter["dead_letter_id"].as_str().unwrap()));
        letter
    }

    #[test]
    fn credentials_are_left_out_and_the_rest_is_kept() {
        let headers: &[(&str, &[u8])] = &[
            ("authorization", b"Bearer secret"),
            ("cookie", b"session=secret"),
            ("x-signature", b"abc"),
            ("x-twice", b"1"),
            ("x-twice", b"2"),
        ];
        let letter = letter(&Fault::of_request("unknown_shape", "not ours").at("/a"), &request(b"{\"a\":1}", headers));
        assert_eq!(letter["request"]["headers"], serde_json::json!({"x-signature": "abc", "x-twice": "1, 2"}));
        assert_eq!(
            letter["reason"],
            serde_json::json!({"code": "unknown_shape", "message": "not ours", "pointer": "/a"})
        );
        assert_eq!((&letter["scope"], &letter["body"]), (&"request".into(), &"{\"a\":1}".into()));
        assert_eq!(letter["received_at"], "2026-02-03T12:14:26.103Z");
        assert!(!letter.to_string().contains("secret"));
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_in_base64_and_an_empty_body_gives_way_to_the_query() {
        let fault = Fault::of_request("invalid_utf8", "no text");
        let binary = letter(&fault, &request(&[0xff, 0x00], &[]));
        assert_eq!((&binary["body"], &binary["body_encoding"]), (&"/wA=".into(), &"base64".into()));
        assert_eq!(letter(&fault, &request(b"", &[]))["body"], "a=1");
    }

    #[test]
    fn a_record_of_a_batch_stands_for_itself() {
        let mut fault = Fault::of_request("missing_id", "no id").at("/items/3");
        fault.record = Some("{\"id\":\"\"}".into());
        let letter = letter(&fault, &request(b"[...]", &[]));
        assert_eq!((&letter["scope"], &letter["body"]), (&"record".into(), &"{\"id\":\"\"}".into()));
    }
}
