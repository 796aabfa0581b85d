use serde_json::{Value, json};

use super::*;
use crate::provider::api::{Question, Request, Verb};
use crate::providers::vonage::api::tests::{Told, answer, api_with, asked_for, converse, file};

const FROM: &str = "2026-02-03T00:00:00Z";

/// Leads a conversation about some days of a stream.
fn about_days(days: i64, reply: impl FnMut(&Request) -> Answer) -> Told {
    let to = Time::parse_iso(FROM).unwrap().plus_s(days * 86_400).to_string();
    let question = Question::Rows(asked_for("sms.outbound", FROM, &to));
    converse(&*api_with("report_mode = \"reports\""), &question, reply)
}

/// A report of a state, whose file is called after it.
fn report(id: &str, status: &str, items_count: u64) -> Answer {
    let mut body = json!({"request_id": id, "request_status": status, "items_count": items_count});
    if matches!(status, "SUCCESS" | "TRUNCATED") {
        body["_links"] = json!({"download_report": {"href": format!("https://elsewhere.example/v3/media/{id}")}});
    }
    answer(200, &body)
}

fn body_of(request: &Request) -> Value {
    serde_json::from_str(request.body.as_deref().unwrap()).unwrap()
}

/// Answers the creation with one state and what follows with others, one after the other; files have three rows.
fn through(states: &[&str]) -> Told {
    let mut states = states.iter();
    about_days(1, |request| match request.class {
        requests::MEDIA => file(Ok(3)),
        _ => report("r-1", states.next().unwrap(), 3),
    })
}

#[test]
fn a_report_is_asked_for_waited_for_and_fetched() {
    let told = through(&["PENDING", "PROCESSING", "BRAND NEW", "SUCCESS"]);
    assert_eq!((&told.ending, told.rows.len()), (&Ending::Whole, 3));
    assert_eq!(told.waits, [5, 7, 11]);
    let made: Vec<_> = told.requests.iter().map(|request| (request.verb, request.path.as_str())).collect();
    let state = (Verb::Get, "/v2/reports/r-1");
    assert_eq!(made, [(Verb::Post, "/v2/reports"), state, state, state, (Verb::Get, "/v3/media/r-1")]);
    let expected = json!({"product": "SMS", "direction": "outbound", "account_id": "abcd1234",
        "date_start": FROM, "date_end": "2026-02-04T00:00:00Z"});
    assert_eq!(body_of(&told.requests[0]), expected);
}

#[test]
fn a_day_is_asked_for_by_pages_and_more_by_a_report_unless_it_is_said() {
    for (mode, hours, is_report) in
        [("auto", 24, false), ("auto", 25, true), ("records", 99, false), ("reports", 1, true)]
    {
        let to = Time::parse_iso(FROM).unwrap().plus_s(hours * 3600).to_string();
        let question = Question::Rows(asked_for("voice-call", FROM, &to));
        let told = converse(&*api_with(&format!("report_mode = \"{mode}\"")), &question, |_| answer(401, &json!({})));
        assert_eq!(told.requests[0].verb == Verb::Post, is_report, "{mode} {hours}");
    }
}

#[test]
fn accounts_below_are_asked_for_by_reports_alone() {
    let api = api_with("include_subaccounts = true");
    let question = Question::Rows(asked_for("voice-call", FROM, "2026-02-03T01:00:00Z"));
    let told = converse(&*api, &question, |_| answer(401, &json!({})));
    assert_eq!(body_of(&told.requests[0])["include_subaccounts"], true);
    let refused = super::super::tests::read_for(Some("a"), "include_subaccounts = true\nreport_mode = \"records\"");
    assert!(refused.problems[0].starts_with("report_mode: "), "{:?}", refused.problems);
}

#[test]
fn a_report_that_never_ends_is_given_up_after_six_hours() {
    let told = about_days(1, |request| match request.verb {
        Verb::Delete => answer(409, &json!({"title": "invalid-abort-operation"})),
        _ => report("r-1", "PENDING", 0),
    });
    assert_eq!(told.ending, Ending::Partial("report_timeout"));
    let waited_s: u64 = told.waits.iter().sum();
    assert!((6 * 3600..6 * 3600 + 60).contains(&waited_s) && told.waits.iter().all(|wait_s| *wait_s <= 60));
    assert_eq!(told.requests.last().unwrap().verb, Verb::Delete);
}

#[test]
fn what_fails_is_asked_for_once_more_and_no_third_time() {
    for status in ["FAILED", "ABORTED"] {
        let told = through(&[status, "PENDING", "SUCCESS"]);
        assert_eq!((told.ending, told.rows.len()), (Ending::Whole, 3));
        let told = through(&[status, status]);
        assert_eq!((told.ending, told.requests.len()), (Ending::Partial("report_failed"), 2));
    }
}

#[test]
fn a_report_or_file_that_is_gone_is_asked_for_once_more() {
    for lost in ["/v2/reports/r-1", "/v3/media/r-1"] {
        let told = about_days(1, |request| match (request.verb, request.path.as_str()) {
            (_, path) if path == lost => answer(404, &json!({})),
            (Verb::Post, _) if lost.contains("reports") => report("r-1", "PENDING", 3),
            _ => report("r-1", "SUCCESS", 3),
        });
        assert_eq!(told.ending, Ending::Partial("gone"), "{lost}");
        assert_eq!(told.requests.iter().filter(|request| request.verb == Verb::Post).count(), 2, "{lost}");
    }
}

#[test]
fn a_broken_file_is_fetched_three_times_and_the_report_asked_for_once_more() {
    for (broken, ending, files) in
        [(2, Ending::Whole, 3), (3, Ending::Whole, 4), (6, Ending::Partial("broken_file"), 6)]
    {
        let mut left = broken;
        let told = about_days(1, |request| match request.class {
            requests::MEDIA if left > 0 => {
                left -= 1;
                file(Err(FileFault::Broken))
            }
            requests::MEDIA => file(Ok(3)),
            _ => report("r-1", "SUCCESS", 3),
        });
        let fetched = told.requests.iter().filter(|request| request.class == requests::MEDIA).count();
        assert_eq!((told.ending, fetched), (ending, files), "{broken}");
        assert!(told.waits.iter().all(|wait_s| *wait_s == 5));
    }
}

#[test]
fn columns_that_are_missing_are_not_fetched_again() {
    let told = about_days(1, |request| match request.class {
        requests::MEDIA => file(Err(FileFault::ColumnsMissing)),
        _ => report("r-1", "SUCCESS", 3),
    });
    assert_eq!((told.ending, told.requests.len()), (Ending::Partial("columns_missing"), 2));
}

#[test]
fn a_report_with_other_rows_than_it_told_leaves_them_open() {
    let told = about_days(1, |request| match request.class {
        requests::MEDIA => file(Ok(2)),
        _ => report("r-1", "SUCCESS", 3),
    });
    assert_eq!((told.ending, told.rows.len(), told.requests.len()), (Ending::Partial("count_mismatch"), 2, 2));
}

#[test]
fn an_empty_report_needs_no_file() {
    let told = about_days(1, |_| answer(200, &json!({"request_id": "r-1", "status": "SUCCESS", "items_count": 0})));
    assert_eq!((told.ending, told.requests.len()), (Ending::Whole, 1));
}

/// The stretches of all reports, in hours.
fn stretches(told: &Told) -> Vec<i64> {
    let hours = |request: &Request| {
        let (from, to) = requests::stretch_of(request).unwrap();
        (to.unix_seconds() - from.unix_seconds()) / 3600
    };
    told.requests.iter().filter(|request| request.verb == Verb::Post).map(hours).collect()
}

#[test]
fn a_truncated_report_is_asked_for_in_halves_down_to_an_hour() {
    let told = about_days(1, |request| match request.class {
        requests::MEDIA => file(Ok(3)),
        _ => {
            let (from, to) = requests::stretch_of(request).unwrap();
            let is_wide = to.unix_seconds() - from.unix_seconds() > 6 * 3600;
            report("r-1", if is_wide { "TRUNCATED" } else { "SUCCESS" }, 3)
        }
    });
    assert_eq!((stretches(&told), told.ending), (vec![24, 12, 6, 6, 12, 6, 6], Ending::Whole));
    let told = about_days(1, |request| match request.class {
        requests::MEDIA => file(Ok(1)),
        _ => report("r-1", "TRUNCATED", 1),
    });
    assert_eq!((stretches(&told).len(), told.ending), (47, Ending::Partial("truncated")));
}

#[test]
fn more_than_a_month_is_asked_for_in_parts() {
    let told = about_days(70, |request| match request.class {
        requests::MEDIA => file(Ok(3)),
        _ => report("r-1", "SUCCESS", 3),
    });
    assert_eq!((stretches(&told), told.ending), (vec![31 * 24, 31 * 24, 8 * 24], Ending::Whole));
}

#[test]
fn a_report_whose_creation_was_not_answered_is_found_in_the_list() {
    let listed = |received: &str| {
        let report = json!({"request_id": "r-9", "request_status": "SUCCESS", "product": "SMS", "direction": "outbound",
            "date_start": FROM, "date_end": "2026-02-04T00:00:00Z", "receive_time": received, "items_count": 3,
            "download_url": "https://elsewhere.example/v3/media/r-9"});
        let mut list = answer(200, &json!({"reports": [report]}));
        list.headers.push(("date".to_owned(), "Thu, 05 Feb 2026 10:05:00 GMT".to_owned()));
        list
    };
    for (received, ending) in [
        ("2026-02-05T10:00:00+0000", Ending::Whole),
        ("2026-02-05T09:00:00+0000", Ending::Failed(Verdict::Again { word: "server_error" })),
    ] {
        let told = about_days(1, |request| match (request.verb, request.class) {
            (Verb::Post, _) => answer(500, &json!({})),
            (_, requests::MEDIA) => file(Ok(3)),
            _ => listed(received),
        });
        assert_eq!(told.ending, ending);
        assert_eq!(told.requests.iter().filter(|request| request.verb == Verb::Post).count(), 1, "each costs money");
    }
}

#[test]
fn no_answers_make_it_go_on_for_ever() {
    let answers = [
        report("r", "PENDING", 1),
        report("r", "SUCCESS", 1),
        report("r", "TRUNCATED", 9),
        report("r", "FAILED", 0),
        answer(404, &json!({})),
        answer(500, &json!({})),
        answer(200, &json!({"reports": []})),
        answer(204, &json!({})),
    ];
    for step in 1..answers.len() {
        for start in 0..answers.len() {
            let mut number = start;
            about_days(1, |request| {
                number += step;
                match request.class {
                    requests::MEDIA => file(if number % 3 == 0 { Err(FileFault::Broken) } else { Ok(1) }),
                    _ => answers[number % answers.len()].clone(),
                }
            });
        }
    }
}
