//! Events as a consumer of Apache Kafka sees them.

use serde_json::Value;
use trunkline::publish::Left;

use crate::kafka::{ClusterOptions, KafkaCluster};
use crate::service::{Service, blocking, status};

/// The placement of keys by Java clients: murmur2, as the Kafka protocol guide and the Java client's
/// default partitioner define it.
fn java_partition(key: &[u8], partitions: u32) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(key.len()).unwrap();
    let mut hash = 0x9747_b28c ^ length;
    let mut chunks = key.chunks_exact(4);
    for chunk in &mut chunks {
        let mut word = u32::from_le_bytes(chunk.try_into().unwrap()).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    (hash & 0x7fff_ffff) % partitions
}

#[test]
fn the_reference_placement_agrees_with_published_hashes() {
    // From the tests of the Java client: murmur2("21") = -973932308, murmur2("foobar") = -790332482.
    assert_eq!(java_partition(b"21", 0x7fff_ffff), (-973_932_308_i32 as u32) & 0x7fff_ffff);
    assert_eq!(java_partition(b"foobar", 0x7fff_ffff), (-790_332_482_i32 as u32) & 0x7fff_ffff);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_created_and_events_stand_where_java_clients_would_put_them() {
    let cluster = blocking(|| KafkaCluster::start(ClusterOptions::default()));
    let service = Service::start_ready(&cluster.bootstrap_servers(), "", "").await;
    for index in 0..50 {
        assert_eq!(service.post(&status(&format!("message-{index}"), "delivered")).await, 200);
    }
    let records = blocking(|| service.records("message-status.v1"));
    assert_eq!(records.len(), 50);
    for record in &records {
        assert_eq!(
            u32::try_from(record.partition).unwrap(),
            java_partition(record.key.as_bytes(), 12),
            "{}",
            record.key
        );
        let value: Value = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(record.headers["ce_id"], value["event_id"].as_str().unwrap());
        assert_eq!(record.headers["ce_partitionkey"], record.key);
        assert_eq!(record.headers["content-type"], "application/json");
    }
    assert_eq!(service.app.stop().await, Left { unsaved: 0, spooled: 0, quarantined: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_authenticates_by_sasl() {
    let user = ("trunkline".to_owned(), "an-invented-password".to_owned());
    let cluster =
        blocking(|| KafkaCluster::start(ClusterOptions { sasl_plain: Some(user), ..ClusterOptions::default() }));
    let properties = |password: &str| {
        format!(
            "[kafka.properties]\n\"security.protocol\" = \"SASL_PLAINTEXT\"\n\"sasl.mechanism\" = \"PLAIN\"\n\
             \"sasl.username\" = \"trunkline\"\n\"sasl.password\" = \"{password}\"\n"
        )
    };
    let service =
        Service::start_ready(&cluster.sasl_bootstrap_servers(), &properties("an-invented-password"), "").await;
    assert_eq!(service.post(&status("by-sasl", "delivered")).await, 200);
    let refused =
        Service::start(&cluster.sasl_bootstrap_servers(), &properties("wrong"), "on_kafka_down = \"strict\"").await;
    assert_eq!(refused.post(&status("by-nobody", "delivered")).await, 503);
    assert_eq!(refused.readiness().await, 503);
    let plain = crate::service::records(&cluster.bootstrap_servers(), "message-status.v1");
    assert_eq!(plain.len(), 1);
}
