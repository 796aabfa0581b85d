//! Facts about messages: delivery statuses and inbound messages.

use serde::Serialize;

use super::address::Address;
use super::id::{FactHash, Identity};
use super::money::{self, Money};
use super::network::Network;
use super::privacy::Privacy;
use crate::json::Text;

/// Where a message is on its way. Consumers keep the event with the greatest rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The provider's word is not in our map, or says nothing.
    Unknown,
    /// The provider took the request.
    Accepted,
    /// Waiting at the provider.
    Queued,
    /// Handed to the carrier or channel.
    Sent,
    /// Not delivered in time.
    Expired,
    /// Attempted and failed.
    Failed,
    /// Refused before delivery.
    Rejected,
    /// Withdrawn.
    Canceled,
    /// At the handset or channel, so far as the provider can tell.
    Delivered,
    /// Opened or played.
    Read,
}

impl Status {
    /// Order of the statuses: a greater rank is later news.
    pub fn rank(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Accepted => 10,
            Self::Queued => 20,
            Self::Sent => 30,
            Self::Expired | Self::Failed | Self::Rejected | Self::Canceled => 40,
            Self::Delivered => 50,
            Self::Read => 60,
        }
    }

    /// Whether no better news is expected. A `read` may still follow a `delivered`.
    pub fn is_final(self) -> bool {
        self.rank() >= 40
    }

    /// The word that is published.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Accepted => "accepted",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Canceled => "canceled",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}

/// A delivery status of one message to one recipient.
#[derive(Debug, Clone, Serialize)]
pub struct MessageStatus<'a> {
    /// The provider's id of the message.
    pub message_id: Text<'a>,
    /// `sms`, `mms`, `rcs`, `whatsapp`, `messenger`, `viber`, `email` or `other`.
    pub channel: &'static str,
    /// Seen from the account.
    pub direction: &'static str,
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
    /// Why the message did not arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<MessageError<'a>>,
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
    pub category: &'static str,
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
    /// As in [`MessageStatus::channel`].
    pub channel: &'static str,
    /// Always `inbound`.
    pub direction: &'static str,
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
        use_it(&Identity { id: &self.message_id, x: "", y })
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
