use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;
use url::Url;

use super::access::NoVault;
use super::exchange::Bounds;
use super::*;
use crate::provider::Sink;
use crate::provider::api::{Access, Asked, Pace, Row, Talk};
use crate::telemetry::metrics::Metrics;

mod bounds;
mod files;
mod read_files;
mod repeating;
mod tls;
mod tokens;

/// A server that gives prepared answers, one for each connection, and keeps what it was asked.
struct Server {
    address: SocketAddr,
    thread: JoinHandle<Vec<String>>,
}

impl Server {
    fn start(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move || answers.iter().map(|answer| serve(&listener, answer)).collect();
        Self { address, thread: run(serve) }
    }

    fn url(&self) -> Url {
        Url::parse(&format!("http://{}", self.address)).unwrap()
    }

    /// What it was asked, once it has given all of its answers.
    fn asked(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

/// Runs a server.
fn run<T: Send + 'static>(server: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(server)
}

/// What a server's thread ends with. A connection is closed by a task, which has to run meanwhile.
async fn over<T: Send + 'static>(server: JoinHandle<T>) -> T {
    tokio::task::spawn_blocking(|| server.join().unwrap()).await.unwrap()
}

fn serve(listener: &TcpListener, answer: &[u8]) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let asked = read_request(&mut stream);
    stream.write_all(answer).unwrap();
    asked
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).unwrap();
        read.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&read).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        if count == 0 || body.len() >= length.unwrap_or(0) {
            return String::from_utf8(read).unwrap();
        }
    }
}

fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn ok() -> Vec<u8> {
    answer(200, "", b"[1]")
}

#[derive(Debug)]
struct TestApi {
    access: Access,
    bases: Vec<(&'static str, Url)>,
}

fn forbidden() -> Verdict {
    Verdict::Misconfigured { word: "forbidden", mend: "ask for the right".to_owned() }
}

/// Has never enough.
struct Endless;

impl Talk for Endless {
    fn next(&mut self, _heard: Heard<'_>, _found: &mut dyn Found) -> Say {
        Say::Send(Request::get("api", "rows", "/v1/rows").with("a b", "c&d"))
    }
}

/// Takes `[0]` for a page that was there before.
struct OneRequest(Verb);

impl Talk for OneRequest {
    fn next(&mut self, heard: Heard<'_>, found: &mut dyn Found) -> Say {
        match heard {
            Heard::Begin => {
                Say::Send(Request { verb: self.0, ..Request::get("api", "rows", "/v1/rows").with("a b", "c&d") })
            }
            Heard::Answer(answer) if answer.body == b"[0]" => Say::Done(Ending::Partial("page_repeats")),
            Heard::Answer(answer) => {
                found.row(&answer.text());
                Say::Done(Ending::Whole)
            }
            Heard::Judged(verdict) => Say::Done(Ending::Failed(verdict.clone())),
            other => panic!("{other:?}"),
        }
    }
}

impl Api for TestApi {
    fn access(&self) -> &Access {
        &self.access
    }

    fn bases(&self) -> &[(&'static str, Url)] {
        &self.bases
    }

    fn paces(&self) -> &'static [Pace] {
        const FILES: Pace = Pace { class: "files", requests: 1, per: Duration::from_secs(1), at_once: 1 };
        &[FILES]
    }

    fn scheme(&self) -> &'static str {
        "test"
    }

    fn ask(&self, question: &Question) -> Box<dyn Talk> {
        match question {
            Question::Counts(_) => Box::new(Endless),
            Question::Rows(asked) if asked.stream == "files" => Box::new(read_files::OneFile),
            Question::Rows(_) => Box::new(OneRequest(Verb::Get)),
            Question::Check(_) => Box::new(OneRequest(Verb::Post)),
        }
    }

    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        match answer.status {
            200 if request.class != "files" && answer.json::<Vec<serde_json::Value>>().is_none() => {
                Verdict::NotUnderstood
            }
            200 => Verdict::Fine,
            401 => Verdict::Renew,
            403 => forbidden(),
            400 => Verdict::Later { word: "clock", wait: Duration::from_secs(60), tries: 3 },
            423 | 429 => Verdict::Throttled { otherwise: Duration::from_secs(5) },
            _ => Verdict::Again { word: "server_error" },
        }
    }

    fn map<'r>(&self, _row: &Row<'r>, _out: &mut dyn Sink<'r>) {}

    fn placed_at(&self, _row: &Row<'_>) -> Option<Time> {
        None
    }
}

#[derive(Default)]
struct Rows(Vec<String>);

impl Found for Rows {
    fn count(&mut self, _account: &str, _rows: u64) {}

    fn row(&mut self, json: &str) {
        self.0.push(json.to_owned());
    }
}

impl Findings for Rows {
    fn fetched(&mut self, fetched: &Arc<Fetched>) {
        let asked = (fetched.path.as_str(), fetched.query.as_str());
        assert!([("/v1/rows", "a+b=c%26d"), ("/v1/file", "")].contains(&asked), "{asked:?}");
    }

    fn work_file(&mut self) -> io::Result<WorkFile> {
        Ok(WorkFile { file: tempfile::tempfile()?, max_bytes: 4096 })
    }
}

fn basic() -> Access {
    Access::Basic { user: "user".to_owned(), password: "the-password".into() }
}

fn asked() -> Asked {
    let at = Time::from_unix_seconds(0).unwrap();
    Asked { stream: "rows", from: at, to: at, account: None, region: None }
}

fn check_question() -> Question {
    let at = Time::from_unix_seconds(0).unwrap();
    Question::Check(Asked { stream: "rows", from: at, to: at, account: None, region: None })
}

fn rows_question() -> Question {
    Question::Rows(asked())
}

fn endless() -> Question {
    Question::Counts(asked())
}

/// What became of asking.
struct Outcome {
    ended: Ended,
    rows: Vec<String>,
    asked: Vec<String>,
    waits_s: Vec<f64>,
    metrics: String,
}

impl Outcome {
    fn failed(&self) -> &Verdict {
        match &self.ended {
            Ended::Said(Ending::Failed(verdict)) => verdict,
            other => panic!("{other:?}"),
        }
    }
}

/// A source whose provider gives prepared answers, and for which no time passes while it waits.
struct Setup {
    access: Access,
    vault: Arc<dyn Vault>,
    answers: Vec<Vec<u8>>,
    bounds: Bounds,
    limits: Limits,
}

impl Setup {
    fn new(access: Access, answers: Vec<Vec<u8>>) -> Self {
        Self { access, vault: Arc::new(NoVault), answers, bounds: Bounds::default(), limits: LIMITS }
    }

    async fn ask(self, question: &Question) -> Outcome {
        self.with(async |line, rows| line.ask(question, rows).await).await
    }

    /// Does something with the line, and tells what was seen meanwhile.
    async fn with(self, does: impl AsyncFnOnce(&Line, &mut Rows) -> Ended) -> Outcome {
        let server = Server::start(self.answers);
        let api = Arc::new(TestApi { access: self.access, bases: vec![("api", server.url())] });
        let waits = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&waits);
        let sleep: Sleep = Arc::new(move |duration| {
            noted.lock().unwrap().push(duration.as_secs_f64());
            Box::pin(std::future::ready(()))
        });
        let metrics = Metrics::new();
        let client = Client::within(&ClientSettings::default(), self.bounds).unwrap();
        let mut line = Line::new("s", api, client, self.vault, Arc::new(metrics.apis.of("s")), sleep);
        line.limits = self.limits;
        let mut rows = Rows::default();
        let ended = does(&line, &mut rows).await;
        let waits_s = waits.lock().unwrap().clone();
        Outcome { ended, rows: rows.0, asked: server.asked(), waits_s, metrics: metrics.render() }
    }
}

async fn ask_with(access: Access, vault: Arc<dyn Vault>, question: Question, answers: Vec<Vec<u8>>) -> Outcome {
    Setup { vault, ..Setup::new(access, answers) }.ask(&question).await
}

async fn ask(answers: Vec<Vec<u8>>) -> Outcome {
    ask_with(basic(), Arc::new(NoVault), rows_question(), answers).await
}

fn whole() -> Ended {
    Ended::Said(Ending::Whole)
}

#[tokio::test]
async fn a_request_carries_its_credentials_and_its_rows_are_handed_over() {
    let outcome = ask(vec![ok()]).await;
    assert_eq!((&outcome.ended, outcome.rows.as_slice()), (&whole(), ["[1]".to_owned()].as_slice()));
    let asked = outcome.asked[0].to_lowercase();
    assert!(asked.starts_with("get /v1/rows?a+b=c%26d http/1.1"), "{asked}");
    assert!(asked.contains("authorization: basic dxnlcjp0agutcgfzc3dvcmq="), "{asked}");
    assert!(asked.contains("user-agent: trunkline/") && asked.contains("accept-encoding: gzip"), "{asked}");
    assert!(outcome.metrics.contains(r#"trunkline_api_requests_total{source="s",endpoint="rows",outcome="ok"} 1"#));
}

#[tokio::test]
async fn compressed_answers_are_read_and_broken_ones_asked_for_again() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"[2]").unwrap();
    let compressed = encoder.finish().unwrap();
    let gzip = |body: &[u8]| answer(200, "content-encoding: gzip\r\n", body);
    let cut = b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 50\r\n\r\n[1".to_vec();
    let outcome = ask(vec![gzip(&compressed[..compressed.len() - 9]), cut, gzip(&compressed)]).await;
    assert_eq!((outcome.ended, outcome.rows), (whole(), vec!["[2]".to_owned()]));
    assert_eq!(outcome.waits_s.len(), 2);
    assert!(outcome.metrics.contains(r#"outcome="truncated"} 2"#), "{}", outcome.metrics);
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_says_nothing_of_the_query() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let api = TestApi { access: basic(), bases: vec![("api", base)] };
    let client = Client::new(&ClientSettings::default()).unwrap();
    let trouble = client.exchange(&api, &Request::get("api", "rows", "/v1/rows"), &"Basic x".into(), None).await;
    assert_eq!(trouble.unwrap_err(), Trouble::Failed { word: "unreachable", was_sent: false });
}

#[tokio::test]
async fn each_answer_is_counted_by_what_came_of_it() {
    for (body, word) in [(&b"[1]"[..], "ok"), (b"[0]", "page_repeats"), (b"[\"\xff\"]", "lossy")] {
        let outcome = ask(vec![answer(200, "", body)]).await;
        let series =
            |word: &str| format!(r#"trunkline_api_requests_total{{source="s",endpoint="rows",outcome="{word}"}} 1"#);
        assert!(outcome.metrics.contains(&series(word)), "{word}: {}", outcome.metrics);
        assert_eq!(outcome.metrics.matches(r#"endpoint="rows""#).count(), 1, "{}", outcome.metrics);
    }
}

#[tokio::test]
async fn every_outcome_of_a_paced_class_is_there_from_the_start() {
    let metrics = ask(vec![ok()]).await.metrics;
    for word in ["ok", "unauthorized", "throttled", "server_error", "tls", "not_understood", "page_repeats"] {
        let series = format!(r#"trunkline_api_requests_total{{source="s",endpoint="files",outcome="{word}"}} 0"#);
        assert!(metrics.contains(&series), "{series}\n{metrics}");
    }
}

#[tokio::test]
async fn the_clock_and_the_quota_of_the_provider_are_told() {
    let date = jiff::Timestamp::from_second(Time::now().unix_seconds() + 600).unwrap();
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
    let outcome = ask(vec![answer(200, &format!("date: {date}\r\nX-RateLimit-Remaining: 41\r\n"), b"[1]")]).await;
    let told = |name: &str| -> i64 {
        let line = outcome.metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(told("trunkline_api_quota_remaining{"), 41);
    assert!((595..=605).contains(&told("trunkline_api_clock_skew_seconds{")), "{}", outcome.metrics);
}
