//! How far a request goes, in time, bytes and hosts.

use std::io::ErrorKind;

use super::*;

/// A host that must not be called.
struct Nobody(TcpListener);

impl Nobody {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self) -> Url {
        Url::parse(&format!("http://{}", self.0.local_addr().unwrap())).unwrap()
    }

    fn assert_not_called(&self) {
        assert_eq!(self.0.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

/// Far below what is usual, so that a test is soon over.
fn small() -> Bounds {
    Bounds {
        silence: Duration::from_millis(300),
        whole: Duration::from_millis(900),
        answer_bytes: 100_000,
        ..Bounds::default()
    }
}

/// Makes one request of a server that does with the connection what it likes.
async fn once(serve: impl FnOnce(TcpStream) + Send + 'static) -> Result<Answer, Trouble> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let server = run(move || {
        let mut stream = listener.accept().unwrap().0;
        read_request(&mut stream);
        serve(stream);
    });
    let client = Client::within(&ClientSettings::default(), small()).unwrap();
    let api = TestApi { access: basic(), bases: vec![("api", base)] };
    let answer = client.exchange(&api, &Request::get("api", "rows", "/v1/rows"), &"Basic x".into(), None).await;
    over(server).await;
    answer
}

/// Reads until the other side has gone.
fn until_gone(stream: &mut TcpStream) {
    let mut part = [0; 64];
    while stream.read(&mut part).is_ok_and(|count| count > 0) {}
}

fn timed_out() -> Trouble {
    Trouble::Failed { word: "timeout", was_sent: true }
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for() {
    assert_eq!(once(|mut stream| until_gone(&mut stream)).await.unwrap_err(), timed_out());
    let begun = |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n[1").unwrap();
        until_gone(&mut stream);
    };
    assert_eq!(once(begun).await.unwrap_err(), timed_out());
}

#[tokio::test]
async fn an_answer_that_drips_ends_with_its_time() {
    let drip = |mut stream: TcpStream| {
        let begun = Instant::now();
        stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 999999\r\n\r\n").unwrap();
        // Each byte is sent when the other side has had time to be silent, and before it would count as silence.
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        while begun.elapsed() < Duration::from_secs(60) && stream.write_all(b" ").is_ok() {
            if matches!(stream.read(&mut [0; 8]), Ok(0)) {
                return;
            }
        }
    };
    assert_eq!(once(drip).await.unwrap_err(), timed_out());
}

#[tokio::test]
async fn an_answer_is_counted_while_it_is_read_and_after_compression_is_undone() {
    let endless = |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n").unwrap();
        while stream.write_all(&[b' '; 4096]).is_ok() {}
    };
    assert_eq!(once(endless).await.unwrap_err(), Trouble::TooLarge);

    let of_spaces = |count: usize| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b' '; count]).unwrap();
        answer(200, "content-encoding: gzip\r\n", &encoder.finish().unwrap())
    };
    let (within, beyond) = (of_spaces(100_000), of_spaces(100_001));
    assert!(beyond.len() < 2000, "it is small on its way");
    assert_eq!(once(move |mut stream| stream.write_all(&within).unwrap()).await.unwrap().body.len(), 100_000);
    assert_eq!(once(move |mut stream| stream.write_all(&beyond).unwrap()).await.unwrap_err(), Trouble::TooLarge);
    let usual = Bounds::default();
    assert_eq!((usual.answer_bytes, usual.whole.as_secs()), (64 << 20, 120));
    assert_eq!((usual.silence.as_secs(), usual.file_silence.as_secs()), (30, 60));
}

#[tokio::test]
async fn what_is_too_large_is_asked_for_in_less_and_counted_as_what_it_is() {
    let large = answer(200, "", &[b' '; 100_001]);
    let mut setup = Setup::new(basic(), vec![large]);
    setup.bounds = small();
    let outcome = setup.ask(&rows_question()).await;
    assert_eq!(outcome.failed(), &Verdict::Narrower);
    assert!(outcome.metrics.contains(r#"outcome="too_large"} 1"#), "{}", outcome.metrics);
}

#[tokio::test]
async fn redirects_are_followed_at_the_same_host_and_three_times_at_most() {
    let moved = |location: &str| answer(302, &format!("location: {location}\r\n"), b"");
    let outcome = ask(vec![moved("/v2"), moved("/v3?x=1"), moved("/v4"), ok()]).await;
    assert_eq!(outcome.ended, whole());
    assert!(outcome.asked[2].starts_with("GET /v3?x=1 "), "{:?}", outcome.asked);
    assert!(outcome.asked[3].contains("authorization: Basic"), "it is the same host");

    let other = Nobody::new();
    let elsewhere = format!("{}v1/rows", other.url());
    for answers in [vec![moved("/v2"); 4], vec![moved(&elsewhere)], vec![moved("")], vec![answer(301, "", b"")]] {
        let asked = answers.len();
        let outcome = ask(answers).await;
        let is_circle = asked == 4;
        assert_eq!(outcome.failed().word(), "redirect_refused");
        assert!(is_circle || outcome.asked.len() == 1);
        assert!(outcome.metrics.contains(r#"outcome="redirect_refused"} 1"#), "{}", outcome.metrics);
        assert!(matches!(outcome.failed(), Verdict::Again { .. }), "the next reading asks again");
    }
    other.assert_not_called();
}

#[tokio::test]
async fn what_changes_something_follows_no_redirect() {
    let answers = vec![answer(307, "location: /v2\r\n", b"")];
    let outcome = ask_with(basic(), Arc::new(NoVault), check_question(), answers).await;
    assert_eq!((outcome.failed().word(), outcome.asked.len()), ("redirect_refused", 1));
}

#[tokio::test]
async fn a_token_is_asked_for_at_its_own_base_alone() {
    let other = Nobody::new();
    let moved = answer(302, &format!("location: {}token\r\n", other.url()), b"");
    let outcome = Setup::new(tokens::oauth(), vec![moved; 6]).ask(&rows_question()).await;
    assert!(matches!(outcome.failed(), Verdict::Again { .. }), "{:?}", outcome.ended);
    other.assert_not_called();
}

#[tokio::test]
async fn a_request_goes_to_the_host_to_which_the_provider_has_directed() {
    let base = Nobody::new();
    let region = Server::start(vec![ok()]);
    let api = TestApi { access: basic(), bases: vec![("api", base.url())] };
    let client = Client::new(&ClientSettings::default()).unwrap();
    let request = Request { elsewhere: Some(region.url()), ..Request::get("api", "rows", "/v1/rows") };
    let answer = client.exchange(&api, &request, &"Basic x".into(), None).await.unwrap();
    assert_eq!(answer.body, b"[1]");
    assert!(region.asked()[0].contains("authorization: Basic x"));
    base.assert_not_called();
}

#[tokio::test]
async fn a_base_that_the_api_does_not_have_is_nobodys() {
    let api = TestApi { access: basic(), bases: Vec::new() };
    let client = Client::new(&ClientSettings::default()).unwrap();
    let refused = client.exchange(&api, &Request::get("api", "rows", "/v1/rows"), &"Basic x".into(), None).await;
    assert_eq!(refused.unwrap_err().word(), "foreign_host");
}

#[tokio::test]
async fn a_proxy_is_asked_for_every_host() {
    let proxy = Server::start(vec![ok()]);
    let settings = ClientSettings { proxy: Some(proxy.url()), ..ClientSettings::default() };
    let base = Url::parse("http://api.example.com").unwrap();
    let api = TestApi { access: basic(), bases: vec![("api", base)] };
    let client = Client::new(&settings).unwrap();
    client.exchange(&api, &Request::get("api", "rows", "/v1/rows"), &"Basic x".into(), None).await.unwrap();
    assert!(proxy.asked()[0].starts_with("GET http://api.example.com/v1/rows HTTP/1.1"));
}

#[tokio::test]
async fn a_conversation_without_an_end_is_ended() {
    let mut setup = Setup::new(basic(), vec![ok(); 3]);
    setup.limits.requests = 3;
    let too_long = Ended::Said(Ending::Partial("too_long"));
    assert_eq!(setup.ask(&endless()).await.ended, too_long);
    let mut setup = Setup::new(basic(), Vec::new());
    setup.limits.duration = Duration::ZERO;
    assert_eq!(setup.ask(&endless()).await.ended, too_long);
    assert_eq!((LIMITS.requests, LIMITS.duration.as_secs()), (10_000, 21_600));
}
