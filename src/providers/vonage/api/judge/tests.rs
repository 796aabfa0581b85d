use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::providers::vonage::api::requests::{Scope, list_of, records};
use crate::providers::vonage::api::tests::{answer, asked_for};

/// A day's first page.
fn request() -> Request {
    let asked = asked_for("sms.outbound", "2026-02-03T00:00:00Z", "2026-02-04T00:00:00Z");
    records(&scope(), &asked, asked.from, asked.to, None)
}

fn scope() -> Scope {
    Scope { account_id: "abcd1234".to_owned(), with_texts: false, with_subaccounts: false }
}

fn invalid_parameters(name: &str, reason: &str) -> Answer {
    let parameters = json!([{"name": name, "reason": reason}]);
    answer(422, &json!({"title": "Unprocessable entity", "invalid_parameters": parameters}))
}

fn mend(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Misconfigured { mend, .. } => mend,
        other => panic!("{other:?}"),
    }
}

#[test]
fn statuses_have_their_meaning() {
    for (status, word) in [
        (204, "empty"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not_found"),
        (408, "timeout"),
        (409, "refused"),
        (429, "throttled"),
        (500, "server_error"),
        (503, "server_error"),
        (302, "not_understood"),
        (200, "not_understood"),
    ] {
        assert_eq!(judge(&request(), &answer(status, &json!({"title": "x"}))).word(), word, "{status}");
    }
    assert_eq!(judge(&request(), &answer(200, &json!({"records": [{}]}))), Verdict::Fine);
    assert_eq!(judge(&request(), &answer(200, &json!({"records": []}))), Verdict::Empty);
}

#[test]
fn a_list_of_reports_is_told_from_what_is_none() {
    let (from, to) = requests::stretch_of(&request()).unwrap();
    let request = list_of(&scope(), &[], Some(from), Some(to));
    assert_eq!(judge(&request, &answer(200, &json!({"reports": []}))), Verdict::Fine);
    assert_eq!(judge(&request, &answer(200, &json!({"records": []}))), Verdict::NotUnderstood);
}

#[test]
fn a_refusal_tells_names_and_reasons_and_nothing_that_was_asked_with() {
    let verdict = judge(&request(), &invalid_parameters("direction", "not for abcd1234,\nsee https://h.example/x"));
    let mend = mend(&verdict);
    assert!(mend.contains("Unprocessable entity; direction: not for ***, see ***"), "{mend}");
    assert_eq!(verdict.word(), "refused");
}

#[test]
fn too_much_time_is_asked_for_in_less_and_what_is_gone_is_gone() {
    let wide = invalid_parameters("date_end", "the range may not exceed 24 hours");
    assert_eq!(judge(&request(), &wide), Verdict::Narrower);
    let old = |date: Option<&str>| {
        let mut answer = invalid_parameters("date_start", "is older than 13 months");
        answer.headers.extend(date.map(|date| ("date".to_owned(), date.to_owned())));
        judge(&request(), &answer)
    };
    assert_eq!(old(Some("Wed, 03 Mar 2027 00:00:00 GMT")), Verdict::Expired);
    // By the provider's own clock it is not old, so the words mean something else.
    assert_eq!(old(Some("Wed, 04 Feb 2026 00:00:00 GMT")).word(), "refused");
    assert_eq!(old(None).word(), "refused");
    let other = invalid_parameters("product", "exceeds what is known");
    assert_eq!(judge(&request(), &other).word(), "refused");
}

proptest! {
    #[test]
    fn no_bytes_make_judging_panic_and_no_value_is_shown(status in 200_u16..600, body: Vec<u8>, text in "\\PC{0,40}") {
        judge(&request(), &Answer { status, body, ..Answer::default() });
        let told = invalid_parameters("date_start", &format!("{text}abcd1234 {text}"));
        if let Verdict::Misconfigured { mend, .. } = judge(&request(), &told) {
            prop_assert!(!mend.contains("abcd1234"));
        }
    }
}
