//! What is not authentic, not known or not allowed, and what its sender learns: nothing.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use trunkline::event::time::Time;
use trunkline::provider::simulate::Credentials;

use crate::harness::answer::Answer;
use crate::harness::webhook::{Webhook, bearer, credentials, signed_s_ahead, status};
use crate::harness::{ACCOUNT, SECRET, SOURCE, STATUS, TestApp, is};

const TOKENS: &str = r#"
[[sources]]
name = "with-token"
provider = "vonage"
account_id = "abcd1234"
signature_secrets = ["env:VONAGE_SECRET"]
url_tokens = ["the-token-in-the-url"]
[[sources]]
name = "elsewhere-only"
provider = "vonage"
account_id = "abcd1234"
signature_secrets = ["env:VONAGE_SECRET"]
allowed_ips = ["203.0.113.0/24"]
"#;

/// A status with a token that holds any claims, signed with the right secret.
fn signed_with_claims(change: impl FnOnce(&mut serde_json::Value)) -> Webhook {
    let webhook = Webhook::unsigned(status().to_string());
    let mut claims = json!({
        "iat": Time::now().unix_seconds(),
        "jti": "3f1e6a0c",
        "iss": "Vonage",
        "payload_hash": hex::encode(Sha256::digest(&webhook.body)),
        "api_key": ACCOUNT,
    });
    change(&mut claims);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
    webhook.header("authorization", &format!("Bearer {token}"))
}

fn with_a_byte_changed() -> Webhook {
    let mut webhook = Webhook::signed(&status());
    let last = webhook.body.len() - 2;
    webhook.body[last] ^= 1;
    webhook
}

/// Everything that is wrong with authenticity, each in one way only.
fn unauthentic() -> Vec<(&'static str, Webhook)> {
    let body = || status().to_string();
    let good = Webhook::signed(&status());
    let token = bearer(&good);
    let (unsigned_part, _) = token.rsplit_once('.').unwrap();
    let none_header = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let payload = token.split('.').nth(1).unwrap();
    let of_other_account = Credentials { account_id: "zzzz9999".to_owned(), ..credentials() };
    let tampered = Credentials { tamper: true, ..credentials() };
    vec![
        ("no token", Webhook::unsigned(body())),
        ("no header at all", Webhook::unsigned(body()).without_header("content-type")),
        ("no body", Webhook::unsigned("")),
        ("wrong secret", Webhook::signed_by(&tampered, Time::now(), body())),
        ("wrong issuer", signed_with_claims(|claims| claims["iss"] = "Nexmo".into())),
        ("no issuer", signed_with_claims(|claims| drop(claims.as_object_mut().unwrap().shift_remove("iss")))),
        ("no account", signed_with_claims(|claims| drop(claims.as_object_mut().unwrap().shift_remove("api_key")))),
        ("no hash", signed_with_claims(|claims| drop(claims.as_object_mut().unwrap().shift_remove("payload_hash")))),
        ("expired", signed_with_claims(|claims| claims["exp"] = 1_700_000_000.into())),
        ("a time that is no number", signed_with_claims(|claims| claims["iat"] = "today".into())),
        ("stale", signed_s_ahead(-90_100)),
        ("changed body", with_a_byte_changed()),
        ("other body", Webhook::unsigned(body()).header("authorization", &format!("Bearer {token}"))),
        ("wrong account", Webhook::signed_by(&of_other_account, Time::now(), body())),
        ("signature cut off", good.clone().header("authorization", &format!("Bearer {unsigned_part}."))),
        ("algorithm none", good.clone().header("authorization", &format!("Bearer {none_header}.{payload}."))),
        ("nonsense", good.clone().header("authorization", "Bearer nonsense")),
        ("empty token", good.clone().header("authorization", "Bearer ")),
        ("another scheme", good.clone().header("authorization", "Basic dXNlcjpwYXNzd29yZA==")),
        ("a huge token", good.clone().header("authorization", &format!("Bearer {}", "a".repeat(20_000)))),
        ("token at a source without tokens", good.to("/webhooks/vonage-eu/the-token-in-the-url")),
        ("wrong token", Webhook::unsigned(body()).to("/webhooks/with-token/another-token-in-the-url")),
        ("signed, wrong token", Webhook::signed(&status()).to("/webhooks/with-token/another-token-in-the-url")),
        ("token of an unsigned source missing", Webhook::unsigned(body()).to("/webhooks/with-token/")),
        ("wrong signature, right token", with_a_byte_changed().to("/webhooks/with-token/the-token-in-the-url")),
        ("wrong address", Webhook::signed(&status()).to("/webhooks/elsewhere-only")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_not_authentic_gets_one_and_the_same_answer() {
    let app = TestApp::start_with(TOKENS).await;
    let mut first: Option<Answer> = None;
    let cases = unauthentic();
    for (case, webhook) in &cases {
        let answer = app.send(webhook).await.without_date();
        assert_eq!(answer.status, 401, "{case}");
        let expected = first.get_or_insert_with(|| answer.clone());
        assert_eq!(&answer, expected, "{case}");
    }
    assert_eq!(app.records(STATUS).len(), 0);
    let counted = app.metric("trunkline_requests_total", &[("outcome", "unauthenticated")]).await;
    let reasons = app.metric("trunkline_unauthenticated_total", &[]).await;
    let sent = u32::try_from(cases.len()).unwrap().into();
    assert!(is(counted, sent) && is(reasons, sent), "every one is counted: {counted} {reasons}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_claims_that_the_other_tests_change_are_accepted_as_they_are() {
    let app = TestApp::start().await;
    assert_eq!(app.send(&signed_with_claims(|_| {})).await.status, 200);
    assert_eq!(app.send(&signed_s_ahead(-89_000)).await.status, 200, "a retry of a day later");
    assert_eq!(app.send(&signed_s_ahead(200)).await.status, 200, "a clock ahead of ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_source_gets_the_same_404_as_any_unknown_path() {
    let app = TestApp::start().await;
    let mut first: Option<Answer> = None;
    for path in [
        "/webhooks/unknown-source",
        "/webhooks/unknown-source/with-a-token-behind",
        "/webhooks/VONAGE-EU",
        "/webhooks/vonage-eu%2F",
        "/webhooks/",
        "/webhooks//vonage-eu",
        "/webhooks",
        "/",
        "//webhooks/vonage-eu",
        "/metrics",
        "/readyz",
        "/healthz",
        "/-/reload",
        "/favicon.ico",
        "/webhooks/../webhooks-elsewhere",
    ] {
        for webhook in [Webhook::signed(&status()), Webhook::unsigned(""), Webhook::unsigned("").by("GET")] {
            let mut answer = app.send(&webhook.to(path)).await.without_date();
            // The connection is closed where a body was sent and not read.
            answer.headers.remove("connection");
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(&answer, first.get_or_insert_with(|| answer.clone()), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_the_provider_does_not_use_is_told_which_ones_it_may_use() {
    let app = TestApp::start().await;
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        let webhook = Webhook::signed(&status()).by(method);
        let answer = app.connect().ask_by(method, webhook.to_http());
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, GET")), "{method}");
    }
    assert!(is(app.outcomes("method_not_allowed").await, 7.0));
    assert_eq!(app.records(STATUS).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_tells_nothing_about_an_unknown_source() {
    let app = TestApp::start().await;
    for method in ["PUT", "DELETE", "OPTIONS", "HEAD"] {
        let webhook = Webhook::unsigned("").by(method).to("/webhooks/unknown-source");
        let answer = app.connect().ask_by(method, webhook.to_http());
        assert_eq!((answer.status, answer.header("allow")), (404, None), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_get_is_refused_like_an_unsigned_post() {
    let app = TestApp::start().await;
    let webhook = Webhook::unsigned("").by("GET").to("/webhooks/vonage-eu?status=delivered&message_uuid=1");
    assert_eq!(app.send(&webhook).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_authorization_headers_are_refused() {
    let app = TestApp::start().await;
    let mut webhook = Webhook::signed(&status());
    let value = format!("Bearer {}", bearer(&webhook));
    webhook.headers.push(("authorization".to_owned(), value));
    assert_eq!(app.send(&webhook).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_by_reason_for_the_operator_alone() {
    let app = TestApp::start().await;
    assert_eq!(app.send(&Webhook::unsigned("{}")).await.status, 401);
    assert_eq!(app.send(&with_a_byte_changed()).await.status, 401);
    for reason in ["missing", "body_mismatch"] {
        let labels = [("source", SOURCE), ("reason", reason)];
        assert!(is(app.metric("trunkline_unauthenticated_total", &labels).await, 1.0), "{reason}");
    }
}
