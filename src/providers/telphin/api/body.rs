//! What an answer's body holds.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::requests::{self, A_PAGE};
use crate::json::{Members, items_of, number};
use crate::provider::api::{Answer, Request};

/// A page of calls.
#[derive(Debug)]
pub(super) struct Page<'b> {
    /// Each call as it stands.
    pub(super) calls: Vec<&'b RawValue>,
    /// How many calls a full page has, as the answer says, else as was asked for.
    pub(super) a_page: usize,
}

#[derive(Deserialize)]
struct Envelope<'b> {
    #[serde(borrow)]
    call_history: &'b RawValue,
    #[serde(borrow, default)]
    per_page: Option<&'b RawValue>,
}

/// Reads a page. Nothing comes of an answer that is none.
pub(super) fn page(text: &str) -> Option<Page<'_>> {
    let envelope: Envelope<'_> = serde_json::from_str(plain(text)).ok()?;
    let told = envelope.per_page.and_then(|told| number::whole(told.get().trim_matches('"')));
    Some(Page { calls: items_of(envelope.call_history)?, a_page: told.filter(|told| *told > 0).unwrap_or(A_PAGE) })
}

/// Reads a bare list.
pub(super) fn list(text: &str) -> Option<Vec<&RawValue>> {
    items_of(serde_json::from_str(plain(text)).ok()?)
}

/// Reads one call, or another object: as it stands.
pub(super) fn object(text: &str) -> Option<&str> {
    let text = plain(text).trim();
    Members::parse(text).is_ok().then_some(text)
}

/// The client that the credentials belong to.
pub(super) fn client_id(text: &str) -> Option<String> {
    Members::parse(plain(text)).ok()?.text_or_number("client_id").map(|id| id.trim().to_owned())
}

/// How many rows an answer holds, if it is what was asked for.
pub(super) fn rows(request: &Request, answer: &Answer) -> Option<usize> {
    let text = answer.text();
    match request.class {
        requests::RECORDINGS | requests::SUBSCRIPTIONS => Some(1),
        requests::USER => object(&text).map(|_| 1),
        _ if requests::is_of_sums(request) => object(&text).map(|_| 1),
        _ if requests::is_of_one_call(request) => object(&text).map(|_| 1),
        _ if requests::is_of_recordings(request) => list(&text).map(|recordings| recordings.len()),
        _ => page(&text).map(|page| page.calls.len()),
    }
}

fn plain(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_says_itself_how_many_calls_it_may_have() {
        for (per_page, a_page) in [("50", 50), ("\"50\"", 50), ("50.0", 50), ("null", 100), ("0", 100), ("\"x\"", 100)]
        {
            let text = format!("\u{feff}{{\"page\":1,\"per_page\":{per_page},\"call_history\":[{{\"n\": 1}}, 7]}}");
            let page = page(&text).unwrap();
            let calls: Vec<&str> = page.calls.iter().map(|call| call.get()).collect();
            assert_eq!((page.a_page, calls), (a_page, vec!["{\"n\": 1}", "7"]), "{per_page}");
        }
        assert_eq!(page("{\"call_history\":[]}").map(|page| page.a_page), Some(100));
    }

    #[test]
    fn what_is_no_page_is_none() {
        for text in ["", "[]", "{}", "{\"calls\":[]}", "{\"call_history\":{}}", "{\"call_history\":null}", "<html>"] {
            assert!(page(text).is_none(), "{text}");
        }
        assert_eq!(list("[{}]").map(|list| list.len()), Some(1));
        assert!(list("{\"record\":[]}").is_none() && object("[]").is_none());
    }

    #[test]
    fn a_client_is_told_by_a_number_or_a_text() {
        for text in ["{\"client_id\":999}", "{\"client_id\":\" 999 \"}"] {
            assert_eq!(client_id(text).as_deref(), Some("999"));
        }
        assert_eq!(client_id("{\"client_id\":null}"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "[\\[\\]{}:,\"a-z_0-9 ]{0,60}") {
            page(&text);
            list(&text);
            object(&text);
            client_id(&text);
        }
    }
}
