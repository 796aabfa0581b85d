use proptest::prelude::*;
use serde_json::{Value, json};

use crate::provider::api::{Answer, Ending, Question, Request, Verdict};
use crate::providers::vonage::api::tests::{Told, answer, api_with, asked, asked_for, converse, value};

fn rows(from: usize, to: usize) -> Vec<Value> {
    (from..to).map(|number| json!({"id": format!("row-{number}")})).collect()
}

/// Lists `all` rows of each day, `a_page` at a time, and tells the number of those on the page or of all.
fn listing(request: &Request, all: usize, a_page: usize, tells_all: bool) -> Answer {
    let first: usize = value(request, "cursor").map_or(0, |cursor| cursor.parse().unwrap());
    assert_eq!(value(request, "iv"), (first > 0).then_some("an-iv"), "cursor and iv go together");
    let end = (first + a_page).min(all);
    let mut page = json!({"records": rows(first, end), "items_count": if tells_all { all } else { end - first }});
    page["request_status"] = json!(if end < all { "TRUNCATED" } else { "SUCCESS" });
    if end < all {
        page["_links"] = json!({"next": {"href": format!("https://elsewhere.example/x?cursor={end}&iv=an-iv")}});
    }
    answer(200, &page)
}

fn about(stream: &'static str, reply: impl FnMut(&Request) -> Answer) -> Told {
    converse(&*api_with(""), &Question::Rows(asked(stream)), reply)
}

#[test]
fn a_direction_is_told_for_messages_alone() {
    for (stream, product, direction) in [
        ("messages.outbound", "MESSAGES", Some("outbound")),
        ("sms.inbound", "SMS", Some("inbound")),
        ("voice-call", "VOICE-CALL", None),
        ("verify-v2", "VERIFY-V2", None),
    ] {
        let told = about(stream, |request| listing(request, 1, 9, true));
        let request = &told.requests[0];
        assert_eq!((value(request, "product"), value(request, "direction")), (Some(product), direction));
        let times = (value(request, "date_start"), value(request, "date_end"));
        assert_eq!(times, (Some("2026-02-03T00:00:00Z"), Some("2026-02-03T12:00:00Z")));
        assert_eq!((told.ending, told.rows.len()), (Ending::Whole, 1));
    }
}

#[test]
fn texts_are_asked_for_where_they_are_published() {
    for stream in ["sms.outbound", "voice-call"] {
        let mut api = api_with("");
        let asks = |api: &dyn crate::provider::api::Api| {
            let told = converse(api, &Question::Rows(asked(stream)), |request| listing(request, 0, 9, true));
            value(&told.requests[0], "include_message").map(ToOwned::to_owned)
        };
        assert_eq!(asks(&*api), None);
        api.want_texts();
        assert_eq!(asks(&*api).as_deref(), (stream == "sms.outbound").then_some("true"));
    }
}

#[test]
fn more_than_a_day_is_asked_day_by_day() {
    let asked = asked_for("voice-call", "2026-02-03T06:00:00Z", "2026-02-05T07:00:00Z");
    let told = converse(&*api_with("report_mode = \"records\""), &Question::Rows(asked), |request| {
        listing(request, 3, 2, true)
    });
    let of = |name| told.requests.iter().map(|request| value(request, name).unwrap()).collect::<Vec<_>>();
    let (first, second, third) = ("2026-02-03T06:00:00Z", "2026-02-04T06:00:00Z", "2026-02-05T06:00:00Z");
    assert_eq!(of("date_start"), [first, first, second, second, third, third]);
    assert_eq!(of("date_end"), [second, second, third, third, "2026-02-05T07:00:00Z", "2026-02-05T07:00:00Z"]);
    assert_eq!((told.ending, told.rows.len()), (Ending::Whole, 9));
}

#[test]
fn a_page_that_repeats_ends_it_and_what_was_listed_is_kept() {
    let told = about("voice-call", |_| {
        answer(200, &json!({"records": rows(0, 2), "_links": {"next": {"href": "/x?cursor=1&iv=2"}}}))
    });
    assert_eq!((told.ending, told.rows.len(), told.requests.len()), (Ending::Partial("page_repeats"), 4, 2));
}

#[test]
fn more_pages_without_a_place_are_told() {
    let told = about("voice-call", |_| answer(200, &json!({"records": rows(0, 2), "request_status": "TRUNCATED"})));
    assert_eq!((told.ending, told.rows.len()), (Ending::Partial("truncated"), 2));
}

#[test]
fn a_page_without_the_rows_that_it_tells_is_asked_for_again() {
    let mut empty_pages = 2;
    let told = about("voice-call", |request| {
        if empty_pages > 0 {
            empty_pages -= 1;
            return answer(200, &json!({"records": [], "items_count": 3}));
        }
        listing(request, 3, 9, true)
    });
    assert_eq!((told.ending, told.rows.len(), told.requests.len()), (Ending::Whole, 3, 3));
    let told = about("voice-call", |_| answer(200, &json!({"records": [], "items_count": 3})));
    assert_eq!((told.ending, told.requests.len()), (Ending::Partial("short_answer"), 3));
}

#[test]
fn another_number_of_rows_than_was_told_is_told() {
    let told = about("voice-call", |_| answer(200, &json!({"records": rows(0, 2), "items_count": 3})));
    assert_eq!((told.ending, told.rows.len()), (Ending::Partial("count_mismatch"), 2));
}

#[test]
fn what_nothing_comes_of_ends_it_with_its_reason() {
    for (status, body, ending) in [
        (200, json!({"title": "no page"}), Ending::Failed(Verdict::NotUnderstood)),
        (401, json!({}), Ending::Failed(Verdict::Renew)),
        (500, json!({}), Ending::Failed(Verdict::Again { word: "server_error" })),
    ] {
        assert_eq!(about("voice-call", |_| answer(status, &body)).ending, ending, "{status}");
    }
}

proptest! {
    #[test]
    fn every_row_is_told_once_whatever_the_pages(all in 0_usize..40, a_page in 1_usize..12, tells_all: bool) {
        let told = about("voice-call", |request| listing(request, all, a_page, tells_all));
        let expected: Vec<String> = rows(0, all).iter().map(Value::to_string).collect();
        prop_assert_eq!((told.ending, told.rows), (Ending::Whole, expected));
    }

    #[test]
    fn no_answers_make_it_panic_or_go_on_for_ever(
        bodies in proptest::collection::vec("(\\{\"records\":\\[[0-9,]{0,5}\\],\"cursor\":\"[a-c]\",\"request_status\":\"TRUNCATED\",\"items_count\":[0-9]\\}|[\\{\\}\":a-z]{0,9})", 1..6),
    ) {
        let mut number = 0;
        about("voice-call", |_| {
            number += 1;
            Answer { status: 200, body: bodies[number % bodies.len()].clone().into_bytes(), ..Answer::default() }
        });
    }
}
