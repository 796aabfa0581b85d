//! Requests that are published as they came: the shape that dead letters and raw requests share.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::event::envelope::Record;
use crate::event::headers::Headers;
use crate::event::kind::{SCHEMA_VERSION, TopicInfo};
use crate::event::time::Time;
use crate::request::RawRequest;
use crate::verify::Proof;

/// Headers that are credentials. Signature headers stay, since they are evidence.
const LEFT_OUT: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

/// A request, or one record of it, as it is published.
#[derive(Debug, Serialize)]
pub(super) struct KeptRequest<'a> {
    schema_version: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) raw_id: Option<&'a str>,
    source_name: &'a str,
    provider: &'a str,
    received_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proof: Option<&'a Proof>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Reason<'a>>,
    request: Request<'a>,
    scope: &'static str,
    body: Cow<'a, str>,
    body_encoding: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    undecodable: bool,
}

/// Why something could not be understood.
#[derive(Debug, Serialize)]
pub(super) struct Reason<'a> {
    pub(super) code: &'static str,
    pub(super) message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pointer: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Request<'a> {
    method: &'static str,
    path: &'a str,
    query: &'a str,
    headers: BTreeMap<&'a str, String>,
    remote_addr: Option<IpAddr>,
}

impl<'a> KeptRequest<'a> {
    /// Describes a whole request, or one record of it, without its credentials.
    pub(super) fn new(
        kind: &'static str,
        request: &'a RawRequest<'a>,
        record: Option<&'a str>,
        source_name: &'a str,
        provider: &'a str,
    ) -> Self {
        // The event of a request without a body is in its query.
        let whole = if request.body.is_empty() { request.query.as_bytes() } else { request.body };
        let (scope, bytes) = record.map_or(("request", whole), |record| ("record", record.as_bytes()));
        let (body, body_encoding) = match std::str::from_utf8(bytes) {
            Ok(text) => (text.into(), "utf-8"),
            Err(_) => (Cow::Owned(STANDARD.encode(bytes)), "base64"),
        };
        Self {
            schema_version: SCHEMA_VERSION,
            kind,
            dead_letter_id: None,
            raw_id: None,
            source_name,
            provider,
            received_at: request.received_at,
            proof: None,
            reason: None,
            request: Request::new(request),
            scope,
            body,
            body_encoding,
            undecodable: request.undecodable,
        }
    }

    /// Writes it as a record, whose key is the source and the id.
    pub(super) fn into_record(self, topic: &'static TopicInfo, id: &str) -> Result<Record, serde_json::Error> {
        Ok(Record {
            topic,
            key: format!("{}:{id}", self.source_name),
            placed_by: None,
            headers: Headers::content_type("application/json"),
            value: serde_json::to_vec(&self)?,
            kind: None,
            identity: None,
        })
    }
}

impl<'a> Request<'a> {
    fn new(request: &'a RawRequest<'a>) -> Self {
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
