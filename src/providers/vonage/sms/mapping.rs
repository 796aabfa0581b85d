//! What the parameters of a receipt or an inbound message mean.
//!
//! Source: Vonage, "Delivery receipts" and "Inbound SMS" guides of the SMS API and its OpenAPI document.

use super::super::Fault;
use super::super::error_codes::{self, Cause};
use super::super::webhook::{Mapping, time};
use super::{ACCOUNT, SIGNATURE};
use crate::event::address::{Address, AddressRules};
use crate::event::country;
use crate::event::direction::Direction;
use crate::event::id::is_id;
use crate::event::leftovers::{Class, Classes, Names};
use crate::event::message::{Channel, ErrorCategory, InboundMessage, MessageError, MessageStatus, Status};
use crate::event::money::{self, Money, PriceScope};
use crate::event::network::Network;
use crate::event::{Event, Fact, Leftovers, Occurrence, OccurrenceSource};
use crate::json::{Member, Members, Text, number};

static RECEIPT: Classes = Classes {
    marked: &[("msisdn", Class::Number), ("to", Class::Number), ("scts", Class::Plain)],
    otherwise: Class::Plain,
    names: Names::Exact,
    hosts: HOSTS,
    international_digits: true,
};

/// Whatever is not listed here is what somebody wrote.
static INBOUND: Classes = Classes {
    marked: &[
        ("msisdn", Class::Number),
        ("to", Class::Number),
        ("type", Class::Plain),
        ("message-timestamp", Class::Plain),
        ("concat", Class::Plain),
        ("concat-ref", Class::Plain),
        ("concat-part", Class::Plain),
        ("concat-total", Class::Plain),
        ("network-code", Class::Plain),
        ("price", Class::Plain),
    ],
    otherwise: Class::Content,
    names: Names::Exact,
    hosts: HOSTS,
    international_digits: true,
};

const HOSTS: &[&str] = &["nexmo.com", "vonage.com"];

/// What proves a request, and belongs to no event.
const PROOF: [&str; 4] = [SIGNATURE, ACCOUNT, "timestamp", "nonce"];

/// Maps a receipt, which has a `status`, or an inbound message, which has none.
pub(in super::super) fn map<'r>(members: Members<'r>, region: Option<country::Id>, account_id: &'r str) -> Mapping<'r> {
    let mut unmapped = Vec::new();
    let (fact, classes) = match members.has("status") {
        true => (receipt(&members, region, &mut unmapped)?, &RECEIPT),
        false => (inbound(&members, region)?, &INBOUND),
    };
    let occurred = occurred(&members);
    PROOF.iter().for_each(|name| _ = members.text_or_number(name));
    members.settle_nothing();
    let event = Event {
        product: "sms".into(),
        account_id: account_id.into(),
        parent_account_id: None,
        provider_event_id: None,
        occurred,
        fact,
        leftovers: Leftovers { members, classes },
    };
    Ok((event, unmapped))
}

/// Of a receipt, `msisdn` is the recipient and `to` the sender that was used.
fn receipt<'r>(
    members: &Members<'r>,
    region: Option<country::Id>,
    unmapped: &mut Vec<&'static str>,
) -> Result<Fact<'r>, Fault<'r>> {
    let message_id = message_id(members)?;
    let status_raw = members.text("status");
    let status_raw = status_raw.ok_or_else(|| Fault::of_request("missing_status", "no status").at("/status"))?;
    let status = status_of(&status_raw).unwrap_or_else(|| {
        unmapped.push("status");
        Status::Unknown
    });
    let detail = status_raw.trim().eq_ignore_ascii_case("buffered").then(|| "buffered".into());
    let fact = MessageStatus {
        to: party(members, "msisdn", Side::Other, region),
        from: party(members, "to", Side::Own, region),
        detail,
        error: error(members),
        carrier_time_raw: members.text_or_number("scts"),
        client_ref: members.text_or_number("client-ref"),
        network: members.read("network-code", Network::from_code),
        price: price(members),
        ..MessageStatus::new(message_id, Channel::Sms, status, status_raw)
    };
    Ok(Fact::MessageStatus(Box::new(fact)))
}

/// Of an inbound message, `msisdn` is who wrote it and `to` our own number.
fn inbound<'r>(members: &Members<'r>, region: Option<country::Id>) -> Result<Fact<'r>, Fault<'r>> {
    let fact = InboundMessage {
        message_id: message_id(members)?,
        channel: Channel::Sms,
        direction: Direction::Inbound,
        from: party(members, "msisdn", Side::Other, region),
        to: party(members, "to", Side::Own, region),
        content_type: members.text("type").map(|word| word.trim().to_lowercase().into()),
        media: 0,
        text: members.find("text").and_then(Member::written),
        text_hash: None,
        text_length: None,
        parts: members.read("concat-total", |text| number::whole(&text)),
        network: members.read("network-code", Network::from_code),
        client_ref: None,
        in_reply_to: None,
        price: price(members),
    };
    Ok(Fact::InboundMessage(Box::new(fact)))
}

fn message_id<'r>(members: &Members<'r>) -> Result<Text<'r>, Fault<'r>> {
    let id = members.text_or_number("messageId");
    let id = id.ok_or_else(|| Fault::of_request("missing_id", "no messageId").at("/messageId"))?;
    match is_id(&id) {
        true => Ok(id),
        false => Err(Fault::of_request("invalid_id", "messageId can not be an id").at("/messageId")),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Own,
    Other,
}

fn party<'r>(members: &Members<'r>, name: &str, side: Side, region: Option<country::Id>) -> Address<'r> {
    let rules = AddressRules {
        international_digits: true,
        message_sender: side == Side::Own,
        message_person: side == Side::Other,
        region,
        ..AddressRules::default()
    };
    members.text_or_number(name).map_or_else(Address::unknown, |text| Address::read(text, &rules))
}

/// `unknown` is a word that Vonage sends, and says nothing.
fn status_of(word: &str) -> Option<Status> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "submitted" | "accepted" | "buffered" => Status::Sent,
        "delivered" => Status::Delivered,
        "expired" => Status::Expired,
        "failed" => Status::Failed,
        "rejected" => Status::Rejected,
        "deleted" => Status::Canceled,
        "unknown" => Status::Unknown,
        _ => return None,
    })
}

fn error<'r>(members: &Members<'r>) -> Option<MessageError<'r>> {
    let code = members.text_or_number("err-code")?;
    let code = error_codes::number(&code).unwrap_or(code);
    if code == "0" {
        return None;
    }
    let Cause { category, permanent } = cause(&code);
    Some(MessageError { code: Some(code), message: None, category, permanent })
}

/// The catalogue of `err-code`. Source: Vonage, "SMS delivery error codes".
pub(in super::super) fn cause(code: &str) -> Cause {
    let (category, permanent) = match code.trim().parse().unwrap_or(0_u16) {
        2 | 7 => (ErrorCategory::UnreachableTemporary, Some(false)),
        3 => (ErrorCategory::UnreachablePermanent, Some(true)),
        4 => (ErrorCategory::Barred, Some(true)),
        5 | 8 => (ErrorCategory::NetworkError, Some(false)),
        6 => (ErrorCategory::SpamFiltered, None),
        9 => (ErrorCategory::OptedOut, Some(true)),
        10 | 52 => (ErrorCategory::ContentRejected, Some(true)),
        11 => (ErrorCategory::Unroutable, None),
        12 => (ErrorCategory::InvalidDestination, Some(true)),
        13 | 50 | 53 | 54 => (ErrorCategory::Regulation, Some(true)),
        14 => (ErrorCategory::BlockedByCarrier, Some(true)),
        15 => (ErrorCategory::InsufficientFunds, Some(false)),
        51 => (ErrorCategory::SenderNotAllowed, Some(true)),
        99 => (ErrorCategory::ProviderError, None),
        _ => (ErrorCategory::Unknown, None),
    };
    Cause { category, permanent }
}

/// Vonage's prices of SMS are in euros, which is told nowhere in the webhook, and of each part by itself.
fn price<'r>(members: &Members<'r>) -> Option<Money<'r>> {
    let amount = members.read("price", money::amount)?;
    Some(Money { amount, currency: Some("EUR".into()), currency_assumed: true, scope: PriceScope::PerPart })
}

/// The time of the webhook's sending, in UTC without saying so.
fn occurred(members: &Members<'_>) -> Occurrence {
    match members.read("message-timestamp", time) {
        Some(at) => Occurrence { at: Some(at), source: OccurrenceSource::Push },
        None => Occurrence::by_provider(None),
    }
}

#[cfg(test)]
mod tests;
