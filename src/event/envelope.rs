//! Writing an event as one Kafka record: CloudEvents 1.0 headers and a self-contained JSON value.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::headers::Headers;
use super::id::{EventId, FactHash};
use super::kind::{Kind, KindInfo, SCHEMA_VERSION, TopicInfo};
use super::leftovers;
use super::privacy::Privacy;
use super::time::Time;
use super::{Event, EventIdentity, Fact, OccurrenceSource};
use crate::json::write;

/// RFC 3986 unreserved characters stay as they are in the account's part of `ce_source`.
const ACCOUNT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How an event is laid out in a Kafka record (CloudEvents Kafka protocol binding).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in headers `ce_*`, the value is the data object.
    #[default]
    Binary,
    /// The value is the whole CloudEvent.
    Structured,
}

/// How we learnt a fact, published as the member `ingest`.
#[derive(Debug, Clone, Serialize)]
pub struct Ingest<'i> {
    /// `webhook`, `poll`, `report` or `replay`.
    pub via: &'static str,
    /// How far the request was verified.
    pub verification: &'static str,
    /// By which scheme.
    pub scheme: &'i str,
    /// Id of the raw request.
    pub raw_id: String,
}

/// Everything about an event that does not depend on the provider's message.
#[derive(Debug)]
pub struct Reception<'o> {
    /// Name of the provider.
    pub provider: &'static str,
    /// Name of the source in the configuration.
    pub source_name: &'o str,
    /// When the request was read.
    pub received_at: Time,
    /// How we learnt it.
    pub ingest: &'o Ingest<'o>,
}

/// One record, ready to be produced. It owns everything, so that it outlives its request.
#[derive(Debug)]
pub struct Record {
    /// The topic, without the configured prefix.
    pub topic: &'static TopicInfo,
    /// The Kafka key.
    pub key: String,
    /// The text whose hash chooses the partition, where that is not the key: records that belong together under keys
    /// of their own.
    pub placed_by: Option<Arc<str>>,
    /// The headers.
    pub headers: Headers,
    /// The value.
    pub value: Vec<u8>,
    /// The kind of event; dead letters, raw requests and the program's own state are none.
    pub kind: Option<Kind>,
    /// Identity for the duplicate window; what is no event has none.
    pub identity: Option<(EventId, Option<FactHash>)>,
}

impl Record {
    /// The memory that the record's texts take.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.headers.value_bytes() + self.value.len()
    }

    /// The text whose hash chooses the partition.
    pub fn place(&self) -> &str {
        self.placed_by.as_deref().unwrap_or(&self.key)
    }
}

#[derive(Serialize)]
struct Common<'e> {
    schema_version: &'static str,
    event_id: EventId,
    kind: &'static str,
    provider: &'static str,
    product: &'e str,
    account_id: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_account_id: Option<&'e str>,
    source_name: &'e str,
    occurred_at: Option<Time>,
    occurred_at_source: OccurrenceSource,
    received_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_event_id: Option<&'e str>,
    ingest: &'e Ingest<'e>,
}

impl Event<'_> {
    /// Gives the event its id, applies the privacy switches and writes it.
    ///
    /// # Errors
    /// Only if the event could not be written as JSON, which its types do not allow.
    pub fn into_record(
        mut self,
        origin: &Reception<'_>,
        privacy: &Privacy,
        mode: Mode,
    ) -> Result<Record, serde_json::Error> {
        let info = self.fact.kind().info();
        let EventIdentity { key, id, fact_hash } = self.identify(origin.provider);
        self.fact.redact(privacy);
        let mut headers = self.attributes(info, id, fact_hash, origin);
        let data = self.data(info, id, origin, privacy)?;
        headers.push("ce_partitionkey", &key);
        headers.push("content-type", "application/json");
        let (headers, value) = match mode {
            Mode::Binary => (headers, data),
            Mode::Structured => structured(&headers, &data),
        };
        let (kind, identity) = (Some(info.kind), Some((id, fact_hash)));
        Ok(Record { topic: info.topic, key, placed_by: None, headers, value, kind, identity })
    }

    /// The CloudEvents attributes, but for the partition key.
    fn attributes(&self, info: &KindInfo, id: EventId, fact_hash: Option<FactHash>, origin: &Reception<'_>) -> Headers {
        let account = utf8_percent_encode(&self.account_id, ACCOUNT);
        let mut attributes = Headers::of_event();
        attributes.push("ce_specversion", "1.0");
        attributes.push_printed("ce_id", id);
        attributes.push_printed("ce_source", format_args!("/{}/{account}", origin.provider));
        attributes.push("ce_type", info.ce_type);
        attributes.push("ce_subject", self.fact.subject());
        attributes.push_printed("ce_time", self.occurred.at.unwrap_or(origin.received_at));
        attributes.push("ce_dataschema", info.dataschema);
        attributes.push_printed("ce_recordedtime", origin.received_at);
        if let Some(hash) = fact_hash {
            attributes.push_printed("ce_facthash", hash);
        }
        attributes
    }

    fn data(
        &self,
        info: &KindInfo,
        id: EventId,
        origin: &Reception<'_>,
        privacy: &Privacy,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let common = Common {
            schema_version: SCHEMA_VERSION,
            event_id: id,
            kind: info.name,
            provider: origin.provider,
            product: &self.product,
            account_id: &self.account_id,
            parent_account_id: self.parent_account_id.as_deref(),
            source_name: origin.source_name,
            occurred_at: self.occurred.at,
            occurred_at_source: self.occurred.source,
            received_at: origin.received_at,
            provider_event_id: self.provider_event_id.as_deref(),
            ingest: origin.ingest,
        };
        let mut out = Vec::with_capacity(1024);
        write::push(&mut out, &common)?;
        match &self.fact {
            Fact::MessageStatus(fact) => append_members(&mut out, fact)?,
            Fact::InboundMessage(fact) => append_members(&mut out, fact)?,
            Fact::CallEvent(fact) => append_members(&mut out, fact)?,
            Fact::CallRecord(fact) => append_members(&mut out, fact)?,
            Fact::UsageRecord(fact) => append_members(&mut out, fact)?,
        }
        self.append_leftovers(&mut out, privacy);
        Ok(out)
    }

    fn append_leftovers(&self, out: &mut Vec<u8>, privacy: &Privacy) {
        let (name, name_if_missing) = self.fact.leftovers_names();
        match leftovers::write(&self.leftovers.members, self.leftovers.classes, privacy) {
            Ok(None) => {}
            Ok(Some(object)) => append_member(out, name, &object),
            Err(leftovers::TooLarge) => append_member(out, name_if_missing, b"true"),
        }
    }
}

/// Appends the members of another object to the object that `out` ends with. Writing the two halves
/// one after the other costs less than collecting them in a map, as `serde(flatten)` would.
fn append_members(out: &mut Vec<u8>, object: &impl Serialize) -> Result<(), serde_json::Error> {
    out.pop();
    let seam = out.len();
    write::push(out, object)?;
    out[seam] = b',';
    Ok(())
}

fn append_member(out: &mut Vec<u8>, name: &str, json: &[u8]) {
    out.pop();
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(json);
    out.push(b'}');
}

/// The whole CloudEvent as the value (CloudEvents JSON format). Its attributes have no prefix there.
fn structured(headers: &Headers, data: &[u8]) -> (Headers, Vec<u8>) {
    let mut out = Vec::with_capacity(data.len() + 768);
    out.push(b'{');
    for (name, value) in headers.iter() {
        let name = if name == "content-type" { "datacontenttype" } else { name.trim_start_matches("ce_") };
        write::push_string(&mut out, name);
        out.push(b':');
        write::push_string(&mut out, value);
        out.push(b',');
    }
    out.extend_from_slice(b"\"data\":");
    out.extend_from_slice(data);
    out.push(b'}');
    (Headers::content_type("application/cloudevents+json"), out)
}
