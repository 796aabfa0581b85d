//! A page of rows.

use serde_json::value::RawValue;
use url::Url;

use super::requests::Cursor;
use crate::json::{Members, Value, items_of, number};
use crate::provider::api::Answer;

/// What a page says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// How many rows it lists.
    pub(super) rows: u64,
    /// How many there are by its own word; whether on this page or on all is not documented.
    pub(super) told: Option<u64>,
    /// Whether more pages follow.
    pub(super) is_truncated: bool,
    /// Where the next one is.
    pub(super) next: Option<Cursor>,
}

/// Hands over every row of a page as it stands. Nothing comes of an answer that is none of this API.
pub(super) fn read(answer: &Answer, take: &mut dyn FnMut(&str)) -> Option<Page> {
    let text = answer.text();
    let members = Members::parse(&text).ok()?;
    let told = members.read("items_count", |text| number::whole(&text));
    let rows = match raw(&members, "records") {
        Some(records) => items_of(records)?,
        None if told == Some(0) => Vec::new(),
        None => return None,
    };
    rows.iter().for_each(|row| take(row.get()));
    let status = members.text("request_status").or_else(|| members.text("status")).unwrap_or_default();
    let is_truncated = status.trim().eq_ignore_ascii_case("TRUNCATED");
    Some(Page { rows: rows.len() as u64, told, is_truncated, next: next(&members, is_truncated) })
}

/// A member as it stands.
pub(super) fn raw<'b>(members: &Members<'b>, name: &str) -> Option<&'b RawValue> {
    match members.find(name)?.value {
        Value::Json(raw) => Some(raw),
        Value::Field(_) => None,
    }
}

/// The link's query tells where the next page is; what it leaves out stands in the page. Its host is nobody's business:
/// the next request goes where this one went.
fn next(members: &Members<'_>, is_truncated: bool) -> Option<Cursor> {
    let link = link(members);
    if link.is_none() && !is_truncated {
        return None;
    }
    let of_link = |name: &str| {
        let mut pairs = link.as_ref()?.query_pairs();
        pairs.find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.into_owned())
    };
    let of_page = |name: &str| members.text_or_number(name).map(|text| text.into_owned());
    let cursor = of_link("cursor").or_else(|| of_page("cursor"))?;
    Some(Cursor { cursor, iv: of_link("iv").or_else(|| of_page("iv")) })
}

/// A link may be without a host.
fn link(members: &Members<'_>) -> Option<Url> {
    let href = members.object("_links")?.object("next")?.text("href")?;
    Url::parse("http://host.invalid").ok()?.join(href.trim()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(body: &str) -> Option<(Page, Vec<String>)> {
        let mut rows = Vec::new();
        let answer = Answer { status: 200, body: body.as_bytes().to_vec(), ..Answer::default() };
        let page = read(&answer, &mut |row| rows.push(row.to_owned()))?;
        Some((page, rows))
    }

    fn cursor(cursor: &str, iv: &str) -> Cursor {
        Cursor { cursor: cursor.to_owned(), iv: Some(iv.to_owned()) }
    }

    #[test]
    fn rows_are_handed_on_as_they_stand() {
        let body =
            r#"{"request_status":"SUCCESS","items_count":2,"records":[{"id":"a", "x":1.0},{"id":"b"}],"cursor":"c"}"#;
        let (page, rows) = page(body).unwrap();
        assert_eq!(rows, [r#"{"id":"a", "x":1.0}"#, r#"{"id":"b"}"#]);
        assert_eq!(page, Page { rows: 2, told: Some(2), is_truncated: false, next: None });
    }

    #[test]
    fn the_next_page_is_where_the_link_or_the_page_says() {
        for (more, next) in [
            (r#""_links":{"next":{"href":"https://h.example/v2?cursor=a%2Bb&iv=c"}}"#, cursor("a+b", "c")),
            (r#""_links":{"next":{"href":"/v2/reports/records?cursor=a"}},"iv":"c""#, cursor("a", "c")),
            (r#""_links":{"next":{"href":"https://h.example/?iv=c"}},"cursor":"a","iv":"d""#, cursor("a", "c")),
            (r#""request_status":"TRUNCATED","cursor":"a","iv":"c","_links":{}"#, cursor("a", "c")),
        ] {
            let (page, _) = page(&format!("{{\"records\":[],{more}}}")).unwrap();
            assert_eq!(page.next, Some(next), "{more}");
        }
        let (page, _) = page(r#"{"records":[],"request_status":"TRUNCATED","cursor":null}"#).unwrap();
        assert_eq!((page.is_truncated, page.next), (true, None));
    }

    #[test]
    fn what_is_no_page_is_none() {
        for body in ["", "[]", "{}", "<html></html>", r#"{"records":{}}"#, r#"{"items_count":3}"#, r#"{"title":"x"}"#] {
            assert_eq!(page(body), None, "{body}");
        }
        assert_eq!(page(r#"{"items_count":0}"#).unwrap().0.rows, 0);
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(body: Vec<u8>, json in "[\\[\\]{}:,\"0-9a-z_ ]{0,60}", href in "\\PC{0,40}") {
            let link = format!("{{\"records\":[],\"_links\":{{\"next\":{{\"href\":{href:?}}}}}}}");
            for body in [body, json.into_bytes(), link.into_bytes()] {
                read(&Answer { status: 200, body, ..Answer::default() }, &mut |_| ());
            }
        }
    }
}
