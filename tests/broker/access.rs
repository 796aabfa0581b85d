//! A user who may not do everything.

use std::time::{Duration, Instant};

use trunkline::publish::permits::{self, Verdict};
use trunkline::publish::topics;

use crate::kafka::{ClusterOptions, KafkaCluster, On, To};
use crate::service::{PATIENCE, Service, blocking, check_online, kafka_settings, records, status};

const USER: &str = "trunkline";
const PASSWORD: &str = "an-invented-password";
const STRICT: &str = "on_kafka_down = \"strict\"";

/// A cluster in which users may do what they have been allowed to, and clients without a name everything.
fn guarded() -> KafkaCluster {
    let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let properties = [("authorizer.class.name", authorizer), ("super.users", "User:ANONYMOUS")];
    KafkaCluster::start(ClusterOptions {
        properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        sasl_plain: Some((USER.to_owned(), PASSWORD.to_owned())),
        ..ClusterOptions::default()
    })
}

/// The same with all topics.
async fn guarded_with_topics() -> KafkaCluster {
    let cluster = blocking(guarded);
    topics::create_missing(&kafka_settings(&cluster.bootstrap_servers(), ""), topics::MoreTopics::default())
        .await
        .unwrap();
    cluster
}

/// How the user signs in.
fn signed_in() -> String {
    signed_in_by("PLAIN", PASSWORD)
}

fn signed_in_by(mechanism: &str, password: &str) -> String {
    format!(
        "ack_timeout_ms = 2000\n[kafka.properties]\n\"security.protocol\" = \"SASL_PLAINTEXT\"\n\
         \"sasl.mechanism\" = \"{mechanism}\"\n\"sasl.username\" = \"{USER}\"\n\"sasl.password\" = \"{password}\"\n"
    )
}

/// Waits until the brokers have learnt that the user may write to a topic.
fn wait_until_writable(cluster: &KafkaCluster, topic: &str) {
    let settings = kafka_settings(&cluster.sasl_bootstrap_servers(), &signed_in());
    let deadline = Instant::now() + PATIENCE;
    while permits::ask(&settings, &[topic.to_owned()]).unwrap() != [(topic.to_owned(), Verdict::Writable)] {
        assert!(Instant::now() < deadline, "{topic} can never be written to");
    }
}

/// Waits until the service is not ready for a reason that has these words.
async fn assert_refused_soon(service: &Service, words: &str) {
    let failed = Instant::now();
    service.wait_for_problem(words).await;
    service.wait_for_readiness(503).await;
    assert!(failed.elapsed() < Duration::from_secs(3), "{:?}", failed.elapsed());
    assert_eq!(service.metric("trunkline_ready").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_source_that_may_not_write_to_its_topic_is_not_ready_until_it_may() {
    let cluster = guarded_with_topics().await;
    cluster.allow(USER, To::Describe, On::TopicsFrom("telecom."));
    cluster.allow(USER, To::Write, On::Topic("telecom.call-event.v1"));
    // A client that may write nowhere yet may be no producer either, which is another problem.
    blocking(|| wait_until_writable(&cluster, "telecom.call-event.v1"));
    let service = Service::start_ready(&cluster.sasl_bootstrap_servers(), &signed_in(), STRICT).await;
    assert_eq!(service.post(&status("refused", "delivered")).await, 503);
    assert_refused_soon(&service, "Topic authorization failed").await;
    cluster.allow(USER, To::Write, On::TopicsFrom("telecom."));
    service.post_until_taken(&status("allowed", "delivered")).await;
    service.wait_for_readiness(200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_written_is_kept_and_written_as_soon_as_it_may() {
    let cluster = guarded_with_topics().await;
    cluster.allow(USER, To::Describe, On::TopicsFrom("telecom."));
    let service = Service::start(&cluster.sasl_bootstrap_servers(), &signed_in(), "").await;
    assert_eq!(service.post(&status("kept", "delivered")).await, 200);
    service.wait_until_kafka_is(false).await;
    assert_eq!(service.readiness().await, 200, "the spool takes it");
    cluster.allow(USER, To::Write, On::TopicsFrom("telecom."));
    service.wait_until_drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_user_from_signing_in_is_told_with_what_helps_and_without_the_password() {
    let cluster = blocking(guarded);
    let servers = cluster.sasl_bootstrap_servers();
    for (mechanism, password, words, remedy) in [
        ("PLAIN", "another-invented-password", "Authentication failed", "see sasl.username and sasl.password"),
        ("SCRAM-SHA-256", PASSWORD, "mechanism", "see sasl.mechanism"),
    ] {
        let kafka = signed_in_by(mechanism, password);
        let checked = blocking(|| topics::look(&kafka_settings(&servers, &kafka))).unwrap_err().to_string();
        assert!(checked.contains(words) && checked.contains(remedy) && !checked.contains(password), "{checked}");
        let service = Service::start(&servers, &kafka, "").await;
        service.wait_for_problem(words).await;
        service.wait_for_problem(remedy).await;
        assert!(!service.state().await.to_string().contains(password));
    }
}

/// Checks until it ends like this and complains of this, since brokers learn a moment later what is allowed.
fn check_until(cluster: &KafkaCluster, code: i32, words: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (found, told) = check_online(&cluster.sasl_bootstrap_servers(), &signed_in());
        if found == Some(code) && told.contains(words) {
            return told;
        }
        assert!(Instant::now() < deadline, "never {code} with {words}, but {found:?} with {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_which_topics_may_not_be_written_to_and_writes_nothing() {
    let cluster = guarded_with_topics().await;
    cluster.allow(USER, To::Write, On::Topic("telecom.call-event.v1"));
    cluster.allow(USER, To::Describe, On::TopicsFrom("telecom."));
    let refused = "message-status.v1: can not be written to: TopicAuthorizationFailed";
    let told = blocking(|| check_until(&cluster, 1, refused));
    assert!(!told.contains("telecom.call-event.v1: can not be written to"), "{told}");
    cluster.allow(USER, To::Write, On::TopicsFrom("telecom."));
    blocking(|| check_until(&cluster, 0, ""));
    assert!(blocking(|| records(&cluster.bootstrap_servers(), "message-status.v1")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_which_topics_are_missing_and_may_not_be_made() {
    let cluster = blocking(guarded);
    cluster.allow(USER, To::Describe, On::TopicsFrom("telecom."));
    let refused = "call-event.v1: is not there and can not be created: TopicAuthorizationFailed";
    blocking(|| check_until(&cluster, 1, refused));
    cluster.allow(USER, To::Create, On::TopicsFrom("telecom."));
    blocking(|| check_until(&cluster, 0, ""));
    let states = blocking(|| topics::look(&kafka_settings(&cluster.bootstrap_servers(), ""))).unwrap();
    assert!(states.iter().all(|state| state.partitions == 0), "it has made none");
}
