//! Stopping: what is in flight finishes, what is idle does not hold it up.

use std::time::Instant;

use trunkline::publish::Left;

use crate::harness::webhook::{Webhook, status};
use crate::harness::{DEADLINE, STATUS, TestApp};

const NOTHING_LEFT: Left = Left { unsaved: 0, spooled: 0, quarantined: 0 };

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_finished_before_the_service_ends() {
    let mut app = TestApp::start_with("server.shutdown_timeout_ms = 30000").await;
    app.broker.go_down().unwrap();
    let mut connection = app.connect();
    connection.write(Webhook::signed(&status()).to_http());
    app.wait_for_unacknowledged(1.0).await;
    let stopping = tokio::spawn(app.take_app().stop());
    app.wait_for_readiness(false).await;
    app.broker.come_up().unwrap();
    assert_eq!(connection.answer().status, 200);
    drop(connection);
    assert_eq!(stopping.await.unwrap(), NOTHING_LEFT);
    assert_eq!(app.records(STATUS).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_takes_no_connections() {
    let mut app = TestApp::start().await;
    let url = app.webhook_url("/webhooks/vonage-eu");
    assert_eq!(app.post(&status()).await.status, 200);
    assert_eq!(app.stop().await, NOTHING_LEFT);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(client.post(url).send().await.unwrap_err().is_connect());
    assert_eq!(app.records(STATUS).len(), 1, "what was acknowledged stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_hold_up_the_end_for_longer_than_configured() {
    let mut app = TestApp::start_with("server.shutdown_timeout_ms = 2000").await;
    let mut connections: Vec<_> = (0..3).map(|_| app.connect()).collect();
    for connection in &mut connections {
        assert_eq!(connection.ask(Webhook::signed(&status()).to_http()).status, 200);
    }
    let started = Instant::now();
    assert_eq!(app.stop().await, NOTHING_LEFT);
    println!("with idle connections the service took {:?} to stop", started.elapsed());
    assert!(started.elapsed() < DEADLINE / 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_kafka_ends_too_and_tells_what_is_left() {
    let settings = "server.shutdown_timeout_ms = 1000\nkafka.ack_timeout_ms = 100";
    for (policy, status_code, spooled) in [("strict", 503, 0), ("spool", 200, 1)] {
        let mut app = TestApp::start_with(&format!("{settings}\nsource.on_kafka_down = \"{policy}\"")).await;
        app.broker.go_down().unwrap();
        assert_eq!(app.post(&status()).await.status, status_code);
        let started = Instant::now();
        assert_eq!(app.stop().await, Left { spooled, ..NOTHING_LEFT }, "{policy}: its request was told");
        assert!(started.elapsed() < DEADLINE / 4);
    }
}
