//! Bodies: how large, in which encoding, in which pieces and how fast.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::webhook::{Webhook, chunk_of, gzip, inbound, status, with};
use crate::harness::{DEADLINE, INBOUND, STATUS, TestApp, is};

const SMALL: &str = "source.max_body_bytes = 10000";
const IMPATIENT: &str = "server.read_timeout_ms = 300";

/// A valid body of at least this size.
fn large(bytes: usize) -> serde_json::Value {
    with(inbound(), &json!({"text": "long ".repeat(bytes / 5 + 1)}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_announces_too_much_is_refused_before_it_is_sent() {
    let app = TestApp::start_with(SMALL).await;
    let mut connection = app.connect();
    let head = format!("{}content-length: 1000000000\r\n\r\n", Webhook::signed(&status()).head());
    let answer = connection.ask(head);
    assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
    connection.finish();
    connection.assert_closed();
    assert!(is(app.outcomes("too_large").await, 1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_is_refused_as_soon_as_it_is_too_large() {
    let app = TestApp::start_with(SMALL).await;
    let mut connection = app.connect();
    connection.write(format!("{}transfer-encoding: chunked\r\n\r\n", Webhook::signed(&status()).head()));
    for _ in 0..11 {
        connection.write(chunk_of(&[b' '; 1000]));
    }
    let answer = connection.answer();
    assert_eq!(answer.status, 413, "the last chunk was never sent");
    assert!(is(app.metric("trunkline_in_flight_bytes", &[]).await, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_is_refused() {
    let app = TestApp::start_with(SMALL).await;
    let bomb = vec![b' '; 5_000_000];
    let webhook = Webhook::signed_bytes(bomb).gzipped();
    assert!(webhook.body.len() < 10_000, "it looks harmless");
    assert_eq!(app.send(&webhook).await.status, 413);
    assert!(is(app.metric("trunkline_in_flight_bytes", &[]).await, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_itself_is_allowed_and_one_byte_more_is_not() {
    let app = TestApp::start_with(SMALL).await;
    let body = status().to_string();
    for (bytes, expected) in [(10_000, 200), (10_001, 413)] {
        let padded = format!("{body}{}", " ".repeat(bytes - body.len()));
        assert_eq!(app.send(&Webhook::signed_bytes(padded.clone())).await.status, expected, "{bytes}");
        assert_eq!(app.send(&Webhook::signed_bytes(padded).gzipped()).await.status, expected, "{bytes} after gzip");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_limit_is_ten_mebibytes() {
    let app = TestApp::start().await;
    let spaces = |bytes: usize| Webhook::signed_bytes(vec![b' '; bytes]);
    assert_eq!(app.send(&spaces(10 << 20)).await.status, 200, "it becomes a dead letter");
    assert_eq!(app.connect().ask(spaces((10 << 20) + 1).to_http()).status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_is_undone_before_the_signature_is_checked() {
    let app = TestApp::start().await;
    assert_eq!(app.send(&Webhook::signed(&status()).gzipped()).await.status, 200);
    let other_name = Webhook::signed(&status()).gzipped().header("content-encoding", "X-GZIP");
    assert_eq!(app.send(&other_name).await.status, 200);
    assert_eq!(app.records(STATUS).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_over_compressed_bytes_is_none() {
    let app = TestApp::start().await;
    let webhook = Webhook::signed_bytes(gzip(status().to_string().as_bytes())).header("content-encoding", "gzip");
    assert_eq!(app.send(&webhook).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_gzip_and_is_none_is_authentic_if_it_was_signed_as_it_came() {
    let app = TestApp::start().await;
    let plain = Webhook::signed(&status()).header("content-encoding", "gzip");
    assert_eq!(app.send(&plain).await.status, 200);
    let mut cut = Webhook::signed(&status()).gzipped();
    cut.body.truncate(cut.body.len() - 5);
    assert_eq!(app.send(&cut).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_is_accepted_whatever_its_pieces() {
    let app = TestApp::start().await;
    for chunk_bytes in [1, 7, 100, 10_000] {
        let webhook = Webhook::signed(&status());
        assert_eq!(app.connect().ask(webhook.to_chunked_http(chunk_bytes)).status, 200, "{chunk_bytes}");
        let gzipped = Webhook::signed(&status()).gzipped();
        assert_eq!(app.connect().ask(gzipped.to_chunked_http(chunk_bytes)).status, 200, "{chunk_bytes}");
    }
    assert_eq!(app.records(STATUS).len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_is_judged_by_its_signature_alone() {
    let app = TestApp::start().await;
    let signed = Webhook::signed_bytes("");
    assert_eq!(app.connect().ask(signed.to_chunked_http(1)).status, 200, "authentic, and a dead letter");
    assert_eq!(app.connect().ask(signed.to_http()).status, 200);
    assert_eq!(app.connect().ask(Webhook::unsigned("").to_chunked_http(1)).status, 401);
    assert!(is(app.outcomes("not_understood").await, 2.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_pieces_become_one_body() {
    let app = TestApp::start().await;
    let webhook = Webhook::signed(&large(500_000));
    assert_eq!(app.connect().ask(webhook.to_chunked_http(1021)).status, 200);
    assert_eq!(app.records(INBOUND).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_told_so_and_the_connection_closed() {
    let app = TestApp::start_with(IMPATIENT).await;
    let webhook = Webhook::signed(&status());
    let started = Instant::now();
    let mut connection = app.connect();
    connection.write(format!("{}content-length: {}\r\n\r\n{{", webhook.head(), webhook.body.len()));
    let answer = connection.answer();
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert!(started.elapsed() < DEADLINE / 4);
    connection.finish();
    connection.assert_closed();
    assert!(is(app.outcomes("timed_out").await, 1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_does_not_win_time() {
    let app = TestApp::start_with(IMPATIENT).await;
    let mut connection = app.connect();
    connection.write(format!("{}transfer-encoding: chunked\r\n\r\n", Webhook::signed(&status()).head()));
    let trickle = std::thread::scope(|scope| {
        let started = Instant::now();
        let mut writer = connection.clone();
        scope.spawn(move || {
            while started.elapsed() < Duration::from_secs(2) {
                writer.write(chunk_of(b" "));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        connection.answer()
    });
    assert_eq!(trickle.status, 408);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_that_keeps_coming_is_never_too_slow() {
    let app = TestApp::start_with(IMPATIENT).await;
    let webhook = Webhook::signed(&large(20_000));
    let mut connection = app.connect();
    connection.write(format!("{}content-length: {}\r\n\r\n", webhook.head(), webhook.body.len()));
    let started = Instant::now();
    let pause = Duration::from_millis(50);
    for (piece, at) in webhook.body.chunks(1000).zip(1..) {
        connection.write(piece);
        std::thread::sleep((started + pause * at).saturating_duration_since(Instant::now()));
    }
    assert_eq!(connection.answer().status, 200, "after {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_given_up() {
    let app = TestApp::start_with(IMPATIENT).await;
    let started = Instant::now();
    let mut connection = app.connect();
    connection.write("POST /webhooks/vonage-eu HTTP/1.1\r\nhost: trunk");
    assert_eq!(connection.answer().status, 408);
    assert!(started.elapsed() < DEADLINE / 4);
    connection.assert_closed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_is_closed() {
    let app = TestApp::start_with(IMPATIENT).await;
    let mut connection = app.connect();
    if !connection.is_closed() {
        assert_eq!(connection.answer().status, 408);
        connection.assert_closed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_media_type_never_refuses_an_authentic_request() {
    let app = TestApp::start().await;
    let types = ["text/plain", "application/x-www-form-urlencoded", "nonsense", "multipart/form-data; boundary=x", ""];
    for media_type in types {
        let webhook = Webhook::signed(&status()).header("content-type", media_type);
        assert_eq!(app.send(&webhook).await.status, 200, "{media_type:?}");
    }
    assert_eq!(app.send(&Webhook::signed(&status()).without_header("content-type")).await.status, 200);
    assert_eq!(app.records(STATUS).len(), types.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_content_encoding_leaves_the_bytes_as_they_came() {
    let app = TestApp::start().await;
    for encoding in ["identity", "br", "nonsense"] {
        let webhook = Webhook::signed(&status()).header("content-encoding", encoding);
        assert_eq!(app.send(&webhook).await.status, 200, "{encoding}");
    }
    assert_eq!(app.records(STATUS).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_waits_to_be_asked_for_its_body_is_asked() {
    let app = TestApp::start().await;
    let webhook = Webhook::signed(&status()).header("expect", "100-continue");
    let mut connection = app.connect();
    connection.write(format!("{}content-length: {}\r\n\r\n", webhook.head(), webhook.body.len()));
    assert_eq!(connection.head().0, 100);
    assert_eq!(connection.ask(&webhook.body).status, 200);
    assert_eq!(app.records(STATUS).len(), 1);
}
