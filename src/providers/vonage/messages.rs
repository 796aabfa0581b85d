//! The Messages API: which of its webhooks a body is, and what both of them share.

use crate::event::country;

use super::webhook::{Mapping, time};
use super::{Fault, inbound, status};
use crate::event::id::is_id;
use crate::event::message::Channel;
use crate::event::money::{self, Money, PriceScope};
use crate::event::network::Network;
use crate::event::{Event, Fact, Leftovers, Occurrence};
use crate::json::{Members, Text, number};

mod party;

pub(super) use party::{Side, party};

/// A Messages API body on its way to an event.
pub(super) struct Body<'r> {
    pub(super) members: Members<'r>,
    pub(super) region: Option<country::Id>,
}

/// What a mapping says of a body.
pub(super) struct Mapped<'r> {
    pub(super) fact: Fact<'r>,
    pub(super) classes: &'static crate::event::leftovers::Classes,
    pub(super) unmapped: Vec<&'static str>,
}

/// Maps a body that has the marks of this API. Told by shape: a status has `status`, an inbound message has
/// `message_type` (v1) or an object `message` (v0.1).
pub(super) fn map<'r>(members: Members<'r>, region: Option<country::Id>, account_id: &'r str) -> Mapping<'r> {
    let body = Body { members, region };
    let members = &body.members;
    let mapped = if members.has("status") {
        status::map(&body)?
    } else if members.has("message_type") || members.is_object("message") {
        inbound::map(&body)?
    } else {
        return Err(Fault::of_request("unknown_shape", "the body is neither a status nor an inbound message"));
    };
    let event = Event {
        product: "messages".into(),
        account_id: account_id.into(),
        parent_account_id: None,
        provider_event_id: None,
        occurred: Occurrence::by_provider(body.members.read("timestamp", time)),
        fact: mapped.fact,
        leftovers: Leftovers { members: body.members, classes: mapped.classes },
    };
    Ok((event, mapped.unmapped))
}

impl<'r> Body<'r> {
    /// The message's id.
    pub(super) fn message_id(&self) -> Result<Text<'r>, Fault<'r>> {
        let id = self.members.text("message_uuid");
        let id = id.ok_or_else(|| Fault::of_request("missing_id", "no message_uuid").at("/message_uuid"))?;
        match is_id(&id) {
            true => Ok(id),
            false => Err(Fault::of_request("invalid_id", "message_uuid can not be an id").at("/message_uuid")),
        }
    }

    /// The channel: `channel` of version 1, the party's `type` of version 0.1.
    pub(super) fn channel(&self, unmapped: &mut Vec<&'static str>) -> Channel {
        let party_type = || self.members.object("to")?.read("type", channel_word);
        if let Some(channel) = self.members.read("channel", channel_word).or_else(party_type) {
            // The sender's side repeats the channel in version 0.1.
            self.members.object("from").and_then(|from| from.read("type", channel_word));
            return channel;
        }
        unmapped.push("channel");
        Channel::Other
    }

    /// `usage`: what Vonage charges.
    pub(super) fn price(&self) -> Option<Money<'r>> {
        let usage = self.members.object("usage")?;
        let amount = usage.read("price", money::amount)?;
        let currency = usage.read("currency", money::currency);
        Some(Money { amount, currency, currency_assumed: false, scope: PriceScope::Total })
    }

    /// The network of the party outside, in `destination` of a status or `origin` of a message.
    pub(super) fn network(&self, object: &str) -> Option<Network<'r>> {
        self.members.object(object)?.read("network_code", Network::from_code)
    }
}

/// A word for a channel, of webhooks or of reports.
pub(super) fn channel_word(word: Text<'_>) -> Option<Channel> {
    let word = word.trim().to_ascii_lowercase();
    let known = match word.as_str() {
        "sms" => Channel::Sms,
        "mms" => Channel::Mms,
        "rcs" => Channel::Rcs,
        "whatsapp" => Channel::Whatsapp,
        "messenger" => Channel::Messenger,
        "viber" | "viber_service" | "viber_service_msg" => Channel::Viber,
        "email" => Channel::Email,
        _ => return None,
    };
    Some(known)
}

/// A count, written as text or as a number.
pub(super) fn count(text: Text<'_>) -> Option<u32> {
    number::whole(&text)
}

#[cfg(test)]
mod tests;
