//! What Vonage's Reports API tells, product by product.

use crate::event::kind::Kind;
use crate::provider::api::StreamInfo;

const HOUR_S: u32 = 3600;
const DAY_S: u32 = 24 * HOUR_S;

/// Of which of the two products of messages a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageProduct {
    Messages,
    Sms,
}

/// What the rows of a stream are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// Messages that the account sent.
    Outbound(MessageProduct),
    /// Messages that it got.
    Inbound(MessageProduct),
    /// Calls over a network of telephones, of which webhooks tell.
    Call,
    /// Calls over the Internet.
    AppCall,
    /// Anything else that is charged for.
    Usage,
}

/// Vonage charges for each row that it lists, and statuses of SMS are final after 72 hours: so messages are read late,
/// and once more after that. It keeps rows for 13 months.
const MESSAGES: StreamInfo = StreamInfo {
    name: "",
    product: "",
    kinds: &[],
    counted: false,
    primary: false,
    includes: None,
    widest_s: 31 * DAY_S,
    // The beginning of what is asked for belongs to it and its end does not, by the documentation.
    margin_s: 0,
    least_delay_s: 0,
    delay_s: 6 * HOUR_S,
    again_s: &[4 * DAY_S],
    reach_s: 396 * DAY_S,
    reach_is_sure: false,
};

const fn status(name: &'static str, product: &'static str) -> StreamInfo {
    StreamInfo { name, product, kinds: &[Kind::MessageStatus], ..MESSAGES }
}

const fn inbound(name: &'static str, product: &'static str) -> StreamInfo {
    StreamInfo { name, product, kinds: &[Kind::InboundMessage], ..MESSAGES }
}

const fn call(name: &'static str, product: &'static str) -> StreamInfo {
    StreamInfo { name, product, kinds: &[Kind::CallRecord], delay_s: HOUR_S, again_s: &[DAY_S], ..MESSAGES }
}

const fn app_call(name: &'static str, product: &'static str) -> StreamInfo {
    StreamInfo { primary: true, delay_s: 6 * HOUR_S, again_s: &[], ..call(name, product) }
}

const fn usage(name: &'static str, product: &'static str) -> StreamInfo {
    StreamInfo { name, product, kinds: &[Kind::UsageRecord], primary: true, again_s: &[], ..MESSAGES }
}

/// Everything that can be asked for, what webhooks tell too first.
pub(in crate::providers::vonage) const STREAMS: &[StreamInfo] = &[
    status("messages.outbound", "MESSAGES"),
    inbound("messages.inbound", "MESSAGES"),
    status("sms.outbound", "SMS"),
    inbound("sms.inbound", "SMS"),
    call("voice-call", "VOICE-CALL"),
    call("voice-failed", "VOICE-FAILED"),
    app_call("websocket-call", "WEBSOCKET-CALL"),
    app_call("in-app-voice", "IN-APP-VOICE"),
    usage("voice-tts", "VOICE-TTS"),
    usage("asr", "ASR"),
    usage("amd", "AMD"),
    usage("verify-api", "VERIFY-API"),
    usage("verify-v2", "VERIFY-V2"),
    usage("number-insight", "NUMBER-INSIGHT"),
    usage("number-insight-v2", "NUMBER-INSIGHT-V2"),
    usage("conversation-event", "CONVERSATION-EVENT"),
    usage("conversation-message", "CONVERSATION-MESSAGE"),
    usage("network-api-event", "NETWORK-API-EVENT"),
    usage("sms-traffic-control", "SMS-TRAFFIC-CONTROL"),
    usage("video-api", "VIDEO-API"),
    usage("reports-usage", "REPORTS-USAGE"),
];

/// What the rows of a stream are.
pub(super) fn sort_of(stream: &str) -> Sort {
    match stream {
        "messages.outbound" => Sort::Outbound(MessageProduct::Messages),
        "messages.inbound" => Sort::Inbound(MessageProduct::Messages),
        "sms.outbound" => Sort::Outbound(MessageProduct::Sms),
        "sms.inbound" => Sort::Inbound(MessageProduct::Sms),
        "voice-call" | "voice-failed" => Sort::Call,
        "websocket-call" | "in-app-voice" => Sort::AppCall,
        _ => Sort::Usage,
    }
}

/// The product that a stream is of.
pub(super) fn product_of(stream: &str) -> Option<&'static str> {
    STREAMS.iter().find(|known| known.name == stream).map(|known| known.product)
}

/// The value of `direction` that a stream is asked with. Everywhere else Vonage refuses the parameter.
pub(super) fn direction_of(stream: &str) -> Option<&'static str> {
    match sort_of(stream) {
        Sort::Outbound(_) => Some("outbound"),
        Sort::Inbound(_) => Some("inbound"),
        Sort::Call | Sort::AppCall | Sort::Usage => None,
    }
}

/// Columns without which a file's rows are of no use.
pub(super) fn needed_of(stream: &str) -> &'static [&'static [&'static str]] {
    match sort_of(stream) {
        Sort::Outbound(_) => &[&["message_id", "id"], &["status"]],
        Sort::Inbound(_) => &[&["message_id", "id"]],
        Sort::Call => &[&["call_id", "id"]],
        Sort::AppCall | Sort::Usage => &[&["id"]],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are part of the configuration and of metrics: what is sorted by them has to meet them.
    #[test]
    fn every_stream_has_the_kind_of_its_sort_and_a_name_in_lower_case() {
        for stream in STREAMS {
            let kind = match sort_of(stream.name) {
                Sort::Outbound(_) => Kind::MessageStatus,
                Sort::Inbound(_) => Kind::InboundMessage,
                Sort::Call | Sort::AppCall => Kind::CallRecord,
                Sort::Usage => Kind::UsageRecord,
            };
            assert_eq!(stream.kinds, [kind], "{}", stream.name);
            let product = stream.product.to_lowercase();
            assert!(stream.name == product || stream.name.strip_prefix(&format!("{product}.")).is_some());
            assert_eq!(product_of(stream.name), Some(stream.product));
        }
    }

    #[test]
    fn a_direction_is_asked_for_where_it_has_to_be_and_nowhere_else() {
        let asked: Vec<_> = STREAMS.iter().filter_map(|stream| direction_of(stream.name)).collect();
        assert_eq!(asked, ["outbound", "inbound", "outbound", "inbound"]);
    }
}
