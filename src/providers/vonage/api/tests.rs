//! The API as a whole: its keys, and the conversation that the other tests lead.

use serde_json::json;

use super::*;
use crate::provider::api::Ending;
use crate::provider::api::conversation;
pub(super) use crate::provider::api::conversation::{Told, answer, file, time, value};
use crate::section::report::{Environment, Origins, Problem, Report};

/// What comes of a source's keys.
pub(super) struct Read {
    pub(super) api: Option<Box<dyn Api>>,
    pub(super) problems: Vec<String>,
    pub(super) printed: String,
}

pub(super) fn read_for(account_id: Option<&str>, text: &str) -> Read {
    let environment: Environment = [("A_SECRET".to_owned(), "an-invented-secret".to_owned())].into();
    let report = Report::new(Origins::default(), &environment);
    let mut section = Section::root(text.parse().unwrap(), &report);
    let source = SourceOptions { account_id: account_id.map(ToOwned::to_owned), ..SourceOptions::default() };
    let api = configure(&source, &mut section);
    section.finish();
    let (problems, _, printed) = report.into_parts();
    let told = |problem: Problem| format!("{}: {}", problem.key, problem.message);
    Read { api, problems: problems.into_iter().map(told).collect(), printed }
}

/// The API of a source with these keys beside its credentials.
pub(super) fn api_with(keys: &str) -> Box<dyn Api> {
    let read = read_for(Some("abcd1234"), &format!("api_secret = \"env:A_SECRET\"\n{keys}"));
    assert_eq!(read.problems, Vec::<String>::new());
    read.api.unwrap()
}

/// Half a day of a stream.
pub(super) fn asked(stream: &'static str) -> Asked {
    asked_for(stream, "2026-02-03T00:00:00Z", "2026-02-03T12:00:00Z")
}

pub(super) fn asked_for(stream: &'static str, from: &str, to: &str) -> Asked {
    Asked { stream, from: time(from), to: time(to), account: None, region: None }
}

/// Leads a conversation to its end.
pub(super) fn converse(api: &dyn Api, question: &Question, reply: impl FnMut(&Request) -> Answer) -> Told {
    let told = conversation::converse(api, question, reply);
    let is_ours = |request: &Request| request.elsewhere.is_none();
    assert!(told.requests.iter().all(is_ours), "credentials go to the configured host alone");
    told
}

#[test]
fn there_is_an_api_where_there_are_key_and_secret() {
    let secret = "api_secret = \"env:A_SECRET\"\n";
    for (account_id, keys, user, missing) in [
        (None, "", None, None),
        (Some("abcd1234"), "", None, None),
        (Some("abcd1234"), secret, Some("abcd1234"), None),
        (None, "api_key = \"efgh5678\"\napi_secret = \"env:A_SECRET\"", Some("efgh5678"), None),
        // An account may be read with the key of the one above it.
        (Some("abcd1234"), "api_key = \"efgh5678\"\napi_secret = \"env:A_SECRET\"", Some("efgh5678"), None),
        (None, secret, None, Some("api_key")),
        (Some("abcd1234"), "api_key = \"efgh5678\"", None, Some("api_secret")),
        // What is there and wrong is not told to be missing.
        (Some("abcd1234"), "api_secret = \"env:NOT_SET\"", None, Some("api_secret")),
    ] {
        let Read { api, problems, printed } = read_for(account_id, keys);
        let told: Vec<&str> = problems.iter().map(|problem| problem.split(':').next().unwrap()).collect();
        assert_eq!(told, missing.into_iter().collect::<Vec<_>>(), "{account_id:?} {keys}");
        assert!(!printed.contains("an-invented-secret"));
        let given = api.as_ref().map(|api| match api.access() {
            Access::Basic { user, .. } => user.as_str(),
            other => panic!("{other:?}"),
        });
        assert_eq!(given, user, "{account_id:?} {keys}");
    }
}

#[test]
fn rows_are_asked_of_the_account_and_not_of_the_key() {
    let read = read_for(Some("abcd1234"), "api_key = \"efgh5678\"\napi_secret = \"env:A_SECRET\"");
    let told =
        converse(&*read.api.unwrap(), &Question::Rows(asked("voice-call")), |_| answer(200, &json!({"records": []})));
    assert_eq!(value(&told.requests[0], "account_id"), Some("abcd1234"));
}

#[test]
fn what_is_no_host_is_refused() {
    for url in ["http://api.example.com", "https://api.example.com/v2", "https://user@api.example.com", "api"] {
        let read = read_for(Some("abcd1234"), &format!("api_secret = \"env:A_SECRET\"\napi_url = \"{url}\""));
        assert_eq!(read.problems.len(), 1, "{url}");
        assert!(read.problems[0].starts_with("api_url: ") && read.api.is_none(), "{url}");
    }
    let api = api_with("api_url = \"http://127.0.0.1:9200\"");
    assert_eq!(api.bases()[0].1.as_str(), "http://127.0.0.1:9200/");
}

#[test]
fn rights_are_tried_with_the_list_of_reports_which_costs_nothing() {
    let api = api_with("");
    let question = Question::Check(asked("sms.outbound"));
    let told = converse(&*api, &question, |_| answer(200, &json!({"items_count": 0, "reports": []})));
    assert_eq!((told.ending, told.requests.len()), (Ending::Whole, 1));
    let request = &told.requests[0];
    assert_eq!((request.path.as_str(), value(request, "date_from")), ("/v2/reports", Some("2026-02-03T00:00:00Z")));
    assert_eq!(value(request, "status").unwrap().split(',').count(), 6);
}
