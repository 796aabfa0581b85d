use serde_json::{Value, json};

use super::*;
use crate::provider::api::Question;
use crate::providers::telphin::api::tests::{answer, api_with, asked, converse};

fn page() -> Request {
    Request::get("api", STATISTICS, "/api/ver1.0/client/999/call_history/")
        .with("start_datetime", "2026-02-03 00:00:00")
        .with("end_datetime", "2026-02-04 00:00:00")
}

fn one_call() -> Request {
    Request::get("api", STATISTICS, "/api/ver1.0/client/999/call_history/A1/")
}

fn word(status: u16, body: &Value) -> &'static str {
    judge(&page(), &answer(status, body)).word()
}

#[test]
fn statuses_mean_what_telphin_documents() {
    let empty = json!({"call_history": []});
    for (status, body, expected) in [
        (200, json!({"call_history": [{}]}), "ok"),
        (201, empty.clone(), "empty"),
        (204, json!(null), "empty"),
        (200, json!([]), "not_understood"),
        (302, empty, "not_understood"),
        (401, json!({}), "unauthorized"),
        (403, json!({"status": "app_access_type_deny"}), "forbidden"),
        (404, json!({"message": "Not found"}), "not_found"),
        (404, json!({"status": "client_not_found"}), "not_found"),
        (408, json!({}), "timeout"),
        (422, json!({"message": "no"}), "refused"),
        (400, json!({"message": "no"}), "refused"),
        (400, json!({"message": "The period is too long"}), "invalid"),
        (503, json!({}), "server_error"),
    ] {
        assert_eq!(word(status, &body), expected, "{status} {body}");
    }
}

#[test]
fn the_two_refusals_for_number_are_told_apart() {
    let with = |body: Value, headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        judge(&page(), &Answer { headers, ..answer(429, &body) })
    };
    let quota = |seconds| Verdict::Throttled { otherwise: Duration::from_secs(seconds) };
    assert_eq!(with(json!({"status": "rate_limit_exceeded"}), &[]), quota(3600));
    assert_eq!(with(json!({"status": "rate_limit_exceeded"}), &[("x-ratelimit-reset", "1710")]), quota(1710));
    assert_eq!(with(json!({}), &[("x-ratelimit-remaining", "0")]), quota(3600));
    let busy = json!({"message": "Stats request already exists, concurrent request not allowed"});
    assert_eq!(with(busy, &[("x-ratelimit-remaining", "77")]), Verdict::Busy);
}

#[test]
fn a_call_that_is_not_there_is_empty_and_a_narrow_request_is_never_too_wide() {
    assert_eq!(judge(&one_call(), &answer(404, &json!({"message": "Not found"}))), Verdict::Empty);
    assert_eq!(judge(&one_call(), &answer(404, &json!({"status": "client_not_found"}))).word(), "not_found");
    assert_eq!(judge(&one_call(), &answer(200, &json!({"call_uuid": "A1"}))), Verdict::Fine);
    let told = converse(&*api_with(""), &Question::Rows(asked("call_history")), |request| match request.class {
        "user" => answer(200, &json!({"client_id": 999})),
        _ => answer(400, &json!({"message": "The period is too long"})),
    });
    assert_eq!(told.rows.len(), 0);
    let narrow = Request { query: Vec::new(), ..page() };
    assert_eq!(judge(&narrow, &answer(400, &json!({"message": "The period is too long"}))).word(), "refused");
}

#[test]
fn a_refusal_says_what_is_needed_and_nothing_personal() {
    let body = json!({"status": "app_access_type_deny", "message": "not for +79161234567"});
    let Verdict::Misconfigured { mend, .. } = judge(&page(), &answer(403, &body)) else { panic!("it is refused") };
    assert!(mend.contains("Call API") && !mend.contains("79161234567"), "{mend}");
}
