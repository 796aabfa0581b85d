use std::collections::VecDeque;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::{self, Environment};
use crate::provider::Normalized;
use crate::provider::api::{Ending, Found, Heard, Say};

const KEYS: &str = "client_id = \"C1\"\nclient_secret = \"client-secret\"\nrefresh_token = \"refresh-token\"\n";

fn load(keys: &str) -> Result<std::sync::Arc<dyn Api>, String> {
    let text = format!(
        "[reconcile]\nstate_keys = [\"0123456789abcdef\"]\n[[sources]]\nname = \"w\"\nprovider = \"webex\"\n\
         signature_secrets = [\"secret\"]\n{keys}"
    );
    let loaded = config::load_text("test", &text, &Environment::new()).map_err(|error| error.to_string())?;
    loaded.settings.sources[0].api.clone().ok_or_else(|| "no API".to_owned())
}

fn api() -> std::sync::Arc<dyn Api> {
    load(KEYS).unwrap()
}

fn at(text: &str) -> Time {
    Time::parse_iso(text).unwrap()
}

fn asked(stream: &'static str, account: Option<&str>) -> Asked {
    let (from, to) = (at("2026-02-03T09:00:00Z"), at("2026-02-03T10:00:00Z"));
    Asked { stream, from, to, account: account.map(str::to_owned), region: None }
}

#[derive(Default)]
struct Collected {
    counts: Vec<(String, u64)>,
    rows: Vec<String>,
    asked: Vec<String>,
}

impl Found for Collected {
    fn count(&mut self, account: &str, rows: u64) {
        self.counts.push((account.to_owned(), rows));
    }

    fn row(&mut self, json: &str) {
        self.rows.push(json.to_owned());
    }
}

fn shown(request: &Request) -> String {
    let query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let host = request.elsewhere.as_ref().map_or(request.base, |url| url.host_str().unwrap());
    format!("{host} {}?{}", request.path, query.join("&"))
}

/// Holds a conversation with prepared answers.
fn converse(question: &Question, answers: impl IntoIterator<Item = Answer>) -> (Collected, Ending) {
    let (api, mut answers) = (api(), answers.into_iter().collect::<VecDeque<_>>());
    let (mut talk, mut collected) = (api.ask(question), Collected::default());
    let mut say = talk.next(Heard::Begin, &mut collected);
    loop {
        let request = match say {
            Say::Done(ending) => return (collected, ending),
            Say::Send(request) => request,
        };
        collected.asked.push(shown(&request));
        let answer = answers.pop_front().unwrap_or_else(|| panic!("{:?}", collected.asked));
        say = match api.judge(&request, &answer) {
            Verdict::Fine | Verdict::Empty => talk.next(Heard::Answer(&answer), &mut collected),
            verdict => talk.next(Heard::Judged(&verdict), &mut collected),
        };
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &Value) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer { status, headers, body: body.to_string().into_bytes() }
}

fn ok(body: &Value) -> Answer {
    answer(200, &[], body)
}

fn organisation(number: usize) -> String {
    format!("5d1c9b8e-0000-4111-8222-{number:012}")
}

fn page(organisations: std::ops::Range<usize>) -> Value {
    let counts: Vec<Value> =
        organisations.map(|number| json!({"orgId": organisation(number), "count": number + 1})).collect();
    json!({"cdr_counts": counts})
}

#[test]
fn counts_are_asked_for_an_hour_and_an_organisation_has_one_spelling() {
    let body = json!({"cdr_counts": [
        {"orgId": "5D1C9B8E-0000-4111-8222-000000000001", "count": 3009},
        {"orgId": "5d1c9b8e-0000-4111-8222-000000000001", "count": "3010"},
        {"orgId": "5d1c9b8e-0000-4111-8222-000000000002", "count": 0},
    ]});
    let (collected, ending) = converse(&Question::Counts(asked("cdr", None)), [ok(&body)]);
    assert_eq!((collected.counts, ending), (vec![(organisation(1), 3010)], Ending::Whole));
    let path =
        "analytics /v1/partners/cdrcountbyorg?startTime=2026-02-03T09:00:00.000Z&endTime=2026-02-03T09:59:59.999Z";
    assert_eq!(collected.asked, [path]);
}

#[test]
fn pages_of_counts_are_read_to_the_end_whatever_headers_say() {
    let question = Question::Counts(asked("cdr", None));
    for headers in [&[][..], &[("x-total-pages", "2"), ("x-total-orgs", "283")], &[("pages", "1")]] {
        let answers = [answer(200, headers, &page(0..200)), answer(200, headers, &page(200..283))];
        let (collected, ending) = converse(&question, answers);
        assert_eq!((collected.counts.len(), ending), (283, Ending::Whole), "{headers:?}");
        assert!(collected.asked[1].ends_with("&page=2"));
    }
    let (collected, ending) = converse(&question, [ok(&page(0..200)), ok(&page(0..200))]);
    assert_eq!((collected.counts.len(), ending), (200, Ending::Whole), "a page that repeats is the end");
    let small = |range| answer(200, &[("number-of-pages", "2")], &page(range));
    let (collected, _) = converse(&question, [small(0..3), small(3..5)]);
    assert_eq!(collected.counts.len(), 5, "the header says that there are more");
}

#[test]
fn missing_organisations_are_asked_for_again_and_then_told() {
    let question = Question::Counts(asked("cdr", None));
    let short = || answer(200, &[("x-total-orgs", "3")], &page(0..2));
    let whole = answer(200, &[("x-total-orgs", "3")], &page(0..3));
    assert_eq!(converse(&question, [short(), whole]).1, Ending::Whole);
    let (collected, ending) = converse(&question, [short(), short(), short()]);
    assert_eq!((collected.counts.len(), ending), (2, Ending::Partial("short_answer")));
}

#[test]
fn what_answers_mean_is_told_by_their_status_and_words() {
    let api = api();
    let judged = |status, body: &str| {
        let answer = Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
        api.judge(&counts_request(&asked("cdr", None)), &answer)
    };
    for (status, body, word) in [
        (200, "{}", "ok"),
        (200, "<html>", "not_understood"),
        (400, r#"{"message":"End time is not older than 5 minutes"}"#, "clock"),
        (400, r#"{"message":"Time duration is more than 12 hours"}"#, "invalid"),
        (400, r#"{"message":"Start time is more than 48 hours ago"}"#, "expired"),
        (400, r#"{"message":"who knows"}"#, "refused"),
        (401, "", "unauthorized"),
        (403, "", "forbidden"),
        (404, r#"{"errorCode":404,"message":"No CDRs for requested time range and filters"}"#, "empty"),
        (404, r#"{"errorCode":404}"#, "empty"),
        (404, r#"{"message":"The requested resource could not be found"}"#, "not_found"),
        (429, "", "throttled"),
        (423, "", "throttled"),
        (451, "should go to URL: https://analytics-calling-eu.webexapis.com/v1/cdr_feed.", "elsewhere"),
        (451, "should go to URL: https://evil.example/v1", "wrong_region"),
        (451, "should go to URL: https://webexapis.com.evil.example/v1", "wrong_region"),
        (451, "nothing", "wrong_region"),
        (500, "", "server_error"),
        (504, "", "invalid"),
        (418, "", "refused"),
    ] {
        assert_eq!(judged(status, body).word(), word, "{status} {body}");
    }
    let elsewhere = judged(451, "go to \"https://analytics-calling-eu.webexapis.com/v1/x?y=z\"");
    assert_eq!(elsewhere, Verdict::Elsewhere(Url::parse("https://analytics-calling-eu.webexapis.com").unwrap()));
}

#[test]
fn another_region_is_asked_once_and_for_the_rest() {
    let question = Question::Rows(asked("cdr", Some("org-1")));
    let region = || answer(451, &[], &json!("go to https://analytics-calling-eu.webexapis.com/v1/x"));
    let (collected, ending) = converse(&question, [region(), ok(&json!({"items": [{"Report ID": "r-1"}]}))]);
    assert_eq!((collected.rows.len(), ending), (1, Ending::Whole));
    assert!(collected.asked[1].starts_with("analytics-calling-eu.webexapis.com /v1/partners/cdrsbyorg?"));
    assert!(collected.asked[1].ends_with("&orgId=org-1"));
    let (_, ending) = converse(&question, [region(), region()]);
    assert!(matches!(ending, Ending::Failed(Verdict::Elsewhere(_))), "not in a circle: {ending:?}");
}

#[test]
fn rows_are_found_in_every_shape_and_pages_are_followed() {
    let row = |id: &str| json!({"Report ID": id, "Org UUID": "org-1"});
    let question = Question::Rows(asked("cdr_feed", None));
    let link = "<<https://analytics-calling.webexapis.com/v1/cdr_feed?startTimeForNextFetch=x&max=5000>;rel=\"next\">";
    let first = answer(200, &[("link", link)], &json!({"items": [row("1"), row("2")]}));
    let (collected, ending) = converse(&question, [first.clone(), ok(&json!([row("3")]))]);
    assert_eq!((collected.rows.len(), ending), (3, Ending::Whole));
    assert!(collected.asked[0].starts_with("feed /v1/cdr_feed?max=5000&startTime=2026-02-03T09:00:00.000Z"));
    assert_eq!(collected.asked[1], "feed /v1/cdr_feed?startTimeForNextFetch=x&max=5000");
    assert_eq!(converse(&question, [first.clone(), first]).1, Ending::Partial("page_repeats"));
    let foreign = answer(200, &[("link", "<https://evil.example/v1>; rel=\"next\"")], &json!({"records": [row("1")]}));
    let (collected, ending) = converse(&question, [foreign]);
    assert_eq!((collected.rows.len(), ending), (1, Ending::Partial("foreign_host")));
    assert_eq!(converse(&question, [answer(404, &[], &json!({"errorCode": 404}))]).1, Ending::Whole);
}

#[test]
fn fewer_records_are_asked_for_where_the_server_takes_too_long() {
    let slow = || answer(504, &[], &json!({}));
    let (collected, ending) = converse(&Question::Rows(asked("cdr_feed", None)), (0..5).map(|_| slow()));
    let sizes: Vec<&str> = collected.asked.iter().map(|asked| asked.split(['=', '&']).nth(1).unwrap()).collect();
    assert_eq!((sizes, ending), (vec!["5000", "2500", "1250", "625", "500"], Ending::Narrower));
    let (collected, ending) = converse(&Question::Rows(asked("cdr", Some("org-1"))), [slow()]);
    assert_eq!((collected.asked.len(), ending), (1, Ending::Narrower));
}

#[test]
fn a_row_is_placed_by_its_report_time_and_a_record_by_its_version() {
    let api = api();
    let text = r#"{"Report ID":"r-1","Org UUID":"ORG-1","Report time":"2026-02-03T09:30:00.000Z","Release time":"2026-02-03T08:00:00.000Z"}"#;
    let row = Row { stream: "cdr", text, account_id: None };
    assert_eq!(api.placed_at(&row), Some(at("2026-02-03T09:30:00Z")));
    let mut normalized = Normalized::default();
    api.map(&row, &mut normalized);
    let event = &normalized.events[0];
    assert_eq!((&*event.product, &*event.account_id), ("cdr_records", "org-1"));
    assert_eq!(api.held_at(br#"{"record_version":"2026-02-03T09:30:00.000Z"}"#), Some(at("2026-02-03T09:30:00Z")));
    for other in [&br#"{"record_version":"h:0011"}"#[..], b"{}", b"nonsense"] {
        assert_eq!(api.held_at(other), None);
    }
    let mut faulty = Normalized::default();
    api.map(&Row { text: r#"{"Report ID":"r-1"}"#, ..row }, &mut faulty);
    api.map(&Row { text: "7", ..row }, &mut faulty);
    let codes: Vec<_> = faulty.faults.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["missing_account", "not_an_object"]);
}

#[test]
fn credentials_are_whole_or_told() {
    assert_eq!(load("").unwrap_err(), "no API");
    for (keys, told) in [
        ("client_id = \"C1\"\nclient_secret = \"s\"\n", "refresh_token: is missing"),
        ("refresh_token = \"r\"\n", "client_id: is missing"),
        ("client_id = \"C1\"\nrefresh_token = \"r\"\n", "client_secret: is missing"),
        ("access_token = \"t\"\nrefresh_token = \"r\"\nclient_id = \"C\"\nclient_secret = \"s\"\n", "one of the two"),
        ("access_token = \"t\"\napi_url = \"http://example.com\"\n", "api_url: \"http://example.com\" is not"),
        (
            "access_token = \"t\"\nfeed_url = \"https://example.com/v1\"\n",
            "feed_url: \"https://example.com/v1\" is not",
        ),
        ("access_token = \"t\"\nregion_urls = [\"nonsense\"]\n", "region_urls: \"nonsense\" is not"),
    ] {
        let error = load(keys).unwrap_err();
        assert!(error.contains(told), "{keys}: {error}");
    }
    assert!(load("access_token = \"t\"\nanalytics_url = \"http://127.0.0.1:9200\"\n").is_ok());
    assert!(!format!("{:?}", api()).contains("client-secret") && !format!("{:?}", api()).contains("refresh-token"));
}

proptest! {
    #[test]
    fn any_answer_is_read_without_a_panic(status in 200_u16..600, name in "[a-z-]{0,20}", value in "\\PC{0,30}", body: Vec<u8>) {
        let api = api();
        for question in [Question::Counts(asked("cdr", None)), Question::Rows(asked("cdr_feed", None))] {
            let answer = Answer { status, headers: vec![(name.clone(), value.clone()), ("link".to_owned(), value.clone())], body: body.clone() };
            let (mut talk, mut collected) = (api.ask(&question), Collected::default());
            let Say::Send(request) = talk.next(Heard::Begin, &mut collected) else { panic!("it asks first") };
            api.judge(&request, &answer);
            talk.next(Heard::Answer(&answer), &mut collected);
            prop_assert!(collected.counts.is_empty() || status != 404);
        }
    }
}
