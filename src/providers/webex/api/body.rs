//! What an answer's body holds.

use serde_json::value::RawValue;

use crate::event::id::is_id;
use crate::json::{Members, Text, Value, items_of, number};
use crate::provider::api::Answer;
use crate::providers::webex::search::Seen;
use crate::providers::webex::{fields, ids, search};

/// Under which names counts may stand, folded. Only the first one is documented.
const LISTS_OF_COUNTS: [&str; 3] = ["cdrcounts", "counts", "items"];

/// How an organisation may be called, folded.
const ORGANISATIONS: [&str; 2] = ["orgid", "orguuid"];

/// Hands over every row of an answer as it stands, found as a webhook's records are.
/// Nothing comes of an answer that is none of this API.
pub(super) fn rows(answer: &Answer, take: &mut dyn FnMut(&str)) -> Option<Seen> {
    if holds_nothing(answer) {
        return Some(Seen::default());
    }
    let text = answer.text();
    let body = json(&text)?;
    let seen = search::records(body, &mut |found| take(found.value.get()));
    let is_list = seen.arrays > 0 && seen.filled_arrays == 0 && !is_error(body);
    (seen.records > 0 || is_list).then_some(seen)
}

/// The number of records of each organisation, whose ids are bare and in lower case.
/// Nothing comes of an answer of which any part can not be read: a count that is passed over would hide a loss.
pub(super) fn counts(answer: &Answer) -> Option<Vec<(String, u64)>> {
    if holds_nothing(answer) {
        return Some(Vec::new());
    }
    let text = answer.text();
    let body = json(&text)?;
    let items = items_of(body).or_else(|| list_of_counts(body))?;
    items.into_iter().map(count).collect()
}

/// Whether an answer that was judged to be one has no body to read.
fn holds_nothing(answer: &Answer) -> bool {
    answer.status == 204 || !(200..300).contains(&answer.status)
}

fn json(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)).ok()
}

/// Webex's errors have lists of their own, which may be empty.
fn is_error(body: &RawValue) -> bool {
    Members::parse(body.get()).is_ok_and(|members| members.has("errors") || members.has("errorCode"))
}

fn list_of_counts(body: &RawValue) -> Option<Vec<&RawValue>> {
    let members = Members::parse(body.get()).ok()?;
    let list = LISTS_OF_COUNTS.into_iter().find_map(|name| find(&members, name))?;
    items_of(list)
}

fn find<'b>(members: &Members<'b>, folded: &str) -> Option<&'b RawValue> {
    members.iter().find(|member| fields::folds_to(&member.name, folded)).and_then(|member| match member.value {
        Value::Json(raw) => Some(raw),
        Value::Field(_) => None,
    })
}

fn count(item: &RawValue) -> Option<(String, u64)> {
    let members = Members::parse(item.get()).ok()?;
    let organisation = ORGANISATIONS.into_iter().find_map(|name| scalar(&members, name))?;
    let organisation = ids::organisation(organisation).trim().to_owned();
    let rows = number::whole(&scalar(&members, "count")?)?;
    is_id(&organisation).then_some((organisation, rows))
}

fn scalar<'b>(members: &Members<'b>, folded: &str) -> Option<Text<'b>> {
    members.iter().find(|member| fields::folds_to(&member.name, folded))?.scalar()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "1a2b3c4d-0000-4111-8222-5e6f70809010";

    fn answer(body: impl Into<Vec<u8>>) -> Answer {
        Answer { status: 200, body: body.into(), ..Answer::default() }
    }

    fn rows_of(body: &[u8]) -> Option<Vec<String>> {
        let mut found = Vec::new();
        rows(&answer(body), &mut |row| found.push(row.to_owned()))?;
        Some(found)
    }

    #[test]
    fn rows_are_found_wherever_they_are_and_handed_on_as_they_stand() {
        let (one, two) = ("{ \"Report ID\" : \"a\" }", "{\"reportId\":\"b\"}");
        for body in [
            format!("{{\"items\":[{one},{two}]}}"),
            format!("\u{feff}[{one}, {two}]"),
            format!("{{\"x\":1,\"records\":[{one},{two}],\"errors\":[]}}"),
        ] {
            assert_eq!(rows_of(body.as_bytes()).unwrap(), [one, two], "{body}");
        }
        let mixed = format!("{{\"items\":[{one},7]}}");
        assert_eq!(rows_of(mixed.as_bytes()).unwrap(), [one, "7"]);
        assert_eq!(rows_of(b"{\"items\":[{\"Report ID\":\"\xff\"}]}").unwrap(), ["{\"Report ID\":\"\u{fffd}\"}"]);
    }

    #[test]
    fn empty_lists_are_told_from_what_is_no_list() {
        for body in ["[]", "{\"items\":[]}", "{\"items\":[],\"x\":{\"y\":[]}}"] {
            assert_eq!(rows_of(body.as_bytes()), Some(Vec::new()), "{body}");
        }
        for body in ["", "{}", "null", "<html></html>", "{\"items\":[{\"id\":1}]}", "{\"message\":\"x\",\"errors\":[]}"]
        {
            assert_eq!(rows_of(body.as_bytes()), None, "{body}");
        }
        let nothing = Answer { status: 404, body: b"{\"errorCode\":404}".to_vec(), ..Answer::default() };
        assert_eq!((rows(&nothing, &mut |_| ()), counts(&nothing)), (Some(Seen::default()), Some(Vec::new())));
    }

    #[test]
    fn counts_are_read_in_every_spelling() {
        let upper = ONE.to_uppercase();
        for body in [
            format!("{{\"cdr_counts\":[{{\"orgId\":\"{ONE}\",\"count\":3009}}]}}"),
            format!("{{\"cdrCounts\":[{{\"orgId\":\"{upper}\",\"count\":\"3009\",\"x\":[]}}]}}"),
            format!("[{{\"Org UUID\":\"{ONE}\",\"Count\":3009.0}}]"),
            format!("{{\"items\":[{{\"org_id\":\"{ONE}\",\"count\":3009}}]}}"),
        ] {
            assert_eq!(counts(&answer(body.as_bytes())).unwrap(), [(ONE.to_owned(), 3009)], "{body}");
        }
        assert_eq!(counts(&answer("{\"cdr_counts\":[]}")), Some(Vec::new()));
    }

    #[test]
    fn counts_of_which_a_part_is_unreadable_are_not_taken() {
        for item in [
            "7".to_owned(),
            "{\"count\":1}".to_owned(),
            "{\"orgId\":null,\"count\":1}".to_owned(),
            "{\"orgId\":\"\\u0007\",\"count\":1}".to_owned(),
            format!("{{\"orgId\":\"{ONE}\"}}"),
            format!("{{\"orgId\":\"{ONE}\",\"count\":-1}}"),
            format!("{{\"orgId\":\"{ONE}\",\"count\":1.5}}"),
        ] {
            let body = format!("{{\"cdr_counts\":[{{\"orgId\":\"{ONE}\",\"count\":1}},{item}]}}");
            assert_eq!(counts(&answer(body)), None, "{item}");
        }
        for body in ["", "{}", "{\"cdr_counts\":{}}", "{\"errors\":[]}", "3", "\"x\""] {
            assert_eq!(counts(&answer(body)), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(body: Vec<u8>, json in "[\\[\\]{}:,\"0-9a-z ]{0,40}") {
            for body in [body, json.into_bytes()] {
                rows(&answer(body.clone()), &mut |_| ());
                counts(&answer(body));
            }
        }
    }
}
