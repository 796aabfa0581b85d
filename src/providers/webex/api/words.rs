//! What Webex says of a refusal, and as much of it as may be shown.
//!
//! Its errors have `message`, `errorCode`, `errors` and `trackingId`. Not all endpoints are documented, so every text of
//! the body counts, but for the last one.

use std::borrow::Cow;

use serde_json::Value;

use super::hosts::{host_alone, urls_in};
use crate::provider::api::{Answer, Request};

/// An explanation is shorter.
const MAX_CHARS: usize = 4096;

/// As much of it is shown.
const MAX_SHOWN_CHARS: usize = 300;

/// A word that is as long may be a token or an id.
const MAX_WORD_CHARS: usize = 32;

/// A value of the query that is shorter tells nothing of anybody.
const MIN_VALUE_CHARS: usize = 4;

/// What a body says.
#[derive(Debug, Default)]
pub(super) struct Words {
    text: String,
    code: Option<u64>,
}

impl Words {
    /// Reads an answer's body, which may be anything.
    pub(super) fn of(answer: &Answer) -> Self {
        let Some(body) = answer.json::<Value>() else {
            return Self { text: answer.text().chars().take(MAX_CHARS).collect(), code: None };
        };
        let mut texts = Vec::new();
        collect(&body, &mut texts);
        Self { text: texts.join(" ").chars().take(MAX_CHARS).collect(), code: code_of(&body) }
    }

    /// All of it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether nothing is said but a code.
    pub(super) fn is_code_alone(&self, code: u64) -> bool {
        self.code == Some(code) && self.text.trim().is_empty()
    }

    /// Whether one of these is said, which are in lower case.
    pub(super) fn say(&self, any: &[&str]) -> bool {
        let text = self.text.to_lowercase();
        any.iter().any(|words| text.contains(words))
    }

    /// What may be shown of it in a message about the request: no value of its query, no long word, and of URLs the
    /// host alone.
    pub(super) fn shown(&self, request: &Request) -> String {
        let values = request.query.iter().map(|(_, value)| value).filter(|value| value.len() >= MIN_VALUE_CHARS);
        let printable = self.text.replace(char::is_control, " ");
        let text = values.fold(printable, |text, value| text.replace(value, "***"));
        let words: Vec<Cow<'_, str>> = text.split_whitespace().map(shown_word).collect();
        let shown = words.join(" ");
        if shown.is_empty() { "nothing".to_owned() } else { shown.chars().take(MAX_SHOWN_CHARS).collect() }
    }
}

fn shown_word(word: &str) -> Cow<'_, str> {
    match urls_in(word).next().and_then(|url| host_alone(&url)) {
        Some(host) => Cow::Owned(host.as_str().trim_end_matches('/').to_owned()),
        None if word.chars().count() >= MAX_WORD_CHARS => Cow::Borrowed("***"),
        None => Cow::Borrowed(word),
    }
}

/// Every text of a body, but for the one that only Webex's support can read.
fn collect<'b>(value: &'b Value, texts: &mut Vec<&'b str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => {
            let told = members.iter().filter(|(name, _)| !is_aside(name));
            told.for_each(|(_, member)| collect(member, texts));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_aside(name: &str) -> bool {
    ["trackingId", "errorCode"].iter().any(|aside| name.eq_ignore_ascii_case(aside))
}

fn code_of(body: &Value) -> Option<u64> {
    let first = || body.get("errors")?.get(0)?.get("errorCode");
    match body.get("errorCode").or_else(first)? {
        Value::String(text) => text.trim().parse().ok(),
        number => number.as_u64(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(body: &str) -> Words {
        Words::of(&Answer { body: body.as_bytes().to_vec(), ..Answer::default() })
    }

    #[test]
    fn every_text_of_an_error_counts() {
        let error = r#"{"message":"A B","errors":[{"description":"C\/D","errorCode":"7"}],"trackingId":"T"}"#;
        assert_eq!((words(error).text(), words(error).code), ("A B C/D", Some(7)));
        assert_eq!(words("plain text").text(), "plain text");
        assert_eq!(words("\"quoted\"").text(), "quoted");
        assert!(words(error).say(&["x", "a b"]) && !words(error).say(&["t"]));
        let code = words(r#"{"errorCode":404,"trackingId":"T","errors":[]}"#);
        assert!(code.is_code_alone(404) && !code.is_code_alone(400));
        assert!(!words(r#"{"errorCode":404,"message":"x"}"#).is_code_alone(404));
        assert!(!words("").is_code_alone(404));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let request = Request::get("feed", "feed", "/").with("orgId", "org-one").with("page", "2");
        let shown = |text: &str| Words { text: text.to_owned(), code: None }.shown(&request);
        assert_eq!(shown("no ORG org-one, 2\n\u{7}x"), "no ORG ***, 2 x");
        assert_eq!(shown(&format!("Bearer {} is bad", "Ab1_".repeat(9))), "Bearer *** is bad");
        assert_eq!(shown("see https://h.example.com/v1/x?orgId=9."), "see https://h.example.com");
        assert_eq!(shown(" "), "nothing");
        assert_eq!(shown(&"word ".repeat(900)).len(), MAX_SHOWN_CHARS);
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic_and_no_value_is_shown(body: Vec<u8>, text in "\\PC{0,40}", value in "[a-zA-Z0-9:-]{4,40}") {
            let request = Request::get("feed", "feed", "/").with("orgId", value.as_str());
            Words::of(&Answer { body, ..Answer::default() }).shown(&request);
            let shown = words(&format!("{text}{value} {value}{text}")).shown(&request);
            prop_assert!(!shown.contains(&value), "{}", shown);
        }
    }
}
