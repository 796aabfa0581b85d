use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::provider::api::{Api, Question};
use crate::providers::webex::api::tests::{
    EU, ORGANISATION, REGION, Told, answer, api_with, asked, converse, value, with_header,
};

const FEED: &str = "https://analytics-calling.webexapis.com";

fn record(number: usize) -> Value {
    json!({"Report ID": format!("r{number}"), "Org UUID": ORGANISATION})
}

fn texts(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| record(number).to_string()).collect()
}

fn page(numbers: std::ops::Range<usize>) -> Answer {
    answer(200, &json!({"items": numbers.map(record).collect::<Vec<_>>()}))
}

/// The same page with a link to the next one.
fn leading(page: Answer, target: &str) -> Answer {
    with_header(page, "link", format!("<{target}>; rel=\"next\""))
}

fn cursor(number: usize) -> String {
    format!("{FEED}/v1/cdr_feed?startTimeForNextFetch={number}&max=5000&x=a%20b")
}

fn ask_of(api: &dyn Api, stream: &'static str, reply: impl FnMut(&Request) -> Answer) -> Told {
    converse(api, &Question::Rows(asked(stream)), reply)
}

fn ask(reply: impl FnMut(&Request) -> Answer) -> Told {
    ask_of(&*api_with(""), "cdr_feed", reply)
}

/// The number in a request's cursor; 0 of the first.
fn number_of(request: &Request) -> usize {
    value(request, "startTimeForNextFetch").map_or(0, |number| number.parse().unwrap())
}

#[test]
fn each_stream_is_asked_at_its_own_endpoint() {
    let api = api_with(&format!("org_id = \"{}\"", ORGANISATION.to_uppercase()));
    let first = |stream| ask_of(&*api, stream, |_| page(0..1)).requests.remove(0);
    for stream in ["cdr_feed", "cdr_stream"] {
        let request = first(stream);
        assert_eq!((request.base, request.class, request.path), ("feed", "feed", format!("/v1/{stream}")));
        let query: Vec<_> = request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (from, to) = ("2026-02-03T09:00:00.000Z", "2026-02-03T10:00:00.000Z");
        assert_eq!(query, [("startTime", from), ("endTime", to), ("max", "5000"), ("orgId", ORGANISATION)]);
    }
    let asked = Asked { account: Some("org-one".to_owned()), ..asked("cdr") };
    let told = converse(&*api, &Question::Rows(asked), |_| page(0..2));
    let request = &told.requests[0];
    assert_eq!((request.base, request.class), ("analytics", "partner_records"));
    let query: Vec<_> = request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (from, last) = ("2026-02-03T09:00:00.000Z", "2026-02-03T09:59:59.999Z");
    assert_eq!(query, [("orgId", "org-one"), ("endTime", last), ("startTime", from)]);
    assert_eq!((told.ending, told.rows), (Ending::Whole, texts(0..2)));
}

#[test]
fn links_are_followed_as_they_stand() {
    let wrapped = |page: Answer, target: &str| with_header(page, "link", format!("<<{target}>;rel=\"next\">"));
    let told = ask(|request| match number_of(request) {
        0 => leading(page(0..2), &cursor(1)),
        1 => wrapped(page(2..4), &cursor(2)),
        _ => page(4..5),
    });
    assert_eq!((told.ending, told.rows), (Ending::Whole, texts(0..5)));
    let request = &told.requests[1];
    assert_eq!((request.class, request.path.as_str(), request.base), ("feed_pages", "/v1/cdr_feed", "feed"));
    let query: Vec<_> = request.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(query, [("startTimeForNextFetch", "1"), ("max", "5000"), ("x", "a b")]);
}

#[test]
fn a_link_to_another_host_is_not_followed() {
    for target in [
        "https://example.net/v1/cdr_feed?page=2",
        "http://analytics-calling.webexapis.com/v1/cdr_feed?page=2",
        "https://analytics-calling.webexapis.com:8443/v1/cdr_feed?page=2",
        "https://analytics.webexapis.com/v1/cdr_feed?page=2",
        "https://analytics-calling.webexapis.com@example.net/",
    ] {
        let told = ask(|_| leading(page(0..2), target));
        assert_eq!((told.ending, told.requests.len()), (Ending::Partial("foreign_host"), 1), "{target}");
        assert_eq!(told.rows, texts(0..2), "rows that were read are kept");
    }
    let told = ask(|_| with_header(page(0..2), "link", "</v1/cdr_feed?page=2>; rel=next"));
    assert_eq!((told.ending, told.rows), (Ending::Partial("malformed_link"), texts(0..2)));
}

#[test]
fn pages_that_repeat_and_cursors_that_stand_end_it() {
    // The same page, with the same link, for ever.
    let told = ask(|_| leading(page(0..2), &cursor(1)));
    assert_eq!((told.requests.len(), &told.ending), (2, &Ending::Partial("page_repeats")));
    // New pages, and a cursor that comes back.
    let mut number = 0;
    let told = ask(|_| {
        number += 1;
        leading(page(number * 2..number * 2 + 2), &cursor(number % 2))
    });
    assert_eq!((told.requests.len(), &told.ending), (3, &Ending::Partial("page_repeats")));
    // A page once more, whose link leads on: what is behind it is found, and something may be missing.
    let told = ask(|request| match number_of(request) {
        0 => leading(page(0..2), &cursor(1)),
        1 => leading(page(0..2), &cursor(2)),
        _ => page(2..4),
    });
    assert_eq!(told.ending, Ending::Partial("page_repeats"));
    assert_eq!(told.rows.into_iter().collect::<BTreeSet<_>>(), texts(0..4).into_iter().collect());
    // The same page for ever, with links that lead on.
    let told = ask(|request| leading(page(0..2), &cursor(number_of(request) + 1)));
    assert_eq!((told.requests.len(), told.ending), (4, Ending::Partial("page_repeats")));
}

#[test]
fn an_answer_that_is_short_of_what_is_told_is_asked_for_twice_more() {
    let first = || leading(page(0..2), &cursor(1));
    let empty = || answer(200, &json!({"items": []}));
    // An empty page behind a link.
    let told = ask(|request| if number_of(request) == 0 { first() } else { empty() });
    assert_eq!((told.requests.len(), told.ending), (4, Ending::Partial("short_answer")));
    let none = || answer(404, &json!({"errorCode": 404, "message": "No CDRs for requested time range and filters"}));
    let mut answers = vec![page(2..3), none(), first()];
    let told = ask(|_| answers.pop().unwrap());
    assert_eq!((told.ending, told.rows), (Ending::Whole, texts(0..3)));
    // Fewer rows than the total that a link tells.
    let counted = || leading(page(0..2), &format!("{}&totalCount=4", cursor(1)));
    let told = ask(|request| if number_of(request) == 0 { counted() } else { page(2..3) });
    assert_eq!((told.requests.len(), told.ending), (4, Ending::Partial("short_answer")));
    assert_eq!(told.rows.into_iter().collect::<BTreeSet<_>>().len(), 3);
    let told = ask(|request| if number_of(request) == 0 { counted() } else { page(1..4) });
    assert_eq!((told.requests.len(), told.ending), (2, Ending::Whole));
    // The third answer is whole, and the second, which was as the first, is no page that repeats.
    let mut answers = vec![page(2..4), page(2..3), page(2..3), counted()];
    let told = ask(|_| answers.pop().unwrap());
    assert_eq!((answers.len(), told.ending), (0, Ending::Whole));
    // Pages without rows whose links lead on.
    let told = ask(|request| match number_of(request) {
        3 => page(0..2),
        number => leading(empty(), &cursor(number + 1)),
    });
    assert_eq!((told.requests.len(), told.ending), (4, Ending::Whole));
    // An hour in which nobody telephoned.
    let told = ask(|_| none());
    assert_eq!((told.requests.len(), told.ending, told.rows.len()), (1, Ending::Whole, 0));
}

#[test]
fn pages_that_take_too_long_are_asked_for_in_smaller_ones() {
    let sizes = |told: &Told| -> Vec<String> {
        told.requests.iter().map(|request| value(request, "max").unwrap().to_owned()).collect()
    };
    let told = ask(|_| answer(504, &json!({})));
    assert_eq!(sizes(&told), ["5000", "2500", "1250", "625", "500"]);
    assert_eq!(told.ending, Ending::Failed(Verdict::Again { word: "server_error" }));
    let told = ask(|request| if value(request, "max") == Some("1250") { page(0..2) } else { answer(504, &json!({})) });
    assert_eq!((told.ending, told.rows), (Ending::Whole, texts(0..2)));
    // In the middle: from the beginning, since a link is never changed.
    let told = ask(|request| match (number_of(request), value(request, "max").unwrap()) {
        (0, "5000") => leading(page(0..2), &cursor(1)),
        (_, "5000") => answer(504, &json!({})),
        _ => page(0..4),
    });
    assert_eq!(told.requests[2].class, "feed");
    assert_eq!(told.ending, Ending::Whole);
    assert_eq!(told.rows.into_iter().collect::<BTreeSet<_>>(), texts(0..4).into_iter().collect());
    // What was heard before is forgotten: the same page and the same link are no repetition.
    let told = ask(|request| match (number_of(request), value(request, "max").unwrap()) {
        (0, _) => leading(
            page(0..2),
            &format!("{FEED}/v1/cdr_feed?startTimeForNextFetch=1&max={}", value(request, "max").unwrap()),
        ),
        (_, "5000") => answer(504, &json!({})),
        _ => page(2..4),
    });
    assert_eq!((told.requests.len(), told.ending), (4, Ending::Whole));
    // Links that keep their size lead nowhere, and it ends.
    let told = ask(|request| match number_of(request) {
        0 => leading(page(0..2), &cursor(1)),
        _ => answer(504, &json!({})),
    });
    assert_eq!((told.requests.len(), told.ending), (10, Ending::Narrower));
    // A partner's records have no such size.
    let told = ask_of(&*api_with(""), "cdr", |_| answer(504, &json!({})));
    assert_eq!((told.requests.len(), told.ending), (1, Ending::Failed(Verdict::Again { word: "server_error" })));
}

#[test]
fn a_stretch_that_is_refused_for_its_width_is_asked_for_in_smaller_ones() {
    let asked =
        Asked { to: asked("cdr_feed").from.minus_us(0).unwrap(), from: asked("cdr_feed").from, ..asked("cdr_feed") };
    let wide = Asked { from: asked.from.minus_us(13 * 3_600_000_000).unwrap(), ..asked };
    let told = converse(&*api_with(""), &Question::Rows(wide), |_| {
        answer(400, &json!({"message": "Time duration is more than 12 hours"}))
    });
    assert_eq!(told.ending, Ending::Narrower);
}

#[test]
fn another_region_answers_for_the_rest_of_the_conversation() {
    let eu_cursor = format!("{EU}/v1/cdr_feed?startTimeForNextFetch=1");
    let told = ask(|request| match (&request.elsewhere, number_of(request)) {
        (None, _) => answer(451, &json!({"message": format!("should go to URL: {EU}...")})),
        (Some(_), 0) => leading(page(0..2), &eu_cursor),
        (Some(_), _) => page(2..3),
    });
    assert_eq!((told.ending, told.rows), (Ending::Whole, texts(0..3)));
    assert!(told.requests[1..].iter().all(|request| request.elsewhere.as_ref().unwrap().as_str() == format!("{EU}/")));
    // Its links may not lead back.
    let told = ask(|request| match &request.elsewhere {
        None => answer(451, &json!({"message": EU})),
        Some(_) => leading(page(0..2), &cursor(1)),
    });
    assert_eq!(told.ending, Ending::Partial("foreign_host"));
}

#[test]
fn a_host_that_may_not_have_the_token_is_not_gone_to_whoever_says_so() {
    struct Nobody;
    impl Found for Nobody {
        fn count(&mut self, _account: &str, _rows: u64) {}
        fn row(&mut self, _json: &str) {}
    }
    let mut talk = api_with("").ask(&Question::Rows(asked("cdr_feed")));
    talk.next(Heard::Begin, &mut Nobody);
    let verdict = Verdict::Elsewhere("https://example.net".parse().unwrap());
    let said = talk.next(Heard::Judged(&verdict), &mut Nobody);
    assert!(matches!(said, Say::Done(Ending::Failed(Verdict::Elsewhere(_)))), "{said:?}");
}

#[test]
fn a_region_that_was_learnt_earlier_is_asked_if_it_may_be() {
    for (region, expected) in [(EU, Some(EU)), ("https://example.net", None), (REGION, None)] {
        let asked = Asked { region: Some(region.parse().unwrap()), ..asked("cdr_feed") };
        let told = converse(&*api_with(""), &Question::Rows(asked), |_| page(0..1));
        let elsewhere = told.requests[0].elsewhere.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        assert_eq!(elsewhere.as_deref(), expected);
    }
}

#[test]
fn a_refusal_ends_it_and_rows_that_were_read_are_kept() {
    for (status, body, ending) in [
        (503, json!({}), Ending::Failed(Verdict::Again { word: "server_error" })),
        (401, json!({}), Ending::Failed(Verdict::Renew)),
        (200, json!({"unknown": 1}), Ending::Failed(Verdict::NotUnderstood)),
    ] {
        let told = ask(|request| match number_of(request) {
            0 => leading(page(0..2), &cursor(1)),
            _ => answer(status, &body),
        });
        assert_eq!((told.ending, told.rows), (ending, texts(0..2)));
    }
}

/// Pages of one world: cut anywhere, each beginning with some rows that the one before it ended with.
fn cut(rows: &[usize], sizes: &[usize], overlap: usize) -> Vec<Vec<usize>> {
    let (mut pages, mut start, mut sizes) = (Vec::new(), 0, sizes.iter().cycle());
    while start < rows.len() {
        let end = (start + sizes.next().unwrap()).min(rows.len());
        pages.push(rows[start.saturating_sub(overlap)..end].to_vec());
        start = end;
    }
    pages
}

proptest! {
    #[test]
    fn order_and_size_of_pages_and_doubled_rows_and_pages_change_nothing_of_what_is_found(
        rows in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle(),
        number in 0..60_usize,
        sizes in prop::collection::vec(1..20_usize, 1..6),
        overlap in 0..3_usize,
        doubled in prop::option::of(any::<prop::sample::Index>()),
        is_wrapped: bool,
        shape in prop::sample::select(vec!["items", "records", ""]),
    ) {
        let rows = &rows[..number];
        let mut pages = cut(rows, &sizes, overlap);
        let doubled = doubled.filter(|_| !pages.is_empty());
        if let Some(index) = doubled {
            let again = pages[index.index(pages.len())].clone();
            pages.insert(index.index(pages.len()) + 1, again);
        }
        let told = ask(|request| {
            let number = number_of(request);
            let items: Value = pages.get(number).into_iter().flatten().map(|row| record(*row)).collect();
            let page = answer(200, &if shape.is_empty() { items } else { json!({shape: items}) });
            match (number + 1 < pages.len(), is_wrapped) {
                (false, _) => page,
                (true, false) => leading(page, &cursor(number + 1)),
                (true, true) => with_header(page, "link", format!("<<{}>;rel=\"next\">", cursor(number + 1))),
            }
        });
        let found: BTreeSet<String> = told.rows.into_iter().collect();
        prop_assert_eq!(found, texts(rows.iter().copied()).into_iter().collect::<BTreeSet<_>>());
        let is_whole = told.ending == Ending::Whole;
        prop_assert!(is_whole || told.ending == Ending::Partial("page_repeats"), "{:?}", told.ending);
        prop_assert!(is_whole != doubled.is_some() || rows.len() < 2 * (overlap + 1) || overlap > 0);
    }

    #[test]
    fn no_answers_lead_to_a_host_that_may_not_have_the_token(
        answers in prop::collection::vec(
            (
                prop::sample::select(vec![200_u16, 200, 404, 451, 504]),
                "(https?://)(analytics-calling(-eu)?\\.webexapis\\.com|example\\.net|127\\.0\\.0\\.1:930[12])/v1/[a-z]{0,3}\\?max=[0-9]{1,4}",
                0..3_usize,
            ),
            1..6,
        )
    ) {
        let api = api_with(&format!("region_urls = [\"{REGION}\"]"));
        let mut answers = answers.iter().cycle();
        // Where each request may go is asserted by the conversation itself.
        let told = ask_of(&*api, "cdr_feed", |_| {
            let (status, url, rows) = answers.next().unwrap();
            let items: Vec<Value> = (0..*rows).map(record).collect();
            leading(answer(*status, &json!({"items": items, "message": url})), url)
        });
        prop_assert!(told.requests.len() < 60, "{}", told.requests.len());
    }
}
