use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::provider::api::{Api, Question};
use crate::providers::webex::api::tests::{EU, ORGANISATION, REGION, answer, api_with, asked, converse, with_header};

fn api() -> Box<dyn Api> {
    api_with(&format!("region_urls = [\"{REGION}\"]"))
}

/// The first request of a question.
fn request(question: &Question) -> Request {
    converse(&*api(), question, |_| Answer { status: 401, ..Answer::default() }).requests.remove(0)
}

fn counts() -> Request {
    request(&Question::Counts(asked("cdr")))
}

fn feed() -> Request {
    request(&Question::Rows(asked("cdr_feed")))
}

fn verdict(request: &Request, status: u16, body: &Value) -> Verdict {
    api().judge(request, &answer(status, body))
}

fn mend(verdict: &Verdict) -> (&'static str, &str) {
    match verdict {
        Verdict::Misconfigured { word, mend } => (word, mend),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_status_has_its_meaning() {
    let throttled = || Verdict::Throttled { otherwise: Duration::from_secs(60) };
    let trouble = || Verdict::Again { word: "server_error" };
    for (status, expected) in [
        (204, Verdict::Empty),
        (401, Verdict::Renew),
        (408, Verdict::Again { word: "timeout" }),
        (423, throttled()),
        (428, throttled()),
        (429, throttled()),
        (500, trouble()),
        (502, trouble()),
        (503, trouble()),
        (504, trouble()),
        (599, trouble()),
        (302, Verdict::NotUnderstood),
        (100, Verdict::NotUnderstood),
    ] {
        for body in [json!({"message": "x"}), json!(null)] {
            assert_eq!(verdict(&counts(), status, &body), expected, "{status}");
        }
    }
    for (status, word) in [(403, "forbidden"), (404, "not_found"), (405, "refused"), (410, "refused"), (422, "refused")]
    {
        let verdict = verdict(&counts(), status, &json!({"message": "Because of it"}));
        let (found, mend) = mend(&verdict);
        assert_eq!((found, verdict.word()), (word, word));
        assert!(mend.contains("Because of it"), "{mend}");
    }
}

#[test]
fn an_answer_has_to_be_one_of_this_api() {
    let counted = json!({"cdr_counts": [{"orgId": ORGANISATION, "count": 1}]});
    let listed = json!({"items": [{"Report ID": "a"}]});
    for (request, own, other) in [(counts(), &counted, &listed), (feed(), &listed, &counted)] {
        assert_eq!(verdict(&request, 200, own), Verdict::Fine);
        assert_eq!(verdict(&request, 200, other), Verdict::NotUnderstood);
        assert_eq!(verdict(&request, 200, &json!([])), Verdict::Empty);
        assert_eq!(verdict(&request, 200, &json!({})), Verdict::NotUnderstood);
        let page = Answer { status: 200, body: b"<html>maintenance</html>".to_vec(), ..Answer::default() };
        assert_eq!(api().judge(&request, &page), Verdict::NotUnderstood);
    }
}

#[test]
fn pages_may_be_smaller_down_to_the_least() {
    let sized = |size: &str| Request { query: Vec::new(), ..feed() }.with("max", size);
    assert_eq!(verdict(&sized("5000"), 504, &json!({})), Verdict::Narrower);
    assert_eq!(verdict(&sized("501"), 504, &json!({})), Verdict::Narrower);
    for size in ["500", "", "many"] {
        assert_eq!(verdict(&sized(size), 504, &json!({})), Verdict::Again { word: "server_error" }, "{size}");
    }
    assert_eq!(verdict(&sized("5000"), 503, &json!({})), Verdict::Again { word: "server_error" });
}

#[test]
fn nothing_found_is_told_from_an_address_that_is_wrong() {
    let no_cdrs = "No CDRs for requested time range and filters";
    for body in [
        json!({"message": no_cdrs, "errorCode": 404, "trackingId": "T"}),
        json!({"message": "Not found", "errors": [{"description": no_cdrs}]}),
        json!({"errorCode": 404, "trackingId": "T"}),
        json!({"errors": [{"errorCode": "404"}]}),
        json!(no_cdrs),
    ] {
        assert_eq!(verdict(&feed(), 404, &body), Verdict::Empty, "{body}");
        assert_eq!(verdict(&counts(), 404, &body), Verdict::Empty, "{body}");
    }
    for body in [json!({"message": "Not found", "errorCode": 404}), json!({}), json!({"errorCode": 40401})] {
        assert_eq!(mend(&verdict(&feed(), 404, &body)).0, "not_found", "{body}");
    }
    let other = Request::get("api", "webhooks", "/v1/webhooks");
    assert_eq!(mend(&verdict(&other, 404, &json!({"errorCode": 404}))).0, "not_found");
}

/// What a 400 means for an hour of a stream when the provider's clock says `date`.
fn bad(stream: &'static str, hours: i64, date: Option<&str>, message: &str) -> Verdict {
    let asked = asked(stream);
    let from = asked.to.minus_us(u64::try_from(hours * 3_600_000_000).unwrap()).unwrap();
    let request = request(&Question::Rows(crate::provider::api::Asked { from, ..asked }));
    let answer = answer(400, &json!({ "message": message }));
    let answer = date.into_iter().fold(answer, |answer, date| with_header(answer, "date", date));
    api().judge(&request, &answer)
}

#[test]
fn a_refusal_about_times_is_judged_by_the_providers_own_clock() {
    let (soon, later) = (Some("Tue, 03 Feb 2026 10:04:00 GMT"), Some("Tue, 03 Feb 2026 11:00:00 GMT"));
    let (two_days, two_days_on) = (Some("Thu, 05 Feb 2026 08:00:00 GMT"), Some("Thu, 05 Feb 2026 09:10:00 GMT"));
    let clock = Verdict::Later { word: "clock", wait: Duration::from_secs(60), tries: 5 };
    let about_start = "Start time is out of bounds";
    for (stream, hours, date, message, expected) in [
        ("cdr", 1, None, "End time is not older than 5 minutes", Some(&clock)),
        ("cdr", 1, later, "End time is not older than 5 minutes", Some(&clock)),
        ("cdr", 1, soon, "endTime must be between 5 minutes and 48 hours ago", Some(&clock)),
        ("cdr", 1, two_days_on, "endTime must be between 5 minutes and 48 hours ago", Some(&Verdict::Expired)),
        ("cdr", 1, two_days_on, about_start, Some(&Verdict::Expired)),
        ("cdr", 1, two_days, about_start, None),
        ("cdr", 1, later, "startTime has a wrong format", None),
        ("cdr", 1, None, "startTime has a wrong format", None),
        ("cdr", 1, None, "Start time is more than 30 days ago", Some(&Verdict::Expired)),
        ("cdr", 1, two_days_on, "orgId is wrong", None),
        ("cdr_stream", 1, two_days, about_start, Some(&Verdict::Expired)),
        ("cdr_feed", 1, two_days, about_start, None),
        ("cdr_feed", 13, later, "Time duration is more than 12 hours", Some(&Verdict::Narrower)),
        ("cdr_feed", 13, two_days_on, "Time duration is more than 12 hours", Some(&Verdict::Narrower)),
        ("cdr_feed", 1, later, "Time duration is more than 12 hours", None),
        ("cdr_feed", 13, later, "max exceeds 5000", None),
        ("cdr", 1, Some("yesterday"), "startTime has a wrong format", None),
    ] {
        let verdict = bad(stream, hours, date, message);
        match expected {
            Some(expected) => assert_eq!(&verdict, expected, "{stream} {date:?} {message}"),
            None => assert_eq!(mend(&verdict).0, "refused", "{stream} {date:?} {message}"),
        }
    }
}

#[test]
fn another_region_is_asked_only_if_its_host_is_acceptable() {
    let named = |text: &str| verdict(&feed(), 451, &json!({ "message": text }));
    let eu = Verdict::Elsewhere(EU.parse().unwrap());
    assert_eq!(named("should go to URL: https://analytics-calling-eu.webexapis.com..."), eu);
    assert_eq!(named("see https://example.net, go to https://analytics-calling-eu.webexapis.com/v1/x"), eu);
    assert_eq!(named("http://127.0.0.1:9301/v1/cdr_feed"), Verdict::Elsewhere(REGION.parse().unwrap()));
    for text in [
        "",
        "it is elsewhere",
        "go to http://analytics-calling-eu.webexapis.com",
        "go to http://127.0.0.1:9302",
        "go to https://example.net/v1",
        // A host that sends us to itself.
        "go to https://analytics-calling.webexapis.com/v1/cdr_feed",
    ] {
        assert_eq!(mend(&named(text)).0, "wrong_region", "{text}");
    }
    assert!(mend(&named("go to https://example.net/v1?orgId=9")).1.ends_with("go to https://example.net"));
    let plain = Answer { status: 451, body: format!("go to {EU}").into_bytes(), ..Answer::default() };
    assert_eq!(api().judge(&feed(), &plain), eu);
    let there = Request { elsewhere: Some(EU.parse().unwrap()), ..feed() };
    assert_eq!(mend(&api().judge(&there, &plain)).0, "wrong_region");
}

#[test]
fn what_is_needed_is_told_and_nothing_secret() {
    let with_account = crate::provider::api::Asked { account: Some(ORGANISATION.to_owned()), ..asked("cdr") };
    let records = request(&Question::Rows(with_account));
    let token = "N2Y4".repeat(16);
    for status in [400, 403, 404, 422, 451] {
        let body = json!({"message": format!("{token} of {ORGANISATION} for 2026-02-03T09:00:00.000Z: no")});
        let verdict = verdict(&records, status, &body);
        let (_, mend) = mend(&verdict);
        assert!(mend.contains("of *** for *** no") || mend.contains("of *** for ***: no"), "{mend}");
        for secret in [token.as_str(), ORGANISATION, "2026-02-03T09"] {
            assert!(!mend.contains(secret), "{mend}");
        }
    }
    for (request, right) in [(counts(), "partner organisation"), (feed(), "Detailed Call History")] {
        let verdict = verdict(&request, 403, &json!({"message": "No"}));
        assert!(mend(&verdict).1.contains("spark-admin:calling_cdr_read"));
        assert!(mend(&verdict).1.contains(right));
    }
}

proptest! {
    #[test]
    fn no_answer_makes_judging_panic(status in 100..600_u16, body: Vec<u8>, text in "\\PC{0,40}", date in "\\PC{0,40}") {
        for request in [counts(), feed()] {
            for body in [body.clone(), text.clone().into_bytes()] {
                let headers = vec![("date".to_owned(), date.clone()), ("link".to_owned(), text.clone())];
                api().judge(&request, &Answer { status, headers, body });
            }
        }
    }
}
