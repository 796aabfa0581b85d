//! Sources that accept requests without a signature, and addresses.

use serde_json::json;

use crate::harness::webhook::{Webhook, inbound, status, with};
use crate::harness::{DEAD_LETTER, INBOUND, STATUS, TestApp, is, schema, value_of};

const TOKEN: &str = "the-token-in-the-url";

const WITH_TOKENS: &str = r#"
[source]
url_tokens = ["an-older-token-in-the-url", "the-token-in-the-url"]
"#;

const OPEN: &str = r#"
[[sources]]
name = "open"
provider = "vonage"
account_id = "abcd1234"
verification = "none"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_request_is_accepted_at_the_url_with_the_token_alone() {
    let app = TestApp::start_with(WITH_TOKENS).await;
    let webhook = Webhook::unsigned(status().to_string());
    assert_eq!(app.send(&webhook).await.status, 401);
    assert_eq!(app.send(&webhook.to(&format!("/webhooks/vonage-eu/{TOKEN}"))).await.status, 200);
    let event = app.value(STATUS);
    schema::assert_valid(&event);
    assert_eq!((&event["ingest"]["verification"], &event["ingest"]["scheme"]), (&json!("token"), &json!("url-token")));
    assert_eq!(event["account_id"], "abcd1234");
    assert!(is(app.metric("trunkline_secret_matches_total", &[("index", "2")]).await, 1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_token_of_a_source_is_accepted_also_percent_encoded() {
    let app = TestApp::start_with(WITH_TOKENS).await;
    for token in ["an-older-token-in-the-url", "the%2Dtoken%2din-the-url"] {
        let webhook = Webhook::unsigned(inbound().to_string()).to(&format!("/webhooks/vonage-eu/{token}"));
        assert_eq!(app.send(&webhook).await.status, 200, "{token}");
    }
    assert_eq!(app.records(INBOUND).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_beside_a_right_token_counts_as_the_signature() {
    let app = TestApp::start_with(WITH_TOKENS).await;
    let webhook = Webhook::signed(&status()).to(&format!("/webhooks/vonage-eu/{TOKEN}"));
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.value(STATUS)["ingest"]["verification"], "signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_nowhere_in_what_is_published() {
    let app = TestApp::start_with(WITH_TOKENS).await;
    let path = format!("/webhooks/vonage-eu/{TOKEN}");
    assert_eq!(app.send(&Webhook::unsigned(status().to_string()).to(&path)).await.status, 200);
    assert_eq!(app.send(&Webhook::unsigned("not JSON").to(&path)).await.status, 200);
    let letter = app.record(DEAD_LETTER);
    assert_eq!(value_of(&letter)["request"]["path"], "/webhooks/vonage-eu/***");
    for record in [app.record(STATUS), letter] {
        let whole = format!("{} {:?} {}", record.key, record.headers, String::from_utf8_lossy(&record.value));
        assert!(!whole.contains(TOKEN), "{whole}");
    }
    assert!(!app.metrics().await.contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_checks_nothing_says_so_in_every_event() {
    let app = TestApp::start_with(OPEN).await;
    assert_eq!(app.send(&Webhook::unsigned(status().to_string()).to("/webhooks/open")).await.status, 200);
    let event = app.value(STATUS);
    schema::assert_valid(&event);
    assert_eq!((&event["ingest"]["verification"], &event["ingest"]["scheme"]), (&json!("none"), &json!("none")));
    assert_eq!(event["source_name"], "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_checks_nothing_accepts_a_wrong_signature_and_any_token() {
    let app = TestApp::start_with(OPEN).await;
    let wrong = Webhook::unsigned(status().to_string()).header("authorization", "Bearer nonsense");
    assert_eq!(app.send(&wrong.to("/webhooks/open")).await.status, 200);
    assert_eq!(app.send(&Webhook::unsigned(status().to_string()).to("/webhooks/open/any-token")).await.status, 200);
    assert_eq!(app.records(STATUS).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_peer_decides_over_allowed_addresses_unless_it_is_a_trusted_proxy() {
    let app = TestApp::start_with("source.allowed_ips = [\"203.0.113.0/24\"]").await;
    let forwarded = Webhook::signed(&status()).header("x-forwarded-for", "203.0.113.7");
    assert_eq!(app.send(&forwarded).await.status, 401, "nobody is believed who is not trusted");
    let app = TestApp::start_with("source.allowed_ips = [\"127.0.0.0/8\"]").await;
    assert_eq!(app.send(&forwarded).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_the_address_that_it_reports_decides() {
    let app = TestApp::start_with(
        "server.trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\nsource.allowed_ips = [\"203.0.113.0/24\"]",
    )
    .await;
    for (forwarded_for, expected) in [
        ("203.0.113.7", 200),
        ("198.51.100.1, 203.0.113.7, 10.1.2.3", 200),
        ("203.0.113.7, 198.51.100.1", 401),
        ("203.0.113.7, nonsense", 401),
        ("198.51.100.1", 401),
        ("10.1.2.3", 401),
    ] {
        let webhook = Webhook::signed(&status()).header("x-forwarded-for", forwarded_for);
        assert_eq!(app.send(&webhook).await.status, expected, "{forwarded_for}");
    }
    assert_eq!(app.post(&status()).await.status, 401, "a proxy that reports nobody is the sender itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_names_the_sender_that_a_trusted_proxy_reports() {
    let app = TestApp::start_with("server.trusted_proxies = [\"127.0.0.1\"]").await;
    let webhook = Webhook::signed_bytes("not JSON").header("x-forwarded-for", "203.0.113.7");
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.value(DEAD_LETTER)["request"]["remote_addr"], "203.0.113.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_told_apart_by_their_names_and_keep_their_own_secrets() {
    let app = TestApp::start_with(
        r#"
        [[sources]]
        name = "vonage-us"
        provider = "vonage"
        account_id = "abcd1234"
        signature_secrets = ["the signature secret of vonage-us"]
        "#,
    )
    .await;
    let webhook = Webhook::signed(&with(status(), &json!({"client_ref": "eu"})));
    assert_eq!(app.send(&webhook.clone().to("/webhooks/vonage-us")).await.status, 401);
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.value(STATUS)["source_name"], "vonage-eu");
}
