//! Facts about calls: what happens in them, and the records that account for them.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::address::Address;
use super::direction::Direction;
use super::id::{FactHash, Identity};
use super::money::{self, Money};
use super::network::Network;
use super::privacy::Privacy;
use super::time::Time;
use crate::json::Text;

mod vocabulary;

pub use vocabulary::{AnsweredBy, CallEventKind, CallOutcome, HangupBy, RecordScope, RecordState};

/// One thing that happened in a call.
#[derive(Debug, Clone, Serialize)]
pub struct CallEvent<'a> {
    /// The widest id that the event names: the whole call's.
    pub call_id: Text<'a>,
    /// Id of the leg.
    pub leg_id: Text<'a>,
    /// What happened.
    pub event: CallEventKind,
    /// [`CallEventKind::rank`].
    pub event_rank: Option<u8>,
    /// The provider's words, joined by `/`.
    pub event_raw: Text<'a>,
    /// The provider's counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Which way the call goes.
    pub direction: Direction,
    /// The calling party.
    pub from: Address<'a>,
    /// The called party.
    pub to: Address<'a>,
    /// The public number that the call came in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub did: Option<Address<'a>>,
    /// How the call ended; only when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<CallOutcome>,
    /// Whether it was taken; only when it ended, and only where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<bool>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause<'a>>,
    /// Answer to end, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talk_ms: Option<u64>,
    /// What the leg costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money<'a>>,
    /// Id of a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_id: Option<Text<'a>>,
    /// Our own copy of a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<StoredRecording<'a>>,
    /// What tells this event from others of its leg in the event's id; not published.
    #[serde(skip)]
    pub identity: CallEventIdentity<'a>,
}

/// A copy of a recording, where the configuration puts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredRecording<'a> {
    /// Where it lies: our own place, never the provider's link.
    pub uri: Text<'a>,
    /// Its size.
    pub bytes: u64,
    /// Its media type.
    pub content_type: &'static str,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: Text<'a>,
}

/// The distinguishing facts of a call event's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallEventIdentity<'a> {
    /// The raw event in lower case.
    pub event: Text<'a>,
    /// What tells it from another such event of the leg.
    pub occurrence: CallOccurrence<'a>,
}

/// What tells one event of a leg from another: the first of these that the provider gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOccurrence<'a> {
    /// The provider's counter.
    Sequence(u64),
    /// The provider's id of the event, where a retry has the same.
    EventId(Text<'a>),
    /// The time of the event, as the provider wrote it.
    Time(Text<'a>),
    /// The first 64 bits of the SHA-256 over the bytes that told it.
    Bytes([u8; 8]),
}

impl CallOccurrence<'_> {
    /// What is left where a provider tells nothing: the bytes of the body or, where it is empty, of the query.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        Self::Bytes(std::array::from_fn(|index| digest[index]))
    }
}

impl fmt::Display for CallOccurrence<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence(number) => write!(formatter, "seq:{number}"),
            Self::EventId(id) => write!(formatter, "eid:{id}"),
            Self::Time(text) => write!(formatter, "t:{text}"),
            Self::Bytes(hash) => write!(formatter, "b:{}", hex::encode(hash)),
        }
    }
}

/// Why a call ended, as far as numbers say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cause<'a> {
    /// ITU-T Q.850 cause, 1 to 127.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q850: Option<u16>,
    /// SIP response code (RFC 3261).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<u16>,
    /// The provider's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<'a>>,
}

/// A call detail record (CDR): one row of the provider's accounting.
#[derive(Debug, Clone, Serialize)]
pub struct CallRecord<'a> {
    /// The provider's key of the record.
    pub record_id: Text<'a>,
    /// What the row counts.
    pub record_scope: RecordScope,
    /// Whether it may still be replaced.
    pub state: RecordState,
    /// Tells copies of the record apart: the provider's version, else `h:` and the fact hash. Leave it
    /// empty for the latter; it is filled in when the record is written.
    pub record_version: Text<'a>,
    /// The widest id of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Text<'a>>,
    /// Id of the leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leg_id: Option<Text<'a>>,
    /// Links to other legs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related_ids: Vec<RelatedId<'a>>,
    /// Which way it went.
    pub direction: Direction,
    /// The calling party.
    pub from: Address<'a>,
    /// The called party.
    pub to: Address<'a>,
    /// Digits that were pressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialed: Option<Text<'a>>,
    /// The public number that the call came in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub did: Option<Address<'a>>,
    /// The last forwarding party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirected_by: Option<Address<'a>>,
    /// The account's user on the leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<CallUser<'a>>,
    /// When the set-up began.
    pub started_at: Option<Time>,
    /// When the conversation began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Time>,
    /// When it was released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Answer to end, in milliseconds; only when answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talk_ms: Option<u64>,
    /// Ringing, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_ms: Option<u64>,
    /// On hold, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_ms: Option<u64>,
    /// Set-up to end, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u64>,
    /// Whether a party or machine took it; `null` where that is not known.
    pub answered: Option<bool>,
    /// How it ended.
    pub outcome: CallOutcome,
    /// The provider's words, joined by `/`; empty when it says nothing.
    pub outcome_raw: Text<'a>,
    /// Who or what took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<AnsweredBy>,
    /// Who ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hangup_by: Option<HangupBy>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause<'a>>,
    /// The provider's class of call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_type: Option<Text<'a>>,
    /// Network of the outside party.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network<'a>>,
    /// What it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money<'a>>,
    /// What a minute costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Money<'a>>,
    /// Ids of recordings; never a link to one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<Text<'a>>,
    /// Place and trunks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Site<'a>>,
    /// Queue or group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue<'a>>,
    /// Transfers and their reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer<'a>>,
}

/// A link to another leg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelatedId<'a> {
    /// What the other leg is to this one.
    pub rel: Cow<'static, str>,
    /// Its id.
    pub id: Text<'a>,
}

/// The account's user on a leg.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CallUser<'a> {
    /// Id at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    /// Display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<'a>>,
    /// Number or extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Address<'a>>,
    /// The provider's sort of user.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub sort: Option<Text<'a>>,
}

/// Place and trunks of a leg.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Site<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    /// Offset from UTC in minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone_offset_min: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_trunk: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_trunk: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_group: Option<Text<'a>>,
}

/// The queue or group that a leg belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Queue<'a> {
    /// The provider's sort of queue.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub sort: Option<Text<'a>>,
    /// Why the leg belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<'a>>,
}

/// A transfer and its reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Transfer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// The provider's sort of transfer.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub sort: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_reason: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related_reason: Option<Text<'a>>,
}

impl CallEvent<'_> {
    pub(super) fn with_identity<T>(&self, use_it: impl FnOnce(&Identity<'_>) -> T) -> T {
        let occurrence = self.identity.occurrence.to_string();
        use_it(&Identity { id: &self.leg_id, x: &self.identity.event, y: &occurrence })
    }

    pub(super) fn redact(&mut self, privacy: &Privacy) {
        for party in [Some(&mut self.from), Some(&mut self.to), self.did.as_mut()].into_iter().flatten() {
            privacy.address(party);
        }
        privacy.free_word(&mut self.event_raw);
        if let Some(cause) = &mut self.cause {
            privacy.free_text(&mut cause.text);
        }
    }
}

impl CallRecord<'_> {
    /// Fills in the version of a record that has none of the provider's.
    pub(super) fn complete(&mut self) {
        if self.record_version.is_empty() {
            self.record_version = format!("h:{}", self.fact_hash()).into();
        }
    }

    pub(super) fn identity(&self) -> Identity<'_> {
        Identity { id: &self.record_id, x: self.state.as_str(), y: &self.record_version }
    }

    pub(super) fn fact_hash(&self) -> FactHash {
        let time = |time: Option<Time>| time.map(|time| time.to_string()).unwrap_or_default();
        let talk_ms = self.talk_ms.map(|talk_ms| talk_ms.to_string()).unwrap_or_default();
        let price = self.price.as_ref();
        FactHash::compute(&[
            self.leg_id.as_deref().unwrap_or_default(),
            &time(self.started_at),
            &time(self.answered_at),
            &time(self.ended_at),
            &talk_ms,
            &self.outcome_raw,
            price.map(|price| money::canonical(&price.amount)).unwrap_or_default(),
            price.and_then(|price| price.currency.as_deref()).unwrap_or_default(),
            &self.recordings.join(","),
        ])
    }

    pub(super) fn redact(&mut self, privacy: &Privacy) {
        let others = [self.did.as_mut(), self.redirected_by.as_mut()];
        for party in [&mut self.from, &mut self.to].into_iter().chain(others.into_iter().flatten()) {
            privacy.address(party);
        }
        if let Some(user) = &mut self.user {
            privacy.name(&mut user.name);
            user.number.iter_mut().for_each(|number| privacy.address(number));
        }
        if let Some(dialed) = self.dialed.take() {
            self.dialed = privacy.number_text(dialed);
        }
        self.redact_words(privacy);
    }

    /// The provider's words, in which a number may stand as the target of a transfer or the name of a trunk.
    fn redact_words(&mut self, privacy: &Privacy) {
        privacy.free_word(&mut self.outcome_raw);
        privacy.free_text(&mut self.call_type);
        if let Some(cause) = &mut self.cause {
            privacy.free_text(&mut cause.text);
        }
        if let Some(Transfer { sort, redirect_reason, related_reason, .. }) = &mut self.transfer {
            [sort, redirect_reason, related_reason].into_iter().for_each(|word| privacy.free_text(word));
        }
        if let Some(Queue { sort, reason }) = &mut self.queue {
            [sort, reason].into_iter().for_each(|word| privacy.free_text(word));
        }
        if let Some(Site { name, inbound_trunk, outbound_trunk, route_group, .. }) = &mut self.site {
            let words = [name, inbound_trunk, outbound_trunk, route_group];
            words.into_iter().for_each(|word| privacy.free_text(word));
        }
        // An id of SIP is made by whoever calls, often of a number. The others are the provider's own.
        let sip = self.related_ids.iter_mut().filter(|related| related.rel == "sip_call");
        sip.for_each(|related| privacy.free_word(&mut related.id));
        self.related_ids.retain(|related| !related.id.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occurrences_are_written_by_the_rule_of_ids() {
        for (occurrence, written) in [
            (CallOccurrence::Sequence(2), "seq:2"),
            (CallOccurrence::EventId("e-1".into()), "eid:e-1"),
            (CallOccurrence::Time("1766736711480097".into()), "t:1766736711480097"),
            (CallOccurrence::of_bytes(b""), "b:e3b0c44298fc1c14"),
        ] {
            assert_eq!(occurrence.to_string(), written);
        }
    }
}
