//! Answers of the providers' APIs: any of them make numbers, rows and an end, and lead to no other host.

use std::sync::LazyLock;

use serde_json::value::RawValue;
use trunkline::config::{self, Environment, Source};
use trunkline::event::envelope::{Ingest, Mode, Reception};
use trunkline::event::privacy::Privacy;
use trunkline::event::time::Time;
use trunkline::provider::Normalized;
use trunkline::provider::api::{Answer, Api, Asked, Found, Heard, Question, Request, Row, Say, StreamInfo, Verdict};

/// Stands between two answers.
const SEPARATOR: &str = "\n===\n";

/// No conversation needs so many requests once the answers tell of nothing more.
const REQUESTS_AT_MOST: usize = 300;

static ASKING: LazyLock<Source> = LazyLock::new(|| {
    let text = "[reconcile]\nstate_keys = [\"env:SECRET\"]\n[[sources]]\nname = \"webex\"\nprovider = \"webex\"\n\
                signature_secrets = [\"env:SECRET\"]\nclient_id = \"C\"\nclient_secret = \"env:SECRET\"\n\
                refresh_token = \"env:SECRET\"\n";
    let environment = Environment::from([("SECRET".to_owned(), "a-secret-that-no-fuzzer-finds".to_owned())]);
    config::load_text("fuzz", text, &environment).expect("the configuration holds").settings.sources.remove(0)
});

/// Keeps rows.
#[derive(Default)]
struct Rows(Vec<String>);

impl Found for Rows {
    fn count(&mut self, account: &str, _rows: u64) {
        assert!(!account.trim().is_empty(), "a number belongs to an account");
    }

    fn row(&mut self, json: &str) {
        serde_json::from_str::<&RawValue>(json).expect("a row is JSON");
        self.0.push(json.to_owned());
    }
}

/// Plays the answers to a question. The first byte picks the question, and each answer is a line with its status, lines
/// with its headers, an empty line and the body.
pub fn hear(data: &[u8]) {
    let Some((pick, rest)) = data.split_first() else { return };
    let source = &*ASKING;
    let api = source.api.as_deref().expect("the source has credentials");
    let streams = source.info.streams;
    let stream = &streams[usize::from(pick >> 2) % streams.len()];
    let mut rows = Rows::default();
    converse(api, &question(*pick, stream), answers(rest), &mut rows);
    rows.0.iter().for_each(|row| map(source, stream, row));
}

fn question(pick: u8, stream: &StreamInfo) -> Question {
    let to = Time::from_unix_seconds(1_770_120_000).expect("a time");
    let asked =
        Asked { stream: stream.name, from: to.plus_s(-3600), to, account: Some("org".to_owned()), region: None };
    match pick & 3 {
        0 => Question::Counts(asked),
        1 => Question::Check(asked),
        _ => Question::Rows(asked),
    }
}

fn converse(api: &dyn Api, question: &Question, mut answers: impl Iterator<Item = Answer>, rows: &mut Rows) {
    let mut talk = api.ask(question);
    let mut say = talk.next(Heard::Begin, rows);
    for _ in 0..REQUESTS_AT_MOST {
        let request = match say {
            Say::Done(_) => return,
            Say::Send(request) => request,
        };
        check_place(api, &request);
        let nothing = || Answer { status: 200, headers: Vec::new(), body: b"{\"items\":[]}".to_vec() };
        let answer = answers.next().unwrap_or_else(nothing);
        say = match api.judge(&request, &answer) {
            Verdict::Fine | Verdict::Empty => talk.next(Heard::Answer(&answer), rows),
            verdict => talk.next(Heard::Judged(&verdict), rows),
        };
    }
    panic!("a conversation does not end");
}

/// Nobody but the provider is given the token, whatever an answer says.
fn check_place(api: &dyn Api, request: &Request) {
    assert!(api.bases().iter().any(|(base, _)| *base == request.base) && request.path.starts_with('/'));
    if let Some(url) = &request.elsewhere {
        let host = format!(".{}", url.host_str().unwrap_or_default());
        assert!(url.scheme() == "https" && host.ends_with(".webexapis.com"), "{url} would get the token");
    }
}

fn answers(data: &[u8]) -> impl Iterator<Item = Answer> {
    let text = SEPARATOR.as_bytes();
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let all = rest.take()?;
        let end = all.windows(text.len()).position(|window| window == text);
        rest = end.map(|end| &all[end + text.len()..]);
        Some(answer(&all[..end.unwrap_or(all.len())]))
    })
}

fn answer(data: &[u8]) -> Answer {
    let end = data.windows(2).position(|window| window == b"\n\n");
    let (head, body) = end.map_or((data, &[][..]), |end| (&data[..end], &data[end + 2..]));
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(200);
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned())).collect();
    Answer { status, headers, body: body.to_vec() }
}

fn map(source: &Source, stream: &StreamInfo, text: &str) {
    let api = source.api.as_deref().expect("the source has credentials");
    let row = Row { stream: stream.name, text, account_id: None };
    let (mut normalized, at) = (Normalized::default(), Time::from_unix_seconds(1_770_120_866).expect("a time"));
    api.map(&row, &mut normalized);
    (api.placed_at(&row), api.user_of(&row));
    let ingest = Ingest { via: "poll", verification: "api", scheme: api.scheme(), raw_id: String::new() };
    let origin = Reception { provider: source.info.name, source_name: &source.name, received_at: at, ingest: &ingest };
    for event in normalized.events {
        let record = event.into_record(&origin, &Privacy::default(), Mode::Binary).expect("an event is JSON");
        api.held_at(&record.value);
        assert_eq!(api.user_told(&record.value), None, "no webhook has told it");
    }
}
