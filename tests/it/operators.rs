//! The operators' server: health, readiness and metrics.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;
use trunkline::spool::SpoolError;

use crate::harness::webhook::{Webhook, status, with};
use crate::harness::{SOURCE, TestApp, is};

/// The samples of the metrics, each without its value.
async fn series(app: &TestApp) -> HashSet<String> {
    let text = app.metrics().await;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_are_told_in_json() {
    let app = TestApp::start().await;
    assert_eq!(app.admin_json("/healthz").await, (200, json!({"status": "alive"})));
    let spool = json!({
        "ready": true, "events": 0, "bytes": 0, "max_bytes": 1_073_741_824, "oldest_age_seconds": 0, "quarantined": 0
    });
    let kafka = json!({"ready": true, "brokers": 1});
    let expected = json!({"status": "ready", "stopping": false, "kafka": kafka, "spool": spool, "reconcilers": []});
    assert_eq!(app.admin_json("/readyz").await, (200, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promised_metric_is_there() {
    let app = TestApp::start().await;
    assert_eq!(app.post(&with(status(), &json!({"status": "a word of the future"}))).await.status, 200);
    assert_eq!(app.send(&Webhook::signed_bytes("not JSON")).await.status, 200);
    let response = app.admin("/metrics").await;
    assert_eq!(response.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = response.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"));
    for sample in [
        format!("trunkline_requests_total{{source=\"{SOURCE}\",outcome=\"accepted\"}} 1"),
        format!("trunkline_requests_total{{source=\"{SOURCE}\",outcome=\"not_understood\"}} 1"),
        format!("trunkline_requests_total{{source=\"{SOURCE}\",outcome=\"unauthenticated\"}} 0"),
        format!("trunkline_events_total{{source=\"{SOURCE}\",kind=\"message_status\",route=\"kafka\"}} 1"),
        format!("trunkline_dead_letters_total{{source=\"{SOURCE}\",reason=\"invalid_json\"}} 1"),
        "trunkline_unmapped_values_total{provider=\"vonage\",field=\"status\"} 1".to_owned(),
        format!("trunkline_secret_matches_total{{source=\"{SOURCE}\",index=\"0\"}} 2"),
        format!("trunkline_last_received_timestamp_seconds{{source=\"{SOURCE}\"}} "),
        "trunkline_request_duration_seconds_count 2".to_owned(),
        "trunkline_publish_duration_seconds_count 2".to_owned(),
        format!("trunkline_build_info{{version=\"{}\",commit=\"", env!("CARGO_PKG_VERSION")),
        "# TYPE trunkline_request_duration_seconds histogram".to_owned(),
        "# TYPE trunkline_publish_duration_seconds histogram".to_owned(),
    ] {
        assert!(text.lines().any(|line| line.starts_with(&sample)), "{sample:?} is in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_of_a_source_exist_before_its_first_request() {
    let app = TestApp::start().await;
    let text = app.metrics().await;
    for outcome in ["accepted", "duplicate", "unauthenticated", "not_understood", "too_large", "unavailable"] {
        let sample = format!("trunkline_requests_total{{source=\"{SOURCE}\",outcome=\"{outcome}\"}} 0");
        assert!(text.lines().any(|line| line == sample), "{sample:?} is in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_request_can_choose_makes_a_new_series() {
    let app = TestApp::start().await;
    let send = async |number: u32| {
        let unknown = Webhook::unsigned("{}").to(&format!("/webhooks/unknown-{number}"));
        assert_eq!(app.send(&unknown).await.status, 404);
        let token = Webhook::signed(&status()).to(&format!("/webhooks/vonage-eu/token-{number}"));
        assert_eq!(app.send(&token).await.status, 401);
        let word = with(status(), &json!({"status": format!("word {number}"), "channel": format!("channel {number}")}));
        assert_eq!(app.post(&word).await.status, 200);
        let letter = Webhook::signed_bytes(format!("{{\"member-{number}\": 1}}"));
        assert_eq!(app.send(&letter.header("user-agent", &format!("agent-{number}"))).await.status, 200);
    };
    send(0).await;
    let before = series(&app).await;
    for number in 1..=100 {
        send(number).await;
    }
    assert_eq!(series(&app).await, before);
    assert!(is(app.metric("trunkline_unknown_source_total", &[]).await, 101.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_tell_nothing_personal() {
    let app = TestApp::start().await;
    let body = status();
    assert_eq!(app.post(&body).await.status, 200);
    let text = app.metrics().await;
    for secret in ["447700900000", "AcmeInc", body["message_uuid"].as_str().unwrap(), "order-1", "abcd1234"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_serves_its_own_paths_alone() {
    let app = TestApp::start().await;
    for path in ["/healthz", "/readyz", "/metrics", "/", "/api/", "/-/reload"] {
        assert_eq!(app.send(&Webhook::unsigned("").by("GET").to(path)).await.status, 404, "{path}");
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let webhook = client.post(app.admin_url("/webhooks/vonage-eu")).body(status().to_string());
    assert_eq!(webhook.send().await.unwrap().status(), 404);
    assert_eq!(app.admin("/unknown").await.status(), 404);
    assert!(is(app.metric("trunkline_requests_total", &[]).await, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_can_not_make_the_service_do_anything() {
    let app = TestApp::start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let own = app.admin_url("");
    for path in ["/-/spool/verify", "/-/spool/drain"] {
        assert_eq!(app.admin(path).await.status(), 404, "{path} is no link or image");
        for (header, value, expected) in [
            ("origin", "https://elsewhere.example", 403),
            ("origin", "null", 403),
            ("origin", own.as_str(), 200),
            ("sec-fetch-site", "cross-site", 403),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("accept", "*/*", 200),
        ] {
            let answer = client.post(app.admin_url(path)).header(header, value).send().await.unwrap();
            assert_eq!(answer.status(), expected, "{path} {header}: {value}");
        }
    }
    assert_eq!(app.admin("/api/spool/verify").await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_has_died_is_told_and_ends_the_service() {
    let mut app = TestApp::start().await;
    let mut service = app.take_app();
    let publisher = Arc::clone(&service.ingest);
    let dies = move || publisher.publisher().look_into_spool(|_| -> Result<(), SpoolError> { panic!("on purpose") });
    assert!(tokio::task::spawn_blocking(dies).await.unwrap().is_none());
    assert!(service.ended().await.to_string().contains("spool"));
    for path in ["/healthz", "/readyz"] {
        let (status, body) = app.admin_json(path).await;
        assert_eq!((status, &body["ended"]), (503, &json!(["spool"])), "{path}");
    }
    assert_eq!(service.stop().await.unsaved, 0);
}
