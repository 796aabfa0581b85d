//! The API as a whole: its keys, and the conversation that the other tests lead.

use serde_json::{Value, json};

use super::*;
use crate::provider::api::{Ending, FileFault, Found, Heard, Say};
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

pub(super) fn time(text: &str) -> Time {
    Time::parse_iso(text).unwrap()
}

/// Half a day of a stream.
pub(super) fn asked(stream: &'static str) -> Asked {
    asked_for(stream, "2026-02-03T00:00:00Z", "2026-02-03T12:00:00Z")
}

pub(super) fn asked_for(stream: &'static str, from: &str, to: &str) -> Asked {
    Asked { stream, from: time(from), to: time(to), account: None, region: None }
}

pub(super) fn answer(status: u16, body: &Value) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

/// The value of a pair of a request's query.
pub(super) fn value<'q>(request: &'q Request, name: &str) -> Option<&'q str> {
    request.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What a conversation has told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) rows: Vec<String>,
    pub(super) requests: Vec<Request>,
    /// Seconds.
    pub(super) waits: Vec<u64>,
    pub(super) ending: Ending,
}

#[derive(Default)]
struct Kept(Vec<String>);

impl Found for Kept {
    fn count(&mut self, _account: &str, _rows: u64) {}

    fn row(&mut self, json: &str) {
        self.0.push(json.to_owned());
    }
}

/// A file with so many rows, or with a fault.
pub(super) fn file(read: Result<u64, FileFault>) -> Answer {
    let body = match read {
        Ok(rows) => rows.to_string(),
        Err(fault) => fault.word().to_owned(),
    };
    Answer { status: 200, headers: Vec::new(), body: body.into_bytes() }
}

fn read_file(answer: &Answer, kept: &mut Kept) -> Result<u64, FileFault> {
    let text = answer.text();
    let faults = [FileFault::Broken, FileFault::ColumnsMissing, FileFault::NotWritten];
    if let Some(fault) = faults.into_iter().find(|fault| fault.word() == text) {
        return Err(fault);
    }
    let rows = text.parse().unwrap();
    (0..rows).for_each(|number| kept.row(&format!("{{\"id\":{number}}}")));
    Ok(rows)
}

/// Leads a conversation to its end.
pub(super) fn converse(api: &dyn Api, question: &Question, mut reply: impl FnMut(&Request) -> Answer) -> Told {
    let (mut talk, mut kept, mut requests, mut waits) = (api.ask(question), Kept::default(), Vec::new(), Vec::new());
    let mut say = talk.next(Heard::Begin, &mut kept);
    loop {
        assert!(requests.len() < 1000 && waits.len() < 1000, "it does not end");
        let (request, is_file) = match say {
            Say::Done(ending) => return Told { rows: kept.0, requests, waits, ending },
            Say::Wait(wait) => {
                waits.push(wait.as_secs());
                say = talk.next(Heard::Waited, &mut kept);
                continue;
            }
            Say::Send(request) => (request, false),
            Say::Fetch(download) => (download.request, true),
        };
        assert!(request.elsewhere.is_none(), "credentials go to the configured host alone");
        requests.push(request.clone());
        let given = reply(&request);
        say = match api.judge(&request, &given) {
            Verdict::Fine | Verdict::Empty if is_file => {
                let read = read_file(&given, &mut kept);
                talk.next(Heard::File(read), &mut kept)
            }
            Verdict::Fine | Verdict::Empty => talk.next(Heard::Answer(&given), &mut kept),
            other => talk.next(Heard::Judged(&other), &mut kept),
        };
    }
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
