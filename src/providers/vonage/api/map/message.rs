//! Rows of the products MESSAGES and SMS: the webhooks' own facts.

use super::columns::{Columns, Unnamed};
use super::{Fault, Mapped};
use crate::event::Fact;
use crate::event::address::Address;
use crate::event::direction::Direction;
use crate::event::message::{Channel, Conversation, Failover, InboundMessage, MessageError, MessageStatus, Status};
use crate::event::money::PriceScope;
use crate::json::{Member, Members, Text, number};
use crate::providers::vonage::api::streams::MessageProduct;
use crate::providers::vonage::error_codes::{self, Cause};
use crate::providers::vonage::messages::{Side, channel_word, party};
use crate::providers::vonage::sms;

/// A status of a message that the account sent. It comes about when the message is finalised; what is not final yet tells
/// no time.
pub(super) fn status<'r>(columns: &Columns<'r>, product: MessageProduct) -> Result<Mapped<'r>, Fault<'r>> {
    check_direction(columns, "outbound")?;
    let members = &columns.members;
    let message_id = columns.id(&["message_id", "id"])?;
    settle_same(members, "id", &message_id);
    let status_raw = members.text("status");
    let status_raw = status_raw.ok_or_else(|| Fault::of_request("missing_status", "no status").at("/status"))?;
    let mut unmapped = Vec::new();
    let channel = channel(members, product, &mut unmapped);
    let error = error(members, product);
    let status = status_of(&status_raw, error.as_ref()).unwrap_or_else(|| {
        unmapped.push("status");
        Status::Unknown
    });
    let fact = MessageStatus {
        to: address(columns, "to", channel, Side::Other),
        from: address(columns, "from", channel, Side::Own),
        detail: status_raw.trim().eq_ignore_ascii_case("buffered").then(|| "buffered".into()),
        error,
        submitted_at: columns.time("date_received"),
        latency_ms: members.read("latency", |text| number::whole(&text)),
        client_ref: client_ref(members),
        network: columns.network(),
        price: price(columns, product),
        conversation: conversation(members),
        failover: failover(members),
        text: members.find("message_body").and_then(Member::written),
        ..MessageStatus::new(message_id, channel, status, status_raw)
    };
    let occurred_at = columns.time("date_finalized");
    Ok(Mapped { fact: Fact::MessageStatus(Box::new(fact)), occurred_at, product: None, unmapped })
}

/// A message that the account got.
pub(super) fn inbound<'r>(columns: &Columns<'r>, product: MessageProduct) -> Result<Mapped<'r>, Fault<'r>> {
    check_direction(columns, "inbound")?;
    let members = &columns.members;
    let message_id = columns.id(&["message_id", "id"])?;
    settle_same(members, "id", &message_id);
    let mut unmapped = Vec::new();
    let channel = channel(members, product, &mut unmapped);
    let fact = InboundMessage {
        message_id,
        channel,
        direction: Direction::Inbound,
        from: address(columns, "from", channel, Side::Other),
        to: address(columns, "to", channel, Side::Own),
        content_type: (product == MessageProduct::Sms).then_some("text".into()),
        text: members.find("message_body").and_then(Member::written),
        text_hash: None,
        text_length: None,
        media: 0,
        parts: None,
        network: columns.network(),
        client_ref: client_ref(members),
        in_reply_to: None,
        price: price(columns, product),
    };
    let occurred_at = columns.time("date_received");
    Ok(Mapped { fact: Fact::InboundMessage(Box::new(fact)), occurred_at, product: None, unmapped })
}

/// A row of the other direction would become an event that nobody looks for in this stream's topic.
fn check_direction<'r>(columns: &Columns<'r>, asked: &str) -> Result<(), Fault<'r>> {
    match columns.members.text("direction") {
        Some(told) if !told.trim().eq_ignore_ascii_case(asked) => {
            Err(Fault::of_request("wrong_direction", format!("the row is not {asked}")).at("/direction"))
        }
        _ => Ok(()),
    }
}

/// The row's own id is the message's in all files that were seen, and tells nothing then.
fn settle_same(members: &Members<'_>, name: &str, id: &str) {
    members.read(name, |text| (text == id).then_some(()));
}

fn channel(members: &Members<'_>, product: MessageProduct, unmapped: &mut Vec<&'static str>) -> Channel {
    if product == MessageProduct::Sms {
        return Channel::Sms;
    }
    let mut is_other = false;
    let known = members.read("provider", |word| {
        is_other = word.trim().eq_ignore_ascii_case("instagram");
        channel_word(word)
    });
    if known.is_none() && !is_other {
        unmapped.push("provider");
    }
    known.unwrap_or(Channel::Other)
}

fn address<'r>(columns: &Columns<'r>, name: &str, channel: Channel, side: Side) -> Address<'r> {
    let text = columns.members.text_or_number(name);
    text.map_or_else(Address::unknown, |text| party(text, channel, side, columns.region))
}

/// The words of all webhooks and those that reports alone have. A rejection because the time to live was over is an
/// expiry, as in the webhook. `unknown` is a word that Vonage sends, and says nothing.
fn status_of(word: &str, error: Option<&MessageError<'_>>) -> Option<Status> {
    let code = error.and_then(|error| error.code.as_deref());
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "submitted" | "accepted" | "buffered" => Status::Sent,
        "delivered" => Status::Delivered,
        "read" => Status::Read,
        "failed" | "undeliverable" => Status::Failed,
        "rejected" if code.is_some_and(error_codes::is_expiry) => Status::Expired,
        "rejected" => Status::Rejected,
        "expired" => Status::Expired,
        "deleted" => Status::Canceled,
        "unknown" => Status::Unknown,
        _ => return None,
    })
}

/// The two products number their errors each for itself. `0` is no error.
fn error<'r>(members: &Members<'r>, product: MessageProduct) -> Option<MessageError<'r>> {
    let code = members.text_or_number("error_code")?;
    let code = error_codes::number(&code).unwrap_or(code);
    if code == "0" {
        return None;
    }
    let Cause { category, permanent } = match product {
        MessageProduct::Messages => error_codes::cause(&code),
        MessageProduct::Sms => sms::cause(&code),
    };
    let message = members.text("error_code_description");
    Some(MessageError { code: Some(code), message, category, permanent })
}

fn client_ref<'r>(members: &Members<'r>) -> Option<Text<'r>> {
    members.text_or_number("client_ref").or_else(|| members.text_or_number("account_ref"))
}

/// Vonage's prices of SMS are in euros, and rows tell it seldom.
fn price<'r>(columns: &Columns<'r>, product: MessageProduct) -> Option<crate::event::money::Money<'r>> {
    let unnamed = if product == MessageProduct::Sms { Unnamed::Euro } else { Unnamed::Unknown };
    columns.money("total_price", PriceScope::Total, unnamed)
}

fn conversation<'r>(members: &Members<'r>) -> Option<Conversation<'r>> {
    let conversation = Conversation {
        pricing_model: members.text("pricing_model"),
        pricing_type: members.text("pricing_type"),
        ..Conversation::default()
    };
    (conversation != Conversation::default()).then_some(conversation)
}

fn failover<'r>(members: &Members<'r>) -> Option<Failover<'r>> {
    let failover = Failover {
        id: members.text_or_number("workflow_id"),
        item: members.read("workflow_items_number", |text| number::whole(&text)),
        total: members.read("workflow_items_total", |text| number::whole(&text)),
    };
    (failover != Failover::default()).then_some(failover)
}
