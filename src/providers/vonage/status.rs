//! Status callbacks, versions 1 and 0.1.

use super::Fault;
use super::error_codes;
use super::messages::{Body, Mapped, Side, count};
use crate::event::Fact;
use crate::event::address::Address;
use crate::event::leftovers::{Class, Classes, Names};
use crate::event::message::{Channel, Conversation, Failover, MessageError, MessageStatus, Status};
use crate::json::{Members, Text};

static CLASSES: Classes = Classes {
    marked: &[
        ("to", Class::Number),
        ("from", Class::Number),
        ("to.type", Class::Plain),
        ("from.type", Class::Plain),
        ("whatsapp.recipient", Class::Number),
        ("whatsapp.waba_id", Class::Plain),
        ("error.type", Class::Public),
        ("profile", Class::Name),
        ("mms.participants", Class::Number),
    ],
    otherwise: Class::Plain,
    names: Names::Exact,
    hosts: &["nexmo.com", "vonage.com"],
    international_digits: true,
};

pub(super) fn map<'r>(body: &Body<'r>) -> Result<Mapped<'r>, Fault<'r>> {
    let members = &body.members;
    let message_id = body.message_id()?;
    let status_raw = members.text("status");
    let status_raw = status_raw.ok_or_else(|| Fault::of_request("missing_status", "no status").at("/status"))?;
    let mut unmapped = Vec::new();
    let channel = body.channel(&mut unmapped);
    let error = error(members);
    let status = status_of(&status_raw, error.as_ref());
    if status == Status::Unknown {
        unmapped.push("status");
    }
    let fact = MessageStatus {
        to: recipient(body, channel),
        from: body.party("from", channel, Side::Own).unwrap_or_else(Address::unknown),
        error,
        client_ref: members.text_or_number("client_ref"),
        network: body.network("destination"),
        parts: parts(members),
        price: body.price(),
        conversation: conversation(members),
        failover: failover(members),
        ..MessageStatus::new(message_id, channel, status, status_raw)
    };
    members.settle_nothing();
    Ok(Mapped { fact: Fact::MessageStatus(Box::new(fact)), classes: &CLASSES, unmapped })
}

/// A rejection because the time to live was over is an expiry.
fn status_of(word: &str, error: Option<&MessageError<'_>>) -> Status {
    let code = error.and_then(|error| error.code.as_deref());
    match word.trim().to_ascii_lowercase().as_str() {
        "submitted" => Status::Sent,
        "delivered" => Status::Delivered,
        "read" => Status::Read,
        "undeliverable" => Status::Failed,
        "rejected" if code.is_some_and(error_codes::is_expiry) => Status::Expired,
        "rejected" => Status::Rejected,
        _ => Status::Unknown,
    }
}

/// The code is `error.title` where that is a number, else the part of `error.type` after `#`, in version 0.1
/// `error.code`, and at last a title that is one word. A sentence is no code.
fn error<'r>(members: &Members<'r>) -> Option<MessageError<'r>> {
    let error = members.object("error")?;
    let code = error
        .read("title", |title| error_codes::number(&title))
        .or_else(|| error.read("type", |link| fragment(&link)))
        .or_else(|| error.read("code", code_of))
        .or_else(|| error.read("title", code_of));
    let message = error.text("detail").or_else(|| error.text("reason"));
    if code.is_none() && message.is_none() {
        return None;
    }
    let cause = error_codes::cause(code.as_deref().unwrap_or_default());
    Some(MessageError { code, message, category: cause.category, permanent: cause.permanent })
}

fn fragment<'r>(link: &str) -> Option<Text<'r>> {
    let (_, code) = link.rsplit_once('#')?;
    code_of(code.to_owned().into())
}

/// A number or a word.
fn code_of(text: Text<'_>) -> Option<Text<'_>> {
    let is_word = !text.trim().is_empty() && !text.trim().contains(char::is_whitespace);
    is_word.then(|| error_codes::number(&text).unwrap_or(text))
}

/// The status names the recipient itself, or describes a user of WhatsApp.
fn recipient<'r>(body: &Body<'r>, channel: Channel) -> Address<'r> {
    let told = body.party("to", channel, Side::Other);
    told.or_else(|| body.whatsapp_user("recipient")).unwrap_or_else(Address::unknown)
}

/// The number of segments has two names, depending on how the callback came about.
fn parts(members: &Members<'_>) -> Option<u32> {
    let sms = members.object("sms")?;
    sms.read("count_total", count).or_else(|| sms.read("total_count", count))
}

fn conversation<'r>(members: &Members<'r>) -> Option<Conversation<'r>> {
    let whatsapp = members.object("whatsapp")?;
    let session = whatsapp.object("conversation");
    let pricing = whatsapp.object("pricing");
    let of_pricing = |name| pricing.and_then(|pricing: &Members<'r>| pricing.text(name));
    let conversation = Conversation {
        id: session.and_then(|session| session.text("id")),
        origin: session.and_then(|session| session.object("origin")?.text("type")),
        pricing_model: of_pricing("pricing_model"),
        pricing_type: of_pricing("type"),
        category: of_pricing("category"),
    };
    (conversation != Conversation::default()).then_some(conversation)
}

/// The published names of `workflow` differ; every spelling that any of Vonage's own sources shows is
/// read.
fn failover<'r>(members: &Members<'r>) -> Option<Failover<'r>> {
    let workflow = members.object("workflow")?;
    let number = |names: [&str; 2]| names.iter().find_map(|name| workflow.read(name, count));
    let failover = Failover {
        id: workflow.text("workflow_id").or_else(|| workflow.text("id")),
        item: number(["items_number", "item_number"]),
        total: number(["items_total", "total_items"]),
    };
    (failover != Failover::default()).then_some(failover)
}
