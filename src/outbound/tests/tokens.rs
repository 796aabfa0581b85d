//! Tokens that are renewed.

use std::sync::mpsc::{Sender, channel};

use secrecy::{ExposeSecret as _, SecretString};

use super::super::access::{NotKept, NotRead, Tokens};
use super::*;
use crate::provider::api::OAuth;

pub(super) fn oauth() -> Access {
    Access::OAuth(OAuth {
        base: "api",
        path: "/v1/access_token",
        client_id: "client".to_owned(),
        client_secret: "the-secret".into(),
        refresh_token: Some("first-refresh".into()),
        default_lifetime: Duration::from_secs(600),
        spared: Duration::ZERO,
    })
}

fn given(number: u32) -> Vec<u8> {
    let body = format!(
        r#"{{"access_token":"access-{number}","expires_in":1209600,"refresh_token":"refresh-{number}","refresh_token_expires_in":7776000}}"#
    );
    answer(200, "", body.as_bytes())
}

/// Keeps tokens in memory, unless it is told not to.
#[derive(Default)]
struct MemoryVault {
    kept: Mutex<Option<Tokens>>,
    is_closed: bool,
    is_unreadable: bool,
    /// So often it fails to keep.
    failures: Mutex<u32>,
    /// Is told what is kept.
    told: Option<Sender<()>>,
}

impl MemoryVault {
    fn failing(times: u32) -> Self {
        Self { failures: Mutex::new(times), ..Self::default() }
    }
}

impl Vault for MemoryVault {
    fn load(&self) -> BoxFuture<'_, Result<Option<Tokens>, NotRead>> {
        let kept = if self.is_unreadable { Err(NotRead) } else { Ok(self.kept.lock().unwrap().clone()) };
        Box::pin(std::future::ready(kept))
    }

    fn keep(&self, tokens: Tokens) -> BoxFuture<'_, Result<(), NotKept>> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Box::pin(std::future::ready(Err(NotKept)));
        }
        *self.kept.lock().unwrap() = Some(tokens);
        self.told.iter().for_each(|told| told.send(()).unwrap());
        Box::pin(std::future::ready(Ok(())))
    }

    fn is_open(&self) -> bool {
        !self.is_closed
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
    MemoryVault { kept: Mutex::new(Some(tokens)), ..MemoryVault::default() }
}

fn refresh_of(vault: &MemoryVault) -> String {
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
    let told = outcome.metrics.lines().find(|line| line.starts_with("trunkline_api_token_expires_timestamp_seconds{"));
    let until_s: i64 = told.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!((until_s - Time::now().unix_seconds() - 7_776_000).abs() < 60, "{until_s}");
}

#[tokio::test]
async fn a_kept_token_is_used_until_half_of_its_life_is_over() {
    let (outcome, _) = ask_oauth(kept("refresh-9", 600_000, "first-refresh"), vec![ok()]).await;
    assert!(outcome.asked[0].contains("Bearer access-kept"));
    let (outcome, vault) = ask_oauth(kept("refresh-9", 610_000, "first-refresh"), vec![given(1), ok()]).await;
    assert!(outcome.asked[0].contains("refresh_token=refresh-9") && outcome.asked[1].contains("Bearer access-1"));
    assert_eq!(refresh_of(&vault), "refresh-1");
    let refused = answer(400, "", b"");
    let (outcome, _) = ask_oauth(kept("refresh-9", 610_000, "first-refresh"), vec![refused, ok()]).await;
    assert!(outcome.asked[1].contains("Bearer access-kept"), "it is not over yet");
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
    assert_eq!((outcome.failed().word(), outcome.asked.len()), ("unauthorized", 3));
    let (outcome, _) = ask_oauth(MemoryVault::default(), vec![given(1), refused(), given(1)]).await;
    assert_eq!((outcome.failed().word(), outcome.asked.len()), ("unauthorized", 3), "the same token comes again");
    let (outcome, _) = ask_oauth(MemoryVault::default(), vec![answer(400, "", b"{\"error\":\"invalid_grant\"}")]).await;
    let mend = format!("{:?}", outcome.failed());
    assert!(mend.contains("authorised anew") && !mend.contains("first-refresh") && !mend.contains("the-secret"));
}

#[tokio::test]
async fn a_token_that_can_not_be_had_for_a_moment_is_asked_for_again() {
    let throttled = answer(429, "retry-after: 7\r\n", b"");
    let answers = vec![answer(502, "", b""), answer(200, "", b"<html>"), throttled, given(1), ok()];
    let (outcome, _) = ask_oauth(MemoryVault::default(), answers).await;
    assert_eq!((&outcome.ended, outcome.waits_s.len(), outcome.waits_s[2]), (&whole(), 3, 7.0));
    for word in ["server_error", "not_understood", "throttled", "ok"] {
        let series = format!(r#"endpoint="token",outcome="{word}"}} 1"#);
        assert!(outcome.metrics.contains(&series), "{}", outcome.metrics);
    }
    let (outcome, _) = ask_oauth(MemoryVault::default(), vec![answer(500, "", b""); 6]).await;
    assert_eq!(outcome.failed(), &Verdict::Again { word: "server_error" });
    let (outcome, _) = ask_oauth(MemoryVault::default(), vec![answer(429, "retry-after: 901\r\n", b"")]).await;
    assert_eq!(outcome.ended, Ended::Throttled(Duration::from_secs(901)));
}

#[tokio::test]
async fn no_token_is_asked_for_while_none_can_be_kept() {
    let closed = |vault| MemoryVault { is_closed: true, ..vault };
    let (outcome, _) = ask_oauth(closed(MemoryVault::default()), Vec::new()).await;
    assert_eq!((outcome.failed(), outcome.asked.len()), (&Verdict::Again { word: "token_not_kept" }, 0));
    let unreadable = MemoryVault { is_unreadable: true, ..MemoryVault::default() };
    let (outcome, _) = ask_oauth(unreadable, Vec::new()).await;
    assert_eq!((outcome.failed(), outcome.asked.len()), (&Verdict::Again { word: "token_not_read" }, 0));
    let (outcome, _) = ask_oauth(closed(kept("refresh-9", 610_000, "first-refresh")), vec![ok()]).await;
    assert!(outcome.asked[0].contains("Bearer access-kept"), "it is due and not over yet");
}

#[tokio::test]
async fn a_token_that_could_not_be_kept_is_held_until_it_can_and_not_used_before() {
    let (outcome, vault) = ask_oauth(MemoryVault::failing(3), vec![given(1), ok()]).await;
    assert_eq!((&outcome.ended, outcome.waits_s.len()), (&whole(), 3), "it was asked for once");
    assert_eq!(refresh_of(&vault), "refresh-1");
    let (outcome, _) = ask_oauth(MemoryVault::failing(6), vec![given(1)]).await;
    assert_eq!(outcome.failed(), &Verdict::Again { word: "token_not_kept" });
}

/// Credentials of a source, and the server that gives its tokens.
fn authorisation(vault: Arc<dyn Vault>, base: Url) -> Authorisation {
    let api = Arc::new(TestApi { access: oauth(), bases: vec![("api", base)] });
    Authorisation::new(api, vault, Arc::new(Metrics::new().apis.of("s")))
}

#[tokio::test]
async fn one_renewal_serves_all_whose_token_was_not_accepted() {
    let server = Server::start(vec![given(1)]);
    let authorisation = authorisation(Arc::new(kept("refresh-9", 0, "first-refresh")), server.url());
    let client = Client::new(&ClientSettings::default()).unwrap();
    let refused = authorisation.header(&client, None).await.unwrap();
    assert_eq!(refused.expose_secret(), "Bearer access-kept");
    let two = [authorisation.header(&client, Some(&refused)), authorisation.header(&client, Some(&refused))];
    for header in futures_util::future::join_all(two).await {
        assert_eq!(header.unwrap().expose_secret(), "Bearer access-1");
    }
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn what_another_process_has_kept_is_used_where_the_own_refresh_token_is_void() {
    let refused = answer(400, "", b"{\"error\":\"invalid_grant\"}");
    let vault = Arc::new(kept("refresh-9", 0, "first-refresh"));
    let server = Server::start(vec![refused]);
    let shared: Arc<dyn Vault> = Arc::<MemoryVault>::clone(&vault);
    let authorisation = authorisation(shared, server.url());
    let client = Client::new(&ClientSettings::default()).unwrap();
    let own = authorisation.header(&client, None).await.unwrap();
    let other = vault.kept.lock().unwrap().clone().unwrap();
    let other = Tokens { access: "access-other".into(), refresh: Some("refresh-10".into()), ..other };
    *vault.kept.lock().unwrap() = Some(other);
    let header = authorisation.header(&client, Some(&own)).await.unwrap();
    assert_eq!(header.expose_secret(), "Bearer access-other");
    assert!(server.asked()[0].contains("refresh_token=refresh-9"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_kept_though_nobody_waits_for_it_any_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (asked, is_asked) = channel();
    let (go_on, may_go_on) = channel::<()>();
    let server = run(move || {
        let mut stream = listener.accept().unwrap().0;
        read_request(&mut stream);
        asked.send(()).unwrap();
        may_go_on.recv().unwrap();
        stream.write_all(&given(1)).unwrap();
    });
    let (told, is_kept) = channel();
    let vault = Arc::new(MemoryVault { told: Some(told), ..MemoryVault::default() });
    let shared: Arc<dyn Vault> = Arc::<MemoryVault>::clone(&vault);
    let authorisation = authorisation(shared, base);
    let asking = tokio::spawn(async move {
        let client = Client::new(&ClientSettings::default()).unwrap();
        authorisation.header(&client, None).await.map(drop)
    });
    is_asked.recv_timeout(Duration::from_secs(30)).unwrap();
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    is_kept.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(refresh_of(&vault), "refresh-1");
    server.join().unwrap();
}
