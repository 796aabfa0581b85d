//! Inbound messages, versions 1 and 0.1.

use super::Fault;
use super::messages::{Body, Mapped, Side, count};
use crate::event::Fact;
use crate::event::address::Address;
use crate::event::direction::Direction;
use crate::event::leftovers::{Class, Classes, Names};
use crate::event::message::{Channel, InboundMessage};
use crate::json::{Member, Members};

/// Whatever is not listed here is what somebody wrote, known kind of payload or not.
static CLASSES: Classes = Classes {
    marked: &[
        ("channel", Class::Plain),
        ("timestamp", Class::Plain),
        ("message_uuid", Class::Plain),
        ("message_type", Class::Plain),
        ("client_ref", Class::Plain),
        ("application_id", Class::Plain),
        ("context_status", Class::Plain),
        ("context", Class::Plain),
        ("context.message_from", Class::Number),
        ("provider_message", Class::Plain),
        ("origin", Class::Plain),
        ("usage", Class::Plain),
        ("sms", Class::Plain),
        ("sms.keyword", Class::Content),
        ("to", Class::Number),
        ("from", Class::Number),
        ("to.type", Class::Plain),
        ("from.type", Class::Plain),
        ("profile", Class::Name),
        ("mms.participants", Class::Number),
        ("whatsapp.sender", Class::Number),
        ("whatsapp.waba_id", Class::Plain),
        ("message.sms", Class::Plain),
    ],
    otherwise: Class::Content,
    names: Names::Exact,
    hosts: &["nexmo.com", "vonage.com"],
    international_digits: true,
};

pub(super) fn map<'r>(body: &Body<'r>) -> Result<Mapped<'r>, Fault<'r>> {
    let members = &body.members;
    let mut unmapped = Vec::new();
    let message_id = body.message_id()?;
    let channel = body.channel(&mut unmapped);
    // Version 0.1 has the payload in `message.content`, version 1 at the top.
    let old_message = members.object("message").filter(|_| !members.has("message_type"));
    let content = old_message.and_then(|message| message.object("content"));
    let content_type = match content {
        Some(content) => content.text("type"),
        None => members.text("message_type"),
    };
    let content_type = content_type.map(|word| word.trim().to_lowercase());
    let payload = content.unwrap_or(members);
    let fact = InboundMessage {
        message_id,
        channel,
        direction: Direction::Inbound,
        from: sender(body, channel),
        to: body.party("to", channel, Side::Own).unwrap_or_else(Address::unknown),
        media: media(payload, content_type.as_deref()),
        text: payload.find("text").and_then(Member::written),
        text_hash: None,
        text_length: None,
        content_type: content_type.map(Into::into),
        parts: parts(members).or_else(|| parts(old_message?)),
        network: body.network("origin"),
        client_ref: members.text_or_number("client_ref"),
        in_reply_to: members.object("context").and_then(|context| context.text("message_uuid")),
        price: body.price(),
    };
    Ok(Mapped { fact: Fact::InboundMessage(Box::new(fact)), classes: &CLASSES, unmapped })
}

fn sender<'r>(body: &Body<'r>, channel: Channel) -> Address<'r> {
    let members = &body.members;
    let told = body.party("from", channel, Side::Other);
    let mut sender = told.or_else(|| body.whatsapp_user("sender")).unwrap_or_else(Address::unknown);
    sender.name = members.object("profile").and_then(|profile| profile.text("name"));
    sender
}

/// The number of attachments: one for a media type, as many as listed for a mixed message.
fn media(payload: &Members<'_>, content_type: Option<&str>) -> usize {
    match content_type {
        Some("image" | "audio" | "video" | "file" | "vcard" | "sticker") => 1,
        Some("content") => payload.array_len("content").unwrap_or(0),
        _ => 0,
    }
}

fn parts(members: &Members<'_>) -> Option<u32> {
    let sms = members.object("sms")?;
    sms.read("num_messages", count).or_else(|| sms.read("total_count", count))
}
