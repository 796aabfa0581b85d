//! The normalised events: what they say, how they are identified and how they are written.
//!
//! Everything here is pure. A provider's mapping makes an [`Event`]; [`Event::into_record`] gives it
//! its id, applies the privacy switches and writes it as one Kafka record.

use std::borrow::Cow;

use serde::Serialize;

pub mod address;
pub mod call;
pub mod country;
pub mod digits;
pub mod direction;
pub mod envelope;
pub mod headers;
pub mod id;
pub mod kind;
pub mod leftovers;
pub mod link;
pub mod message;
pub mod money;
pub mod network;
pub mod privacy;
pub mod time;
pub mod usage;
mod words;

use crate::json::{Members, Text};
use call::{CallEvent, CallRecord};
use id::{EventId, FactHash, Identity};
use kind::Kind;
use leftovers::{Class, Classes, Names};
use message::{InboundMessage, MessageStatus};
use privacy::Privacy;
use time::Time;
use usage::UsageRecord;

/// One normalised event, borrowing its text from the request it was made of.
#[derive(Debug)]
pub struct Event<'a> {
    /// The provider's product, such as `messages`.
    pub product: Cow<'static, str>,
    /// The account that owns the fact at the provider: the narrowest one that every way of learning
    /// the fact names.
    pub account_id: Text<'a>,
    /// The partner or master account.
    pub parent_account_id: Option<Text<'a>>,
    /// The provider's own id of the event.
    pub provider_event_id: Option<Text<'a>>,
    /// When it happened.
    pub occurred: Occurrence,
    /// What happened.
    pub fact: Fact<'a>,
    /// Members that the mapping did not consume.
    pub leftovers: Leftovers<'a>,
}

/// By what an event is known, wherever it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventIdentity {
    /// The Kafka key.
    pub key: String,
    /// Its id.
    pub id: EventId,
    /// Hash of what may still change of it.
    pub fact_hash: Option<FactHash>,
}

impl Event<'_> {
    /// Fills in what follows from the rest of the event, and tells by what it is known.
    pub fn identify(&mut self, provider: &str) -> EventIdentity {
        self.fact.complete();
        EventIdentity {
            key: format!("{provider}:{}:{}", self.account_id, self.fact.subject()),
            id: self.fact.event_id(provider, &self.account_id),
            fact_hash: self.fact.fact_hash(),
        }
    }
}

/// The time of a fact, and whose word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// The instant; absent when the provider tells none.
    pub at: Option<Time>,
    /// Who told it.
    pub source: OccurrenceSource,
}

/// Who told when a fact came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OccurrenceSource {
    /// The provider, of the fact itself.
    Provider,
    /// The provider, of the moment in which it sent the webhook.
    Push,
    /// A carrier.
    Carrier,
    /// Nobody: only the time of reception is known.
    Received,
}

impl Occurrence {
    /// The provider's own time, or none told.
    pub fn by_provider(at: Option<Time>) -> Self {
        match at {
            Some(_) => Self { at, source: OccurrenceSource::Provider },
            None => Self { at: None, source: OccurrenceSource::Received },
        }
    }
}

/// What an event tells, by kind.
#[derive(Debug)]
pub enum Fact<'a> {
    /// A message's delivery status.
    MessageStatus(Box<MessageStatus<'a>>),
    /// A message sent to the account.
    InboundMessage(Box<InboundMessage<'a>>),
    /// Something that happened in a call.
    CallEvent(Box<CallEvent<'a>>),
    /// A call detail record.
    CallRecord(Box<CallRecord<'a>>),
    /// A row of accounting that is neither a message nor a call.
    UsageRecord(Box<UsageRecord<'a>>),
}

/// What a mapping did not consume, with the marks that its mapping gives its members.
#[derive(Debug)]
pub struct Leftovers<'a> {
    /// The record's own members.
    pub members: Members<'a>,
    /// Which of them are personal.
    pub classes: &'static Classes,
}

/// Of what is made here, nothing is left over.
static NO_CLASSES: Classes =
    Classes { marked: &[], otherwise: Class::Plain, names: Names::Exact, hosts: &[], international_digits: false };

impl Leftovers<'_> {
    /// Nothing is left over.
    pub fn none() -> Self {
        Self { members: Members::default(), classes: &NO_CLASSES }
    }
}

impl Fact<'_> {
    /// The kind of event.
    pub fn kind(&self) -> Kind {
        match self {
            Self::MessageStatus(_) => Kind::MessageStatus,
            Self::InboundMessage(_) => Kind::InboundMessage,
            Self::CallEvent(_) => Kind::CallEvent,
            Self::CallRecord(_) => Kind::CallRecord,
            Self::UsageRecord(_) => Kind::UsageRecord,
        }
    }

    /// The provider's id of the thing the fact is about: the subject, and the end of the key.
    pub fn subject(&self) -> &str {
        match self {
            Self::MessageStatus(fact) => &fact.message_id,
            Self::InboundMessage(fact) => &fact.message_id,
            Self::CallEvent(fact) => &fact.call_id,
            Self::CallRecord(fact) => &fact.record_id,
            Self::UsageRecord(fact) => &fact.usage_id,
        }
    }

    /// Hash of what may still change of the fact, for the kinds where something may.
    pub fn fact_hash(&self) -> Option<FactHash> {
        match self {
            Self::MessageStatus(fact) => Some(fact.fact_hash()),
            Self::CallRecord(fact) => Some(fact.fact_hash()),
            Self::UsageRecord(fact) => Some(fact.fact_hash()),
            Self::InboundMessage(_) | Self::CallEvent(_) => None,
        }
    }

    /// Identity of the fact, as an account of a provider tells it.
    pub fn event_id(&self, provider: &str, account_id: &str) -> EventId {
        let compute =
            |identity: &Identity<'_>| EventId::compute(provider, account_id, self.kind().info().id_name, identity);
        match self {
            Self::MessageStatus(fact) => fact.with_identity(compute),
            Self::InboundMessage(fact) => compute(&Identity { id: &fact.message_id, x: "", y: "" }),
            Self::CallEvent(fact) => fact.with_identity(compute),
            Self::CallRecord(fact) => compute(&fact.identity()),
            Self::UsageRecord(fact) => fact.with_identity(compute),
        }
    }

    /// Under which name the leftovers stand, and that they are missing. The columns of a row of accounting are what it
    /// tells, and not a rest.
    fn leftovers_names(&self) -> (&'static str, &'static str) {
        match self {
            Self::UsageRecord(_) => ("columns", "columns_truncated"),
            _ => ("provider_data", "provider_data_truncated"),
        }
    }

    /// Fills in what follows from the rest of the fact.
    fn complete(&mut self) {
        if let Self::CallRecord(fact) = self {
            fact.complete();
        }
    }

    fn redact(&mut self, privacy: &Privacy) {
        match self {
            Self::MessageStatus(fact) => fact.redact(privacy),
            Self::InboundMessage(fact) => fact.redact(privacy),
            Self::CallEvent(fact) => fact.redact(privacy),
            Self::CallRecord(fact) => fact.redact(privacy),
            Self::UsageRecord(fact) => fact.redact(privacy),
        }
    }
}
