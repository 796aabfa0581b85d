//! A letter read back: a dead letter or a raw request, and the request that it was.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::Error as _;

use super::PATIENCE;
use crate::event::time::Time;
use crate::publish::Origin;
use crate::publish::dead_letter::REFUSED_EVENT;
use crate::request::{Method, RawRequest};
use crate::settings::Policy;
use crate::settings::Source;
use crate::telemetry::metrics::SourceMetrics;
use crate::verify::{Proof, Verification};

/// One letter, as far as a replay needs it. Members that it does not name are left alone.
#[derive(Debug, Deserialize)]
pub(super) struct Letter {
    dead_letter_id: Option<String>,
    raw_id: Option<String>,
    pub(super) source_name: String,
    pub(super) provider: String,
    pub(super) received_at: Time,
    proof: Option<Proof>,
    reason: Option<Reason>,
    request: Request,
    scope: Scope,
    body: String,
    body_encoding: BodyEncoding,
    #[serde(default)]
    undecodable: bool,
    #[serde(skip)]
    bytes: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Reason {
    code: String,
}

#[derive(Debug, Deserialize)]
struct Request {
    method: Method,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    remote_addr: Option<IpAddr>,
}

/// How much of the request a letter holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scope {
    /// All of it.
    Request,
    /// One record of its body.
    Record,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum BodyEncoding {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

impl Letter {
    /// Reads the value of a record.
    ///
    /// # Errors
    /// When it is not a letter, or of a shape that this version does not know.
    pub(super) fn read(value: &[u8]) -> Result<Self, serde_json::Error> {
        let mut letter: Self = serde_json::from_slice(value)?;
        let body = std::mem::take(&mut letter.body);
        letter.bytes = match letter.body_encoding {
            BodyEncoding::Utf8 => body.into_bytes(),
            BodyEncoding::Base64 => STANDARD.decode(body).map_err(serde_json::Error::custom)?,
        };
        match letter.dead_letter_id.is_none() && letter.raw_id.is_none() {
            true => Err(serde_json::Error::custom("neither dead_letter_id nor raw_id")),
            false => Ok(letter),
        }
    }

    /// Its own id.
    pub(super) fn id(&self) -> &str {
        self.dead_letter_id.as_deref().or(self.raw_id.as_deref()).unwrap_or_default()
    }

    /// The id of the request; of a letter that does not tell it, its own.
    pub(super) fn raw_id(&self) -> &str {
        self.raw_id.as_deref().unwrap_or_else(|| self.id())
    }

    /// How much of the request it holds.
    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    /// The reason for which Kafka refused the event that this letter holds in place of a provider's body.
    pub(super) fn refused_event(&self) -> Option<&'static str> {
        let code = &self.reason.as_ref()?.code;
        REFUSED_EVENT.iter().find(|known| *known == code).copied()
    }

    /// What was verified when the request came. A letter that does not tell proves nothing.
    pub(super) fn proof(&self) -> Proof {
        self.proof.clone().unwrap_or_else(Proof::nothing)
    }

    /// What was fetched from a provider's API, if that is what it holds: the name of the stream, and the text.
    pub(super) fn fetched(&self) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        let is_of_api = self.proof.as_ref().is_some_and(|proof| proof.verification == Verification::Api);
        let mut pairs = form_urlencoded::parse(self.request.query.as_bytes());
        let stream = pairs.find(|(name, _)| name == "stream").map(|(_, value)| value).unwrap_or_default();
        is_of_api.then(|| (stream, String::from_utf8_lossy(&self.bytes)))
    }

    /// The request that it was, without the credentials that are not kept.
    pub(super) fn request(&self) -> RawRequest<'_> {
        let request = &self.request;
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        // What a letter shows of a request without a body is the query.
        let is_query = self.scope == Scope::Request && self.bytes == request.query.as_bytes();
        RawRequest::new(request.method, &request.path, self.received_at)
            .with_query(&request.query)
            .with_headers(headers)
            .with_remote_addr(request.remote_addr)
            .with_body(if is_query { &[] } else { &self.bytes }, self.undecodable)
    }

    /// Where its events come from, for the publisher.
    pub(super) fn origin(&self, source: &Source, metrics: Arc<SourceMetrics>) -> Arc<Origin> {
        Arc::new(Origin {
            source_name: self.source_name.as_str().into(),
            provider: source.info.name.into(),
            method: self.request.method,
            remote_addr: self.request.remote_addr,
            received_at: self.received_at,
            policy: Policy::Strict,
            ack_timeout: PATIENCE,
            metrics: Some(metrics),
        })
    }
}
