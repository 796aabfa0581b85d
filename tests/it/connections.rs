//! Connections: kept, shared by several requests, full, and given up by the sender.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::connection::Connection;
use crate::harness::program::Place;
use crate::harness::webhook::{Webhook, inbound, status, with};
use crate::harness::{DEAD_LETTER, DEADLINE, INBOUND, STATUS, TestApp, is, wait_until};

/// Asks again on a connection that may have been closed after the answer before.
fn ask_again(app: &TestApp, connection: &mut Connection, webhook: &Webhook) -> u16 {
    connection.write(webhook.to_http());
    match connection.is_closed() {
        true => app.connect().ask(webhook.to_http()).status,
        false => connection.answer().status,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_requests_share_a_connection_also_after_a_refusal() {
    let app = TestApp::start().await;
    let mut connection = app.connect();
    assert_eq!(connection.ask(Webhook::signed(&status()).to_http()).status, 200);
    assert_eq!(connection.ask(Webhook::unsigned("{}").to_http()).status, 401);
    assert_eq!(connection.ask(Webhook::signed(&status()).to_chunked_http(10)).status, 200);
    assert_eq!(connection.ask(Webhook::signed(&status()).gzipped().to_http()).status, 200);
    assert_eq!(app.records(STATUS).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let app = TestApp::start().await;
    let mut connection = app.connect();
    let requests = [Webhook::signed(&status()), Webhook::unsigned("{}"), Webhook::signed(&status())];
    connection.write(requests.iter().flat_map(Webhook::to_http).collect::<Vec<u8>>());
    let statuses: Vec<u16> = (0..3).map(|_| connection.answer().status).collect();
    assert_eq!(statuses, [200, 401, 200]);
    assert_eq!(app.records(STATUS).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_body_that_is_too_large_the_sender_can_go_on() {
    let app = TestApp::start_with("source.max_body_bytes = 10000").await;
    let mut connection = app.connect();
    assert_eq!(connection.ask(Webhook::signed_bytes(vec![b' '; 20_000]).to_http()).status, 413);
    assert_eq!(ask_again(&app, &mut connection, &Webhook::signed(&status())), 200);
}

/// A request hidden in the body of one that is answered before its body is read must not be obeyed:
/// whoever shares a proxy's connection could otherwise speak for others.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_not_read_is_never_taken_for_a_request() {
    let app = TestApp::start_with("source.max_body_bytes = 10000").await;
    let hidden = Webhook::signed(&status());
    let padding = Webhook::unsigned(vec![b'x'; 20_000]).to_http();
    for (path, method) in [("/webhooks/unknown", "POST"), ("/", "POST"), ("/webhooks/vonage-eu", "PUT")] {
        let mut connection = app.connect();
        let carrier = Webhook::unsigned(hidden.to_http()).to(path).by(method);
        let first = connection.ask(carrier.to_http());
        assert!([404, 405].contains(&first.status), "{method} {path}");
        assert_eq!(ask_again(&app, &mut connection, &Webhook::unsigned("{}")), 401, "{method} {path}");
        let mut carrier = Webhook::unsigned(padding.clone()).to(path).by(method);
        carrier.body.extend(hidden.to_http());
        assert!([404, 405].contains(&app.connect().ask(carrier.to_http()).status), "{method} {path}");
    }
    assert_eq!(app.records(STATUS).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lengths_that_contradict_each_other_are_refused() {
    let app = TestApp::start().await;
    let webhook = Webhook::signed(&status());
    let mut head = webhook.head();
    head.push_str("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(b"0\r\n\r\n");
    let mut connection = app.connect();
    let answer = connection.ask(bytes);
    assert!([400, 401].contains(&answer.status), "{answer:?}");
    assert_eq!(app.records(STATUS).len(), 0);
    assert_eq!(app.records(DEAD_LETTER).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_without_a_hint() {
    let app = TestApp::start().await;
    for bytes in ["\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "HELO trunkline\r\n\r\n", "POST  HTTP/9.9\r\n\r\n"] {
        let mut connection = app.connect();
        let answer = connection.ask(bytes);
        assert_eq!(answer.status, 400, "{bytes:?}");
    }
    assert_eq!(app.post(&status()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_leaves_before_its_body_is_complete_changes_nothing() {
    let app = TestApp::start().await;
    let mut bytes = Webhook::signed(&status()).to_http();
    bytes.truncate(bytes.len() - 10);
    let mut connection = app.connect();
    connection.write(bytes);
    drop(connection);
    let ended = async || app.outcomes("incomplete").await + app.outcomes("timed_out").await;
    wait_until("the request is given up", async || is(ended().await, 1.0)).await;
    assert_eq!(app.records(STATUS).len(), 0);
    assert!(is(app.metric("trunkline_in_flight_bytes", &[]).await, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_sender_left_before_the_answer_is_published() {
    let app = TestApp::start().await;
    app.broker.go_down().unwrap();
    let body = status();
    let webhook = Webhook::signed(&body);
    let mut connection = app.connect();
    connection.write(webhook.to_http());
    app.wait_for_unacknowledged(1.0).await;
    drop(connection);
    app.broker.come_up().unwrap();
    app.wait_for_unacknowledged(0.0).await;
    assert_eq!(app.value(STATUS)["message_id"], body["message_uuid"]);
    assert_eq!(app.send(&webhook).await.status, 200, "and its retry is a duplicate");
    assert_eq!(app.records(STATUS).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_for_bodies_is_bounded_and_given_back() {
    let app =
        TestApp::start_with("server.max_in_flight_bytes = 100000\nserver.trusted_proxies = [\"127.0.0.1\"]").await;
    let long = |bytes: usize| -> Value { with(inbound(), &json!({"text": "x".repeat(bytes)})) };
    let big = Webhook::signed(&long(90_000)).header("x-forwarded-for", "203.0.113.7").to_http();
    let (start, rest) = big.split_at(big.len() - 1000);
    let mut connection = app.connect();
    connection.write(start);
    wait_until("the big body is in memory", async || app.metric("trunkline_in_flight_bytes", &[]).await > 80_000.0)
        .await;
    let second = Webhook::signed(&long(50_000));
    let answer = app.connect().ask(second.to_http());
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert_eq!(app.post(&status()).await.status, 200, "what fits is taken");
    assert_eq!(connection.ask(rest).status, 200, "and so is what was there first");
    assert_eq!(app.send(&second).await.status, 200, "now there is room");
    assert!(is(app.outcomes("unavailable").await, 1.0));
    assert_eq!(app.records(INBOUND).len(), 2);
    assert!(is(app.metric("trunkline_in_flight_bytes", &[]).await, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_larger_than_the_whole_memory_for_bodies_is_taken_when_it_is_alone() {
    let app = TestApp::start_with("server.max_in_flight_bytes = 1000").await;
    let webhook = Webhook::signed(&with(inbound(), &json!({"text": "x".repeat(50_000)})));
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.send(&webhook.gzipped()).await.status, 200);
    assert_eq!(app.records(INBOUND).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_head_of_a_connection_has_its_deadline() {
    let app = TestApp::start_with("server.read_timeout_ms = 300").await;
    let mut connection = app.connect();
    assert_eq!(connection.ask(Webhook::signed(&status()).to_http()).status, 200);
    connection.write("POST /webhooks/vonage-eu HTTP/1.1\r\nhost: trunk");
    assert_eq!(connection.answer().status, 408);
    connection.assert_closed();
    let mut connection = app.connect();
    assert_eq!(connection.ask(Webhook::signed(&status()).to_http()).status, 200);
    let started = Instant::now();
    let mut writer = connection.clone();
    let trickle = std::thread::spawn(move || {
        writer.write("POST /webhooks/vonage-eu HTTP/1.1\r\nx: ");
        while started.elapsed() < Duration::from_secs(3) {
            writer.write("x");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(connection.answer().status, 408, "bytes that trickle win no time");
    trickle.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_that_nobody_reads_is_given_up() {
    let app = TestApp::start_with("server.read_timeout_ms = 300").await;
    let mut connection = app.connect();
    connection.write(format!("{}transfer-encoding: chunked\r\n\r\n", Webhook::unsigned("").to("/elsewhere").head()));
    assert_eq!(connection.answer().status, 404);
    let started = Instant::now();
    while !connection.is_broken(b"1\r\nx\r\n") {
        assert!(started.elapsed() < DEADLINE / 6, "the connection is closed in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Made for this test, and valid for nobody.
pub(crate) const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBpDCCAUugAwIBAgIUG0aNqLHieLJmDugNranOp3O0tmAwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdHJ1bmtsaW5lLnRlc3QwIBcNMjYxMTI4MDUyMzE1WhgPMjEy
NjExMDQwNTIzMTVaMBkxFzAVBgNVBAMMDnRydW5rbGluZS50ZXN0MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEUljrTKjy08GTy2fAtuNQm6MY0h1+ZpBI+i9xiiED
IdhZTsLsF3oEiQtKLqIjmdqmyCtjVWd/YZMAjEfV5M4n6qNvMG0wHQYDVR0OBBYE
FLdBwDfUrVQ1NE3czzKWsRohIGaNMB8GA1UdIwQYMBaAFLdBwDfUrVQ1NE3czzKW
sRohIGaNMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/
AAABMAoGCCqGSM49BAMCA0cAMEQCIG622j2HW3fCBzWXjGljRNwekrZpP73WWtUL
kMCWcLo+AiBCQTYolx6kxIPufT2brumjplaFEO9ITxMZiVxorAGyLw==
-----END CERTIFICATE-----
";

/// Its key, which guards nothing.
pub(crate) const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgaDdFDLI61WQIw3qS
o+170d9HGQ4sVBrkN9mD0SeBcSihRANCAARSWOtMqPLTwZPLZ8C241CboxjSHX5m
kEj6L3GKIQMh2FlOwuwXegSJC0ouoiOZ2qbIK2NVZ39hkwCMR9Xkzifq
-----END PRIVATE KEY-----
";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_could_speak_http_2_is_answered_in_http_1() {
    let place = Place::new();
    let (cert, key) = (place.file("tls.crt", CERTIFICATE), place.file("tls.key", KEY));
    let app = TestApp::start_with(&format!("[server.tls]\ncert = {cert:?}\nkey = {key:?}")).await;
    let client = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap();
    let webhook = Webhook::signed(&status());
    let url = app.webhook_url(&webhook.path).replace("http://", "https://");
    let mut request = client.post(url).body(webhook.body);
    for (name, value) in webhook.headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_11));
    assert_eq!(app.records(STATUS).len(), 1);
}
