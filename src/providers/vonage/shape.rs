//! Which product of Vonage's a body is of.

use crate::json::Members;

/// Whether it is of the Messages API. Its webhooks have `message_uuid` and `channel`; those of Verify have a channel too,
/// beside an id of their own.
pub(super) fn is_of_messages(members: &Members<'_>) -> bool {
    members.has("message_uuid") || (members.has("channel") && !members.has("request_id"))
}

/// Whether it is of the SMS API, which calls a message's id by a name of its own.
pub(super) fn is_of_sms(members: &Members<'_>) -> bool {
    members.has("messageId") || (members.has("msisdn") && members.has("to"))
}

/// Says what another request looks like, for those who pointed it here.
pub(super) fn description(members: &Members<'_>) -> String {
    let other = match product_of(members) {
        Some(product) => format!(": it looks like one of {product}"),
        None => String::new(),
    };
    format!("the request is no webhook of the Messages or SMS API{other}")
}

fn product_of(members: &Members<'_>) -> Option<&'static str> {
    let has = |name| members.has(name);
    if has("request_status") {
        Some("the Reports API")
    } else if has("request_id") {
        Some("Verify")
    } else if has("dispatch_uuid") {
        Some("the Dispatch API")
    } else if has("uuid") || has("call_uuid") || has("conversation_uuid") {
        Some("the Voice API")
    } else if has("conversation_id") {
        Some("the Conversation API")
    } else if has("message_uuid") {
        Some("the Messages API, which sends JSON")
    } else {
        None
    }
}
