//! Kafka goes away, and the spool takes its place: answered 200, kept on disk, published in order later.

use std::collections::HashMap;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use futures_util::future::join_all;
use rdkafka::error::RDKafkaErrorCode;
use serde_json::{Value, json};
use trunkline::publish::Left;
use trunkline::spool::{Options, Store};

use crate::harness::webhook::{Webhook, inbound, status, with};
use crate::harness::{DEAD_LETTER, DEADLINE, INBOUND, STATUS, TestApp, is, value_of, wait_until};

/// A source that spools, and gives Kafka little time.
const SPOOLING: &str = "kafka.ack_timeout_ms = 100\nsource.on_kafka_down = \"spool\"";

const SPOOLED: &str = "trunkline_spool_events";

impl TestApp {
    async fn spool_state(&self) -> Value {
        self.admin_json("/readyz").await.1["spool"].clone()
    }

    async fn wait_until_drained(&self) {
        wait_until("the spool is empty", async || self.spool_state().await["events"] == json!(0)).await;
        self.wait_for_unacknowledged(0.0).await;
    }

    async fn events_by(&self, route: &str) -> f64 {
        self.metric("trunkline_events_total", &[("route", route)]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_answered_200_and_published_after_it() {
    let app = TestApp::start_with(SPOOLING).await;
    app.broker.go_down().unwrap();
    for _ in 0..20 {
        assert_eq!(app.post(&inbound()).await.status, 200);
    }
    assert_eq!(app.send(&Webhook::signed_bytes("not JSON")).await.status, 200, "a dead letter is no less an event");
    app.wait_for_metric(SPOOLED, &[], 21.0).await;
    assert!(is(app.events_by("spool").await, 20.0));
    let (code, state) = app.admin_json("/readyz").await;
    assert_eq!((code, &state["spool"]["events"]), (200, &json!(21)), "events can be made durable");
    assert!(app.metric("trunkline_spool_bytes", &[]).await > 1000.0);
    app.broker.come_up().unwrap();
    app.wait_until_drained().await;
    assert_eq!((app.records(INBOUND).len(), app.records(DEAD_LETTER).len()), (20, 1));
    let drained = app.metric("trunkline_spool_drained_total", &[]).await;
    let late = app.metric("trunkline_spool_late_acknowledgements_total", &[]).await;
    assert!(is(drained + late, 21.0), "{drained} drained, {late} late");
    assert_eq!(app.post(&inbound()).await.status, 200);
    assert!(is(app.events_by("kafka").await, 1.0), "Kafka takes the next one itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_a_lane_is_open_nobody_waits_for_kafka() {
    let slow = "kafka.ack_timeout_ms = 2000\nsource.on_kafka_down = \"spool\"";
    let app = TestApp::start_with(slow).await;
    app.broker.go_down().unwrap();
    let body = inbound();
    assert_eq!(app.post(&body).await.status, 200);
    let started = Instant::now();
    for index in 0..20 {
        let next = with(body.clone(), &json!({"message_uuid": format!("aaaaaaaa-bbbb-cccc-dddd-{index:012}")}));
        assert_eq!(app.post(&next).await.status, 200);
    }
    // Other keys have other lanes, of which each waits once; three lanes are far less than twenty waits.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_spool_survives_a_stop_and_is_published_by_the_next_run() {
    let mut app = TestApp::start_with(SPOOLING).await;
    app.broker.go_down().unwrap();
    let webhooks: Vec<Webhook> = (0..10).map(|_| Webhook::signed(&inbound())).collect();
    for webhook in &webhooks {
        assert_eq!(app.send(webhook).await.status, 200);
    }
    assert_eq!(app.stop().await, Left { unsaved: 0, spooled: 10, quarantined: 0 });
    app.start_again(SPOOLING);
    assert_eq!(app.spool_state().await["events"], json!(10));
    for webhook in &webhooks {
        assert_eq!(app.send(webhook).await.status, 200, "the provider's retry");
    }
    assert!(is(app.outcomes("duplicate").await, 10.0), "the window knows what is in the spool");
    app.broker.come_up().unwrap();
    app.wait_until_drained().await;
    assert_eq!(app.records(INBOUND).len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_what_was_answered_before_a_restart_is_a_duplicate() {
    for envelope in ["binary", "structured"] {
        let mut app = TestApp::start_with(&format!("kafka.envelope = \"{envelope}\"")).await;
        let webhooks: Vec<Webhook> = (0..5).map(|_| Webhook::signed(&status())).collect();
        for webhook in &webhooks {
            assert_eq!(app.send(webhook).await.status, 200);
        }
        app.stop().await;
        app.start_again(&format!("kafka.envelope = \"{envelope}\""));
        app.wait_for_metric("trunkline_dedup_warm", &[], 1.0).await;
        assert!(is(app.metric("trunkline_dedup_warmed_events", &[]).await, 5.0));
        for webhook in &webhooks {
            assert_eq!(app.send(webhook).await.status, 200);
        }
        assert!(is(app.outcomes("duplicate").await, 5.0));
        assert_eq!(app.records(STATUS).len(), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_comes_late_removes_the_copy() {
    let app = TestApp::start_with(SPOOLING).await;
    app.broker.go_down().unwrap();
    assert_eq!(app.post(&status()).await.status, 200);
    app.wait_for_metric(SPOOLED, &[], 1.0).await;
    app.broker.come_up().unwrap();
    app.wait_until_drained().await;
    assert!(is(app.metric("trunkline_spool_late_acknowledgements_total", &[]).await, 1.0));
    assert_eq!(app.records(STATUS).len(), 1, "it is in the topic once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_way_to_kafka_is_waited_out_in_the_spool() {
    for code in [RDKafkaErrorCode::TopicAuthorizationFailed, RDKafkaErrorCode::OutOfOrderSequenceNumber] {
        let app = TestApp::start_with(SPOOLING).await;
        app.broker.fail_produce(code, 3).unwrap();
        let bodies: Vec<Value> = (0..10).map(|_| status()).collect();
        for body in &bodies {
            assert_eq!(app.post(body).await.status, 200, "{code}");
        }
        app.wait_until_drained().await;
        let ids: HashMap<String, usize> = app.records(STATUS).iter().fold(HashMap::new(), |mut ids, record| {
            *ids.entry(record.headers["ce_id"].clone()).or_default() += 1;
            ids
        });
        assert_eq!(ids.len(), 10, "{code}: nothing is lost, nothing under two ids");
        assert_eq!(app.records(DEAD_LETTER).len(), 0, "{code}: no event is at fault");
        println!("{code}: replaced {}", app.metric("trunkline_producer_replacements_total", &[]).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_is_told_and_recovers() {
    let app = TestApp::start_with(&format!("{SPOOLING}\nspool.max_bytes = 5000")).await;
    app.broker.go_down().unwrap();
    let mut answers = HashMap::new();
    for _ in 0..20 {
        let answer = app.post(&status()).await;
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some());
        }
        *answers.entry(answer.status).or_insert(0) += 1;
    }
    assert!(answers[&200] >= 1 && answers[&503] >= 10, "{answers:?}");
    app.broker.come_up().unwrap();
    app.wait_until_drained().await;
    assert_eq!(app.post(&status()).await.status, 200);
    assert!(app.records(STATUS).len() > answers[&200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_whose_directory_has_gone_is_made_anew_without_a_restart() {
    let app = TestApp::start_with(SPOOLING).await;
    app.broker.go_down().unwrap();
    assert_eq!(app.post(&status()).await.status, 200);
    let dir = app.spool().join("spool");
    std::fs::remove_dir_all(&dir).unwrap();
    wait_until("it is made anew", async || dir.join("spool.db").exists()).await;
    let webhook = Webhook::signed(&status());
    app.post_until_taken(&webhook).await;
    let state = app.spool_state().await;
    assert_eq!((&state["ready"], &state["events"]), (&json!(true), &json!(1)), "the lost one is not counted");
    app.broker.come_up().unwrap();
    wait_until("nothing is left", async || {
        let state = app.spool_state().await;
        state["events"] == json!(0) && state["bytes"] == json!(0)
    })
    .await;
    app.wait_for_unacknowledged(0.0).await;
    assert_eq!(app.records(STATUS).len(), 2, "the first one was still in the hands of Kafka's client");
}

/// Damages the database of a service that runs, and that holds events.
fn damage(app: &TestApp, offset: u64) {
    let database = app.spool().join("spool/spool.db");
    let file = std::fs::File::options().write(true).open(database).unwrap();
    file.write_all_at(&[0xA5; 4096], offset).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_is_met_while_running_costs_no_restart_and_no_wrong_count() {
    let mut app = TestApp::start_with(SPOOLING).await;
    app.broker.go_down().unwrap();
    for _ in 0..300 {
        assert_eq!(app.post(&status()).await.status, 200);
    }
    // The next process reads all of it from the file, where it has been written back.
    assert_eq!(app.stop().await.spooled, 300);
    drop(Store::open(&Options { dir: app.spool().join("spool"), vfs: None }).unwrap().store.give_back(1000));
    app.start_again(SPOOLING);
    (1..=8).for_each(|page| damage(&app, page * 4096));
    app.broker.come_up().unwrap();
    wait_until("all that could be saved is published", async || {
        let state = app.spool_state().await;
        state["events"] == json!(0) && state["bytes"] == json!(0) && state["ready"] == json!(true)
    })
    .await;
    app.wait_for_unacknowledged(0.0).await;
    let published = app.records(STATUS).len();
    assert!((200..=300).contains(&published), "{published} of 300 events were saved");
    app.broker.go_down().unwrap();
    assert_eq!(app.post(&status()).await.status, 200, "the new database is used");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_spool_and_sources_that_do_not_share_lanes() {
    let strict = "[[sources]]\nname = \"strict\"\nprovider = \"vonage\"\naccount_id = \"abcd1234\"\n\
                  signature_secrets = [\"env:VONAGE_SECRET\"]\non_kafka_down = \"strict\"\n";
    let app = TestApp::start_with(&format!("{SPOOLING}\n{strict}")).await;
    app.broker.go_down().unwrap();
    for _ in 0..10 {
        assert_eq!(app.post(&status()).await.status, 200);
        assert_eq!(app.send(&Webhook::signed(&status()).to("/webhooks/strict")).await.status, 503);
    }
    app.broker.come_up().unwrap();
    app.wait_until_drained().await;
    assert_eq!(app.send(&Webhook::signed(&status()).to("/webhooks/strict")).await.status, 200);
}

/// What a message goes through, in the order in which the provider tells it.
const STAGES: [&str; 5] = ["submitted", "delivered", "read", "a word of the future", "another one"];

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_thousands_of_keys_is_kept_through_many_outages() {
    let app = TestApp::start_with("kafka.ack_timeout_ms = 30\nsource.on_kafka_down = \"spool\"").await;
    let messages: Vec<_> = (0..2000).map(|_| status()).collect();
    let send_all = async {
        for messages in messages.chunks(100) {
            join_all(messages.iter().map(async |body| {
                for stage in STAGES {
                    let webhook = Webhook::signed(&with(body.clone(), &json!({"status": stage})));
                    app.post_until_taken(&webhook).await;
                }
            }))
            .await;
        }
    };
    let interrupt = async {
        for outage in 0..6 {
            let taken = 500.0 + 1500.0 * f64::from(outage);
            wait_until("more is taken", async || app.metric("trunkline_events_total", &[]).await > taken).await;
            app.broker.go_down().unwrap();
            wait_until("some of it is spooled", async || app.spool_state().await["events"] != json!(0)).await;
            app.broker.come_up().unwrap();
        }
    };
    tokio::join!(send_all, interrupt);
    app.wait_until_drained().await;
    let mut told: HashMap<String, Vec<String>> = HashMap::new();
    for event in app.records(STATUS).iter().map(value_of) {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        let stages = told.entry(text("message_id")).or_default();
        // The first copy counts; another one under the same id may follow.
        if !stages.contains(&text("status_raw")) {
            stages.push(text("status_raw"));
        }
    }
    assert_eq!(told.len(), messages.len());
    for (message, stages) in told {
        assert_eq!(stages, STAGES, "{message}");
    }
    assert!(app.metric("trunkline_spool_drained_total", &[]).await > 0.5, "the way through the spool was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_is_live_again_while_events_keep_coming() {
    let app = TestApp::start_with("kafka.ack_timeout_ms = 30\nsource.on_kafka_down = \"spool\"").await;
    app.broker.go_down().unwrap();
    wait_until("something is spooled", async || {
        join_all((0..50).map(async |_| app.post(&status()).await)).await;
        app.spool_state().await["events"].as_u64().unwrap() > 500
    })
    .await;
    app.broker.come_up().unwrap();
    let deadline = Instant::now() + DEADLINE;
    let mut live = 0.0;
    while live < 200.5 {
        assert!(Instant::now() < deadline, "Kafka takes events again");
        let answers = join_all((0..50).map(async |_| app.post(&status()).await.status)).await;
        assert!(answers.iter().all(|status| *status == 200));
        live = app.events_by("kafka").await;
    }
}
