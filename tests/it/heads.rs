//! What a head alone decides, and how much of the memory for bodies one sender may take.

use serde_json::json;
use trunkline::event::time::Time;
use trunkline::provider::simulate::Credentials;

use crate::harness::connection::Connection;
use crate::harness::webhook::{Webhook, chunk_of, credentials, inbound, signed_s_ahead, status, with};
use crate::harness::{INBOUND, STATUS, TestApp, is, wait_until};

const SOURCES: &str = r#"
[source]
url_tokens = ["the-token-in-the-url"]
[[sources]]
name = "elsewhere-only"
provider = "vonage"
account_id = "abcd1234"
signature_secrets = ["env:VONAGE_SECRET"]
allowed_ips = ["203.0.113.0/24"]
[[sources]]
name = "webex"
provider = "webex"
signature_secrets = ["env:VONAGE_SECRET"]
[[sources]]
name = "telphin"
provider = "telphin"
account_id = "999"
url_tokens = ["the-token-in-the-url"]
"#;

/// Requests that no body could make authentic.
fn refused_by_their_heads() -> Vec<(&'static str, Webhook)> {
    let body = || status().to_string();
    let of_other_account = Credentials { account_id: "zzzz9999".to_owned(), ..credentials() };
    let tampered = Credentials { tamper: true, ..credentials() };
    vec![
        ("address", Webhook::signed(&status()).to("/webhooks/elsewhere-only")),
        ("wrong token", Webhook::unsigned(body()).to("/webhooks/vonage-eu/another-token-in-the-url")),
        ("signed, wrong token", Webhook::signed(&status()).to("/webhooks/vonage-eu/another-token-in-the-url")),
        ("no JWT", Webhook::unsigned(body()).header("authorization", "Bearer nonsense")),
        ("wrong secret", Webhook::signed_by(&tampered, Time::now(), body())),
        ("other account", Webhook::signed_by(&of_other_account, Time::now(), body())),
        ("too old", signed_s_ahead(-90_100)),
        ("no HMAC", Webhook::unsigned("{}").to("/webhooks/webex")),
        ("an HMAC that is none", Webhook::unsigned("{}").to("/webhooks/webex").header("x-spark-signature", "zz")),
        ("telphin without token", Webhook::unsigned("{}").to("/webhooks/telphin")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_head_decides_is_answered_before_the_body_is_sent() {
    let app = TestApp::start_with(SOURCES).await;
    for (case, webhook) in refused_by_their_heads() {
        for length in ["content-length: 1000000", "transfer-encoding: chunked"] {
            let mut connection = app.connect();
            let answer = connection.ask(format!("{}{length}\r\n\r\n", webhook.head()));
            assert_eq!(answer.status, 401, "{case}, {length}");
            connection.finish();
            connection.assert_closed();
        }
    }
    assert!(is(app.metric("trunkline_in_flight_bytes", &[]).await, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_hold_its_signature_itself_is_read_a_little_way() {
    let app = TestApp::start_with("server.max_in_flight_bytes = 100000").await;
    let head = Webhook::unsigned("").head();
    let mut connection = app.connect();
    assert_eq!(connection.ask(format!("{head}content-length: 65537\r\n\r\n")).status, 401, "before the body is sent");
    let mut connection = app.connect();
    connection.write(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes());
    for _ in 0..5 {
        connection.write(chunk_of(&[b'x'; 16_384]));
    }
    assert_eq!(connection.answer().status, 401, "while more is still to come");
    assert!(is(app.metric("trunkline_in_flight_bytes", &[]).await, 0.0));
    let unsigned = Webhook::unsigned(status().to_string());
    assert_eq!(app.send(&unsigned).await.status, 401);
    assert_eq!(app.send(&Webhook::unsigned(vec![b' '; 5_000_000]).gzipped()).await.status, 401, "nor is it inflated");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_uploads_that_can_not_be_authentic_take_no_memory_from_others() {
    let app = TestApp::start_with(&format!("server.max_in_flight_bytes = 100000\n{SOURCES}")).await;
    let excluded = Webhook::signed_bytes(vec![b' '; 90_000]).to("/webhooks/elsewhere-only").to_http();
    let mut uploads: Vec<Connection> = (0..3).map(|_| app.connect()).collect();
    for upload in &mut uploads {
        upload.write(&excluded[..excluded.len() - 1000]);
        assert_eq!(upload.answer().status, 401, "while its body is still to come");
    }
    assert_eq!(app.post(&with(inbound(), &json!({"text": "x".repeat(40_000)}))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_head_refuses_is_not_inflated() {
    let app = TestApp::start_with("source.max_body_bytes = 10000").await;
    let bomb = Webhook::unsigned(vec![b' '; 5_000_000]).gzipped();
    assert_eq!(app.send(&bomb).await.status, 401, "it is never known how large it is");
}

/// A connection that has sent all but the end of a signed body, as if from some address.
fn upload(app: &TestApp, from: &str, bytes: usize) -> Connection {
    let webhook = Webhook::signed_bytes(vec![b' '; bytes]).header("x-forwarded-for", from).to_http();
    let mut connection = app.connect();
    connection.write(&webhook[..webhook.len() - 10]);
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sender_leaves_room_for_others() {
    let app =
        TestApp::start_with("server.max_in_flight_bytes = 1000000\nserver.trusted_proxies = [\"127.0.0.1\"]").await;
    // Sixteen addresses of one IPv6 network are one sender.
    let greedy: Vec<Connection> = (0..16).map(|n| upload(&app, &format!("2001:db8:0:1::{n:x}"), 100_000)).collect();
    let refused = async || app.outcomes("unavailable").await;
    let held = async || app.metric("trunkline_in_flight_bytes", &[]).await;
    wait_until("the sender has what it gets", async || refused().await > 0.0 && held().await > 300_000.0).await;
    let genuine = Webhook::signed(&with(inbound(), &json!({"text": "x".repeat(100_000)})));
    for from in ["203.0.113.7", "2001:db8:0:2::1"] {
        assert_eq!(app.send(&genuine.clone().header("x-forwarded-for", from)).await.status, 200, "{from}");
    }
    assert_eq!(app.records(INBOUND).len(), 1, "the second was a copy");
    drop(greedy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_from_the_future_tells_that_our_clock_is_behind() {
    let app = TestApp::start().await;
    let answer = app.send(&signed_s_ahead(400)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "a provider repeats it");
    assert_eq!(app.send(&signed_s_ahead(-90_100)).await.status, 401, "too old stays refused");
    let tampered = Credentials { tamper: true, ..credentials() };
    let time = Time::from_unix_seconds(Time::now().unix_seconds() + 400).unwrap();
    assert_eq!(app.send(&Webhook::signed_by(&tampered, time, "{}")).await.status, 401, "nobody else is told");
    assert!(is(app.outcomes("clock_ahead").await, 1.0));
    assert_eq!(app.records(STATUS).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captured_token_of_a_post_vouches_for_no_get() {
    let app = TestApp::start().await;
    let captured = Webhook::signed(&status());
    for path in ["/webhooks/vonage-eu?status=delivered&message_uuid=1", "/webhooks/vonage-eu"] {
        let mut forged = captured.clone().by("GET").to(path);
        forged.body.clear();
        assert_eq!(app.send(&forged).await.status, 401, "{path}");
    }
}
