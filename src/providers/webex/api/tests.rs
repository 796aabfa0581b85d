//! The API as a whole: its streams, what becomes of rows, and the conversation that the other tests lead.

use serde_json::{Value, json};

use super::*;
use crate::event::envelope::{Ingest, Mode, Reception};
use crate::event::privacy::Privacy;
use crate::provider::Normalized;
use crate::provider::api::conversation;
pub(super) use crate::provider::api::conversation::{Told, answer, time, value};
use crate::provider::api::{Asked, Ending};
use crate::section::report::{Environment, Origins, Report};

pub(super) const ORGANISATION: &str = "1a2b3c4d-0000-4111-8222-5e6f70809010";
pub(super) const REGION: &str = "http://127.0.0.1:9301";
pub(super) const EU: &str = "https://analytics-calling-eu.webexapis.com";

/// A source of which nothing is wrong.
const WHOLE: &str = r#"
    client_id = "C0123"
    client_secret = "env:A_SECRET"
    refresh_token = "env:A_TOKEN"
"#;

/// What comes of a source's keys.
pub(super) struct Read {
    pub(super) api: Option<Box<dyn Api>>,
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) printed: String,
}

pub(super) fn read(text: &str) -> Read {
    let of_secret = |name: &str| (name.to_owned(), format!("invented-value-of-{name}"));
    let environment: Environment = ["A_SECRET", "A_TOKEN"].map(of_secret).into();
    let report = Report::new(Origins::default(), &environment);
    let mut section = Section::root(text.parse().unwrap(), &report);
    let api = configure(&SourceOptions::default(), &mut section);
    section.finish();
    let (problems, warnings, printed) = report.into_parts();
    let told = |list: Vec<crate::section::report::Problem>| {
        list.into_iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
    };
    Read { api, problems: told(problems), warnings: told(warnings), printed }
}

/// The API of a source with these keys beside its credentials.
pub(super) fn api_with(keys: &str) -> Box<dyn Api> {
    let read = read(&format!("{WHOLE}{keys}"));
    assert_eq!(read.problems, Vec::<String>::new());
    read.api.unwrap()
}

/// An hour of a stream.
pub(super) fn asked(stream: &'static str) -> Asked {
    let (from, to) = (time("2026-02-03T09:00:00Z"), time("2026-02-03T10:00:00Z"));
    Asked { stream, from, to, account: None, region: None }
}

pub(super) fn with_header(mut answer: Answer, name: &str, value: impl Into<String>) -> Answer {
    answer.headers.push((name.to_owned(), value.into()));
    answer
}

/// Leads a conversation to its end.
pub(super) fn converse(api: &dyn Api, question: &Question, reply: impl FnMut(&Request) -> Answer) -> Told {
    let told = conversation::converse(api, question, reply);
    assert!(told.requests.iter().all(|request| goes_where_it_may(api, request)), "{:?}", told.requests);
    told
}

fn goes_where_it_may(api: &dyn Api, request: &Request) -> bool {
    let is_known = |url: &url::Url| {
        let text = url.as_str();
        let host = url.host_str().unwrap();
        text == format!("{REGION}/") || (text.starts_with("https://") && host.ends_with(".webexapis.com"))
    };
    let has_base = api.bases().iter().any(|(name, _)| *name == request.base);
    has_base && request.path.starts_with('/') && request.elsewhere.as_ref().is_none_or(is_known)
}

#[test]
fn the_streams_hold_together() {
    for stream in STREAMS {
        assert_eq!(stream.name, stream.product);
        assert!(stream.least_delay_s <= stream.delay_s, "{}", stream.name);
        let ages: Vec<u32> = std::iter::once(stream.delay_s).chain(stream.again_s.iter().copied()).collect();
        assert!(ages.is_sorted_by(|one, other| one < other), "{}", stream.name);
        assert!(ages.iter().all(|age_s| age_s + 3600 < stream.reach_s), "{}", stream.name);
        assert_eq!(stream.widest_s % 3600, 0, "windows are hours");
        assert_eq!((stream.counted, stream.primary), (stream.name == CDR, stream.name != CDR));
    }
    assert_eq!(super::super::INFO.streams.len(), 3);
}

#[test]
fn every_class_that_webex_limits_has_a_pace() {
    let paces = api_with("").paces();
    let pace = |class: &str| paces.iter().find(|pace| pace.class == class).map(|pace| (pace.requests, pace.at_once));
    assert_eq!((pace("partner_counts"), pace("partner_records")), (Some((1, 1)), None));
    assert_eq!((pace("feed"), pace("feed_pages")), (Some((1, 1)), Some((10, 1))));
}

/// The events of a row, as published.
fn mapped(stream: &'static str, text: &str) -> (Vec<Value>, Vec<(&'static str, Option<String>)>) {
    let api = api_with("");
    let row = Row { stream, text, account_id: Some("9F8E7D6C-0000-4333-8444-0102030405A6") };
    let mut normalized = Normalized::default();
    api.map(&row, &mut normalized);
    let ingest = Ingest { via: "poll", verification: "api", scheme: api.scheme(), raw_id: "r".to_owned() };
    let received_at = time("2026-02-03T12:14:26.103Z");
    let origin = Reception { provider: "webex", source_name: "w", received_at, ingest: &ingest };
    let value = |event: crate::event::Event<'_>| {
        let record = event.into_record(&origin, &Privacy::default(), Mode::Binary).unwrap();
        serde_json::from_slice(&record.value).unwrap()
    };
    let faults = normalized.faults.into_iter().map(|fault| (fault.code, fault.record.map(Text::into_owned)));
    (normalized.events.into_iter().map(value).collect(), faults.collect())
}

fn record() -> Value {
    json!({"Report ID": "a", "Org UUID": ORGANISATION, "Report time": "2026-02-03T09:10:00.000Z", "User": "Ann"})
}

#[test]
fn a_row_is_the_event_that_the_webhook_makes_of_it() {
    let text = record().to_string();
    let by_webhook = super::super::tests::take(&record()).events.remove(0);
    for (stream, product) in [(CDR, "cdr_records"), (CDR_FEED, "cdr_feed"), (CDR_STREAM, "cdr_stream")] {
        let (events, faults) = mapped(stream, &text);
        assert_eq!((events.len(), faults.len()), (1, 0));
        let event = &events[0];
        for member in ["event_id", "kind", "account_id", "record_id", "record_version", "user", "outcome"] {
            assert_eq!(event[member], by_webhook[member], "{member}");
        }
        assert_eq!(event["product"], product);
        assert_eq!(event["parent_account_id"], "9f8e7d6c-0000-4333-8444-0102030405a6");
        assert_eq!(event["ingest"]["scheme"], "webex-oauth");
    }
}

#[test]
fn a_row_that_is_no_record_is_a_fault_with_its_text() {
    for (text, code) in [
        (r#"{"Org UUID":"x"}"#, "missing_id"),
        (r#"{"Report ID":"a"}"#, "missing_account"),
        ("7", "not_an_object"),
        ("{", "invalid_record"),
        ("", "not_an_object"),
    ] {
        let (events, faults) = mapped(CDR, text);
        assert_eq!((events.len(), faults), (0, vec![(code, Some(text.to_owned()))]));
    }
}

#[test]
fn a_row_is_placed_by_the_time_of_its_report_unless_only_its_answer_places_it() {
    let api = api_with("");
    let text = record().to_string();
    let placed_at = |stream, text: &str| api.placed_at(&Row { stream, text, account_id: None });
    for stream in [CDR, CDR_FEED] {
        assert_eq!(placed_at(stream, &text), Some(time("2026-02-03T09:10:00Z")));
        let without_zone = text.replace("T09:10:00.000Z", " 09:10:00.000");
        assert_eq!(placed_at(stream, &without_zone), Some(time("2026-02-03T09:10:00Z")));
        for text in ["{", "7", "{}", r#"{"Report time":"soon"}"#] {
            assert_eq!(placed_at(stream, text), None, "{text}");
        }
    }
    assert_eq!(placed_at(CDR_STREAM, &text), None);
}

#[test]
fn a_record_of_a_topic_is_placed_by_its_version_in_both_layouts() {
    let api = api_with("");
    let row = record().to_string();
    let mut normalized = Normalized::default();
    api.map(&Row { stream: CDR, text: &row, account_id: None }, &mut normalized);
    let ingest = Ingest { via: "poll", verification: "api", scheme: "webex-oauth", raw_id: "r".to_owned() };
    let received_at = time("2026-02-03T12:14:26.103Z");
    let origin = Reception { provider: "webex", source_name: "w", received_at, ingest: &ingest };
    let event = normalized.events.remove(0);
    let binary = event.into_record(&origin, &Privacy::default(), Mode::Binary).unwrap().value;
    let structured = format!("{{\"id\":\"x\",\"data\":{}}}", String::from_utf8(binary.clone()).unwrap());
    for value in [binary, structured.into_bytes()] {
        assert_eq!(api.held_at(&value), Some(time("2026-02-03T09:10:00Z")));
    }
    for value in ["", "7", "{}", "{\"record_version\":\"3f0c\"}", "{\"record_version\":7}", "{\"data\":null}"] {
        assert_eq!(api.held_at(value.as_bytes()), None, "{value}");
    }
}

#[test]
fn the_schema_tells_the_product_of_each_stream() {
    let schema: Value = serde_json::from_str(Kind::CallRecord.info().schema).unwrap();
    let words = schema["properties"]["product"]["description"].as_str().unwrap();
    for stream in STREAMS {
        let product = event_product(stream.name);
        assert!(words.contains(&format!(" {product},")), "{product}");
    }
}

#[test]
fn of_a_user_only_what_a_webhook_told_counts() {
    let api = api_with("feed = \"billing\"");
    let row = |text| Row { stream: CDR, text, account_id: None };
    let of_row = |text| api.user_of(&row(text));
    assert_eq!(of_row("{\"User UUID\":\"u-1\",\"x\":1}"), Some("u-1".to_owned()));
    assert_eq!((of_row("{\"User\":\"somebody\"}"), of_row("7"), of_row("{\"User UUID\":\"NA\"}")), (None, None, None));
    let event = |way: &str| json!({"user": {"id": "u-1"}, "ingest": {"verification": way}});
    for (value, user) in [
        (event("signature"), Some("u-1")),
        (json!({"id": "x", "data": event("url_token")}), Some("u-1")),
        (event("api"), None),
        (json!({"id": "x", "data": event("api")}), None),
        (json!({"user": {"id": "u-1"}}), None),
        (json!({"user": {"name": "x"}, "ingest": {"verification": "signature"}}), None),
    ] {
        assert_eq!(api.user_told(value.to_string().as_bytes()).as_deref(), user, "{value}");
    }
    assert!(api.tells_of_more_users() && !api_with("").tells_of_more_users());
}

#[test]
fn a_check_asks_once_for_what_the_stream_needs() {
    for (stream, path) in
        [(CDR, "/v1/partners/cdrcountbyorg"), (CDR_FEED, "/v1/cdr_feed"), (CDR_STREAM, "/v1/cdr_stream")]
    {
        let api = api_with("");
        let question = Question::Check(asked(stream));
        let empty = answer(200, &json!({"cdr_counts": [], "items": []}));
        let told = converse(&*api, &question, |_| empty.clone());
        assert_eq!((told.ending, told.requests.len()), (Ending::Whole, 1));
        assert_eq!((told.requests[0].path.as_str(), told.rows.len(), told.counts.len()), (path, 0, 0));
        let told = converse(&*api, &question, |_| answer(401, &json!({})));
        assert_eq!(told.ending, Ending::Failed(Verdict::Renew));
        let elsewhere = answer(451, &json!({"message": format!("should go to URL: {EU}/v1")}));
        let told = converse(&*api, &question, |request| match &request.elsewhere {
            None => elsewhere.clone(),
            Some(_) => empty.clone(),
        });
        assert_eq!((told.ending, told.requests.len()), (Ending::Whole, 2));
    }
}
