//! One broker that goes away, hangs and comes back; a topic that does.

use std::time::{Duration, Instant};

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{ACCOUNT, PATIENCE, Service, blocking, check_online, copies, post, status};

const STRICT: &str = "on_kafka_down = \"strict\"";

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_webhooks_get_503_and_their_retries_are_published_once() {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "", STRICT).await;
    service.post_until_taken(&status("before", "delivered")).await;

    blocking(|| cluster.stop_broker(0));
    let webhooks: Vec<_> = (0..20).map(|index| status(&format!("during-{index}"), "delivered")).collect();
    for webhook in &webhooks {
        let started = Instant::now();
        assert_eq!(service.post(webhook).await, 503);
        assert!(started.elapsed() < Duration::from_secs(10), "the answer is bounded by ack_timeout_ms");
        assert_eq!(service.post(webhook).await, 503, "a retry is not answered 200 before the first copy is durable");
    }
    service.wait_for_readiness(503).await;

    blocking(|| cluster.start_broker(0));
    service.wait_for_readiness(200).await;
    for webhook in &webhooks {
        service.post_until_taken(webhook).await;
    }
    let records = blocking(|| service.records("message-status.v1"));
    let copies = copies(&records);
    assert_eq!((copies.len(), records.len()), (21, 21), "{copies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_costs_no_more_than_the_acknowledgement_timeout() {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "ack_timeout_ms = 400", STRICT).await;
    service.post_until_taken(&status("before", "delivered")).await;
    blocking(|| cluster.pause_broker(0));
    let hanging = status("hanging", "delivered");
    let started = Instant::now();
    assert_eq!(service.post(&hanging).await, 503);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(10), "{took:?}");
    blocking(|| cluster.resume_broker(0));
    service.post_until_taken(&hanging).await;
    let records = blocking(|| service.records("message-status.v1"));
    assert_eq!(copies(&records)["vonage:abcd1234:hanging"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_before_its_broker_takes_webhooks_and_creates_its_topics() {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    blocking(|| cluster.stop_broker(0));
    let service = Service::start(&cluster.bootstrap_servers(), "", "").await;
    assert_eq!(service.readiness().await, 200, "the spool takes what Kafka does not");
    for index in 0..20 {
        assert_eq!(service.post(&status(&format!("early-{index}"), "delivered")).await, 200);
    }
    blocking(|| cluster.start_broker(0));
    service.wait_until_drained().await;
    let records = blocking(|| service.records("message-status.v1"));
    assert_eq!((copies(&records).len(), records.len()), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_hangs_or_is_away_webhooks_are_kept_and_published_in_order_after_it() {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "ack_timeout_ms = 300", "").await;
    let stages = ["submitted", "delivered", "read"];
    let send = async |stage: usize| {
        for index in 0..30 {
            assert_eq!(service.post(&status(&format!("m-{index}"), stages[stage])).await, 200);
        }
    };
    send(0).await;
    blocking(|| cluster.pause_broker(0));
    send(1).await;
    blocking(|| cluster.resume_broker(0));
    blocking(|| cluster.stop_broker(0));
    send(2).await;
    blocking(|| cluster.start_broker(0));
    service.wait_until_drained().await;
    let records = blocking(|| service.records("message-status.v1"));
    for index in 0..30 {
        let of_message = records.iter().filter(|record| record.key == format!("vonage:abcd1234:m-{index}"));
        let mut told = Vec::new();
        for record in of_message {
            let event: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
            let stage = event["status_raw"].as_str().unwrap().to_owned();
            if !told.contains(&stage) {
                told.push(stage);
            }
        }
        assert_eq!(told, stages);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_and_made_anew_with_other_partitions_gets_what_was_kept() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let first = Service::start(&cluster.bootstrap_servers(), "", "").await;
    first.wait_until_kafka_is(true).await;
    first.app.stop().await;
    // It would make the topic again before somebody else can.
    let settings = "ack_timeout_ms = 300\ncreate_topics = false";
    let service = Service::start_ready(&cluster.bootstrap_servers(), settings, "").await;
    assert_eq!(service.post(&status("before", "delivered")).await, 200);
    service.delete_topic("telecom.message-status.v1").await;
    service.wait_until_kafka_is(false).await;
    // A moment after the brokers have told that it is gone, they still take events into it, and delete them with it.
    let deadline = Instant::now() + Duration::from_secs(60);
    while (0..12).any(|partition| cluster.has_log_of("telecom.message-status.v1", partition)) {
        assert!(Instant::now() < deadline, "the brokers go on taking events into a topic that is deleted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for index in 0..60 {
        assert_eq!(service.post(&status(&format!("during-{index}"), "delivered")).await, 200);
    }
    service.create_topic("telecom.message-status.v1", 5).await;
    // Until the service has seen the new topic, it places events as in the old one.
    service.wait_until_kafka_is(true).await;
    for index in 0..60 {
        assert_eq!(service.post(&status(&format!("after-{index}"), "delivered")).await, 200);
    }
    service.wait_until_drained().await;
    let records = blocking(|| service.records("message-status.v1"));
    let copies = copies(&records);
    let missing = |name: &str| {
        let keys = (0..60).map(|index| format!("vonage:abcd1234:{name}-{index}"));
        keys.filter(|key| !copies.contains_key(key.as_str())).collect::<Vec<_>>()
    };
    assert_eq!((missing("during"), missing("after")), (Vec::new(), Vec::new()));
    let partition = |key: &str| trunkline::publish::partition::key_hash(key.as_bytes()) % 5;
    for record in records.iter().filter(|record| record.key.contains("after")) {
        assert_eq!(u32::try_from(record.partition).unwrap(), partition(&record.key), "{}", record.key);
    }
}

/// A broker that holds the topics and answers questions, and whose own name for itself leads nowhere.
async fn wrongly_advertised() -> KafkaCluster {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start(&cluster.bootstrap_servers(), "", "").await;
    service.wait_until_kafka_is(true).await;
    service.app.stop().await;
    blocking(|| {
        cluster.stop_broker(0);
        let nowhere = format!("PLAINTEXT://127.0.0.1:{}", crate::kafka::free_port());
        cluster.set_property(0, "advertised.listeners", &nowhere);
        cluster.start_broker(0);
    });
    cluster
}

/// Whether a client has learnt of the address is a matter of chance, so one service says little.
const SERVICES: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_put_right_is_found_without_a_restart() {
    let mut cluster = wrongly_advertised().await;
    let (code, told) = blocking(|| check_online(&cluster.bootstrap_servers(), ""));
    let words = ["is not reached", "advertised.listeners"];
    assert!(code == Some(1) && words.iter().all(|words| told.contains(words)), "{code:?} {told}");
    let strict = format!(
        "[[sources]]\nname = \"vonage-strict\"\nprovider = \"vonage\"\naccount_id = \"{ACCOUNT}\"\n\
         signature_secrets = [\"env:SECRET\"]\n{STRICT}"
    );
    let mut services = Vec::new();
    for index in 0..SERVICES {
        let service = Service::start(&cluster.bootstrap_servers(), "", &strict).await;
        for early in 0..2 {
            assert_eq!(service.post(&status(&format!("early-{index}-{early}"), "delivered")).await, 200);
        }
        services.push(service);
    }
    for service in &services {
        service.wait_for_problem("refused").await;
    }
    blocking(|| {
        cluster.stop_broker(0);
        cluster.drop_property(0, "advertised.listeners");
        cluster.start_broker(0);
    });
    let started = Instant::now();
    for (index, service) in services.iter().enumerate() {
        service.wait_until_drained().await;
        let url = service.url.replace("vonage-eu", "vonage-strict");
        let late = status(&format!("late-{index}"), "delivered");
        while post(&service.client, &url, &late).await.unwrap() != 200 {
            assert!(started.elapsed() < PATIENCE, "the strict source never gets 200");
        }
        println!("service {index} delivered {:?} after the broker was there", started.elapsed());
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    let records = blocking(|| services[0].records("message-status.v1"));
    let copies = copies(&records);
    assert_eq!((copies.len(), records.len()), (SERVICES * 3, SERVICES * 3), "{copies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_source_whose_events_reach_no_broker_is_not_ready() {
    let cluster = wrongly_advertised().await;
    let service = Service::start(&cluster.bootstrap_servers(), "", STRICT).await;
    assert_eq!(service.post(&status("early", "delivered")).await, 503);
    service.wait_for_problem("refused").await;
    assert_eq!(service.readiness().await, 503);
}
