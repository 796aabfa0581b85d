//! The parameters of a webhook: from the body and the query, read as one set.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Fault;
use crate::json::{Members, Text, Value, string_of, tells_nothing};
use crate::request::{MAX_FIELDS, RawRequest};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The documented names. Names are compared without case, and a known one is written as documented, so
/// that every mapping and every privacy mark finds it.
const NAMES: &[&str] = &[
    "EventType",
    "event_type",
    "CallID",
    "SubCallID",
    "CallAPIID",
    "CallBackID",
    "CallerIDNum",
    "CallerIDName",
    "CalledDID",
    "CalledExtension",
    "CalledExtensionID",
    "CallerExtension",
    "CallerExtensionID",
    "CalledNumber",
    "CallStatus",
    "CallFlow",
    "EventTime",
    "Duration",
    "BridgedDuration",
    "RecID",
    "Bridged",
    "Transfered",
    "RemoteNumber",
    "Tag",
];

/// Requests that Telphin can be told to send here and that tell nothing of a call.
const NOT_FOR_US: &[&str] =
    &["message-in", "message-out", "agent-login", "agent-logout", "call_interactive", "call-status-change"];

/// The decoded parameters, each name once.
#[derive(Debug)]
pub(super) struct Form<'r> {
    fields: Vec<(Text<'r>, Text<'r>)>,
}

impl<'r> Form<'r> {
    /// Decodes a request. What its body claims to be encoded with may be wrong, and then its bytes are the form; if they
    /// are none, the claim is what went wrong.
    pub(super) fn read(request: &'r RawRequest<'r>) -> Result<Self, Fault<'r>> {
        let form = Self::decode(request);
        match request.undecodable && !form.as_ref().is_ok_and(Self::is_webhook) {
            true => Err(Fault::of_request("undecodable_body", "the body's Content-Encoding could not be undone")),
            false => form,
        }
    }

    /// A wrong byte becomes a replacement character, so that it loses no call.
    fn decode(request: &'r RawRequest<'r>) -> Result<Self, Fault<'r>> {
        let fault = |code, message: &str| Err(Fault::of_request(code, message));
        let body = request.body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(request.body).trim_ascii();
        if matches!(body.first(), Some(b'{' | b'[')) {
            return fault("json_body", "the body is JSON, and Telphin sends form parameters");
        }
        let pairs = request.form_fields().chain(request.query_fields());
        let Some(fields) = first_of_each_name(pairs) else {
            return fault("too_many_fields", "more than 4096 parameters");
        };
        match fields.is_empty() {
            true => fault("empty_request", "neither the body nor the query holds a parameter"),
            false => Ok(Self { fields }),
        }
    }

    /// Whether the form has what every webhook about a call has, or is one of those that are not for us.
    fn is_webhook(&self) -> bool {
        let members = self.members();
        let has_identity = ["EventType", "CallID", "SubCallID"].iter().all(|name| peek(&members, name).is_some());
        has_identity || !self.is_for_us()
    }

    /// Whether the request is about a call. The others are known and need no identity.
    pub(super) fn is_for_us(&self) -> bool {
        let members = self.members();
        let word = peek(&members, "EventType").or_else(|| peek(&members, "event_type")).unwrap_or_default();
        !NOT_FOR_US.iter().any(|known| known.eq_ignore_ascii_case(&word))
    }

    /// The parameters, none of them used so far but those that tell nothing.
    pub(super) fn members(&self) -> Members<'r> {
        let members = Members::from_fields(self.fields.iter().cloned());
        members.settle_nothing();
        members
    }
}

/// Of a repeated parameter the first counts, whatever the case of its name; `None` if there are more
/// parameters than a request may have.
fn first_of_each_name<'r>(pairs: impl Iterator<Item = (&'r str, &'r str)>) -> Option<Vec<(Text<'r>, Text<'r>)>> {
    let mut seen = HashSet::new();
    let mut fields = Vec::with_capacity(NAMES.len());
    for (index, (name, value)) in pairs.enumerate() {
        if index == MAX_FIELDS {
            return None;
        }
        if seen.insert(name.to_ascii_lowercase()) {
            let documented = NAMES.iter().find(|known| known.eq_ignore_ascii_case(name));
            fields.push((Cow::Borrowed(documented.map_or(name, |known| *known)), Cow::Borrowed(value)));
        }
    }
    Some(fields)
}

/// A parameter that tells something, without the space around it. One that does not is treated as
/// absent: blank text and the words that programs write for nothing.
pub(super) fn told<'r>(members: &Members<'r>, name: &str) -> Option<Text<'r>> {
    members.read(name, told_text)
}

/// [`told`], leaving the parameter unused.
pub(super) fn peek<'r>(members: &Members<'r>, name: &str) -> Option<Text<'r>> {
    match &members.find(name)?.value {
        Value::Field(text) => told_text(text.clone()),
        Value::Json(_) => None,
    }
}

/// A parameter that is one of a few words, whatever their case. Any other word stays unused.
pub(super) fn word<'r, T>(members: &Members<'r>, name: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    members.read(name, |text| read(&text.trim().to_ascii_lowercase()))
}

/// Uses up every parameter, or member of a call of the API, that holds or names a link, so that none of them is published: Telphin's
/// links to recordings need no login and do not expire.
pub(super) fn withhold_links(members: &Members<'_>) {
    for member in members.iter() {
        let name = member.name.to_ascii_lowercase();
        let names_link = ["url", "uri", "link", "href"].iter().any(|word| name.ends_with(word));
        let holds_link = match &member.value {
            Value::Field(text) => is_link(text),
            Value::Json(raw) => string_of(raw).is_some_and(|text| is_link(&text)),
        };
        if names_link || holds_link {
            member.text();
        }
    }
}

/// Whether a text holds an address of the web.
pub(super) fn is_link(text: &str) -> bool {
    text.contains("://")
}

fn told_text(text: Text<'_>) -> Option<Text<'_>> {
    let trimmed = text.trim();
    match text {
        _ if tells_nothing(trimmed) => None,
        Cow::Borrowed(text) => Some(Cow::Borrowed(text.trim())),
        Cow::Owned(ref owned) if owned.len() == trimmed.len() => Some(text),
        Cow::Owned(_) => Some(Cow::Owned(trimmed.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::time::Time;
    use crate::request::Method;

    fn request<'r>(body: &'r [u8], query: &'r str) -> RawRequest<'r> {
        RawRequest::new(Method::Post, "/webhooks/t/***", Time::parse_iso("2026-02-03T12:14:26.103Z").unwrap())
            .with_query(query)
            .with_body(body, false)
    }

    fn value(body: &[u8], query: &str, name: &str) -> Option<String> {
        let request = request(body, query);
        told(&Form::read(&request).unwrap().members(), name).map(Text::into_owned)
    }

    fn fault(body: &[u8], query: &str) -> &'static str {
        Form::read(&request(body, query)).unwrap_err().code
    }

    #[test]
    fn body_and_query_are_one_set_and_the_first_of_a_name_counts() {
        for (body, query, told) in [
            ("CallID=a", "", "a"),
            ("", "CallID=a", "a"),
            ("CallID=a", "CallID=b", "a"),
            ("CallID=a&CALLID=b&callid=c", "CallId=d", "a"),
            ("callid=%61+b&x", "", "a b"),
            ("&&CallID=a&&", "&", "a"),
            ("\u{feff}CallID=a\r\n", "", "a"),
        ] {
            assert_eq!(value(body.as_bytes(), query, "CallID").as_deref(), Some(told), "{body} ? {query}");
        }
        assert_eq!(value(b"CallID=&CallID=b", "", "CallID"), None);
    }

    #[test]
    fn text_is_decoded_leniently() {
        for (body, told) in [
            ("CallerIDName=%D0%90%D0%BD%D0%BD%D0%B0", "Анна"),
            ("CallerIDName=%C0%ED%ED%E0", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ("CallerIDName=100%", "100%"),
            ("CallerIDName=%zz", "%zz"),
        ] {
            assert_eq!(value(body.as_bytes(), "", "CallerIDName").as_deref(), Some(told), "{body}");
        }
        assert_eq!(value(b"CallerIDName=\xffx", "", "CallerIDName").as_deref(), Some("\u{fffd}x"));
    }

    #[test]
    fn words_for_nothing_count_as_absent() {
        for nothing in ["", "+", "null", "NULL", "%22null%22", "NA", "na", "N/A"] {
            assert_eq!(value(format!("Tag={nothing}").as_bytes(), "", "Tag"), None, "{nothing}");
        }
        assert_eq!(value(b"Tag=+x+", "", "Tag").as_deref(), Some("x"));
    }

    #[test]
    fn what_is_no_form_is_a_fault() {
        for (body, code) in [
            ("", "empty_request"),
            (" \r\n", "empty_request"),
            ("{\"EventType\":\"hangup\"}", "json_body"),
            (" [1]", "json_body"),
            ("\u{feff}{}", "json_body"),
        ] {
            assert_eq!(fault(body.as_bytes(), ""), code, "{body}");
        }
    }

    #[test]
    fn parameters_are_bounded_over_body_and_query() {
        let many = |count: usize| (0..count).map(|index| format!("p{index}=1&")).collect::<String>();
        assert_eq!(fault(many(4000).as_bytes(), &many(97)), "too_many_fields");
        assert_eq!(fault("a&".repeat(4097).as_bytes(), ""), "too_many_fields");
        let most = format!("{}CallID=a", many(4095));
        assert_eq!(value(most.as_bytes(), "", "CallID").as_deref(), Some("a"));
    }

    #[test]
    fn requests_about_other_things_are_known_by_either_name() {
        let is_for_us = |body: &str| Form::read(&request(body.as_bytes(), "")).unwrap().is_for_us();
        for word in NOT_FOR_US {
            assert!(!is_for_us(&format!("EventType={word}")), "{word}");
            assert!(!is_for_us(&format!("EVENT_TYPE=+{}+", word.to_uppercase())), "{word}");
        }
        for body in ["EventType=hangup", "EventType=hangup&event_type=agent-login", "x=1", "EventType="] {
            assert!(is_for_us(body), "{body}");
        }
    }

    #[test]
    fn links_are_used_up_wherever_they_stand() {
        let body = "a=https%3A%2F%2Fstorage.example%2F1&RecordingUrl=storage.example/1&Tag=x";
        let request = request(body.as_bytes(), "");
        let members = Form::read(&request).unwrap().members();
        withhold_links(&members);
        let used: Vec<bool> = members.iter().map(crate::json::Member::is_used).collect();
        assert_eq!(used, [true, true, false]);
    }
}
