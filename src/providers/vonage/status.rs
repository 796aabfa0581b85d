//! Status callbacks, versions 1 and 0.1.

use super::Fault;
use super::error_codes;
use super::messages::{Body, Mapped, count};
use crate::event::Fact;
use crate::event::address::Address;
use crate::event::leftovers::{Class, Classes, Names};
use crate::event::message::{Conversation, Failover, MessageError, MessageStatus, Status};
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
        message_id,
        channel,
        direction: "outbound",
        to: body.party("to", channel, false).or_else(|| whatsapp_user(members)).unwrap_or_else(Address::unknown),
        from: body.party("from", channel, true).unwrap_or_else(Address::unknown),
        status,
        status_raw,
        status_rank: status.rank(),
        is_final: status.is_final(),
        error,
        client_ref: members.text_or_number("client_ref"),
        network: body.network("destination"),
        parts: parts(members),
        price: body.price(),
        conversation: conversation(members),
        failover: failover(members),
    };
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

/// The code is `error.title`, as text or number; where that is no number, the part of `error.type`
/// after `#`; in version 0.1 `error.code`.
fn error<'r>(members: &Members<'r>) -> Option<MessageError<'r>> {
    let error = members.object("error")?;
    let code = error
        .read("title", |title| is_number(&title).then_some(title))
        .or_else(|| error.read("type", |link| fragment(&link)))
        .or_else(|| error.text_or_number("code"))
        .or_else(|| error.text_or_number("title"));
    let message = error.text("detail").or_else(|| error.text("reason"));
    if code.is_none() && message.is_none() {
        return None;
    }
    let cause = error_codes::cause(code.as_deref().unwrap_or_default());
    Some(MessageError { code, message, category: cause.category, permanent: cause.permanent })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn fragment<'r>(link: &Text<'r>) -> Option<Text<'r>> {
    let (_, code) = link.rsplit_once('#')?;
    is_number(code).then(|| code.to_owned().into())
}

/// A recipient known only by the id of a WhatsApp user.
fn whatsapp_user<'r>(members: &Members<'r>) -> Option<Address<'r>> {
    let recipient = members.object("whatsapp")?.object("recipient")?;
    recipient.text("user_id").map(Address::user_id)
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
