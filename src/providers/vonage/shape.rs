//! Which product of Vonage's a webhook is of: told by its members alone, since all of them may come to one URL.

use super::webhook::Told;
use crate::json::Members;

/// What a webhook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A status or an inbound message of the Messages API.
    Message,
    /// A receipt or an inbound message of the SMS API.
    Sms,
    /// An event of the Voice API.
    CallEvent,
    /// A question of the Voice API: what is to be done with a call.
    CallToAnswer,
    /// Anything else.
    Unknown,
}

/// Members of which every event of the Voice API has one, and its questions have none.
const EVENT_MARKS: [&str; 10] = [
    "status",
    "timestamp",
    "recording_url",
    "recording_uuid",
    "transcription_url",
    "dtmf",
    "speech",
    "conversation_uuid_to",
    "payload",
    "reason",
];

/// Tells a webhook's shape.
pub(super) fn of(told: &Told<'_>) -> Shape {
    let members = told.members();
    match told {
        Told::Json(_) if is_of_messages(members) => Shape::Message,
        _ if is_of_sms(members) => Shape::Sms,
        _ if is_of_another(members) => Shape::Unknown,
        _ if is_question(members) => Shape::CallToAnswer,
        _ if is_of_voice(members) && has_any(members, &EVENT_MARKS) => Shape::CallEvent,
        _ => Shape::Unknown,
    }
}

/// The webhooks of Messages have `message_uuid` and `channel`; those of Verify have a channel too, beside an id of their
/// own.
fn is_of_messages(members: &Members<'_>) -> bool {
    members.has("message_uuid") || (members.has("channel") && !members.has("request_id"))
}

/// The SMS API calls a message's id by a name of its own.
pub(super) fn is_of_sms(members: &Members<'_>) -> bool {
    members.has("messageId") || (members.has("msisdn") && members.has("to"))
}

fn is_of_voice(members: &Members<'_>) -> bool {
    has_any(members, &["uuid", "call_uuid", "conversation_uuid", "recording_uuid", "conversation_uuid_to"])
}

/// A question comes to the answer URL, or to the fallback URL with the request that failed before.
fn is_question(members: &Members<'_>) -> bool {
    let has = |name| members.has(name);
    let is_call = has("uuid") && has("conversation_uuid") && has_any(members, &["from", "from_user", "to"]);
    has("original_request") || (is_call && !has_any(members, &EVENT_MARKS))
}

fn has_any(members: &Members<'_>, names: &[&str]) -> bool {
    names.iter().any(|name| members.has(name))
}

fn is_of_another(members: &Members<'_>) -> bool {
    has_any(members, &["request_status", "request_id", "dispatch_uuid", "conversation_id", "message_uuid"])
}

/// Says what another request looks like, for those who pointed it here.
pub(super) fn description(members: &Members<'_>) -> String {
    let other = match product_of(members) {
        Some(product) => format!(": it looks like one of {product}"),
        None => String::new(),
    };
    format!("the request is no webhook of the Messages, SMS or Voice API{other}")
}

fn product_of(members: &Members<'_>) -> Option<&'static str> {
    let has = |name| members.has(name);
    if has("request_status") {
        Some("the Reports API")
    } else if has("request_id") {
        Some("Verify")
    } else if has("dispatch_uuid") {
        Some("the Dispatch API")
    } else if has("conversation_id") {
        Some("the Conversation API")
    } else if has("message_uuid") {
        Some("the Messages API, which sends JSON")
    } else if is_of_voice(members) {
        Some("the Voice API, and tells nothing of its call")
    } else {
        None
    }
}
