use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::provider::api::Api;
use crate::providers::telphin::api::tests::{Told, answer, api_with, asked, converse, value};

fn row(number: usize) -> Value {
    let (minute, second) = (number / 60 % 60, number % 60);
    let at = format!("2026-02-03 09:{minute:02}:{second:02}");
    json!({"call_uuid": format!("A{number}"), "init_time_gmt": at, "hangup_time_gmt": at})
}

fn texts(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| row(number).to_string()).collect()
}

fn page(numbers: std::ops::Range<usize>, per_page: usize) -> Answer {
    let rows: Vec<Value> = numbers.map(row).collect();
    answer(200, &json!({"page": 1, "per_page": per_page, "order": "asc", "call_history": rows}))
}

fn user() -> Answer {
    answer(200, &json!({"id": 1, "client_id": 999}))
}

fn number_of(request: &Request) -> usize {
    value(request, "page").unwrap().parse().unwrap()
}

fn ask_of(api: &dyn Api, stream: &'static str, mut reply: impl FnMut(&Request) -> Answer) -> Told {
    let question = Question::Rows(asked(stream));
    converse(api, &question, |request| if request.class == "user" { user() } else { reply(request) })
}

fn ask(reply: impl FnMut(&Request) -> Answer) -> Told {
    ask_of(&*api_with(""), "call_history", reply)
}

#[test]
fn the_account_is_looked_at_once_and_then_pages_are_asked() {
    let api = api_with("api_utc_offset_min = 180");
    let told = ask_of(&*api, "call_history", |_| page(0..2, 100));
    assert_eq!((told.ending, told.rows), (Ending::Whole, texts(0..2)));
    let paths: Vec<&str> = told.requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/api/ver1.0/user/", "/api/ver1.0/client/999/call_history/"]);
    let query: Vec<_> = told.requests[1].query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (from, to) = ("2026-02-03 12:00:00", "2026-02-03 13:00:00");
    let expected =
        [("start_datetime", from), ("end_datetime", to), ("order", "asc"), ("page", "1"), ("per_page", "100")];
    assert_eq!(query, expected);
    assert_eq!(ask_of(&*api, "call_history", |_| page(0..2, 100)).requests.len(), 1);
}

#[test]
fn credentials_of_another_client_are_told_before_anything_is_read() {
    for (body, whose) in [(json!({"client_id": 1000}), "client 1000"), (json!({"client_id": null}), "no client's")] {
        let question = Question::Rows(asked("call_history"));
        let told = converse(&*api_with(""), &question, |_| answer(200, &body));
        let Ending::Failed(Verdict::Misconfigured { word, mend }) = told.ending else { panic!("it fails") };
        assert_eq!((word, told.requests.len(), mend.contains(whose)), ("wrong_account", 1, true), "{mend}");
    }
}

#[test]
fn pages_go_on_until_one_is_not_full_by_its_own_word() {
    let told = ask(|request| page((number_of(request) - 1) * 100..(number_of(request) * 100).min(250), 100));
    assert_eq!((told.ending, told.rows), (Ending::Whole, texts(0..250)));
    // It has fewer on a page than was asked for.
    let told = ask(|request| page((number_of(request) - 1) * 20..(number_of(request) * 20).min(50), 20));
    assert_eq!((told.ending, told.rows, told.requests.len()), (Ending::Whole, texts(0..50), 4));
    // The last full page is followed by an empty one, or by none at all.
    for last in [page(0..0, 20), Answer { status: 204, ..Answer::default() }] {
        let told = ask(|request| {
            if number_of(request) <= 2 {
                page((number_of(request) - 1) * 20..number_of(request) * 20, 20)
            } else {
                last.clone()
            }
        });
        assert_eq!((told.ending, told.rows), (Ending::Whole, texts(0..40)));
    }
}

#[test]
fn a_page_that_repeats_ends_it_and_its_rows_are_kept() {
    let told = ask(|_| page(0..20, 20));
    assert_eq!((told.ending, told.requests.len()), (Ending::Partial("page_repeats"), 3));
    assert_eq!(told.rows.into_iter().collect::<BTreeSet<_>>(), texts(0..20).into_iter().collect());
}

#[test]
fn calls_of_another_time_stop_it_and_name_the_zones_that_fit() {
    let moved = |hour: u32| {
        json!({"call_uuid": "A1", "init_time_gmt": format!("2026-02-03 {hour:02}:30:00"),
        "hangup_time_gmt": format!("2026-02-03 {hour:02}:31:00")})
    };
    for (hour, offset) in [(6, "180"), (14, "-300")] {
        let told = ask(|_| answer(200, &json!({"call_history": [moved(hour)]})));
        let Ending::Failed(Verdict::Misconfigured { word, mend }) = told.ending else { panic!("it fails") };
        assert!(word == "wrong_zone" && mend.contains(offset), "{word} {mend}");
    }
}

#[test]
fn calls_of_recordings_that_were_on_no_page_are_asked_for_one_by_one() {
    let recordings = json!([
        {"record_uuid": "1-A", "call_uuid": "a0"}, {"record_uuid": "2-B", "call_uuid": "B7"},
        {"record_uuid": "3-B", "call_uuid": "b7"}, {"record_uuid": "4-C", "call_uuid": null},
        {"record_uuid": "5-D", "call_uuid": "../x"}
    ]);
    let lost = json!({"call_uuid": "B7", "init_time_gmt": "2026-02-03 08:59:00"});
    let reply = |request: &Request, lost: Answer| match request.path.rsplit('/').nth(1).unwrap() {
        "call_history" => page(0..1, 100),
        "record" => answer(200, &recordings),
        "B7" => lost,
        other => panic!("{other} was asked for"),
    };
    let told = ask_of(&*api_with(""), "record", |request| reply(request, answer(200, &lost)));
    assert_eq!(told.ending, Ending::Whole);
    assert_eq!(told.rows, [texts(0..1), vec![lost.to_string()]].concat());
    let gone = answer(404, &json!({"message": "Not found"}));
    let told = ask_of(&*api_with(""), "record", |request| reply(request, gone.clone()));
    assert_eq!((told.ending, told.rows), (Ending::Partial("call_not_found"), texts(0..1)));
    let told = ask(|request| reply(request, gone.clone()));
    assert_eq!((told.ending, told.requests.len()), (Ending::Whole, 2), "only where it is asked for");
}

#[test]
fn a_check_asks_for_one_page_and_hands_over_nothing() {
    let api = api_with("");
    for stream in ["call_history", "record"] {
        let question = Question::Check(asked(stream));
        let reply = |request: &Request| if request.class == "user" { user() } else { page(0..100, 100) };
        let told = converse(&*api, &question, reply);
        assert_eq!((told.ending, told.rows.len(), told.requests.len()), (Ending::Whole, 0, 2));
    }
    let told = converse(&*api, &Question::Check(asked("record")), |_| answer(401, &json!({})));
    assert_eq!(told.ending, Ending::Failed(Verdict::Renew));
}

proptest! {
    #[test]
    fn whatever_a_page_holds_every_call_is_handed_over_once(calls in 0_usize..300, per_page in 1_usize..120) {
        let told = ask(|request| {
            let first = (number_of(request) - 1) * per_page;
            page(first.min(calls)..(first + per_page).min(calls), per_page)
        });
        prop_assert_eq!(told.ending, Ending::Whole);
        prop_assert_eq!(told.rows, texts(0..calls));
    }
}
