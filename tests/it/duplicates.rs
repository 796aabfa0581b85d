//! Copies of one event: answered, and published once.

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::webhook::{Webhook, simulated, status, with};
use crate::harness::{INBOUND, SOURCE, STATUS, TestApp, is, value_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_is_answered_and_not_published_again() {
    let app = TestApp::start().await;
    let webhook = Webhook::signed(&status());
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.records(STATUS).len(), 1);
    assert!(is(app.outcomes("accepted").await, 1.0) && is(app.outcomes("duplicate").await, 1.0));
    assert!(is(app.metric("trunkline_events_total", &[("source", SOURCE)]).await, 1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_signed_afresh_is_a_repetition() {
    let app = TestApp::start().await;
    for body in [status(), simulated("inbound-message")] {
        assert_eq!(app.post(&body).await.status, 200);
        assert_eq!(app.post(&body).await.status, 200);
    }
    assert_eq!((app.records(STATUS).len(), app.records(INBOUND).len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_come_at_the_same_moment_are_one_event() {
    let app = TestApp::start().await;
    let webhook = Webhook::signed(&status());
    let answers = join_all((0..50).map(|_| app.send(&webhook))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(app.records(STATUS).len(), 1);
    assert!(is(app.outcomes("accepted").await, 1.0) && is(app.outcomes("duplicate").await, 49.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_is_told_later_is_news_of_the_same_fact() {
    let app = TestApp::start().await;
    let body = status();
    let priced = with(body.clone(), &json!({"usage": {"currency": "EUR", "price": "0.0444"}}));
    assert_eq!(app.post(&body).await.status, 200);
    assert_eq!(app.post(&priced).await.status, 200);
    let records = app.records(STATUS);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].headers["ce_id"], records[1].headers["ce_id"]);
    assert_ne!(records[0].headers["ce_facthash"], records[1].headers["ce_facthash"]);
    assert_eq!(value_of(&records[1])["price"]["amount"], "0.0444");
    assert_eq!(app.post(&body).await.status, 200);
    assert_eq!(app.records(STATUS).len(), 2, "both are remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_amount_written_otherwise_is_no_news() {
    let app = TestApp::start().await;
    let body = status();
    for price in [json!("0.0333"), json!("0.03330"), json!(0.0333)] {
        let priced = with(body.clone(), &json!({"usage": {"currency": "EUR", "price": price}}));
        assert_eq!(app.post(&priced).await.status, 200);
    }
    assert_eq!(app.records(STATUS).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_status_of_the_same_message_is_another_event() {
    let app = TestApp::start().await;
    let body = status();
    for word in ["submitted", "delivered", "read"] {
        assert_eq!(app.post(&with(body.clone(), &json!({"status": word}))).await.status, 200);
    }
    let records = app.records(STATUS);
    let told: Vec<String> = records.iter().map(|record| value_of(record)["status"].as_str().unwrap().into()).collect();
    assert_eq!(told, ["sent", "delivered", "read"], "one key, and so one partition in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_window_every_copy_is_published() {
    let app = TestApp::start_with("dedup.window = 0").await;
    let webhook = Webhook::signed(&status());
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.send(&webhook).await.status, 200);
    let records = app.records(STATUS);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].headers["ce_id"], records[1].headers["ce_id"], "consumers can still tell");
    assert!(is(app.outcomes("accepted").await, 2.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_window_forgets_the_oldest_first() {
    let app = TestApp::start_with("dedup.window = 2").await;
    let bodies = [status(), status(), status()];
    for body in &bodies {
        assert_eq!(app.post(body).await.status, 200);
    }
    assert_eq!(app.post(&bodies[2]).await.status, 200);
    assert_eq!(app.post(&bodies[1]).await.status, 200);
    assert_eq!(app.records(STATUS).len(), 3, "the newest two are remembered");
    assert_eq!(app.post(&bodies[0]).await.status, 200);
    assert_eq!(app.records(STATUS).len(), 4, "the oldest is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_authentic_is_never_a_duplicate() {
    let app = TestApp::start().await;
    let webhook = Webhook::signed(&status());
    assert_eq!(app.send(&webhook).await.status, 200);
    assert_eq!(app.send(&webhook.without_header("authorization")).await.status, 401);
}
