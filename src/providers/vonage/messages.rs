//! The Messages API: which webhook a body is, and what both of them share.

use crate::event::country;

use super::{Fault, Sink, inbound, status};
use crate::event::address::{Address, AddressRules};
use crate::event::id::is_id;
use crate::event::money::{self, Money, PriceScope};
use crate::event::network::Network;
use crate::event::{Event, Fact, Leftovers, Occurrence};
use crate::json::{Members, Text};
use crate::providers::iso_time;
use crate::verify::Verified;

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

/// Normalises one authentic request.
pub(super) fn normalize<'r>(request: &'r Verified<'r>, region: Option<country::Id>, out: &mut dyn Sink<'r>) {
    let account_id = request.proof().account_id.clone().unwrap_or_default();
    let mapped = read(request).and_then(|members| map(Body { members, region }, account_id));
    match mapped {
        Ok((event, unmapped)) => {
            unmapped.into_iter().for_each(|field| out.unmapped(field));
            out.event(event);
        }
        Err(fault) => out.fault(fault),
    }
}

fn read<'r>(request: &Verified<'r>) -> Result<Members<'r>, Fault<'r>> {
    let raw = request.request();
    if raw.undecodable {
        return Err(Fault::of_request("undecodable_body", "the body's Content-Encoding could not be undone"));
    }
    if raw.body.is_empty() {
        return Err(Fault::of_request("unknown_shape", "a request without a body is no webhook of the Messages API"));
    }
    let text = std::str::from_utf8(raw.body).map_err(|_| Fault::of_request("invalid_utf8", "the body is not UTF-8"))?;
    Members::parse(text).map_err(|error| {
        let place = format!("the body is not one JSON object (line {}, column {})", error.line(), error.column());
        Fault::of_request("invalid_json", place)
    })
}

/// Told by shape: a status has `status`, an inbound message has `message_type` (v1) or an object
/// `message` (v0.1). All of them, and nothing else of Vonage's, have `message_uuid` or `channel`.
fn map<'r>(body: Body<'r>, account_id: String) -> Result<(Event<'r>, Vec<&'static str>), Fault<'r>> {
    let members = &body.members;
    let of_messages = members.has("message_uuid") || members.has("channel");
    let mapped = if of_messages && members.has("status") {
        status::map(&body)?
    } else if of_messages && (members.has("message_type") || members.is_object("message")) {
        inbound::map(&body)?
    } else {
        return Err(Fault::of_request("unknown_shape", "the body is no webhook of the Messages API"));
    };
    let event = Event {
        product: "messages",
        account_id: account_id.into(),
        parent_account_id: None,
        provider_event_id: None,
        occurred: Occurrence::by_provider(body.members.read("timestamp", iso_time)),
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
    pub(super) fn channel(&self, unmapped: &mut Vec<&'static str>) -> &'static str {
        let party_type = || self.members.object("to")?.read("type", channel_word);
        if let Some(channel) = self.members.read("channel", channel_word).or_else(party_type) {
            // The sender's side repeats the channel in version 0.1.
            self.members.object("from").and_then(|from| from.read("type", channel_word));
            return channel;
        }
        unmapped.push("channel");
        "other"
    }

    /// A party: text in version 1, an object with `number` or `id` in version 0.1.
    pub(super) fn party(&self, name: &str, channel: &str, message_sender: bool) -> Option<Address<'r>> {
        let mut rules = AddressRules {
            international_digits: matches!(channel, "sms" | "mms" | "rcs" | "whatsapp" | "viber"),
            message_sender,
            message_person: !message_sender,
            user_ids: channel == "messenger",
            email: channel == "email",
            call: false,
            region: self.region,
        };
        if let Some(text) = self.members.text_or_number(name) {
            return Some(read_party(text, channel, &rules));
        }
        let object = self.members.object(name)?;
        if let Some(number) = object.text_or_number("number") {
            return Some(read_party(number, channel, &rules));
        }
        rules.international_digits = false;
        rules.user_ids = true;
        object.text_or_number("id").map(|id| Address::read(id, &rules))
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
        self.members.object(object)?.read("network_code", |code| Network::from_mccmnc(&code))
    }
}

/// A number, or on WhatsApp an id of a user who is known by no number.
fn read_party<'r>(text: Text<'r>, channel: &str, rules: &AddressRules) -> Address<'r> {
    let digits = text.trim().trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit());
    match channel {
        "whatsapp" if !digits => Address::user_id(text),
        _ => Address::read(text, rules),
    }
}

fn channel_word(word: Text<'_>) -> Option<&'static str> {
    let word = word.trim().to_ascii_lowercase();
    let known = match word.as_str() {
        "sms" => "sms",
        "mms" => "mms",
        "rcs" => "rcs",
        "whatsapp" => "whatsapp",
        "messenger" => "messenger",
        "viber" | "viber_service" | "viber_service_msg" => "viber",
        "email" => "email",
        _ => return None,
    };
    Some(known)
}

/// A count, written as text or as a number.
pub(super) fn count(text: Text<'_>) -> Option<u32> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests;
