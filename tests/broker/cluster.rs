//! Three brokers that lose one of them under load.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{Service, blocking, copies, status};

/// Sends statuses, each until it is taken, until told to stop; tells their keys.
async fn send_until(service: Arc<Service>, sender: usize, stop: Arc<AtomicBool>) -> HashSet<String> {
    let mut taken = HashSet::new();
    for index in 0..100_000 {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let id = format!("m-{sender}-{index}");
        service.post_until_taken(&status(&id, "delivered")).await;
        taken.insert(format!("vonage:abcd1234:{id}"));
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_one_broker_of_three_under_load_loses_nothing_and_makes_no_second_id() {
    let mut cluster = blocking(|| KafkaCluster::start(ClusterOptions { brokers: 3, ..ClusterOptions::default() }));
    let service = Arc::new(Service::start_ready(&cluster.bootstrap_servers(), "", "").await);
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> =
        (0..4).map(|sender| tokio::spawn(send_until(Arc::clone(&service), sender, Arc::clone(&stop)))).collect();
    service.post_until_taken(&status("before", "delivered")).await;

    blocking(|| cluster.kill_broker(0));
    service.post_until_taken(&status("without-0", "delivered")).await;
    service.wait_for_readiness(200).await;
    blocking(|| cluster.start_broker(0));
    blocking(|| cluster.kill_broker(1));
    service.post_until_taken(&status("without-1", "delivered")).await;
    service.wait_for_readiness(200).await;

    stop.store(true, Ordering::Release);
    let mut taken = HashSet::new();
    for sender in senders {
        taken.extend(sender.await.unwrap());
    }
    let records = blocking(|| service.records("message-status.v1"));
    let copies = copies(&records);
    let missing: Vec<_> = taken.iter().filter(|key| !copies.contains_key(key.as_str())).collect();
    assert!(missing.is_empty(), "answered 200 and not in Kafka: {missing:?}");
    // A record that the client did not say to be in the log was published once more, under the same id.
    let ids: HashSet<&str> = records.iter().map(|record| record.headers["ce_id"].as_str()).collect();
    assert_eq!(ids.len(), copies.len(), "no event has two ids");
    println!("{} records of {} events", records.len(), copies.len());
    assert!(taken.len() > 100, "only {} webhooks were sent", taken.len());
}
