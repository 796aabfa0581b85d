use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;
use secrecy::SecretString;
use url::Url;

use super::access::{NoVault, NotKept, Tokens};
use super::*;
use crate::provider::Sink;
use crate::provider::api::{Access, Asked, OAuth, Pace, Row, Talk};
use crate::telemetry::metrics::Metrics;

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
        Self { address, thread: std::thread::spawn(serve) }
    }

    fn url(&self) -> Url {
        Url::parse(&format!("http://{}", self.address)).unwrap()
    }

    /// What it was asked, once it has given all of its answers.
    fn asked(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
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

struct OneRequest(Verb);

impl Talk for OneRequest {
    fn next(&mut self, heard: Heard<'_>, found: &mut dyn Found) -> Say {
        match heard {
            Heard::Begin => {
                Say::Send(Request { verb: self.0, ..Request::get("api", "rows", "/v1/rows").with("a b", "c&d") })
            }
            Heard::Answer(answer) => {
                found.row(&answer.text());
                Say::Done(Ending::Whole)
            }
            Heard::Judged(verdict) => Say::Done(Ending::Failed(verdict.clone())),
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
        &[]
    }

    fn scheme(&self) -> &'static str {
        "test"
    }

    fn ask(&self, question: &Question) -> Box<dyn Talk> {
        Box::new(OneRequest(if matches!(question, Question::Check(_)) { Verb::Post } else { Verb::Get }))
    }

    fn judge(&self, _request: &Request, answer: &Answer) -> Verdict {
        match answer.status {
            200 if answer.json::<Vec<u64>>().is_none() => Verdict::NotUnderstood,
            200 => Verdict::Fine,
            401 => Verdict::Renew,
            403 => Verdict::Misconfigured { word: "forbidden", mend: "ask for the right".to_owned() },
            429 => Verdict::Throttled { otherwise: Duration::from_secs(5) },
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
        assert_eq!((fetched.path.as_str(), fetched.query.as_str()), ("/v1/rows", "a+b=c%26d"));
    }
}

fn basic() -> Access {
    Access::Basic { user: "user".to_owned(), password: "the-password".into() }
}

fn rows_question() -> Question {
    let at = Time::from_unix_seconds(0).unwrap();
    Question::Rows(Asked { stream: "rows", from: at, to: at, account: None, region: None })
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

async fn ask_with(access: Access, vault: Arc<dyn Vault>, question: Question, answers: Vec<Vec<u8>>) -> Outcome {
    let server = Server::start(answers);
    let api = Arc::new(TestApi { access, bases: vec![("api", server.url())] });
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&waits);
    let sleep: Sleep = Arc::new(move |duration| {
        noted.lock().unwrap().push(duration.as_secs_f64());
        Box::pin(std::future::ready(()))
    });
    let metrics = Metrics::new();
    let client = Client::new(&ClientSettings::default()).unwrap();
    let line = Line::new("s", api, client, vault, Arc::new(metrics.apis.of("s")), sleep);
    let mut rows = Rows::default();
    let ended = line.ask(&question, &mut rows).await;
    let waits_s = waits.lock().unwrap().clone();
    Outcome { ended, rows: rows.0, asked: server.asked(), waits_s, metrics: metrics.render() }
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
async fn a_server_in_trouble_is_asked_six_times() {
    let outcome = ask(vec![answer(503, "", b""); 6]).await;
    assert_eq!(outcome.failed(), &Verdict::Again { word: "server_error" });
    assert_eq!((outcome.asked.len(), outcome.waits_s.len()), (6, 5));
    let outcome = ask(vec![answer(500, "", b""), ok()]).await;
    assert_eq!(outcome.ended, whole());
}

#[tokio::test]
async fn what_changes_something_is_not_repeated_once_it_has_arrived() {
    let post = |answers| ask_with(basic(), Arc::new(NoVault), Question::Check(Time::now()), answers);
    let outcome = post(vec![answer(500, "", b"")]).await;
    assert_eq!((outcome.failed(), outcome.asked.len()), (&Verdict::Again { word: "server_error" }, 1));
    let outcome = post(vec![answer(503, "retry-after: 2\r\n", b""), answer(429, "", b""), ok()]).await;
    assert_eq!((outcome.ended, outcome.waits_s), (whole(), vec![2.0, 5.0]));
    let outcome = post(vec![Vec::new()]).await;
    assert_eq!(outcome.asked.len(), 1, "a connection that breaks may have carried it");
}

#[tokio::test]
async fn it_is_waited_as_long_as_the_provider_says_up_to_a_quarter_of_an_hour() {
    let outcome = ask(vec![answer(429, "retry-after: 900\r\n", b""), answer(429, "", b""), ok()]).await;
    assert_eq!((&outcome.ended, &outcome.waits_s), (&whole(), &vec![900.0, 5.0]));
    assert!(
        outcome.metrics.contains(r#"trunkline_api_throttled_seconds_total{source="s"} 905"#),
        "{}",
        outcome.metrics
    );
    let outcome = ask(vec![answer(429, "retry-after: 901\r\n", b"")]).await;
    assert_eq!(outcome.ended, Ended::Throttled(Duration::from_secs(901)));
    let outcome = ask(vec![answer(429, "retry-after: 0\r\n", b""); 21]).await;
    assert_eq!(outcome.failed(), &Verdict::Again { word: "throttled" });
}

#[tokio::test]
async fn nothing_is_repeated_that_the_operator_has_to_mend() {
    let outcome = ask(vec![answer(403, "", b"")]).await;
    assert_eq!(outcome.failed().word(), "forbidden");
    let outcome = ask(vec![answer(401, "", b"")]).await;
    assert_eq!(outcome.failed().word(), "unauthorized");
}

#[tokio::test]
async fn what_is_no_answer_is_asked_for_once_more_after_a_minute() {
    let outcome = ask(vec![answer(200, "", b"<html>"), ok()]).await;
    assert_eq!((outcome.ended, outcome.waits_s), (whole(), vec![60.0]));
    let outcome = ask(vec![answer(200, "", b"<html>"); 2]).await;
    assert_eq!(outcome.failed(), &Verdict::NotUnderstood);
}

#[tokio::test]
async fn redirects_are_followed_at_the_same_host_alone() {
    let moved = |location: &str| answer(302, &format!("location: {location}\r\n"), b"");
    let outcome = ask(vec![moved("/v2"), ok()]).await;
    assert_eq!(outcome.ended, whole());
    assert!(outcome.asked[1].starts_with("GET /v2 "), "{:?}", outcome.asked);
    let other = Server::start(vec![ok()]);
    let outcome = ask(vec![moved(&format!("{}v1/rows", other.url()))]).await;
    assert_eq!(outcome.failed().word(), "redirect_refused");
    assert!(!other.thread.is_finished(), "nobody has called it");
    drop(TcpStream::connect(other.address).map(|mut stream| stream.write_all(b"GET / HTTP/1.1\r\n\r\n")));
    let outcome = ask(vec![moved("/v2"); 4]).await;
    assert_eq!(outcome.failed().word(), "redirect_refused");
}

#[tokio::test]
async fn an_answer_without_bounds_is_cut_off() {
    let chunk = vec![b' '; 1024 * 1024];
    let mut endless = b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n".to_vec();
    (0..65).for_each(|_| endless.extend_from_slice(&chunk));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        stream.write_all(&endless).is_err()
    });
    let api = TestApi { access: basic(), bases: vec![("api", base)] };
    let client = Client::new(&ClientSettings::default()).unwrap();
    let request = Request::get("api", "rows", "/v1/rows");
    let refused = client.exchange(&api, &request, &"Basic x".into()).await;
    assert_eq!(refused.unwrap_err(), Trouble::TooLarge);
    drop(client);
    server.join().unwrap();
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_says_nothing_of_the_query() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let api = TestApi { access: basic(), bases: vec![("api", base)] };
    let client = Client::new(&ClientSettings::default()).unwrap();
    let trouble = client.exchange(&api, &Request::get("api", "rows", "/v1/rows"), &"Basic x".into()).await;
    assert_eq!(trouble.unwrap_err(), Trouble::Failed { word: "unreachable", was_sent: false });
}

fn oauth() -> Access {
    Access::OAuth(OAuth {
        base: "api",
        path: "/v1/access_token",
        client_id: "client".to_owned(),
        client_secret: "the-secret".into(),
        refresh_token: Some("first-refresh".into()),
        default_lifetime: Duration::from_secs(600),
    })
}

fn given(number: u32) -> Vec<u8> {
    let body = format!(
        r#"{{"access_token":"access-{number}","expires_in":1209600,"refresh_token":"refresh-{number}","refresh_token_expires_in":7776000}}"#
    );
    answer(200, "", body.as_bytes())
}

/// Keeps tokens in memory, as long as it can.
#[derive(Default)]
struct MemoryVault {
    kept: Mutex<Option<Tokens>>,
    is_full: bool,
}

impl Vault for MemoryVault {
    fn load(&self) -> BoxFuture<'_, Option<Tokens>> {
        Box::pin(std::future::ready(self.kept.lock().unwrap().clone()))
    }

    fn keep(&self, tokens: Tokens) -> BoxFuture<'_, Result<(), NotKept>> {
        let kept = if self.is_full { Err(NotKept) } else { Ok(()) };
        if kept.is_ok() {
            *self.kept.lock().unwrap() = Some(tokens);
        }
        Box::pin(std::future::ready(kept))
    }
}

fn kept(refresh: &str, age_s: i64, first: &str) -> MemoryVault {
    use sha2::Digest as _;
    let tokens = Tokens {
        access: "access-kept".into(),
        since: Time::now().plus_s(-age_s),
        until: Time::now().plus_s(1_209_600 - age_s),
        refresh: Some(SecretString::from(refresh)),
        refresh_until: None,
        seed: sha2::Sha256::digest(first).into(),
    };
    MemoryVault { kept: Mutex::new(Some(tokens)), is_full: false }
}

fn refresh_of(vault: &MemoryVault) -> String {
    use secrecy::ExposeSecret as _;
    let kept = vault.kept.lock().unwrap();
    kept.as_ref().unwrap().refresh.as_ref().unwrap().expose_secret().to_owned()
}

async fn ask_oauth(vault: MemoryVault, answers: Vec<Vec<u8>>) -> (Outcome, Arc<MemoryVault>) {
    let vault = Arc::new(vault);
    let kept: Arc<dyn Vault> = Arc::<MemoryVault>::clone(&vault);
    (ask_with(oauth(), kept, rows_question(), answers).await, vault)
}

#[tokio::test]
async fn the_first_token_is_asked_for_and_kept_before_it_is_used() {
    let (outcome, vault) = ask_oauth(MemoryVault::default(), vec![given(1), ok()]).await;
    assert_eq!((&outcome.ended, refresh_of(&vault).as_str()), (&whole(), "refresh-1"));
    assert!(
        outcome.asked[0].ends_with(
            "client_id=client&client_secret=the-secret&grant_type=refresh_token&refresh_token=first-refresh"
        )
    );
    assert!(outcome.asked[1].contains("authorization: Bearer access-1"));
    let (outcome, _) = ask_oauth(MemoryVault { is_full: true, ..MemoryVault::default() }, vec![given(1)]).await;
    assert_eq!(outcome.failed(), &Verdict::Again { word: "token_not_kept" });
}

#[tokio::test]
async fn a_kept_token_is_used_until_half_of_its_life_is_over() {
    let (outcome, _) = ask_oauth(kept("refresh-9", 600_000, "first-refresh"), vec![ok()]).await;
    assert!(outcome.asked[0].contains("Bearer access-kept"));
    let (outcome, vault) = ask_oauth(kept("refresh-9", 610_000, "first-refresh"), vec![given(1), ok()]).await;
    assert!(outcome.asked[0].contains("refresh_token=refresh-9") && outcome.asked[1].contains("Bearer access-1"));
    assert_eq!(refresh_of(&vault), "refresh-1");
    let (outcome, _) = ask_oauth(kept("refresh-9", 610_000, "first-refresh"), vec![answer(500, "", b""), ok()]).await;
    assert!(outcome.asked[1].contains("Bearer access-kept"), "it is not over yet");
    let (outcome, _) = ask_oauth(kept("refresh-9", 0, "another"), vec![given(1), ok()]).await;
    assert!(outcome.asked[0].contains("refresh_token=first-refresh"), "the operator has authorised anew");
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_renewed_once() {
    let refused = || answer(401, "", b"");
    let (outcome, _) = ask_oauth(kept("refresh-9", 0, "first-refresh"), vec![refused(), given(1), ok()]).await;
    assert_eq!(outcome.ended, whole());
    assert!(outcome.asked[2].contains("Bearer access-1"));
    let (outcome, _) = ask_oauth(kept("refresh-9", 0, "first-refresh"), vec![refused(), given(1), refused()]).await;
    assert_eq!(outcome.failed().word(), "unauthorized");
    let (outcome, _) = ask_oauth(MemoryVault::default(), vec![answer(400, "", b"{\"error\":\"invalid_grant\"}")]).await;
    let mend = format!("{:?}", outcome.failed());
    assert!(mend.contains("authorised anew") && !mend.contains("first-refresh") && !mend.contains("the-secret"));
}
