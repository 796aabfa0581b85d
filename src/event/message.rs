//! Facts about messages: delivery statuses and inbound messages.

use serde::Serialize;

use super::address::Address;
use super::direction::Direction;
use super::id::{FactHash, Identity};
use super::money::{self, Money};
use super::network::Network;
use super::privacy::Privacy;
use super::time::Time;
use crate::json::Text;

mod vocabulary;

pub use vocabulary::{Channel, ErrorCategory, Status};

/// A delivery status of one message to one recipient.
#[derive(Debug, Clone, Serialize)]
pub struct MessageStatus<'a> {
    /// The provider's id of the message.
    pub message_id: Text<'a>,
    /// How it went.
    pub channel: Channel,
    /// Seen from the account.
    pub direction: Direction,
    /// The recipient.
    pub to: Address<'a>,
    /// The sender.
    pub from: Address<'a>,
    /// The normalised status.
    pub status: Status,
    /// The provider's word.
    pub status_raw: Text<'a>,
    /// [`Status::rank`].
    pub status_rank: u8,
    /// [`Status::is_final`].
    pub is_final: bool,
    /// A finer stage, in a word of the provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Text<'a>>,
    /// Why the message did not arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<MessageError<'a>>,
    /// When the account handed it to the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Time>,
    /// The carrier's own time as text, which has no zone and is never converted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_time_raw: Option<Text<'a>>,
    /// From the submission to the final status, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// The customer's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<Text<'a>>,
    /// The recipient's network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network<'a>>,
    /// Number of SMS segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// What the message costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money<'a>>,
    /// The channel's session and pricing class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation<'a>>,
    /// Place in a chain of fallbacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover<'a>>,
    /// The pool that the sender was chosen from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_service: Option<Text<'a>>,
    /// The text, where the privacy switches let it through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<'a>>,
    /// Keyed hash of the text, where the privacy switches ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_hash: Option<String>,
    /// Length of the hashed text, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_length: Option<usize>,
    /// Digits of the recipient, where the provider gives one id to a message with several; not published by itself.
    #[serde(skip)]
    pub recipient_in_id: Option<Text<'a>>,
}

/// Why a message did not arrive.
#[derive(Debug, Clone, Serialize)]
pub struct MessageError<'a> {
    /// The provider's code, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Text<'a>>,
    /// The provider's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Text<'a>>,
    /// The normalised cause.
    pub category: ErrorCategory,
    /// Whether trying again is pointless; `null` when that is not known.
    pub permanent: Option<bool>,
}

/// Session and pricing class of a channel that sells conversations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Conversation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pricing_model: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pricing_type: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Text<'a>>,
}

/// Place in a chain of fallbacks: this is attempt `item` of `total`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Failover<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
}

/// A message that somebody sent to the account.
#[derive(Debug, Clone, Serialize)]
pub struct InboundMessage<'a> {
    /// The provider's id of the message.
    pub message_id: Text<'a>,
    /// How it came.
    pub channel: Channel,
    /// Always inbound.
    pub direction: Direction,
    /// Who sent it.
    pub from: Address<'a>,
    /// The account's own address.
    pub to: Address<'a>,
    /// The provider's word for what it holds, in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Text<'a>>,
    /// The text, where the privacy switches let it through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<'a>>,
    /// Keyed hash of the text, where the privacy switches ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_hash: Option<String>,
    /// Length of the hashed text, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_length: Option<usize>,
    /// Number of attachments.
    pub media: usize,
    /// Number of SMS segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// The sender's network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network<'a>>,
    /// The customer's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<Text<'a>>,
    /// Id of the message that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<Text<'a>>,
    /// What receiving it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money<'a>>,
}

impl<'a> MessageStatus<'a> {
    /// A status of an outbound message of which nothing else is told yet.
    pub fn new(message_id: Text<'a>, channel: Channel, status: Status, status_raw: Text<'a>) -> Self {
        Self {
            message_id,
            channel,
            direction: Direction::Outbound,
            to: Address::unknown(),
            from: Address::unknown(),
            status,
            status_raw,
            status_rank: status.rank(),
            is_final: status.is_final(),
            detail: None,
            error: None,
            submitted_at: None,
            carrier_time_raw: None,
            latency_ms: None,
            client_ref: None,
            network: None,
            parts: None,
            price: None,
            conversation: None,
            failover: None,
            sender_service: None,
            text: None,
            text_hash: None,
            text_length: None,
            recipient_in_id: None,
        }
    }
}

impl MessageStatus<'_> {
    /// A status that counts is told by its normalised name, so that copies told in other words are
    /// one event; an intermediate one by the provider's word, so that two stages stay two.
    pub(super) fn with_identity<T>(&self, use_it: impl FnOnce(&Identity<'_>) -> T) -> T {
        let raw;
        let y = match self.is_final {
            true => self.status.as_str(),
            false => {
                raw = self.status_raw.trim().to_lowercase();
                &raw
            }
        };
        let x = self.recipient_in_id.as_deref().unwrap_or_default();
        use_it(&Identity { id: &self.message_id, x, y })
    }

    pub(super) fn fact_hash(&self) -> FactHash {
        let parts = self.parts.map(|parts| parts.to_string()).unwrap_or_default();
        let price = self.price.as_ref();
        let network = self.network.as_ref();
        FactHash::compute(&[
            price.map(|price| money::canonical(&price.amount)).unwrap_or_default(),
            price.and_then(|price| price.currency.as_deref()).unwrap_or_default(),
            &parts,
            network.and_then(|network| network.mcc.as_deref()).unwrap_or_default(),
            network.and_then(|network| network.mnc.as_deref()).unwrap_or_default(),
        ])
    }

    pub(super) fn redact(&mut self, privacy: &Privacy) {
        privacy.address(&mut self.to);
        privacy.address(&mut self.from);
        if let Some(hashed) = privacy.text(&mut self.text) {
            self.text_hash = Some(hashed.hash);
            self.text_length = Some(hashed.length);
        }
        privacy.free_word(&mut self.status_raw);
        privacy.link(&mut self.client_ref);
        if let Some(error) = &mut self.error {
            privacy.free_text(&mut error.message);
        }
    }
}

impl InboundMessage<'_> {
    pub(super) fn redact(&mut self, privacy: &Privacy) {
        privacy.address(&mut self.from);
        privacy.address(&mut self.to);
        privacy.link(&mut self.client_ref);
        if let Some(hashed) = privacy.text(&mut self.text) {
            self.text_hash = Some(hashed.hash);
            self.text_length = Some(hashed.length);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::event::id::EventId;
    use crate::event::kind::Kind;
    use crate::event::money::PriceScope;

    fn id(status: &MessageStatus<'_>) -> String {
        status
            .with_identity(|identity| EventId::compute("bandwidth", "55555555", "message.status", identity))
            .to_string()
    }

    #[test]
    fn one_id_for_several_recipients_makes_an_event_of_each() {
        let id_of_message = "14762070468292kw2fuqty55yp2b2".into();
        let mut status = MessageStatus::new(id_of_message, Channel::Sms, Status::Failed, "message-failed".into());
        status.recipient_in_id = Some("52345678903".into());
        assert_eq!(id(&status), "262f07fd57167971e5292b32274b18e9");
        status.recipient_in_id = Some("52345678904".into());
        assert_ne!(id(&status), "262f07fd57167971e5292b32274b18e9");
    }

    #[test]
    fn a_final_unknown_goes_by_its_name_and_an_early_one_by_the_providers_word() {
        let of = |status, word: &'static str| MessageStatus::new("1".into(), Channel::Sms, status, word.into());
        assert_eq!(id(&of(Status::NeverKnown, "9902")), id(&of(Status::NeverKnown, "lost")));
        assert_ne!(id(&of(Status::Unknown, "9902")), id(&of(Status::Unknown, "lost")));
        assert_ne!(id(&of(Status::Unknown, "lost")), id(&of(Status::NeverKnown, "lost")));
    }

    #[test]
    fn a_status_has_exactly_the_members_of_its_schema() {
        let some = || Some(Text::Borrowed("x"));
        let status = MessageStatus {
            detail: some(),
            error: Some(MessageError {
                code: some(),
                message: some(),
                category: ErrorCategory::Barred,
                permanent: None,
            }),
            submitted_at: Time::from_unix_seconds(0),
            carrier_time_raw: some(),
            latency_ms: Some(1),
            client_ref: some(),
            network: Some(Network::default()),
            parts: Some(1),
            price: Some(Money {
                amount: "1".into(),
                currency: None,
                currency_assumed: false,
                scope: PriceScope::Total,
            }),
            conversation: Some(Conversation::default()),
            failover: Some(Failover::default()),
            sender_service: some(),
            text: some(),
            text_hash: Some(String::new()),
            text_length: Some(0),
            ..MessageStatus::new("1".into(), Channel::Sms, Status::Sent, "sent".into())
        };
        let written = serde_json::to_value(&status).unwrap();
        let schema: Value = serde_json::from_str(Kind::MessageStatus.info().schema).unwrap();
        let told = schema["properties"].as_object().unwrap().keys();
        let own: Vec<&String> = told.skip_while(|name| *name != "message_id").collect();
        assert_eq!(written.as_object().unwrap().keys().collect::<Vec<_>>(), own);
    }
}
